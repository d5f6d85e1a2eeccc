package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
)

type linkOptions struct {
	connection
	all bool
}

func newLink(g *globals) *cobra.Command {
	cmd := &cobra.Command{Use: "link", Short: "Let the deletes go on that a link's brake holds", Args: usage(cobra.NoArgs)}
	cmd.AddCommand(newLinkResume(g))
	return cmd
}

func newLinkResume(g *globals) *cobra.Command {
	var o linkOptions
	cmd := &cobra.Command{
		Use: "resume SOURCE TARGET", Short: "Let the held deletes of a link go on, and further ones",
		Long: `Lets the deletes of a link go on that were held back because there were more than max_deletes_per_minute. They are
applied without any limit; further deletes are counted from zero. 's3mesh status' shows what is held. Resuming a link that is
not held is no error.

The link may be written in one word, which a shell needs in quotes: 'SOURCE->TARGET'. To drop held deletes instead there is no
command: undo them at the source, by removing the delete markers, and then resume the link.` + "\n" + connectHelp,
		Example: "  s3mesh link resume us-east-1 eu-west-2\n  s3mesh link resume 'us-east-1->eu-west-2' -c mesh.yaml\n" +
			"  s3mesh link resume --all --json",
		Args: usage(cobra.MaximumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error { return runLinkResume(cmd.Context(), g, o, args) },
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.all, "all", false, "resume every link that is held")
	return cmd
}

// resumeCommand is what an operator types to resume a link.
func resumeCommand(link s3mesh.Link) string {
	return "s3mesh link resume " + link.Source + " " + link.Target
}

// parseLinkArgs reads a link that was written in one word, or in two.
func parseLinkArgs(args []string) (s3mesh.Link, error) {
	text := args[0]
	if len(args) > 1 {
		text = s3mesh.Link{Source: args[0], Target: args[1]}.String()
	}
	link, err := s3mesh.ParseLink(text)
	if err != nil {
		return link, usageError{fmt.Errorf("%w; in a shell it needs quotes, or write the two names as two words", err)}
	}
	return link, nil
}

func runLinkResume(ctx context.Context, g *globals, o linkOptions, args []string) error {
	if (len(args) > 0) == o.all {
		return usageError{errors.New("name the link to resume: SOURCE TARGET, or --all")}
	}
	var wanted s3mesh.Link
	if !o.all {
		var err error
		if wanted, err = parseLinkArgs(args); err != nil {
			return err
		}
	}
	client, err := o.client()
	if err != nil {
		return err
	}
	status, err := client.Status(ctx)
	if err != nil {
		return err
	}
	chosen, err := chooseLinks(status, wanted)
	if err != nil {
		return err
	}
	done := struct {
		Links []admin.Resumed `json:"links"`
	}{[]admin.Resumed{}}
	for _, link := range chosen {
		var one admin.Resumed
		if one, err = client.Resume(ctx, link); err != nil {
			break
		}
		done.Links = append(done.Links, one)
	}
	if g.json {
		return errors.Join(err, json.NewEncoder(g.out).Encode(done))
	}
	printResumed(g, done.Links)
	if err == nil && len(chosen) == 0 {
		fmt.Fprintln(g.out, "no link is held")
	}
	return err
}

// chooseLinks returns the link that is wanted, or with the zero Link all that this process can resume.
func chooseLinks(status admin.Status, wanted s3mesh.Link) ([]s3mesh.Link, error) {
	var all []string
	var held []s3mesh.Link
	for _, l := range status.Links {
		all = append(all, l.Link.String())
		served := slices.ContainsFunc(status.Sites, func(s admin.SiteStatus) bool { return s.Name == l.Target && s.Served })
		if served && (l.BrakeEngaged || l.Held > 0) {
			held = append(held, l.Link)
		}
	}
	switch {
	case wanted == s3mesh.Link{}:
		return held, nil
	case !slices.Contains(all, wanted.String()):
		return nil, usageError{fmt.Errorf("link %q: the running process has the links %q", wanted, all)}
	default:
		return []s3mesh.Link{wanted}, nil
	}
}

func printResumed(g *globals, links []admin.Resumed) {
	for _, l := range links {
		if l.Resumed {
			fmt.Fprintf(g.out, "%s resumed: %d held deletes go on\n", l.Link, l.Held)
		} else {
			fmt.Fprintf(g.out, "%s is not held: nothing to resume\n", l.Link)
		}
	}
}
