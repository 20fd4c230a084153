package store

import (
	"fmt"
	"strings"
	"unicode"
)

// Position is where a page of a list ends. It stays valid when the conversations there change or go.
type Position struct {
	at int64 // when the last conversation changed, or the seq of the last hit
	id int64 // of the last conversation
}

// String returns the position as ParsePosition reads it, "" if it is zero.
func (p Position) String() string {
	if p == (Position{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d", p.at, p.id)
}

// ParsePosition reads what String returned.
func ParsePosition(text string) (p Position, err error) {
	if text != "" {
		_, err = fmt.Sscanf(text, "%d.%d", &p.at, &p.id)
	}
	return p, err
}

// query is a query in the making.
type query struct {
	strings.Builder
	args []any
	next string // WHERE or AND
}

func (q *query) add(text string, args ...any) {
	q.WriteString(text)
	q.args = append(q.args, args...)
}

func (q *query) where(condition string, args ...any) {
	if q.next == "" {
		q.next = " WHERE "
	}
	q.add(q.next+condition, args...)
	q.next = " AND "
}

// strategy says how a query finds the conversations of an agent, a tag or words.
type strategy int

const (
	asSets   strategy = iota // collect all of them, then order them: fast if there are few
	oneByOne                 // look at one conversation after the other, the newest first: fast if there are many
)

const newestFirst = ` ORDER BY c.updated_at DESC, c.id DESC`

// query selects columns of conversations c.
func (f Filter) query(by strategy, columns string) *query {
	q := new(query)
	q.add(`SELECT ` + columns + ` FROM conversations c`)
	f.conditions(q, by)
	if words := quoted(f.Words); words != "" {
		q.where([]string{
			asSets: `c.id IN (SELECT m.conversation_id FROM search CROSS JOIN messages m ON m.seq = search.rowid
				WHERE search MATCH ?)`,
			oneByOne: `EXISTS (SELECT 1 FROM messages m CROSS JOIN search ON search.rowid = m.seq
				WHERE m.conversation_id = c.id AND search MATCH ?)`,
		}[by], words)
	}
	if f.After != (Position{}) {
		q.where(`(c.updated_at, c.id) < (?, ?)`, f.After.at, f.After.id)
	}
	q.add(newestFirst)
	if f.Limit > 0 {
		q.add(` LIMIT ?`, f.Limit)
	}
	return q
}

// conditions adds all conditions but the words and the position.
func (f Filter) conditions(q *query, by strategy) {
	if f.Contact != 0 {
		q.where(`c.contact_id = ?`, f.Contact)
	}
	if f.Email != "" {
		q.where(`c.contact_id IN (SELECT id FROM contacts WHERE email = ? COLLATE NOCASE)`, f.Email)
	}
	if f.Agent != 0 {
		q.where([]string{
			asSets: `c.id IN (SELECT conversation_id FROM messages WHERE author_type = 'user' AND author_id = ?)`,
			oneByOne: `EXISTS (SELECT 1 FROM messages WHERE author_type = 'user' AND author_id = ?
				AND conversation_id = c.id)`,
		}[by], f.Agent)
	}
	if f.Tag != "" {
		q.where([]string{
			asSets:   `c.id IN (SELECT conversation_id FROM conversation_tags WHERE tag = ?)`,
			oneByOne: `EXISTS (SELECT 1 FROM conversation_tags WHERE tag = ? AND conversation_id = c.id)`,
		}[by], f.Tag)
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
}

// quoted quotes every word, so that none is an operator of FTS5. A NUL would end the query.
func quoted(words string) string {
	var terms []string
	for _, word := range strings.FieldsFunc(words, func(r rune) bool { return unicode.IsSpace(r) || r == 0 }) {
		terms = append(terms, `"`+strings.ReplaceAll(word, `"`, `""`)+`"`)
	}
	return strings.Join(terms, " ")
}
