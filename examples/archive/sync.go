package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/examples/archive/fetch"
	"github.com/driftsdk/drift/examples/archive/store"
)

// syncArchive is the command sync.
func syncArchive(ctx context.Context, c *invocation) error {
	progress := newProgress(c.stderr)
	defer progress.close()
	l := c.limits(progress)
	what := c.flags.String("what", strings.Join(fetch.Kinds, ","), "archive only these `kinds`, separated by commas")
	if err := c.parse(); err != nil {
		return err
	}
	l.What = strings.Split(*what, ",")
	for _, kind := range l.What {
		if !slices.Contains(fetch.Kinds, kind) {
			return fmt.Errorf("-what %q: %q is none of %s", *what, kind, strings.Join(fetch.Kinds, ", "))
		}
	}
	a, err := l.open(ctx, c.dir)
	if err != nil {
		return err
	}
	err = a.sync(ctx, c, progress)
	return errors.Join(err, a.Close())
}

// sync brings the archive up to date and prints what it holds then.
func (a *account) sync(ctx context.Context, c *invocation, progress *progress) error {
	var result *fetch.Result
	err := a.run(ctx, "sync", func() (err error) {
		if result, err = a.fetcher.Sync(ctx); err == nil && !result.Complete() {
			err = errListed
		}
		return err
	})
	progress.close()
	if result == nil {
		return err
	}
	printErr := c.print(result, func(w io.Writer) { printResult(w, result, c.dir) })
	return errors.Join(stopped(err, result.Left), printErr)
}

// run notes a command in the archive, when it begins and when it ends.
func (a *account) run(ctx context.Context, name string, do func() error) error {
	var id int64
	err := a.store.Write(ctx, func(tx *store.Tx) (err error) {
		id, err = tx.BeginRun(name, time.Now())
		return err
	})
	if err != nil {
		return err
	}
	err = do()
	summary := "done"
	if err != nil && ctx.Err() != nil {
		summary = "stopped"
	} else if err != nil {
		summary = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return errors.Join(err, a.store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		return tx.EndRun(store.Run{ID: id, EndedAt: time.Now(), Calls: a.quota.Calls(), Status: status(err),
			Summary: summary})
	}))
}

// stopped says when a sync that used up the month's calls can go on.
func stopped(err error, left []string) error {
	var quota *drift.QuotaError
	if !errors.As(err, &quota) {
		return err
	}
	text := fmt.Sprintf("%s calls used, full again %s, ", thousands(quota.Usage.Used),
		quota.Usage.ResetsAt.Format(time.RFC3339))
	if len(left) > 0 {
		text += strings.Join(left, ", ") + " left, "
	}
	return &stopError{text + "run the same command then", err}
}

// stopError is a limit, with what to do about it.
type stopError struct {
	text string
	err  error
}

// Error says what to do.
func (e *stopError) Error() string { return e.text }

// Unwrap returns the limit.
func (e *stopError) Unwrap() error { return e.err }

func printResult(w io.Writer, r *fetch.Result, dir string) {
	fmt.Fprintf(w, "%s. The archive in %s holds:\n", counted(r.Calls, "call"), dir)
	printHoldings(w, r.Status)
	for _, missing := range r.Missing {
		fmt.Fprintln(w, missing)
	}
	for _, left := range r.Left {
		fmt.Fprintf(w, "%s left\n", left)
	}
	if r.Status.Oddities > 0 {
		fmt.Fprintf(w, "%s: archive status lists what is odd\n", counted(r.Status.Oddities, "oddity"))
	}
}

func printHoldings(w io.Writer, s *store.Status) {
	fmt.Fprintf(w, "  %s, %s\n", counted(s.Total(), "conversation"), counted(s.Messages, "message"))
	fmt.Fprintf(w, "  %s, %s (%s)\n", counted(s.Contacts, "contact"), counted(s.Files, "file"),
		counted(int(s.FileBytes), "byte"))
	var records []string
	for _, kind := range sortedKeys(s.Records) {
		records = append(records, counted(s.Records[kind], strings.ReplaceAll(kind, "_", " ")))
	}
	if len(records) > 0 {
		fmt.Fprintf(w, "  %s\n", strings.Join(records, ", "))
	}
}

// counted writes a number with what it counts, such as "1,200 contacts".
func counted(n int, what string) string {
	switch stem, endsInY := strings.CutSuffix(what, "y"); {
	case n == 1:
	case endsInY:
		what = stem + "ies"
	default:
		what += "s"
	}
	return thousands(n) + " " + what
}

// thousands writes a number with commas.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
