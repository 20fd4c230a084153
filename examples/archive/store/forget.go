package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
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
// that nobody else has. A later sync does not bring them back, nor another contact with the address. Forget then
// searches every file of the archive for the address. If it is there more often than other people's records have it, the
// error is ErrStillThere. If Forget is killed, the next Tidy finishes it. No other run may be in progress.
func (s *Store) Forget(ctx context.Context, email string) (*Forgotten, error) {
	result := new(Forgotten)
	contacts, err := s.ContactsByEmail(ctx, email)
	if err != nil {
		return nil, err
	}
	err = s.Write(ctx, func(tx *Tx) (err error) {
		for _, c := range contacts {
			result.Contacts = append(result.Contacts, c.ID)
			if err := tx.forgetContact(c.ID, result); err != nil {
				return err
			}
		}
		return tx.forgetAddress(email, result)
	})
	if err == nil {
		err = s.Tidy(ctx)
	}
	if err != nil {
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

// forgetContact deletes a contact, and notes that neither the contact nor its conversations must come back.
func (tx *Tx) forgetContact(id int64, result *Forgotten) error {
	if err := tx.forget(contactSubject(id), ""); err != nil {
		return err
	}
	own, err := collect(tx.ctx, tx.Tx, func(r row, c *Conversation) error { return r.Scan(&c.ID, &c.Status) },
		`SELECT id, status FROM conversations WHERE contact_id = ?`, id)
	if err != nil {
		return err
	}
	isOwn := map[int64]bool{}
	for _, c := range own {
		isOwn[c.ID] = true
		if err := errors.Join(tx.forget(conversationSubject(c.ID), c.Status),
			tx.delete(&result.Oddities, `DELETE FROM oddities
				WHERE subject = ?1 OR subject >= ?1 || ', ' AND subject < ?1 || '-'`, conversationSubject(c.ID))); err != nil {
			return err
		}
	}
	for _, step := range []struct {
		count *int
		query string
	}{
		{&result.Messages, `DELETE FROM messages WHERE conversation_id IN
			(SELECT id FROM conversations WHERE contact_id = ?)`},
		{&result.Messages, `DELETE FROM messages WHERE author_type = 'contact' AND author_id = ?`},
		{&result.Oddities, `DELETE FROM oddities WHERE contact_id = ?`},
		{&result.Conversations, `DELETE FROM conversations WHERE contact_id = ?`},
		{new(int), `DELETE FROM contacts WHERE id = ?`},
	} {
		if err := tx.delete(step.count, step.query, id); err != nil {
			return err
		}
	}
	if err := tx.forgetMeetings(result, func(m Record) bool {
		contact, conversation := m.meeting()
		return contact == id || isOwn[conversation]
	}); err != nil {
		return err
	}
	return tx.dropAttachments(result)
}

// isContact reports whether the answer is a contact that does not decode, so that its address is here only.
func (o Oddity) isContact() bool { return o.ContactID > 0 && o.Subject == contactSubject(o.ContactID) }

func (tx *Tx) forgetMeetings(result *Forgotten, matches func(Record) bool) error {
	meetings, err := collect(tx.ctx, tx.Tx, scanRecord,
		`SELECT kind, id, fetched_at, raw FROM records WHERE kind = 'meeting'`)
	for _, m := range meetings {
		if err == nil && matches(m) {
			err = tx.delete(&result.Meetings, `DELETE FROM records WHERE kind = 'meeting' AND id = ?`, m.ID)
		}
	}
	return err
}

// meeting returns the contact and the conversation of a meeting, 0 if the record is no meeting or has none.
func (r Record) meeting() (contact, conversation int64) {
	var ids struct {
		SchedulerID    any `json:"schedulerId"`
		ConversationID any `json:"conversationId"`
	}
	decoder := json.NewDecoder(bytes.NewReader(r.Raw))
	decoder.UseNumber()
	if r.Kind != "meeting" || decoder.Decode(&ids) != nil {
		return 0, 0
	}
	contact, _ = strconv.ParseInt(fmt.Sprint(ids.SchedulerID), 10, 64)
	conversation, _ = strconv.ParseInt(fmt.Sprint(ids.ConversationID), 10, 64)
	return contact, conversation
}

// forgetAddress deletes what has the address and no contact of its own, and notes that the address must not come back.
func (tx *Tx) forgetAddress(email string, result *Forgotten) error {
	if err := tx.forget(addressSubject(email), ""); err != nil {
		return err
	}
	wanted := strings.ToLower(email)
	odd, err := collect(tx.ctx, tx.Tx, func(r row, o *Oddity) error {
		return r.Scan(&o.ID, &o.Subject, &o.ContactID, text{&o.Raw})
	}, `SELECT id, subject, contact_id, raw FROM oddities`)
	if err != nil {
		return err
	}
	for _, o := range odd {
		if !strings.Contains(legible(o.Raw), wanted) {
			continue
		}
		err := tx.delete(&result.Oddities, `DELETE FROM oddities WHERE id = ?`, o.ID)
		if err == nil && o.isContact() {
			result.Contacts = append(result.Contacts, o.ContactID)
			err = tx.forgetContact(o.ContactID, result)
		}
		if err != nil {
			return err
		}
	}
	return tx.forgetMeetings(result, func(m Record) bool { return strings.Contains(legible(m.Raw), wanted) })
}

// dropAttachments deletes the rows of attachments that no message has.
func (tx *Tx) dropAttachments(result *Forgotten) error {
	return tx.delete(&result.Files, `DELETE FROM attachments
		WHERE id NOT IN (SELECT attachment_id FROM message_attachments)`)
}

func (tx *Tx) delete(count *int, query string, args ...any) error {
	done, err := tx.ExecContext(tx.ctx, query, args...)
	if err != nil {
		return err
	}
	n, err := done.RowsAffected()
	if n == 0 || err != nil {
		return err
	}
	*count += int(n)
	return tx.SetMeta(eraseKey, "due")
}

// Tidy removes what killed runs left behind, and ends the forgetting of a person: it removes files that no row has, and
// what SQLite keeps of deleted rows. The index for the search keeps words until it is optimized, pages keep copies of
// rows that have moved until the database is written anew, and the log keeps pages until it is truncated. No other run
// may be in progress.
func (s *Store) Tidy(ctx context.Context) error {
	if err := s.removeParts(); err != nil {
		return err
	}
	due, err := s.Meta(ctx, eraseKey)
	if err != nil || due == "" {
		return err
	}
	if err := errors.Join(s.removeStrays(ctx), removeIfThere(filepath.Join(s.dir, ManifestName))); err != nil {
		return err
	}
	for _, statement := range []string{
		`PRAGMA temp_store_directory = '` + strings.ReplaceAll(s.dir, "'", "''") + `'`,
		`INSERT INTO search (search) VALUES ('optimize')`,
		`VACUUM`,
	} {
		if _, err := s.writer.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if err := s.truncateLog(ctx); err != nil {
		return err
	}
	return s.Write(ctx, func(tx *Tx) error { return tx.exec(`DELETE FROM meta WHERE key = ?`, eraseKey) })
}

// eraseKey is in meta while what was deleted may still be in the files.
const eraseKey = "erase"

// ErrBeingRead reports that the log cannot be emptied, because another process reads an older state.
var ErrBeingRead = errors.New(
	"the archive is being read: stop archive serve and archive export, then run the same command again")

// truncateLog empties the log.
func (s *Store) truncateLog(ctx context.Context) error {
	var busy, logged, moved int
	err := s.writer.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &logged, &moved)
	if err == nil && busy != 0 {
		err = ErrBeingRead
	}
	return err
}

// mention is a record that has an address in it.
type mention struct {
	subject string
	times   int
}

// mentions returns the records that have an address in them, in any case.
func (s *Store) mentions(ctx context.Context, email string) (found []mention, err error) {
	wanted := strings.ToLower(email)
	type candidate struct{ subject, content, text string }
	candidates, err := collect(ctx, s.reader, func(r row, c *candidate) error {
		return r.Scan(&c.subject, &c.content, &c.text)
	}, `SELECT subject, content, text FROM (
			SELECT 'message ' || id || ' of conversation ' || conversation_id AS subject, raw AS content, words AS text
			FROM messages
			UNION ALL SELECT 'conversation ' || id, raw, coalesce(details, '') FROM conversations
			UNION ALL SELECT 'contact ' || id, coalesce(raw, ''), email || ' ' || name FROM contacts
			UNION ALL SELECT kind || ' ' || id, raw, id FROM records
			UNION ALL SELECT 'attachment ' || id, name, '' FROM attachments
		) WHERE instr(lower(content), ?1) OR instr(content, '\u0040') OR text <> '' AND instr(lower(text), ?1)`,
		asciiPart(wanted))
	for _, c := range candidates {
		content := c.content + "\n" + c.text
		if strings.Contains(legible([]byte(content)), wanted) {
			found = append(found, mention{c.subject, strings.Count(strings.ToLower(content), wanted)})
		}
	}
	return found, err
}

// asciiPart returns as much of an address as SQLite can look for in any case.
func asciiPart(email string) string {
	if last := strings.LastIndexFunc(email, func(r rune) bool { return r > unicode.MaxASCII }); last >= 0 {
		_, size := utf8.DecodeRuneInString(email[last:])
		return email[last+size:]
	}
	return email
}

// legible returns JSON in lower case, with the characters of addresses that are escaped.
func legible(raw []byte) string {
	if bytes.Contains(raw, []byte(`\u00`)) {
		raw = escaped.ReplaceAllFunc(raw, func(code []byte) []byte {
			n, _ := strconv.ParseUint(string(code[2:]), 16, 8)
			return []byte{byte(n)}
		})
	}
	return strings.ToLower(string(raw))
}

var (
	escaped   = regexp.MustCompile(`\\u00[2-7][0-9a-fA-F]`)
	addresses = regexp.MustCompile(`[^\s"'<>,;:()\[\]\\]+@[^\s"'<>,;:()\[\]\\]+`)
)

// searchFiles searches the folder for an address, in any case, and fails if the database has it more often than
// legitimate, or another file at all. It does not search attachments: those of the person are deleted.
func (s *Store) searchFiles(ctx context.Context, email string, legitimate int) error {
	found := 0
	return filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == filepath.Join(s.dir, filesFolder) && entry.IsDir():
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		n, err := occurrences(ctx, path, email)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(entry.Name(), fileName) && n > 0 {
			return fmt.Errorf("%w: in %s, which you may delete", ErrStillThere, path)
		}
		if found += n; found > legitimate {
			return fmt.Errorf("%w: in %s", ErrStillThere, path)
		}
		return nil
	})
}

// occurrences counts how often a file has a text, in any case.
func occurrences(ctx context.Context, path, text string) (n int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	wanted := []byte(text)
	buffer, rest := make([]byte, 1<<20), 0
	for ctx.Err() == nil {
		read, err := io.ReadFull(file, buffer[rest:])
		n += count(buffer[:rest+read], wanted)
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

// count counts how often data have an address, in any case. It looks for the @ first, because most data have none.
func count(data, address []byte) (n int) {
	before := max(bytes.IndexByte(address, '@'), 0)
	for at := 0; ; at++ {
		next := bytes.IndexByte(data[at:], address[before])
		if next < 0 {
			return n
		}
		at += next
		from := at - before
		if from >= 0 && from+len(address) <= len(data) && bytes.EqualFold(data[from:from+len(address)], address) {
			n++
		}
	}
}
