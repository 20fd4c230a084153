// Command webhook answers visitors: Drift sends it an event for every new message, and it writes an answer into the
// conversation.
//
// Without DRIFT_TOKEN in the environment you need no account and no network: the program starts an in-memory Drift
// server, acts as a visitor, and ends after the answer. With DRIFT_TOKEN, DRIFT_VERIFICATION_TOKEN and -write it serves
// until Ctrl-C and writes into your account. Put a proxy with TLS in front of it, and enter the proxy's URL on the
// Events page of your app.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/cli"
	"github.com/driftsdk/drift/webhook"
)

const about = `Answers visitors: Drift sends it an event for every new message, and it writes
an answer into the conversation. With DRIFT_TOKEN and DRIFT_VERIFICATION_TOKEN
in the environment it serves until Ctrl-C and answers in your account. Otherwise
it starts an in-memory Drift server, acts as a visitor, and ends after the
answer.`

func main() {
	addr := flag.String("addr", "127.0.0.1:8977", "the `host:port` to listen on (with DRIFT_TOKEN)")
	write := cli.WriteFlag()
	cli.Main(about, func(ctx context.Context, w io.Writer) error { return start(ctx, *addr, *write, w) })
}

// start uses your account if DRIFT_TOKEN is set, and otherwise a server in this process.
func start(ctx context.Context, addr string, write bool, w io.Writer) error {
	if os.Getenv("DRIFT_TOKEN") == "" {
		return offline(ctx, w)
	}
	client, err := drift.NewClient(drift.FromEnv())
	if err != nil {
		return err
	}
	defer client.Close()
	token := os.Getenv("DRIFT_VERIFICATION_TOKEN")
	if token == "" {
		return cli.WrongUsage("DRIFT_VERIFICATION_TOKEN is not set: it is on the page of your app, beside the events.")
	}
	if !write {
		return cli.AskToWrite("answer every message of a visitor with a message, until Ctrl-C")
	}
	if _, err := newHandler(client, token, w); err != nil {
		return fmt.Errorf("DRIFT_VERIFICATION_TOKEN: %w", err)
	}
	// A wrong token is to show now, and not when the first visitor writes.
	if _, err := client.Contacts.List(ctx, drift.ContactListOptions{Limit: 1}); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Listening for events on port %d at %s.\n", listener.Addr().(*net.TCPAddr).Port, path)
	return run(ctx, listener, client, token, w)
}

// offline lets a visitor write to an in-memory server, which sends every event twice, as Drift may do.
func offline(ctx context.Context, w io.Writer) error {
	fmt.Fprintln(w, "DRIFT_TOKEN is not set: calling an in-memory Drift server.")
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

// run serves until ctx ends. Anyone who can reach the server may send it anything, so every request has limits.
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
	// Let the deliveries in progress finish.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = errors.Join(server.Shutdown(ctx), handler.Shutdown(ctx))
	<-ended
	return err
}

// newHandler is the part to copy.
func newHandler(client *drift.Client, token string, w io.Writer) (*webhook.Handler, error) {
	report := func(_ context.Context, event webhook.Event, err error) {
		fmt.Fprintf(w, "%s failed: %v\n", event.EventType(), err)
	}
	handler, err := webhook.NewHandler([]string{token}, webhook.WithOnError(report))
	if err != nil {
		return nil, err
	}
	webhook.On(handler, func(ctx context.Context, event *webhook.NewMessage) error {
		message := event.Data
		if message.Author == nil || message.Author.Type != drift.AuthorTypeContact {
			return nil // from an agent, a bot, or this program: answering its own messages would never end
		}
		answer, err := client.Messages.Create(ctx, message.ConversationID, drift.MessageCreateRequest{
			Body:            "<p>Thank you! We will be with you in a minute.</p>",
			ClientMessageID: "answer-to-" + message.ID.String(), // so that a duplicate can be recognized
		})
		if errors.Is(err, drift.ErrAmbiguous) {
			fmt.Fprintf(w, "Conversation %s may have an answer, please check: %v\n", message.ConversationID, err)
			return nil // otherwise Drift retries, and the visitor might get two answers
		}
		if err != nil {
			return err // so that Drift retries
		}
		// A visitor's text may contain control sequences for the terminal, so it is quoted.
		fmt.Fprintf(w, "Conversation %s: %q\n", message.ConversationID, message.Body)
		fmt.Fprintf(w, "  answered with message %s.\n", answer.ID)
		return nil
	})
	return handler, nil
}
