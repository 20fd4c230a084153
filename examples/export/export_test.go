package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

func TestStarts(t *testing.T) { clitest.Transcript(t, clitest.WithToken(t)[1:]) }

func TestCtrlC(t *testing.T) { clitest.CtrlC(t, "-dir", t.TempDir()) }

const (
	contacts   = 25
	onePage    = 10
	contactSet = "contacts.jsonl"
)

func account(t *testing.T) *drifttest.Server {
	t.Helper()
	srv := drifttest.Start(t)
	for i := range contacts {
		srv.AddContact(drift.Contact{Email: fmt.Sprintf("contact%d@example.com", i)})
	}
	return srv
}

// exportOf exports the contacts, ten on a page, and calls each with the number of every record that it is about to write.
func exportOf(srv *drifttest.Server, dir string, each func(n int)) *export[drift.Contact] {
	client, n := srv.Client(), 0
	return &export[drift.Contact]{
		path: filepath.Join(dir, contactSet),
		list: func(ctx context.Context, cursor string) (*drift.Page[drift.Contact], error) {
			return client.Contacts.List(ctx, drift.ContactListOptions{Cursor: cursor, Limit: onePage})
		},
		id: func(c *drift.Contact) int64 {
			n++
			each(n)
			return int64(c.ID)
		},
		progress: func(int) {},
	}
}

func nothing(int) {}

// The first export is of the demo. The second, of an account, must not take its files for its own.
func TestAnotherAccountIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "files")
	mine, demo := drifttest.Start(t, drifttest.WithDemoData()), drifttest.Start(t, drifttest.WithDemoData())
	require.NoError(t, run(t.Context(), demo.Client(), dir, owner{Host: "the in-memory server"}, io.Discard))
	before, err := os.ReadFile(filepath.Join(dir, contactSet))
	require.NoError(t, err)

	for _, of := range []owner{
		{Host: "driftapi.com", Organization: 7}, {Host: "the in-memory server", Organization: 7}, {Host: "driftapi.com"},
	} {
		err := run(t.Context(), mine.Client(), dir, of, io.Discard)
		assert.ErrorContains(t, err, "has records of organization 0 at the in-memory server, and this is "+of.String()+
			": choose another folder")
	}
	assert.Zero(t, mine.Count("*"))
	after, err := os.ReadFile(filepath.Join(dir, contactSet))
	require.NoError(t, err)
	assert.Equal(t, before, after)
	assert.FileExists(t, filepath.Join(dir, ".gitignore"))
}

func TestStartFindsTheOrganization(t *testing.T) {
	srv, dir := drifttest.Start(t, drifttest.WithDemoData()), filepath.Join(t.TempDir(), "files")
	t.Setenv("DRIFT_TOKEN", drifttest.DefaultToken)
	t.Setenv("DRIFT_BASE_URL", srv.URL)
	require.NoError(t, start(t.Context(), dir, io.Discard))
	var at checkpoint
	data, err := os.ReadFile(filepath.Join(dir, contactSet+".checkpoint"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &at))
	assert.Equal(t, "127.0.0.1", at.Owner.Host)
	assert.NotZero(t, at.Owner.Organization)
}

// A service that does not tell the organization of a token leaves the token itself to tell accounts apart.
func TestStartWithoutTokenInfo(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusForbidden} {
		srv := drifttest.Start(t, drifttest.WithDemoData(), drifttest.WithToken("one-token-of-many", "another-token"))
		srv.Fail("classic.app.tokenInfo", slices.Repeat([]drifttest.Fault{{Status: status}}, 3)...)
		dir := filepath.Join(t.TempDir(), "files")
		t.Setenv("DRIFT_TOKEN", "one-token-of-many")
		t.Setenv("DRIFT_BASE_URL", srv.URL)
		require.NoError(t, start(t.Context(), dir, io.Discard))
		assert.Equal(t, upTo(30), idsIn(t, filepath.Join(dir, contactSet)))
		data, err := os.ReadFile(filepath.Join(dir, contactSet+".checkpoint"))
		require.NoError(t, err)
		assert.NotContains(t, string(data), "one-token")

		var out bytes.Buffer
		require.NoError(t, start(t.Context(), dir, &out), "the same token")
		assert.Contains(t, out.String(), "was complete already: for a new export, choose another folder\n")
		t.Setenv("DRIFT_TOKEN", "another-token")
		err = start(t.Context(), dir, io.Discard)
		require.ErrorContains(t, err, "has records of the token ")
		require.ErrorContains(t, err, ": choose another folder")
	}
}

