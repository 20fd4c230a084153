package store

import (
	"context"
	"fmt"
	"time"
)

// Check checks the database, the index of the search and the files, without the service. Files that are missing or
// changed become due.
func (s *Store) Check(ctx context.Context) ([]Check, error) {
	database, err := s.checkDatabase(ctx)
	if err != nil {
		return nil, err
	}
	broken, err := s.FilesBroken(ctx)
	if err != nil {
		return nil, err
	}
	files := Check{Name: "files", OK: len(broken) == 0, Result: "Every file has the checksum of its download."}
	if !files.OK {
		files.Result = fmt.Sprintf("%d files are missing or changed. They are due again.", len(broken))
	}
	err = s.Write(ctx, func(tx *Tx) error {
		for _, a := range broken {
			if err := tx.exec(`UPDATE attachments SET state = 'due' WHERE id = ?`, a.ID); err != nil {
				return err
			}
		}
		return nil
	})
	return []Check{database, s.checkSearch(ctx), files}, err
}

func (s *Store) checkDatabase(ctx context.Context) (Check, error) {
	c := Check{Name: "database", OK: true, Result: "The database is intact."}
	for _, pragma := range []string{`SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'`,
		`SELECT "table" FROM pragma_foreign_key_check`} {
		found, err := collect(ctx, s.reader, func(r row, text *string) error { return r.Scan(text) }, pragma)
		if err != nil {
			return c, err
		}
		if len(found) > 0 {
			c.OK, c.Result = false, "The database is damaged: "+found[0]
		}
	}
	return c, nil
}

// checkSearch compares the index of the search with the messages.
func (s *Store) checkSearch(ctx context.Context) Check {
	if _, err := s.writer.ExecContext(ctx, `INSERT INTO search (search, rank) VALUES ('integrity-check', 1)`); err != nil {
		return Check{Name: "search", Result: "The index of the search is damaged: " + err.Error()}
	}
	return Check{Name: "search", OK: true, Result: "The index of the search has every message."}
}

// Archived is a conversation as a report counts it.
type Archived struct {
	UpdatedAt int64 // in milliseconds
	IsDue     bool
	Messages  int // without notes
}

// Archived returns what the archive has of a conversation, or nil.
func (s *Store) Archived(ctx context.Context, conversationID int64) (*Archived, error) {
	found, err := collect(ctx, s.reader, func(r row, a *Archived) error {
		return r.Scan(&a.UpdatedAt, &a.IsDue, &a.Messages)
	}, `SELECT updated_at, messages_at < updated_at, (SELECT count(*) FROM messages
		WHERE conversation_id = c.id AND type <> 'private_note') FROM conversations c WHERE id = ?`, conversationID)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// FirstChange returns the earliest last change of a conversation.
func (s *Store) FirstChange(ctx context.Context) (at time.Time, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT ifnull(min(updated_at), 0) FROM conversations WHERE updated_at > 0`).
		Scan(milliseconds{&at})
	return at, err
}

// Complete returns conversations whose messages are archived, at random.
func (s *Store) Complete(ctx context.Context, limit int) ([]Due, error) {
	return collect(ctx, s.reader, func(r row, d *Due) error { return r.Scan(&d.ID, &d.UpdatedAt) },
		`SELECT id, updated_at FROM conversations WHERE messages_at >= updated_at AND gone_at = 0
		ORDER BY random() LIMIT ?`, limit)
}

// ByStatus returns how many conversations the service should have, by status: those that were forgotten, too.
func (s *Store) ByStatus(ctx context.Context) (map[string]int, error) {
	return s.counts(ctx, `SELECT status, count(*) FROM (
		SELECT status FROM conversations WHERE gone_at = 0 UNION ALL SELECT status FROM forgotten WHERE kind = 'conversation'
	) GROUP BY 1`)
}

// ReadAllAgain makes the next pass read the whole list.
func (tx *Tx) ReadAllAgain(pass string) error {
	return tx.exec(`UPDATE passes SET watermark = 0, floor = 0, cursor = NULL WHERE name = ?`, pass)
}
