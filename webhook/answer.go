package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// RefusedError says why a delivery that carries the right token was refused. [WithOnError] gets it.
type RefusedError struct {
	StatusCode int   // of the answer
	Err        error // a [*drift.DecodeError], [ErrShutdown], [ErrInFlight], or an error that only says why
}

func (e *RefusedError) Error() string {
	text := "webhook: refused with " + strconv.Itoa(e.StatusCode)
	if e.Err == nil {
		return text
	}
	return text + ": " + strings.TrimPrefix(strings.TrimPrefix(e.Err.Error(), "webhook: "), "drift: ")
}

func (e *RefusedError) Unwrap() error { return e.Err }

// answer is a status, and why it is that one.
type answer struct {
	status  int
	reason  string
	event   Event   // nil if no body was read
	refused error   // why, if it was refused without a report
	proved  bool    // the sender knows a token
	outcome Outcome // "": it is reported when the delivery has been handled
}

func refuse(status int, why error) answer {
	a := answer{status: status, reason: why.Error(), refused: why, outcome: OutcomeRefused}
	switch why {
	case ErrShutdown:
		a.outcome = OutcomeShutdown
	case ErrInFlight:
		a.outcome = OutcomeDuplicate
	}
	return a
}

const retryAfter = "5" // seconds

// write says no more than the status does: the reason is for the log.
func (a answer) write(w http.ResponseWriter) {
	switch a.status {
	case http.StatusOK:
		w.WriteHeader(a.status)
		return
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusConflict, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	}
	http.Error(w, http.StatusText(a.status), a.status)
}

// note reports and logs an answer. A refusal is reported if the sender knows the token. Others anyone can cause, so
// they are counted.
func (h *Handler) note(ctx context.Context, a answer) {
	level := slog.LevelDebug
	strangers := 0
	switch {
	case a.refused == nil:
		if a.status >= http.StatusInternalServerError {
			level = slog.LevelWarn
		}
	case a.proved:
		level = slog.LevelWarn
		if a.event == nil {
			a.event = &UnknownEvent{Err: a.refused}
		}
		h.report(ctx, a.event, &RefusedError{StatusCode: a.status, Err: a.refused})
	case a.status != http.StatusMethodNotAllowed: // which is not a delivery
		strangers = 1
	}
	h.log(ctx, level, a)
	h.warn(ctx, h.strangers.count(strangers))
}

func (h *Handler) log(ctx context.Context, level slog.Level, a answer) {
	if h.logger == nil {
		return
	}
	event := string(labelOf(a.event))
	h.logger.LogAttrs(ctx, level, "drift webhook",
		slog.Int("status", a.status), slog.String("event", event), slog.String("reason", a.reason))
}

func (h *Handler) warn(ctx context.Context, refused int) {
	if h.logger == nil || refused == 0 {
		return
	}
	const message = "drift webhook: refused requests without the right token"
	h.logger.LogAttrs(ctx, slog.LevelWarn, message, slog.Int("refused", refused))
}

// strangers counts refused requests that do not show the right token.
type strangers struct {
	mu      sync.Mutex
	refused int // since the last warning
	warned  time.Time
}

const warnEvery = time.Minute

// count adds n and returns how many to warn of: at most once a minute those that have gathered, otherwise 0.
func (s *strangers) count(n int) (due int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused += n
	now := time.Now()
	if s.refused == 0 || now.Sub(s.warned) < warnEvery {
		return 0
	}
	due, s.refused, s.warned = s.refused, 0, now
	return due
}
