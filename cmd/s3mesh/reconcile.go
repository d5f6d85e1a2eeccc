package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
	"github.com/s3mesh/s3mesh/config"
	"github.com/s3mesh/s3mesh/reconcile"
)

// reconcilePoll is how often a run is asked how far it is.
const reconcilePoll = 250 * time.Millisecond

type reconcileOptions struct {
	connection
	reconcile.Options
	noWait, resume bool
}

func newReconcile(g *globals) *cobra.Command {
	var o reconcileOptions
	cmd := &cobra.Command{
		Use: "reconcile", Short: "Compare the sites' listings, and replicate what differs: backfill, resync, repair",
		Long: `Compares the listings of all sites, and has what differs replicated: objects that were there before a site joined, and
whatever was missed since. The running process does it, by itself once a day (reconcile.every in mesh.yaml); this command asks for
it now, and waits until what differs is replicated. Ctrl-C ends the waiting only.

Keys that were written since the last complete comparison are asked for one by one, as a change of metadata alone does not show in
a listing; older ones are not, unless --full is given. The order of versions decides what is copied where, as ever.

Exit code 3: --dry-run found differences, or some of what differed became dead letters.
` + connectHelp,
		Example: "  s3mesh reconcile\n  s3mesh reconcile --dry-run --prefix photos/2026/\n" +
			"  s3mesh reconcile -c mesh.yaml --to new-site --json\n  s3mesh reconcile status",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return runReconcile(cmd.Context(), g, o) },
	}
	o.connection.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.Prefix, "prefix", "", "compare only keys that start with this")
	f.StringSliceVar(&o.From, "from", nil, "compare only links from these sites")
	f.StringSliceVar(&o.To, "to", nil, "compare only links to these sites")
	f.BoolVar(&o.DryRun, "dry-run", false, "tell what differs, and change nothing")
	f.BoolVar(&o.Full, "full", false, "ask for each key whose listing leaves doubt, also where nothing changed lately")
	f.BoolVar(&o.resume, "resume", false, "go on where a comparison with the same flags was stopped, and not with the first key")
	f.BoolVar(&o.noWait, "no-wait", false, "begin, and do not wait")
	cmd.AddCommand(newReconcileStatus(g), newReconcileStop(g))
	return cmd
}

func newReconcileStatus(g *globals) *cobra.Command {
	var c connection
	cmd := &cobra.Command{
		Use: "status", Short: "Show the comparison in progress, the last one, and when the next is due",
		Example: "  s3mesh reconcile status\n  s3mesh reconcile status -c mesh.yaml --json",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			var s reconcile.Status
			if err := client.ReconcileStatus(cmd.Context(), &s); err != nil {
				return err
			}
			return g.write(s, func(w io.Writer) { printReconcileStatus(w, s) })
		},
	}
	c.flags(cmd)
	return cmd
}

func newReconcileStop(g *globals) *cobra.Command {
	var c connection
	cmd := &cobra.Command{
		Use: "stop", Short: "End the comparison in progress, and one that waits; --resume goes on where it was",
		Example: "  s3mesh reconcile stop",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			stopped, err := client.StopReconcile(cmd.Context())
			if err != nil {
				return err
			}
			return g.write(admin.Stopped{Stopped: stopped}, func(w io.Writer) {
				if stopped {
					fmt.Fprintln(w, "stopped; what was found so far is replicated, and 's3mesh reconcile --resume' goes on where this one was")
				} else {
					fmt.Fprintln(w, "no comparison is in progress")
				}
			})
		},
	}
	c.flags(cmd)
	return cmd
}

