package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Forgotten is what Forget deleted, and what it found elsewhere.
type Forgotten struct {
	Contacts      []int64 `json:"contacts"`
	Conversations int     `json:"conversations"`
	Messages      int     `json:"messages"`
	Files         int     `json:"files"`
	Meetings      int     `json:"meetings"`
	Oddities      int     `json:"oddities"`

	// Mentions are other people's records that have the address in them, such as "message 4 of conversation 2".
	Mentions []string `json:"mentions,omitempty"`
}

// ErrStillThere reports an address that is still in a file of the archive.
var ErrStillThere = errors.New("the address is still in the archive")

// Forget deletes the contacts with an address, together with their conversations, messages, meetings, and the files
// that nobody else has. A later sync does not bring them back. Forget then searches every file of the archive for the
// address. If it is there more often than other people's records have it, the error is ErrStillThere.
func (s *Store) Forget(ctx context.Context, email string) (*Forgotten, error) {
	result := new(Forgotten)
	contacts, err := s.ContactsByEmail(ctx, email)
	if err != nil {
		return nil, err
	}
	for _, c := range contacts {
		result.Contacts = append(result.Contacts, c.ID)
	}
	var files []string
	err = s.Write(ctx, func(tx *Tx) (err error) {
		for _, id := range result.Contacts {
			if err := tx.forgetContact(id, result); err != nil {
				return err
			}
		}
		if err := tx.forgetAddress(email, result); err != nil {
			return err
		}
		files, err = tx.dropFiles(result)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.erase(ctx, files); err != nil {
		return nil, err
	}
	mentions, err := s.mentions(ctx, email)
	if err != nil {
		return nil, err
	}
	legitimate := 0
	for _, m := range mentions {
		result.Mentions = append(result.Mentions, m.subject)
		legitimate += m.times
	}
	return result, s.searchFiles(ctx, email, legitimate)
}

// forgetContact deletes a contact, and notes that it must not come back.
func (tx *Tx) forgetContact(id int64, result *Forgotten) error {
	sum, err := tx.sum(id)
	if err != nil {
		return err
	}
	if err := tx.exec(`INSERT INTO forgotten VALUES (?) ON CONFLICT DO NOTHING`, sum); err != nil {
		return err
	}
	const own = `SELECT id FROM conversations WHERE contact_id = ?`
	for _, step := range []struct {
		count *int
		query string
	}{
		{&result.Messages, `DELETE FROM messages WHERE conversation_id IN (` + own + `)`},
		{&result.Messages, `DELETE FROM messages WHERE author_type = 'contact' AND author_id = ?`},
		{&result.Meetings, `DELETE FROM records WHERE kind = 'meeting'
			AND CAST(raw ->> 'schedulerId' AS INTEGER) = ?`},
		{&result.Meetings, `DELETE FROM records WHERE kind = 'meeting'
			AND CAST(raw ->> 'conversationId' AS INTEGER) IN (` + own + `)`},
		{&result.Oddities, `DELETE FROM oddities WHERE contact_id = ?`},
		{&result.Conversations, `DELETE FROM conversations WHERE contact_id = ?`},
		{new(int), `DELETE FROM contacts WHERE id = ?`},
	} {
		if err := tx.delete(step.count, step.query, id); err != nil {
			return err
		}
	}
	return nil
}

// forgetAddress deletes what has the address and no contact of its own.
func (tx *Tx) forgetAddress(email string, result *Forgotten) error {
	if err := tx.delete(&result.Oddities, `DELETE FROM oddities WHERE instr(lower(raw), lower(?))`, email); err != nil {
		return err
	}
	return tx.delete(&result.Meetings,
		`DELETE FROM records WHERE kind = 'meeting' AND instr(lower(raw), lower(?))`, email)
}

// dropFiles deletes the rows of attachments that no message has, and returns the files that no row has.
func (tx *Tx) dropFiles(result *Forgotten) (files []string, err error) {
	rows, err := tx.QueryContext(tx.ctx, `DELETE FROM attachments
		WHERE id NOT IN (SELECT attachment_id FROM message_attachments) RETURNING sha256`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var sum string
		if err := rows.Scan(&sum); err != nil {
			return nil, err
		}
		if sum != "" {
			files = append(files, sum)
		}
		result.Files++
	}
	return files, rows.Err()
}

func (tx *Tx) delete(count *int, query string, args ...any) error {
	done, err := tx.ExecContext(tx.ctx, query, args...)
	if err != nil {
		return err
	}
	n, err := done.RowsAffected()
	*count += int(n)
	return err
}

// erase removes files, and what SQLite keeps of deleted rows: the index for the search keeps words until it is rebuilt,
// and the log keeps pages until it is truncated.
func (s *Store) erase(ctx context.Context, files []string) error {
	for _, sum := range files {
		var users int
		err := s.reader.QueryRowContext(ctx, `SELECT count(*) FROM attachments WHERE sha256 = ?`, sum).Scan(&users)
		if err != nil {
			return err
		}
		if users > 0 {
			continue
		}
		if err := os.Remove(s.Path(sum)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if _, err := s.writer.ExecContext(ctx, `INSERT INTO search (search) VALUES ('rebuild')`); err != nil {
		return err
	}
	return s.truncateLog(ctx)
}

// truncateLog empties the log. It fails while another process reads an older state.
func (s *Store) truncateLog(ctx context.Context) error {
	var busy, logged, moved int
	err := s.writer.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &logged, &moved)
	if err == nil && busy != 0 {
		err = errors.New("the archive is being read: stop archive serve and run the same command again")
	}
	return err
}

// mention is a record that has an address in it.
type mention struct {
	subject string
	times   int
}

// mentions returns the records that have an address in them, in any case.
func (s *Store) mentions(ctx context.Context, email string) ([]mention, error) {
	return collect(ctx, s.reader, func(r row, m *mention) error { return r.Scan(&m.subject, &m.times) }, `
		SELECT subject, (length(content) - length(replace(lower(content), lower(?1), ''))) / length(?1) FROM (
			SELECT 'message ' || id || ' of conversation ' || conversation_id AS subject, text || ' ' || raw AS content
			FROM messages
			UNION ALL SELECT 'conversation ' || id, raw || ' ' || coalesce(details, '') FROM conversations
			UNION ALL SELECT 'contact ' || id, email || ' ' || name || ' ' || coalesce(raw, '') FROM contacts
			UNION ALL SELECT kind || ' ' || id, id || ' ' || raw FROM records
			UNION ALL SELECT 'attachment ' || id, name FROM attachments
		) WHERE instr(lower(content), lower(?1))`, email)
}

// searchFiles searches the database and everything beside it for an address, in any case, and fails if it is there more
// often than legitimate. It does not search attachments: those of the person are deleted.
func (s *Store) searchFiles(ctx context.Context, email string, legitimate int) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	found := 0
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		n, err := occurrences(ctx, filepath.Join(s.dir, entry.Name()), email)
		if err != nil {
			return err
		}
		if found += n; found > legitimate {
			return fmt.Errorf("%w: in %s", ErrStillThere, entry.Name())
		}
	}
	return nil
}

// occurrences counts how often a file has a text, in any case.
func occurrences(ctx context.Context, path, text string) (n int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	wanted := bytes.ToLower([]byte(text))
	buffer, rest := make([]byte, 1<<20), 0
	for ctx.Err() == nil {
		read, err := io.ReadFull(file, buffer[rest:])
		n += bytes.Count(bytes.ToLower(buffer[:rest+read]), wanted)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		rest = copy(buffer, buffer[len(buffer)-len(wanted)+1:]) // the text may continue in the next block
	}
	return 0, ctx.Err()
}
