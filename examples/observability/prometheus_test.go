package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/internal/clitest"
)

// need skips a test if a command of Prometheus is missing. It fails instead if DRIFT_PROMETHEUS is "required".
func need(t *testing.T, command string) {
	t.Helper()
	if _, err := exec.LookPath(command); err == nil {
		return
	}
	require.NotEqual(t, "required", os.Getenv("DRIFT_PROMETHEUS"), "%s is missing", command)
	t.Skipf("%s is missing: install Prometheus, on Debian with apt-get install prometheus", command)
}

// promtool runs promtool on an input and returns what it prints.
func promtool(t *testing.T, input string, args ...string) string {
	t.Helper()
	need(t, "promtool")
	command := exec.CommandContext(t.Context(), "promtool", args...)
	command.Stdin = strings.NewReader(input)
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)
	return string(output)
}

func TestFilesOfPrometheus(t *testing.T) {
	promtool(t, "", "check", "config", "prometheus.yml")
	promtool(t, "", "check", "rules", "--lint=all", "--lint-fatal", "rules.yml")
	promtool(t, "", "test", "rules", "rules_test.yml")
}

// ready returns the URL of a program that has made calls of both kinds.
func ready(t *testing.T, withOTel bool) string {
	t.Helper()
	url, _, _ := run(t, withOTel)
	require.Eventually(t, func() bool {
		_, metrics := page(t, url+"/metrics")
		return strings.Contains(metrics, `"rate_limit"`)
	}, 20*time.Second, 100*time.Millisecond)
	return url
}

func TestMetricsAreWellNamed(t *testing.T) {
	for name, withOTel := range map[string]bool{"hooks": false, "driftotel": true} {
		t.Run(name, func(t *testing.T) {
			need(t, "promtool")
			_, metrics := page(t, ready(t, withOTel)+"/metrics")
			assert.Empty(t, promtool(t, metrics, "check", "metrics"))
		})
	}
}

// documentedQueries returns the queries of docs/observability.md: those for hooks, and those for driftotel.
func documentedQueries(t *testing.T) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/observability.md")
	require.NoError(t, err)
	var all [][]string
	for _, block := range strings.Split(string(text), "```promql\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		var queries []string
		for line := range strings.Lines(block) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				queries = append(queries, line)
			}
		}
		all = append(all, queries)
	}
	return all
}

// startPrometheus starts a server with prometheus.yml, apart from the targets and the intervals. It returns its URL.
func startPrometheus(t *testing.T, targets ...string) string {
	t.Helper()
	need(t, "prometheus")
	text, err := os.ReadFile("prometheus.yml")
	require.NoError(t, err)
	rules, err := filepath.Abs("rules.yml")
	require.NoError(t, err)
	listed := `"` + strings.Join(targets, `", "`) + `"`
	config := strings.NewReplacer(`"127.0.0.1:9464"`, listed, "rules.yml", rules, "15s", "1s").Replace(string(text))
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600))
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	output := &clitest.Buffer{}
	command := exec.CommandContext(t.Context(), "prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	command.Stdout, command.Stderr = output, output
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Log(output.String())
		}
	})
	return "http://" + address
}

// answer is what Prometheus says.
type answer struct {
	Status string
	Error  string
	Data   struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any // time and value
		}
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
}

// read reads an answer of Prometheus. It reports whether there is one.
func (a *answer) read(url string) bool {
	response, err := http.Get(url)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	*a = answer{}
	return json.NewDecoder(response.Body).Decode(a) == nil
}

// Prometheus scrapes the program, evaluates its rules, and answers every query that the documentation has.
func TestPrometheus(t *testing.T) {
	need(t, "prometheus")
	targets := []string{ready(t, false), ready(t, true)}
	for i := range targets {
		targets[i] = strings.TrimPrefix(targets[i], "http://")
	}
	server := startPrometheus(t, targets...)
	queries := documentedQueries(t)
	require.Len(t, queries, 2)
	var got answer
	for i, target := range targets {
		require.Len(t, queries[i], 6)
		for _, query := range queries[i] {
			full := fmt.Sprint(server, "/api/v1/query?query=", url.QueryEscape(query))
			assert.Eventually(t, func() bool {
				return got.read(full) && len(got.Data.Result) > 0 && got.Data.Result[0].Value[1] != "NaN"
			}, 30*time.Second, 200*time.Millisecond, "%s at %s: %s", query, target, got.Error)
			t.Logf("%s: %v", query, got.Data.Result)
		}
	}
	require.Eventually(t, func() bool {
		return got.read(server+"/api/v1/rules") && len(got.Data.Groups) == 1 && got.Data.Groups[0].Rules[0].Health == "ok"
	}, 30*time.Second, 200*time.Millisecond)
	for _, rule := range got.Data.Groups[0].Rules {
		assert.Equal(t, "ok", rule.Health, "%s: %s", rule.Name, rule.LastError)
	}
}