func runReconcile(ctx context.Context, g *globals, o reconcileOptions) error {
	client, err := o.client()
	if err != nil {
		return err
	}
	o.Anew = !o.resume
	if o.DryRun {
		return dryRun(ctx, g, client, o.Options)
	}
	var begun reconcile.Progress
	if err := client.StartReconcile(ctx, o.Options, &begun); err != nil {
		return badOptions(err)
	}
	if o.noWait {
		return g.write(begun, func(w io.Writer) {
			fmt.Fprintln(w, "begun; 's3mesh reconcile status' tells how far it is")
		})
	}
	result, err := followReconcile(ctx, g, client, begun.Run)
	if err != nil {
		return leftRunning(ctx, g, err)
	}
	if result.Complete {
		if err := awaitReplicated(ctx, g, client, o.Options); err != nil {
			return leftRunning(ctx, g, err)
		}
	}
	failed, err := deadLetters(ctx, client, o.Options, begun.Started)
	if err != nil {
		return err
	}
	done := reconciled{result, failed}
	if err := g.write(done, done.text); err != nil {
		return err
	}
	switch {
	case !result.Complete:
		return fmt.Errorf("the comparison ended early: %s", result.Error)
	case done.DeadLetters > 0:
		return errDisagree
	default:
		return nil
	}
}

// leftRunning tells, when a person stops waiting, that the work goes on.
func leftRunning(ctx context.Context, g *globals, err error) error {
	if ctx.Err() == nil {
		return err
	}
	fmt.Fprintln(g.err, "\nThe comparison goes on in the running process: see 's3mesh reconcile status', or 'stop'.")
	return err
}

// dryRun prints what differs.
func dryRun(ctx context.Context, g *globals, client *admin.Client, o reconcile.Options) error {
	var report reconcile.Report
	err := client.DryRun(ctx, o, func(line json.RawMessage) error {
		var d reconcile.Difference
		if err := json.Unmarshal(line, &d); err != nil {
			return err
		}
		return g.write(d, func(w io.Writer) { printDifference(w, d) })
	}, &report)
	if err != nil {
		return badOptions(err)
	}
	if err := g.write(report, func(w io.Writer) { printReport(w, report) }); err != nil {
		return err
	}
	if report.Differing > 0 {
		return errDisagree
	}
	return nil
}

func printDifference(w io.Writer, d reconcile.Difference) {
	fmt.Fprintf(w, "%-8s  %s  %q\n", d.Reason, d.Link, d.Key)
}

// followReconcile waits until a run has ended, and returns its report.
func followReconcile(ctx context.Context, g *globals, client *admin.Client, run string) (reconcile.Report, error) {
	b := newBar(g.err, "comparing")
	defer b.end()
	for {
		var s reconcile.Status
		if err := client.ReconcileStatus(ctx, &s); err != nil {
			return reconcile.Report{}, err
		}
		switch is := func(p *reconcile.Progress) bool { return p != nil && p.Run == run }; {
		case s.Last != nil && s.Last.Run == run:
			return *s.Last, nil
		case is(s.Running):
			b.set(int64(s.Running.ShardsDone), int64(s.Running.Shards), progressText(*s.Running))
		case is(s.Waiting):
			b.set(0, 1, "waits for the comparison in progress to end")
		default:
			return reconcile.Report{}, &s3mesh.Error{Kind: s3mesh.KindNotFound, Op: "reconcile",
				Err: errors.New("the running process knows no more of this comparison: it was stopped before it began, or the process " +
					"started again, and goes on with it by itself; see 's3mesh reconcile status'")}
		}
		if !pause(ctx, reconcilePoll) {
			return reconcile.Report{}, ctx.Err()
		}
	}
}

func progressText(p reconcile.Progress) string {
	text := fmt.Sprintf("%d keys, %d differ", p.Keys, p.Differing)
	if p.Phase != reconcile.PhaseComparing {
		text = string(p.Phase)
	}
	if p.Throttled {
		text += ", waits for the replication of what it found"
	}
	if !p.ETA.IsZero() {
		text += ", done in about " + time.Until(p.ETA).Round(time.Second).String()
	}
	return text
}

