package store

import "context"

// Summary is a conversation as a list shows it.
type Summary struct {
	Conversation
	ContactName  string
	ContactEmail string
	// Snippet is from a message in which the words of the filter are, between [HitBegins] and [HitEnds], or else the
	// beginning of the last message with text.
	Snippet string
}

// What stands around a hit in a snippet. No text has these characters.
const (
	HitBegins = "\x02"
	HitEnds   = "\x03"
)

const (
	snippetOfWords = `(SELECT snippet(search, 0, char(2), char(3), '…', 32)
		FROM messages m CROSS JOIN search ON search.rowid = m.seq
		WHERE m.conversation_id = c.id AND search MATCH ? LIMIT 1)`
	snippetOfLast = `(SELECT substr(m.text, 1, 240) FROM messages m
		WHERE m.conversation_id = c.id AND m.text <> '' ORDER BY m.id DESC LIMIT 1)`
)

// Summaries returns what Conversations returns, with what a list shows beside it.
func (s *Store) Summaries(ctx context.Context, filter Filter) ([]Summary, error) {
	q, err := s.query(ctx, filter)
	if err != nil {
		return nil, err
	}
	snippet, args := snippetOfLast, q.args
	if words := quoted(filter.Words); words != "" {
		snippet, args = snippetOfWords, append([]any{words}, q.args...)
	}
	return collect(ctx, s.reader, scanSummary, `SELECT `+conversationColumns+`, ifnull(p.name, ''), ifnull(p.email, ''),
		ifnull(`+snippet+`, '') FROM (`+q.String()+`) c LEFT JOIN contacts p ON p.id = c.contact_id
		ORDER BY c.updated_at DESC, c.id DESC`, args...)
}

func scanSummary(r row, s *Summary) error {
	c := &s.Conversation
	return r.Scan(&c.ID, &c.Status, &c.ContactID, &c.InboxID, milliseconds{&c.CreatedAt}, milliseconds{&c.UpdatedAt},
		milliseconds{&c.MessagesAt}, &c.HasFiles, milliseconds{&c.GoneAt}, text{&c.Raw}, text{&c.Details},
		&s.ContactName, &s.ContactEmail, &s.Snippet)
}
