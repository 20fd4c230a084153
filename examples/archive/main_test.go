package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/archive/fetch"
	"github.com/driftsdk/drift/examples/archive/store"
	"github.com/driftsdk/drift/examples/archive/storetest"
	"github.com/driftsdk/drift/examples/internal/clitest"
)

// asCommand is the variable that makes a process of this test the command.
const asCommand = "ARCHIVE_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	clitest.Main(m, main)
}

// seeded has conversations with contacts, messages and files.
func seeded(t *testing.T, conversations int) *drifttest.Server {
	t.Helper()
	server := drifttest.Start(t)
	for i := range conversations {
		contact := server.AddContact(drift.Contact{Email: fmt.Sprintf("visitor%d@example.com", i)})
		id := server.AddConversation(drift.Conversation{ContactID: contact})
		for j := range 1 + i%60 {
			message := drift.Message{ConversationID: id, Body: fmt.Sprintf("message %d", j)}
			if j == 0 && i%7 == 0 {
				message.Attachments = []drift.Attachment{server.AddAttachment(drift.Attachment{FileName: "a.txt"}, []byte(message.Body))}
			}
			server.AddMessage(message)
		}
	}
	return server
}

// environment is that of a command which calls a server.
func environment(t *testing.T, url string) {
	t.Setenv("DRIFT_TOKEN", drifttest.DefaultToken)
	t.Setenv("DRIFT_BASE_URL", url)
	t.Setenv("DRIFT_PLAN", "")
}

// inProcess runs a command in this process, without a limit that takes time.
func inProcess(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

// The command is killed again and again, while the account changes. Nothing that was committed is lost, and at the end
// everything is there.
func TestKills(t *testing.T) {
	kills := 25
	if n, err := strconv.Atoi(os.Getenv("DRIFT_KILLS")); err == nil {
		kills = n
	}
	server, dir := seeded(t, 80), filepath.Join(t.TempDir(), "archive")
	random := rand.New(rand.NewPCG(uint64(kills), 2))
	var left, churn atomic.Int64
	var kill atomic.Pointer[context.CancelFunc]
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := churn.Add(1); n%5 == 0 && n < 400 {
			server.AddMessage(drift.Message{ConversationID: drift.ConversationID(1 + n%80), Body: "news"})
		}
		server.ServeHTTP(w, r)
		_ = http.NewResponseController(w).Flush()
		if left.Add(-1) == 0 {
			(*kill.Load())()
		}
	}))
	defer proxy.Close()
	environment(t, proxy.URL)

	killed, messages, useful := 0, 0, 0
	for range kills {
		ctx, cancel := context.WithCancel(t.Context())
		kill.Store(&cancel)
		left.Store(1 + random.Int64N(30))
		status := spawn(ctx, t, "sync", "-dir", dir, "-rate", "1000000")
		if ctx.Err() == nil {
			require.Zero(t, status)
		} else {
			killed++
		}
		cancel()
		now := intact(t, dir)
		require.GreaterOrEqual(t, now, messages, "nothing that was committed is lost")
		if now > messages {
			useful++
		}
		messages = now
	}
	churn.Store(1000)
	left.Store(-1)
	require.Zero(t, spawn(t.Context(), t, "sync", "-dir", dir, "-rate", "1000000"))
	storetest.RequireComplete(t, dir, server)
	assert.Positive(t, killed)
	t.Logf("%d kills, %d runs got further, %d requests, %d are needed", killed, useful, churn.Load(), server.Count("*"))
}

// A kill costs at most the calls that are in flight, and those of each run: the meetings and the top of the list.
func TestKillRepeatsFewCalls(t *testing.T) {
	const kills, workers = 10, 4
	server, dir := seeded(t, 60), t.TempDir()
	var left atomic.Int64
	var kill atomic.Pointer[context.CancelFunc]
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		server.ServeHTTP(w, r)
		if left.Add(-1) == 0 {
			(*kill.Load())()
		}
	}))
	defer proxy.Close()
	environment(t, proxy.URL)
	for range kills {
		ctx, cancel := context.WithCancel(t.Context())
		kill.Store(&cancel)
		left.Store(20)
		spawn(ctx, t, "sync", "-dir", dir, "-rate", "1000000")
		cancel()
	}
	left.Store(-1)
	require.Zero(t, spawn(t.Context(), t, "sync", "-dir", dir, "-rate", "1000000"))
	storetest.RequireComplete(t, dir, server)
	times := map[string]int{}
	repeated := 0
	for _, request := range server.Requests() {
		if key := request.Path + "?" + request.Query; !strings.Contains(key, "/list") && !strings.Contains(key, "/meetings/") {
			if times[key]++; times[key] > 1 {
				repeated++
			}
		}
	}
	assert.LessOrEqual(t, repeated, kills*workers)
	t.Logf("%d kills, %d calls repeated", kills, repeated)
}

