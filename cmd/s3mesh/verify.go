package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
	"github.com/s3mesh/s3mesh/config"
	"github.com/s3mesh/s3mesh/replicate"
	"github.com/s3mesh/s3mesh/s3store"
	"github.com/s3mesh/s3mesh/verify"
)

type verifyOptions struct {
	configFile string
	from, to   []string
	sample     string
	seed       uint64
	repair     bool
	parallel   int
	stateFile  string
	verify.Options
}

const verifyHelp = `Compares the objects themselves at the sites of a mesh: content, attributes (content type and the like, user
metadata) and tags. It reads the stores directly and needs no running process, but for --repair.

Contents are equal when both stores keep the same checksum of them, or when both ETags are their MD5 and the same. Otherwise,
and always with --bytes, the bytes are read from every site and compared: that can be as much traffic as the buckets are large,
so begin with --sample. A difference counts only when it is there at a second look. Not counted as differences, but told: keys
that change all the time, objects that clients deleted at some sites while deletes are ignored, and what no link leads to.

A run that is stopped, or fails, goes on where it was when the same command is given again. With --json every line is one key
that is not equal everywhere, and the last line is the summary. Exits with 3 when there are differences, and with 1 when keys
could not be read and the others are equal.

Sites that do not list in byte order (SeaweedFS, S3 Express) cost a HEAD at other sites for every key that they list.`

func newVerify(g *globals) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use: "verify", Short: "Compare the content, metadata and tags of all sites, and mend what differs",
		Long: verifyHelp + "\n" + configHelp,
		Example: "  s3mesh verify\n  s3mesh verify -c mesh.yaml --sample 1%\n  s3mesh verify -c mesh.yaml --prefix photos/ --bytes\n" +
			"  s3mesh verify -c mesh.yaml --repair",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("seed") {
				o.Seed = &o.seed
			}
			return runVerify(cmd.Context(), g, o)
		},
	}
	f := cmd.Flags()
	configFlag(cmd, &o.configFile)
	f.StringVar(&o.Prefix, "prefix", "", "only keys with this prefix")
	f.StringSliceVar(&o.from, "from", nil, "only links from these sites")
	f.StringSliceVar(&o.to, "to", nil, "only links to these sites")
	f.StringVar(&o.sample, "sample", "100%", "compare only so many keys: a share (1%) or a number (1000)")
	f.Uint64Var(&o.seed, "seed", 0, "choose the same sample as an earlier run, which told its seed (default random)")
	f.BoolVar(&o.Bytes, "bytes", false, "compare the bytes also where stored checksums are equal")
	f.BoolVar(&o.repair, "repair", false, "have the running process write anew what differs")
	f.IntVar(&o.parallel, "parallel", 16, "keys to compare at a time, 1 to 1024")
	f.StringVar(&o.stateFile, "state", "", "where it is kept how far the run came (default in the user's cache directory)")
	f.BoolVar(&o.Restart, "restart", false, "begin anew, and do not go on where an earlier run was stopped")
	return cmd
}

func runVerify(ctx context.Context, g *globals, o verifyOptions) error {
	cfg, err := o.check()
	if err != nil {
		return err
	}
	vc, err := o.open(ctx, cfg)
	if err != nil {
		return err
	}
	if o.repair {
		if vc.Repair, err = o.repairer(ctx); err != nil {
			return err
		}
	}
	if g.json {
		vc.Found = func(f verify.Finding) error { return json.NewEncoder(g.out).Encode(f) }
	}
	progress := newBar(g.err, "verify")
	vc.Observe = func(p verify.Progress) {
		progress.set(p.Compared, p.Total, fmt.Sprintf("%d compared, %d differ, %s read",
			p.Compared, p.Found[verify.Differs], size(p.BytesRead)))
	}
	report, err := verify.Run(ctx, vc, o.Options)
	progress.end()
	if report.Started.IsZero() {
		return err // it did not begin
	}
	summary := struct {
		Summary verify.Report `json:"summary"`
	}{report}
	err = verifyOutcome(report, vc.StateFile, err)
	return cmp.Or(g.write(summary, func(w io.Writer) { o.print(w, vc.Set, report) }), err)
}

// verifyOutcome is the error that a run ends with, with the next step where it was cut off.
func verifyOutcome(report verify.Report, stateFile string, err error) error {
	again := "the same command goes on from there"
	if stateFile == "" {
		again = "the next run starts again"
	}
	unreadable := report.Found[verify.Unreadable]
	switch {
	case s3mesh.KindOf(err) == s3mesh.KindCanceled:
		return fmt.Errorf("stopped after %d keys: %s", report.Compared, again)
	case err != nil:
		return fmt.Errorf("%w\n  -> %d keys were compared: %s", err, report.Compared, again)
	case report.Found[verify.Differs] > 0:
		return errDisagree
	case unreadable > 0:
		return fmt.Errorf("%d keys could not be read", unreadable)
	}
	return nil
}

