package hostile

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whenever a sync is killed, what was committed is there, and the next one goes on without reading it again.
func TestKilledSyncs(t *testing.T) {
	t.Parallel()
	s, dir := start(t, 4), filepath.Join(t.TempDir(), "archive")
	s.seed(300)
	s.churn = 0
	messages, killed := 0, 0
	for run := range kills(8) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(20+rand.IntN(100))*time.Millisecond)
		s.command(ctx, "sync", "-dir", dir)
		if ctx.Err() != nil {
			killed++
		}
		cancel()
		if _, err := os.Stat(filepath.Join(dir, "archive.db")); err != nil || !created(t, dir) {
			continue
		}
		now := len(look(t, dir).messages)
		require.GreaterOrEqual(t, now, messages, "run %d", run)
		messages = now
	}
	s.sync(t, dir, 0)
	s.same(t, look(t, dir))
	parts, err := filepath.Glob(filepath.Join(dir, "attachments", "*.part"))
	require.NoError(t, err)
	assert.Empty(t, parts)
	needed := 0
	for _, c := range s.conversations {
		needed += max(1, (len(c.messages)+49)/50) + 1 // and the details
	}
	needed += len(s.files) + (len(s.conversations)+19)/20 + (len(s.conversations)+99)/100 + 10
	repeated := float64(s.total-needed) / float64(max(killed, 1))
	t.Logf("%d kills, %d calls, %d needed: %.1f a kill", killed, s.total, needed, repeated)
	assert.Less(t, repeated, 4.0+4) // workers, the list's first page and meetings, and a second look at the list
	status, out := s.command(t.Context(), "verify", "-dir", dir)
	assert.Equal(t, 0, status, out)
}

func created(t *testing.T, dir string) bool {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "archive.db")+"?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	defer db.Close()
	var n int
	require.NoError(t, db.QueryRow(`SELECT count(*) FROM sqlite_schema WHERE name = 'messages'`).Scan(&n))
	return n > 0
}

// An export that is killed leaves nothing that looks complete, and does not stand in the way of the next.
func TestKilledExports(t *testing.T) {
	t.Parallel()
	s, dir := start(t, 6), filepath.Join(t.TempDir(), "archive")
	s.seed(200)
	s.sync(t, dir, 0)
	for _, format := range []string{"jsonl", "csv", "html"} {
		out := filepath.Join(t.TempDir(), "export."+format)
		for range kills(2) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(10+rand.IntN(60))*time.Millisecond)
			status, text := s.command(ctx, "export", "-dir", dir, "-format", format, "-out", out)
			cancel()
			_, err := os.Stat(out)
			if format == "html" {
				_, err = os.Stat(filepath.Join(out, "index.html"))
			}
			assert.Equal(t, status == 0, err == nil, "%s: status %d: %s", format, status, text)
			if format == "html" || err == nil {
				require.NoError(t, os.RemoveAll(out))
			}
		}
		status, text := s.command(t.Context(), "export", "-dir", dir, "-format", format, "-out", out)
		assert.Equal(t, 0, status, text)
	}
}

// A month of 500 calls.
func TestMonth(t *testing.T) {
	t.Parallel()
	s, dir := start(t, 8), filepath.Join(t.TempDir(), "archive")
	s.seed(400)
	months := 0
	for ; months < 10; months++ {
		before := s.total
		status, out := s.command(t.Context(), "sync", "-dir", dir, "-plan", "500")
		assert.LessOrEqual(t, s.total-before, 500)
		if status == 0 {
			break
		}
		require.Equal(t, 75, status, out)
		assert.Regexp(t, `500 calls used, full again \d{4}-\d\d-01T00:00:00Z, `+
			`.*[1-9]\d* (conversations|files|contacts).* left, run the same command then`, out)
		before = s.total
		status, out = s.command(t.Context(), "sync", "-dir", dir, "-plan", "500")
		require.Equal(t, 75, status, "%s", out)
		assert.Equal(t, before, s.total, "no call of a month that is used up")
		db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "archive.db"))
		require.NoError(t, err)
		_, err = db.Exec(`UPDATE usage SET month = ? WHERE month > '2020'`, fmt.Sprintf("2001-%02d", months+1)) // next month
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
	assert.Greater(t, months, 1)
	s.same(t, look(t, dir))
}