// spawn runs the command in a process, and returns its status, or -1 if it was killed.
func spawn(ctx context.Context, t *testing.T, args ...string) int {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	process := exec.CommandContext(ctx, program, args...)
	process.Env = append(os.Environ(), asCommand+"=1")
	output, err := process.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && ctx.Err() == nil {
		require.NoError(t, err)
	}
	if status := process.ProcessState.ExitCode(); status > 0 {
		t.Log(string(output))
	}
	return process.ProcessState.ExitCode()
}

// intact checks the database after a kill, and returns how many messages it has.
func intact(t *testing.T, dir string) (messages int) {
	t.Helper()
	path := filepath.Join(dir, "archive.db")
	if _, err := os.Stat(path); err != nil {
		return 0
	}
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var result string
	require.NoError(t, db.QueryRow(`PRAGMA quick_check`).Scan(&result))
	require.Equal(t, "ok", result)
	if err := db.QueryRow(`SELECT count(*) FROM messages`).Scan(&messages); err != nil {
		require.ErrorContains(t, err, "no such table", "killed before the first transaction")
	}
	return messages
}

func TestExitStatuses(t *testing.T) {
	server, dir := seeded(t, 30), t.TempDir()
	environment(t, server.URL)
	sync := []string{"sync", "-dir", dir, "-rate", "1000000"}

	status, _, stderr := inProcess(t, append(sync, "-plan", "60")...)
	assert.Equal(t, 75, status)
	assert.Regexp(t, `^60 calls used, full again \d{4}-\d\d-01T00:00:00Z, .*left, run the same command then\n$`, stderr)

	server.Handle("GET", "users/list", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"data":[7]}`)) })
	setMeta(t, dir, "read_user", "0")
	status, stdout, _ := inProcess(t, sync...)
	assert.Equal(t, 3, status)
	assert.Contains(t, stdout, "odd")

	status, stdout, _ = inProcess(t, "status", "-dir", dir, "-json")
	assert.Zero(t, status)
	var report map[string]any
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	assert.EqualValues(t, 30, report["contacts"])

	t.Setenv("DRIFT_TOKEN", "wrong")
	status, _, stderr = inProcess(t, sync...)
	assert.Equal(t, 1, status)
	assert.NotContains(t, stderr, "wrong")

	for _, args := range [][]string{{"-h"}, {"sync", "-h"}, {"plan", "-h"}, {"verify", "-h"}, {"status", "-h"}, {"forget", "-h"}} {
		status, _, stderr = inProcess(t, args...)
		assert.Zero(t, status, args)
		assert.Contains(t, stderr, "usage: archive")
	}
	for _, args := range [][]string{{"nonsense"}, {"sync", "-what", "nonsense"}, {"sync", "-plan", "nonsense"}, {"forget"},
		{"status", "-dir", t.TempDir()}, {"verify", "-dir", t.TempDir()}} {
		status, _, _ = inProcess(t, args...)
		assert.Equal(t, 1, status, args)
	}
}

func setMeta(t *testing.T, dir, key, value string) {
	t.Helper()
	s, err := store.Open(t.Context(), dir)
	require.NoError(t, err)
	require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.SetMeta(key, value) }))
	require.NoError(t, s.Close())
}

func TestInterruptExitsCleanly(t *testing.T) {
	server, dir := seeded(t, 30), t.TempDir()
	environment(t, server.URL)
	ctx, cancel := context.WithCancel(t.Context())
	server.Fail("classic.messages.list", drifttest.Fault{})
	server.Handle("GET", "conversations/{conversationId}/messages", func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	var out, errs bytes.Buffer
	assert.Equal(t, 1, run(ctx, []string{"sync", "-dir", dir, "-rate", "1000000"}, &out, &errs))
	assert.Equal(t, "Stopped. Run the same command again to resume.\n", errs.String())
	s, err := store.OpenReader(t.Context(), dir)
	require.NoError(t, err)
	runs, err := s.Runs(t.Context(), 1)
	require.NoError(t, err)
	assert.False(t, runs[0].EndedAt.IsZero(), "the run has ended")
	require.NoError(t, s.Close())
}

func TestOneWriterAtATime(t *testing.T) {
	server, dir := seeded(t, 1), t.TempDir()
	environment(t, server.URL)
	held, err := lock(dir)
	require.NoError(t, err)
	status, _, stderr := inProcess(t, "sync", "-dir", dir, "-rate", "1000000")
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "another command is writing to this archive")
	require.NoError(t, held.Close())
	status, _, _ = inProcess(t, "sync", "-dir", dir, "-rate", "1000000")
	assert.Zero(t, status)
}

func TestVerifyAndForget(t *testing.T) {
	server, dir := seeded(t, 30), t.TempDir()
	environment(t, server.URL)
	sync := []string{"sync", "-dir", dir, "-rate", "1000000"}
	verify := []string{"verify", "-dir", dir, "-rate", "1000000"}
	status, _, _ := inProcess(t, sync...)
	require.Zero(t, status)
	status, stdout, stderr := inProcess(t, verify...)
	require.Zero(t, status, stdout+stderr)
	assert.FileExists(t, filepath.Join(dir, "manifest.json"))

	status, stdout, _ = inProcess(t, "forget", "-dir", dir, "-yes", "VISITOR7@example.com")
	require.Zero(t, status)
	assert.Contains(t, stdout, "deleted: 1 contact, 1 conversation, 8 messages, 1 file,")
	status, _, _ = inProcess(t, sync...)
	require.Zero(t, status)
	s, err := store.OpenReader(t.Context(), dir)
	require.NoError(t, err)
	_, err = s.Conversation(t.Context(), 8)
	assert.ErrorIs(t, err, store.ErrNotFound, "a sync does not bring the person back")
	require.NoError(t, s.Close())
}

func TestVerifyFindsWhatIsMissing(t *testing.T) {
	for name, damage := range map[string]string{
		"messages":      `DELETE FROM messages WHERE conversation_id = 9 AND id = (SELECT max(id) FROM messages WHERE conversation_id = 9)`,
		"records":       `UPDATE messages SET raw = '{}' WHERE conversation_id = 9`,
		"content":       `UPDATE messages SET raw = '{}', raw_crc = 695980202 WHERE conversation_id = 9`, // its checksum
		"conversations": `DELETE FROM conversations WHERE id = 1`,
		"files":         `UPDATE attachments SET sha256 = replace(sha256, substr(sha256, 1, 1), 'x') WHERE id = 2`,
	} {
		t.Run(name, func(t *testing.T) {
			server, dir := seeded(t, 110), t.TempDir() // a list of two pages
			environment(t, server.URL)
			sync := []string{"sync", "-dir", dir, "-rate", "1000000", "-overlap", "0s"}
			status, _, _ := inProcess(t, sync...)
			require.Zero(t, status)
			db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "archive.db")+"?_pragma=foreign_keys(1)")
			require.NoError(t, err)
			_, err = db.Exec(damage)
			require.NoError(t, err)
			require.NoError(t, db.Close())

			verify := []string{"verify", "-dir", dir, "-rate", "1000000", "-json", "-overlap", "0s"}
			status, stdout, _ := inProcess(t, verify...)
			assert.Equal(t, 3, status)
			var v store.Verification
			require.NoError(t, json.Unmarshal([]byte(stdout), &v))
			for _, check := range v.Checks {
				if check.Name == name {
					assert.False(t, check.OK, check.Result)
				}
			}
			status, _, _ = inProcess(t, sync...)
			require.Zero(t, status)
			storetest.RequireComplete(t, dir, server)
			status, stdout, _ = inProcess(t, verify...)
			assert.Zero(t, status, stdout)
		})
	}
}

// The estimate is within 5 % of what a sync then takes.
func TestPlan(t *testing.T) {
	server, dir := seeded(t, 300), t.TempDir()
	environment(t, server.URL)
	status, stdout, _ := inProcess(t, "plan", "-dir", dir, "-rate", "1000000", "-json")
	require.Zero(t, status)
	var estimate fetch.Estimate
	require.NoError(t, json.Unmarshal([]byte(stdout), &estimate))
	assert.Equal(t, 300, estimate.Conversations)
	assert.Equal(t, 100, estimate.Sampled)
	server.Reset()
	status, _, _ = inProcess(t, "sync", "-dir", dir, "-rate", "1000000")
	require.Zero(t, status)
	assert.InEpsilon(t, server.Count("*"), estimate.Total, 0.05)
	assert.LessOrEqual(t, server.Count("classic.messages.list"), 400-100, "what was read is kept")
}

// The demonstration shows its archive until it is stopped, and leaves nothing behind.
func TestDemo(t *testing.T) {
	t.Setenv("DRIFT_TOKEN", "")
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	var errs bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, nil, writer, &errs)
		_ = writer.Close()
	}()
	lines, page := bufio.NewScanner(reader), ""
	require.True(t, lines.Scan())
	assert.Contains(t, lines.Text(), "This is a demonstration")
	for lines.Scan() {
		if address := strings.TrimSpace(lines.Text()); strings.HasPrefix(address, "http://") {
			response, err := http.Get(address)
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, errors.Join(err, response.Body.Close()))
			page = string(body)
			cancel()
		}
	}
	assert.Zero(t, <-ended, errs.String())
	assert.Contains(t, page, "This is a demonstration.")
	assert.Contains(t, page, `<ol class="conversations">`)
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	assert.Empty(t, left)
}
