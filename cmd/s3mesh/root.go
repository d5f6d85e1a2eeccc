package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/config"
)

// Exit codes. They are documented in the help of the root command and are part of the interface.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2 // a bad flag, argument or configuration, or a bucket that the configuration does not fit
	exitDisagree    = 3 // inspect, verify, reconcile: the sites do not hold the same
	exitUnreachable = 4 // no running process, or a store that does not answer
)

const rootHelp = `s3mesh keeps S3 buckets in many regions, clouds and products identical while every one of them stays writable.

Start with "s3mesh demo": three regions on this machine, no account needed.

Exit codes: 0 done; 1 failed; 2 bad flag, argument or configuration; 3 the sites disagree (inspect,
reconcile, verify); 4 the running process or a store cannot be reached.`

// streams is where a command writes to: results to out, logs and errors to err.
type streams struct{ out, err io.Writer }

// globals is what every command is given.
type globals struct {
	streams
	json     bool
	logLevel string
	begun    bool // the command line was understood, and the command began
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	g := &globals{streams: s}
	root := newRoot(g)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if !g.begun {
		err = usageError{err}
	}
	g.printError(err)
	return exitCode(err)
}

// noteBegin makes every command note that it began, and those that only hold others show their help. What fails before is a
// mistake on the command line: an unknown command or flag, a flag that is missing or excludes another.
func (g *globals) noteBegin(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		g.noteBegin(sub)
	}
	act := cmd.RunE
	if act == nil {
		act = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		g.begun = true
		return act(cmd, args)
	}
}

func newRoot(g *globals) *cobra.Command {
	root := &cobra.Command{
		Use: "s3mesh", Short: "Keep S3 buckets identical while every one of them stays writable", Long: rootHelp,
		Version: version, SilenceErrors: true, SilenceUsage: true,
	}
	root.SetOut(g.out)
	root.SetErr(g.err)
	root.PersistentFlags().BoolVar(&g.json, "json", false, "write JSON instead of text")
	root.PersistentFlags().StringVar(&g.logLevel, "log-level", "",
		"what to log to stderr: debug, info, warn or error (default warn; demo error)")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newDemo(g), newRun(g), newStatus(g), newInspect(g), newDLQ(g), newReconcile(g), newVerify(g), newDoctor(g),
		newLink(g), newConfig(g))
	g.noteBegin(root)
	return root
}

// usageError is a mistake on the command line.
type usageError struct{ error }

// Unwrap returns the mistake.
func (e usageError) Unwrap() error { return e.error }

// usage makes cobra's argument check a usage error.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w\nSee '%s --help'", err, cmd.CommandPath())}
		}
		return nil
	}
}

var errDisagree = errors.New("the sites do not agree")

func exitCode(err error) int {
	var bad usageError
	var faults *config.Error
	var refused *refusal
	switch {
	case errors.Is(err, errDisagree):
		return exitDisagree
	case errors.As(err, &bad), errors.As(err, &faults), errors.As(err, &refused):
		return exitUsage
	case s3mesh.KindOf(err) == s3mesh.KindUnreachable:
		return exitUnreachable
	default:
		return exitFailed
	}
}

// printError tells what went wrong and the next step.
func (g *globals) printError(err error) {
	if errors.Is(err, errDisagree) {
		return // the answer was printed
	}
	kind := s3mesh.KindOf(err)
	if g.json {
		_ = json.NewEncoder(g.err).Encode(map[string]string{
			"error": err.Error(), "kind": kind.String(), "remedy": remedy(err)}) // nowhere left to report to
		return
	}
	fmt.Fprintf(g.err, "s3mesh: %v\n", err)
	if step := remedy(err); step != "" {
		fmt.Fprintf(g.err, "  -> %s\n", step)
	}
}

// remedy returns the operator's next step where the error's kind has one that fits a command line.
func remedy(err error) string {
	var e *s3mesh.Error
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.step
	}
	switch kind := s3mesh.KindOf(err); kind {
	case s3mesh.KindAccessDenied:
		if errors.As(err, &e) && e.Site == "" { // no store refused, but the running process
			return "give the token of the running process: by -c with its mesh.yaml, or in S3MESH_ADMIN_TOKEN"
		}
		return kind.Remedy()
	case s3mesh.KindNoSuchBucket:
		return kind.Remedy()
	default:
		return ""
	}
}

// write writes value as one line of JSON, or has text written.
func (g *globals) write(value any, text func(w io.Writer)) error {
	if g.json {
		return json.NewEncoder(g.out).Encode(value)
	}
	text(g.out)
	return nil
}

// logger returns the log that the flags ask for, on stderr.
func (g *globals) logger() (*slog.Logger, error) {
	level := slog.LevelWarn
	if g.logLevel == "" {
		g.logLevel = level.String()
	}
	if err := level.UnmarshalText([]byte(g.logLevel)); err != nil {
		return nil, usageError{fmt.Errorf("--log-level %q: use debug, info, warn or error", g.logLevel)}
	}
	opts := &slog.HandlerOptions{Level: level}
	if g.json {
		return slog.New(slog.NewJSONHandler(g.err, opts)), nil
	}
	return slog.New(slog.NewTextHandler(g.err, opts)), nil
}
