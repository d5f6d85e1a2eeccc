package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
)

const dlqHelp = `Shows and settles dead letters: tasks that failed for good. Each is kept, with its cause and what to do about
it, until it is replayed or dropped, or a later task of the same key and link ends.

Letters whose cause may go away by itself, such as a permission that is given back, are tried again from time to time, and all
of them are replayed once one succeeds: nobody has to.`

func newDLQ(g *globals) *cobra.Command {
	cmd := &cobra.Command{Use: "dlq", Short: "List, replay or drop dead letters: tasks that failed for good", Long: dlqHelp,
		Args: usage(cobra.NoArgs)}
	cmd.AddCommand(newDLQList(g), newDLQShow(g), newDLQReplay(g), newDLQDrop(g))
	return cmd
}

const filterHelp = `
Letters are chosen by the flags together: those of --link with --prefix of any --kind, and so on. Their age is the time since
the last attempt. Durations are written as 90s, 15m or 36h.
`

// letterFlags choose dead letters of a running process.
type letterFlags struct {
	connection
	link, prefix, site   string
	kinds                []string
	olderThan, newerThan time.Duration
	given                func(flag string) bool // on the command line
}

func (o *letterFlags) flags(cmd *cobra.Command) {
	o.connection.flags(cmd)
	f := cmd.Flags()
	o.given = f.Changed
	f.StringVar(&o.link, "link", "", "only letters of this link, as source->target")
	f.StringVar(&o.prefix, "prefix", "", "only letters of keys that start with this")
	f.StringSliceVar(&o.kinds, "kind", nil, "only letters of this kind, such as access_denied; may be repeated")
	f.StringVar(&o.site, "site", "", "only letters whose failure was at this site")
	f.DurationVar(&o.olderThan, "older-than", 0, "only letters whose last attempt is longer ago, such as 36h")
	f.DurationVar(&o.newerThan, "newer-than", 0, "only letters whose last attempt is less long ago, such as 15m")
}

// chosen reports whether any flag chooses letters.
func (o *letterFlags) chosen() bool {
	return o.link != "" || o.prefix != "" || o.site != "" || len(o.kinds) > 0 || o.olderThan != 0 || o.newerThan != 0
}

// letterBox is the dead letters of a running process, and those of them that were asked for.
type letterBox struct {
	client *admin.Client
	filter s3mesh.LetterFilter
	now    time.Time // by the clock of the process, which dates the letters
}

// open returns the letters that the flags choose.
func (o *letterFlags) open(ctx context.Context) (letterBox, error) {
	filter, err := o.filter()
	if err != nil {
		return letterBox{}, usageError{err}
	}
	client, err := o.client()
	if err != nil {
		return letterBox{}, err
	}
	status, err := client.Status(ctx)
	if err != nil {
		return letterBox{}, err
	}
	if err := checkPlaces(filter, status); err != nil {
		return letterBox{}, usageError{err}
	}
	if o.olderThan > 0 {
		filter.Before = status.Now.Add(-o.olderThan)
	}
	if o.newerThan > 0 {
		filter.Since = status.Now.Add(-o.newerThan)
	}
	return letterBox{client, filter, status.Now}, nil
}

// filter reads the flags, but for those that depend on what time it is.
func (o *letterFlags) filter() (f s3mesh.LetterFilter, err error) {
	if err := o.checkGiven(); err != nil {
		return f, err
	}
	if o.link != "" {
		if f.Link, err = s3mesh.ParseLink(o.link); err != nil {
			return f, fmt.Errorf("--link: %w", err)
		}
	}
	if f.Kinds, err = admin.ParseKinds(o.kinds); err != nil {
		return f, fmt.Errorf("--%w", err)
	}
	for name, age := range map[string]time.Duration{"--older-than": o.olderThan, "--newer-than": o.newerThan} {
		if age < 0 {
			return f, fmt.Errorf("%s %s: use a duration above zero, such as 15m", name, age)
		}
	}
	if o.newerThan > 0 && o.olderThan >= o.newerThan {
		return f, fmt.Errorf("--older-than %s and --newer-than %s: nothing is both", o.olderThan, o.newerThan)
	}
	f.Prefix, f.Site = o.prefix, o.site
	return f, nil
}

// checkGiven refuses flags without a value: a script whose variable is empty must not come to choose all letters.
func (o *letterFlags) checkGiven() error {
	for flag, empty := range map[string]bool{"link": o.link == "", "prefix": o.prefix == "", "site": o.site == "",
		"kind": len(o.kinds) == 0 || slices.Contains(o.kinds, ""), "older-than": o.olderThan == 0, "newer-than": o.newerThan == 0} {
		if empty && o.given(flag) {
			return fmt.Errorf("--%s is given, and empty: give it a value, or leave it out", flag)
		}
	}
	return nil
}

