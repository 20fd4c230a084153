package store_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
)

// TestSpeed measures every kind of query in an archive of DRIFT_ARCHIVE_MESSAGES messages, such as 300000. With
// DRIFT_ARCHIVE_DIR it keeps that archive and uses it again.
func TestSpeed(t *testing.T) {
	messages, _ := strconv.Atoi(os.Getenv("DRIFT_ARCHIVE_MESSAGES"))
	if messages == 0 {
		t.Skip("DRIFT_ARCHIVE_MESSAGES is not set")
	}
	dir := os.Getenv("DRIFT_ARCHIVE_DIR")
	if dir == "" {
		dir = t.TempDir()
	}
	s := crowd(t, dir, messages)
	tests := queries(t, s)
	for _, rank := range []int{0, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000} {
		tests[fmt.Sprintf("word %5d", rank)] = func(i int) store.Filter { return store.Filter{Words: word(rank + i%10)} }
	}
	var names []string
	for name := range tests {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) { measure(t, s, tests[name], cmp.Or(slow[name], 20*time.Millisecond)) })
	}
}

// slow are the queries of a million messages that may take longer than others. Each has many matches that are old, or
// that a second condition rejects, and no index has them in the order of the list.
var slow = map[string]time.Duration{
	"agent":                      80 * time.Millisecond,
	"agent long gone":            80 * time.Millisecond,
	"word and files":             80 * time.Millisecond,
	"word and agent":             80 * time.Millisecond,
	"common word and a rare tag": 300 * time.Millisecond,
	"word and agent long gone":   2 * time.Second,
}

// queries returns filters of every kind. Those that stand for many make the i-th.
func queries(t *testing.T, s *store.Store) map[string]func(i int) store.Filter {
	newest, err := s.Conversations(t.Context(), store.Filter{Limit: 1})
	require.NoError(t, err)
	last := newest[0].UpdatedAt
	return map[string]func(i int) store.Filter{
		"newest":                 func(int) store.Filter { return store.Filter{} },
		"rare status":            func(int) store.Filter { return store.Filter{Status: "pending"} },
		"no such status":         func(int) store.Filter { return store.Filter{Status: "bulk_sent"} },
		"agent":                  func(i int) store.Filter { return store.Filter{Agent: int64(1 + i%20)} },
		"new agent":              func(int) store.Filter { return store.Filter{Agent: 98} },
		"agent long gone":        func(int) store.Filter { return store.Filter{Agent: 97} },
		"agent without messages": func(int) store.Filter { return store.Filter{Agent: 99} },
		"contact":                func(i int) store.Filter { return store.Filter{Contact: int64(1 + i)} },
		"address":                func(i int) store.Filter { return store.Filter{Email: fmt.Sprintf("c%d@example.com", i)} },
		"unknown address":        func(int) store.Filter { return store.Filter{Email: "nobody@example.com"} },
		"files":                  func(int) store.Filter { return store.Filter{Files: true} },
		"tag":                    func(int) store.Filter { return store.Filter{Tag: "invoice"} },
		"rare tag":               func(int) store.Filter { return store.Filter{Tag: "churn"} },
		"no such tag":            func(int) store.Filter { return store.Filter{Tag: "none"} },
		"second page":            func(int) store.Filter { return second(t, s, store.Filter{}) },
		"word, second page":      func(i int) store.Filter { return second(t, s, store.Filter{Words: word(i * 11)}) },
		"a day":                  func(i int) store.Filter { return day(last, i) },
		"a day, agent and status": func(i int) store.Filter {
			f := day(last, i)
			f.Agent, f.Status = 3, "closed"
			return f
		},
		"no such word":         func(int) store.Filter { return store.Filter{Words: "zebra"} },
		"word of old messages": func(int) store.Filter { return store.Filter{Words: "antique"} },
		"word and address": func(i int) store.Filter {
			return store.Filter{Words: "w0", Email: fmt.Sprintf("c%d@example.com", i)}
		},
		"two words":                      func(i int) store.Filter { return store.Filter{Words: word(i) + " " + word(i*7)} },
		"word and agent":                 func(i int) store.Filter { return store.Filter{Words: word(i * 11), Agent: 3} },
		"word and agent long gone":       func(i int) store.Filter { return store.Filter{Words: word(i * 11), Agent: 97} },
		"word and status":                func(i int) store.Filter { return store.Filter{Words: word(i * 9), Status: "open"} },
		"word and files":                 func(i int) store.Filter { return store.Filter{Words: word(i * 11), Files: true} },
		"common word and a rare tag":     func(int) store.Filter { return store.Filter{Words: "w1", Tag: "churn"} },
		"old word and a rare tag":        func(int) store.Filter { return store.Filter{Words: "antique", Tag: "churn"} },
		"agent and a rare status":        func(int) store.Filter { return store.Filter{Agent: 3, Status: "pending"} },
		"agent long gone and a rare tag": func(int) store.Filter { return store.Filter{Agent: 97, Tag: "churn"} },
	}
}

func word(rank int) string { return fmt.Sprintf("w%d", rank) }

func second(t *testing.T, s *store.Store, f store.Filter) store.Filter {
	f.Limit = 50
	page, err := s.Page(t.Context(), f)
	require.NoError(t, err)
	f.After = page.Next
	return f
}

func day(last time.Time, i int) store.Filter {
	to := last.AddDate(0, 0, -i)
	return store.Filter{From: to.AddDate(0, 0, -1), To: to}
}

