// Package hostile runs the program against a service that misbehaves, and compares what the service sent with what is
// in the database file. It uses neither the SDK nor any package of the archive.
package hostile

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // to look into the file
)

var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "archive-hostile-")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "archive")
	if out, err := exec.Command("go", "build", "-o", program, "..").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v: %s", err, out))
	}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// command runs the program and returns its exit status and what it wrote.
func (s *service) command(ctx context.Context, args ...string) (int, string) {
	cmd := s.prepare(ctx, args...)
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

func (s *service) prepare(ctx context.Context, args ...string) *exec.Cmd {
	if args[0] == "sync" || args[0] == "plan" || args[0] == "verify" {
		args = append(args, "-rate", "1000000", "-patience", "1m")
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = time.Second
	cmd.Env = append(os.Environ(), "DRIFT_TOKEN=secret-token", "DRIFT_BASE_URL="+s.URL, "DRIFT_PLAN=")
	return cmd
}

func (s *service) sync(t *testing.T, dir string, want int, args ...string) string {
	t.Helper()
	status, out := s.command(t.Context(), append([]string{"sync", "-dir", dir}, args...)...)
	require.Equal(t, want, status, out)
	return out
}

// archived is what is in a database file.
type archived struct {
	conversations map[int64]string
	messages      map[[2]int64]string
	contacts      map[int64]string
	records       map[string][]string
	oddities      []string
	files         map[int64][]byte
}

func look(t *testing.T, dir string) *archived {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "archive.db")+
		"?_pragma=busy_timeout(10000)&_pragma=query_only(1)")
	require.NoError(t, err)
	defer db.Close()
	a := &archived{
		conversations: map[int64]string{}, messages: map[[2]int64]string{}, contacts: map[int64]string{},
		records: map[string][]string{}, files: map[int64][]byte{},
	}
	each(t, db, `SELECT id, 0, raw FROM conversations`, func(x, _ int64, raw string) {
		assert.NotContains(t, a.conversations, x)
		a.conversations[x] = raw
	})
	each(t, db, `SELECT conversation_id, id, raw FROM messages`, func(x, y int64, raw string) {
		assert.NotContains(t, a.messages, [2]int64{x, y})
		a.messages[[2]int64{x, y}] = raw
	})
	each(t, db, `SELECT id, 0, raw FROM contacts WHERE raw IS NOT NULL`, func(x, _ int64, raw string) {
		a.contacts[x] = raw
	})
	each(t, db, `SELECT 0, 0, kind || ' ' || raw FROM records`, func(_, _ int64, raw string) {
		kind, rest, _ := bytes.Cut([]byte(raw), []byte(" "))
		a.records[string(kind)] = append(a.records[string(kind)], string(rest))
	})
	each(t, db, `SELECT 0, 0, raw FROM oddities`, func(_, _ int64, raw string) { a.oddities = append(a.oddities, raw) })
	each(t, db, `SELECT id, size, sha256 FROM attachments WHERE state = 'stored'`, func(id, size int64, sum string) {
		data, err := os.ReadFile(filepath.Join(dir, "attachments", sum[:2], sum))
		assert.NoError(t, err)
		a.files[id] = data
	})
	var problem string
	require.NoError(t, db.QueryRow(`PRAGMA integrity_check`).Scan(&problem))
	require.Equal(t, "ok", problem)
	return a
}

func each(t *testing.T, db *sql.DB, query string, do func(int64, int64, string)) {
	t.Helper()
	rows, err := db.Query(query)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var x, y int64
		var raw []byte
		require.NoError(t, rows.Scan(&x, &y, &raw))
		do(x, y, string(raw))
	}
	require.NoError(t, rows.Err())
}

// snapshot is what exists at a moment.
type snapshot struct {
	conversations map[int64]string
	messages      map[[2]int64]string
}

