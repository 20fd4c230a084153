package page

import (
	"errors"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
	"github.com/driftsdk/drift/examples/archive/storetest"
)

var conversationLink = regexp.MustCompile(`href="/` + key + `/conversations/(\d+)(?:#:~:text=[^"]*)?"`)

// listedIDs returns the conversations on a page of the list.
func listedIDs(page string) (ids []string) {
	for _, match := range conversationLink.FindAllStringSubmatch(page, -1) {
		ids = append(ids, match[1])
	}
	return ids
}

func TestListFilters(t *testing.T) {
	s := storetest.Open(t)
	for query, want := range map[string][]string{
		"":                                    {"1", "2", "3"},
		"?q=CAFE":                             {"1"},
		"?q=engine+OR+screenshot":             nil,
		"?q=" + url.QueryEscape(`"engine" *`): {"1"},
		"?q=" + url.QueryEscape(`NEAR(a b) ^ : - " '`): nil,
		"?status=closed":                 {"2"},
		"?agent=11":                      {"1"},
		"?agent=12":                      nil,
		"?contact=GRACE@example.com":     {"2"},
		"?contact=103":                   {"3"},
		"?files=1":                       {"2"},
		"?from=2025-03-01&to=2025-03-01": {"1", "2", "3"},
		"?to=2025-02-28":                 nil,
		"?from=2025-03-02":               nil,
		"?tag=none":                      nil,
		"?q=%00%ff":                      nil,
	} {
		t.Run(query, func(t *testing.T) {
			assert.Equal(t, want, listedIDs(get(t, s, "/"+query)))
		})
	}
}

func TestListSaysWhatIsWrong(t *testing.T) {
	handler := Handler(storetest.Open(t), key, "")
	for query, want := range map[string]string{
		"?q=" + strings.Repeat("a+", 21):  "a search has at most 20 words",
		"?q=" + strings.Repeat("a-", 101): "a search has at most 20 words and 200 bytes",
		"?contact=ada":                    `a contact is an address or a number, not "ada"`, "?to=1.3.2025": `not like "1.3.2025"`,
		"?agent=mia": `an agent is a number, not "mia"`, "?after=<script>": `"<script>" is not a place in the list`,
	} {
		w := ask(t, handler, "GET", "/"+key+"/"+query, "localhost")
		assert.Equal(t, 400, w.Code)
		assert.Contains(t, html.UnescapeString(w.Body.String()), want)
		assert.NotContains(t, w.Body.String(), "<script>")
	}
}

func TestListShowsRows(t *testing.T) {
	f := newFixture(t)
	f.acme()
	page := get(t, f.archive, "/?q=OFFER")
	for _, want := range []string{`<b class="name">Grace Whitfield</b>`, "grace@harborview.example",
		`class="status open"`, ">files<", "<span>enterprise</span>", "<mark>offer</mark>", `value="OFFER"`, "conversations.csv?q=OFFER"} {
		assert.Contains(t, page, want)
	}
	assert.Equal(t, []string{"4"}, listedIDs(page))
	assert.Equal(t, []string{"2"}, listedIDs(get(t, f.archive, "/?tag=BILLING")))
}

// Every page links to the next one, keeps the filter, and nothing is on two pages or on none.
func TestListPages(t *testing.T) {
	f := newFixture(t)
	for i := range 2*listed + 1 {
		f.talk(int64(200+i), map[string]any{"email": "x@y.example"}, "open")
		f.says(0, "needle")
	}
	for _, query := range []string{"", "?q=needle", "?status=open&contact=x%40y.example"} {
		var ids []string
		path, pages := "/"+query, 0
		for path != "" {
			page := get(t, f.archive, path)
			ids = append(ids, listedIDs(page)...)
			pages++
			path = ""
			if next := regexp.MustCompile(`rel="next" href="/` + key + `([^"]*)"`).FindStringSubmatch(page); next != nil {
				path = html.UnescapeString(next[1])
				assert.Contains(t, path, strings.TrimPrefix(query, "?")[:min(len(query), 3)])
			}
			require.LessOrEqual(t, pages, 3)
		}
		assert.Equal(t, 3, pages)
		assert.Len(t, ids, 2*listed+1)
		assert.Equal(t, "101", ids[0], "the newest is first")
		assert.Equal(t, "1", ids[len(ids)-1])
	}
}

func TestSearchRoundTrip(t *testing.T) {
	want := Search{Words: `a "b" & c`, Status: "open", Agent: 7, Contact: "a+b@c.example", Tag: "x=y", From: "2025-01-02",
		To: "2025-01-03", Files: true, after: "1.2"}
	query, err := url.ParseQuery(strings.TrimPrefix(want.query(), "?"))
	require.NoError(t, err)
	assert.Equal(t, want, parseSearch(query))
	assert.Empty(t, Search{}.query())
}

func TestParts(t *testing.T) {
	assert.Equal(t, []part{{"a ", false}, {"b", true}, {" c ", false}, {"d", true}}, parts("a \x02b\x03 c \x02d\x03"))
	assert.Equal(t, []part{{"a", false}}, parts("a"))
	assert.Equal(t, []part{{"a", false}, {"b", true}}, parts("a\x02b"), "the text has such a character itself")
	assert.Empty(t, parts(""))
	assert.NotEqual(t, store.HitBegins, store.HitEnds)
}

// A browser scrolls to the hit and marks it, without a script.
func TestListLinksToTheHit(t *testing.T) {
	f := newFixture(t)
	f.talk(1, map[string]any{"name": "Ada"}, "open")
	f.says(0, "It costs 10,000 & more: <b>café</b>-au-lait")
	for query, want := range map[string]string{
		"10,000": "10%2C000", "CAFE": "caf%C3%A9", "cafe-au": "caf%C3%A9", "nothing": "",
	} {
		page := get(t, f.archive, "/?q="+url.QueryEscape(query))
		if want == "" {
			assert.NotContains(t, page, "#:~:text=")
			assert.Contains(t, page, "each as a whole word")
			continue
		}
		assert.Contains(t, page, `/conversations/1#:~:text=`+want, query)
	}
	assert.NotContains(t, get(t, f.archive, "/"), "#:~:text=")
}

// The form shows what the list was filtered by, even if Drift is not known to have such a status.
func TestListShowsItsFilter(t *testing.T) {
	page := get(t, storetest.Open(t), "/?status=snoozed&agent=77")
	assert.Contains(t, page, "<option selected>snoozed</option>")
	assert.Contains(t, page, `<option value="77" selected>Agent 77</option>`)
}

// A reader sees how old the archive is, in the time of a zone that is named.
func TestListSaysAsOf(t *testing.T) {
	s := storetest.Open(t)
	assert.NotContains(t, get(t, s, "/"), "As of the sync")
	for i, command := range []string{"sync", "verify"} {
		require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
			id, err := tx.BeginRun(command, storetest.Start)
			return errors.Join(err, tx.EndRun(store.Run{ID: id, EndedAt: storetest.Start.Add(time.Duration(1+i) * time.Hour)}))
		}))
	}
	assert.Contains(t, get(t, s, "/"),
		`As of the sync that ended <time datetime="2025-03-01T10:00:00Z">1 Mar 2025, 10:00 UTC</time>`)
}
