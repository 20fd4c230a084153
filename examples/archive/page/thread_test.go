package page

import (
	"html"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
	"github.com/driftsdk/drift/examples/archive/storetest"
)

func TestThread(t *testing.T) {
	f := newFixture(t)
	f.acme()
	page := get(t, f.archive, "/conversations/4")
	for _, want := range []string{
		`<li class="message bot"`, `<li>Yes, please</li>`, `<li class="message contact"`, `<li class="message agent"`,
		`<li class="message note"`, `<b class="name">Mia Chen</b>`, "Acme Assistant", "<span>renewal</span>",
		`href="/` + key + `/files/501" download>Offer Harborview 2026.pdf</a>`, "184 kB", "on Pricing · Acme",
		`rel="nofollow noreferrer noopener" target="_blank">single sign-on</a>`, "Head of Operations",
		`href="/` + key + `/contacts/101"`, `<dt>participant</dt><dd dir="auto">Mia Chen</dd>`,
		`<time datetime="2026-03-01T08:48:00Z">1 Mar 2026, 08:48 UTC</time>`, "13 Feb 2026, 16:26 UTC (1771000000000)",
	} {
		assert.Contains(t, page, want)
	}
	assert.Contains(t, html.UnescapeString(page), `"label": "Just looking"`, "as received")
	assert.Less(t, strings.Index(page, "Yes, please"), strings.Index(page, "Wonderful"), "the oldest message is first")
}

func TestThreadSaysWhatIsMissing(t *testing.T) {
	page := get(t, storetest.Open(t), "/conversations/2")
	assert.Contains(t, page, "not archived yet", "the messages, and a file")
	assert.NotContains(t, page, "/files/2")
	assert.Contains(t, page, "=evil().pdf")
	assert.Contains(t, get(t, storetest.Open(t), "/conversations/3"), "Contact 103")
}

// A message that does not decode is shown all the same.
func TestThreadOddMessage(t *testing.T) {
	f := newFixture(t)
	f.talk(1, nil, "open")
	f.says(0, "x")
	f.write(func(tx *store.Tx) error {
		return tx.PutMessage(store.Message{
			ID: 99, ConversationID: 1, Text: "it says <this>", Raw: []byte(`{"id":99,"body":{"odd":1}}`),
		})
	})
	page := get(t, f.archive, "/conversations/1")
	assert.Contains(t, page, "it says &lt;this&gt;")
	assert.Contains(t, html.UnescapeString(page), `"odd": 1`)
}

func TestThreadPages(t *testing.T) {
	f := newFixture(t)
	f.talk(1, nil, "open")
	for range 2*shown + 1 {
		f.says(0, "x")
	}
	count := func(path string) int { return strings.Count(get(t, f.archive, path), `<li class="message`) }
	assert.Equal(t, shown, count("/conversations/1"))
	assert.Equal(t, shown, count("/conversations/1?from=300"))
	assert.Equal(t, 1, count("/conversations/1?from=600"))
	assert.Equal(t, 0, count("/conversations/1?from=9999"))
	assert.Equal(t, shown, count("/conversations/1?from=-5"))
	page := get(t, f.archive, "/conversations/1?from=300")
	assert.Contains(t, page, `rel="prev" href="/`+key+`/conversations/1?from=0"`)
	assert.Contains(t, page, `rel="next" href="/`+key+`/conversations/1?from=600"`)
}

