package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/driftsdk/drift/examples/archive/fetch"
	"github.com/driftsdk/drift/examples/archive/store"
)

// statusReport is the result of status.
type statusReport struct {
	*store.Status
	Left         []string            `json:"left,omitempty"`
	Oddities     []store.Oddity      `json:"oddities_listed,omitempty"`
	Runs         []store.Run         `json:"runs,omitempty"`
	Verification *store.Verification `json:"verification,omitempty"`
}

// showStatus is the command status.
func showStatus(ctx context.Context, c *invocation) error {
	if err := c.parse(); err != nil {
		return err
	}
	s, err := store.OpenReader(ctx, c.dir)
	if err != nil {
		return err
	}
	report, err := readStatus(ctx, s)
	if err == nil {
		err = c.print(report, func(w io.Writer) { printStatus(w, report) })
	}
	return errors.Join(err, s.Close())
}

func readStatus(ctx context.Context, s *store.Store) (*statusReport, error) {
	var err error
	r := new(statusReport)
	if r.Status, err = s.Status(ctx); err != nil {
		return nil, err
	}
	if r.Left, err = s.Left(ctx, fetch.Kinds); err != nil {
		return nil, err
	}
	if r.Oddities, err = s.Oddities(ctx); err != nil {
		return nil, err
	}
	if r.Runs, err = s.Runs(ctx, 10); err != nil {
		return nil, err
	}
	if r.Verification, err = s.Verification(ctx); err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	return r, nil
}

func printStatus(w io.Writer, r *statusReport) {
	fmt.Fprintf(w, "organization %s at %s\n", cmp.Or(r.Organization, "unknown"), cmp.Or(r.Host, "an unknown host"))
	printHoldings(w, r.Status)
	for _, state := range sortedKeys(r.Conversations) {
		fmt.Fprintf(w, "  %s: %s\n", state, counted(r.Conversations[state], "conversation"))
	}
	if r.Gone > 0 {
		fmt.Fprintf(w, "  %s that Drift no longer has\n", counted(r.Gone, "conversation"))
	}
	if !r.Newest.IsZero() {
		fmt.Fprintf(w, "  from %s to %s\n", r.Oldest.Format(time.DateOnly), r.Newest.Format(time.DateOnly))
	}
	for _, left := range r.Left {
		fmt.Fprintf(w, "not archived yet: %s\n", left)
	}
	for _, o := range r.Oddities[:min(len(r.Oddities), oddShown)] {
		fmt.Fprintf(w, "odd: %s, %s: %s\n", o.Operation, o.Subject, o.Error)
	}
	if more := len(r.Oddities) - oddShown; more > 0 {
		fmt.Fprintf(w, "%s more: archive serve and archive status -json show them\n", counted(more, "oddity"))
	}
	for _, run := range r.Runs {
		fmt.Fprintf(w, "%s %s: %s\n", run.BegunAt.Format(time.RFC3339), run.Command, ended(run))
	}
	if r.Verification == nil {
		fmt.Fprintln(w, "never verified: run archive verify")
		return
	}
	printVerification(w, r.Verification)
}

// oddShown is how many oddities are printed.
const oddShown = 20

func ended(run store.Run) string {
	if run.EndedAt.IsZero() {
		return "in progress, or killed"
	}
	took := run.EndedAt.Sub(run.BegunAt).Round(time.Second)
	return fmt.Sprintf("%s, %s, %s", took, counted(run.Calls, "call"), run.Summary)
}

func sortedKeys(m map[string]int) []string { return slices.Sorted(maps.Keys(m)) }
