package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/spf13/cobra"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/config"
	"github.com/s3mesh/s3mesh/natsqueue"
	"github.com/s3mesh/s3mesh/replicate"
	"github.com/s3mesh/s3mesh/s3store"
)

// shutdownTimeout bounds an orderly end.
const shutdownTimeout = 20 * time.Second

type runOptions struct {
	configFile string
	sites      []string
}

func newRun(g *globals) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use: "run -c mesh.yaml", Short: "Replicate between the sites of a configuration file",
		Long: `Takes the events of the sites in a configuration file and replicates between them, until it is told to stop.

Point each bucket's notifications at POST http://<intake>/v1/events/<site> with the intake token. Logs go to stderr; with
--json each line is a JSON object. The first line on stdout tells that it is ready, and where it listens.

Each store is looked at before work on it begins, and waited for while it does not answer. A bucket that cannot be worked with
as configured, such as one without versions while deletes are propagated, ends the process with exit code 2.

Several processes may share the work, each with --site, when the queue is an external NATS server (queue.url).`,
		Example: "  s3mesh config example > mesh.yaml\n  s3mesh run -c mesh.yaml --log-level info",
		Args:    usage(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runRun(cmd.Context(), g, o) },
	}
	cmd.Flags().StringVarP(&o.configFile, "config", "c", "", "the configuration file (required)")
	cmd.Flags().StringSliceVar(&o.sites, "site", nil, "serve only these sites of the file (default all)")
	_ = cmd.MarkFlagRequired("config") // fails only for an unknown flag
	return cmd
}

// ready is what run prints once it works.
type ready struct {
	Ready  bool     `json:"ready"`
	Set    string   `json:"set"`
	Sites  []string `json:"sites"`
	Links  int      `json:"links"`
	Intake string   `json:"intake"`
	Admin  string   `json:"admin"`
}

// loadConfig loads a configuration file. One that cannot be read is as much a mistake of the command line as a faulty one.
func loadConfig(file string) (*config.Config, error) {
	cfg, err := config.Load(file, os.LookupEnv)
	if err != nil {
		return nil, usageError{err}
	}
	return cfg, nil
}

func runRun(ctx context.Context, g *globals, o runOptions) error {
	outliveReaders()
	log, err := g.logger()
	if err != nil {
		return err
	}
	cfg, err := loadConfig(o.configFile)
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings() {
		log.Warn("configuration", "place", fmt.Sprintf("%s:%d:%d", w.File, w.Line, w.Column), "path", w.Path,
			"message", w.Message, "remedy", w.Remedy)
	}
	mc, err := fromFile(ctx, cfg, o.sites, log)
	if err != nil {
		return err
	}
	m, err := startMesh(ctx, mc)
	if err != nil {
		return errors.Join(err, mc.intake.listener.Close(), mc.admin.listener.Close())
	}
	hello := ready{true, cfg.Name, mc.served, len(cfg.Links), mc.intake.listener.Addr().String(), mc.admin.listener.Addr().String()}
	if err := g.write(hello, hello.text); err != nil {
		log.Error("cannot write to stdout", "error", err)
	}
	var refused error
	select {
	case <-ctx.Done():
	case refused = <-m.refused():
	}
	log.Info("stopping")
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err = m.stopIntake(end)
	m.drain()
	return errors.Join(refused, err, m.close(end))
}

func (r ready) text(w io.Writer) {
	fmt.Fprintf(w, "replica set %s: %d sites (%s), %d links\nevents  http://%s/v1/events/<site>\nadmin   http://%s\n",
		r.Set, len(r.Sites), strings.Join(r.Sites, ", "), r.Links, r.Intake, r.Admin)
}