// Without a token the files are in a temporary folder, which the program names. Stopped and run again with that folder,
// it resumes.
func TestOffline(t *testing.T) {
	temporary := t.TempDir()
	env := []string{"TMPDIR=" + temporary}
	output := clitest.Interrupt(t, clitest.Start{Env: env},
		func(output string) bool { return strings.Contains(output, "\nconversations: 60 records in ") })
	_, dir, found := strings.Cut(output, "add -dir ")
	require.True(t, found, output)
	dir, _, _ = strings.Cut(dir, "\n")
	assert.Equal(t, temporary, filepath.Dir(dir))
	assert.Contains(t, output, "Run it again with the same folder to resume.\nStopped.\n")

	command := clitest.Command(t.Context(), t, clitest.Start{Args: []string{"-dir", dir}, Env: env})
	again, err := command.CombinedOutput()
	require.NoError(t, err, string(again))
	assert.Contains(t, string(again), "contacts: 1030 records in "+filepath.Join(dir, contactSet))
	assert.Equal(t, upTo(1030), idsIn(t, filepath.Join(dir, contactSet)))
}

// idsIn reads the ids of a file, every line of which must be a record.
func idsIn(t *testing.T, path string) []int64 {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var ids []int64
	for line := range strings.Lines(string(data)) {
		var record drift.Contact
		require.NoError(t, json.Unmarshal([]byte(line), &record), line)
		ids = append(ids, int64(record.ID))
	}
	return ids
}

// upTo is what a complete file holds.
func upTo(n int64) []int64 {
	var ids []int64
	for id := range n {
		ids = append(ids, id+1)
	}
	return ids
}

// finish runs an export again and checks that the file is complete, each record once.
func finish(t *testing.T, srv *drifttest.Server, dir string) {
	t.Helper()
	e := exportOf(srv, dir, nothing)
	require.NoError(t, e.run(t.Context()))
	assert.Equal(t, upTo(contacts), idsIn(t, e.path))
	assert.Len(t, e.ids, contacts)
}

func TestResumesAfterCancellation(t *testing.T) {
	for last := range contacts {
		t.Run(fmt.Sprint(last+1), func(t *testing.T) {
			srv, dir := account(t), t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			err := exportOf(srv, dir, func(n int) {
				if n == last+1 {
					cancel()
				}
			}).run(ctx)
			if last < 2*onePage {
				require.ErrorIs(t, err, context.Canceled)
			} else {
				require.NoError(t, err, "the last page was there already")
			}
			finish(t, srv, dir)
			assert.Equal(t, 3, srv.Count("contacts.list"), "no page is read again")
		})
	}
}

func TestResumesAfterCrashWithinPage(t *testing.T) {
	for last := range contacts {
		t.Run(fmt.Sprint(last+1), func(t *testing.T) {
			srv, dir := account(t), t.TempDir()
			e := exportOf(srv, dir, func(n int) {
				if n == last+1 {
					panic("crash")
				}
			})
			assert.Panics(t, func() { _ = e.run(t.Context()) })
			finish(t, srv, dir)
		})
	}
}

// The page is in the file, but the checkpoint cannot be moved: what a crash between the two leaves behind.
func TestResumesAfterCrashBeforeCheckpoint(t *testing.T) {
	for last := range contacts {
		t.Run(fmt.Sprint(last+1), func(t *testing.T) {
			srv, dir := account(t), t.TempDir()
			obstacle := filepath.Join(dir, contactSet+".checkpoint.tmp")
			e := exportOf(srv, dir, func(n int) {
				if n == last+1 {
					assert.NoError(t, os.Mkdir(obstacle, 0o700))
				}
			})
			require.Error(t, e.run(t.Context()))
			pages := last/onePage + 1
			require.Len(t, idsIn(t, e.path), min(pages*onePage, contacts))

			require.NoError(t, os.Remove(obstacle))
			finish(t, srv, dir)
			assert.Equal(t, 4, srv.Count("contacts.list"), "only the page without a checkpoint is read again")
		})
	}
}

