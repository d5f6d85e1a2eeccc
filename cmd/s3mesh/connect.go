package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
	"github.com/s3mesh/s3mesh/config"
)

// connection chooses the running process that a command talks to.
type connection struct {
	configFile string
	url        string
}

const connectHelp = `
The process is found by -c mesh.yaml (its admin address and token), or by --admin URL with the token in S3MESH_ADMIN_TOKEN,
or else it is the demo that was started last on this machine.`

func (c *connection) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&c.configFile, "config", "c", "", "the mesh.yaml of the running process")
	cmd.Flags().StringVar(&c.url, "admin", "", "the admin address of the running process, such as http://127.0.0.1:9480")
	cmd.MarkFlagsMutuallyExclusive("config", "admin")
}

// client returns a client of the chosen process.
func (c *connection) client() (*admin.Client, error) {
	switch {
	case c.configFile != "":
		cfg, err := loadConfig(c.configFile)
		if err != nil {
			return nil, err
		}
		return &admin.Client{URL: "http://" + dialable(cfg.Admin.Listen), Token: cfg.Admin.Token.Reveal()}, nil
	case c.url != "":
		token := os.Getenv("S3MESH_ADMIN_TOKEN")
		if token == "" {
			return nil, usageError{errors.New("--admin needs the token in the environment variable S3MESH_ADMIN_TOKEN")}
		}
		return &admin.Client{URL: c.url, Token: token}, nil
	default:
		return lastDemo()
	}
}

// dialable turns a listen address into one to connect to: no host, or an unspecified one, means this machine.
func dialable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// configHelp tells how a command that looks at the stores itself finds them.
const configHelp = `
The stores are those of -c mesh.yaml, or else of the demo that was started last on this machine.`

// configFlag is the flag of such a command.
func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", "", "the configuration file (default: that of the demo which was started last)")
}

// loadMesh returns the configuration of a file, or without one that of the demo that was started last.
func loadMesh(file string) (*config.Config, error) {
	if file != "" {
		return loadConfig(file)
	}
	card, err := lastCard()
	if err != nil {
		return nil, err
	}
	return card.Config.parse()
}

// adminCard is how a demo is found by later commands of the same user.
type adminCard struct {
	Admin  string     `json:"admin"`
	Token  string     `json:"token"`
	Config demoConfig `json:"config"`
}

// cardPath returns the file of the demo that was started last, in a folder that is this user's and that nobody else can read.
// The folder lies where everybody may create one: another user's would have us follow links, or trust an address, of theirs.
func cardPath() (string, error) {
	base := os.Getenv("XDG_RUNTIME_DIR")
	if base == "" {
		base = os.TempDir()
	}
	dir := filepath.Join(base, fmt.Sprintf("s3mesh-%d", os.Getuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ours(info) {
		return "", fmt.Errorf("%s must be a folder that is yours and that only you can read: remove it and try again", dir)
	}
	return filepath.Join(dir, "demo.json"), nil
}

// leaveCard makes a demo findable, and returns a function that ends that.
func leaveCard(c adminCard) (remove func() error, err error) {
	path, err := cardPath()
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	if err := replaceFile(path, data); err != nil {
		return nil, err
	}
	return func() error {
		now, err := readCard(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && string(now) != string(data) {
			return nil // another demo was started since
		}
		return errors.Join(err, os.Remove(path))
	}, nil
}

// replaceFile writes a new file, which only this user can read, and puts it in the place of whatever was there.
func replaceFile(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// readCard reads a file that this user wrote, and no other.
func readCard(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || !ours(info) {
		return nil, fmt.Errorf("%s must be a file of yours: remove it and try again", path)
	}
	return os.ReadFile(path)
}

func lastDemo() (*admin.Client, error) {
	card, err := lastCard()
	if err != nil {
		return nil, err
	}
	return &admin.Client{URL: card.Admin, Token: card.Token}, nil
}

func lastCard() (c adminCard, err error) {
	path, err := cardPath()
	if err != nil {
		return c, err
	}
	data, err := readCard(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, &s3mesh.Error{Kind: s3mesh.KindUnreachable, Op: "connect",
			Err: errors.New("no demo is running: start one with 's3mesh demo', or name a mesh with -c mesh.yaml")}
	}
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("%s: %w: remove it", path, err)
	}
	return c, nil
}
