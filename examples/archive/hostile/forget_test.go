package hostile

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// found returns the files of a folder that have a text, in any case.
func found(t *testing.T, dir, text string) (files []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		id, notID := strconv.ParseUint(text, 10, 64)
		if notID == nil && bytes.Contains(data, binary.BigEndian.AppendUint64(nil, id)[2:]) { // as SQLite writes it
			files = append(files, path+" as a number")
		}
		lower := strings.ToLower(text)
		if bytes.Contains(bytes.ToLower(data), []byte(lower)) || strings.Contains(strings.ToLower(path), lower) {
			files = append(files, path)
		}
		return err
	}))
	return files
}

// person is somebody who is everywhere.
type person struct {
	contact int64
	traces  []string
}

func (s *service) seedPerson() person {
	s.lastID += 123456789012345 // not to be mistaken for another number
	p := person{contact: s.person("Zebra.Quux@Example.com", "Zebediah Quuxington")}
	p.traces = []string{"zebra.quux", "zebediah", "quuxington", "xylophonic"}
	p.traces = append(p.traces, fmt.Sprint(p.contact))
	for i := range 4 {
		c := s.begin(p.contact)
		for j := range 30 {
			id := s.id()
			c.messages = append(c.messages, record{id, fmt.Sprintf(`{"id":%d,"conversationId":%d,"type":"chat",`+
				`"author":{"id":%d,"type":"contact"},"body":"Zebediah says xylophonic%d to ZEBRA.QUUX@example.com",`+
				`"createdAt":%d,"attributes":{"e":"zebra\u002equux\u0040example.com"}}`, id, c.id, p.contact, j, s.now())})
		}
		file := s.id()
		s.files[file] = fmt.Appendf(nil, "file of Zebediah %d", i)
		id := s.id()
		c.messages = append(c.messages, record{id, fmt.Sprintf(`{"id":%d,"body":"see","author":{"id":%d,"type":"contact"},`+
			`"attachments":[{"id":%d,"fileName":"zebediah.txt"}]}`, id, p.contact, file)},
			record{0, fmt.Sprintf(`{"body":"Zebediah without an id","author":{"id":%d,"type":"contact"}}`, p.contact)})
		c.details = fmt.Sprintf(`{"id":%d,"contactId":"x","conversationTags":[{"name":"Quuxington"}],`+
			`"note":"zebra.quux@example.com"}`, c.id)
		s.touch(c)
	}
	// In somebody else's conversation.
	other := s.begin(s.person("other@example.com", "Other"))
	for _, form := range []string{`{"id":%d,"author":{"id":%d,"type":"contact"},"body":"It is Zebediah"}`,
		`{"id":%d,"author":{"id":%d,"type":"contact"},"body":"Zebediah","createdAt":"soon"}`} {
		id := s.id()
		other.messages = append(other.messages, record{id, fmt.Sprintf(form, id, p.contact)})
	}
	s.touch(other)
	for _, form := range []string{
		`{"eventId":"zebediah-1","agentId":1,"schedulerId":%d,"slotStart":5}`,
		`{"eventId":"zebediah-2","agentId":1,"schedulerId":"%d","slotStart":"x"}`,
		`{"eventId":"zebediah-3","deep":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `,"schedulerId":%d}`,
		`{"eventId":"z-4","notes":"zebra.quux@example.com (%d)"}`,
		`{"notes":"zebra\u002Equux\u0040example.com (%d)"}`,
	} {
		s.lists["users/meetings/org"] = append(s.lists["users/meetings/org"], record{0, fmt.Sprintf(form, p.contact)})
	}
	// A list of conversations in which the contact cannot be told.
	c := s.begin(p.contact)
	c.odd = fmt.Sprintf(`{"id":%d,"contactId":%d,"updatedAt":%d,"createdAt":"never","status":%q}`,
		c.id, p.contact, c.state.updated, c.state.status)
	return p
}

// Nothing of a forgotten person is in any file, now and after later syncs.
func TestForgetEverywhere(t *testing.T) {
	t.Parallel()
	s, dir := start(t, 2), filepath.Join(t.TempDir(), "archive")
	s.seed(60)
	p := s.seedPerson()
	s.sync(t, dir, 3)
	status, out := s.command(t.Context(), "verify", "-dir", dir)
	require.Equal(t, 0, status, out)
	for _, trace := range p.traces {
		require.NotEmpty(t, found(t, dir, trace), trace)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "attachments", "1.part"), []byte("half of Zebediah"), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "attachments", "ab"), 0o700))
	stray := filepath.Join(dir, "attachments", "ab", strings.Repeat("ab", 32))
	require.NoError(t, os.WriteFile(stray, []byte("all of Zebediah"), 0o600))

	forget := func(want int) {
		t.Helper()
		status, out := s.command(t.Context(), "forget", "-dir", dir, "-yes", "zebra.quux@EXAMPLE.com")
		require.Equal(t, want, status, out)
		for _, trace := range p.traces {
			require.Empty(t, found(t, dir, trace), "%s: %s", trace, out)
		}
	}
	forget(0)
	again := func() {
		t.Helper()
		status, out := s.command(t.Context(), "sync", "-dir", dir, "-overlap", "9000h")
		require.Contains(t, []int{0, 3}, status, out)
		for _, trace := range p.traces {
			require.Empty(t, found(t, dir, trace), "%s: %s", trace, out)
		}
	}
	again()
	// The person writes again, has another address, and another contact with the old one.
	s.say(s.begin(p.contact))
	s.contacts[p.contact].raw = fmt.Sprintf(`{"id":%d,"attributes":{"email":"new@example.com","name":"Zebediah"}}`, p.contact)
	second := s.begin(s.person("zebra.quux@example.com", "Quuxington the second"))
	second.messages = append(second.messages, record{s.id(), fmt.Sprintf(`{"id":%d,"body":"Zebediah is back"}`, s.lastID)})
	s.touch(second)
	for _, c := range s.conversations {
		if c.contact == p.contact && c.odd != "" { // now nobody can tell whose it is
			c.odd = strings.Replace(c.odd, `"contactId"`, `"contact"`, 1)
			c.odd = strings.Replace(c.odd, fmt.Sprint(p.contact), `"Zebediah"`, 1)
		}
	}
	again()
	again()
	status, out = s.command(t.Context(), "verify", "-dir", dir)
	assert.Equal(t, 0, status, out)
	forget(0)
	status, out = s.command(t.Context(), "forget", "-dir", dir, "-yes", "nobody@example.com")
	assert.Equal(t, 0, status, out)
}

// A forget that is killed is finished by the next command that writes.
func TestForgetKilled(t *testing.T) {
	t.Parallel()
	for run := range kills(4) {
		s, dir := start(t, uint64(run)), filepath.Join(t.TempDir(), "archive")
		s.seed(60)
		p := s.seedPerson()
		s.sync(t, dir, 3)
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(20+rand.IntN(120))*time.Millisecond)
		status, _ := s.command(ctx, "forget", "-dir", dir, "-yes", "zebra.quux@example.com")
		cancel()
		db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "archive.db"))
		require.NoError(t, err)
		var left int
		require.NoError(t, db.QueryRow(`SELECT count(*) FROM contacts WHERE id = ?`, p.contact).Scan(&left))
		require.NoError(t, db.Close())
		t.Logf("run %d: status %d, rows left %d", run, status, left)
		if left > 0 {
			status, out := s.command(t.Context(), "forget", "-dir", dir, "-yes", "zebra.quux@example.com")
			require.Equal(t, 0, status, out)
		} else {
			s.command(t.Context(), "sync", "-dir", dir)
		}
		for _, trace := range p.traces {
			require.Empty(t, found(t, dir, trace), "%s after run %d", trace, run)
		}
	}
}
