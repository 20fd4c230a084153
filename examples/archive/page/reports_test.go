package page

import (
	"html"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
	"github.com/driftsdk/drift/examples/archive/storetest"
)

func TestOddities(t *testing.T) {
	page := get(t, storetest.Open(t), "/oddities")
	for _, want := range []string{"a record without an id", "classic.conversations.list", "id is missing", "contact 103"} {
		assert.Contains(t, page, want)
	}
	assert.Contains(t, html.UnescapeString(page), `"status": "open"`)
	assert.Contains(t, get(t, newFixture(t).archive, "/oddities"), "There are none.")
}

func TestVerification(t *testing.T) {
	s := storetest.Open(t)
	assert.Contains(t, get(t, newFixture(t).archive, "/verification"), "The archive was never verified.")
	put := func(ok bool) {
		require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
			return tx.PutVerification(store.Verification{At: storetest.Start, Checks: []store.Check{
				{Name: "files", OK: true, Result: "All 3 files have their checksums."},
				{Name: "messages", OK: ok, Result: "12 of 13."},
			}})
		}))
	}
	put(true)
	assert.Contains(t, get(t, s, "/verification"), "Everything is as it should be.")
	put(false)
	page := get(t, s, "/verification")
	assert.Contains(t, page, "Something is missing or damaged.")
	assert.Contains(t, page, "12 of 13.")
}

func TestRunResult(t *testing.T) {
	ended := storetest.Start
	assert.Equal(t, "in progress, or stopped", run{store.Run{}}.Result())
	assert.Equal(t, "done", run{store.Run{EndedAt: ended}}.Result())
	assert.Equal(t, "stopped by a limit", run{store.Run{EndedAt: ended, Status: 75}}.Result())
	assert.Equal(t, "failed, with status 1", run{store.Run{EndedAt: ended, Status: 1}}.Result())
}
