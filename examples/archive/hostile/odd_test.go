package hostile

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// oddities are the odd forms of a record with an id. In them, ID stands for the id, and REST for the other members of
// an ordinary record. Those without ID have none that anybody could tell.
var oddities = map[string]string{
	"no id":          `{REST}`,
	"null id":        `{"id":null,REST}`,
	"empty id":       `{"id":"",REST}`,
	"object id":      `{"id":{"a":1},REST}`,
	"fraction id":    `{"id":1.5,REST}`,
	"negative id":    `{"id":-5,REST}`,
	"zero id":        `{"id":0,REST}`,
	"huge id":        `{"id":99999999999999999999999,REST}`,
	"text id":        `{"id":"ID",REST}`,
	"number":         `17`,
	"text":           `"a text"`,
	"null":           `null`,
	"list":           `[1,2]`,
	"empty":          `{}`,
	"unknown fields": `{"id":ID,"more":{"deep":[{"er":1}]},"x":null,REST}`,
	"all null": `{"id":ID,"status":null,"contactId":null,"createdAt":null,"inboxId":null,"body":null,"author":null,` +
		`"attachments":null,"attributes":null,"type":null}`,
	"wrong status":  `{"id":ID,REST,"status":7,"type":{"x":1}}`,
	"wrong created": `{"id":ID,REST,"createdAt":"yesterday"}`,
	"early created": `{"id":ID,REST,"createdAt":1}`,
	"late created":  `{"id":ID,REST,"createdAt":99999999999999999}`,
	"wrong everything": `{"id":ID,"status":[],"contactId":"x","createdAt":{},"inboxId":true,"updatedAt":"soon",` +
		`"body":7,"author":"me","attachments":5,"attributes":[1],"type":1}`,
	"twice a member": `{"id":ID,REST,"status":"open","status":"closed","body":"one","body":"two"}`,
	"spaces":         "{ \"id\" :\tID ,REST\n}",
	"unicode":        `{"id":ID,REST,"x":"日本語 🎉 \ud83c\udf89 é \u0000 \u202e ` + "\u2028" + `"}`,
	"lone surrogate": `{"id":ID,REST,"x":"\ud83c"}`,
	"not UTF-8":      "{\"id\":ID,REST,\"x\":\"a\xff\xfeb\"}",
	"not UTF-8 name": "{\"id\":ID,REST,\"a\xff\":1}",
	"huge":           `{"id":ID,REST,"x":"` + strings.Repeat("huge ", 200_000) + `"}`,
	"wide":           `{"id":ID,"status":7,"type":7,` + wide(20_000) + `REST}`,
	"deep":           `{"id":ID,REST,"x":` + strings.Repeat(`[`, 3000) + strings.Repeat(`]`, 3000) + `}`,
	"big numbers":    `{"id":ID,REST,"x":1e400,"y":123456789012345678901234567890}`,
}

func wide(fields int) string {
	var text strings.Builder
	for i := range fields {
		fmt.Fprintf(&text, `"field%d":%d,`, i, i)
	}
	return text.String()
}

// odd returns an odd form of a record, with the id that it has, or 0.
func odd(form string, id int64, rest string) record {
	raw := strings.NewReplacer("ID", fmt.Sprint(id), "REST", rest).Replace(form)
	if !strings.Contains(form, "ID") {
		id = 0
	}
	return record{id, raw}
}

// shortLists are the lists without pages.
var shortLists = map[string]struct{ kind, id, rest string }{
	"users/list":          {"user", `"id"`, `"orgId":77`},
	"teams/org":           {"team", `"id"`, `"name":"T"`},
	"playbooks/list":      {"playbook", `"id"`, `"name":"B"`},
	"playbooks/clp":       {"landing_page", `"playbookId"`, `"playbookName":"P"`},
	"contacts/attributes": {"contact_attribute", `"name"`, `"type":"STRING"`},
	"users/meetings/org":  {"meeting", `"eventId"`, `"slotStart":5`},
}

