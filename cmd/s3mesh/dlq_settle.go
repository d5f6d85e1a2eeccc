package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
)

type dlqSettleOptions struct {
	letterFlags
	all, yes bool
}

func (o *dlqSettleOptions) flags(cmd *cobra.Command, all string) {
	o.letterFlags.flags(cmd)
	cmd.Flags().BoolVar(&o.all, "all", false, all)
	for _, name := range []string{"link", "prefix", "kind", "site", "older-than", "newer-than"} {
		cmd.MarkFlagsMutuallyExclusive("all", name)
	}
}

// check finds a command that does not say, or says twice, which letters it is for.
func (o *dlqSettleOptions) check(what string, ids []string) error {
	if (len(ids) > 0) == (o.all || o.chosen()) {
		return usageError{fmt.Errorf("name the letters to %s: IDs, or --link, or --all, or another of the flags that choose", what)}
	}
	return nil
}

func newDLQReplay(g *globals) *cobra.Command {
	var o dlqSettleOptions
	cmd := &cobra.Command{
		Use: "replay [ID...]", Short: "Put dead letters back to work, for their own link only",
		Long: `Puts the events of dead letters back on the queue, each for its own link only, and removes the letters. Replaying is
harmless, however often it is done: the keys are looked at as they are then. What fails again becomes a dead letter again, and
is not replayed a second time by the same command.
` + filterHelp + connectHelp,
		Example: "  s3mesh dlq replay us-east-1.eu-west-2.42\n" +
			"  s3mesh dlq replay --link 'us-east-1->eu-west-2' --kind access_denied\n" +
			"  s3mesh dlq replay --all",
		Args: usage(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, args []string) error { return runDLQReplay(cmd.Context(), g, o, args) },
	}
	o.flags(cmd, "replay every letter")
	return cmd
}

func newDLQDrop(g *globals) *cobra.Command {
	var o dlqSettleOptions
	cmd := &cobra.Command{
		Use: "drop [ID...]", Short: "Remove dead letters for good, without replicating what they stand for",
		Long: `Removes dead letters for good. What they stand for is not replicated until the key changes, or a reconcile finds it. Asks
before it does so, unless --yes is given; where nobody can be asked, as input or output is no terminal, --yes is needed.
` + filterHelp + connectHelp,
		Example: "  s3mesh dlq drop us-east-1.eu-west-2.42\n  s3mesh dlq drop --kind unstorable --older-than 720h --yes",
		Args:    usage(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDLQDrop(cmd.Context(), g, o, args, cmd.InOrStdin())
		},
	}
	o.flags(cmd, "drop every letter")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return cmd
}

// replayed and dropped are the results, with what somebody else replayed, dropped or replaced meanwhile.
type (
	replayed struct {
		Replayed int `json:"replayed"`
		Gone     int `json:"gone"`
	}
	dropped struct {
		Dropped int `json:"dropped"`
		Gone    int `json:"gone"`
	}
)

func runDLQReplay(ctx context.Context, g *globals, o dlqSettleOptions, ids []string) error {
	if err := o.check("replay", ids); err != nil {
		return err
	}
	box, err := o.open(ctx)
	if err != nil {
		return err
	}
	s := newSettling(box, ids, box.client.ReplayDeadLetters)
	err = s.run(ctx, g)
	return errors.Join(err, g.write(replayed{s.done, s.gone}, func(w io.Writer) {
		fmt.Fprintf(w, "%s replayed\n", plural(int64(s.done)))
	}))
}

func runDLQDrop(ctx context.Context, g *globals, o dlqSettleOptions, ids []string, in io.Reader) error {
	if err := o.check("drop", ids); err != nil {
		return err
	}
	if !o.yes && (!isTerminal(in) || !isTerminal(g.err)) {
		return usageError{errors.New("nobody can be asked whether to drop them, as input or output is no terminal: add --yes")}
	}
	box, err := o.open(ctx)
	if err != nil {
		return err
	}
	s := newSettling(box, ids, box.client.DropDeadLetters)
	if !o.yes {
		if err := confirmDrop(ctx, s, g.err, in); err != nil {
			return err
		}
	}
	err = s.run(ctx, g)
	return errors.Join(err, g.write(dropped{s.done, s.gone}, func(w io.Writer) {
		fmt.Fprintf(w, "%s dropped\n", plural(int64(s.done)))
	}))
}

var errDeclined = errors.New("nothing was dropped")

// confirmDrop asks whether to drop the letters, if there are any.
func confirmDrop(ctx context.Context, s *settling, out io.Writer, in io.Reader) error {
	n, err := s.count(ctx)
	if err != nil || n == 0 {
		return err
	}
	fmt.Fprintf(out, "Drop %s? What they stand for is not replicated until the key changes or a reconcile finds it. [y/N] ",
		plural(n))
	answer := make(chan string, 1)
	go func() { // which a read of a terminal outlives, when the command is interrupted
		line, err := bufio.NewReader(in).ReadString('\n')
		if err != nil {
			line = ""
		}
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(out)
		return errDeclined
	case yes := <-answer:
		if yes != "y" && yes != "yes" {
			return errDeclined
		}
		return nil
	}
}

// settling replays or drops letters: those with IDs, or without any all that the box chooses.
type settling struct {
	box  letterBox
	ids  []string
	act  func(ctx context.Context, ids ...string) (int, error)
	bar  *bar
	all  int64 // what the bar ends at
	done int
	gone int
}

// newSettling leaves out letters from after it began: of those that fail again, none is met twice.
func newSettling(box letterBox, ids []string, act func(context.Context, ...string) (int, error)) *settling {
	if box.filter.Before.IsZero() {
		box.filter.Before = box.now
	}
	slices.Sort(ids)
	return &settling{box: box, ids: slices.Compact(ids), act: act}
}

// count returns how many letters there are to settle.
func (s *settling) count(ctx context.Context) (int64, error) {
	if len(s.ids) > 0 {
		return int64(len(s.ids)), nil
	}
	return s.box.count(ctx)
}

// run settles the letters, and shows a person how far that came.
func (s *settling) run(ctx context.Context, g *globals) error {
	if !g.json && isTerminal(g.err) {
		var err error
		if s.all, err = s.count(ctx); err != nil {
			return err
		}
		s.bar = newBar(g.err, "dead letters")
		defer s.bar.end()
	}
	if len(s.ids) == 0 {
		return s.box.pages(ctx, func(page []s3mesh.DeadLetter) error {
			ids := make([]string, len(page))
			for i, l := range page {
				ids[i] = l.ID
			}
			return s.some(ctx, ids)
		})
	}
	for some := range slices.Chunk(s.ids, admin.MaxIDs) {
		if err := s.some(ctx, some); err != nil {
			return err
		}
	}
	if s.gone > 0 {
		return &s3mesh.Error{Kind: s3mesh.KindNotFound, Op: "dlq", Err: fmt.Errorf(
			"%d of the %d letters are not there: they were settled, or their key failed again, which makes a new letter",
			s.gone, len(s.ids))}
	}
	return nil
}

// some settles a page of letters.
func (s *settling) some(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	n, err := s.act(ctx, ids...)
	if err != nil {
		return err
	}
	s.done += n
	s.gone += len(ids) - n
	seen := int64(s.done + s.gone)
	s.bar.set(seen, s.all, fmt.Sprintf("%d of %d", seen, max(seen, s.all)))
	return nil
}
