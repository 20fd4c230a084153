package store

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// What can be forgotten, as the archive remembers it: by its HMAC.
func contactSubject(id int64) string      { return fmt.Sprintf("contact %d", id) }
func conversationSubject(id int64) string { return fmt.Sprintf("conversation %d", id) }
func addressSubject(email string) string  { return "address " + strings.ToLower(email) }

// forget notes that something must not come back. From a conversation it keeps the status, so that the numbers of the
// service can be compared.
func (tx *Tx) forget(subject, status string) error {
	sum, err := tx.sum(subject)
	if err != nil {
		return err
	}
	forgets := true
	tx.forgets = &forgets
	kind, _, _ := strings.Cut(subject, " ")
	return tx.exec(`INSERT INTO forgotten VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET status = excluded.status`,
		sum, kind, status)
}

// isForgotten reports whether one of the subjects was forgotten.
func (tx *Tx) isForgotten(subjects ...string) (bool, error) {
	if tx.forgets == nil {
		var n int
		if err := tx.get(&n, `SELECT count(*) FROM (SELECT 1 FROM forgotten LIMIT 1)`); err != nil {
			return false, err
		}
		forgets := n > 0
		tx.forgets = &forgets
	}
	if !*tx.forgets {
		return false, nil
	}
	for _, subject := range subjects {
		sum, err := tx.sum(subject)
		if err != nil {
			return false, err
		}
		var n int
		if err := tx.get(&n, `SELECT count(*) FROM forgotten WHERE hmac = ?`, sum); n > 0 || err != nil {
			return n > 0, err
		}
	}
	return false, nil
}

// hasForgotten reports whether a forgotten address is in a text.
func (tx *Tx) hasForgotten(raw []byte) (bool, error) {
	if isForgotten, err := tx.isForgotten(); isForgotten || err != nil || !*tx.forgets {
		return false, err
	}
	for _, address := range addresses.FindAllString(legible(raw), -1) {
		if isForgotten, err := tx.isForgotten(addressSubject(address)); isForgotten || err != nil {
			return isForgotten, err
		}
	}
	return false, nil
}

const forgetKey = "forget_key"

// sum returns the HMAC of a subject. Without the key, which is part of the archive, nobody can compute it.
func (tx *Tx) sum(subject string) (string, error) {
	if tx.key == nil {
		text, err := tx.Meta(forgetKey)
		if err != nil {
			return "", err
		}
		if text == "" {
			text = rand.Text()
			if err := tx.SetMeta(forgetKey, text); err != nil {
				return "", err
			}
		}
		tx.key = []byte(text)
	}
	return sum(tx.key, subject), nil
}

func sum(key []byte, subject string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(subject))
	return hex.EncodeToString(mac.Sum(nil))
}

// IsForgottenContact reports whether a contact was forgotten.
func (s *Store) IsForgottenContact(ctx context.Context, id int64) (bool, error) {
	return s.isForgotten(ctx, contactSubject(id))
}

// IsForgottenConversation reports whether a conversation was of a person who was forgotten.
func (s *Store) IsForgottenConversation(ctx context.Context, id int64) (bool, error) {
	return s.isForgotten(ctx, conversationSubject(id))
}

func (s *Store) isForgotten(ctx context.Context, subject string) (bool, error) {
	key, err := s.Meta(ctx, forgetKey)
	if err != nil || key == "" {
		return false, err
	}
	var n int
	err = s.reader.QueryRowContext(ctx, `SELECT count(*) FROM forgotten WHERE hmac = ?`, sum([]byte(key), subject)).
		Scan(&n)
	return n > 0, err
}
