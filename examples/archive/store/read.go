package store

import (
	"context"
	"database/sql"
	"errors"
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
	After Position // of the last conversation of the page before; zero: the first page
}

// Position is where a conversation is in the list. It stays valid when that conversation changes or goes.
type Position struct {
	UpdatedAt time.Time
	ID        int64
}

// Position returns where the conversation is in the list.
func (c *Conversation) Position() Position { return Position{UpdatedAt: c.UpdatedAt, ID: c.ID} }

// Conversations returns conversations, the last changed first.
func (s *Store) Conversations(ctx context.Context, filter Filter) ([]Conversation, error) {
	query, err := s.query(ctx, filter)
	if err != nil {
		return nil, err
	}
	return collect(ctx, s.reader, scanConversation, query.String(), query.args...)
}

// query is a query in the making.
type query struct {
	strings.Builder
	args []any
	next string // WHERE or AND
}

func (q *query) where(condition string, args ...any) {
	if q.next == "" {
		q.next = " WHERE "
	}
	q.WriteString(q.next + condition)
	q.args = append(q.args, args...)
	q.next = " AND "
}

const conversationColumns = `c.id, c.status, c.contact_id, c.inbox_id, c.created_at, c.updated_at, c.messages_at,
	c.has_files, c.gone_at, c.raw, c.details`

func (s *Store) query(ctx context.Context, f Filter) (*query, error) {
	q := new(query)
	q.WriteString(`SELECT ` + conversationColumns + ` FROM conversations c`)
	if f.Contact != 0 {
		q.where(`c.contact_id = ?`, f.Contact)
	}
	if f.Email != "" {
		q.where(`c.contact_id IN (SELECT id FROM contacts WHERE email = ? COLLATE NOCASE)`, f.Email)
	}
	if f.Agent != 0 {
		q.where(`c.id IN (SELECT conversation_id FROM messages WHERE author_type = 'user' AND author_id = ?)`, f.Agent)
	}
	if f.Tag != "" {
		q.where(`c.id IN (SELECT conversation_id FROM conversation_tags WHERE tag = ?)`, f.Tag)
	}
	if f.Status != "" {
		q.where(`c.status = ?`, f.Status)
	}
	if !f.From.IsZero() {
		q.where(`c.updated_at >= ?`, milliseconds{&f.From})
	}
	if !f.To.IsZero() {
		q.where(`c.updated_at < ?`, milliseconds{&f.To})
	}
	if f.Files {
		q.where(`c.has_files`)
	}
	if f.After != (Position{}) {
		q.where(`(c.updated_at, c.id) < (?, ?)`, milliseconds{&f.After.UpdatedAt}, f.After.ID)
	}
	if words := quoted(f.Words); words != "" {
		condition, err := s.matching(ctx, words, f.Contact != 0 || f.Email != "")
		if err != nil {
			return nil, err
		}
		q.where(condition, words)
	}
	q.WriteString(` ORDER BY c.updated_at DESC, c.id DESC`)
	if f.Limit > 0 {
		q.WriteString(` LIMIT ?`)
		q.args = append(q.args, f.Limit)
	}
	return q, nil
}

// common is the number of hits from which it is faster to try conversations one after the other.
const common = 2000

// matching returns the faster one of two conditions with the same result. To collect the hits is fast if there are few;
// otherwise a page is full after the first few conversations.
func (s *Store) matching(ctx context.Context, words string, isNarrow bool) (string, error) {
	hits := common
	if !isNarrow {
		err := s.reader.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM search WHERE search MATCH ? LIMIT ?)`,
			words, common).Scan(&hits)
		if err != nil {
			return "", err
		}
	}
	if hits < common {
		return `c.id IN (SELECT m.conversation_id FROM search CROSS JOIN messages m ON m.seq = search.rowid
			WHERE search MATCH ?)`, nil
	}
	return `EXISTS (SELECT 1 FROM messages m CROSS JOIN search ON search.rowid = m.seq
		WHERE m.conversation_id = c.id AND search MATCH ?)`, nil
}

// quoted quotes every word, so that none is an operator of FTS5.
func quoted(words string) string {
	var terms []string
	for _, word := range strings.Fields(words) {
		terms = append(terms, `"`+strings.ReplaceAll(word, `"`, `""`)+`"`)
	}
	return strings.Join(terms, " ")
}

type row interface{ Scan(...any) error }

// collect scans every row of a query.
func collect[T any](
	ctx context.Context, db *sql.DB, scan func(row, *T) error, query string, args ...any,
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
	return collect(ctx, s.reader, scanContact,
		`SELECT `+contactColumns+` FROM contacts WHERE email = ? COLLATE NOCASE ORDER BY id`, email)
}

// Records returns the records of a kind: user, team, account, meeting, playbook, landing_page or contact_attribute.
func (s *Store) Records(ctx context.Context, kind string) ([]Record, error) {
	return collect(ctx, s.reader, func(r row, record *Record) error {
		return r.Scan(&record.Kind, &record.ID, milliseconds{&record.FetchedAt}, text{&record.Raw})
	}, `SELECT kind, id, fetched_at, raw FROM records WHERE kind = ? ORDER BY rowid`, kind)
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
