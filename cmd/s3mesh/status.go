package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mesh/s3mesh/admin"
	"github.com/s3mesh/s3mesh/replicate"
)

func newStatus(g *globals) *cobra.Command {
	var c connection
	cmd := &cobra.Command{
		Use: "status", Short: "Show every link: pending, in flight, held, done, failed, lag",
		Long: "Shows the sites and links of a running process. Lag is the age of the oldest write not yet at the target." +
			connectHelp,
		Example: "  s3mesh status\n  s3mesh status -c mesh.yaml --json",
		Args:    usage(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runStatus(cmd.Context(), g, c) },
	}
	c.flags(cmd)
	return cmd
}

func runStatus(ctx context.Context, g *globals, c connection) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	s, err := client.Status(ctx)
	if err != nil {
		return err
	}
	return g.write(s, func(w io.Writer) { printStatus(w, s) })
}

func printStatus(w io.Writer, s admin.Status) {
	fmt.Fprintf(w, "replica set %s, up %s\n\n", s.Set, time.Since(s.Since).Round(time.Second))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "LINK\tPENDING\tIN FLIGHT\tHELD\tDONE\tFAILED\tDEAD LETTERS\tLAG")
	for _, l := range s.Links {
		lag := time.Duration(l.LagSeconds * float64(time.Second)).Round(time.Millisecond)
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n",
			l.Link, l.Pending, l.InFlight, l.Held, l.Done, l.Failed, l.DeadLetters, lag)
	}
	_ = t.Flush() // as little to be done about as for any other print
	for _, site := range s.Sites {
		if site.Away {
			fmt.Fprintf(w, "\n%s does not answer; its links wait and catch up by themselves.\n", site.Name)
		}
	}
	for _, l := range s.Links {
		if l.BrakeEngaged {
			fmt.Fprintf(w, "\n%s: deletes are held, as there were too many in a minute.\n  -> when they are meant: %s\n",
				l.Link, resumeCommand(l.Link))
		}
	}
}

func newInspect(g *globals) *cobra.Command {
	var c connection
	cmd := &cobra.Command{
		Use: "inspect KEY", Short: "Show one key at every site, whether they agree, and who wins",
		Long:    "Shows the version that every site holds under a key. Exits with 3 when the sites do not agree." + connectHelp,
		Example: "  s3mesh inspect toast/pug.jpg\n  s3mesh inspect 'with space.jpg' --json",
		Args:    usage(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return runInspect(cmd.Context(), g, c, args[0]) },
	}
	c.flags(cmd)
	return cmd
}

func runInspect(ctx context.Context, g *globals, c connection, key string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	var in replicate.Inspection
	if err := client.Inspect(ctx, key, &in); err != nil {
		return err
	}
	if err := g.write(in, func(w io.Writer) { printInspection(w, in) }); err != nil {
		return err
	}
	if !in.Agree {
		return errDisagree
	}
	return nil
}

func printInspection(w io.Writer, in replicate.Inspection) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SITE\tHOLDS\tORIGIN\tVERSION TIME\tETAG\tSIZE\tTYPE")
	var silent []replicate.Held
	for _, h := range in.Sites {
		switch {
		case h.Error != "":
			silent = append(silent, h)
			fmt.Fprintf(t, "%s\t?\n", h.Site)
		case h.Version == nil:
			fmt.Fprintf(t, "%s\tnothing\n", h.Site)
		case h.Version.Deleted:
			fmt.Fprintf(t, "%s\tdelete marker\t%s\t%s\n", h.Site, h.Version.Origin, h.Version.Time)
		default:
			holds := "native"
			if h.Replica {
				holds = "replica"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n",
				h.Site, holds, h.Version.Origin, h.Version.Time, h.Version.ETag, h.Size, h.Type)
		}
	}
	_ = t.Flush() // as little to be done about as for any other print
	fmt.Fprintln(w)
	for _, h := range silent {
		fmt.Fprintf(w, "%s could not be asked: %s\n", h.Site, h.Error)
	}
	switch {
	case len(in.Winner) == 0 && in.Agree:
		fmt.Fprintln(w, "No site holds this key.")
	case in.Agree:
		fmt.Fprintln(w, "All sites agree.")
	case len(in.Winner) == 0:
		fmt.Fprintln(w, "No site that answered holds this key.")
	default:
		fmt.Fprintf(w, "The sites do not all agree. The latest version is at: %s\n", strings.Join(in.Winner, ", "))
	}
}
