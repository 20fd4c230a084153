package main

import (
	"slices"
	"strings"
	"testing"

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
	starts = append(starts, otherAccount(t, start))
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
