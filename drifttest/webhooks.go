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

// DefaultWebhookToken is the verification token of a [Webhook] without a Token.
const DefaultWebhookToken = "drifttest-webhook-token"

const (
	defaultAttempts = 5
	defaultBackoff  = 10 * time.Millisecond
	defaultTimeout  = 10 * time.Second
)

// Webhook says where and how a [Server] sends its events. Only URL or Handler is required.
type Webhook struct {
	URL string
	// Handler receives the deliveries in place of a URL, over connections in memory. In a bubble of
	// testing/synctest it is the only way.
	Handler http.Handler
	// Token is sent in the X-Verification-Token header and in the body. "": DefaultWebhookToken.
	Token string
	// Events are the types to send, such as "new_message". Empty: all.
	Events []string

	// Attempts is the maximum number of attempts to get a 2xx answer. Redirects are not followed.
	// 0: five.
	Attempts int
	// Backoff is the delay before the second attempt. It doubles with each further attempt. 0: 10
	// ms.
	Backoff time.Duration
	// Timeout is how long the receiver may take to answer. 0: 10 s.
	Timeout time.Duration

	// Duplicates is how many more times a delivery is sent after it has been accepted.
	Duplicates int
	// Reverse collects this many deliveries, then sends them in reverse order. Webhooks.Wait sends
	// a smaller rest. 0 and 1 keep the order of events.
	Reverse int
}

func (h Webhook) check() error {
	if h.Handler != nil {
		if h.URL != "" {
			return errors.New("URL and Handler are mutually exclusive")
		}
		h.URL = receiverURL
	}
	u, err := url.Parse(h.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return errors.New("URL: must be an absolute http or https URL")
	}
	if h.Attempts < 0 || h.Backoff < 0 || h.Timeout < 0 || h.Duplicates < 0 || h.Reverse < 0 {
		return errors.New("negative Attempts, Backoff, Timeout, Duplicates or Reverse")
	}
	return nil
}

// receiverURL is the URL of a Handler.
const receiverURL = "http://receiver.localhost/"

func (h Webhook) withDefaults() Webhook {
	if h.Handler != nil {
		h.URL = receiverURL
	}
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
	Statuses []int           // of the answers, one for each attempt, duplicates included; 0 without an answer
	Accepted bool            // a 2xx answer arrived
	Done     bool            // accepted and all duplicates sent, or given up
}

// Webhooks are the deliveries to one receiver. Its methods are safe for concurrent use.
type Webhooks struct {
	hook   Webhook
	client *http.Client
	server *http.Server    // of the handler; nil if there is none
	ctx    context.Context // ends with the server
	cancel context.CancelFunc
	ended  chan struct{} // closed when the sender has ended

	mu         sync.Mutex // guards the fields below
	deliveries []*Delivery
	waiting    []*Delivery // not yet taken by the sender
	unfinished int
	flush      bool          // send deliveries without waiting for Reverse
	changed    chan struct{} // closed and replaced at every change
}

// SendWebhooks sends the server's events from now on, one after the other, until the server closes. Requests cause
// events, and so do [Server.AddMessage], [Server.AddConversation] and [Server.AddContact]. The events are new_message,
// new_command_message (instead of new_message, for a message that starts with a slash), new_conversation,
// conversation_status_updated, contact_identified, contact_updated, new_meeting and meeting_updated. To send others,
// use [Webhooks.Send].
//
// A bad Webhook ends the test that started the server, or panics if no test did.
func (s *Server) SendWebhooks(hook Webhook) *Webhooks {
	s.t.Helper()
	err := hook.check()
	if err == nil && s.inMemory && hook.Handler == nil {
		err = errors.New("URL: there is no network in a bubble; set Handler")
	}
	if err != nil {
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
	w := &Webhooks{
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
	if hook.Handler != nil {
		listener := newMemory()
		w.client.Transport = listener.transport()
		w.server = &http.Server{Handler: hook.Handler, ReadHeaderTimeout: time.Minute}
		go func() { _ = w.server.Serve(listener) }() // always ends with ErrServerClosed
	}
	return w
}

// senderCloser keeps Close out of the method set of Webhooks, which end with the server.
type senderCloser struct{ *Webhooks }

func (c senderCloser) Close() error {
	c.cancel()
	<-c.ended
	c.client.CloseIdleConnections()
	if c.server != nil {
		return c.server.Close()
	}
	return nil
}

// Send sends an event that the server itself does not cause, such as "phone_captured". For data the rules of
// [NewDelivery] apply. The event goes out after all earlier ones, even if [Webhook.Events] does not list it.
func (w *Webhooks) Send(event string, data any) {
	w.enqueue(event, eventData(data))
}

// Deliveries returns copies of all deliveries, in the order of their events.
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

// Wait returns when every delivery has been accepted or given up; see [Webhooks.Deliveries]. If ctx ends first, it
// returns the error of ctx. If the server is closed first, it returns an error too.
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

// add queues an event of the server, if it is to be sent.
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

// change wakes all goroutines that wait for a change. The caller holds w.mu.
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

// next waits for deliveries to send. It returns nil when the server closes.
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

// take removes the deliveries to send now from the queue. The caller holds w.mu.
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
		return // interrupted, which is neither accepted nor given up
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	d.Accepted, d.Done = accepted, true
	w.unfinished--
	w.change()
}

// attempt sends a delivery until the receiver accepts it, and reports whether it did.
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

// sleep reports whether it slept to the end.
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

// send returns the status of the answer, or 0 without an answer.
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
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)) // so that the connection can be reused
	return response.StatusCode
}

// NewDelivery returns a valid delivery of an event, to test a receiver without a server:
//
//	recorder := httptest.NewRecorder()
//	message := drift.Message{ID: 1, ConversationID: 42, Body: "hello"}
//	handler.ServeHTTP(recorder, drifttest.NewDelivery(token, "new_message", message))
//
// The token is in the X-Verification-Token header and in the body. Data may be any value that encodes as JSON. Its
// names become camelCase, as in webhooks, except within attributes; a [json.RawMessage] is sent unchanged. NewDelivery
// panics if the data does not encode.
//
// To test duplicates, the data needs a time, such as the message's CreatedAt. Without one, two identical deliveries may
// be two events.
func NewDelivery(token, event string, data any) *http.Request {
	request, err := newDelivery(context.Background(), "http://127.0.0.1/", token, event, eventData(data))
	if err != nil {
		panic(fmt.Sprintf("drifttest: NewDelivery: %v", err)) // context and URL are valid
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
		panic(fmt.Sprintf("drifttest: the data of an event does not encode: %v", err))
	}
	value, err := decode(encoded)
	if err != nil {
		panic(fmt.Sprintf("drifttest: the data of an event does not encode: %v", err))
	}
	return encode(camelNames(value))
}

// camelNames converts the names within a value from snake_case to camelCase. It keeps the names of attributes, which
// users choose.
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
