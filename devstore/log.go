package devstore

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
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
	var entry struct {
		Level   slog.Level
		Message string `json:"msg"`
		Error   string `json:"error"`
	}
	ctx := context.Background()
	if json.Unmarshal(line, &entry) != nil || entry.Message == "" {
		w.log.DebugContext(ctx, "region says", "line", string(line))
		return
	}
	w.log.LogAttrs(ctx, entry.Level, entry.Message, slog.String("error", entry.Error))
}