// fromFile turns a configuration file into what a mesh is started from, its listeners open.
func fromFile(ctx context.Context, cfg *config.Config, sites []string, log *slog.Logger) (mc meshConfig, err error) {
	mc = meshConfig{set: cfg.ReplicaSet(), replication: cfg.Replication, log: log, principals: map[string]string{},
		reconcile: cfg.Reconcile, polls: map[string]time.Duration{}, alerts: cfg.Alerts.Webhook.Reveal(),
		filter: replicate.Filter{Include: cfg.Filter.Include, Exclude: cfg.Filter.Exclude}}
	if mc.served, err = checkServed(mc.set, sites); err != nil {
		return mc, err
	}
	if cfg.Queue.URL == "" && len(mc.served) < len(mc.set.Sites) {
		return mc, usageError{errors.New("--site: the embedded queue is for one process that serves every site; " +
			"to share the work give all processes the same queue.url")}
	}
	mc.queue = natsqueue.Config{Set: mc.set, Own: mc.served, Dir: cfg.Queue.Dir, URL: cfg.Queue.URL,
		CredentialsFile: cfg.Queue.CredsFile, Log: log}
	for _, site := range cfg.Sites {
		store, err := storeConfig(ctx, site)
		if err != nil {
			return mc, err
		}
		mc.stores = append(mc.stores, store)
		if site.Poll > 0 {
			mc.polls[site.Name] = time.Duration(site.Poll)
		}
		if site.DedicatedCredentials && slices.Contains(mc.served, site.Name) {
			keys, err := store.Credentials.Retrieve(ctx)
			if err != nil {
				return mc, siteError(site.Name, err)
			}
			mc.principals[site.Name] = keys.AccessKeyID
		}
	}
	mc.intake.token, mc.admin.token = cfg.Intake.Token.Reveal(), cfg.Admin.Token.Reveal()
	if mc.intake.listener, err = listen(ctx, "events (intake.listen)", cfg.Intake.Listen, cfg.Intake.TLS); err != nil {
		return mc, err
	}
	if mc.admin.listener, err = listen(ctx, "the API (admin.listen)", cfg.Admin.Listen, nil); err != nil {
		return mc, errors.Join(err, mc.intake.listener.Close())
	}
	return mc, nil
}

func storeConfig(ctx context.Context, site config.Site) (s3store.Config, error) {
	provider, err := credentialsOf(ctx, site)
	if err != nil {
		return s3store.Config{}, siteError(site.Name, err)
	}
	store := s3store.Config{Site: site.Name, Endpoint: site.Endpoint, Region: site.Region, Bucket: site.Bucket,
		PathStyle: site.PathStyle, Credentials: provider}
	if site.CAFile != "" {
		pool, err := trust(site.CAFile)
		if err != nil {
			return s3store.Config{}, siteError(site.Name, err)
		}
		transport := s3store.NewTransport()
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		store.Transport = transport
	}
	return store, nil
}

func credentialsOf(ctx context.Context, site config.Site) (aws.CredentialsProvider, error) {
	if keys, ok := site.Credentials.Keys(); ok {
		return credentials.NewStaticCredentialsProvider(
			keys.AccessKey.Reveal(), keys.SecretKey.Reveal(), keys.SessionToken.Reveal()), nil
	}
	var options []func(*awsconfig.LoadOptions) error
	if site.Credentials.Profile != "" {
		options = append(options, awsconfig.WithSharedConfigProfile(site.Credentials.Profile))
	}
	loaded, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, err
	}
	return loaded.Credentials, nil
}

func trust(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %s holds no PEM certificate", file)
	}
	return pool, nil
}

func siteError(site string, err error) error {
	return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "configure", Site: site, Err: err}
}

func newConfig(g *globals) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check a configuration file, or print an example", Args: usage(cobra.NoArgs)}
	cmd.AddCommand(&cobra.Command{
		Use: "example", Short: "Print a commented configuration file with every field",
		Example: "  s3mesh config example > mesh.yaml",
		Args:    usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := g.out.Write(config.Example())
			return err
		},
	}, &cobra.Command{
		Use: "check FILE", Short: "Report every fault of a configuration file, or what it means with its defaults",
		Example: "  s3mesh config check mesh.yaml\n  s3mesh config check mesh.yaml --json",
		Args:    usage(cobra.ExactArgs(1)),
		RunE:    func(_ *cobra.Command, args []string) error { return runConfigCheck(g, args[0]) },
	})
	return cmd
}

func runConfigCheck(g *globals, file string) error {
	cfg, err := loadConfig(file)
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings() {
		fmt.Fprintf(g.err, "%s:%d:%d: warning: %s: %s (%s)\n", w.File, w.Line, w.Column, w.Path, w.Message, w.Remedy)
	}
	if g.json {
		return json.NewEncoder(g.out).Encode(cfg)
	}
	_, err = fmt.Fprintf(g.out, "%s: good: replica set %s, %d sites, %d links\n", file, cfg.Name, len(cfg.Sites), len(cfg.Links))
	return err
}