func (s *service) snapshot() snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := snapshot{map[int64]string{}, map[[2]int64]string{}}
	for id, c := range s.conversations {
		snap.conversations[id] = c.raw()
		for _, m := range c.messages {
			if m.id > 0 {
				snap.messages[[2]int64{id, m.id}] = m.raw
			}
		}
	}
	return snap
}

// missing returns what existed before, still exists, and is not in the archive.
func (s *service) missing(before snapshot, a *archived) (missing []string) {
	now := s.snapshot()
	for id := range before.conversations {
		if _, still := now.conversations[id]; still && a.conversations[id] == "" {
			missing = append(missing, fmt.Sprintf("conversation %d", id))
		}
	}
	for id := range before.messages {
		if _, still := now.messages[id]; still && a.messages[id] == "" {
			missing = append(missing, fmt.Sprintf("message %d", id))
		}
	}
	return missing
}

// same compares an archive with the service byte by byte. The archive may have more: what was deleted meanwhile.
func (s *service) same(t *testing.T, a *archived) {
	t.Helper()
	now, wrong := s.snapshot(), 0
	for id, raw := range now.conversations {
		if a.conversations[id] != raw && wrong < 10 {
			wrong++
			t.Errorf("conversation %d: %.300s, but is %.300s", id, a.conversations[id], raw)
		}
	}
	for id, raw := range now.messages {
		if a.messages[id] != raw && wrong < 10 {
			wrong++
			t.Errorf("message %d: %.300s, but is %.300s", id, a.messages[id], raw)
		}
	}
	for id, data := range s.files {
		if have, ok := a.files[id]; ok && !bytes.Equal(have, data) {
			t.Errorf("file %d: %q, but is %q", id, have, data)
		}
	}
	for id := range now.conversations {
		c := s.conversations[id]
		r, isGone := s.contacts[c.contact], s.gone[fmt.Sprintf("contacts/%d", c.contact)]
		if r != nil && r.id == c.contact && !isGone && a.contacts[c.contact] != r.raw && wrong < 10 {
			wrong++
			t.Errorf("contact %d: %.300s, but is %.300s", c.contact, a.contacts[c.contact], r.raw)
		}
	}
}

// The account changes while it is read, and the service fails now and then.
func TestChurn(t *testing.T) {
	for seed := range uint64(variable("DRIFT_SEEDS", 2)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s, dir := start(t, seed), filepath.Join(t.TempDir(), "archive")
			s.seed(300)
			s.churn, s.faults = 7, 200
			if seed%4 == 1 {
				s.lag = 300 * time.Millisecond
			}
			if seed%4 == 3 {
				s.lifetime = 4
			}
			for range 2 {
				before := s.snapshot()
				status, out := s.command(t.Context(), "sync", "-dir", dir)
				require.Contains(t, []int{0, 3}, status, out)
				require.Empty(t, s.missing(before, look(t, dir)), out)
			}
			s.mu.Lock()
			s.churn, s.faults = 0, 0
			s.mu.Unlock()
			time.Sleep(s.lag)
			s.sync(t, dir, 0)
			s.same(t, look(t, dir))
			s.mu.Lock()
			calls := s.total
			s.mu.Unlock()
			s.sync(t, dir, 0, "-overlap", "0s")
			assert.LessOrEqual(t, s.total-calls, 2, "a sync without news")
			status, out := s.command(t.Context(), "verify", "-dir", dir)
			require.Equal(t, 0, status, out)
		})
	}
}

func (s *service) hasDetails(t *testing.T, dir string, id int64, raw string) (has bool) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "archive.db")+"?_pragma=query_only(1)")
	require.NoError(t, err)
	defer db.Close()
	each(t, db, fmt.Sprintf(`SELECT 0, 0, coalesce(details, '') FROM conversations WHERE id = %d`, id),
		func(_, _ int64, text string) { has = text == raw })
	return has
}

// kills returns how often a test kills: DRIFT_KILLS, or a few times.
func kills(few int) int { return variable("DRIFT_KILLS", few) }

func variable(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}
