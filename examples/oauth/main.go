// Command oauth gets access to an account by OAuth: the user allows it in the browser, and the program keeps the tokens, so that it
// need not ask again when it is started the next time. The part to copy is flow.go.
//
// Without DRIFT_CLIENT_ID in the environment it needs no app, no account and no network: it starts a Drift in memory, and answers
// the authorize page itself, or with -browser lets you do that. With it, and with DRIFT_CLIENT_SECRET, it asks for access to your
// account. Register http://127.0.0.1:8976/callback as the redirect URL of your app then.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/filestore"
)

func main() {
	browser := flag.Bool("browser", false, "wait for a browser, also without DRIFT_CLIENT_ID")
	port := flag.Int("port", 8976, "the port to wait for the browser on (with DRIFT_CLIENT_ID)")
	wait := flag.Duration("wait", 10*time.Minute, "how long the user may take")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := start(ctx, *browser, *port, *wait, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// start chooses between your account and a server in this process. Secrets come from the environment: other users of the machine can
// read the arguments of a program.
func start(ctx context.Context, browser bool, port int, wait time.Duration, w io.Writer) error {
	if os.Getenv("DRIFT_CLIENT_ID") == "" {
		return offline(ctx, browser, wait, w)
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return err
	}
	return run(ctx, program{
		flow: flow{
			config: drift.OAuthConfig{
				ClientID:     os.Getenv("DRIFT_CLIENT_ID"),
				ClientSecret: drift.Secret(os.Getenv("DRIFT_CLIENT_SECRET")),
			},
			port: port,
			show: printTo(w),
			wait: wait,
		},
		tokens: filepath.Join(dir, "drift-oauth-example", "token.json"),
	}, w)
}

// offline runs the program twice: the second time the tokens of the first one do.
func offline(ctx context.Context, browser bool, wait time.Duration, w io.Writer) error {
	fmt.Fprintln(w, "DRIFT_CLIENT_ID is not set: asking a Drift in memory.")
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	dir, err := os.MkdirTemp("", "drift-oauth-example")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	p := program{
		flow:    flow{config: server.OAuthConfig(), show: allow(ctx, server), wait: wait},
		baseURL: server.URL,
		tokens:  filepath.Join(dir, "token.json"),
	}
	if browser {
		p.flow.show = printTo(w)
	}
	if err := run(ctx, p, w); err != nil {
		return err
	}
	fmt.Fprintln(w, "Two hours later, the program is started again:")
	server.ExpireTokens()
	return run(ctx, p, w)
}

func printTo(w io.Writer) func(authURL string) error {
	return func(authURL string) error {
		_, err := fmt.Fprintf(w, "Open this in your browser:\n\n  %s\n\n", authURL)
		return err
	}
}

// allow is a user with a browser, who presses the button and sees where that leads.
func allow(ctx context.Context, server *drifttest.Server) func(authURL string) error {
	return func(authURL string) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.Allow(authURL).String(), nil)
		if err != nil {
			return err
		}
		request.Close = true
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return errors.New("the browser did not get back to the program") // the error itself has the code in it
		}
		return response.Body.Close()
	}
}

type program struct {
	flow    flow
	baseURL string // "": that of the service
	tokens  string // the file that keeps them
}

// run makes sure that there is access, and uses it.
func run(ctx context.Context, p program, w io.Writer) error {
	if err := os.MkdirAll(filepath.Dir(p.tokens), 0o700); err != nil {
		return err
	}
	store, err := filestore.OpenTokens(p.tokens, filestore.WithAccount(p.flow.config.ClientID))
	if err != nil {
		return err
	}
	err = p.list(ctx, store, w)
	if errors.Is(err, drift.ErrReauthRequired) { // for want of tokens, or because the user took the access back
		fmt.Fprintln(w, "Access has to be granted.")
		token, err := p.flow.authorize(ctx)
		if err != nil {
			return err
		}
		if err := store.Save(ctx, token); err != nil {
			return err
		}
		return p.list(ctx, store, w)
	}
	return err
}

// list is what the program is for. The client asks the token source before each call, and the source keeps the token good.
func (p program) list(ctx context.Context, store drift.TokenStore, w io.Writer) error {
	source := p.flow.config.TokenSource(store)
	defer source.Close()
	opts := []drift.Option{drift.WithTokenSource(source)}
	if p.baseURL != "" {
		opts = append(opts, drift.WithBaseURL(p.baseURL))
	}
	client, err := drift.NewClient(opts...)
	if err != nil {
		return err
	}
	defer client.Close()
	page, err := client.Contacts.List(ctx, drift.ContactListOptions{Limit: 3})
	if err != nil {
		return err
	}
	for _, contact := range page.Items {
		fmt.Fprintf(w, "%s  %s\n", contact.ID, contact.Email)
	}
	return nil
}
