package store

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"strings"
	"time"
	"unicode/utf8"
)

// PutConversation inserts or updates a conversation of the list. An answer that is older than what the archive has
// changes nothing. A contact who was forgotten does not come back.
func (tx *Tx) PutConversation(c Conversation) error {
	isForgotten, err := tx.isForgotten(contactSubject(c.ContactID), conversationSubject(c.ID))
	if err != nil {
		return err
	}
	if isForgotten {
		return tx.forget(conversationSubject(c.ID), c.Status)
	}
	// Without a time of its last change, a conversation is due whenever it looks different. A time in the future was wrong.
	tomorrow := time.Now().AddDate(0, 0, 1).UnixMilli()
	err = tx.exec(`INSERT INTO conversations (id, status, contact_id, inbox_id, created_at, updated_at, raw, raw_crc)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET status = excluded.status, contact_id = excluded.contact_id,
			inbox_id = excluded.inbox_id, created_at = excluded.created_at, updated_at = excluded.updated_at,
			raw = excluded.raw, raw_crc = excluded.raw_crc, gone_at = iif(updated_at < excluded.updated_at, 0, gone_at),
			failures = iif(updated_at < excluded.updated_at, 0, failures),
			messages_at = iif(excluded.updated_at = 0 AND raw <> excluded.raw OR updated_at > excluded.updated_at,
				-1, messages_at),
			details_at = iif(excluded.updated_at = 0 AND raw <> excluded.raw OR updated_at > excluded.updated_at,
				-1, details_at)
		WHERE excluded.updated_at >= updated_at OR excluded.updated_at = 0 OR updated_at > ?`,
		c.ID, c.Status, c.ContactID, c.InboxID, milliseconds{&c.CreatedAt}, milliseconds{&c.UpdatedAt}, string(c.Raw),
		crc(c.Raw), tomorrow)
	if err != nil {
		return err
	}
	return tx.SeeContact(c.ContactID, c.UpdatedAt)
}

// Lacks reports whether a conversation is not in the archive, although it was not forgotten.
func (tx *Tx) Lacks(c Conversation) (bool, error) {
	isForgotten, err := tx.isForgotten(contactSubject(c.ContactID), conversationSubject(c.ID))
	if isForgotten || err != nil {
		return false, err
	}
	n := 0
	err = tx.get(&n, `SELECT count(*) FROM conversations WHERE id = ?`, c.ID)
	return n == 0, err
}

// SeeContact notes that a contact exists and may have changed.
func (tx *Tx) SeeContact(id int64, at time.Time) error {
	if id <= 0 {
		return nil
	}
	if isForgotten, err := tx.isForgotten(contactSubject(id)); isForgotten || err != nil {
		return err
	}
	return tx.exec(`INSERT INTO contacts (id, seen_at) VALUES (?, ?)
		ON CONFLICT DO UPDATE SET seen_at = excluded.seen_at, failures = 0 WHERE excluded.seen_at > seen_at`,
		id, milliseconds{&at})
}

// PutMessage inserts or updates a message with its attachments. It leaves out those of a contact who was forgotten. To
// put several, begin with the newest.
func (tx *Tx) PutMessage(m Message) error {
	if m.AuthorType == "contact" {
		if isForgotten, err := tx.isForgotten(contactSubject(m.AuthorID)); isForgotten || err != nil {
			return err
		}
		if err := tx.SeeContact(m.AuthorID, m.CreatedAt); err != nil {
			return err
		}
	}
	var seq int64
	at, length, words := locate(m.Text, string(m.Raw))
	err := tx.get(&seq, `INSERT INTO messages
		(seq, id, conversation_id, type, author_type, author_id, bot, created_at, raw, raw_crc, text_at,
			text_length, words)
		VALUES ((SELECT iif(max(seq) = ?1 + 4095, (SELECT max(max(seq), 0) + 1 FROM messages), ifnull(max(seq) + 1, ?1))
				FROM messages WHERE seq BETWEEN ?1 AND ?1 + 4095),
			?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (conversation_id, id) DO UPDATE SET type = excluded.type, author_type = excluded.author_type,
			author_id = excluded.author_id, bot = excluded.bot, created_at = excluded.created_at,
			raw = excluded.raw, raw_crc = excluded.raw_crc, text_at = excluded.text_at,
			text_length = excluded.text_length, words = excluded.words
		RETURNING seq`, firstSeq(m.CreatedAt), m.ID, m.ConversationID, m.Type, m.AuthorType, m.AuthorID, m.Bot,
		milliseconds{&m.CreatedAt}, string(m.Raw), crc(m.Raw), at, length, words)
	if err != nil {
		return err
	}
	for _, attachment := range m.Attachments {
		if err := tx.putAttachment(m.ConversationID, seq, attachment); err != nil {
			return err
		}
	}
	return nil
}

