package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/driftsdk/drift/examples/archive/fetch"
)

// progress shows how far a sync has come: as a bar on a terminal, and elsewhere as a line a minute.
type progress struct {
	w          io.Writer
	isTerminal bool
	bar        *progressbar.ProgressBar
	stage      string
	shown      time.Time
}

func newProgress(w io.Writer) *progress {
	file, ok := w.(*os.File)
	return &progress{w: w, isTerminal: ok && term.IsTerminal(int(file.Fd())), shown: time.Now()}
}

func (p *progress) show(at fetch.Progress) {
	if !p.isTerminal {
		if time.Since(p.shown) >= time.Minute {
			p.shown = time.Now()
			fmt.Fprintln(p.w, line(at))
		}
		return
	}
	if p.bar == nil || p.stage != at.Stage {
		p.close()
		p.stage = at.Stage
		p.bar = p.newBar(at)
	}
	_ = p.bar.Set(at.Done)
}

func (p *progress) newBar(at fetch.Progress) *progressbar.ProgressBar {
	total := at.Total
	if total == 0 {
		total = -1
	}
	return progressbar.NewOptions(total,
		progressbar.OptionSetWriter(p.w),
		progressbar.OptionSetDescription(at.Stage),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetSpinnerChangeInterval(0), // drawn call by call, not by a goroutine
	)
}

func line(at fetch.Progress) string {
	if at.Total == 0 {
		return fmt.Sprintf("%s: %s, %s calls", at.Stage, thousands(at.Done), thousands(at.Calls))
	}
	return fmt.Sprintf("%s: %s of %s, %s calls", at.Stage, thousands(at.Done), thousands(at.Total), thousands(at.Calls))
}

// close ends the line of the bar.
func (p *progress) close() {
	if p.bar != nil {
		_ = p.bar.Exit()
		fmt.Fprintln(p.w)
		p.bar = nil
	}
}
