package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
)

// letterPage is how many dead letters are fetched at a time.
const letterPage = 500

type dlqOptions struct {
	connection
	link string
	all  bool
}

func newDLQ(g *globals) *cobra.Command {
	cmd := &cobra.Command{Use: "dlq", Short: "List and replay dead letters: tasks that failed for good", Args: usage(cobra.NoArgs)}
	cmd.AddCommand(newDLQList(g), newDLQReplay(g))
	return cmd
}

func newDLQList(g *globals) *cobra.Command {
	var o dlqOptions
	cmd := &cobra.Command{
		Use: "list", Short: "List dead letters, the oldest first, with cause and remedy",
		Long: "Lists the tasks that used up their attempts or can never succeed. With --json every line is one dead letter." +
			connectHelp,
		Example: "  s3mesh dlq list\n  s3mesh dlq list --link 'us-east-1->eu-west-2' --json",
		Args:    usage(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDLQList(cmd.Context(), g, o) },
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.link, "link", "", "only this link, as source->target")
	return cmd
}

func newDLQReplay(g *globals) *cobra.Command {
	var o dlqOptions
	cmd := &cobra.Command{
		Use: "replay [ID...]", Short: "Put dead letters back to work, for their own link only",
		Long: "Puts the events of dead letters back on the queue, each for its own link only, and removes the letters. What fails" +
			" again becomes a dead letter again." + connectHelp,
		Example: "  s3mesh dlq replay --all\n  s3mesh dlq replay --link 'us-east-1->eu-west-2'",
		Args:    usage(cobra.ArbitraryArgs),
		RunE:    func(cmd *cobra.Command, args []string) error { return runDLQReplay(cmd.Context(), g, o, args) },
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.link, "link", "", "replay every letter of this link, as source->target")
	cmd.Flags().BoolVar(&o.all, "all", false, "replay every letter")
	cmd.MarkFlagsMutuallyExclusive("link", "all")
	return cmd
}

// dial returns the client, and the link that was asked for, which the running process has: the zero Link for all.
func (o dlqOptions) dial(ctx context.Context) (client *admin.Client, link s3mesh.Link, err error) {
	if o.link != "" {
		if link, err = s3mesh.ParseLink(o.link); err != nil {
			return nil, link, usageError{err}
		}
	}
	if client, err = o.client(); err != nil || o.link == "" {
		return client, link, err
	}
	status, err := client.Status(ctx)
	if err != nil {
		return nil, link, err
	}
	names := make([]string, len(status.Links))
	for i, l := range status.Links {
		names[i] = l.Link.String()
	}
	if !slices.Contains(names, link.String()) {
		return nil, link, usageError{fmt.Errorf("--link %q: the running process has the links %q", o.link, names)}
	}
	return client, link, nil
}

// eachLetter calls visit for every dead letter of a link, a page at a time.
func eachLetter(ctx context.Context, client *admin.Client, link s3mesh.Link, visit func(s3mesh.DeadLetter) error) error {
	for cursor := ""; ; {
		page, err := client.DeadLetters(ctx, link, cursor, letterPage)
		if err != nil {
			return err
		}
		for _, letter := range page.Letters {
			if err := visit(letter); err != nil {
				return err
			}
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

func runDLQList(ctx context.Context, g *globals, o dlqOptions) error {
	client, link, err := o.dial(ctx)
	if err != nil {
		return err
	}
	count := 0
	err = eachLetter(ctx, client, link, func(l s3mesh.DeadLetter) error {
		count++
		return g.write(l, func(w io.Writer) { printLetter(w, l) })
	})
	if err == nil && !g.json {
		fmt.Fprintf(g.out, "%d dead letters\n", count)
	}
	return err
}

func printLetter(w io.Writer, l s3mesh.DeadLetter) {
	fmt.Fprintf(w, "%s  %s  %q\n  cause   %s\n  remedy  %s\n  %d attempts, first %s, last %s\n\n",
		l.ID, l.Link, l.Event.Key, l.Cause, l.Remedy, l.Attempts,
		l.First.Format(time.RFC3339), l.Last.Format(time.RFC3339))
}

// replayed is the result of a replay.
type replayed struct {
	Replayed int `json:"replayed"`
	Gone     int `json:"gone"` // replayed or replaced by somebody else meanwhile
}

func runDLQReplay(ctx context.Context, g *globals, o dlqOptions, ids []string) error {
	if (len(ids) > 0) == (o.all || o.link != "") {
		return usageError{errors.New("name the letters to replay: IDs, or --link, or --all")}
	}
	client, link, err := o.dial(ctx)
	if err != nil {
		return err
	}
	var done replayed
	replay := func(id string) error {
		switch err := client.Replay(ctx, id); {
		case err == nil:
			done.Replayed++
		case s3mesh.KindOf(err) == s3mesh.KindNotFound && len(ids) == 0:
			done.Gone++
		default:
			return err
		}
		return nil
	}
	chosen := ids
	if len(ids) == 0 {
		// All of them first: what is replayed may fail again, and would be met again at the end of the list.
		err = eachLetter(ctx, client, link, func(l s3mesh.DeadLetter) error {
			chosen = append(chosen, l.ID)
			return nil
		})
	}
	for _, id := range chosen {
		if err != nil {
			break
		}
		err = replay(id)
	}
	if g.json {
		return errors.Join(err, json.NewEncoder(g.out).Encode(done))
	}
	fmt.Fprintf(g.out, "%d dead letters replayed\n", done.Replayed)
	return err
}
