package webhook

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Handler receives deliveries. It is safe for concurrent use.
type Handler struct {
	config
	known func(token string) bool // a function, so that not even hashes of tokens are printed

	mu        sync.Mutex
	functions []function // it only grows
	active    int        // deliveries between enter and leave, those in the queue included
	queue     []*delivery
	working   int // workers that run
	closed    bool
	drained   chan struct{} // closed when Shutdown was called and active is 0

	base context.Context // ends with Shutdown
	stop context.CancelCauseFunc
}

// NewHandler returns a handler for the deliveries of one app. tokens are its verification tokens: one, or, while the token is
// being replaced, the old and the new one. Wrong tokens and options are a [*drift.ValidationError].
//
// Register functions with [On] before serving.
func NewHandler(tokens []string, opts ...Option) (*Handler, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	if err := c.check(tokens); err != nil {
		return nil, err
	}
	h := &Handler{config: *c, known: anyOf(tokens), drained: make(chan struct{})}
	h.base, h.stop = context.WithCancelCause(context.Background())
	return h, nil
}

// anyOf compares hashes, which all have one length, and compares all of them, so that the time it takes tells nothing.
func anyOf(tokens []string) func(string) bool {
	hashes := make([][sha256.Size]byte, len(tokens))
	for i, token := range tokens {
		hashes[i] = sha256.Sum256([]byte(token))
	}
	return func(token string) bool {
		hash := sha256.Sum256([]byte(token))
		found := 0
		for i := range hashes {
			found |= subtle.ConstantTimeCompare(hash[:], hashes[i][:])
		}
		return found == 1
	}
}

// function is what On was given.
type function struct {
	takes func(e Event) bool
	call  func(ctx context.Context, e Event) error
}

// On has f called for every event of type E, a pointer to one of the event types of this package:
//
//	webhook.On(handler, func(ctx context.Context, e *webhook.NewMessage) error { … })
//
// With [Event] itself f is called for every event, whatever its type. Several functions for one event are called in the order
// in which they were registered, up to the first error. The answer is then 500; if the sender tries again, which is not
// documented, all are called again. A function that is registered while deliveries come in takes part from the next one on. An
// event for which there is none is answered 200.
//
// The context is the request's; with [WithQueue] it has the values of the request, and ends only with [Handler.Shutdown].
func On[E Event](h *Handler, f func(ctx context.Context, e E) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.functions = append(h.functions, function{
		takes: func(e Event) bool { _, ok := e.(E); return ok },
		call:  func(ctx context.Context, e Event) error { return f(ctx, e.(E)) },
	})
}

// answer is a status, and why it is that one, for the log.
type answer struct {
	status int
	reason string
	event  EventType
}

// ServeHTTP answers one delivery; the documentation of the package lists the answers.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := h.serve(w, r)
	switch a.status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusConflict, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	}
	h.log(r.Context(), a)
	if a.status == http.StatusOK {
		w.WriteHeader(a.status)
		return
	}
	http.Error(w, http.StatusText(a.status), a.status) // the reason is nobody's business but the log's
}

const retryAfter = "5" // seconds

func (h *Handler) log(ctx context.Context, a answer) {
	if h.logger == nil {
		return
	}
	event := "unknown"
	if a.event.IsKnown() {
		event = string(a.event)
	}
	h.logger.LogAttrs(ctx, slog.LevelDebug, "drift webhook", slog.Int("status", a.status), slog.String("event", event), slog.String("reason", a.reason))
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) answer {
	unlimited := h.limitReading(w, r)
	if a, ok := h.examine(r); !ok {
		return a
	}
	source := r.Body
	if source == nil { // of a request that no server read
		source = http.NoBody
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, source, h.maxBody))
	if err != nil {
		return unreadable(err)
	}
	unlimited()
	p, err := readTyped(body)
	switch {
	case !h.authentic(r.Header, p):
		return answer{status: http.StatusUnauthorized, reason: "the token in the body is missing or wrong"}
	case err != nil:
		return answer{status: http.StatusBadRequest, reason: err.Error()}
	}
	a := h.deliver(r.Context(), p)
	a.event = p.eventType
	return a
}

