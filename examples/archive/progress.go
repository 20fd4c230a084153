package main

import (
	"fmt"
	"io"
	"os"
	"strings"
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
	waited     time.Time // when a wait was shown last
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

// waiting says once a minute why nothing happens.
func (p *progress) waiting(wait time.Duration, err error) {
	if time.Since(p.waited) < time.Minute {
		return
	}
	p.waited = time.Now()
	p.close()
	fmt.Fprintf(p.w, "waiting %s, then trying again: %v\n", wait.Round(time.Second), err)
}

func (p *progress) newBar(at fetch.Progress) *progressbar.ProgressBar {
	total := at.Total
	if total == 0 {
		total = -1
	}
	return progressbar.NewOptions(total,
		progressbar.OptionSetWriter(p.w),
		progressbar.OptionSetDescription(strings.ReplaceAll(at.Stage, "_", " ")),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetSpinnerChangeInterval(0), // drawn call by call, not by a goroutine
	)
}

func line(at fetch.Progress) string {
	stage, total := strings.ReplaceAll(at.Stage, "_", " "), ""
	if at.Total > 0 {
		total = " of " + thousands(at.Total)
	}
	return fmt.Sprintf("%s: %s%s, %s", stage, thousands(at.Done), total, counted(at.Calls, "call"))
}

// close ends the line of the bar.
func (p *progress) close() {
	if p.bar != nil {
		_ = p.bar.Exit()
		fmt.Fprintln(p.w)
		p.bar = nil
	}
}
