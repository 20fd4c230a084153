package page

import (
	"encoding/json"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
)

var markup = regexp.MustCompile(`<[^>]*>`)

// fixture is an archive in the making. Its people and what they write are invented.
type fixture struct {
	t            *testing.T
	archive      *store.Store
	at           time.Time
	conversation int64
	messages     int64
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	f := &fixture{t: t, archive: s, at: time.Date(2026, 2, 27, 9, 12, 0, 0, time.UTC)}
	for id, name := range map[int]string{11: "Mia Chen", 12: "Noah Brandt", 13: "Acme Assistant"} {
		f.write(func(tx *store.Tx) error {
			raw := fmt.Appendf(nil, `{"id":%d,"name":%q}`, id, name)
			return tx.PutRecord(store.Record{Kind: "user", ID: fmt.Sprint(id), Raw: raw})
		})
	}
	return f
}

func (f *fixture) write(do func(tx *store.Tx) error) {
	f.t.Helper()
	require.NoError(f.t, f.archive.Write(f.t.Context(), do))
}

func (f *fixture) raw(value map[string]any) json.RawMessage {
	f.t.Helper()
	data, err := json.Marshal(value)
	require.NoError(f.t, err)
	return data
}

// talk begins a conversation.
func (f *fixture) talk(contact int64, attributes map[string]any, status string, tags ...string) {
	f.t.Helper()
	f.conversation++
	id, at := f.conversation, f.at
	names := []map[string]any{}
	for _, tag := range tags {
		names = append(names, map[string]any{"name": tag, "color": "0a58b8"})
	}
	raw := map[string]any{"id": id, "status": status, "contactId": contact}
	listed := f.raw(raw)
	raw["participants"], raw["conversationTags"] = []int{11}, names
	details := f.raw(raw)
	name, _ := attributes["name"].(string)
	email, _ := attributes["email"].(string)
	f.write(func(tx *store.Tx) error {
		c := store.Conversation{ID: id, Status: status, ContactID: contact, InboxID: 1, CreatedAt: at,
			UpdatedAt: at.Add(20 * time.Minute), Raw: listed}
		if err := tx.PutConversation(c); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE conversations SET details = ?, messages_at = updated_at WHERE id = ?`,
			string(details), id); err != nil {
			return err
		}
		return tx.PutContact(store.Contact{ID: contact, Name: name, Email: email,
			Raw: f.raw(map[string]any{"id": contact, "attributes": attributes})}, at.UnixMilli())
	})
}

// says adds a message. Author 0 is the contact.
func (f *fixture) says(author int64, body string, change ...func(m *store.Message, raw map[string]any)) {
	f.t.Helper()
	f.messages++
	f.at = f.at.Add(3 * time.Minute)
	m := store.Message{ID: f.messages, ConversationID: f.conversation, Type: "chat", AuthorType: "user", AuthorID: author,
		CreatedAt: f.at, Text: markup.ReplaceAllString(body, " ")}
	if author == 0 {
		m.AuthorType = "contact"
		c, err := f.archive.Conversation(f.t.Context(), f.conversation)
		require.NoError(f.t, err)
		m.AuthorID = c.ContactID
	}
	m.Bot = author == 13
	raw := map[string]any{"id": m.ID, "conversationId": m.ConversationID, "body": body, "createdAt": f.at.UnixMilli()}
	for _, change := range change {
		change(&m, raw)
	}
	raw["type"] = m.Type
	raw["author"] = map[string]any{"id": m.AuthorID, "type": m.AuthorType, "bot": m.Bot}
	m.Raw = f.raw(raw)
	f.write(func(tx *store.Tx) error { return tx.PutMessage(m) })
}

func note(m *store.Message, _ map[string]any) { m.Type = "private_note" }

func buttons(labels ...string) func(*store.Message, map[string]any) {
	return func(_ *store.Message, raw map[string]any) {
		list := []map[string]any{}
		for _, label := range labels {
			list = append(list, map[string]any{"label": label, "value": label, "type": "reply"})
		}
		raw["buttons"] = list
	}
}

// file adds a file to a message, and stores it.
func (f *fixture) file(id int64, name string, data []byte) func(*store.Message, map[string]any) {
	return func(m *store.Message, raw map[string]any) {
		m.Attachments = append(m.Attachments, store.Attachment{ID: id, Name: name, MIMEType: "text/html"})
		raw["attachments"] = []map[string]any{{"id": id, "fileName": name}}
		part, err := f.archive.NewPart()
		require.NoError(f.t, err)
		_, err = part.Write(data)
		require.NoError(f.t, err)
		checksum, size, err := part.Keep()
		require.NoError(f.t, err)
		require.NoError(f.t, part.Close())
		f.write(func(tx *store.Tx) error {
			if _, err := tx.Exec(`INSERT INTO attachments (id, name) VALUES (?, ?)`, id, name); err != nil {
				return err
			}
			return tx.PutFile(id, checksum, size)
		})
	}
}

// acme fills the archive of a small company.
func (f *fixture) acme() {
	f.talk(103, map[string]any{"name": "Priya Raman", "email": "priya@northwind.example"}, "closed")
	f.says(0, "Hi, is there a student discount?")
	f.says(12, "There is: 50 % with a university address.")
	f.at = f.at.Add(26 * time.Hour)
	f.talk(104, map[string]any{"email": "j.okafor@lumen.example"}, "pending", "billing")
	f.says(0, "Our invoice for January has the wrong VAT number. Can you send a new one?")
	f.at = f.at.Add(4 * time.Hour)
	f.talk(102, map[string]any{"name": "Tomás Herrera", "email": "tomas@oakline.example"}, "open")
	f.says(13, "What brings you here today?", buttons("Talk to sales", "I need help"))
	f.says(0, "I need help")
	f.says(0, "<p>The export stops at <b>10,000 rows</b>. Is that a limit of our plan?</p>")
	f.at = f.at.Add(17 * time.Hour)
	f.talk(101, map[string]any{
		"name": "Grace Whitfield", "email": "grace@harborview.example", "phone": "+1 202 555 0143",
		"title": "Head of Operations", "company": "Harborview Clinics", "city": "Portland",
		"events": map[string]any{}, "start_date": int64(1771000000000),
	}, "open", "enterprise", "renewal")
	f.says(13, "Hello! Would you like to talk to our team?", buttons("Yes, please", "Just looking"))
	f.says(0, "Yes, please")
	f.says(0, `<p>We have 240 seats and our contract ends in March. Two questions:</p>`+
		`<ol><li>Can we keep the price of last year?</li><li>Is there a `+
		`<a href="https://acme.example/sso">single sign-on</a> that works with our directory?</li></ol>`,
		func(_ *store.Message, raw map[string]any) {
			raw["context"] = map[string]any{"title": "Pricing · Acme", "ip": "203.0.113.9"}
		})
	f.says(11, "Good morning, Grace! Yes to both. I have put the offer into a file.",
		f.file(501, "Offer Harborview 2026.pdf", make([]byte, 184_320)))
	f.says(11, "240 seats, renewal in March. Ask Noah about the directory before Friday.", note)
	f.says(0, "Wonderful, thank you! I will read it with our finance team today.")
}
