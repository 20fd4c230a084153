package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/archive/store"
	"github.com/driftsdk/drift/examples/internal/clitest"
)

// What a user sees who starts the command in the wrong way, in a folder without an archive.
func TestStarts(t *testing.T) {
	account := drifttest.Start(t)
	right := []string{"DRIFT_TOKEN=" + drifttest.DefaultToken, "DRIFT_BASE_URL=" + account.URL}
	start := func(title string, env []string, args ...string) clitest.Start {
		return clitest.Start{Title: title, Args: args, Env: env, Dir: t.TempDir()}
	}
	starts := []clitest.Start{
		start("-h", nil, "-h"),
		start("a token, without a command", right),
		start("a command that there is not", nil, "backup"),
		start("a flag before the command", nil, "-json", "sync"),
		start("sync -h", nil, "sync", "-h"),
		start("forget -h", nil, "forget", "-h"),
		start("demo with a folder", nil, "demo", "-dir", "here"),
		start("sync without a token", nil, "sync"),
		start("sync with an argument", right, "sync", "everything"),
		start("sync with a flag that there is not", right, "sync", "-force"),
		start("sync of what there is not", right, "sync", "-what", "messages,notes"),
		start("sync without workers", right, "sync", "-workers", "0"),
		start("sync at no rate", right, "sync", "-rate", "0"),
		start("sync with -keep-free, without -plan", right, "sync", "-keep-free", "100"),
		start("plan with a plan that there is not", right, "plan", "-plan", "premium"),
		start("verify without an archive", right, "verify"),
		start("verify with a number below 0", right, "verify", "-deep", "-1"),
		start("status without an archive", nil, "status"),
		start("serve without an archive", nil, "serve"),
		start("serve on a port that there is not", nil, "serve", "-port", "70000"),
		start("export without an archive", nil, "export"),
		start("export in a format that there is not", nil, "export", "-format", "xml"),
		start("forget without an address", nil, "forget"),
		start("forget with a name", nil, "forget", "grace"),
		start("forget without an archive", nil, "forget", "grace@example.com"),
	}
	starts = append(starts, otherAccount(t, start), damaged(t, start))
	for _, s := range wrongService(t) {
		starts = append(starts, start(s.Title, s.Env, "sync", "-patience", "1ms"))
	}
	clitest.Transcript(t, starts)
}

// wrongService has the usual starts with a wrong token or a wrong URL.
func wrongService(t *testing.T) []clitest.Start {
	all := clitest.WithToken(t)
	return all[slices.IndexFunc(all, func(s clitest.Start) bool { return strings.Contains(s.Title, "token with") })-1:]
}

func otherAccount(
	t *testing.T, start func(title string, env []string, args ...string) clitest.Start,
) clitest.Start {
	strangers := drifttest.Start(t)
	s := start("sync into the folder of another account",
		[]string{"DRIFT_TOKEN=" + drifttest.DefaultToken, "DRIFT_BASE_URL=" + strangers.URL}, "sync", "-dir", ".")
	archive, err := store.Open(t.Context(), s.Dir)
	require.NoError(t, err)
	require.NoError(t, archive.Write(t.Context(), func(tx *store.Tx) error { return tx.SetMeta("organization", "7") }))
	require.NoError(t, archive.Close())
	return s
}

func damaged(
	t *testing.T, start func(title string, env []string, args ...string) clitest.Start,
) clitest.Start {
	s := start("status of a database that is none", nil, "status", "-dir", ".")
	require.NoError(t, os.WriteFile(filepath.Join(s.Dir, "archive.db"), []byte(strings.Repeat("x", 5_000)), 0o600))
	return s
}

// A wrong URL leaves nothing in the folder that would keep the right one out.
func TestWrongURLFirst(t *testing.T) {
	website := httptest.NewServer(http.NotFoundHandler())
	defer website.Close()
	dir := t.TempDir()
	environment(t, strings.ReplaceAll(website.URL, "127.0.0.1", "localhost"))
	status, _, stderr := inProcess(t, "sync", "-dir", dir, "-rate", "1000000")
	assert.Equal(t, exitError, status)
	assert.Contains(t, stderr, "check it")
	environment(t, seeded(t, 1).URL)
	status, _, stderr = inProcess(t, "sync", "-dir", dir, "-rate", "1000000")
	assert.Equal(t, exitOK, status, stderr)
}

// Whoever looks on sees why nothing happens.
func TestSyncSaysThatItWaits(t *testing.T) {
	server, dir := seeded(t, 1), t.TempDir()
	environment(t, server.URL)
	server.Fail("classic.meetings.list", slices.Repeat([]drifttest.Fault{{Status: http.StatusBadGateway}}, 4)...)
	server.Fail("classic.conversations.list", slices.Repeat([]drifttest.Fault{{Status: http.StatusBadGateway}}, 1)...)
	status, _, stderr := inProcess(t, "sync", "-dir", dir, "-rate", "1000000")
	assert.Equal(t, exitOK, status, stderr)
	assert.Regexp(t, `^waiting 1s, then trying again: drift: .*502`, stderr)
	assert.Equal(t, 1, strings.Count(stderr, "\n"), "once a minute")
}
