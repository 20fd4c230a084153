package hostile

import (
	"database/sql"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// size is how many conversations a test has: more than a page of the list, unless its name says otherwise.
func size(name string) int {
	if strings.HasPrefix(name, "few: ") {
		return 40
	}
	return 110
}

// verify finds every kind of damage, and the next sync mends it.
func TestVerifyFindsDamage(t *testing.T) {
	for name, damage := range map[string]string{
		"conversation deleted":       `DELETE FROM conversations WHERE id = (SELECT min(id) FROM conversations)`,
		"few: conversation deleted":  `DELETE FROM conversations WHERE id = (SELECT min(id) FROM conversations)`,
		"few: conversations deleted": `DELETE FROM conversations WHERE id % 3 = 0`,
		"message deleted":            `DELETE FROM messages WHERE seq = (SELECT max(seq) FROM messages WHERE type = 'chat')`,
		"note deleted":               `DELETE FROM messages WHERE seq = (SELECT max(seq) FROM messages WHERE type = 'private_note')`,
		"message changed":            `UPDATE messages SET raw = replace(raw, 'body', 'doby') WHERE seq = (SELECT max(seq) FROM messages)`,
		"conversation changed":       `UPDATE conversations SET raw = replace(raw, 'inboxId', 'xobniId') WHERE id = (SELECT min(id) FROM conversations)`,
		"details changed":            `UPDATE conversations SET details = replace(details, 'vip', 'piv') WHERE id = (SELECT min(id) FROM conversations)`,
		"contact changed":            `UPDATE contacts SET raw = replace(raw, 'Person', 'Nosrep') WHERE id = (SELECT max(id) FROM contacts)`,
		"contact deleted":            `DELETE FROM contacts WHERE id = (SELECT max(id) FROM contacts)`,
		"attachment deleted":         `DELETE FROM message_attachments; DELETE FROM attachments`,
		"index out of step":          `INSERT INTO search (search, rowid, text) SELECT 'delete', seq, text FROM messages ORDER BY seq LIMIT 1`,
		"user changed":               `UPDATE records SET raw = replace(raw, 'Agent', 'Tnega') WHERE kind = 'user' AND id = '3'`,
		"file changed":               "",
		"file gone":                  "",
		"status changed":             `UPDATE conversations SET status = 'closed' WHERE status = 'open' AND id < 1500`,
		"deleted on both sides":      `DELETE FROM conversations WHERE id = (SELECT min(id) FROM conversations)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := start(t, 18), filepath.Join(t.TempDir(), "archive")
			s.seed(size(name))
			s.sync(t, dir, 0)
			status, out := s.command(t.Context(), "verify", "-dir", dir)
			require.Equal(t, 0, status, out)
			if damage != "" {
				db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "archive.db")+"?_pragma=foreign_keys(1)")
				require.NoError(t, err)
				_, err = db.Exec(damage)
				require.NoError(t, err)
				require.NoError(t, db.Close())
			}
			files, err := filepath.Glob(filepath.Join(dir, "attachments", "*", "*"))
			require.NoError(t, err)
			switch name {
			case "file changed":
				require.NoError(t, os.WriteFile(files[0], []byte("other"), 0o600))
			case "file gone":
				require.NoError(t, os.Remove(files[0]))
			case "deleted on both sides":
				for id, c := range s.conversations {
					oldest := slices.Min(slices.Collect(maps.Keys(s.conversations)))
					if id != oldest && c.state.status == s.conversations[oldest].state.status {
						delete(s.conversations, id)
						break
					}
				}
			}
			status, out = s.command(t.Context(), "verify", "-dir", dir)
			assert.Equal(t, 3, status, out)
			s.command(t.Context(), "sync", "-dir", dir)
			status, out = s.command(t.Context(), "verify", "-dir", dir)
			assert.Equal(t, 0, status, "mended: %s", out)
			s.same(t, look(t, dir))
		})
	}
}