// Only one command writes, and one that stands still for a while goes on.
func TestTwoSyncsAndAStop(t *testing.T) {
	t.Parallel()
	s, dir := start(t, 10), filepath.Join(t.TempDir(), "archive")
	s.seed(300)
	first := s.prepare(t.Context(), "sync", "-dir", dir)
	require.NoError(t, first.Start())
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.total > 20
	}, 10*time.Second, time.Millisecond)
	require.NoError(t, first.Process.Signal(syscall.SIGSTOP))
	status, out := s.command(t.Context(), "sync", "-dir", dir)
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, "another command is writing to this archive")
	status, out = s.command(t.Context(), "status", "-dir", dir)
	assert.Equal(t, 0, status, out)
	time.Sleep(2 * time.Second)
	require.NoError(t, first.Process.Signal(syscall.SIGCONT))
	require.NoError(t, first.Wait())
	s.same(t, look(t, dir))
}

// If the service never accepts a page token, a sync archives what it can, and ends.
func TestTokensAreRefused(t *testing.T) {
	t.Parallel()
	s, dir := start(t, 12), filepath.Join(t.TempDir(), "archive")
	s.seed(250)
	s.fault = func(r *http.Request) int {
		if r.URL.Query().Get("page_token") != "" {
			return 400
		}
		return 0
	}
	s.sync(t, dir, 3)
	assert.Less(t, s.requests["conversations/list"], 100)
	assert.NotEmpty(t, look(t, dir).messages, "what can be had")
	s.fault = nil
	s.sync(t, dir, 0)
	s.same(t, look(t, dir))
}

// A page of the list that never decodes does not keep the others from the archive, nor what is new.
func TestPageThatNeverDecodes(t *testing.T) {
	t.Parallel()
	s, dir := start(t, 12), filepath.Join(t.TempDir(), "archive")
	s.seed(250)
	s.garbage = true
	out := s.sync(t, dir, 3)
	assert.Contains(t, out, "the list was not read to its end")
	assert.NotEmpty(t, look(t, dir).messages, "what can be had")
	c := s.begin(s.person("new@example.com", "New"))
	s.sync(t, dir, 3)
	assert.Contains(t, look(t, dir).conversations, c.id, "what is new on the first page")
	s.garbage = false
	s.sync(t, dir, 0)
	s.same(t, look(t, dir))
}

// The clock of this machine may be late by hours.
func TestLateClock(t *testing.T) {
	t.Parallel()
	s, dir := start(t, 14), filepath.Join(t.TempDir(), "archive")
	s.seed(250)
	s.clock = time.Now().Add(12 * time.Hour).UnixMilli()
	for _, c := range s.conversations {
		s.clock++
		c.state.updated = s.clock
		c.listed = []state{c.state}
	}
	s.sync(t, dir, 0)
	s.same(t, look(t, dir))
	before := s.total
	s.sync(t, dir, 0, "-overlap", "0s")
	assert.LessOrEqual(t, s.total-before, 3)
}

// What the token does not allow is missing, and said so.
func TestForbidden(t *testing.T) {
	for _, path := range []string{"conversations", "contacts", "attachments", "users", "accounts", "playbooks", "teams"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s, dir := start(t, 16), filepath.Join(t.TempDir(), "archive")
			s.seed(40)
			s.forbidden[path] = true
			assert.Contains(t, s.sync(t, dir, 3), "lacks the scope")
			delete(s.forbidden, path)
			s.sync(t, dir, 0)
			s.same(t, look(t, dir))
		})
	}
}

// What the service lists and then does not have is gone, and no error.
func TestGone(t *testing.T) {
	t.Parallel()
	s, dir := start(t, 17), filepath.Join(t.TempDir(), "archive")
	s.seed(40)
	i := 0
	for id, c := range s.conversations {
		switch i++; i % 8 {
		case 0:
			s.gone[fmt.Sprintf("conversations/%d/messages", id)] = true
			c.messages = nil
		case 1:
			s.gone[fmt.Sprintf("conversations/%d", id)] = true
		case 2:
			s.gone[fmt.Sprintf("contacts/%d", c.contact)] = true
		}
	}
	for id := range s.files {
		s.gone[fmt.Sprintf("attachments/%d/data", id)] = true
		break
	}
	s.sync(t, dir, 0)
	s.same(t, look(t, dir))
}