// measure checks the 95th percentile, of a million messages and with what the machine's other work adds.
func measure(t *testing.T, s *store.Store, filter func(i int) store.Filter, most time.Duration) {
	const rounds = 20
	var took []time.Duration
	var rows int
	for i := range rounds {
		if len(took) > 0 && took[len(took)-1] > time.Second {
			break // slow enough to know
		}
		f := filter(i)
		f.Limit = 50
		start := time.Now()
		page, err := s.Page(t.Context(), f)
		took = append(took, time.Since(start))
		require.NoError(t, err)
		rows += len(page.Rows)
	}
	slices.Sort(took)
	p50, p95 := took[len(took)/2], took[len(took)*95/100]
	t.Logf("p50 %7.2f ms, p95 %7.2f ms, %5.1f rows", ms(p50), ms(p95), float64(rows)/float64(len(took)))
	assert.Less(t, p95, most)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// small is an archive of a few hundred conversations.
func small(t *testing.T) *store.Store { return crowd(t, t.TempDir(), 3_000) }

// crowd fills an archive. Words, agents and contacts have a long tail, as in real ones.
func crowd(t *testing.T, dir string, messages int) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	if found, err := s.Conversations(t.Context(), store.Filter{Limit: 1}); err == nil && len(found) > 0 {
		return s
	}
	start := time.Now()
	c := crowded{
		random: rand.New(rand.NewPCG(1, 2)), conversations: messages / 10,
		began: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	c.words = rand.NewZipf(c.random, 1.05, 2, 50_000)
	for c.done < c.conversations {
		require.NoError(t, s.Write(t.Context(), c.some))
	}
	t.Logf("%d conversations in %s", c.conversations, time.Since(start).Round(time.Second))
	return s
}

type crowded struct {
	random        *rand.Rand
	words         *rand.Zipf
	began         time.Time
	conversations int
	done          int
	messages      int64
}

// some adds conversations, the newest first, as archive sync does.
func (c *crowded) some(tx *store.Tx) error {
	for range min(1_000, c.conversations-c.done) {
		if err := c.conversation(tx); err != nil {
			return err
		}
		c.done++
	}
	return nil
}

func (c *crowded) conversation(tx *store.Tx) error {
	id := int64(c.conversations - c.done)
	at := c.began.Add(time.Duration(id) * 3 * time.Hour)
	status := "closed"
	if n := c.random.IntN(1_000); n < 50 {
		status = "open"
	} else if n < 52 {
		status = "pending"
	}
	contact := 1 + int64(c.random.IntN(c.conversations))
	err := tx.PutConversation(store.Conversation{
		ID: id, Status: status, ContactID: contact, CreatedAt: at, UpdatedAt: at,
		Raw: fmt.Appendf(nil, `{"id":%d,"status":%q,"contactId":%d}`, id, status, contact),
	})
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE conversations SET details = ? WHERE id = ?`, string(c.details(id)), id); err != nil {
		return err
	}
	if err := tx.PutContact(store.Contact{
		ID: contact, Email: fmt.Sprintf("c%d@example.com", contact), Name: fmt.Sprintf("Contact %d", contact),
		Raw: fmt.Appendf(nil, `{"id":%d,"attributes":{}}`, contact),
	}, at.UnixMilli()); err != nil {
		return err
	}
	agent := min(1+int64(c.random.ExpFloat64()*6), 50)
	switch {
	case c.done < 50 && c.done%2 == 0:
		agent = 98
	case c.done > c.conversations*8/10 && c.random.IntN(100) < 30:
		agent = 97
	}
	for i := c.random.IntN(19); i >= 0; i-- {
		if err := c.message(tx, id, contact, agent, i, at); err != nil {
			return err
		}
	}
	return nil
}

func (c *crowded) details(id int64) json.RawMessage {
	tag := ""
	switch n := c.random.IntN(1_000); {
	case n < 200:
		tag = `{"name":"invoice","color":"ff0000"}`
	case n < 201:
		tag = `{"name":"churn"},"bare"`
	}
	return fmt.Appendf(nil, `{"id":%d,"participants":[1],"conversationTags":[%s]}`, id, tag)
}

func (c *crowded) message(tx *store.Tx, conversation, contact, agent int64, i int, at time.Time) error {
	c.messages++
	author, authorID := "contact", contact
	if i%2 == 1 {
		author, authorID = "user", agent
	}
	text := make([]string, 5+c.random.IntN(40))
	for n := range text {
		text[n] = word(int(c.words.Uint64()))
	}
	if c.done > c.conversations*9/10 && c.random.IntN(100) < 20 {
		text[0] = "antique"
	}
	body := strings.Join(text, " ")
	message := store.Message{
		ID: c.messages, ConversationID: conversation, Type: "chat", AuthorType: author, AuthorID: authorID,
		CreatedAt: at.Add(time.Duration(i) * time.Minute), Text: body,
		Raw: fmt.Appendf(nil, `{"id":%d,"conversationId":%d,"type":"chat","author":{"id":%d,"type":%q,"bot":false},`+
			`"createdAt":%d,"body":%q}`, c.messages, conversation, authorID, author, at.UnixMilli(), "<p>"+body+"</p>"),
	}
	if c.random.IntN(500) == 0 {
		message.Attachments = []store.Attachment{{ID: c.messages, Name: "a.pdf", MIMEType: "application/pdf"}}
	}
	return tx.PutMessage(message)
}
