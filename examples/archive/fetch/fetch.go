// Package fetch copies what the service has into an archive.
//
// Nothing that existed when a sync began is missing at its end, although lists are newest first and change while they
// are read. What was read and where to continue are stored in one transaction, so a sync can be killed at any moment.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/examples/archive/store"
)

// Options configure a Fetcher. Zero fields have the defaults that their comments name.
type Options struct {
	What     []string      // messages, contacts, files, details; nil: all
	Workers  int           // calls at the same time; 4
	Overlap  time.Duration // how far before the last change to look again, because the list may lag
	Patience time.Duration // how long to wait for a service that does not answer
	Wait     bool          // wait for the next month when the month's calls are used up
	Progress func(Progress)
	Waiting  func(wait time.Duration, err error) // before each wait for the service, for other programs, or for a month
}

// Progress is how far a stage of a sync has come.
type Progress struct {
	Stage string
	Done  int
	Total int // 0: unknown
	Calls int // of the run
}

// Result is what a sync did.
type Result struct {
	Calls   int           `json:"calls"`
	Missing []string      `json:"missing,omitempty"` // what could not be archived, and why
	Left    []string      `json:"left,omitempty"`    // what is due
	Status  *store.Status `json:"status"`
}

// Complete reports whether everything is archived without any oddity.
func (r *Result) Complete() bool {
	return len(r.Missing) == 0 && len(r.Left) == 0 && r.Status.Oddities == 0
}

// Fetcher copies from one account into one archive.
type Fetcher struct {
	client  *drift.Client
	api     *classic.Client
	store   *store.Store
	quota   *Quota
	options Options

	known int64 // the list showed all that had changed before, in milliseconds; 0: not asked
	lost  int   // conversations of that time that were not in the archive

	mu       sync.Mutex
	missing  []string
	progress Progress
}

// New returns a fetcher. The client must count its calls in quota.
func New(client *drift.Client, s *store.Store, quota *Quota, options Options) *Fetcher {
	client = client.With(drift.WithBulk(), drift.WithMaxResponseBytes(maxAnswer))
	if options.Workers <= 0 {
		options.Workers = 4
	}
	if options.What == nil {
		options.What = Kinds
	}
	if options.Progress == nil {
		options.Progress = func(Progress) {}
	}
	if options.Waiting == nil {
		options.Waiting = func(time.Duration, error) {}
	}
	return &Fetcher{client: client, api: classic.New(client), store: s, quota: quota, options: options}
}

// maxAnswer is the largest answer that is read into memory.
const maxAnswer = 64 << 20

// Kinds are what Options.What may name, in the order of their value.
var Kinds = []string{"messages", "contacts", "files", "details"}

// Sync brings the archive up to date. If a limit, the patience or the context ends it, Sync returns the result together
// with the error.
func (f *Fetcher) Sync(ctx context.Context) (*Result, error) {
	f.missing = nil
	err := f.tidy(ctx)
	if err == nil {
		err = errors.Join(f.all(ctx), f.tidy(context.WithoutCancel(ctx)))
	}
	result, resultErr := f.result(context.WithoutCancel(ctx))
	return result, errors.Join(err, resultErr)
}

// all goes by value: what is lost first or read most comes first. Meetings are among the lookups, because the service
// lists them for 30 days only.
func (f *Fetcher) all(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		f.lookups, f.index, f.messages, f.contacts, f.files, f.accounts, f.details,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// tidy ends the forgetting of persons. While the archive is being read it cannot, and the next sync tries again.
func (f *Fetcher) tidy(ctx context.Context) error {
	err := f.store.Tidy(ctx)
	if errors.Is(err, store.ErrBeingRead) {
		f.miss("a person is not forgotten completely: %v", err)
		return nil
	}
	return err
}

func (f *Fetcher) result(ctx context.Context) (*Result, error) {
	if err := f.write(ctx, func(*store.Tx) error { return nil }); err != nil { // the last calls are counted
		return nil, err
	}
	status, err := f.store.Status(ctx)
	if err != nil {
		return nil, err
	}
	left, err := f.store.Left(ctx, f.options.What)
	return &Result{Calls: f.quota.Calls(), Missing: f.missing, Left: left, Status: status}, err
}

func (f *Fetcher) wants(kind string) bool { return slices.Contains(f.options.What, kind) }

// write runs a transaction that also stores how many calls were made.
func (f *Fetcher) write(ctx context.Context, do func(*store.Tx) error) error {
	return f.store.Write(ctx, func(tx *store.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		return f.quota.save(tx)
	})
}

// miss notes what could not be archived.
func (f *Fetcher) miss(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if sentence := fmt.Sprintf(format, args...); !slices.Contains(f.missing, sentence) {
		f.missing = append(f.missing, sentence)
	}
}

func (f *Fetcher) report(stage string, done, total int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.progress = Progress{Stage: stage, Done: done, Total: total, Calls: f.quota.Calls()}
	f.options.Progress(f.progress)
}

// denied notes that the token lacks a scope.
func (f *Fetcher) denied(stage, scope string, err error) {
	if api := (*drift.APIError)(nil); errors.As(err, &api) && len(api.Fields["scope"]) > 0 {
		scope = strings.Join(api.Fields["scope"], " ")
	}
	f.miss("%s: not archived, the token lacks the scope %s", stage, scope)
}
