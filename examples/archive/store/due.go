package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// MaxFailures is how often a run tries to get a record before it leaves it.
const MaxFailures = 3

// Due is a record that is not archived yet, or that has changed since.
type Due struct {
	ID        int64
	UpdatedAt int64  // the change to archive, in milliseconds
	Cursor    string // where to continue, if Target is UpdatedAt
	Target    int64
}

// Due returns the next records of a kind, the last changed first: messages and details are those of a conversation;
// the other kinds are contacts and files.
func (s *Store) Due(ctx context.Context, kind string, limit int) ([]Due, error) {
	return s.due(ctx, kind, orders[tables[kind]], limit)
}

// Sample returns conversations whose messages are due, at random.
func (s *Store) Sample(ctx context.Context, limit int) ([]Due, error) {
	return s.due(ctx, "messages", `random()`, limit)
}

func (s *Store) due(ctx context.Context, kind, order string, limit int) ([]Due, error) {
	return collect(ctx, s.reader, func(r row, d *Due) error {
		return r.Scan(&d.ID, &d.UpdatedAt, &d.Cursor, &d.Target)
	}, `SELECT `+dueColumns[tables[kind]]+dueFrom(kind)+` ORDER BY `+order+` LIMIT ?`, limit)
}

var (
	dueColumns = map[string]string{
		"conversations": `id, updated_at, messages_cursor, messages_target`,
		"contacts":      `id, seen_at, '', -1`,
		"attachments":   `id, 0, '', -1`,
	}
	orders = map[string]string{
		"conversations": `updated_at DESC`, "contacts": `seen_at DESC`, "attachments": `id DESC`,
	}
	isDue = map[string]string{
		"messages": `messages_at < updated_at AND gone_at = 0`,
		"details":  `details_at < updated_at AND gone_at = 0`,
		"contacts": `fetched_at < seen_at AND gone_at = 0`,
		"files":    `state = 'due'`,
	}
)

// dueFrom selects the due records that have not failed too often.
func dueFrom(kind string) string {
	return fmt.Sprintf(` FROM %s WHERE %s AND failures < %d`, tables[kind], isDue[kind], MaxFailures)
}

// tables are where the records of a kind are.
var tables = map[string]string{
	"messages": "conversations", "details": "conversations", "contacts": "contacts", "files": "attachments",
}

// CountLeft returns how many records of a kind are due, those that failed too often included.
func (s *Store) CountLeft(ctx context.Context, kind string) (n int, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT count(*) FROM `+tables[kind]+` WHERE `+isDue[kind]).Scan(&n)
	return n, err
}

// CountDue returns how many records of a kind are due.
func (s *Store) CountDue(ctx context.Context, kind string) (n int, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT count(*)`+dueFrom(kind)).Scan(&n)
	return n, err
}

// Failed notes that a record could not be read. It returns how often that has happened in this run.
func (tx *Tx) Failed(kind string, id int64) (failures int, err error) {
	err = tx.get(&failures, `UPDATE `+tables[kind]+` SET failures = failures + 1 WHERE id = ? RETURNING failures`, id)
	return failures, err
}

// Gone notes that the service no longer has a record.
func (tx *Tx) Gone(kind string, id int64, now time.Time) error {
	switch tables[kind] {
	case "conversations":
		return tx.exec(`UPDATE conversations SET gone_at = ?, messages_at = updated_at, details_at = updated_at
			WHERE id = ?`, milliseconds{&now}, id)
	case "contacts":
		return tx.exec(`UPDATE contacts SET gone_at = ?, fetched_at = max(fetched_at, 0) WHERE id = ?`,
			milliseconds{&now}, id)
	}
	return tx.exec(`UPDATE attachments SET state = 'gone' WHERE id = ?`, id)
}

// Retry gives the records of a kind that were left another chance.
func (tx *Tx) Retry(kind string) error {
	return tx.exec(`UPDATE ` + tables[kind] + ` SET failures = 0 WHERE failures > 0`)
}

// MessagesRead notes that a page of messages is in the archive, and where the next one is. After the last page, the
// conversation is archived as of d.UpdatedAt, even if it has changed meanwhile.
func (tx *Tx) MessagesRead(d Due, next string) error {
	if next != "" {
		return tx.exec(`UPDATE conversations SET messages_cursor = ?, messages_target = ? WHERE id = ?`,
			next, d.UpdatedAt, d.ID)
	}
	return tx.exec(`UPDATE conversations SET messages_cursor = '', messages_target = -1, messages_at = ?, failures = 0
		WHERE id = ?`, d.UpdatedAt, d.ID)
}