// A power cut may leave any part of a page behind the checkpoint.
func TestCutsOffTornPage(t *testing.T) {
	srv, dir := account(t), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	e := exportOf(srv, dir, func(n int) {
		if n == onePage {
			cancel()
		}
	})
	require.ErrorIs(t, e.run(ctx), context.Canceled)
	good, err := os.ReadFile(e.path)
	require.NoError(t, err)

	page := bytes.Repeat([]byte(`{"id":11,"email":"x"}`+"\n"), 2)
	for length := range len(page) {
		require.NoError(t, os.WriteFile(e.path, slices.Concat(good, page[:length]), 0o600))
		again := exportOf(srv, dir, nothing)
		require.NoError(t, again.open())
		require.NoError(t, again.file.Close())
		assert.Equal(t, upTo(onePage), idsIn(t, e.path))
	}
	finish(t, srv, dir)
}

// The command itself, killed right after the answer to its n-th request, until it gets through.
func TestResumesAfterKill(t *testing.T) {
	srv := drifttest.Start(t, drifttest.WithDemoData())
	for range 350 {
		srv.AddContact(drift.Contact{})
	}
	for n := range 5 {
		t.Run(fmt.Sprint(n+1), func(t *testing.T) {
			dir := t.TempDir()
			killed := runCommand(t, srv, dir, n+1)
			again := runCommand(t, srv, dir, 0)
			assert.True(t, killed)
			assert.False(t, again)
			assert.Equal(t, upTo(60), idsIn(t, filepath.Join(dir, "conversations.jsonl")))
			assert.Equal(t, upTo(380), idsIn(t, filepath.Join(dir, contactSet)))
		})
	}
}

// runCommand runs the command and kills it after its n-th request, if there is one. It reports whether it came to that.
func runCommand(t *testing.T, srv *drifttest.Server, dir string, kill int) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context()) // which kills
	defer cancel()
	var requests atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		srv.ServeHTTP(w, r)
		_ = http.NewResponseController(w).Flush()
		if requests.Add(1) == int32(kill) {
			cancel()
		}
	}))
	defer proxy.Close()
	command := clitest.Command(ctx, t, clitest.Start{
		Args: []string{"-dir", dir}, Env: []string{"DRIFT_TOKEN=" + drifttest.DefaultToken, "DRIFT_BASE_URL=" + proxy.URL},
	})
	output, err := command.CombinedOutput()
	if kill == 0 {
		require.NoError(t, err, string(output))
	}
	return ctx.Err() != nil
}

// What exists from the beginning to the end is in the file, whatever comes and goes meanwhile.
func TestAccountChangesMeanwhile(t *testing.T) {
	srv, dir := account(t), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	require.ErrorIs(t, exportOf(srv, dir, func(n int) {
		if n == onePage {
			cancel()
		}
	}).run(ctx), context.Canceled)

	client := srv.Client()
	for _, id := range []drift.ContactID{3, 10, 11, 24} {
		require.NoError(t, client.Contacts.Delete(t.Context(), id))
	}
	srv.AddContact(drift.Contact{})

	e := exportOf(srv, dir, nothing)
	require.NoError(t, e.run(t.Context()))
	want := slices.DeleteFunc(upTo(contacts+1), func(id int64) bool { return id == 11 || id == 24 })
	assert.Equal(t, want, idsIn(t, e.path))
}

// pages is a list of a service that is not as orderly as the one in memory.
func pages(dir string, next map[string]*drift.Page[drift.Contact]) *export[drift.Contact] {
	return &export[drift.Contact]{
		path: filepath.Join(dir, contactSet),
		list: func(_ context.Context, cursor string) (*drift.Page[drift.Contact], error) {
			return next[cursor], nil
		},
		id:       func(c *drift.Contact) int64 { return int64(c.ID) },
		progress: func(int) {},
	}
}

func TestRecordOnTwoPagesIsWrittenOnce(t *testing.T) {
	e := pages(t.TempDir(), map[string]*drift.Page[drift.Contact]{
		"":  {Items: []*drift.Contact{{ID: 1}, {ID: 2}}, Next: "b"},
		"b": {Items: []*drift.Contact{{ID: 2}, {ID: 3}}},
	})
	require.NoError(t, e.run(t.Context()))
	assert.Equal(t, upTo(3), idsIn(t, e.path))
}