// A few huge messages do not make a page that no browser can show.
func TestThreadOfHugeMessages(t *testing.T) {
	f := newFixture(t)
	f.talk(1, map[string]any{"name": "Ada"}, "open")
	for range 4 {
		f.says(0, strings.Repeat("long ", 300_000))
	}
	f.says(0, strings.Repeat("longest ", 900_000))
	f.says(0, "short")
	at := func(from string) (messages int, page string) {
		page = get(t, f.archive, "/conversations/1"+from)
		return strings.Count(page, `<li class="message`), page
	}
	n, page := at("")
	assert.Equal(t, 2, n)
	assert.Contains(t, page, `rel="next" href="/`+key+`/conversations/1?from=2"`)
	n, page = at("?from=4")
	assert.Equal(t, 1, n, "one message is shown whatever its size")
	assert.Contains(t, page, `rel="prev" href="/`+key+`/conversations/1?from=2"`)
	assert.Contains(t, page, `rel="next" href="/`+key+`/conversations/1?from=5"`)
}

// The blanks before deeply nested JSON would fill the memory.
func TestPrettyDeepJSON(t *testing.T) {
	deep := strings.Repeat(`{"a":[`, 4_000) + strings.Repeat("]}", 4_000)
	assert.Len(t, pretty([]byte(deep)), len(deep))
	assert.Equal(t, "{\n  \"a\": [\n    1\n  ]\n}", pretty([]byte(`{"a":[1]}`)))
	assert.Equal(t, `{"a":`, pretty([]byte(`{"a":`)))
}

// Two characters make a browser write text backwards, so that it reads as another name.
func TestNothingIsBackwards(t *testing.T) {
	const backwards = "\u202emoc.elgoog\u202c \u202dx"
	f := newFixture(t)
	f.talk(1, map[string]any{"name": backwards, "email": backwards, backwards: backwards}, "open", backwards)
	f.says(0, "hit "+backwards, buttons(backwards), f.file(7, backwards, nil))
	f.write(func(tx *store.Tx) error {
		return tx.PutOddity(store.Oddity{Subject: backwards, Error: backwards, Raw: []byte(backwards), SeenAt: f.at})
	})
	for _, path := range []string{"/", "/?q=hit", "/conversations/1", "/contacts/1", "/oddities"} {
		page := get(t, f.archive, path)
		assert.NotContains(t, page, "\u202e", path)
		assert.NotContains(t, page, "\u202d", path)
		assert.Contains(t, page, "\ufffdmoc.elgoog", path)
	}
}

// Whatever a stranger can write into, on every page that shows it.
func TestEverythingIsEscaped(t *testing.T) {
	const evil = `"'></title></pre><script>alert(1)</script><img src=x onerror=alert(1)>`
	f := newFixture(t)
	f.talk(1, map[string]any{"name": evil, "email": evil, evil: evil, "list": []string{evil}}, evil, evil)
	f.says(0, "hit "+evil, buttons(evil), f.file(7, evil, nil), func(m *store.Message, raw map[string]any) {
		m.Type = evil
		raw["context"] = map[string]any{"title": evil}
		raw[evil] = evil
	})
	f.write(func(tx *store.Tx) error {
		user := f.raw(map[string]any{"id": 9, "name": evil})
		if err := tx.PutRecord(store.Record{Kind: "user", ID: "9", Raw: user}); err != nil {
			return err
		}
		if err := tx.PutVerification(store.Verification{Checks: []store.Check{{Name: evil, Result: evil}}}); err != nil {
			return err
		}
		return tx.PutOddity(store.Oddity{Operation: evil, Subject: evil, Error: evil, Raw: []byte(evil), SeenAt: f.at})
	})
	for _, path := range []string{"/", "/?q=hit", "/conversations/1", "/contacts/1", "/oddities", "/verification"} {
		page := get(t, f.archive, path)
		for _, tag := range []string{"<script", "<img", "</title></pre>"} {
			assert.NotContains(t, page, tag, path)
		}
		assert.Contains(t, page, "&lt;script&gt;", path)
	}
	require.NotEmpty(t, get(t, f.archive, "/?q=%3Cscript%3E&status=%3Cscript%3E&tag=%22%3E%3Cscript%3E"))
	assert.NotContains(t, get(t, f.archive, "/?q=%3Cscript%3E&tag=%22%3E%3Cscript%3E"), "<script")
}
