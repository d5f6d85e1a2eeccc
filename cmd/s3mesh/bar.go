package main

import (
	"io"
	"os"
	"sync"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// barWidth is how many columns a bar takes, without the text at its sides.
const barWidth = 40

// isTerminal reports whether a person is at the other end.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// bar shows a person how far something came. The nil bar shows nothing.
type bar struct {
	container *mpb.Progress
	bar       *mpb.Bar

	mu   sync.Mutex
	text string
}

// newBar returns a bar on a terminal, and nil elsewhere.
func newBar(w io.Writer, name string) *bar {
	if !isTerminal(w) {
		return nil
	}
	b := &bar{container: mpb.New(mpb.WithOutput(w), mpb.WithWidth(barWidth))}
	b.bar = b.container.AddBar(0, mpb.BarRemoveOnComplete(), mpb.PrependDecorators(decor.Name(name+" ")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			b.mu.Lock()
			defer b.mu.Unlock()
			return " " + b.text
		})))
	return b
}

// set shows that so much of all is done, and a text. All may be estimated, and change.
func (b *bar) set(done, all int64, text string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	b.text = text
	b.mu.Unlock()
	b.bar.SetTotal(max(all, done), false)
	b.bar.SetCurrent(done)
}

// end takes the bar away.
func (b *bar) end() {
	if b == nil {
		return
	}
	b.bar.Abort(true)
	b.container.Wait()
}