// check loads the configuration, and checks the flags.
func (o *verifyOptions) check() (*config.Config, error) {
	if o.parallel < 1 || o.parallel > 1024 {
		return nil, usageError{fmt.Errorf("--parallel %d: give 1 to 1024", o.parallel)}
	}
	var err error
	if o.Sample, err = verify.ParseSample(o.sample); err != nil {
		return nil, usageError{err}
	}
	return loadMesh(o.configFile)
}

// open turns the configuration into what is to be compared.
func (o *verifyOptions) open(ctx context.Context, cfg *config.Config) (verify.Config, error) {
	filter := replicate.Filter{Include: cfg.Filter.Include, Exclude: cfg.Filter.Exclude}
	vc := verify.Config{
		Sites: make(map[string]verify.Site, len(cfg.Sites)), Takes: filter.Takes, Parallel: o.parallel,
		PropagateDeletes: cfg.Replication.Deletes == config.DeletesPropagate,
		MaxClockSkew:     time.Duration(cfg.Replication.MaxClockSkew),
	}
	var err error
	if vc.Set, err = narrow(cfg.ReplicaSet(), o.from, o.to); err != nil {
		return vc, err
	}
	for _, site := range cfg.Sites {
		if _, chosen := vc.Set.Site(site.Name); !chosen {
			continue
		}
		store, err := storeConfig(ctx, site)
		if err != nil {
			return vc, err
		}
		if vc.Sites[site.Name], err = s3store.Open(ctx, store); err != nil {
			return vc, err
		}
	}
	places, err := json.Marshal([]any{cfg.Sites, cfg.Filter}) // holds no secrets
	if err != nil {
		return vc, err
	}
	vc.Fingerprint = string(places)
	vc.StateFile, err = o.state(vc)
	return vc, err
}

// state returns the state file: by default one of its own for every configuration and every choice of what to compare.
func (o *verifyOptions) state(vc verify.Config) (string, error) {
	if o.stateFile != "" {
		return o.stateFile, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", nil //nolint:nilerr // there is nowhere to keep it, and only time is lost
	}
	id, err := json.Marshal([]any{vc.Set, o.Options, o.repair, vc.Fingerprint})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(id)
	return filepath.Join(cache, "s3mesh", "verify", hex.EncodeToString(sum[:8])+".json"), nil
}

// narrow returns the part of set that the links from and to the named sites make up.
func narrow(set s3mesh.ReplicaSet, from, to []string) (s3mesh.ReplicaSet, error) {
	for _, name := range slices.Concat(from, to) {
		if _, ok := set.Site(name); !ok {
			return set, usageError{fmt.Errorf("there is no site %q in the configuration: it has %q", name, siteNames(set))}
		}
	}
	part := s3mesh.ReplicaSet{Name: set.Name}
	used := make(map[string]bool)
	for _, link := range set.Links {
		if (len(from) == 0 || slices.Contains(from, link.Source)) && (len(to) == 0 || slices.Contains(to, link.Target)) {
			part.Links = append(part.Links, link)
			used[link.Source], used[link.Target] = true, true
		}
	}
	if len(part.Links) == 0 {
		return set, usageError{errors.New("--from and --to choose no link of the configuration")}
	}
	part.Sites = slices.DeleteFunc(slices.Clone(set.Sites), func(s s3mesh.Site) bool { return !used[s.Name] })
	return part, nil
}

// repairer returns what hands repairs to the running process, which answered.
func (o *verifyOptions) repairer(ctx context.Context) (func(context.Context, []verify.Repair) error, error) {
	client, err := (&connection{configFile: o.configFile}).client()
	if err != nil {
		return nil, err
	}
	if _, err := client.Status(ctx); err != nil {
		return nil, fmt.Errorf("--repair needs the running process: %w", err)
	}
	return func(ctx context.Context, repairs []verify.Repair) error {
		keys := make([]admin.RepairKey, len(repairs))
		for i, r := range repairs {
			keys[i] = admin.RepairKey(r)
		}
		_, err := client.Repair(ctx, keys...)
		return err
	}, nil
}

