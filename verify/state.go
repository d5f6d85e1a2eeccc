package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/s3mesh/s3mesh"
)

// stateFormat is the version of the file's format.
const stateFormat = 1

// state is how far a run came: all that the next one needs to go on.
type state struct {
	Format int `json:"format"`
	// Run stands for what was compared and how; another run does not go on from here.
	Run  string `json:"run"`
	Seed uint64 `json:"seed"`
	// Pass counts the passes that are done: the merge, then one for each of Unordered.
	Pass      int      `json:"pass"`
	Unordered []string `json:"unordered,omitempty"`
	// At is the last key of each site's listing that is done. It is one of the site's own keys, as the place of another's in an
	// order that is not known cannot be told.
	At       map[string]string `json:"at,omitempty"`
	Key      string            `json:"key,omitempty"` // the last one that is done
	Started  time.Time         `json:"started"`
	Counts   Counts            `json:"counts"`
	Findings []Finding         `json:"findings,omitempty"`
}

// identity stands for everything that decides what a run finds.
func (r *runner) identity() (string, error) {
	data, err := json.Marshal(struct {
		Set              s3mesh.ReplicaSet
		Options          Options
		PropagateDeletes bool
		Repair           bool
		Fingerprint      string
	}{r.Set, r.opt, r.PropagateDeletes, r.Repair != nil, r.Fingerprint})
	if err != nil {
		return "", fmt.Errorf("identify the run: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16]), nil
}

// load reads how far an earlier run with the same identity came, where there is one. A file that cannot be understood is none, as
// it only saves time.
func (r *runner) load(id string) (resumed bool, err error) {
	if r.StateFile == "" || r.opt.Restart {
		return false, nil
	}
	data, err := os.ReadFile(r.StateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fileError("read", err)
	}
	var s state
	damaged := json.Unmarshal(data, &s) != nil
	if resumed = !damaged && s.Format == stateFormat && s.Run == id; resumed {
		r.state = s
	}
	return resumed, nil
}

// save puts the state on disk, in one step.
func (r *runner) save() error {
	if r.StateFile == "" {
		return nil
	}
	data, err := json.Marshal(r.state)
	if err != nil {
		return fileError("write", err)
	}
	if err := os.MkdirAll(filepath.Dir(r.StateFile), 0o700); err != nil {
		return fileError("write", err)
	}
	if err := replaceFile(r.StateFile, data); err != nil {
		return fileError("write", err)
	}
	return nil
}

// forget removes the file of a run that is complete.
func (r *runner) forget() error {
	if r.StateFile == "" {
		return nil
	}
	if err := os.Remove(r.StateFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileError("remove", err)
	}
	return nil
}

// replaceFile writes a file that only its owner can read, as keys may be private.
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
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func fileError(what string, err error) error {
	return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: what + " the state of the run", Err: err}
}
