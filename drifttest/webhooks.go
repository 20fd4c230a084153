package drifttest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// DefaultWebhookToken is the verification token of a [Webhook] that names none.
const DefaultWebhookToken = "drifttest-webhook-token"

const (
	defaultAttempts = 5
	defaultBackoff  = 10 * time.Millisecond
	defaultTimeout  = 10 * time.Second
)

// Webhook is where a [Server] sends what happens in it, and how. Only URL is needed.
type Webhook struct {
	URL string
	// Token goes along in the X-Verification-Token header and in the body. "": [DefaultWebhookToken].
	Token string
	// Events are the types to send, such as "new_message". None: all.
	Events []string

	// Attempts is how often a delivery is tried until it is answered with 2xx; redirects are not followed. 0: five
	// times.
	Attempts int
	// Backoff passes before the second attempt, twice as much before the third, and so on. 0: 10 ms.
	Backoff time.Duration
	// Timeout is how long the receiver has for its answer. 0: 10 s.
	Timeout time.Duration

	// Duplicates is how many times more a delivery is sent once it was accepted.
	Duplicates int
	// Reverse holds deliveries back until there are so many, then sends them in reverse order. [Webhooks.Wait] sends
	// what is held back. 0 and 1 keep the order of events.
	Reverse int
}

func (h Webhook) check() error {
	u, err := url.Parse(h.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return errors.New("URL: must be a whole http or https URL")
	}
	if h.Attempts < 0 || h.Backoff < 0 || h.Timeout < 0 || h.Duplicates < 0 || h.Reverse < 0 {
		return errors.New("a negative Attempts, Backoff, Timeout, Duplicates or Reverse")
	}
	return nil
}

func (h Webhook) withDefaults() Webhook {
	h.Token = cmp.Or(h.Token, DefaultWebhookToken)
	h.Events = slices.Clone(h.Events)
	h.Attempts = cmp.Or(h.Attempts, defaultAttempts)
	h.Backoff = cmp.Or(h.Backoff, defaultBackoff)
	h.Timeout = cmp.Or(h.Timeout, defaultTimeout)
	return h
}

// Delivery is an event on its way to a receiver.
type Delivery struct {
	Event    string          // its type, such as "new_message"
	Data     json.RawMessage // as sent
	Statuses []int           // of the answers, one an attempt, duplicates included; 0 where there was none
	Accepted bool            // answered with 2xx
	Done     bool            // accepted and repeated as often as wanted, or given up
}

// Webhooks are the deliveries to one receiver. Its methods are safe for concurrent use.
type Webhooks struct {
	hook   Webhook
	client *http.Client
	ctx    context.Context // ends with the server
	cancel context.CancelFunc
	ended  chan struct{} // closed when the sender is done with

	mu         sync.Mutex // guards what follows
	deliveries []*Delivery
	waiting    []*Delivery // not yet taken by the sender
	unfinished int
	flush      bool          // deliveries must not be held back
	changed    chan struct{} // closed, and made anew, at every change
}

// SendWebhooks sends what happens in the server from now on, one event after the other, until the server closes. Events
// come from requests and from [Server.AddMessage], [Server.AddConversation] and [Server.AddContact]: new_message,
// new_command_message (of a message that starts with a slash, in place of new_message), new_conversation,
// conversation_status_updated, contact_identified, contact_updated, new_meeting and meeting_updated. [Webhooks.Send]
// sends others.
//
// A bad Webhook ends the test that started the server, or panics if no test did.
func (s *Server) SendWebhooks(hook Webhook) *Webhooks {
	s.t.Helper()
	if err := hook.check(); err != nil {
		s.t.Fatalf("drifttest: SendWebhooks: %v", err)
		return nil
	}
	w := newWebhooks(hook.withDefaults())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		w.cancel()
	}
	s.closers = append(s.closers, senderCloser{w})
	s.store.listeners = append(s.store.listeners, w.add)
	go w.run()
	return w
}

func newWebhooks(hook Webhook) *Webhooks {
	ctx, cancel := context.WithCancel(context.Background())
	return &Webhooks{
		hook:   hook,
		ctx:    ctx,
		cancel: cancel,
		ended:  make(chan struct{}),
		client: &http.Client{
			Transport:     &http.Transport{},
			Timeout:       hook.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		changed: make(chan struct{}),
	}
}

// senderCloser keeps Close out of the methods of Webhooks: they end with the server.
type senderCloser struct{ *Webhooks }

func (c senderCloser) Close() error {
	c.cancel()
	<-c.ended
	c.client.CloseIdleConnections()
	return nil
}

// Send sends an event that nothing in the server leads to, such as "phone_captured", by the rules of [NewDelivery] for
// data. It goes out after the events before it, whatever [Webhook.Events] says.
func (w *Webhooks) Send(event string, data any) {
	w.enqueue(event, eventData(data))
}

// Deliveries returns all deliveries in the order of events, as copies.
func (w *Webhooks) Deliveries() []Delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	deliveries := make([]Delivery, len(w.deliveries))
	for i, d := range w.deliveries {
		deliveries[i] = *d
		deliveries[i].Data = bytes.Clone(d.Data)
		deliveries[i].Statuses = slices.Clone(d.Statuses)
	}
	return deliveries
}

