// Command export writes all conversations and all contacts into files of JSON Lines, with one record on each line. Stop
// it with Ctrl-C, or even cut the power, and run it again: it resumes. For a new export, or that of another account,
// choose another folder.
//
// The export continues if a record does not decode, because the service has changed or a value is broken. The command
// writes such a record unchanged to a separate file, such as contacts.unreadable.jsonl, and exits with status 3: the
// export is complete, but check that file. Any other failure is status 1.
//
// Without DRIFT_TOKEN in the environment you need no account and no network: the program calls a slow in-memory Drift
// server, and writes to a temporary folder.
package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/cli"
)

const about = `Writes all conversations and all contacts into files of JSON Lines. Stopped with
Ctrl-C, it resumes when it is run again with the same folder. With DRIFT_TOKEN
in the environment it reads your account. Otherwise it reads an in-memory Drift
server, and writes to a temporary folder.

Exit status 3 means that the export is complete, but that some
records do not decode: they are in separate files.`

func main() {
	dir := flag.String("dir", "", "the `folder` for the files (default drift-export; without DRIFT_TOKEN, a temporary one)")
	cli.Main(about, func(ctx context.Context, w io.Writer) error { return start(ctx, *dir, w) })
}

// errOdd reports an export that is complete except for records that do not decode.
var errOdd = &cli.StatusError{Status: 3, Text: "done, but some records do not decode"}

// start uses your account if DRIFT_TOKEN is set, and otherwise a server in this process.
func start(ctx context.Context, dir string, w io.Writer) error {
	token := drift.Secret(os.Getenv("DRIFT_TOKEN"))
	if token == "" {
		return offline(ctx, dir, w)
	}
	client, err := drift.NewClient(drift.FromEnv())
	if err != nil {
		return err
	}
	defer client.Close()
	of, err := ownerOf(ctx, client, token)
	if err != nil {
		return err
	}
	return run(ctx, client, cmp.Or(dir, "drift-export"), of, w)
}

// ownerOf returns the account of a token: records of two accounts must not end up in the same files. If the service
// does not tell the organization, the token stands for its account.
func ownerOf(ctx context.Context, client *drift.Client, token drift.Secret) (owner, error) {
	info, err := classic.New(client).App.TokenInfo(ctx, token)
	switch {
	case errors.Is(err, drift.ErrNotFound), errors.Is(err, drift.ErrForbidden):
		hash := sha256.Sum256([]byte(token))
		return owner{Host: host(), Token: hex.EncodeToString(hash[:8])}, nil
	case err != nil:
		return owner{}, fmt.Errorf("find the organization of the token: %w", err)
	}
	return owner{Host: host(), Organization: info.OrgID()}, nil
}

// host returns the host that a client of drift.FromEnv calls.
func host() string {
	base, err := url.Parse(cmp.Or(os.Getenv("DRIFT_BASE_URL"), drift.DefaultBaseURL))
	if err != nil {
		return "" // not for a client that NewClient has made
	}
	return base.Hostname()
}

func offline(ctx context.Context, dir string, w io.Writer) error {
	fmt.Fprintln(w, "DRIFT_TOKEN is not set: calling an in-memory Drift server.")
	if dir == "" {
		temporary, err := os.MkdirTemp("", "drift-export-demo-")
		if err != nil {
			return err
		}
		dir = temporary
	}
	fmt.Fprintf(w, "Writing to %s. To resume there after Ctrl-C, add -dir %s\n", dir, dir)
	server := slowServer()
	defer server.Close()
	return run(ctx, server.Client(), dir, owner{Host: "the in-memory server"}, w)
}

// slowServer has many contacts and answers slowly, so that there is time to press Ctrl-C.
func slowServer() *drifttest.Server {
	server := drifttest.NewServer(drifttest.WithDemoData())
	for i := range 1_000 {
		server.AddContact(drift.Contact{Email: fmt.Sprintf("visitor%d@example.com", i)})
	}
	server.Fail("*", slices.Repeat([]drifttest.Fault{{Delay: 200 * time.Millisecond}}, 100)...)
	return server
}

// run is the part to copy.
func run(ctx context.Context, client *drift.Client, dir string, of owner, w io.Writer) error {
	if err := makeFolder(dir); err != nil {
		return err
	}
	// A long job must leave room for interactive calls.
	client = client.With(drift.WithBulk())

	conversations := export[drift.Conversation]{
		path:  filepath.Join(dir, "conversations.jsonl"),
		owner: of,
		list: func(ctx context.Context, cursor string) (*drift.Page[drift.Conversation], error) {
			return client.Conversations.List(ctx, drift.ConversationListOptions{Cursor: cursor, Limit: pageSize})
		},
		id: func(c *drift.Conversation) int64 { return int64(c.ID) },
	}
	contacts := export[drift.Contact]{
		path:  filepath.Join(dir, "contacts.jsonl"),
		owner: of,
		list: func(ctx context.Context, cursor string) (*drift.Page[drift.Contact], error) {
			return client.Contacts.List(ctx, drift.ContactListOptions{Cursor: cursor, Limit: pageSize})
		},
		id: func(c *drift.Contact) int64 { return int64(c.ID) },
	}
	err := withBar(ctx, &conversations, "conversations", w)
	if err == nil {
		err = withBar(ctx, &contacts, "contacts", w)
	}
	if err != nil {
		if ctx.Err() != nil {
			fmt.Fprintln(w, "Run it again with the same folder to resume.")
		}
		return err
	}
	if conversations.at.Odd+contacts.at.Odd > 0 {
		return errOdd
	}
	return nil
}

// makeFolder makes a folder that only its owner can read and that git ignores, because records are personal data.
func makeFolder(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("*\n"), 0o600)
}

// pageSize is the largest page that the API allows.
const pageSize = 100

// withBar runs an export and shows its progress. The API does not say how many records there are, so the bar has no
// end.
func withBar[T any](ctx context.Context, e *export[T], name string, w io.Writer) error {
	bar := progressbar.NewOptions(-1,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(name),
		progressbar.OptionShowCount(),
		progressbar.OptionSetSpinnerChangeInterval(0), // drawn page by page, not by a goroutine
	)
	e.progress = func(records int) { _ = bar.Set(records) }
	err := e.run(ctx)
	_ = bar.Exit()
	if e.file == nil {
		return err
	}
	fmt.Fprintf(w, "\n%s: %d records in %s\n", name, len(e.ids), e.path)
	if e.finished {
		fmt.Fprintf(w, "%s: the export was complete already: for a new export, choose another folder\n", name)
	}
	if e.at.Odd > 0 {
		fmt.Fprintf(w, "%s: %d records that do not decode are in %s\n", name, e.at.Odd, e.oddPath())
	}
	if e.first != nil {
		fmt.Fprintf(w, "%s: the first error of this run: %v\n", name, e.first)
	}
	return err
}
