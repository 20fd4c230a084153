// Command oauth gets access to an account by OAuth. The user grants access in a browser, and the program stores the
// tokens, so that the next run does not have to ask again. Copy flow.go for your own program.
//
// Without DRIFT_CLIENT_ID in the environment you need no app, no account and no network. The program starts an
// in-memory Drift server and answers the authorize page itself; with -browser you answer it. To get access to your
// account, set DRIFT_CLIENT_ID and DRIFT_CLIENT_SECRET, and register http://127.0.0.1:8976/callback as the redirect URL
// of your app.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/cli"
	"github.com/driftsdk/drift/filestore"
)

const about = `Gets access to an account by OAuth: you grant access in a browser, and the
program keeps the tokens for the next run. With DRIFT_CLIENT_ID and
DRIFT_CLIENT_SECRET in the environment it asks for access to your account; the
redirect URL of the app must be http://127.0.0.1:8976/callback. Otherwise it
starts an in-memory Drift server.`

func main() {
	browser := flag.Bool("browser", false, "let you answer the authorize page in a browser (without DRIFT_CLIENT_ID)")
	port := flag.Int("port", 8976, "the `port` on which to wait for the browser (with DRIFT_CLIENT_ID)")
	tokens := flag.String("tokens", "", "the `file` for the tokens (with DRIFT_CLIENT_ID; default in your config folder)")
	wait := flag.Duration("wait", 10*time.Minute, "wait for you for this `duration`")
	cli.Main(about, func(ctx context.Context, w io.Writer) error {
		if os.Getenv("DRIFT_CLIENT_ID") == "" {
			return offline(ctx, *browser, *wait, w)
		}
		return online(ctx, *tokens, flow{port: *port, show: printTo(w), wait: *wait}, w)
	})
}

// online uses your account. Secrets come from the environment, because other users of the machine can read a program's
// arguments.
func online(ctx context.Context, tokens string, f flow, w io.Writer) error {
	f.config = drift.OAuthConfig{
		ClientID:     os.Getenv("DRIFT_CLIENT_ID"),
		ClientSecret: drift.Secret(os.Getenv("DRIFT_CLIENT_SECRET")),
	}
	if f.config.ClientSecret == "" {
		return cli.WrongUsage("DRIFT_CLIENT_SECRET is not set: it is on the page of your app, beside the client id")
	}
	if tokens == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return cli.WrongUsage("there is no config folder for the tokens: choose a file with -tokens")
		}
		tokens = filepath.Join(dir, "drift-oauth-example", "token.json")
	}
	fmt.Fprintf(w, "The tokens are in %s.\n", tokens)
	return run(ctx, program{flow: f, tokens: tokens}, w)
}

// offline runs the program twice. The second run uses the tokens of the first.
func offline(ctx context.Context, browser bool, wait time.Duration, w io.Writer) error {
	fmt.Fprintln(w, "DRIFT_CLIENT_ID is not set: calling an in-memory Drift server.")
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	dir, err := os.MkdirTemp("", "drift-oauth-example-")
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

// allow acts as a user who grants access in a browser, and follows the redirect.
func allow(ctx context.Context, server *drifttest.Server) func(authURL string) error {
	return func(authURL string) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.Allow(authURL).String(), nil)
		if err != nil {
			return err
		}
		request.Close = true
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return errors.New("the browser did not get back to the program") // the original error contains the code
		}
		return response.Body.Close()
	}
}

type program struct {
	flow    flow
	baseURL string // "": the default of the SDK
	tokens  string // the file with the tokens
}

// run gets access if necessary, and uses it.
func run(ctx context.Context, p program, w io.Writer) error {
	if err := os.MkdirAll(filepath.Dir(p.tokens), 0o700); err != nil {
		return err
	}
	store, err := filestore.OpenTokens(p.tokens, filestore.WithAccount(p.flow.config.ClientID))
	if err != nil {
		return err
	}
	err = p.list(ctx, store, w)
	if errors.Is(err, drift.ErrReauthRequired) { // there are no tokens, or the user has withdrawn access
		fmt.Fprintln(w, "The program needs access to the account.")
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

// list does the program's work. The client gets a token from the source before each call, and the source refreshes the
// token.
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