// print tells a person what was found, and what to do.
func (o *verifyOptions) print(w io.Writer, set s3mesh.ReplicaSet, r verify.Report) {
	if len(r.Findings) > 0 {
		printFindings(w, siteNames(set), r.Findings)
		if all := r.Found[verify.Differs] + r.Found[verify.Changing] + r.Found[verify.Unreadable]; all > int64(len(r.Findings)) {
			fmt.Fprintf(w, "… and %d more keys; --json lists all\n", all-int64(len(r.Findings)))
		}
		fmt.Fprintln(w)
	}
	if !r.Options.Sample.All() {
		fmt.Fprintf(w, "sample %s, seed %d\n", r.Options.Sample, r.Seed)
	}
	fmt.Fprintf(w, "%d keys listed, %d compared (%d of them byte by byte: %s read): %d equal, %d differ\n",
		r.Listed, r.Compared, r.ByBytes, size(r.BytesRead), r.Equal, r.Found[verify.Differs])
	for _, other := range []struct {
		verdict verify.Verdict
		text    string
	}{
		{verify.Deleted, "%d keys were deleted by clients at some of the sites, and deletes are ignored: no difference\n"},
		{verify.Unlinked, "%d keys differ only where no link leads to from the latest version: no difference\n"},
		{verify.Changing, "%d keys changed each time they were looked at: verify them again when they rest\n"},
		{verify.Unreadable, "%d keys could not be read somewhere: see the causes above, or --json\n"},
	} {
		if n := r.Found[other.verdict]; n > 0 {
			fmt.Fprintf(w, other.text, n)
		}
	}
	o.printSteps(w, r)
}

// printSteps tells what to do about differences.
func (o *verifyOptions) printSteps(w io.Writer, r verify.Report) {
	if !r.Complete || r.Found[verify.Differs] == 0 {
		return
	}
	if slices.ContainsFunc(r.Findings, func(f verify.Finding) bool { return f.Recent && f.Verdict == verify.Differs }) {
		fmt.Fprintln(w, "Some were written less than a minute before they were looked at, and may still be on their way.")
	}
	if r.Repairs > 0 {
		fmt.Fprintf(w, "%d repairs were handed to the running process.\n"+
			"  -> when s3mesh status shows nothing pending, verify again: %s\n"+
			"     what differs then is what a store cannot hold, or is among the dead letters (s3mesh dlq list)\n",
			r.Repairs, o.command(r, false))
	} else if !o.repair && r.Found[verify.Differs] > r.NotRepairable {
		fmt.Fprintf(w, "  -> to have the running process write them anew from the sites marked *: %s\n", o.command(r, true))
	}
	if r.NotRepairable > 0 {
		fmt.Fprintf(w, "  -> %d keys cannot be mended by s3mesh alone: see the reasons above, or --json\n", r.NotRepairable)
	}
}

// command is the command line that verifies the same keys again.
func (o *verifyOptions) command(r verify.Report, repair bool) string {
	words := []string{"s3mesh verify"}
	if o.configFile != "" {
		words = append(words, "-c", quoted(o.configFile))
	}
	if o.Prefix != "" {
		words = append(words, "--prefix", quoted(o.Prefix))
	}
	for _, site := range o.from {
		words = append(words, "--from", site)
	}
	for _, site := range o.to {
		words = append(words, "--to", site)
	}
	if !o.Sample.All() {
		words = append(words, "--sample", o.Sample.String(), "--seed", fmt.Sprint(r.Seed))
	}
	if o.Bytes {
		words = append(words, "--bytes")
	}
	if repair {
		words = append(words, "--repair")
	}
	return strings.Join(words, " ")
}

// quoted makes text one word of a shell's command line.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// printFindings prints a table of keys × sites. The site that the others are compared with is marked.
func printFindings(w io.Writer, sites []string, findings []verify.Finding) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\t"+strings.Join(sites, "\t"))
	for _, f := range findings {
		fmt.Fprintf(t, "%q", f.Key)
		for _, at := range f.Sites {
			fmt.Fprint(t, "\t"+findingCell(f, at))
		}
		fmt.Fprintln(t)
	}
	_ = t.Flush() // as little to be done about as for any other print
	for _, f := range findings {
		if f.NotRepairable != "" {
			fmt.Fprintf(w, "%q: %s\n", f.Key, f.NotRepairable)
		}
		for _, at := range f.Sites {
			if at.Error != "" {
				fmt.Fprintf(w, "%q at %s: %s\n", f.Key, at.Site, at.Error)
			}
		}
	}
}

func findingCell(f verify.Finding, at verify.AtSite) string {
	const most = 3
	switch d := at.Differs; {
	case f.Verdict == verify.Changing:
		return "changing"
	case at.Site == f.Reference:
		return "*"
	case len(d) == 0:
		return "same"
	case len(d) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(d[:most], ", "), len(d)-most)
	default:
		return strings.Join(d, ", ")
	}
}
