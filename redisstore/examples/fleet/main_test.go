package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if os.Getenv(redisVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// startRedis starts a redis-server. Without one the test is skipped, unless DRIFT_REDIS is "required".
func startRedis(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil && os.Getenv("DRIFT_REDIS") != "required" {
		t.Skip("redis-server is not installed")
	}
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	cmd := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
	return addr
}

func TestEightProcessesShareOneAllowance(t *testing.T) {
	t.Setenv("DRIFT_TOKEN", "")
	var out bytes.Buffer
	require.NoError(t, start(t.Context(), startRedis(t), 6*time.Second, &out))
	t.Log(out.String())
	assert.Contains(t, out.String(), "   5 s ")
	assert.Contains(t, out.String(), "429s: 0.")
	found := regexp.MustCompile(`Calls of all processes: (\d+)\.`).FindStringSubmatch(out.String())
	require.Len(t, found, 2)
	calls, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	assert.InDelta(t, 8, calls, 4, "one in two thirds of a second")
}