func TestRepeatedCursorEnds(t *testing.T) {
	e := pages(t.TempDir(), map[string]*drift.Page[drift.Contact]{
		"":  {Items: []*drift.Contact{{ID: 1}}, Next: "b"},
		"b": {Items: []*drift.Contact{{ID: 2}}, Next: "b"},
	})
	require.ErrorIs(t, e.run(t.Context()), drift.ErrCursorLoop)
	assert.Equal(t, upTo(2), idsIn(t, e.path))
}

func TestKeepsForeignFile(t *testing.T) {
	srv, dir := account(t), t.TempDir()
	path := filepath.Join(dir, contactSet)
	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
	require.ErrorContains(t, exportOf(srv, dir, nothing).run(t.Context()), "choose another folder")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "mine", string(data))
}

func TestShortFileIsAnError(t *testing.T) {
	srv, dir := account(t), t.TempDir()
	finish(t, srv, dir)
	require.NoError(t, os.Truncate(filepath.Join(dir, contactSet), 5))
	assert.ErrorContains(t, exportOf(srv, dir, nothing).run(t.Context()), "shorter than its checkpoint")
}

func TestRun(t *testing.T) {
	srv, dir := drifttest.Start(t, drifttest.WithDemoData()), filepath.Join(t.TempDir(), "new")
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), srv.Client(), dir, owner{}, &out))
	assert.Contains(t, out.String(), "\nconversations: 60 records in ")
	assert.Contains(t, out.String(), "\ncontacts: 30 records in ")
	assert.Equal(t, upTo(60), idsIn(t, filepath.Join(dir, "conversations.jsonl")))
	assert.Equal(t, upTo(30), idsIn(t, filepath.Join(dir, contactSet)))

	srv.Reset()
	require.NoError(t, run(t.Context(), srv.Client(), dir, owner{}, &out))
	assert.Zero(t, srv.Count("*"), "a finished export reads nothing")
}

// oddAccount has three pages of contacts and one of conversations. The first two pages of contacts hold three records
// that do not decode. It fails at the cursor that broken names, if any.
type oddAccount struct {
	broken string
	lists  []string
}

const (
	oddDate = `{"id":2,"created_at":"soon","note":"<b>"}`
	oddID   = `{"email":"grace@example.com"}`
)

func (a *oddAccount) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	cursor := r.URL.Query().Get("next")
	a.lists = append(a.lists, strings.TrimPrefix(r.URL.Path, "/v2/")+cursor)
	w.Header().Set("Content-Type", "application/json")
	pages := map[string]string{
		"":  `{"data":[{"id":1}, { "id" : 2, "created_at" : "soon", "note":"<b>" }, {"id":3}],"pagination":{"next":"b"}}`,
		"b": `{"data":[` + oddID + `,null],"pagination":{"next":"c"}}`,
		"c": `{"data":[{"id":4}]}`,
	}
	switch {
	case cursor != "" && cursor == a.broken:
		w.WriteHeader(http.StatusForbidden)
	case strings.HasSuffix(r.URL.Path, "app/token_info"):
		fmt.Fprint(w, `{"id":"1","authenticated_userid":"orgId:7"}`)
	case strings.HasSuffix(r.URL.Path, "conversations"):
		fmt.Fprint(w, `{"data":[{"id":7}]}`)
	default:
		fmt.Fprint(w, pages[cursor])
	}
}

