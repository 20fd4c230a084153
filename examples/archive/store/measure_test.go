package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
)

// TestFigures prints figures of docs/leaving-drift.md, for an archive of DRIFT_ARCHIVE_MESSAGES messages; see TestSpeed.
func TestFigures(t *testing.T) {
	messages, _ := strconv.Atoi(os.Getenv("DRIFT_ARCHIVE_MESSAGES"))
	if messages == 0 {
		t.Skip("DRIFT_ARCHIVE_MESSAGES is not set")
	}
	s := crowd(t, t.TempDir(), messages)
	path := filepath.Join(s.Dir(), "archive.db")
	size, raw := fileSize(t, path), rawSize(t, path)
	t.Logf("%d messages: %d bytes of JSON, a file of %d bytes, × %.2f", messages, raw, size, float64(size)/float64(raw))

	const pages = 200
	start := time.Now()
	for page := range pages { // as a sync stores them
		require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
			for i := range 10 {
				id := int64(1<<40 + 10*page + i)
				m := store.Message{ID: id, ConversationID: 1, CreatedAt: time.Now(), Text: "a new message of a few words",
					Raw: fmt.Appendf(nil, `{"id":%d,"body":"a new message of a few words"}`, id)}
				if err := tx.PutMessage(m); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	t.Logf("storing a page of ten messages: %s", time.Since(start)/pages)

	contacts, err := s.Contacts(t.Context())
	require.NoError(t, err)
	start = time.Now()
	forgotten, err := s.Forget(t.Context(), contacts[len(contacts)/2].Email)
	require.NoError(t, err)
	require.NotEmpty(t, forgotten.Contacts)
	t.Logf("forget: %s", time.Since(start))
}

// fileSize is the size of the database after its log has been moved into it.
func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	_, err = db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Size()
}

func rawSize(t *testing.T, path string) (size int64) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	require.NoError(t, db.QueryRow(`SELECT (SELECT sum(length(CAST(raw AS BLOB))) FROM messages)
		+ (SELECT sum(length(CAST(raw AS BLOB))) FROM conversations)
		+ (SELECT coalesce(sum(length(CAST(raw AS BLOB))), 0) FROM contacts)`).Scan(&size))
	parts, err := db.Query(`SELECT name, sum(pgsize) FROM dbstat GROUP BY 1 ORDER BY 2 DESC LIMIT 9`)
	require.NoError(t, err)
	for parts.Next() {
		var name string
		var bytes int64
		require.NoError(t, parts.Scan(&name, &bytes))
		t.Logf("  %s: %d bytes", name, bytes)
	}
	require.NoError(t, errors.Join(parts.Err(), parts.Close(), db.Close()))
	return size
}
