package hostile

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The pages answer while a sync writes, and a forget works while they are open.
func TestServeMeanwhile(t *testing.T) {
	t.Parallel()
	s, dir := start(t, 2), filepath.Join(t.TempDir(), "archive")
	s.seed(60)
	p := s.seedPerson()
	s.sync(t, dir, 3)
	address := s.serve(t, dir)
	get := func(path string) (string, time.Duration) {
		begin := time.Now()
		response, err := http.Get(address + path)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Equal(t, 200, response.StatusCode, string(body))
		return string(body), time.Since(begin)
	}
	page, _ := get("?q=xylophonic3")
	require.Contains(t, page, "Zebediah")

	s.mu.Lock()
	s.seed(150)
	s.mu.Unlock()
	sync := s.prepare(t.Context(), "sync", "-dir", dir)
	require.NoError(t, sync.Start())
	done := make(chan struct{})
	go func() { _ = sync.Wait(); close(done) }()
	var took []time.Duration
	for isDone := false; !isDone; {
		for _, path := range []string{"", "?q=refund", fmt.Sprintf("contacts/%d", 1001), "?files=1"} {
			_, d := get(path)
			took = append(took, d)
		}
		select {
		case <-done:
			isDone = true
		default:
		}
	}
	slices.Sort(took)
	t.Logf("%d pages: p50 %s, p95 %s", len(took), took[len(took)/2], took[len(took)*95/100])
	assert.Less(t, took[len(took)/2], 20*time.Millisecond)

	status, out := s.command(t.Context(), "forget", "-dir", dir, "-yes", "zebra.quux@example.com")
	require.Equal(t, 0, status, out)
	page, _ = get("?q=xylophonic3")
	assert.NotContains(t, page, "Zebediah")
	for _, trace := range p.traces {
		assert.Empty(t, found(t, dir, trace))
	}
}

// serve starts the pages and returns their address.
func (s *service) serve(t *testing.T, dir string) string {
	t.Helper()
	cmd := s.prepare(t.Context(), "serve", "-dir", dir)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if i := strings.Index(lines.Text(), "http://"); i >= 0 {
			return strings.TrimSpace(lines.Text()[i:])
		}
	}
	t.Fatal("no address")
	return ""
}