func (a *oddAccount) client(t *testing.T) *drift.Client {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	client, err := drift.NewClient(drift.WithToken("token"), drift.WithBaseURL(server.URL))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func requireOddFiles(t *testing.T, dir string) {
	t.Helper()
	assert.Equal(t, []int64{1, 3, 4}, idsIn(t, filepath.Join(dir, contactSet)))
	path := filepath.Join(dir, "contacts.unreadable.jsonl")
	lines, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, oddDate+"\n"+oddID+"\nnull\n", string(lines))
	if runtime.GOOS != "windows" {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	assert.NoFileExists(t, filepath.Join(dir, "conversations.unreadable.jsonl"))
}

func TestGoesOnAfterOddRecords(t *testing.T) {
	account, dir := new(oddAccount), t.TempDir()
	client := account.client(t)
	var out bytes.Buffer
	err := run(t.Context(), client, dir, owner{}, &out)
	require.ErrorIs(t, err, errOdd)
	requireOddFiles(t, dir)
	assert.Contains(t, out.String(), "\ncontacts: 3 records in ")
	assert.Contains(t, out.String(), "\ncontacts: 3 records that do not decode are in "+filepath.Join(dir, "contacts.unreadable.jsonl")+"\n")
	assert.Contains(t, out.String(), "\ncontacts: the first error of this run: drift: contacts.list: record at index 1 of the page: cannot decode the JSON at /created_at")
	assert.NotContains(t, out.String(), "soon")
	assert.NotContains(t, out.String(), "grace")

	account.lists = nil
	out.Reset()
	require.ErrorIs(t, run(t.Context(), client, dir, owner{}, &out), errOdd, "a finished export still says so")
	assert.Contains(t, out.String(), "3 records that do not decode")
	assert.Empty(t, account.lists)
}

func TestResumesWithOddRecords(t *testing.T) {
	account, dir := &oddAccount{broken: "c"}, t.TempDir()
	client := account.client(t)
	var out bytes.Buffer
	err := run(t.Context(), client, dir, owner{}, &out)
	require.ErrorIs(t, err, drift.ErrForbidden)

	// A crash has left a part of a line behind what the checkpoint says.
	file, err := os.OpenFile(filepath.Join(dir, "contacts.unreadable.jsonl"), os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = file.WriteString(`{"id":`)
	require.NoError(t, err)
	require.NoError(t, file.Close())

	account.broken = ""
	require.ErrorIs(t, run(t.Context(), client, dir, owner{}, &out), errOdd)
	requireOddFiles(t, dir)
	assert.Equal(t, []string{"conversations", "contacts", "contactsb", "contactsc", "contactsc"}, account.lists)
}

// The first page with an odd record is in the files, but not in the checkpoint.
func TestResumesAfterCrashBeforeCheckpointWithOddRecords(t *testing.T) {
	account, dir := new(oddAccount), t.TempDir()
	client := account.client(t)
	e := &export[drift.Contact]{
		path: filepath.Join(dir, contactSet),
		list: func(ctx context.Context, cursor string) (*drift.Page[drift.Contact], error) {
			return client.Contacts.List(ctx, drift.ContactListOptions{Cursor: cursor})
		},
		id: func(c *drift.Contact) int64 {
			assert.NoError(t, os.MkdirAll(filepath.Join(dir, contactSet+".checkpoint.tmp"), 0o700))
			return int64(c.ID)
		},
		progress: nothing,
	}
	require.Error(t, e.run(t.Context()))
	require.FileExists(t, filepath.Join(dir, "contacts.unreadable.jsonl"))
	require.NoError(t, os.Remove(filepath.Join(dir, contactSet+".checkpoint.tmp")))
	require.ErrorIs(t, run(t.Context(), client, dir, owner{}, &bytes.Buffer{}), errOdd)
	requireOddFiles(t, dir)
}

func TestShortOddFileIsAnError(t *testing.T) {
	account, dir := new(oddAccount), t.TempDir()
	client := account.client(t)
	require.ErrorIs(t, run(t.Context(), client, dir, owner{}, &bytes.Buffer{}), errOdd)
	require.NoError(t, os.Truncate(filepath.Join(dir, "contacts.unreadable.jsonl"), 5))
	assert.ErrorContains(t, run(t.Context(), client, dir, owner{}, &bytes.Buffer{}), "contacts.unreadable.jsonl is shorter than its checkpoint")
}

func TestKeepsForeignOddFile(t *testing.T) {
	account, dir := new(oddAccount), t.TempDir()
	path := filepath.Join(dir, "contacts.unreadable.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
	require.ErrorContains(t, run(t.Context(), account.client(t), dir, owner{}, &bytes.Buffer{}), "choose another folder")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "mine", string(data))
}

// The command itself ends with a status that a script can tell from failure.
func TestExitStatus(t *testing.T) {
	account, dir := &oddAccount{broken: "c"}, t.TempDir()
	server := httptest.NewServer(account)
	defer server.Close()
	for _, want := range []int{1, 3, 3} {
		command := clitest.Command(t.Context(), t, clitest.Start{
			Args: []string{"-dir", dir}, Env: []string{"DRIFT_TOKEN=token", "DRIFT_BASE_URL=" + server.URL},
		})
		var failed *exec.ExitError
		require.ErrorAs(t, command.Run(), &failed)
		assert.Equal(t, want, failed.ExitCode())
		account.broken = ""
	}
}
