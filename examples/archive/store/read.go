package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
)

// ErrNotFound reports a record that is not in the archive.
var ErrNotFound = errors.New("this is not in the archive")

// Filter selects conversations. Zero fields do not filter.
type Filter struct {
	Words   string // each must be in one message, as a whole word
	Email   string // of the contact, in any case
	Contact int64
	Agent   int64 // a user who wrote a message
	Status  string
	Tag     string    // of the conversation, in any case
	From    time.Time // of the last change
	To      time.Time // before
	Files   bool      // with files only

	Limit int      // at most so many; 0: all
	After Position // where the page before ended; zero: the first page
}

const conversationColumns = `c.id, c.status, c.contact_id, c.inbox_id, c.created_at, c.updated_at, c.messages_at,
	c.has_files, c.gone_at, c.raw, c.details`

// Conversations returns conversations, the last changed first. It takes time for words and agents with many messages;
// Page does not.
func (s *Store) Conversations(ctx context.Context, filter Filter) ([]Conversation, error) {
	q := filter.query(asSets, conversationColumns)
	return collect(ctx, s.reader, scanConversation, q.String(), q.args...)
}

type row interface{ Scan(...any) error }

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// collect scans every row of a query.
func collect[T any](
	ctx context.Context, db queryer, scan func(row, *T) error, query string, args ...any,
) (items []T, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var item T
		if err := scan(rows, &item); err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, rows.Err()
}

// one returns the only row of a query, or ErrNotFound.
func one[T any](
	ctx context.Context, db *sql.DB, scan func(row, *T) error, query string, args ...any,
) (*T, error) {
	items, err := collect(ctx, db, scan, query, args...)
	switch {
	case err != nil:
		return nil, err
	case len(items) == 0:
		return nil, ErrNotFound
	}
	return &items[0], nil
}

func scanConversation(r row, c *Conversation) error {
	return r.Scan(&c.ID, &c.Status, &c.ContactID, &c.InboxID, milliseconds{&c.CreatedAt}, milliseconds{&c.UpdatedAt},
		milliseconds{&c.MessagesAt}, &c.HasFiles, milliseconds{&c.GoneAt}, text{&c.Raw}, text{&c.Details})
}

// Conversation returns a conversation, or ErrNotFound.
func (s *Store) Conversation(ctx context.Context, id int64) (*Conversation, error) {
	return one(ctx, s.reader, scanConversation,
		`SELECT `+conversationColumns+` FROM conversations c WHERE c.id = ?`, id)
}

// Messages returns the messages of a conversation with their attachments, the oldest first.
func (s *Store) Messages(ctx context.Context, conversationID int64) ([]Message, error) {
	messages, err := collect(ctx, s.reader, scanMessage, `SELECT seq, id, conversation_id, type, author_type, author_id,
		bot, created_at, text, raw FROM messages WHERE conversation_id = ? ORDER BY created_at, id`, conversationID)
	if err != nil {
		return nil, err
	}
	files, err := collect(ctx, s.reader, scanFile, `SELECT ma.seq, `+attachmentColumns+`
		FROM messages m JOIN message_attachments ma ON ma.seq = m.seq JOIN attachments a ON a.id = ma.attachment_id
		WHERE m.conversation_id = ? ORDER BY a.id`, conversationID)
	if err != nil {
		return nil, err
	}
	bySeq := map[int64][]Attachment{}
	for _, file := range files {
		bySeq[file.seq] = append(bySeq[file.seq], file.Attachment)
	}
	for i := range messages {
		messages[i].Attachments = bySeq[messages[i].Seq]
	}
	return messages, nil
}

func scanMessage(r row, m *Message) error {
	return r.Scan(&m.Seq, &m.ID, &m.ConversationID, &m.Type, &m.AuthorType, &m.AuthorID, &m.Bot,
		milliseconds{&m.CreatedAt}, &m.Text, text{&m.Raw})
}

// file is an attachment of a message.
type file struct {
	seq int64
	Attachment
}

const attachmentColumns = `a.id, a.name, a.mime_type, a.sha256, a.size, a.state`

