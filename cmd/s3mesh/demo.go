package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/spf13/cobra"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/config"
	"github.com/s3mesh/s3mesh/natsqueue"
	"github.com/s3mesh/s3mesh/s3store"
)

// demoRegions are the regions a demo can have, in the order they are used.
var demoRegions = []string{"us-east-1", "eu-west-2", "ap-northeast-1", "sa-east-1", "us-west-2", "eu-central-1",
	"ap-southeast-2", "af-south-1"}

const defaultRegions = 3

type demoOptions struct {
	data    string
	regions string
	deletes string
}

func newDemo(g *globals) *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use: "demo", Short: "Three regions on this machine, every bucket writable",
		Long: `Brings up regions on this machine, each a real S3 server in a process of its own, and replicates every write made in any
of them to all others. Uploads a few pictures and shows when each appears elsewhere; then shows whatever you upload, with
any S3 client, until Ctrl-C.

With --json the first line on stdout is {"sites": [...], "admin": "http://...", "token": "..."}, printed once everything is
ready; every outcome follows as a line of JSON.`,
		Example: "  s3mesh demo\n  s3mesh demo --regions us-east-1,eu-west-2 --data ./demo\n  s3mesh demo region stop eu-west-2",
		Args:    usage(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), g, o) },
	}
	cmd.Flags().StringVar(&o.data, "data", "", "keep everything in this folder across runs (default: a temporary one, removed)")
	cmd.Flags().StringVar(&o.regions, "regions", strconv.Itoa(defaultRegions),
		"how many regions, or their names separated by commas")
	cmd.Flags().StringVar(&o.deletes, "deletes", string(config.DeletesIgnore),
		"what becomes of a delete in the other regions: ignore or propagate")
	cmd.AddCommand(newDemoRegion())
	return cmd
}

func newDemoRegion() *cobra.Command {
	region := &cobra.Command{
		Use: "region", Short: "Take a region of the running demo down, or bring it back", Args: usage(cobra.NoArgs)}
	for _, action := range []struct{ name, short string }{
		{"stop", "Take a region down; the others keep taking reads and writes"},
		{"start", "Bring a region back; it catches up by itself"},
	} {
		var c connection
		cmd := &cobra.Command{
			Use: action.name + " NAME", Short: action.short,
			Example: "  s3mesh demo region " + action.name + " eu-west-2",
			Args:    usage(cobra.ExactArgs(1)),
			RunE: func(cmd *cobra.Command, args []string) error {
				client, err := c.client()
				if err != nil {
					return err
				}
				return client.Region(cmd.Context(), args[0], action.name)
			},
		}
		cmd.Flags().StringVar(&c.url, "admin", "",
			"the admin address of the demo, with its token in S3MESH_ADMIN_TOKEN (default the demo started last)")
		region.AddCommand(cmd)
	}
	return region
}

// parseRegions reads --regions: a number, or names.
func parseRegions(text string) ([]string, error) {
	if n, err := strconv.Atoi(text); err == nil {
		if n < 2 || n > len(demoRegions) {
			return nil, usageError{fmt.Errorf("--regions %d: use 2 to %d, or names", n, len(demoRegions))}
		}
		return demoRegions[:n], nil
	}
	names := strings.Split(text, ",")
	seen := make(map[string]bool, len(names))
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		if err := s3mesh.ValidateName(names[i]); err != nil {
			return nil, usageError{fmt.Errorf("--regions: %w", err)}
		}
		if seen[names[i]] {
			return nil, usageError{fmt.Errorf("--regions: %q is named twice", names[i])}
		}
		seen[names[i]] = true
	}
	if len(names) < 2 || len(names) > len(demoRegions) {
		return nil, usageError{fmt.Errorf("--regions: name 2 to %d of them", len(demoRegions))}
	}
	return names, nil
}

// demo is a running demo.
type demo struct {
	folder  *demoFolder
	cluster *cluster
	mesh    *mesh
	show    *show
	forget  func() error // ends that later commands find the demo
	log     *slog.Logger
}

