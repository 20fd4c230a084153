package store

import (
	"context"
	"time"
)

// Status is what an archive holds.
type Status struct {
	Host          string         `json:"host"`
	Organization  string         `json:"organization"`
	Conversations map[string]int `json:"conversations"` // by status
	Gone          int            `json:"gone"`          // conversations that the service no longer has
	Messages      int            `json:"messages"`
	Contacts      int            `json:"contacts"`
	Files         int            `json:"files"`
	FileBytes     int64          `json:"file_bytes"`
	Records       map[string]int `json:"records"` // by kind
	Due           map[string]int `json:"due"`     // not archived yet, by kind
	Oddities      int            `json:"oddities"`
	Forgotten     int            `json:"forgotten"`       // contacts
	Oldest        time.Time      `json:"oldest,omitzero"` // the first conversation
	Newest        time.Time      `json:"newest,omitzero"` // the last change of a conversation
	Calls         int            `json:"calls"`           // in all months
}

// Total returns the number of conversations.
func (s *Status) Total() (total int) {
	for _, n := range s.Conversations {
		total += n
	}
	return total
}

// Status counts what the archive holds.
func (s *Store) Status(ctx context.Context) (*Status, error) {
	st := &Status{Due: map[string]int{}}
	var err error
	if st.Host, err = s.Meta(ctx, "host"); err != nil {
		return nil, err
	}
	if st.Organization, err = s.Meta(ctx, "organization"); err != nil {
		return nil, err
	}
	if st.Conversations, err = s.counts(ctx, `SELECT status, count(*) FROM conversations GROUP BY 1`); err != nil {
		return nil, err
	}
	if st.Records, err = s.counts(ctx, `SELECT kind, count(*) FROM records GROUP BY 1`); err != nil {
		return nil, err
	}
	for kind := range tables {
		if st.Due[kind], err = s.CountDue(ctx, kind); err != nil {
			return nil, err
		}
	}
	err = s.reader.QueryRowContext(ctx, `SELECT
		(SELECT count(*) FROM conversations WHERE gone_at > 0), (SELECT count(*) FROM messages),
		(SELECT count(*) FROM contacts WHERE raw IS NOT NULL),
		(SELECT count(*) FROM attachments WHERE state = 'stored'),
		(SELECT coalesce(sum(size), 0) FROM attachments WHERE state = 'stored'),
		(SELECT count(*) FROM oddities), (SELECT count(*) FROM forgotten WHERE kind = 'contact'),
		(SELECT coalesce(min(created_at), 0) FROM conversations WHERE created_at > 0),
		(SELECT coalesce(max(updated_at), 0) FROM conversations),
		(SELECT coalesce(sum(calls), 0) FROM usage)`).Scan(&st.Gone, &st.Messages, &st.Contacts, &st.Files,
		&st.FileBytes, &st.Oddities, &st.Forgotten, milliseconds{&st.Oldest}, milliseconds{&st.Newest}, &st.Calls)
	return st, err
}

// counts reads a name and a number from each row.
func (s *Store) counts(ctx context.Context, query string, args ...any) (map[string]int, error) {
	type count struct {
		name string
		n    int
	}
	rows, err := collect(ctx, s.reader, func(r row, c *count) error { return r.Scan(&c.name, &c.n) }, query, args...)
	byName := map[string]int{}
	for _, c := range rows {
		byName[c.name] = c.n
	}
	return byName, err
}