func scanFile(r row, f *file) error {
	a := &f.Attachment
	return r.Scan(&f.seq, &a.ID, &a.Name, &a.MIMEType, &a.SHA256, &a.Size, &a.State)
}

func scanAttachment(r row, a *Attachment) error {
	return r.Scan(&a.ID, &a.Name, &a.MIMEType, &a.SHA256, &a.Size, &a.State)
}

// Attachment returns an attachment, or ErrNotFound. Open it with OpenFile.
func (s *Store) Attachment(ctx context.Context, id int64) (*Attachment, error) {
	return one(ctx, s.reader, scanAttachment, `SELECT `+attachmentColumns+` FROM attachments a WHERE a.id = ?`, id)
}

const contactColumns = `id, email, name, created_at, max(fetched_at, 0), gone_at, raw`

func scanContact(r row, c *Contact) error {
	return r.Scan(&c.ID, &c.Email, &c.Name, milliseconds{&c.CreatedAt}, milliseconds{&c.FetchedAt},
		milliseconds{&c.GoneAt}, text{&c.Raw})
}

// Contact returns a contact, or ErrNotFound. A contact that is not archived yet has no Raw.
func (s *Store) Contact(ctx context.Context, id int64) (*Contact, error) {
	return one(ctx, s.reader, scanContact, `SELECT `+contactColumns+` FROM contacts WHERE id = ?`, id)
}

// ContactsByEmail returns the contacts with an address, in any case.
func (s *Store) ContactsByEmail(ctx context.Context, email string) ([]Contact, error) {
	if part := asciiPart(email); part != email { // SQLite knows the cases of ASCII only
		contacts, err := collect(ctx, s.reader, scanContact,
			`SELECT `+contactColumns+` FROM contacts WHERE instr(lower(email), lower(?)) ORDER BY id`, part)
		return slices.DeleteFunc(contacts, func(c Contact) bool { return !strings.EqualFold(c.Email, email) }), err
	}
	return collect(ctx, s.reader, scanContact,
		`SELECT `+contactColumns+` FROM contacts WHERE email = ? COLLATE NOCASE ORDER BY id`, email)
}

// Contacts returns all contacts that are archived.
func (s *Store) Contacts(ctx context.Context) ([]Contact, error) {
	return collect(ctx, s.reader, scanContact,
		`SELECT `+contactColumns+` FROM contacts WHERE raw IS NOT NULL ORDER BY id`)
}

// Records returns the records of a kind: user, team, account, meeting, playbook, landing_page or contact_attribute.
func (s *Store) Records(ctx context.Context, kind string) ([]Record, error) {
	return collect(ctx, s.reader, scanRecord,
		`SELECT kind, id, fetched_at, raw FROM records WHERE kind = ? ORDER BY rowid`, kind)
}

func scanRecord(r row, record *Record) error {
	return r.Scan(&record.Kind, &record.ID, milliseconds{&record.FetchedAt}, text{&record.Raw})
}

// Oddities returns all oddities, the oldest first.
func (s *Store) Oddities(ctx context.Context) ([]Oddity, error) {
	return collect(ctx, s.reader, func(r row, o *Oddity) error {
		return r.Scan(&o.ID, &o.Operation, &o.Subject, &o.Error, text{&o.Raw}, &o.ContactID, milliseconds{&o.SeenAt})
	}, `SELECT id, operation, subject, error, nullif(raw, ''), contact_id, seen_at FROM oddities ORDER BY id`)
}

// Runs returns the last runs, the newest first.
func (s *Store) Runs(ctx context.Context, limit int) ([]Run, error) {
	return collect(ctx, s.reader, func(r row, run *Run) error {
		return r.Scan(&run.ID, &run.Command, milliseconds{&run.BegunAt}, milliseconds{&run.EndedAt}, &run.Calls,
			&run.Status, &run.Summary)
	}, `SELECT id, command, begun_at, ended_at, calls, status, summary FROM runs ORDER BY id DESC LIMIT ?`, limit)
}
