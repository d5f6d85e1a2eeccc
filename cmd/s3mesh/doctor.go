package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/config"
	"github.com/s3mesh/s3mesh/doctor"
	"github.com/s3mesh/s3mesh/s3store"
)

// doctorWidth is how wide the doctor's text is.
const doctorWidth = 100

type doctorOptions struct {
	configFile string
	sites      []string
	wait       time.Duration
}

func newDoctor(g *globals) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use: "doctor", Short: "Find out what each store can do, what is misconfigured, and how to mend it",
		Long: `Examines every site of a configuration file: whether it can be reached, credentials, permissions, clocks, versions,
conditional writes (each in a short race, too), tags, checksums, odd keys, listings, and whether notifications arrive.
It tells what s3mesh does about what a store cannot do, and the command or policy that mends what is wrong.

It writes scratch objects under .s3mesh/probe/, which are never replicated, and removes them again, also on Ctrl-C. What a
doctor that was killed left there is removed after an hour.

With --site, only the sites named are written to, as by 's3mesh run --site'. The others must be readable, and refuse a write.

Notifications are looked for at the running process; where none runs, the doctor listens in its place, at intake.listen. It
tells senders of other notifications to come again, so that none is lost.

Exit codes: 0 good, or nothing that s3mesh cannot do without; 2 there are faults; 4 a site cannot be reached.
` + configHelp,
		Example: "  s3mesh doctor\n  s3mesh doctor -c mesh.yaml\n  s3mesh doctor -c mesh.yaml --site eu-west-1 --json",
		Args:    usage(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd.Context(), g, o) },
	}
	configFlag(cmd, &o.configFile)
	cmd.Flags().StringSliceVar(&o.sites, "site", nil, "write only to these sites of the file (default all)")
	cmd.Flags().DurationVar(&o.wait, "wait", 10*time.Second, "how long a notification may take")
	return cmd
}

func runDoctor(ctx context.Context, g *globals, o doctorOptions) error {
	outliveReaders()
	log, err := g.logger()
	if err != nil {
		return err
	}
	cfg, err := loadMesh(o.configFile)
	if err != nil {
		return err
	}
	examined := doctor.Config{Set: cfg.Name, PropagateDeletes: cfg.Replication.Deletes == config.DeletesPropagate,
		MaxClockSkew: time.Duration(cfg.Replication.MaxClockSkew), Wait: o.wait}
	if examined.Sites, err = doctorSites(ctx, cfg, o.sites); err != nil {
		return err
	}
	arrivals, end := openArrivals(ctx, cfg, log)
	examined.Arrivals = arrivals
	report := doctor.Examine(ctx, examined)
	for _, site := range examined.Sites {
		site.Observer.CloseIdleConnections()
	}
	if err := end(context.WithoutCancel(ctx)); err != nil {
		log.Warn("cannot end the listener for notifications", "error", err)
	}
	if err := g.write(report, func(w io.Writer) { report.Text(w, doctorWidth) }); err != nil {
		return err
	}
	return errors.Join(ctx.Err(), verdict(report))
}

// verdict makes an exit code of what was found.
func verdict(report doctor.Report) error {
	switch report.Worst() {
	case doctor.Fault:
		return usageError{errors.New("there are faults: each is told above with what mends it")}
	case doctor.Away:
		return &s3mesh.Error{Kind: s3mesh.KindUnreachable, Op: "doctor", Err: errors.New("a site cannot be reached")}
	default:
		return nil
	}
}

// doctorSites describes the sites of the file, of which those named are written to.
func doctorSites(ctx context.Context, cfg *config.Config, named []string) ([]doctor.Site, error) {
	set := cfg.ReplicaSet()
	served, err := checkServed(set, named)
	if err != nil {
		return nil, err
	}
	sites := make([]doctor.Site, len(cfg.Sites))
	for i, site := range cfg.Sites {
		store, err := storeConfig(ctx, site)
		if err != nil {
			return nil, err
		}
		if store.Transport == nil {
			store.Transport = s3store.NewTransport()
		}
		observer := &doctor.Observer{Transport: store.Transport}
		store.Transport = observer
		bucket, err := s3store.Open(ctx, store)
		if err != nil {
			return nil, err
		}
		announces := slices.ContainsFunc(set.From(site.Name), func(l s3mesh.Link) bool { return slices.Contains(served, l.Target) })
		sites[i] = doctor.Site{Name: site.Name, Endpoint: site.Endpoint, Region: site.Region, Bucket: site.Bucket,
			Served: slices.Contains(served, site.Name), Announces: announces, Poll: time.Duration(site.Poll),
			Intake: intakeURL(cfg.Intake, site.Name), CAFile: site.CAFile != "",
			Store: bucket, Scratch: func() doctor.Scratch { return bucket.Scratch() }, Observer: observer}
	}
	return sites, nil
}

// intakeURL is where a store has to send its notifications to. The name of this machine is not known.
func intakeURL(in config.Intake, site string) string {
	scheme := "http"
	if in.TLS != nil {
		scheme = "https"
	}
	address := in.Listen
	if host, port, err := net.SplitHostPort(address); err == nil {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			address = net.JoinHostPort("S3MESH_HOST", port)
		}
	}
	return fmt.Sprintf("%s://%s/v1/events/%s", scheme, address, site)
}
