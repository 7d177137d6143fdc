package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/koala-go/sdk/progress"
)

// lineInterval is the time between two lines of progress when stderr is not a
// terminal.
const lineInterval = 5 * time.Second

// progressBar shows the progress of a job: a bar on a terminal, a line every
// few seconds elsewhere, and nothing when it is quiet.
type progressBar struct {
	w        io.Writer
	quiet    bool
	terminal bool
	bar      *progressbar.ProgressBar // nil until the first update on a terminal
	start    time.Time
	last     time.Time // of the last line
}

func newProgressBar(w io.Writer, quiet bool) *progressBar {
	f, ok := w.(*os.File)
	now := time.Now()
	return &progressBar{w: w, quiet: quiet, terminal: ok && term.IsTerminal(int(f.Fd())), start: now, last: now}
}

// update shows the state of the job. It is a progress.Func.
func (b *progressBar) update(p progress.Progress) {
	switch {
	case b.quiet:
	case b.terminal:
		b.draw(p)
	case time.Since(b.last) >= lineInterval:
		b.last = time.Now()
		fmt.Fprintln(b.w, progressLine(p, time.Since(b.start)))
	}
}

// progressLine describes the state of a job that started some time ago.
func progressLine(p progress.Progress, elapsed time.Duration) string {
	rate := float64(p.Done) / elapsed.Seconds()
	line := fmt.Sprintf("%s: %s", p.Stage, amountText(p.Done, p.Unit))
	if p.Total > 0 {
		line += " of " + amountText(p.Total, p.Unit)
	}
	line += fmt.Sprintf(", %s/s", amountText(int64(rate), p.Unit))
	if p.Total > 0 && p.Done > 0 {
		left := time.Duration(float64(p.Total-p.Done) / rate * float64(time.Second))
		line += fmt.Sprintf(", %v left", left.Round(time.Second))
	}
	return line
}

// draw updates the bar on the terminal.
func (b *progressBar) draw(p progress.Progress) {
	if b.bar == nil {
		total := p.Total
		if total == 0 {
			total = -1 // a spinner
		}
		inBytes := p.Unit == progress.Bytes
		b.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(b.w), progressbar.OptionShowBytes(inBytes), progressbar.OptionShowTotalBytes(inBytes),
			progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish(),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetDescription(p.Stage))
	}
	if p.Stage == "sync" {
		// Syncing can take long and has no measure: the full bar stays until the
		// disk has everything.
		b.bar.Describe("sync")
		return
	}
	b.bar.Set64(p.Done)
}

// finish removes the bar from the terminal.
func (b *progressBar) finish() {
	if b.bar != nil {
		b.bar.Finish()
	}
}