// awaitReplicated waits until nothing is left to do in the bulk and large lanes of the links.
func awaitReplicated(ctx context.Context, g *globals, client *admin.Client, o reconcile.Options) error {
	b := newBar(g.err, "replicating")
	defer b.end()
	for most := int64(0); ; {
		links, err := chosenLinks(ctx, client, o)
		if err != nil {
			return err
		}
		var left int64
		for _, l := range links {
			left += l.Bulk
		}
		if left == 0 {
			return nil
		}
		most = max(most, left)
		b.set(most-left, most, fmt.Sprintf("%d left", left))
		if !pause(ctx, reconcilePoll) {
			return ctx.Err()
		}
	}
}

// chosenLinks returns the status of the links that the options choose.
func chosenLinks(ctx context.Context, client *admin.Client, o reconcile.Options) ([]admin.LinkStatus, error) {
	status, err := client.Status(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(status.Links, func(l admin.LinkStatus) bool {
		return len(o.From) > 0 && !slices.Contains(o.From, l.Source) || len(o.To) > 0 && !slices.Contains(o.To, l.Target)
	}), nil
}

// deadLetters counts the tasks of the chosen links and keys that have failed for good since a time.
func deadLetters(ctx context.Context, client *admin.Client, o reconcile.Options, since time.Time) (n int64, err error) {
	counts, err := client.CountDeadLetters(ctx, s3mesh.LetterFilter{Prefix: o.Prefix, Since: since})
	for _, c := range counts {
		if (len(o.From) == 0 || slices.Contains(o.From, c.Link.Source)) && (len(o.To) == 0 || slices.Contains(o.To, c.Link.Target)) {
			n += c.Count
		}
	}
	return n, err
}

// badOptions makes a mistake of the command line of options that the running process cannot take.
func badOptions(err error) error {
	if s3mesh.KindOf(err) == s3mesh.KindInvalid {
		return usageError{err}
	}
	return err
}

// reconciled is what a run, and the replication of what it found, came to.
type reconciled struct {
	reconcile.Report
	DeadLetters int64 `json:"dead_letters"` // since it began
}

func (r reconciled) text(w io.Writer) {
	printReport(w, r.Report)
	switch {
	case !r.Complete:
	case r.DeadLetters > 0:
		fmt.Fprintf(w, "%d of the tasks since it began became dead letters: see 's3mesh dlq list'\n", r.DeadLetters)
	case r.Differing > 0:
		fmt.Fprintln(w, "All of it is replicated.")
	}
}

func printReport(w io.Writer, r reconcile.Report) {
	fmt.Fprintf(w, "%d keys compared in %s, %d of them asked for one by one: %d differ\n",
		r.Keys, r.Finished.Sub(r.Started).Round(time.Millisecond), r.Checked, r.Differing)
	if r.DeletedHere > 0 {
		fmt.Fprintf(w, "%d are deleted at a site, which stays so, as deletes are not propagated\n", r.DeletedHere)
	}
	if r.Skipped > 0 {
		fmt.Fprintf(w, "%d are not UTF-8, and cannot be replicated\n", r.Skipped)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range r.Links {
		if l.Differing > 0 {
			fmt.Fprintf(t, "  %s\t%d keys\t%s at most\n", l.Link, l.Differing, config.ByteSize(l.Bytes))
		}
	}
	_ = t.Flush() // as little to be done about as for any other print
}

func printReconcileStatus(w io.Writer, s reconcile.Status) {
	if p := s.Running; p != nil {
		fmt.Fprintf(w, "in progress since %s: %s\n", p.Started.Format(time.RFC3339), progressText(*p))
	} else {
		fmt.Fprintln(w, "no comparison is in progress")
	}
	if last := s.Last; last != nil {
		fmt.Fprintf(w, "the last one ended at %s: ", last.Finished.Format(time.RFC3339))
		printReport(w, *last)
		if !last.Complete {
			fmt.Fprintf(w, "  it ended early: %s\n", last.Error)
		}
	}
	if !s.Next.IsZero() {
		fmt.Fprintf(w, "the next one begins at %s\n", s.Next.Format(time.RFC3339))
	}
}