// examine looks at everything but the body.
func (h *Handler) examine(r *http.Request) (answer, bool) {
	switch {
	case r.Method != http.MethodPost:
		return answer{status: http.StatusMethodNotAllowed, reason: "not a POST"}, false
	case r.ContentLength > h.maxBody:
		return answer{status: http.StatusRequestEntityTooLarge, reason: "Content-Length is too large"}, false
	case len(r.Header.Values(tokenHeader)) > 0 && !h.authenticHeader(r.Header):
		return answer{status: http.StatusUnauthorized, reason: "the token in the header is wrong"}, false
	case !isJSON(r.Header):
		return answer{status: http.StatusUnsupportedMediaType, reason: "not plain JSON in UTF-8"}, false
	}
	return answer{}, true
}

const tokenHeader = "X-Verification-Token"

func (h *Handler) authenticHeader(header http.Header) bool {
	values := header.Values(tokenHeader)
	return len(values) == 1 && h.known(values[0])
}

// authentic looks at the tokens after the body is there: one must be, and where both are, both must be right, and the same.
func (h *Handler) authentic(header http.Header, p *parts) bool {
	switch values := header.Values(tokenHeader); {
	case !p.hasToken:
		return h.authenticHeader(header)
	case len(values) == 0:
		return h.known(p.token)
	default:
		return h.known(p.token) && h.authenticHeader(header) && p.token == values[0] // both are known, so nothing is given away
	}
}

// isJSON takes a delivery without a media type for JSON: it is not documented which one Drift sends.
func isJSON(header http.Header) bool {
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return false
	}
	contentType := header.Get("Content-Type")
	if contentType == "" {
		return true
	}
	mediaType, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || mediaType != "application/json" && !(strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json")) {
		return false
	}
	charset, ok := parameters["charset"]
	return !ok || strings.EqualFold(charset, "utf-8")
}

// limitReading sets a deadline for the body. It holds for a refused body too, which the server reads to find the next request.
// After a body that was read it must be lifted, or it would end the request's context while the delivery is being handled.
func (h *Handler) limitReading(w http.ResponseWriter, r *http.Request) (unlimited func()) {
	timeout := h.bodyTimeout(r)
	if timeout == 0 {
		return func() {}
	}
	controller := http.NewResponseController(w)
	if controller.SetReadDeadline(time.Now().Add(timeout)) != nil {
		return func() {}
	}
	return func() { _ = controller.SetReadDeadline(time.Time{}) }
}

// bodyTimeout is 0 where the server has a timeout of its own.
func (h *Handler) bodyTimeout(r *http.Request) time.Duration {
	if h.readTimeout > 0 {
		return h.readTimeout
	}
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && server.ReadTimeout > 0 {
		return 0
	}
	return DefaultReadTimeout
}

func unreadable(err error) answer {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return answer{status: http.StatusRequestEntityTooLarge, reason: "the body is too long"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return answer{status: http.StatusRequestTimeout, reason: "the body did not come in time"}
	default:
		return answer{status: http.StatusBadRequest, reason: "the body broke off"}
	}
}

func (h *Handler) deliver(ctx context.Context, p *parts) answer {
	if !h.enter() {
		return answer{status: http.StatusServiceUnavailable, reason: "shutting down"}
	}
	defer h.leave()
	d := &delivery{event: p.event(), key: p.key()}
	claim, err := h.claim(ctx, d)
	switch {
	case err != nil:
		h.report(ctx, d.event, err)
		return answer{status: http.StatusServiceUnavailable, reason: "the store of duplicates failed"}
	case claim == Handled:
		return answer{status: http.StatusOK, reason: "handled before"}
	case claim == InFlight:
		return answer{status: http.StatusConflict, reason: "being handled"}
	case h.queueSize > 0:
		return h.enqueue(ctx, d)
	}
	switch err := h.handle(ctx, d); {
	case errors.Is(err, errUntold):
		return answer{status: http.StatusInternalServerError, reason: "the data do not fit, and nobody is told"}
	case err != nil:
		return answer{status: http.StatusInternalServerError, reason: "the handler failed"}
	}
	return answer{status: http.StatusOK, reason: "handled"}
}
