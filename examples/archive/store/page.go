package store

import (
	"context"
	"errors"
	"iter"
)

// Page is a page of a list.
type Page struct {
	Rows []Summary
	Next Position // zero: this is the last page
}

// Summary is a conversation as a list shows it.
type Summary struct {
	Conversation
	ContactName  string
	ContactEmail string
	// Snippet is from a message in which the words of the filter are, between [HitBegins] and [HitEnds], or else the
	// beginning of the last message with text.
	Snippet string

	position Position
}

// What stands around a hit in a snippet.
const (
	HitBegins = "\x02"
	HitEnds   = "\x03"
)

// manyConversations is how many of the newest conversations a page is looked for in before all are. A filter that
// selects no more than that selects few.
const manyConversations = 2_000

// Page returns filter.Limit conversations, the last changed first. With words and without a contact, those with the
// newest hits are first: an index has them in that order.
func (s *Store) Page(ctx context.Context, filter Filter) (*Page, error) {
	limit := filter.Limit
	filter.Limit++ // to see whether there is another page
	rows, err := s.rows(ctx, filter)
	if err != nil || len(rows) <= limit {
		return &Page{Rows: rows}, err
	}
	return &Page{Rows: rows[:limit], Next: rows[limit-1].position}, nil
}

func (s *Store) rows(ctx context.Context, f Filter) ([]Summary, error) {
	onePerson := f.Contact != 0 || f.Email != ""
	switch {
	case quoted(f.Words) != "" && onePerson:
		return s.summaries(ctx, f, f.query(oneByOne, "c.*"))
	case quoted(f.Words) != "":
		return s.hits(ctx, f)
	case (f.Agent != 0 || f.Tag != "") && !onePerson:
		rows, err := s.summaries(ctx, f, f.recentQuery(s.many))
		if err != nil || len(rows) == f.Limit {
			return rows, err
		}
	}
	return s.summaries(ctx, f, f.query(asSets, "c.*"))
}

// recentQuery looks at the newest conversations only.
func (f Filter) recentQuery(many int) *query {
	window, q := Filter{After: f.After, Limit: many}.query(oneByOne, "c.*"), new(query)
	q.add(`SELECT c.* FROM (`+window.String()+`) c`, window.args...)
	f.conditions(q, oneByOne)
	q.add(newestFirst+` LIMIT ?`, f.Limit)
	return q
}

const (
	summaryColumns = conversationColumns + `, ifnull(p.name, ''), ifnull(p.email, '')`
	lastText       = `(SELECT substr(m.text, 1, 240) FROM messages m
		WHERE m.conversation_id = c.id AND m.text <> '' ORDER BY m.id DESC LIMIT 1)`
	snippet     = `snippet(search, 0, char(2), char(3), '…', 32)`
	snippetOfIt = `(SELECT ` + snippet + ` FROM messages m CROSS JOIN search ON search.rowid = m.seq
		WHERE m.conversation_id = c.id AND search MATCH ? LIMIT 1)`
)

// summaries adds to the conversations of a query what a list shows beside them.
func (s *Store) summaries(ctx context.Context, f Filter, conversations *query) ([]Summary, error) {
	q := summaryQuery(quoted(f.Words), conversations)
	return collect(ctx, s.reader, scanSummary, q.String(), q.args...)
}

func summaryQuery(words string, conversations *query) *query {
	q := new(query)
	if words != "" {
		q.add(`SELECT `+summaryColumns+`, `+snippetOfIt+`, c.updated_at FROM`, words)
	} else {
		q.add(`SELECT ` + summaryColumns + `, ` + lastText + `, c.updated_at FROM`)
	}
	q.add(` (`+conversations.String()+`) c LEFT JOIN contacts p ON p.id = c.contact_id`+newestFirst, conversations.args...)
	return q
}

// All returns every conversation of a filter, the last changed first, as they were when the sequence began.
func (s *Store) All(ctx context.Context, filter Filter) iter.Seq2[*Summary, error] {
	return func(yield func(*Summary, error) bool) {
		q := summaryQuery("", filter.query(asSets, "c.*"))
		rows, err := s.reader.QueryContext(ctx, q.String(), q.args...)
		if err != nil {
			yield(nil, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			summary := new(Summary)
			if err := scanSummary(rows, summary); err != nil {
				yield(nil, err)
				return
			}
			if !yield(summary, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// hits reads hits, the newest first, until they are of enough conversations.
func (s *Store) hits(ctx context.Context, f Filter) (found []Summary, err error) {
	q, err := s.hitQuery(ctx, f)
	if err != nil {
		return nil, err
	}
	rows, err := s.reader.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	seen := map[int64]bool{}
	for len(found) < f.Limit && rows.Next() {
		var row Summary
		if err := scanSummary(rows, &row); err != nil {
			return nil, err
		}
		if !seen[row.ID] {
			seen[row.ID] = true
			found = append(found, row)
		}
	}
	return found, rows.Err()
}

func (s *Store) hitQuery(ctx context.Context, f Filter) (*query, error) {
	words, q := quoted(f.Words), new(query)
	q.add(`SELECT ` + summaryColumns + `, ` + snippet + `, m.seq FROM search
		CROSS JOIN messages m ON m.seq = search.rowid CROSS JOIN conversations c ON c.id = m.conversation_id
		LEFT JOIN contacts p ON p.id = c.contact_id`)
	q.where(`search MATCH ?`, words)
	few, err := s.few(ctx, f)
	if err != nil {
		return nil, err
	}
	if few != nil { // the + keeps SQLite from a search for every message
		q.where(`+search.rowid IN (SELECT seq FROM messages WHERE conversation_id IN (`+few.String()+`))`, few.args...)
	} else {
		f.conditions(q, oneByOne)
	}
	if f.After != (Position{}) { // without the conversations that were on the pages before
		q.where(`search.rowid > ?`, f.After.at)
		q.where(`NOT EXISTS (SELECT 1 FROM messages n CROSS JOIN search s ON s.rowid = n.seq
			WHERE n.conversation_id = m.conversation_id AND n.seq <= ? AND s.search MATCH ?)`, f.After.at, words)
	}
	q.add(` ORDER BY search.rowid`)
	return q, nil
}

// few returns the conversations that a filter without its words selects, or nil if they are many. Of many, the first
// hits have enough.
func (s *Store) few(ctx context.Context, f Filter) (*query, error) {
	f.Words, f.After, f.Limit = "", Position{}, 0
	if f == (Filter{}) {
		return nil, nil
	}
	ids, q := new(query), new(query)
	ids.add(`SELECT c.id FROM conversations c`)
	f.conditions(ids, asSets)
	q.add(`SELECT count(*) FROM (`+ids.String()+` LIMIT ?)`, append(ids.args, s.many+1)...)
	var count int
	if err := s.reader.QueryRowContext(ctx, q.String(), q.args...).Scan(&count); err != nil || count > s.many {
		return nil, err
	}
	return ids, nil
}

func scanSummary(r row, s *Summary) error {
	c, snippet := &s.Conversation, new(string)
	err := r.Scan(&c.ID, &c.Status, &c.ContactID, &c.InboxID, milliseconds{&c.CreatedAt}, milliseconds{&c.UpdatedAt},
		milliseconds{&c.MessagesAt}, &c.HasFiles, milliseconds{&c.GoneAt}, text{&c.Raw}, text{&c.Details},
		&s.ContactName, &s.ContactEmail, &snippet, &s.position.at)
	if snippet != nil {
		s.Snippet = *snippet
	}
	s.position.id = c.ID
	return err
}
