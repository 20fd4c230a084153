// Package storetest fills an archive for tests.
package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
)

// Start is when the oldest conversation of the fixture began.
var Start = time.Date(2025, 3, 1, 9, 0, 0, 0, time.UTC)

// PNG is the data of the file that the fixture has.
var PNG = []byte("\x89PNG\r\n\x1a\n and the rest")

// Open returns an archive in a temporary folder, with three conversations: 1 with Ada, open; 2 with Grace, closed, with
// a file that is stored and one that is not; 3 with a contact who is not archived yet. There are users 11 (Mia) and 12,
// one record of most other kinds, two oddities and a
// verification.
func Open(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	checksum, size := putFile(t, s)
	require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error { return fill(tx, checksum, size) }))
	return s
}

func putFile(t testing.TB, s *store.Store) (checksum string, size int64) {
	part, err := s.NewPart()
	require.NoError(t, err)
	defer func() { require.NoError(t, part.Close()) }()
	_, err = part.Write(PNG)
	require.NoError(t, err)
	checksum, size, err = part.Keep()
	require.NoError(t, err)
	return checksum, size
}

func at(minutes int) time.Time { return Start.Add(time.Duration(minutes) * time.Minute) }

func raw(format string, args ...any) json.RawMessage { return fmt.Appendf(nil, format, args...) }

func conversation(id, contact int64, status string, minutes int) store.Conversation {
	return store.Conversation{
		ID: id, Status: status, ContactID: contact, InboxID: 1, CreatedAt: at(0), UpdatedAt: at(minutes),
		Raw: raw(`{"id":%d,"status":%q,"contactId":%d,"inboxId":1,"createdAt":%d,"updatedAt":%d}`,
			id, status, contact, at(0).UnixMilli(), at(minutes).UnixMilli()),
	}
}

func message(id, conversation int64, author string, authorID int64, text, body string) store.Message {
	created := at(int(id))
	return store.Message{
		ID: id, ConversationID: conversation, Type: "chat", AuthorType: author, AuthorID: authorID, CreatedAt: created,
		Text: text, Raw: raw(`{"id":%d,"conversationId":%d,"type":"chat","author":{"id":%d,"type":%q,"bot":false},`+
			`"createdAt":%d,"body":%q}`, id, conversation, authorID, author, created.UnixMilli(), body),
	}
}

func fill(tx *store.Tx, checksum string, size int64) error {
	var errs []error
	add := func(err error) { errs = append(errs, err) }
	add(tx.PutConversation(conversation(1, 101, "open", 60)))
	add(tx.PutConversation(conversation(2, 102, "closed", 50)))
	add(tx.PutConversation(conversation(3, 103, "pending", 40)))

	add(tx.PutMessage(message(1, 1, "contact", 101, "Hello, how much is the analytical engine?",
		`<p>Hello, how much is the <b>analytical</b> engine?</p>`)))
	add(tx.PutMessage(message(2, 1, "user", 11, "More than a café au lait <3",
		`More than a café au lait &lt;3<script>alert(1)</script>`)))
	note := message(3, 1, "user", 11, "A good lead", "A good lead")
	note.Type = "private_note"
	add(tx.PutMessage(note))
	withFiles := message(4, 2, "contact", 102, "Here is the screenshot", "Here is the screenshot")
	withFiles.Attachments = []store.Attachment{
		{ID: 1, Name: "screenshot.png", MIMEType: "image/png"}, {ID: 2, Name: "=evil().pdf", MIMEType: "application/pdf"},
	}
	add(tx.PutMessage(withFiles))
	add(tx.PutFile(1, checksum, size))
	add(tx.PutMessage(message(5, 3, "contact", 103, "", "")))

	add(tx.PutContact(store.Contact{ID: 101, Email: "ada@example.com", Name: "Ada", CreatedAt: at(0),
		Raw: raw(`{"id":101,"attributes":{"email":"ada@example.com","name":"Ada"}}`)}, at(60).UnixMilli()))
	add(tx.PutContact(store.Contact{ID: 102, Email: "grace@example.com", Name: "Grace", CreatedAt: at(0),
		Raw: raw(`{"id":102,"attributes":{"email":"grace@example.com","name":"Grace"}}`)}, at(50).UnixMilli()))

	add(fillRest(tx))
	return errors.Join(errs...)
}

// fillRest adds what is not a conversation.
func fillRest(tx *store.Tx) error {
	var errs []error
	add := func(err error) { errs = append(errs, err) }
	for kind, data := range map[string]string{
		"user": `{"id":11,"name":"Mia","email":"mia@acme.example"}`, "team": `{"id":21,"name":"Sales"}`,
		"account": `{"accountId":"31_acme.example","name":"Acme","domain":"acme.example"}`,
		"meeting": `{"eventId":"41","slotStart":1740819600000,"schedulerId":101}`, "playbook": `{"id":51,"name":"Hi"}`,
	} {
		id := map[string]string{"user": "11", "team": "21", "account": "31_acme.example", "meeting": "41", "playbook": "51"}
		add(tx.PutRecord(store.Record{Kind: kind, ID: id[kind], FetchedAt: at(90), Raw: json.RawMessage(data)}))
	}
	add(tx.PutRecord(store.Record{Kind: "user", ID: "12", FetchedAt: at(90), Raw: raw(`{"id":12,"name":"Noah"}`)}))
	add(tx.PutOddity(store.Oddity{Operation: "classic.conversations.list", Subject: "a record without an id",
		Error: "id is missing", Raw: raw(`{"status":"open"}`), SeenAt: at(90)}))
	add(tx.PutOddity(store.Oddity{Operation: "classic.contacts.get", Subject: "contact 103",
		Error: "the service failed", ContactID: 103, SeenAt: at(91)}))
	add(tx.PutVerification(store.Verification{At: at(95), Checks: []store.Check{
		{Name: "database", OK: true, Result: "The database is intact."},
		{Name: "files", OK: true, Result: "1 file has the checksum that it had when it was downloaded."},
	}}))
	return errors.Join(errs...)
}
