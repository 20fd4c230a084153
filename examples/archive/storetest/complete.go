package storetest

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

// RequireComplete compares the archive in a folder with what a server holds. It shares no code with the archive.
func RequireComplete(t testing.TB, dir string, server *drifttest.Server) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "archive.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var messages, files int
	emails := map[drift.ContactID]string{}
	for _, contact := range server.Contacts() {
		emails[contact.ID] = contact.Email
	}
	for _, c := range server.Conversations() {
		var status string
		require.NoError(t, db.QueryRow(`SELECT status FROM conversations WHERE id = ?`, c.ID).Scan(&status),
			"conversation %d", c.ID)
		assert.Equal(t, string(c.Status), status)
		for _, m := range server.Messages(c.ID) {
			messages++
			var body string
			require.NoError(t, db.QueryRow(`SELECT raw ->> 'body' FROM messages WHERE conversation_id = ? AND id = ?`,
				c.ID, m.ID).Scan(&body), "message %d of conversation %d", m.ID, c.ID)
			assert.Equal(t, m.Body, body)
			for _, file := range m.Attachments {
				files++
				var sum string
				require.NoError(t, db.QueryRow(`SELECT sha256 FROM attachments WHERE id = ? AND state = 'stored'`,
					file.ID).Scan(&sum))
				assert.FileExists(t, filepath.Join(dir, "attachments", sum[:2], sum))
			}
		}
		messages += len(server.Notes(c.ID))
		var email string
		require.NoError(t, db.QueryRow(`SELECT raw ->> '$.attributes.email' FROM contacts WHERE id = ?`,
			c.ContactID).Scan(&email), "contact %d", c.ContactID)
		assert.Equal(t, emails[c.ContactID], email)
	}
	var archived int
	require.NoError(t, db.QueryRow(`SELECT count(*) FROM messages`).Scan(&archived))
	assert.Equal(t, messages, archived, "messages, each once")
	require.NoError(t, db.QueryRow(`SELECT count(*) FROM conversations`).Scan(&archived))
	assert.Equal(t, len(server.Conversations()), archived, "conversations, each once")
	require.NoError(t, db.QueryRow(`SELECT count(*) FROM attachments`).Scan(&archived))
	assert.Equal(t, files, archived, "files, each once")
}
