package devstore

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// maxLogLine bounds what is kept of one line a child logs, in bytes.
const maxLogLine = 16 << 10

// logWriter passes on what a child writes to its standard error: the lines of its own logger at their level, whatever
// else the S3 server prints at debug level. os/exec writes to it from one goroutine.
type logWriter struct {
	log  *slog.Logger
	rest []byte // of an unfinished line
}

// Write never fails: a log must not end the region.
func (w *logWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte{'\n'})
		w.rest = append(w.rest, line[:min(len(line), maxLogLine-len(w.rest))]...)
		if whole {
			w.pass(w.rest)
			w.rest = w.rest[:0]
		}
		rest = after
	}
	return len(p), nil
}

func (w *logWriter) pass(line []byte) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return
	}
	var entry map[string]any
	var level slog.Level
	ctx := context.Background()
	if json.Unmarshal(line, &entry) != nil || level.UnmarshalText(fmt.Append(nil, entry["level"])) != nil {
		w.log.DebugContext(ctx, "region says", "line", string(line))
		return
	}
	record := slog.NewRecord(time.Now(), level, fmt.Sprint(entry["msg"]), 0)
	for _, name := range slices.Sorted(maps.Keys(entry)) {
		if name != slog.TimeKey && name != slog.LevelKey && name != slog.MessageKey {
			record.Add(name, entry[name])
		}
	}
	if handler := w.log.Handler(); handler.Enabled(ctx, level) {
		// A logger drops its handler's errors as well.
		_ = handler.Handle(ctx, record)
	}
}
