package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	koalaprogress "github.com/koala-go/sdk/progress"
)

// lineEvery is how often a line tells of progress where there is no terminal.
const lineEvery = 5 * time.Second

// progress shows how far a run is: a bar on a terminal, a line every few
// seconds elsewhere, nothing when quiet.
type progress struct {
	w        io.Writer
	quiet    bool
	terminal bool
	bar      *progressbar.ProgressBar
	start    time.Time
	last     time.Time
}

func newProgress(w io.Writer, quiet bool) *progress {
	f, ok := w.(*os.File)
	now := time.Now()
	return &progress{w: w, quiet: quiet, terminal: ok && term.IsTerminal(int(f.Fd())), start: now, last: now}
}

func (p *progress) update(at koalaprogress.Progress) {
	switch {
	case p.quiet:
	case p.terminal:
		p.draw(at)
	case time.Since(p.last) >= lineEvery:
		p.last = time.Now()
		rate := float64(at.Done) / time.Since(p.start).Seconds()
		left := time.Duration(float64(at.Total-at.Done) / rate * float64(time.Second))
		fmt.Fprintf(p.w, "%s: %s of %s, %s/s, %v left\n", at.Stage, bytesText(at.Done), bytesText(at.Total), bytesText(int64(rate)), left.Round(time.Second))
	}
}

func (p *progress) draw(at koalaprogress.Progress) {
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(at.Total,
			progressbar.OptionSetWriter(p.w), progressbar.OptionShowBytes(true), progressbar.OptionShowTotalBytes(true),
			progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish(),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetDescription(at.Stage))
	}
	if at.Stage == "sync" {
		p.bar.Describe("sync")
		return // the bar stays on the screen until the disk is done
	}
	p.bar.Set64(at.Done)
}

// finish takes the bar off the screen.
func (p *progress) finish() {
	if p.bar != nil {
		p.bar.Finish()
	}
}
