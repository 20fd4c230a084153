package store

import (
	"context"
	"database/sql"
	"errors"
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
	if err != nil {
		return nil, err
	}
	content, err := s.checkJSON(ctx)
	return []Check{database, s.checkSearch(ctx), content, files}, err
}

// checksums are where JSON is that has a checksum, and what makes damaged rows due again. Conversations are due in the
// list.
var checksums = []struct{ query, again string }{
	{`SELECT conversation_id, raw, raw_crc FROM messages`, `UPDATE conversations SET messages_at = -1 WHERE id = ?`},
	{`SELECT id, raw, raw_crc FROM conversations`, `UPDATE passes SET watermark = 0, floor = 0, cursor = NULL WHERE ?`},
	{`SELECT id, details, details_crc FROM conversations WHERE details IS NOT NULL`,
		`UPDATE conversations SET details_at = -1 WHERE id = ?`},
	{`SELECT id, raw, raw_crc FROM contacts WHERE raw IS NOT NULL`, `UPDATE contacts SET fetched_at = -1 WHERE id = ?`},
	{`SELECT rowid, raw, raw_crc FROM records`, `DELETE FROM meta WHERE key GLOB 'read_*' AND ?`},
	{`SELECT contact_id, '', 1 FROM conversations WHERE contact_id NOT IN (SELECT id FROM contacts) AND contact_id > 0`,
		`INSERT INTO contacts (id, seen_at) VALUES (?, 1) ON CONFLICT DO NOTHING`},
	{`SELECT id, '', 1 FROM conversations c WHERE has_files AND NOT EXISTS (SELECT 1 FROM messages m
		JOIN message_attachments a ON a.seq = m.seq WHERE m.conversation_id = c.id)`,
		`UPDATE conversations SET messages_at = -1 WHERE id = ?`},
}

// checkJSON compares the JSON with the checksums of what was received, and finds contacts and attachments without a row.
func (s *Store) checkJSON(ctx context.Context) (Check, error) {
	damaged := 0
	for _, c := range checksums {
		ids, err := s.damaged(ctx, c.query)
		if err != nil {
			return Check{}, err
		}
		damaged += len(ids)
		if err := s.Write(ctx, func(tx *Tx) (err error) {
			for _, id := range ids {
				err = errors.Join(err, tx.exec(c.again, id))
			}
			return err
		}); err != nil {
			return Check{}, err
		}
	}
	if damaged > 0 {
		return Check{Name: "records", Result: fmt.Sprintf("%d records are missing or not as they were received. "+
			"They are due again.", damaged)}, nil
	}
	return Check{Name: "records", OK: true, Result: "Every record is as it was received."}, nil
}

// damaged returns the ids of the rows whose JSON does not have its checksum.
func (s *Store) damaged(ctx context.Context, query string) (ids []int64, err error) {
	rows, err := s.reader.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id, sum int64
		var raw sql.RawBytes
		if err := rows.Scan(&id, &raw, &sum); err != nil {
			return nil, err
		}
		if crc(raw) != sum {
			ids = append(ids, id)
		}
	}
	return ids, rows.Err()
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
		_, rebuildErr := s.writer.ExecContext(ctx, `INSERT INTO search (search) VALUES ('rebuild')`)
		if rebuildErr != nil {
			return Check{Name: "search", Result: "The index of the search is damaged: " + rebuildErr.Error()}
		}
		return Check{Name: "search", Result: "The index of the search was damaged, and was built anew."}
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

// LastSync returns when the last sync began that ended without a limit or an error.
func (s *Store) LastSync(ctx context.Context) (at time.Time, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT ifnull(max(begun_at), 0) FROM runs
		WHERE command = 'sync' AND ended_at > 0 AND status IN (0, 3)`).Scan(milliseconds{&at})
	return at, err
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
