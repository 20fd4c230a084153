package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/driftsdk/drift"
)

// service answers requests with what Drift says.
type service struct {
	client   *drift.Client
	log      *slog.Logger
	registry prometheus.Gatherer
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /inbox", s.inbox)
	mux.HandleFunc("GET /contacts/{id}", s.contact)
	// A collector that fails, for example because a store does not answer, must not hide the other metrics.
	options := promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, options))
	return mux
}

// inbox answers with the titles of open conversations.
func (s *service) inbox(w http.ResponseWriter, r *http.Request) {
	page, err := s.client.Conversations.ListByStatus(r.Context(), drift.ConversationStatusOpen,
		drift.ConversationListByStatusOptions{})
	if err != nil {
		fail(w, err)
		return
	}
	for _, conversation := range page.Items {
		fmt.Fprintln(w, conversation.Title)
	}
}

// contact says whether there is such a contact.
func (s *service) contact(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64) // the client rejects 0
	if _, err := s.client.Contacts.Get(r.Context(), drift.ContactID(id)); err != nil {
		fail(w, err)
		return
	}
	fmt.Fprintln(w, "There is such a contact.")
}

// fail answers with the kind of an error. Its text is for the log.
func fail(w http.ResponseWriter, err error) {
	kind, status := drift.KindOf(err), http.StatusBadGateway
	switch kind {
	case drift.KindNotFound:
		status = http.StatusNotFound
	case drift.KindInvalid:
		status = http.StatusBadRequest
	case drift.KindRateLimited, drift.KindQuotaExceeded:
		status = http.StatusServiceUnavailable
	}
	http.Error(w, string(kind), status)
}

// job reads a page of contacts from time to time, until ctx ends. Its calls leave room for those of the visitors.
func (s *service) job(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	client := s.client.With(drift.WithBulk())
	for {
		page, err := client.Contacts.List(ctx, drift.ContactListOptions{Limit: 100})
		switch {
		case err == nil:
			s.log.InfoContext(ctx, "contacts read", slog.Int("contacts", len(page.Items)))
		case ctx.Err() == nil: // for whoever starts the program with a wrong token or URL
			s.log.WarnContext(ctx, "no contacts read: check DRIFT_TOKEN and DRIFT_BASE_URL",
				slog.String("kind", string(drift.KindOf(err))), slog.String("kinds", "docs/errors.md"))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// serve serves until ctx ends.
func (s *service) serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	// Let the requests in progress finish, but not those that would wait a minute for the rate limit.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		_ = server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
