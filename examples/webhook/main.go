// Command webhook answers visitors: Drift sends it an event for every new message, and it writes an answer into the conversation.
//
// Without DRIFT_TOKEN in the environment it needs no account and no network: it starts a Drift in memory, plays a visitor, and ends
// when there is an answer. With it, and with DRIFT_VERIFICATION_TOKEN, it serves until Ctrl-C and writes into your account; put
// something before it that speaks TLS, and enter that URL on the Events page of your app.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/webhook"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8977", "the host and port to listen on (with DRIFT_TOKEN)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, *addr, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// start chooses between your account and a server in this process.
func start(ctx context.Context, addr string, w io.Writer) error {
	if os.Getenv("DRIFT_TOKEN") == "" {
		return offline(ctx, w)
	}
	client, err := drift.NewClient(drift.FromEnv())
	if err != nil {
		return err
	}
	defer client.Close()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return run(ctx, listener, client, os.Getenv("DRIFT_VERIFICATION_TOKEN"), w)
}

// offline has a visitor write to a Drift in memory that sends every event twice, as can happen.
func offline(ctx context.Context, w io.Writer) error {
	fmt.Fprintln(w, "DRIFT_TOKEN is not set: calling a Drift in memory.")
	server := drifttest.NewServer()
	defer server.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, listener, server.Client(), drifttest.DefaultWebhookToken, w) }()

	hooks := server.SendWebhooks(drifttest.Webhook{URL: "http://" + listener.Addr().String() + path, Duplicates: 1})
	contact := server.AddContact(drift.Contact{Email: "grace@customer.example"})
	conversation := server.AddConversation(drift.Conversation{ContactID: contact})
	server.AddMessage(drift.Message{ConversationID: conversation, Body: "<p>Do you ship to Lisbon?</p>"})
	err = hooks.Wait(ctx)
	stop()
	fmt.Fprintf(w, "%d events, each sent twice: %d answer.\n", len(hooks.Deliveries()), server.Count("messages.create"))
	return errors.Join(err, <-ended)
}

const path = "/webhooks/drift"

// run serves until ctx ends. Whoever can reach the server may send it anything, so everything has a limit.
func run(ctx context.Context, listener net.Listener, client *drift.Client, token string, w io.Writer) error {
	handler, err := newHandler(client, token, w)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	mux := http.NewServeMux()
	mux.Handle(path, handler)
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      time.Minute, // the answer waits for the handler
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err = <-ended:
		return err
	case <-ctx.Done():
	}
	// Deliveries that are being handled may finish.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = errors.Join(server.Shutdown(ctx), handler.Shutdown(ctx))
	<-ended
	return err
}

// newHandler is the part to copy.
func newHandler(client *drift.Client, token string, w io.Writer) (*webhook.Handler, error) {
	handler, err := webhook.NewHandler([]string{token}, webhook.WithOnError(func(_ context.Context, event webhook.Event, err error) {
		fmt.Fprintf(w, "%s failed: %v\n", event.EventType(), err) // also where an event has a shape that webhook does not know
	}))
	if err != nil {
		return nil, err
	}
	webhook.On(handler, func(ctx context.Context, event *webhook.NewMessage) error {
		message := event.Data
		if message.Author == nil || message.Author.Type != drift.AuthorTypeContact {
			return nil // from an agent, from a bot, or our own: answering that would never end
		}
		answer, err := client.Messages.Create(ctx, message.ConversationID, drift.MessageCreateRequest{
			Body:            "<p>Thank you! Somebody will be with you in a minute.</p>",
			ClientMessageID: "answer-to-" + message.ID.String(), // so that a second one can be told for what it is
		})
		if errors.Is(err, drift.ErrAmbiguous) {
			fmt.Fprintf(w, "Conversation %s may have got its answer, please look at it: %v\n", message.ConversationID, err)
			return nil // or Drift would send the event again, and the visitor might get two
		}
		if err != nil {
			return err // Drift sends it again
		}
		// What a stranger wrote may hold anything, also what a terminal obeys.
		fmt.Fprintf(w, "Conversation %s: %q\n  answered with message %s.\n", message.ConversationID, message.Body, answer.ID)
		return nil
	})
	return handler, nil
}