// seedOdd makes a record of every form in every list. It returns those of conversations and messages without an id.
func (s *service) seedOdd() (unknown []string) {
	names := make([]string, 0, len(oddities))
	for name := range oddities {
		names = append(names, name)
	}
	slices.Sort(names)
	host := s.begin(s.person("host@example.com", "Host"))
	for _, name := range names {
		form := oddities[name]
		// A conversation of the list.
		c := s.begin(s.person(name+"@example.com", name))
		r := odd(form, c.id, fmt.Sprintf(`"contactId":%d,"inboxId":7,"updatedAt":%d`, c.contact, c.state.updated))
		if c.odd = r.raw; r.id == 0 {
			unknown = append(unknown, r.raw)
			s.conversations[-c.id] = c
			delete(s.conversations, c.id)
		}
		// A message, in a conversation of its own, and beside others.
		for _, in := range []*conversation{s.begin(s.person("m-"+name+"@example.com", "M")), host} {
			r = odd(form, s.id(), `"body":"odd","type":"chat","conversationId":5`)
			in.messages = append(in.messages, r)
			if r.id == 0 {
				unknown = append(unknown, r.raw)
			}
			s.say(in)
		}
		// Details, and a contact.
		d := s.begin(s.person("d-"+name+"@example.com", "D"))
		d.details = odd(form, d.id, `"status":"open"`).raw
		r = odd(form, d.contact, `"attributes":{"email":"`+name+`"}`)
		s.contacts[d.contact] = &r
		// The short lists.
		for path, list := range shortLists {
			r := odd(strings.ReplaceAll(form, `"id"`, list.id), s.id(), list.rest)
			s.lists[path] = append(s.lists[path], r)
		}
		s.accounts = append(s.accounts, odd(strings.ReplaceAll(form, `"id"`, `"accountId"`), s.id(), `"name":"A"`))
	}
	return unknown
}

// Odd records are kept as they came, and stop nothing.
func TestOddRecords(t *testing.T) {
	t.Parallel()
	s, dir := start(t, 2), filepath.Join(t.TempDir(), "archive")
	s.seed(30)
	unknown := s.seedOdd()
	for range 2 {
		s.sync(t, dir, 3)
	}
	a := look(t, dir)
	kept := strings.Join(a.oddities, "\x00")
	for _, raw := range unknown {
		assert.Contains(t, a.oddities, raw)
	}
	for id := range s.conversations {
		if id < 0 {
			delete(s.conversations, id)
		}
	}
	s.same(t, a)
	for path, list := range shortLists {
		s.keeps(t, path, s.lists[path], a.records[list.kind], kept)
	}
	s.keeps(t, "accounts", s.accounts, a.records["account"], kept)
	for _, c := range s.conversations {
		d := c.details
		assert.True(t, strings.Contains(kept, d) || s.hasDetails(t, dir, c.id, d), "details: %.200s", d)
	}
	status, out := s.command(t.Context(), "status", "-dir", dir, "-json")
	require.Equal(t, 0, status, out)
	_, out = s.command(t.Context(), "verify", "-dir", dir)
	for _, check := range []string{"database", "search", "records", "files", "messages", "content"} {
		assert.Contains(t, out, check+": ok")
	}
	for _, format := range []string{"jsonl", "csv", "html"} {
		path := filepath.Join(t.TempDir(), "out")
		status, out = s.command(t.Context(), "export", "-dir", dir, "-format", format, "-out", path)
		assert.Equal(t, 0, status, out)
	}
	status, out = s.command(t.Context(), "forget", "-dir", dir, "-yes", "person3@example.com")
	assert.Equal(t, 3, status, out)
	assert.Contains(t, out, "not searched", "contacts whose answers are odd")
}

// keeps checks that every record of a list is there once, as it came.
func (s *service) keeps(t *testing.T, path string, sent []record, records []string, kept string) {
	t.Helper()
	for _, r := range sent {
		n := 0
		for _, raw := range records {
			if raw == r.raw {
				n++
			}
		}
		assert.True(t, n == 1 || n == 0 && strings.Contains(kept, r.raw), "%s: %d times: %.200s", path, n, r.raw)
	}
}

// Of a record that an answer has twice, the other content is among the oddities.
func TestTwiceInOneAnswer(t *testing.T) {
	t.Parallel()
	s, dir := start(t, 2), filepath.Join(t.TempDir(), "archive")
	s.seed(10)
	c := s.begin(s.person("twice@example.com", "Twice"))
	conversation := func(status string) string {
		return fmt.Sprintf(`{"id":%d,"contactId":%d,"updatedAt":%d,"status":%q}`, c.id, c.contact, c.state.updated, status)
	}
	message := func(body string) string { return fmt.Sprintf(`{"id":7,"body":%q}`, body) }
	c.odd = conversation("open") + "," + conversation("closed") + "," + conversation("closed")
	c.messages = []record{{7, message("one")}, {7, message("two")}, {7, message("one")}}
	s.sync(t, dir, 3)
	a := look(t, dir)
	assert.ElementsMatch(t, []string{conversation("open"), conversation("closed")}, append(a.oddities[:1:1], a.conversations[c.id]))
	assert.ElementsMatch(t, []string{message("one"), message("two")}, append(a.oddities[1:2:2], a.messages[[2]int64{c.id, 7}]))
	assert.Len(t, a.oddities, 2)
}
