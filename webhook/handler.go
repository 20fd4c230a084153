package webhook

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// Handler receives deliveries. It is safe for concurrent use.
type Handler struct {
	config
	forKnown, forStrangers *room // for bodies
	strangers              strangers

	mu        sync.Mutex
	known     func(token string) bool // a function, so that not even hashes of tokens are printed
	functions []function              // it only grows
	active    int                     // deliveries between enter and leave, those in the queue included
	queue     []*delivery
	running   map[*delivery]bool     // deliveries that functions handle
	reports   map[chan struct{}]bool // calls of onError that run; each is closed at its end
	working   int                    // workers that run
	closed    bool
	drained   chan struct{} // closed when Shutdown was called and active is 0

	base context.Context // ends with Shutdown
	stop context.CancelCauseFunc
}

// NewHandler returns a handler for the deliveries of one app. tokens are its verification tokens: one, or, while the
// token is being replaced, the old and the new one. Wrong tokens and options are a [*drift.ValidationError].
//
// Register functions with [On] before serving.
func NewHandler(tokens []string, opts ...Option) (*Handler, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	if err := c.check("webhook.NewHandler", tokens); err != nil {
		return nil, err
	}
	h := &Handler{
		config:       *c,
		forKnown:     newRoom(roomForKnown, c.maxBody),
		forStrangers: newRoom(roomForStrangers, c.maxBody),
		known:        anyOf(tokens),
		running:      map[*delivery]bool{},
		reports:      map[chan struct{}]bool{},
		drained:      make(chan struct{}),
	}
	h.base, h.stop = context.WithCancelCause(context.Background())
	return h, nil
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
// With [Event] itself f is called for every event, whatever its type. Several functions for one event are called in
// the order in which they were registered, up to the first error. The answer is then 500; if the sender tries again,
// which is not documented, all are called again. A function that is registered while deliveries come in takes part
// from the next one on. An event for which there is none is answered 200.
//
// The context is the request's; with [WithQueue] it has the values of the request, and ends only with
// [Handler.Shutdown].
func On[E Event](h *Handler, f func(ctx context.Context, e E) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.functions = append(h.functions, function{
		takes: func(e Event) bool { _, ok := e.(E); return ok },
		call:  func(ctx context.Context, e Event) error { return f(ctx, e.(E)) },
	})
}

// ServeHTTP answers one delivery; the documentation of the package lists the answers.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, received := h.credentials(r.Header), time.Now()
	a := h.serve(w, r, c, received)
	a.proved = c.proved
	h.note(r.Context(), a)
	if a.outcome != "" && a.status != http.StatusMethodNotAllowed { // which is not a delivery
		h.delivered(r.Context(), a.event, received, a.outcome, a.status)
	}
	a.write(w)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, c *credentials, received time.Time) answer {
	unlimited := h.limitReading(w, r)
	if status, err := h.examine(r, c); err != nil {
		return refuse(status, err)
	}
	p, a := h.receive(w, r, c)
	if a.status != 0 {
		a.event = p.unknown(a.refused)
		return a
	}
	unlimited()
	return h.deliver(r.Context(), p, received)
}

// examine looks at everything but the body.
func (h *Handler) examine(r *http.Request, c *credentials) (status int, err error) {
	switch {
	case r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, errors.New("not a POST")
	case r.ContentLength > h.maxBody:
		return http.StatusRequestEntityTooLarge, errors.New("Content-Length is too large")
	case c.wrongHeader():
		return http.StatusUnauthorized, errors.New("the token in the header is wrong")
	case h.headerRequired && !c.proved:
		return http.StatusUnauthorized, errors.New("there is no token in the header")
	case !isJSON(r.Header):
		return http.StatusUnsupportedMediaType, errors.New("not plain JSON in UTF-8")
	}
	return 0, nil
}

// receive reads the body and checks what it says. Its answer has no status if there is nothing to refuse. The parts
// of a refused delivery are those that came.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request, c *credentials) (*parts, answer) {
	room := h.forStrangers
	if c.proved {
		room = h.forKnown
	}
	body, done, readErr := h.readBody(w, r, room)
	defer done()
	p, err := readTyped(body)
	authentic := c.accept(p)
	switch {
	case readErr != nil:
		return p, refuseBody(readErr)
	case !authentic:
		return p, refuse(http.StatusUnauthorized, errors.New("the token in the body is missing or wrong"))
	case err != nil:
		a := refuse(http.StatusBadRequest, decodeError("webhook", err))
		a.reason = err.Error()
		return p, a
	}
	return p, answer{}
}

func (h *Handler) deliver(ctx context.Context, p *parts, received time.Time) answer {
	d := &delivery{event: p.event(), key: p.key(), ctx: ctx, received: received}
	a := h.answerTo(d)
	a.event = d.event
	return a
}

func (h *Handler) answerTo(d *delivery) answer {
	if !h.enter() {
		return refuse(http.StatusServiceUnavailable, ErrShutdown)
	}
	defer h.leave()
	claim, err := h.claim(d)
	switch {
	case err != nil:
		h.report(d.ctx, d.event, err)
		const reason = "the store of duplicates failed"
		return answer{status: http.StatusServiceUnavailable, reason: reason, outcome: outcomeOf(err)}
	case claim == Handled:
		return answer{status: http.StatusOK, reason: "handled before", outcome: OutcomeDuplicate}
	case claim == InFlight && d.event.OccurredAt().IsZero(): // perhaps another event
		return refuse(http.StatusConflict, ErrInFlight)
	case claim == InFlight:
		return answer{status: http.StatusConflict, reason: "being handled", outcome: OutcomeDuplicate}
	case h.queueSize > 0:
		return h.enqueue(d)
	}
	h.track(d)
	defer h.untrack(d)
	switch err := h.handle(d); {
	case errors.Is(err, errUnhandled):
		return answer{status: http.StatusInternalServerError, reason: errUnhandled.Error()}
	case err != nil:
		return answer{status: http.StatusInternalServerError, reason: "the handler failed"}
	}
	return answer{status: http.StatusOK, reason: "handled"}
}
