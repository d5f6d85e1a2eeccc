package main

import (
	"fmt"
	"strings"

	"github.com/s3mesh/s3mesh/config"
)

// demoConfig is a demo as a configuration file, for the commands that look at the stores themselves. The secrets that it names
// are in env.
type demoConfig struct {
	Text string            `json:"text"`
	Env  map[string]string `json:"env"`
}

// newDemoConfig describes a running demo.
func newDemoConfig(d *demo, mc meshConfig) demoConfig {
	card := d.folder.card
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nname: %s\nsites:\n", mc.set.Name)
	for _, site := range card.Sites {
		fmt.Fprintf(&b, "  - name: %s\n    endpoint: %s\n    region: %s\n    bucket: %s\n    credentials:\n      static:\n"+
			"        access_key: ${DEMO_ACCESS_KEY}\n        secret_key: ${DEMO_SECRET_KEY}\n    dedicated_credentials: true\n",
			site.Name, d.cluster.endpoint(site.Name), site.Region, site.Bucket)
	}
	fmt.Fprintf(&b, "queue:\n  dir: %q\nintake:\n  listen: %s\n  token: ${DEMO_INTAKE_TOKEN}\nadmin:\n  listen: %s\n"+
		"  token: ${DEMO_ADMIN_TOKEN}\nreplication:\n  deletes: %s\n",
		mc.queue.Dir, mc.intake.listener.Addr(), mc.admin.listener.Addr(), mc.replication.Deletes)
	return demoConfig{b.String(), map[string]string{"DEMO_ACCESS_KEY": card.ReplicatorKey, "DEMO_SECRET_KEY": card.ReplicatorSecret,
		"DEMO_INTAKE_TOKEN": card.IntakeToken, "DEMO_ADMIN_TOKEN": card.AdminToken}}
}

// parse reads the configuration.
func (c demoConfig) parse() (*config.Config, error) {
	return config.Parse("the demo", []byte(c.Text), func(name string) (string, bool) {
		value, ok := c.Env[name]
		return value, ok
	})
}