// crc is the checksum by which verify knows that JSON is as it was received. With a sign, SQLite needs 4 bytes for it.
func crc(raw []byte) int64 { return int64(int32(crc32.Checksum(raw, castagnoli))) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// locate finds a text in raw JSON, in characters, so that it is not stored twice. Otherwise it returns the text.
func locate(text, raw string) (at, length int, words string) {
	i := strings.Index(raw, text)
	if text == "" || i < 0 || !utf8.ValidString(raw) || strings.ContainsRune(raw, 0) { // SQLite counts other characters
		return 0, 0, text
	}
	return utf8.RuneCountInString(raw[:i]) + 1, utf8.RuneCountInString(text), ""
}

// firstSeq returns the first of the 4,096 seqs of a second. A message that finds none free, or has no time, gets a
// positive one. The newest message has the lowest seq, for two reasons. The index of the search is in this order, so
// that the newest hits are found without a look at the others. And archive sync begins with the newest conversations,
// so that it appends to the table, whose pages are then full.
func firstSeq(created time.Time) int64 {
	if created.IsZero() {
		return 0
	}
	return -min(max(created.Unix(), 1), 1<<50) << 12
}

func (tx *Tx) putAttachment(conversationID, seq int64, a Attachment) error {
	if err := tx.exec(`INSERT INTO attachments (id, name, mime_type) VALUES (?, ?, ?)
		ON CONFLICT DO UPDATE SET name = excluded.name, mime_type = excluded.mime_type`,
		a.ID, a.Name, a.MIMEType); err != nil {
		return err
	}
	if err := tx.exec(`INSERT INTO message_attachments VALUES (?, ?) ON CONFLICT DO NOTHING`, seq, a.ID); err != nil {
		return err
	}
	return tx.exec(`UPDATE conversations SET has_files = 1 WHERE id = ? AND NOT has_files`, conversationID)
}

// PutContact stores a contact that was read while seenAt, in milliseconds, was the last change of its conversations. If
// the address was forgotten, the contact is too.
func (tx *Tx) PutContact(c Contact, seenAt int64) error {
	isForgotten, err := tx.isForgotten(contactSubject(c.ID), addressSubject(c.Email))
	if err != nil {
		return err
	}
	if isForgotten {
		return tx.forgetContact(c.ID, new(Forgotten))
	}
	return tx.exec(`INSERT INTO contacts (id, email, name, created_at, seen_at, fetched_at, raw, raw_crc)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET email = excluded.email, name = excluded.name, created_at = excluded.created_at,
			fetched_at = excluded.fetched_at, raw = excluded.raw, raw_crc = excluded.raw_crc, gone_at = 0, failures = 0`,
		c.ID, c.Email, c.Name, milliseconds{&c.CreatedAt}, seenAt, seenAt, string(c.Raw), crc(c.Raw))
}

// PutRecord inserts or updates a record without a table of its own.
func (tx *Tx) PutRecord(r Record) error {
	contact, conversation := r.meeting()
	isForgotten, err := tx.isForgotten(contactSubject(contact), conversationSubject(conversation))
	if err == nil && !isForgotten && r.Kind == "meeting" {
		isForgotten, err = tx.hasForgotten(r.Raw)
	}
	if isForgotten || err != nil {
		return err
	}
	if err := tx.SeeContact(contact, time.Time{}); err != nil {
		return err
	}
	return tx.exec(`INSERT INTO records VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET fetched_at = excluded.fetched_at, raw = excluded.raw, raw_crc = excluded.raw_crc`,
		r.Kind, r.ID, milliseconds{&r.FetchedAt}, string(r.Raw), crc(r.Raw))
}

// PutOddity lists an oddity, once however often it is seen.
func (tx *Tx) PutOddity(o Oddity) error {
	subject, _, _ := strings.Cut(o.Subject, ",") // such as "conversation 42, message 7"
	isForgotten, err := tx.isForgotten(contactSubject(o.ContactID), subject)
	if err == nil && !isForgotten {
		if isForgotten, err = tx.hasForgotten(o.Raw); isForgotten && o.isContact() {
			return tx.forgetContact(o.ContactID, new(Forgotten))
		}
	}
	if isForgotten || err != nil {
		return err
	}
	hash := sha256.Sum256(o.Raw)
	return tx.exec(`INSERT INTO oddities (operation, subject, error, raw, hash, contact_id, seen_at)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, o.Operation, o.Subject, o.Error, string(o.Raw),
		hex.EncodeToString(hash[:]), o.ContactID, milliseconds{&o.SeenAt})
}
