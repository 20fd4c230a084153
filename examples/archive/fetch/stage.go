package fetch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/examples/archive/store"
)

// stage archives the due records of one kind.
type stage struct {
	kind      string // messages, contacts, files or details
	operation string
	scope     string
	subject   func(id int64) string
	read      func(ctx context.Context, d store.Due) error // calls and stores

	mu       sync.Mutex
	done     int
	total    int
	refusals int // answers that the token lacks a scope, without any other answer
	isDenied bool
}

const batch = 256

// run works through the records until none is due. A record that fails three times is left and listed.
func (f *Fetcher) run(ctx context.Context, s *stage) error {
	if !f.wants(s.kind) {
		return nil
	}
	if err := f.write(ctx, func(tx *store.Tx) error { return tx.Retry(s.kind) }); err != nil {
		return err
	}
	due, err := f.store.CountDue(ctx, s.kind)
	if err != nil {
		return err
	}
	s.total = s.done + due
	for !s.isDenied {
		due, err := f.store.Due(ctx, s.kind, batch)
		if err != nil || len(due) == 0 {
			return err
		}
		if err := f.each(ctx, s, due); err != nil {
			return err
		}
	}
	return nil
}

// each reads records with several workers. After an error that ends the sync no further record is begun, but calls in
// flight end.
func (f *Fetcher) each(ctx context.Context, s *stage, due []store.Due) error {
	var workers sync.WaitGroup
	work := make(chan store.Due)
	errs := make(chan error, f.options.Workers)
	stop := make(chan struct{})
	var once sync.Once
	for range f.options.Workers {
		workers.Go(func() {
			for d := range work {
				if err := f.one(ctx, s, d); err != nil {
					errs <- err
					once.Do(func() { close(stop) })
					return
				}
			}
		})
	}
feeding:
	for _, d := range due {
		select {
		case work <- d:
		case <-stop:
			break feeding
		}
		if s.denied() {
			break
		}
	}
	close(work)
	workers.Wait()
	close(errs)
	return <-errs // nil if there is none
}

func (f *Fetcher) one(ctx context.Context, s *stage, d store.Due) error {
	err := s.read(ctx, d)
	switch {
	case err == nil:
		f.report(s.kind, s.advance(), s.total)
		return nil
	case !isOwn(err):
		return err
	case errors.Is(err, drift.ErrNotFound):
		f.report(s.kind, s.advance(), s.total)
		return f.write(ctx, func(tx *store.Tx) error { return tx.Gone(s.kind, d.ID, time.Now()) })
	case errors.Is(err, drift.ErrForbidden) && s.refuse(err):
		f.denied(stageNames[s.kind], s.scope, err)
		return nil
	}
	return f.write(ctx, func(tx *store.Tx) error { return f.failed(tx, s, d, err) })
}

var stageNames = map[string]string{
	"messages": "messages", "contacts": "contacts", "files": "files", "details": "details of conversations",
}

// advance counts an answer.
func (s *stage) advance() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done++
	return s.done
}

// maxRefusals is how many refusals without any other answer mean that the token lacks a scope. A single record may be
// off limits for other reasons.
const maxRefusals = 3

// refuse counts a refusal and reports whether the stage is off limits.
func (s *stage) refuse(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusals++
	api := (*drift.APIError)(nil)
	isScope := errors.As(err, &api) && api.Code == "insufficient_scope"
	s.isDenied = s.isDenied || isScope || s.done == 0 && s.refusals >= maxRefusals
	return s.isDenied
}

func (s *stage) denied() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isDenied
}

// failed counts a failure. The last one is listed.
func (f *Fetcher) failed(tx *store.Tx, s *stage, d store.Due, cause error) error {
	failures, err := tx.Failed(s.kind, d.ID)
	if err != nil || failures < store.MaxFailures {
		return err
	}
	o := store.Oddity{Operation: s.operation, Subject: s.subject(d.ID), Error: cause.Error()}
	if o.ContactID, err = tx.ContactOf(s.kind, d.ID); err != nil {
		return err
	}
	if broken := (*brokenError)(nil); errors.As(cause, &broken) {
		o.Raw = rawText(broken.body)
	}
	return putOddities(tx, []store.Oddity{o})
}

// brokenError is an answer that does not decode, with its body.
type brokenError struct {
	err  error
	body []byte
}

// Error returns the text of the cause, which quotes nothing of the body.
func (e *brokenError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *brokenError) Unwrap() error { return e.err }

// withBody adds the body of an answer that does not decode.
func withBody(err error, response *drift.Response) error {
	var decode *drift.DecodeError
	if errors.As(err, &decode) || errors.Is(err, errShape) {
		return &brokenError{err, response.Body}
	}
	return err
}
