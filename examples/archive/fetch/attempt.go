package fetch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/examples/archive/store"
)

// PatienceError ends a sync because the service did not answer for as long as Options.Patience allows.
type PatienceError struct {
	Waited time.Duration
	Err    error
}

// Error says how long the sync waited, and for what.
func (e *PatienceError) Error() string {
	return fmt.Sprintf("the service has not answered for %s: %v", e.Waited.Round(time.Second), e.Err)
}

// Unwrap returns the last error.
func (e *PatienceError) Unwrap() error { return e.Err }

const (
	minPause = time.Second
	maxPause = 5 * time.Minute
)

// try makes a call until it succeeds or fails for a reason of its own. It waits while the service does not answer any
// call, so that an outage never counts against a record, and while other programs use up the minute's calls.
func (f *Fetcher) try(ctx context.Context, call func(context.Context) error) error {
	began := time.Now()
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := call(ctx)
		var quota *drift.QuotaError
		var limited *drift.RateLimitError
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &quota):
			if !f.options.Wait {
				return err
			}
			began, pause = time.Now(), minPause
			if err := f.wait(ctx, time.Until(quota.Usage.ResetsAt), err); err != nil {
				return err
			}
			continue
		case errors.As(err, &limited):
			pause = max(pause, limited.RetryAfter)
		case isOnDisk(err) || !isOutage(err) || f.answers(ctx):
			return err
		}
		if waited := time.Since(began); waited+pause > f.options.Patience {
			return &PatienceError{waited, err}
		}
		if err := f.wait(ctx, pause, err); err != nil {
			return err
		}
	}
}

// insist tries a call that much depends on a few times, unless the service refuses it.
func (f *Fetcher) insist(ctx context.Context, call func(context.Context) error) (err error) {
	for range store.MaxFailures {
		var api *drift.APIError
		if err = f.try(ctx, call); err == nil || !isOwn(err) || errors.As(err, &api) && api.StatusCode < 500 {
			return err
		}
	}
	return err
}

// isOutage reports whether an error may have nothing to do with the record.
func isOutage(err error) bool {
	var transport *drift.TransportError
	return errors.As(err, &transport) && !errors.Is(err, drift.ErrTooLarge) || errors.Is(err, drift.ErrServer)
}

// answers reports whether the service answers the call that matters most.
func (f *Fetcher) answers(ctx context.Context) bool {
	_, err := f.api.Conversations.List(ctx, classic.ConversationListOptions{Limit: 1},
		drift.WithoutRetry(), drift.WithTimeout(time.Minute))
	return err == nil || !isOutage(err)
}

// isOwn reports whether an error is about one record or one answer. Others end the sync.
func isOwn(err error) bool {
	var (
		patience  *PatienceError
		quota     *drift.QuotaError
		api       *drift.APIError
		transport *drift.TransportError
		decode    *drift.DecodeError
	)
	switch {
	case isOnDisk(err), errors.As(err, &patience), errors.As(err, &quota), errors.Is(err, drift.ErrUnauthorized):
		return false
	case errors.Is(err, drift.ErrCursorLoop), errors.Is(err, errShape):
		return true
	}
	return errors.As(err, &api) || errors.As(err, &transport) || errors.As(err, &decode)
}

// wait says why it waits.
func (f *Fetcher) wait(ctx context.Context, d time.Duration, err error) error {
	f.mu.Lock()
	f.options.Waiting(d, err)
	f.mu.Unlock()
	return sleep(ctx, d)
}

// sleep waits, unless the context ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