// checkPlaces finds a link or site that the process does not have.
func checkPlaces(f s3mesh.LetterFilter, status admin.Status) error {
	links, sites := make([]string, len(status.Links)), make([]string, len(status.Sites))
	for i, l := range status.Links {
		links[i] = l.Link.String()
	}
	for i, s := range status.Sites {
		sites[i] = s.Name
	}
	switch {
	case f.Link != s3mesh.Link{} && !slices.Contains(links, f.Link.String()):
		return fmt.Errorf("--link %q: the running process has the links %q", f.Link, links)
	case f.Site != "" && !slices.Contains(sites, f.Site):
		return fmt.Errorf("--site %q: the running process has the sites %q", f.Site, sites)
	}
	return nil
}

// pages calls visit with the chosen letters, the oldest first, a page at a time.
func (b letterBox) pages(ctx context.Context, visit func([]s3mesh.DeadLetter) error) error {
	for cursor := ""; ; {
		page, err := b.client.DeadLetters(ctx, b.filter, cursor, admin.MaxIDs)
		if err != nil {
			return err
		}
		if err := visit(page.Letters); err != nil {
			return err
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

// count returns how many letters are chosen.
func (b letterBox) count(ctx context.Context) (total int64, err error) {
	counts, err := b.client.CountDeadLetters(ctx, b.filter)
	for _, c := range counts {
		total += c.Count
	}
	return total, err
}

type dlqListOptions struct {
	letterFlags
	limit int
	count bool
}

func newDLQList(g *globals) *cobra.Command {
	var o dlqListOptions
	cmd := &cobra.Command{
		Use: "list", Short: "List dead letters, the oldest first, and count them by link and kind with what to do",
		Long: `Lists dead letters, the oldest first: a few in full, many as a table, and then how many there are by link and kind,
each with an example of the cause and what to do about it. With --json every line is one dead letter, or, with --count, one
count.
` + filterHelp + connectHelp,
		Example: "  s3mesh dlq list\n  s3mesh dlq list --count\n" +
			"  s3mesh dlq list --link 'us-east-1->eu-west-2' --kind access_denied\n" +
			"  s3mesh dlq list --prefix albums/ --newer-than 1h --json",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return runDLQList(cmd.Context(), g, o) },
	}
	o.flags(cmd)
	cmd.Flags().IntVar(&o.limit, "limit", 0, "list at most this many (default all)")
	cmd.Flags().BoolVar(&o.count, "count", false, "only count, by link and kind")
	cmd.MarkFlagsMutuallyExclusive("limit", "count")
	return cmd
}

var errEnough = errors.New("enough letters")

func runDLQList(ctx context.Context, g *globals, o dlqListOptions) error {
	if o.limit < 0 {
		return usageError{fmt.Errorf("--limit %d: use a number above zero, or 0 for all", o.limit)}
	}
	box, err := o.open(ctx)
	if err != nil {
		return err
	}
	if o.count {
		counts, err := box.client.CountDeadLetters(ctx, box.filter)
		if err != nil {
			return err
		}
		return printCounts(g, newTally(counts))
	}
	list := newLetterList(g, box.now)
	err = box.pages(ctx, func(page []s3mesh.DeadLetter) error {
		enough := o.limit > 0 && list.total+len(page) > o.limit
		if enough {
			page = page[:o.limit-list.total]
		}
		if err := list.add(page); err != nil || !enough {
			return err
		}
		return errEnough
	})
	var counts []s3mesh.LetterCount // of all there are, where not all are listed
	if errors.Is(err, errEnough) && !g.json {
		counts, err = box.client.CountDeadLetters(ctx, box.filter)
	} else if errors.Is(err, errEnough) {
		err = nil
	}
	return errors.Join(err, list.end(counts))
}

func newDLQShow(g *globals) *cobra.Command {
	var c connection
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show everything about one dead letter",
		Long:    "Shows a dead letter: its event, cause, what to do, attempts, and first and last time." + connectHelp,
		Example: "  s3mesh dlq show us-east-1.eu-west-2.42\n  s3mesh dlq show us-east-1.eu-west-2.42 --json",
		Args:    usage(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return runDLQShow(cmd.Context(), g, c, args[0]) },
	}
	c.flags(cmd)
	return cmd
}

func runDLQShow(ctx context.Context, g *globals, c connection, id string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	letter, err := client.DeadLetter(ctx, id)
	if err != nil {
		return err
	}
	return g.write(letter, letterText{letter, time.Now()}.whole)
}
