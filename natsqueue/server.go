package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	startTimeout = time.Minute // recovery of a large store reads all of its blocks
	journalDir   = "journal"   // beside the server's own
)

// embedded is the server in this process. It listens on no port.
type embedded struct {
	server   *server.Server
	lock     *os.File
	files    *storeSync
	leftover leftover
	journal  *journal // nil until what an earlier process left is recovered
}

// startEmbedded starts a server on dir, which it locks: the server itself does not, and two of them would destroy the data.
func startEmbedded(cfg Config) (*embedded, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	e := &embedded{lock: lock, files: newStoreSync(filepath.Join(cfg.Dir, server.JetStreamStoreDir))}
	if err := e.prepare(cfg); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: "s3mesh-" + cfg.Set.Name,
		DontListen: true,
		NoSigs:     true,
		JetStream:  true,
		StoreDir:   cfg.Dir,
	})
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	srv.SetLoggerV2(serverLog{cfg.Log}, false, false, false)
	e.server = srv
	srv.Start()
	if !srv.ReadyForConnections(startTimeout) || !srv.JetStreamEnabled() {
		return nil, errors.Join(errors.New("the embedded server did not start: see its log"), e.stop(context.Background()))
	}
	return e, nil
}

// prepare looks for what an unclean end has left, before the server reads its files.
func (e *embedded) prepare(cfg Config) (err error) {
	if e.leftover, err = findLeftover(filepath.Join(cfg.Dir, journalDir), cfg.Log); err != nil {
		return err
	}
	if e.leftover.powerLost {
		cfg.Log.Info("the event stream was not closed before the machine went down: recovering it from the journal")
		if err := e.files.forgetUnsynced(); err != nil {
			return err
		}
	}
	return e.leftover.begin()
}

// recovered starts the journal afresh, once the streams exist and all of the old one has been published.
func (e *embedded) recovered() error {
	if err := e.files.everything(); err != nil {
		return err
	}
	if err := removeSegments(e.leftover.dir); err != nil {
		return err
	}
	e.journal = newJournal(e.leftover.dir, e.leftover.log, e.files.messages)
	go e.journal.run()
	return nil
}

// stop shuts the server down, syncs its files, and unlocks the directory.
func (e *embedded) stop(ctx context.Context) error {
	stopped := make(chan error, 1)
	go func() {
		e.server.Shutdown()
		e.server.WaitForShutdown()
		stopped <- errors.Join(e.finish(), e.lock.Close())
	}()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// finish removes the journal, unless it is needed still.
func (e *embedded) finish() error {
	if e.journal == nil {
		return nil
	}
	if err := errors.Join(e.journal.close(), e.files.everything()); err != nil {
		return err
	}
	if err := removeSegments(e.leftover.dir); err != nil {
		return err
	}
	return removeMark(e.leftover.dir)
}

// lockDir holds dir for this process until the file is closed; the kernel lets go of it when the process dies.
func lockDir(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is in use by another process: %w", dir, err), file.Close())
	}
	return file, nil
}

// serverLog passes on what the embedded server says from a warning up.
type serverLog struct{ log *slog.Logger }

func (l serverLog) write(level slog.Level, format string, args []any) {
	l.log.Log(context.Background(), level, "event stream server", "says", fmt.Sprintf(format, args...))
}

// Warnf logs a warning.
func (l serverLog) Warnf(format string, args ...any) { l.write(slog.LevelWarn, format, args) }

// Errorf logs an error.
func (l serverLog) Errorf(format string, args ...any) { l.write(slog.LevelError, format, args) }

// Fatalf logs an error that the server does not survive.
func (l serverLog) Fatalf(format string, args ...any) { l.write(slog.LevelError, format, args) }

// Noticef drops a notice.
func (l serverLog) Noticef(string, ...any) {}

// Debugf drops a debug message.
func (l serverLog) Debugf(string, ...any) {}

// Tracef drops a trace message.
func (l serverLog) Tracef(string, ...any) {}