func runDemo(ctx context.Context, g *globals, o demoOptions) (err error) {
	outliveReaders()
	if g.logLevel == "" {
		g.logLevel = "error" // what else there is to tell, the demo shows by itself
	}
	log, err := g.logger()
	if err != nil {
		return err
	}
	names, err := parseRegions(o.regions)
	if err != nil {
		return err
	}
	replication := config.DefaultReplication()
	if replication.Deletes = config.Deletes(o.deletes); !replication.Deletes.Valid() {
		return usageError{fmt.Errorf("--deletes %q: use ignore or propagate", o.deletes)}
	}
	d, err := startDemo(ctx, g, demoPlan{names, o.data, replication}, log)
	if err != nil {
		if ctx.Err() != nil && s3mesh.KindOf(err) == s3mesh.KindCanceled {
			return nil // Ctrl-C while it started
		}
		return err
	}
	defer func() { err = errors.Join(err, d.close(context.WithoutCancel(ctx))) }()
	if err := d.show.welcome(ctx); err != nil {
		return err
	}
	if err := d.show.uploadSamples(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-d.mesh.refused():
		return err
	}
}

// demoPlan is what a demo is started from.
type demoPlan struct {
	regions     []string
	data        string // the folder that is kept; "" for a temporary one
	replication config.Replication
}

// startDemo starts the regions and the mesh between them. When it fails, what had started is stopped.
func startDemo(ctx context.Context, g *globals, plan demoPlan, log *slog.Logger) (_ *demo, err error) {
	d := &demo{log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close(context.WithoutCancel(ctx)))
		}
	}()
	if d.folder, err = openDemoFolder(plan.data, plan.regions); err != nil {
		return nil, err
	}
	card := d.folder.card
	mc := meshConfig{set: card.replicaSet(), log: log, principals: map[string]string{}, replication: plan.replication,
		reconcile: config.DefaultReconcile()}
	mc.reconcile.Dir = filepath.Join(d.folder.path, "reconcile")
	mc.served = siteNames(mc.set)
	mc.queue = natsqueue.Config{Set: mc.set, Dir: filepath.Join(d.folder.path, "queue"), Log: log}
	if mc.intake.listener, err = listen(ctx, "events", "127.0.0.1:0", nil); err != nil {
		return nil, err
	}
	if mc.admin.listener, err = listenPreferred(ctx, "the API", card.Admin); err != nil {
		return nil, errors.Join(err, mc.intake.listener.Close())
	}
	mc.intake.token, mc.admin.token = card.IntakeToken, card.AdminToken
	intakeURL := "http://" + mc.intake.listener.Addr().String()
	if d.cluster, err = startCluster(ctx, d.folder, intakeURL, log); err != nil {
		return nil, errors.Join(err, mc.intake.listener.Close(), mc.admin.listener.Close())
	}
	for _, site := range card.Sites {
		mc.principals[site.Name] = card.ReplicatorKey
		mc.stores = append(mc.stores, s3store.Config{Site: site.Name, Endpoint: d.cluster.endpoint(site.Name), Region: site.Region,
			Bucket: site.Bucket, PathStyle: true,
			Credentials: credentials.NewStaticCredentialsProvider(card.ReplicatorKey, card.ReplicatorSecret, "")})
	}
	mc.regions = d.cluster
	d.show = newShow(g, d, "http://"+mc.admin.listener.Addr().String())
	mc.observe = d.show.observe
	if d.mesh, err = startMesh(ctx, mc); err != nil {
		return nil, errors.Join(err, mc.intake.listener.Close(), mc.admin.listener.Close())
	}
	if err := d.folder.save(mc.admin.listener.Addr().String(), d.cluster); err != nil {
		return nil, err
	}
	d.forget, err = leaveCard(adminCard{Admin: "http://" + mc.admin.listener.Addr().String(), Token: card.AdminToken,
		Config: newDemoConfig(d, mc)})
	return d, err
}

// close stops everything in order: the work, then the regions with the last of their events, then the intake, the queue.
func (d *demo) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	var errs []error
	if d.forget != nil {
		errs = append(errs, d.forget())
	}
	if d.mesh != nil {
		d.mesh.drain()
	}
	if d.show != nil {
		d.show.close()
	}
	if d.cluster != nil {
		errs = append(errs, d.cluster.stop(ctx))
	}
	if d.mesh != nil {
		errs = append(errs, d.mesh.stopIntake(ctx), d.mesh.close(ctx))
	}
	if d.folder != nil {
		errs = append(errs, d.folder.close())
	}
	return errors.Join(errs...)
}