// Wait returns when every delivery is done: accepted or given up, which [Webhooks.Deliveries] tells. Its error is that
// of ctx if ctx ends first, or says that the server was closed.
func (w *Webhooks) Wait(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.unfinished > 0 {
		if len(w.waiting) > 0 && !w.flush {
			w.flush = true
			w.change()
		}
		changed := w.changed
		w.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-w.ended:
			err = errors.New("drifttest: the server was closed before every webhook was delivered")
		}
		w.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// add takes an event of the server.
func (w *Webhooks) add(event string, data object) {
	if len(w.hook.Events) == 0 || slices.Contains(w.hook.Events, event) {
		w.enqueue(event, encode(data))
	}
}

func (w *Webhooks) enqueue(event string, data json.RawMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := &Delivery{Event: event, Data: data}
	w.deliveries = append(w.deliveries, d)
	w.waiting = append(w.waiting, d)
	w.unfinished++
	w.change()
}

// change wakes everybody who waits for one. The caller holds w.mu.
func (w *Webhooks) change() {
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *Webhooks) run() {
	defer close(w.ended)
	for {
		batch := w.next()
		if batch == nil {
			return
		}
		for _, d := range batch {
			w.deliver(d)
		}
	}
}

// next waits for the deliveries to send, and returns none at the end.
func (w *Webhooks) next() []*Delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.ctx.Err() == nil {
		if batch := w.take(); len(batch) > 0 {
			return batch
		}
		changed := w.changed
		w.mu.Unlock()
		select {
		case <-changed:
		case <-w.ctx.Done():
		}
		w.mu.Lock()
	}
	return nil
}

// take removes from the queue what is to be sent now. The caller holds w.mu.
func (w *Webhooks) take() []*Delivery {
	n := max(w.hook.Reverse, 1)
	if len(w.waiting) < n && !w.flush {
		return nil
	}
	n = min(n, len(w.waiting))
	batch := slices.Clone(w.waiting[:n])
	w.waiting = w.waiting[n:]
	if len(w.waiting) == 0 {
		w.flush = false
	}
	slices.Reverse(batch)
	return batch
}

func (w *Webhooks) deliver(d *Delivery) {
	accepted := w.attempt(d)
	if accepted {
		for range w.hook.Duplicates {
			w.send(d)
		}
	}
	if w.ctx.Err() != nil {
		return // broken off, which is neither accepted nor given up
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	d.Accepted, d.Done = accepted, true
	w.unfinished--
	w.change()
}

// attempt sends until the receiver accepts, and reports whether it did.
func (w *Webhooks) attempt(d *Delivery) bool {
	backoff := w.hook.Backoff
	for n := range w.hook.Attempts {
		if n > 0 {
			if !sleep(w.ctx, backoff) {
				return false
			}
			backoff *= 2
		}
		if status := w.send(d); status >= 200 && status < 300 {
			return true
		}
	}
	return false
}

// sleep reports whether it came to the end of it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// send returns the status of the answer, or 0 where there is none.
func (w *Webhooks) send(d *Delivery) int {
	status := w.post(d)
	w.mu.Lock()
	defer w.mu.Unlock()
	d.Statuses = append(d.Statuses, status)
	return status
}

func (w *Webhooks) post(d *Delivery) int {
	request, err := newDelivery(w.ctx, w.hook.URL, w.hook.Token, d.Event, d.Data)
	if err != nil {
		return 0
	}
	response, err := w.client.Do(request)
	if err != nil {
		return 0
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)) // so that the connection is used again
	return response.StatusCode
}

// NewDelivery returns a valid delivery of an event, to test a receiver without a server:
//
//	recorder := httptest.NewRecorder()
//	handler.ServeHTTP(recorder, drifttest.NewDelivery(token, "new_message", drift.Message{ID: 1, ConversationID: 42, Body: "hello"}))
//
// The token stands in the X-Verification-Token header and in the body. The data is anything that encodes as JSON; its
// names become camelCase, as webhooks have them, except within attributes. A [json.RawMessage] goes as it is. Data that
// does not encode panics. For a test of deliveries that come twice the data needs a time, here CreatedAt: without one
// no receiver can tell.
func NewDelivery(token, event string, data any) *http.Request {
	request, err := newDelivery(context.Background(), "http://127.0.0.1/", token, event, eventData(data))
	if err != nil {
		panic(fmt.Sprintf("drifttest: NewDelivery: %v", err)) // context and URL are good
	}
	request.RemoteAddr = "127.0.0.1:1234"
	return request
}

func newDelivery(ctx context.Context, target, token, event string, data json.RawMessage) (*http.Request, error) {
	body := encode(object{"type": event, "orgId": orgID, "token": token, "data": data})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Verification-Token", token)
	request.Header.Set("User-Agent", "drifttest")
	return request, nil
}

// eventData encodes the data of an event.
func eventData(data any) json.RawMessage {
	if raw, ok := data.(json.RawMessage); ok {
		return raw
	}
	encoded, err := json.Marshal(data)
	if err != nil {
		panic(fmt.Sprintf("drifttest: the data of an event: %v", err))
	}
	value, err := decode(encoded)
	if err != nil {
		panic(fmt.Sprintf("drifttest: the data of an event: %v", err))
	}
	return encode(camelNames(value))
}

// camelNames turns the names within a value from snake_case into camelCase. Attributes are named by their users, so
// they stay.
func camelNames(value any) any {
	switch value := value.(type) {
	case map[string]any:
		members := make(map[string]any, len(value))
		for name, member := range value {
			if name != "attributes" && name != "custom_attributes" {
				member = camelNames(member)
			}
			members[camelName(name)] = member
		}
		return members
	case []any:
		items := make([]any, len(value))
		for i, item := range value {
			items[i] = camelNames(item)
		}
		return items
	}
	return value
}

func camelName(name string) string {
	words := strings.Split(name, "_")
	for i, word := range words[1:] {
		if word != "" {
			words[i+1] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return strings.Join(words, "")
}