// PutDetails stores what GET conversations/{conversationId} returned.
func (tx *Tx) PutDetails(d Due, raw []byte) error {
	return tx.exec(`UPDATE conversations SET details = ?, details_crc = ?, details_at = ?, failures = 0 WHERE id = ?`,
		string(raw), crc(raw), d.UpdatedAt, d.ID)
}

// ReadAgain makes the messages of a conversation due.
func (tx *Tx) ReadAgain(conversationID int64) error {
	return tx.exec(`UPDATE conversations SET messages_at = -1, failures = 0 WHERE id = ?`, conversationID)
}

// ContactOf returns the contact that a due record is about, or 0.
func (tx *Tx) ContactOf(kind string, id int64) (contactID int64, err error) {
	switch tables[kind] {
	case "contacts":
		return id, nil
	case "conversations":
		err = tx.get(&contactID, `SELECT contact_id FROM conversations WHERE id = ?`, id)
	}
	return contactID, err
}

// ClearOddities drops what is listed about a subject, and about its parts, because it is being read again.
func (tx *Tx) ClearOddities(operation, subject string) error {
	return tx.exec(`DELETE FROM oddities WHERE operation = ? AND (subject = ? OR subject >= ? AND subject < ?)`,
		operation, subject, subject+", ", subject+"-") // "-" follows ","
}

// Pass is the progress of reading a list from the top down; see schema.sql.
type Pass struct {
	Watermark, Floor, High int64
	Cursor                 *string // nil: no pass is in progress
}

// Pass returns the progress of reading a list.
func (s *Store) Pass(ctx context.Context, name string) (p Pass, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT watermark, floor, high, cursor FROM passes WHERE name = ?`, name).
		Scan(&p.Watermark, &p.Floor, &p.High, &p.Cursor)
	if errors.Is(err, sql.ErrNoRows) {
		return Pass{}, nil
	}
	return p, err
}

// SetPass stores the progress of reading a list, in the transaction that stores what was read.
func (tx *Tx) SetPass(name string, p Pass) error {
	return tx.exec(`INSERT INTO passes (name, watermark, floor, high, cursor) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET watermark = excluded.watermark, floor = excluded.floor, high = excluded.high,
			cursor = excluded.cursor`, name, p.Watermark, p.Floor, p.High, p.Cursor)
}

// BeginRun notes that a command has started. It returns the id of the run.
func (tx *Tx) BeginRun(command string, now time.Time) (id int64, err error) {
	err = tx.get(&id, `INSERT INTO runs (command, begun_at) VALUES (?, ?) RETURNING id`, command, milliseconds{&now})
	return id, err
}

// EndRun notes how a run ended.
func (tx *Tx) EndRun(r Run) error {
	return tx.exec(`UPDATE runs SET ended_at = ?, calls = ?, status = ?, summary = ? WHERE id = ?`,
		milliseconds{&r.EndedAt}, r.Calls, r.Status, r.Summary, r.ID)
}

// Usage returns how many calls of a month, such as "2026-11", were made for this archive.
func (s *Store) Usage(ctx context.Context, month string) (calls int, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT coalesce(max(calls), 0) FROM usage WHERE month = ?`, month).Scan(&calls)
	return calls, err
}

// SetUsage stores how many calls of a month were made.
func (tx *Tx) SetUsage(month string, calls int) error {
	return tx.exec(`INSERT INTO usage VALUES (?, ?) ON CONFLICT DO UPDATE SET calls = excluded.calls`, month, calls)
}

// Left returns a sentence for each kind of record that is due or was left after failures, for example "12 contacts".
func (s *Store) Left(ctx context.Context, kinds []string) (left []string, err error) {
	for _, kind := range kinds {
		n, err := s.CountLeft(ctx, kind)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			left = append(left, fmt.Sprintf("%d %s", n, dueNames[kind][min(n, 2)-1]))
		}
	}
	return left, nil
}

var dueNames = map[string][2]string{
	"messages": {"conversation", "conversations"},
	"details":  {"conversation without details", "conversations without details"},
	"contacts": {"contact", "contacts"},
	"files":    {"file", "files"},
}
