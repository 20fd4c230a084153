package drift_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

// threePages holds the contacts 1 to 6 on three pages.
func threePages() *testkit.PagedContacts {
	return &testkit.PagedContacts{Pages: map[string]testkit.ContactPage{
		"":  {IDs: []int{1, 2}, Next: "b"},
		"b": {IDs: []int{3, 4}, Next: "c"},
		"c": {IDs: []int{5, 6}},
	}}
}

func TestListReturnsOnePage(t *testing.T) {
	pages := threePages()
	client := testkit.Through(t, pages.RoundTrip)
	page, err := client.Contacts.List(t.Context(), drift.ContactListOptions{})
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2}, testkit.IDsOf(page.Items))
	assert.Equal(t, "b", page.Next)
	page, err = client.Contacts.List(t.Context(), drift.ContactListOptions{Cursor: "c", Limit: 7})
	require.NoError(t, err)
	assert.Equal(t, []int{5, 6}, testkit.IDsOf(page.Items))
	assert.Empty(t, page.Next)
	assert.Equal(t, []url.Values{{"limit": {"100"}}, {"next": {"c"}, "limit": {"7"}}}, pages.Queries)
}

func TestListAccepts(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		ids  []int
		next string
	}{
		"bare array":          {`[{"id": 1}]`, []int{1}, ""},
		"null":                {`{"data": null}`, nil, ""},
		"numeric cursor":      {`{"data": [], "pagination": {"next": 12}}`, nil, "12"},
		"more is false":       {`{"data": [], "pagination": {"more": false, "next": "x"}}`, nil, ""},
		"link":                {`{"data": [], "links": {"next": "/list?page_token=a%2Fb"}}`, nil, "a/b"},
		"link after cursor":   {`{"data": [], "links": {"next": "/list?next=y"}, "pagination": {"next": "x"}}`, nil, "x"},
		"errors beside data":  {`{"data": [{"id": 1}], "errors": [{"message": "partly"}]}`, []int{1}, ""},
		"pagination up front": {`{"pagination": {"more": true, "next": "n"}, "data": [{"id": 2}]}`, []int{2}, "n"},
	} {
		t.Run(name, func(t *testing.T) {
			network := &testkit.MemoryNetwork{Status: http.StatusOK, ContentType: "application/json", Body: c.body}
			page, err := testkit.Through(t, network.RoundTrip).Contacts.List(t.Context(), drift.ContactListOptions{})
			require.NoError(t, err)
			assert.Equal(t, c.ids, testkit.IDsOf(page.Items))
			assert.Equal(t, c.next, page.Next)
		})
	}
}

func TestListRefuses(t *testing.T) {
	for body, path := range map[string]string{
		`{"data": {"id": 1}}`:                              "",
		`{"data": [], "pagination": {"more": true}}`:       "/pagination/next",
		`{"data": [], "links": {"next": "https://a/b"}}`:   "/links/next",
		`{"data": [], "pagination": {"next": {"a": "b"}}}`: "/pagination/next",
	} {
		network := &testkit.MemoryNetwork{Status: http.StatusOK, ContentType: "application/json", Body: body}
		page, err := testkit.Through(t, network.RoundTrip).Contacts.List(t.Context(), drift.ContactListOptions{})
		assert.Nil(t, page, body)
		var decode *drift.DecodeError
		require.ErrorAs(t, err, &decode, body)
		assert.Equal(t, path, decode.Path, body)
	}
}

func TestAllRangesOverEveryPage(t *testing.T) {
	pages := threePages()
	all := testkit.Through(t, pages.RoundTrip).Contacts.All(t.Context(), drift.ContactListOptions{Tags: []string{"vip", "new"}, Search: "ada"})
	assert.Zero(t, pages.Requests(), "nothing is sent before the range")
	contacts, err := drift.Collect(all, 0)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2, 3, 4, 5, 6}, testkit.IDsOf(contacts))
	filters := func(next ...string) url.Values {
		query := url.Values{"tags": {"vip", "new"}, "search": {"ada"}, "limit": {"100"}}
		if next != nil {
			query["next"] = next
		}
		return query
	}
	assert.Equal(t, []url.Values{filters(), filters("b"), filters("c")}, pages.Queries)
}

func TestAllKeepsTheLimit(t *testing.T) {
	pages := threePages()
	client := testkit.Through(t, pages.RoundTrip)
	_, err := drift.Collect(client.Contacts.All(t.Context(), drift.ContactListOptions{Limit: 2}), 0)
	require.NoError(t, err)
	for _, query := range pages.Queries {
		assert.Equal(t, "2", query.Get("limit"))
	}
}

func TestAllCanBeRangedAgain(t *testing.T) {
	pages := threePages()
	all := testkit.Through(t, pages.RoundTrip).Contacts.All(t.Context(), drift.ContactListOptions{})
	for range all {
		break
	}
	for range 2 {
		contacts, err := drift.Collect(all, 0)
		require.NoError(t, err)
		assert.Len(t, contacts, 6)
	}
	assert.Equal(t, []string{"", "", "b", "c", "", "b", "c"}, pages.Cursors())
}

func TestAllCopiesTheOptionsWhenARangeStarts(t *testing.T) {
	pages := threePages()
	tags := []string{"before"}
	all := testkit.Through(t, pages.RoundTrip).Contacts.All(t.Context(), drift.ContactListOptions{Tags: tags})
	tags[0] = "start"
	for range all {
		tags[0] = "during"
	}
	for _, query := range pages.Queries {
		assert.Equal(t, []string{"start"}, query["tags"])
	}
	assert.Equal(t, 3, pages.Requests())
}

func TestAllStartsAtACursor(t *testing.T) {
	pages := threePages()
	contacts, err := drift.Collect(testkit.Through(t, pages.RoundTrip).Contacts.All(t.Context(), drift.ContactListOptions{Cursor: "b"}), 0)
	require.NoError(t, err)
	assert.Equal(t, []int{3, 4, 5, 6}, testkit.IDsOf(contacts))
	assert.Equal(t, []string{"b", "c"}, pages.Cursors())
}

func TestAllGoesOnAfterAnEmptyPage(t *testing.T) {
	pages := &testkit.PagedContacts{Pages: map[string]testkit.ContactPage{"": {Next: "b"}, "b": {Next: "c"}, "c": {IDs: []int{1}}}}
	for _, opts := range [][]drift.CallOption{nil, {drift.WithPrefetch()}} {
		contacts, err := drift.Collect(testkit.Through(t, pages.RoundTrip).Contacts.All(t.Context(), drift.ContactListOptions{}, opts...), 0)
		require.NoError(t, err)
		assert.Equal(t, []int{1}, testkit.IDsOf(contacts))
	}
}

func TestAllSendsNothingAfterABreak(t *testing.T) {
	pages := threePages()
	client := testkit.Through(t, pages.RoundTrip)
	for contact, err := range client.Contacts.All(t.Context(), drift.ContactListOptions{}) {
		require.NoError(t, err)
		if contact.ID == 2 {
			break
		}
	}
	assert.Equal(t, 1, pages.Requests(), "not even after the last item of a page")
}

func TestAllEndsAtARepeatedCursor(t *testing.T) {
	for name, c := range map[string]struct {
		pages  map[string]testkit.ContactPage
		ids    []int
		cursor string
		opts   drift.ContactListOptions
	}{
		"at once": {map[string]testkit.ContactPage{"": {IDs: []int{1, 2}, Next: "a"}, "a": {IDs: []int{3, 4}, Next: "a"}},
			[]int{1, 2, 3, 4}, "a", drift.ContactListOptions{}},
		"in a circle": {map[string]testkit.ContactPage{"": {IDs: []int{1, 2}, Next: "a"}, "a": {IDs: []int{3, 4}, Next: "b"}, "b": {IDs: []int{5, 6}, Next: "a"}},
			[]int{1, 2, 3, 4, 5, 6}, "a", drift.ContactListOptions{}},
		"to the start": {map[string]testkit.ContactPage{"a": {IDs: []int{3, 4}, Next: "b"}, "b": {IDs: []int{5, 6}, Next: "a"}},
			[]int{3, 4, 5, 6}, "a", drift.ContactListOptions{Cursor: "a"}},
	} {
		for _, opts := range [][]drift.CallOption{nil, {drift.WithPrefetch()}} {
			t.Run(fmt.Sprint(name, len(opts)), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					pages := &testkit.PagedContacts{Pages: c.pages}
					var contacts []*drift.Contact
					var failed *drift.PageError
					for contact, err := range testkit.Through(t, pages.RoundTrip).Contacts.All(t.Context(), c.opts, opts...) {
						if err != nil {
							require.ErrorIs(t, err, drift.ErrCursorLoop)
							require.ErrorAs(t, err, &failed)
							break
						}
						contacts = append(contacts, contact)
						synctest.Wait() // so that a page fetched ahead is counted
					}
					require.NotNil(t, failed)
					assert.Equal(t, c.cursor, failed.Cursor)
					assert.Equal(t, c.ids, testkit.IDsOf(contacts))
					assert.Equal(t, len(c.pages), pages.Requests(), "the page is not read again")
				})
			})
		}
	}
}

func TestAllTellsWhereItFailed(t *testing.T) {
	for _, opts := range [][]drift.CallOption{nil, {drift.WithPrefetch()}} {
		pages := threePages()
		pages.Pages["b"] = testkit.ContactPage{Status: http.StatusForbidden}
		client := testkit.Through(t, pages.RoundTrip)
		var ids []int
		var failures []error
		for contact, err := range client.Contacts.All(t.Context(), drift.ContactListOptions{}, opts...) {
			if err != nil {
				assert.Nil(t, contact)
				failures = append(failures, err) // and goes on ranging: nothing may follow
				continue
			}
			ids = append(ids, int(contact.ID))
		}
		require.Len(t, failures, 1)
		assert.Equal(t, []int{1, 2}, ids)
		require.ErrorIs(t, failures[0], drift.ErrForbidden)
		var page *drift.PageError
		require.ErrorAs(t, failures[0], &page)
		assert.Equal(t, "b", page.Cursor)

		pages.Pages["b"] = testkit.ContactPage{IDs: []int{3, 4}, Next: "c"}
		rest, err := drift.Collect(client.Contacts.All(t.Context(), drift.ContactListOptions{Cursor: page.Cursor}, opts...), 0)
		require.NoError(t, err)
		assert.Equal(t, []int{3, 4, 5, 6}, testkit.IDsOf(rest))
	}
}

// What was read can be collected while the range goes on. Stopped timers may keep a few pages for a while, hence the
// margin.
func TestAllLetsGoOfPages(t *testing.T) {
	const count, margin = 60, 20
	pages := &testkit.PagedContacts{Pages: map[string]testkit.ContactPage{}}
	cursor := ""
	for i := range count {
		next := fmt.Sprintf("p%d", i)
		if i == count-1 {
			next = ""
		}
		pages.Pages[cursor] = testkit.ContactPage{IDs: []int{i + 1}, Next: next}
		cursor = next
	}
	var read []weak.Pointer[drift.Contact]
	for contact, err := range testkit.Through(t, pages.RoundTrip).Contacts.All(t.Context(), drift.ContactListOptions{}) {
		require.NoError(t, err)
		read = append(read, weak.Make(contact))
		if len(read) == count {
			runtime.GC()
		}
	}
	require.Len(t, read, count)
	kept := slices.DeleteFunc(read, func(p weak.Pointer[drift.Contact]) bool { return p.Value() == nil })
	assert.Less(t, len(kept), margin)
}

// A link may name any host: only its cursor counts.
func TestAllNeverFollowsALink(t *testing.T) {
	trap, calls := testkit.TrapServer(t)
	var queries []url.Values
	client := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.Query())
		assert.Equal(t, "/v2/contacts", r.URL.Path)
		links := fmt.Sprintf(`, "links": {"self": %q, "next": %q}`, trap, trap+"/v2/contacts?page_token=second&limit=1&x=y")
		if len(queries) == 2 {
			links = ""
		}
		testkit.Respond(http.StatusOK, fmt.Sprintf(`{"data": [{"id": %d}]%s}`, len(queries), links))(w, r)
	})
	contacts, err := drift.Collect(client.Contacts.All(t.Context(), drift.ContactListOptions{}), 0)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2}, testkit.IDsOf(contacts))
	assert.Equal(t, []url.Values{{"limit": {"100"}}, {"limit": {"100"}, "next": {"second"}}}, queries)
	assert.Zero(t, calls())
}

func TestAllWithTimeoutBoundsEachPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pages := threePages()
		pages.Serve = func(*http.Request) { <-time.After(40 * time.Second) }
		all := testkit.Through(t, pages.RoundTrip).Contacts.All(t.Context(), drift.ContactListOptions{}, drift.WithTimeout(50*time.Second))
		contacts, err := drift.Collect(all, 0)
		require.NoError(t, err)
		assert.Len(t, contacts, 6)
	})
}

func TestAllWithAWrongOption(t *testing.T) {
	pages := threePages()
	_, err := drift.Collect(testkit.Through(t, pages.RoundTrip).Contacts.All(t.Context(), drift.ContactListOptions{}, drift.WithHeader("Host", "x")), 0)
	require.ErrorIs(t, err, drift.ErrInvalid)
	assert.Zero(t, pages.Requests())
}

func TestCollect(t *testing.T) {
	pages := threePages()
	client := testkit.Through(t, pages.RoundTrip)
	for maximum, want := range map[int][]int{-1: {1, 2, 3, 4, 5, 6}, 0: {1, 2, 3, 4, 5, 6}, 1: {1}, 2: {1, 2}, 3: {1, 2, 3}, 6: {1, 2, 3, 4, 5, 6}, 9: {1, 2, 3, 4, 5, 6}} {
		contacts, err := drift.Collect(client.Contacts.All(t.Context(), drift.ContactListOptions{}), maximum)
		require.NoError(t, err)
		assert.Equal(t, want, testkit.IDsOf(contacts), "at most %d", maximum)
	}
	before := pages.Requests()
	_, err := drift.Collect(client.Contacts.All(t.Context(), drift.ContactListOptions{}), 2)
	require.NoError(t, err)
	assert.Equal(t, before+1, pages.Requests(), "a full slice needs no further page")
}

func TestCollectReturnsWhatCameBeforeAnError(t *testing.T) {
	broken := errors.New("broken")
	one, two := new(drift.Contact), new(drift.Contact)
	seq := func(yield func(*drift.Contact, error) bool) {
		_ = yield(one, nil) && yield(two, nil) && yield(nil, broken)
	}
	contacts, err := drift.Collect(iter.Seq2[*drift.Contact, error](seq), 0)
	require.ErrorIs(t, err, broken)
	assert.Equal(t, []*drift.Contact{one, two}, contacts)
	contacts, err = drift.Collect(iter.Seq2[*drift.Contact, error](seq), 2)
	require.NoError(t, err)
	assert.Len(t, contacts, 2)
}

func TestPrefetchStartsAtTheSecondItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pages := threePages()
		client := testkit.Through(t, pages.RoundTrip)
		wanted := map[drift.ContactID]int{1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 3}
		for contact, err := range client.Contacts.All(t.Context(), drift.ContactListOptions{}, drift.WithPrefetch()) {
			require.NoError(t, err)
			synctest.Wait()
			assert.Equal(t, wanted[contact.ID], pages.Requests(), "at item %d", contact.ID)
		}
		assert.Equal(t, []string{"", "b", "c"}, pages.Cursors())
	})
}

func TestPrefetchEndsWithTheRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pages := threePages()
		var ended bool // not synchronized: the range must have waited
		pages.Serve = func(req *http.Request) {
			if req.URL.Query().Get("next") != "" {
				<-req.Context().Done()
				ended = true
			}
		}
		client := testkit.Through(t, pages.RoundTrip)
		start := time.Now()
		for contact, err := range client.Contacts.All(t.Context(), drift.ContactListOptions{}, drift.WithPrefetch()) {
			require.NoError(t, err)
			if contact.ID == 2 {
				synctest.Wait()
				break
			}
		}
		assert.True(t, ended)
		assert.Zero(t, time.Since(start), "it is cancelled, not waited for")
		assert.Equal(t, 2, pages.Requests())
	})
}

// hookAtSecondCall runs f on the second call of a client.
func hookAtSecondCall(f func()) drift.Option {
	var mu sync.Mutex
	calls := 0
	return testkit.OnStart(func(drift.RequestInfo) {
		mu.Lock()
		calls++
		second := calls == 2
		mu.Unlock()
		if second {
			f()
		}
	})
}

func TestPrefetchHandsOnThePanicOfAHook(t *testing.T) {
	for name, lastID := range map[string]drift.ContactID{"when the page is read": 6, "when the range is left": 2} {
		t.Run(name, func(t *testing.T) {
			pages := threePages()
			client := testkit.Through(t, pages.RoundTrip, hookAtSecondCall(func() { panic("hook") }))
			assert.PanicsWithValue(t, "hook", func() {
				for contact := range client.Contacts.All(t.Context(), drift.ContactListOptions{}, drift.WithPrefetch()) {
					if contact.ID == lastID {
						break
					}
				}
			})
			assert.Equal(t, 1, pages.Requests())
			_, err := client.Contacts.List(t.Context(), drift.ContactListOptions{})
			require.NoError(t, err, "the client is as good as before")
		})
	}
}

// A hook must not end its goroutine. If one does, the caller gets an error instead of a page.
func TestPrefetchWithAHookThatEndsItsGoroutine(t *testing.T) {
	client := testkit.Through(t, threePages().RoundTrip, hookAtSecondCall(runtime.Goexit))
	all := client.Contacts.All(t.Context(), drift.ContactListOptions{}, drift.WithPrefetch())
	contacts, err := drift.Collect(all, 0)
	assert.Equal(t, []int{1, 2}, testkit.IDsOf(contacts))
	var page *drift.PageError
	require.ErrorAs(t, err, &page)
	assert.Equal(t, "b", page.Cursor)
	require.Error(t, page.Err)
}

func TestPrefetchFillsTheResponseOfThePageInHand(t *testing.T) {
	pages := threePages()
	client := testkit.Through(t, pages.RoundTrip)
	var response drift.Response
	for contact, err := range client.Contacts.All(t.Context(), drift.ContactListOptions{}, drift.WithPrefetch(), drift.WithResponse(&response)) {
		require.NoError(t, err)
		assert.Contains(t, string(response.Body), fmt.Sprintf(`{"id": %d}`, contact.ID))
		response.StatusCode = -1 // a race, if the page ahead is written here
		runtime.Gosched()
	}
}

func TestPrefetchFillsTheResponseOfAFailingPage(t *testing.T) {
	pages := threePages()
	pages.Pages["b"] = testkit.ContactPage{Status: http.StatusForbidden}
	var response drift.Response
	_, err := drift.Collect(testkit.Through(t, pages.RoundTrip).Contacts.All(t.Context(), drift.ContactListOptions{}, drift.WithPrefetch(), drift.WithResponse(&response)), 0)
	require.ErrorIs(t, err, drift.ErrForbidden)
	assert.Equal(t, http.StatusForbidden, response.StatusCode)
}

func TestPrefetchConcernsOnlyAll(t *testing.T) {
	pages := threePages()
	client := testkit.Through(t, pages.RoundTrip, drift.WithPrefetch())
	_, err := client.Contacts.List(t.Context(), drift.ContactListOptions{})
	require.NoError(t, err)
	assert.Equal(t, 1, pages.Requests())
}

// randomPages cuts the contacts 1 to n into pages of random sizes, some of them empty.
func randomPages(random *rand.Rand, n int) (*testkit.PagedContacts, [][]int) {
	var sizes [][]int
	for next := 1; next <= n; {
		size := min(random.IntN(7), n-next+1)
		page := []int{}
		for range size {
			page = append(page, next)
			next++
		}
		sizes = append(sizes, page)
	}
	if len(sizes) == 0 || random.IntN(3) == 0 {
		sizes = append(sizes, nil)
	}
	pages := &testkit.PagedContacts{Pages: map[string]testkit.ContactPage{}}
	cursor := ""
	for i, ids := range sizes {
		next := fmt.Sprintf("c%d", i+1)
		if i == len(sizes)-1 {
			next = ""
		}
		pages.Pages[cursor] = testkit.ContactPage{IDs: ids, Next: next}
		cursor = next
	}
	return pages, sizes
}

// pagesUpTo is how many pages a range reads that is left at the item with this id; 0: it is not left.
func pagesUpTo(sizes [][]int, id int) int {
	for i, ids := range sizes {
		if slices.Contains(ids, id) {
			return i + 1
		}
	}
	return len(sizes)
}

func TestAllAgainstASlice(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		n := random.IntN(40)
		pages, sizes := randomPages(random, n)
		client := testkit.Through(t, pages.RoundTrip, drift.WithLimiter(testkit.OpenLimiter{}))
		var opts []drift.CallOption
		prefetch := random.IntN(2) == 0
		if prefetch {
			opts = append(opts, drift.WithPrefetch())
		}
		maximum := random.IntN(n + 2)
		contacts, err := drift.Collect(client.Contacts.All(t.Context(), drift.ContactListOptions{}, opts...), maximum)
		require.NoError(t, err)

		want := slices.Concat(sizes...)
		leftAt := 0
		if maximum > 0 && maximum <= n {
			want, leftAt = want[:maximum], maximum
		}
		require.Equal(t, want, testkit.IDsOf(contacts))
		needed := pagesUpTo(sizes, leftAt)
		if prefetch {
			require.LessOrEqual(t, pages.Requests(), needed+1)
			require.GreaterOrEqual(t, pages.Requests(), needed)
		} else {
			require.Equal(t, needed, pages.Requests())
		}
	}
}

// A range that is resumed from each failure, wherever pages fail, gives what one without failures gives.
func TestAllResumedAgainstASlice(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		pages, sizes := randomPages(random, random.IntN(40))
		whole := map[string]testkit.ContactPage{}
		for cursor, page := range pages.Pages {
			whole[cursor] = page
			if random.IntN(3) == 0 {
				pages.Pages[cursor] = testkit.ContactPage{Status: http.StatusConflict}
			}
		}
		client := testkit.Through(t, pages.RoundTrip, drift.WithLimiter(testkit.OpenLimiter{}))
		var got []int
		var options drift.ContactListOptions
		for {
			contacts, err := drift.Collect(client.Contacts.All(t.Context(), options), 0)
			got = append(got, testkit.IDsOf(contacts)...)
			if err == nil {
				break
			}
			var failed *drift.PageError
			require.ErrorAs(t, err, &failed)
			pages.Pages[failed.Cursor] = whole[failed.Cursor]
			options.Cursor = failed.Cursor
		}
		require.Equal(t, slices.Concat(sizes...), got)
	}
}

func contactsPage(ids ...drift.ContactID) []*drift.Contact {
	var items []*drift.Contact
	for _, id := range ids {
		items = append(items, &drift.Contact{ID: id})
	}
	return items
}

func recordErrorAt(index int) error { return &drift.RecordError{Index: index, Err: errors.New("odd")} }

func TestPaginate(t *testing.T) {
	other := errors.New("other")
	type answer struct {
		page *drift.Page[drift.Contact]
		err  error
	}
	page := func(next string, ids ...drift.ContactID) *drift.Page[drift.Contact] {
		return &drift.Page[drift.Contact]{Items: contactsPage(ids...), Next: next}
	}
	for name, test := range map[string]struct {
		answers map[string]answer
		want    []int
		is      error  // what the last error matches
		cursor  string // of the PageError
	}{
		"pages":             {map[string]answer{"": {page("b", 1, 2), nil}, "b": {page("", 3), nil}}, []int{1, 2, 3}, nil, ""},
		"a nil page":        {map[string]answer{"": {page("b", 1), nil}, "b": {nil, nil}}, []int{1, -2}, nil, "b"},
		"an error":          {map[string]answer{"": {page("b", 1), nil}, "b": {nil, other}}, []int{1, -2}, other, "b"},
		"a page, an error":  {map[string]answer{"": {page("b", 1), nil}, "b": {page("c", 2), other}}, []int{1, -2}, other, "b"},
		"an empty join":     {map[string]answer{"": {page("", 1), emptyJoin{}}}, []int{-2}, nil, ""},
		"one and an error":  {map[string]answer{"": {page("b", 1), errors.Join(recordErrorAt(1), other)}}, []int{-2}, other, ""},
		"a loop":            {map[string]answer{"": {page("b", 1), nil}, "b": {page("b", 2), nil}}, []int{1, 2, -2}, drift.ErrCursorLoop, "b"},
		"back to the start": {map[string]answer{"": {page("b", 1), nil}, "b": {page("c", 2), nil}, "c": {page("b", 3), nil}}, []int{1, 2, 3, -2}, drift.ErrCursorLoop, "b"},
		"an odd one":        {map[string]answer{"": {page("b", 1, 2), errors.Join(recordErrorAt(1))}, "b": {page("", 3), nil}}, []int{1, -1, 2, 3}, nil, ""},
		"a bare one":        {map[string]answer{"": {page("", 1, 2), recordErrorAt(0)}}, []int{-1, 1, 2}, nil, ""},
		"a wrapped join":    {map[string]answer{"": {page("", 1, 2), fmt.Errorf("crm: %w", errors.Join(recordErrorAt(3), recordErrorAt(1)))}}, []int{1, -1, 2, -1}, nil, ""},
		"nothing but odd":   {map[string]answer{"": {page("b"), errors.Join(recordErrorAt(0), recordErrorAt(1))}, "b": {page("", 1), nil}}, []int{-1, -1, 1}, nil, ""},
		"odd places":        {map[string]answer{"": {page("", 1, 2), errors.Join(recordErrorAt(99), recordErrorAt(-5), recordErrorAt(-5))}}, []int{-1, -1, 1, 2, -1}, nil, ""},
		"no page, odd ones": {map[string]answer{"": {nil, recordErrorAt(0)}}, []int{-2}, nil, ""},
		"of another page":   {map[string]answer{"": {page("", 1), &drift.PageError{Err: recordErrorAt(0)}}}, []int{-2}, nil, ""},
		"a nil item":        {map[string]answer{"": {&drift.Page[drift.Contact]{Items: append(contactsPage(1), nil, &drift.Contact{ID: 2})}, nil}}, []int{1, -1, 2}, nil, ""},
		"a nil record":      {map[string]answer{"": {page("", 1), (*drift.RecordError)(nil)}}, []int{-2}, nil, ""},
	} {
		prefetch, response := drift.WithPrefetch(), drift.WithResponse(new(drift.Response))
		for _, opts := range [][]drift.CallOption{nil, {prefetch}, {nil, prefetch, response}} {
			t.Run(fmt.Sprint(name, len(opts)), func(t *testing.T) {
				read := func(_ context.Context, cursor string) (*drift.Page[drift.Contact], error) {
					return test.answers[cursor].page, test.answers[cursor].err
				}
				seq := drift.Paginate(t.Context(), "", read, opts...)
				for range 2 {
					got, errs := testkit.Yields(t, seq)
					require.Equal(t, test.want, got)
					if !slices.Contains(got, -2) {
						continue
					}
					var failed *drift.PageError
					require.ErrorAs(t, errs[len(errs)-1], &failed)
					assert.Equal(t, test.cursor, failed.Cursor)
					require.Error(t, failed.Err)
					if test.is != nil {
						require.ErrorIs(t, failed, test.is)
					}
				}
			})
		}
	}
}

// emptyJoin is an error that joins none.
type emptyJoin struct{}

func (emptyJoin) Error() string   { return "empty" }
func (emptyJoin) Unwrap() []error { return nil }

func TestPaginateStartsAtTheCursorAndStopsWithTheRange(t *testing.T) {
	var cursors []string
	seq := drift.Paginate(t.Context(), "5", func(_ context.Context, cursor string) (*drift.Page[drift.Contact], error) {
		cursors = append(cursors, cursor)
		return &drift.Page[drift.Contact]{Items: contactsPage(1, 2), Next: cursor + "0"}, nil
	})
	assert.Empty(t, cursors)
	contacts, err := drift.Collect(seq, 4)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2, 1, 2}, testkit.IDsOf(contacts))
	assert.Equal(t, []string{"5", "50"}, cursors)
}

func TestPaginateWithWrongArguments(t *testing.T) {
	called := false
	read := func(context.Context, string) (*drift.Page[drift.Contact], error) {
		called = true
		return nil, nil
	}
	var noContext context.Context
	for argument, seq := range map[string]iter.Seq2[*drift.Contact, error]{
		"ctx":         drift.Paginate(noContext, "", read, drift.WithPrefetch()),
		"read":        drift.Paginate[drift.Contact](t.Context(), "", nil),
		"WithTimeout": drift.Paginate(t.Context(), "", read, drift.WithTimeout(-1)),
	} {
		got, errs := testkit.Yields(t, seq)
		assert.Equal(t, []int{-2}, got)
		var invalid *drift.ValidationError
		require.ErrorAs(t, errs[0], &invalid)
		assert.Equal(t, argument, invalid.Argument)
	}
	assert.False(t, called)
}

func TestPaginateReadsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0 // not synchronized: the range must have waited
		next := map[string]string{"": "b", "b": "c"}
		read := func(ctx context.Context, cursor string) (*drift.Page[drift.Contact], error) {
			reads++
			if cursor == "c" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return &drift.Page[drift.Contact]{Items: contactsPage(1, 2, 3), Next: next[cursor]}, nil
		}
		var seen []int
		for _, err := range drift.Paginate(t.Context(), "", read, drift.WithPrefetch()) {
			require.NoError(t, err)
			synctest.Wait()
			if seen = append(seen, reads); len(seen) == 6 {
				break
			}
		}
		assert.Equal(t, []int{1, 2, 2, 2, 3, 3}, seen)
	})
}

func TestPaginateHandsOnAPanicOfRead(t *testing.T) {
	for _, opts := range [][]drift.CallOption{nil, {drift.WithPrefetch()}} {
		read := func(_ context.Context, cursor string) (*drift.Page[drift.Contact], error) {
			if cursor != "" {
				panic("read")
			}
			return &drift.Page[drift.Contact]{Items: contactsPage(1, 2), Next: "b"}, nil
		}
		seq := drift.Paginate(t.Context(), "", read, opts...)
		assert.PanicsWithValue(t, "read", func() { _, _ = drift.Collect(seq, 0) })
	}
}

func TestSkipRecordErrors(t *testing.T) {
	broken := errors.New("broken")
	read := func(_ context.Context, cursor string) (*drift.Page[drift.Contact], error) {
		if cursor == "b" {
			return nil, broken
		}
		page := &drift.Page[drift.Contact]{Items: contactsPage(1, 2), Next: "b"}
		return page, errors.Join(recordErrorAt(0), recordErrorAt(2))
	}
	seq := drift.Paginate(t.Context(), "", read)
	var indexes []int
	report := func(e *drift.RecordError) { indexes = append(indexes, e.Index) }
	contacts, err := drift.Collect(drift.SkipRecordErrors(seq, report), 0)
	require.ErrorIs(t, err, broken)
	assert.Equal(t, []int{1, 2}, testkit.IDsOf(contacts))
	assert.Equal(t, []int{0, 2}, indexes)

	contacts, err = drift.Collect(drift.SkipRecordErrors(seq, nil), 1)
	require.NoError(t, err)
	assert.Equal(t, []int{1}, testkit.IDsOf(contacts))
	contacts, err = drift.Collect(drift.SkipRecordErrors[drift.Contact](nil, nil), 0)
	require.NoError(t, err)
	assert.Empty(t, contacts)

	contacts, err = drift.Collect(seq, 0)
	assert.Empty(t, contacts)
	require.ErrorAs(t, err, new(*drift.RecordError), "without it Collect stops")

	noPage := func(context.Context, string) (*drift.Page[drift.Contact], error) { return nil, recordErrorAt(0) }
	_, err = drift.Collect(drift.SkipRecordErrors(drift.Paginate(t.Context(), "", noPage), nil), 0)
	require.ErrorAs(t, err, new(*drift.PageError), "a page that is missing is not passed over")
}

// What is at a random place in pages of random sizes comes at that place, whether the page is fetched ahead or not.
func TestRecordErrorsInPlace(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		bodies := map[string]string{}
		var want []int
		cursor, last := "", random.IntN(5)
		for n := range last + 1 {
			var elements []string
			for range random.IntN(6) {
				if random.IntN(3) == 0 {
					elements, want = append(elements, `{"id": 0}`), append(want, -1)
					continue
				}
				want = append(want, len(want)+1)
				elements = append(elements, fmt.Sprintf(`{"id": %d}`, len(want)))
			}
			next := ""
			if n < last {
				next = fmt.Sprint("c", n)
			}
			bodies[cursor] = fmt.Sprintf(`{"data": [%s], "pagination": {"next": %q}}`, strings.Join(elements, ","), next)
			cursor = next
		}
		client := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
			return testkit.MemoryAnswer(r, http.StatusOK, "application/json", bodies[r.URL.Query().Get("next")]), nil
		}, drift.WithLimiter(testkit.OpenLimiter{}))
		for _, opts := range [][]drift.CallOption{nil, {drift.WithPrefetch()}} {
			got, _ := testkit.Yields(t, client.Contacts.All(t.Context(), drift.ContactListOptions{}, opts...))
			require.Equal(t, want, got)
		}
	}
}

func TestTooManyOddRecordsAreABrokenPage(t *testing.T) {
	network := &testkit.MemoryNetwork{Status: http.StatusOK, ContentType: "application/json"}
	client := testkit.Through(t, network.RoundTrip)
	network.Body = "[0" + strings.Repeat(",0", 9_999) + "]"
	page, err := client.Contacts.List(t.Context(), drift.ContactListOptions{})
	require.NotNil(t, page)
	require.Len(t, drift.RecordErrors(err), 10_000)
	testkit.RequirePrintableError(t, err)
	network.Body = "[0" + strings.Repeat(",0", 10_000) + "]"
	page, err = client.Contacts.List(t.Context(), drift.ContactListOptions{})
	require.Nil(t, page)
	require.Nil(t, drift.RecordErrors(err))
	testkit.RequireDecodeError(t, err, "/10000")
}

// dealPages serves the pages of an endpoint that has no method.
func dealPages(t *testing.T, bodies map[string]string) *drift.Client {
	t.Helper()
	return testkit.Through(t, func(r *http.Request) (*http.Response, error) {
		assert.Equal(t, "/crm/acme/deals", r.URL.Path)
		return testkit.MemoryAnswer(r, http.StatusOK, "application/json", bodies[r.URL.Query().Get("after")]), nil
	}, drift.WithLimiter(testkit.OpenLimiter{}))
}

func dealRequest(cursor string) drift.Request {
	req := drift.Request{Path: "crm/{account}/deals", Values: map[string]string{"account": "acme"}, Query: url.Values{}}
	if cursor != "" {
		req.Query.Set("after", cursor)
	}
	return req
}

func listOfOne[T any](t *testing.T, body string, change func(*drift.Request)) (*drift.Page[T], error) {
	t.Helper()
	req := dealRequest("")
	if change != nil {
		change(&req)
	}
	return drift.ListOf[T](t.Context(), dealPages(t, map[string]string{"": body}), req)
}

// An error that wraps one of a record's comes without a page if it says that a call failed.
func TestRecordErrorsOfAFailedCall(t *testing.T) {
	odd := &drift.RecordError{Operation: "contacts.list"}
	for _, err := range []error{
		&drift.AmbiguousError{Err: odd}, &drift.PageError{Err: odd}, &drift.QuotaError{Err: odd},
		&drift.RateLimitError{Err: odd}, &drift.TransportError{Err: odd}, fmt.Errorf("x: %w", &drift.TransportError{Err: odd}),
	} {
		assert.Nil(t, drift.RecordErrors(err), "%T", err)
	}
	assert.Len(t, drift.RecordErrors(fmt.Errorf("x: %w", odd)), 1)
}

func TestListOfTypes(t *testing.T) {
	type deal struct {
		DealID   int64
		ClosedAt time.Time
		Length   time.Duration
	}
	deals, err := listOfOne[deal](t,
		`{"data": [{"deal_id": 7, "closedAt": 1767225600000, "length": 30}, null, {"deal_id": "x"}, {"dealId": 8}]}`, nil)
	require.Len(t, drift.RecordErrors(err), 2)
	testkit.RequireRecordError(t, err, 1, "")
	assert.Equal(t, []*deal{{7, time.UnixMilli(1767225600000).UTC(), 30 * time.Minute}, {DealID: 8}}, deals.Items)

	numbers, err := listOfOne[int64](t, `[1, 2, "x", null, 3]`, nil)
	assert.Equal(t, []*int64{new(int64(1)), new(int64(2)), new(int64(3))}, numbers.Items)
	require.Len(t, drift.RecordErrors(err), 2)
	assert.JSONEq(t, `"x"`, string(drift.RecordErrors(err)[0].Raw()))

	maps, err := listOfOne[map[string]any](t, `{"data": [{"a": 1}, null]}`, nil)
	require.NoError(t, err)
	assert.Equal(t, []*map[string]any{{"a": 1.0}, new(map[string]any)}, maps.Items)

	anything, err := listOfOne[any](t, `{"data": [null, "a"]}`, nil)
	require.NoError(t, err)
	assert.Equal(t, []*any{new(any), new(any("a"))}, anything.Items)

	records, err := listOfOne[drift.Conversation](t, `{"data": [{"id": 1, "conversationTags": ["a"]}, {"title": "no id"}]}`, nil)
	testkit.RequireRecordError(t, err, 1, "/id")
	assert.Equal(t, []*drift.Conversation{{ID: 1, Tags: []drift.TagRef{{Name: "a"}}}}, records.Items)
}

func TestListOfEnvelopes(t *testing.T) {
	for body, next := range map[string]string{
		`[{"id": 1}]`:                        "",
		`{"data": [{"id": 1}]}`:              "",
		`{"DATA": [{"id": 1}], "links": {}}`: "",
		`{"data": [{"id": 1}], "links": {"next": "https://elsewhere.test/x?page_token=n&limit=1"}}`: "n",
		`{"pagination": {"more": true, "next": 9}, "data": [{"id": 1}]}`:                            "9",
	} {
		page, err := listOfOne[drift.Contact](t, body, nil)
		require.NoError(t, err, body)
		assert.Equal(t, []int{1}, testkit.IDsOf(page.Items))
		assert.Equal(t, next, page.Next)
	}
	for _, body := range []string{`null`, `{"data": null}`, `[]`} {
		page, err := listOfOne[drift.Contact](t, body, nil)
		require.NoError(t, err, body)
		assert.Empty(t, page.Items)
	}
	for body, path := range map[string]string{`{}`: "", `7`: "", `[1`: "", `{"data": [], "pagination": {"more": true}}`: "/pagination/next"} {
		page, err := listOfOne[drift.Contact](t, body, nil)
		assert.Nil(t, page)
		testkit.RequireDecodeError(t, err, path)
	}
	_, err := listOfOne[drift.Contact](t, `{"data": [], "error": {"type": "not_found"}}`, nil)
	require.ErrorIs(t, err, drift.ErrNotFound)
}

func TestListOfRaw(t *testing.T) {
	raw := func(r *drift.Request) { r.Raw = true }
	page, err := listOfOne[int](t, `[1, "x", 2]`, raw)
	testkit.RequireRecordError(t, err, 1, "")
	assert.Equal(t, []*int{new(1), new(2)}, page.Items)
	for _, body := range []string{`{"data": [1]}`, `{}`, `7`, ``} {
		page, err := listOfOne[int](t, body, raw)
		assert.Nil(t, page, body)
		testkit.RequireDecodeError(t, err, "")
	}
}

func TestListOfFails(t *testing.T) {
	for _, client := range []*drift.Client{nil, {}, (&drift.Client{}).With(drift.WithBulk())} {
		page, err := drift.ListOf[drift.Contact](t.Context(), client, dealRequest(""))
		assert.Nil(t, page)
		require.EqualError(t, err, "drift: this client was not made by NewClient")
	}
	for _, change := range []func(*drift.Request){
		func(r *drift.Request) { r.Path = "/x" }, func(r *drift.Request) { r.Method = "get" }, func(r *drift.Request) { r.Values = nil },
	} {
		_, err := listOfOne[drift.Contact](t, `[]`, change)
		require.ErrorIs(t, err, drift.ErrInvalid)
	}
	// A DELETE that is repeated and finds nothing has no answer to read.
	statuses := []int{http.StatusBadGateway, http.StatusNotFound}
	client := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
		status := statuses[0]
		statuses = statuses[1:]
		return testkit.MemoryAnswer(r, status, "application/json", `{}`), nil
	}, testkit.Impatient())
	page, err := drift.ListOf[drift.Contact](t.Context(), client, drift.Request{Method: http.MethodDelete, Path: "x"})
	assert.Nil(t, page)
	testkit.RequireDecodeError(t, err, "")
}

// A page that was there is no reason to look for a write that may have been applied.
func TestListOfAPostIsNotAmbiguousForItsRecords(t *testing.T) {
	statuses := []int{http.StatusBadGateway, http.StatusOK}
	client := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
		status := statuses[0]
		statuses = statuses[1:]
		return testkit.MemoryAnswer(r, status, "application/json", `[{"id": 1}, {"id": 0}]`), nil
	}, testkit.Impatient())
	search := drift.Request{Method: http.MethodPost, Path: "search"}
	page, err := drift.ListOf[drift.Contact](t.Context(), client, search, drift.WithIdempotent())
	assert.Equal(t, []int{1}, testkit.IDsOf(page.Items))
	testkit.RequireRecordError(t, err, 1, "/id")
	assert.NotErrorIs(t, err, drift.ErrAmbiguous)
}

func TestDecodeLists(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		want []*drift.Contact
	}{
		"data":       {`{"data":[{"id":1},{"id":2}]}`, []*drift.Contact{{ID: 1}, {ID: 2}}},
		"bare":       {`[{"id":1},{"id":2}]`, []*drift.Contact{{ID: 1}, {ID: 2}}},
		"empty data": {`{"data":[]}`, nil},
		"empty bare": {`[]`, nil},
		"data null":  {`{"data":null}`, nil},
		"null":       {`null`, nil},
		"twice":      {`{"data":[{"id":1}],"data":[{"id":2}]}`, []*drift.Contact{{ID: 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			page, err := listContacts(t, test.body)
			require.NoError(t, err)
			assert.Equal(t, test.want, page.Items)
			assert.Empty(t, page.Next)
		})
	}
	for body, path := range map[string]string{
		`{}`: "", `{"id":1}`: "", `"a"`: "", `7`: "", ``: "", `{"data":{}}`: "", `{"data":"a"}`: "", `{"data":true}`: "", `[{"id":1}] x`: "",
		`[{"id":1}`: "",
	} {
		page, err := listContacts(t, body)
		assert.Nil(t, page)
		testkit.RequireDecodeError(t, err, path)
	}
	for _, body := range []string{`{"errors":[{"message":"broken"}]}`, `{"data":null,"errors":[{"message":"broken"}]}`, `{"data":[],"error":"broken"}`} {
		_, err := listContacts(t, body)
		require.ErrorAs(t, err, new(*drift.APIError), body)
	}
}

func TestDecodeCursors(t *testing.T) {
	for body, want := range map[string]string{
		`"pagination":{"more":true,"next":"c2"}`:                    "c2",
		`"pagination":{"next":"c2"}`:                                "c2",
		`"pagination":{"more":null,"next":"c2"}`:                    "c2",
		`"pagination":{"more":true,"next":25}`:                      "25",
		`"pagination":{"more":true,"next":9007199254740993}`:        "9007199254740993",
		`"pagination":{"more":true,"next":"a b&c=d/é"}`:             "a b&c=d/é",
		`"Pagination":{"More":true,"NEXT":"c2"}`:                    "c2",
		`"pagination":{"more":false,"next":"c2"}`:                   "",
		`"pagination":{"more":false},"links":{"next":"/x?next=c2"}`: "",
		`"pagination":{"more":false}`:                               "",
		`"pagination":{}`:                                           "",
		`"pagination":null,"links":null`:                            "",
		`"pagination":[],"links":""`:                                "",
		`"pagination":false,"links":[]`:                             "",
		`"pagination":{"next":null}`:                                "",
		`"pagination":{"next":""},"links":{"next":""}`:              "",
		`"links":{}`: "",
		`"links":{"next":null,"prev":"/x?next=c0"}`:                                     "",
		`"links":{"next":"/v2/contacts?next=c2"}`:                                       "c2",
		`"links":{"next":"https://elsewhere.example/any?limit=2&next=c2#part"}`:         "c2",
		`"links":{"next":"http://[::1]:namedport/x?page_token=c2"}`:                     "c2",
		`"links":{"next":"?cursor=a%20b%26c"}`:                                          "a b&c",
		`"links":{"next":"/x?cursor=c4&page_token=c3&next=c2"}`:                         "c2",
		`"links":{"next":"/x?cursor=c4&page_token=c3"}`:                                 "c3",
		`"pagination":{"more":true,"next":"c2"},"links":{"next":"/x?next=c9"}`:          "c2",
		`"pagination":{"more":true},"links":{"next":"/x?next=c9"}`:                      "c9",
		`"links":{"next":"/x?next=c9"},"pagination":{"more":true,"next":null},"x":true`: "c9",
	} {
		t.Run(body, func(t *testing.T) {
			page, err := listContacts(t, `{"data":[{"id":1}],`+body+`}`)
			require.NoError(t, err)
			assert.Equal(t, want, page.Next)
			page, err = listContacts(t, `{`+body+`,"data":[{"id":1}]}`)
			require.NoError(t, err)
			assert.Equal(t, want, page.Next)
		})
	}
	for body, path := range map[string]string{
		`"pagination":{"more":true}`:                                 "/pagination/next",
		`"pagination":{"more":true,"next":null}`:                     "/pagination/next",
		`"pagination":{"more":true,"next":""}`:                       "/pagination/next",
		`"pagination":{"more":true,"next":["c2"]}`:                   "/pagination/next",
		`"pagination":{"more":true,"next":{"a":1}}`:                  "/pagination/next",
		`"pagination":{"more":true,"next":true}`:                     "/pagination/next",
		`"pagination":{"more":"yes","next":"c2"}`:                    "/pagination/more",
		`"pagination":[1]`:                                           "/pagination",
		`"pagination":"c1"`:                                          "/pagination",
		`"links":{"next":{"href":"/x?next=c2"}}`:                     "/links/next",
		`"links":{"next":"/x"},"pagination":{"more":true,"next":""}`: "/links/next",
		`"links":"/x?next=c2"`:                                       "/links",
	} {
		t.Run(body, func(t *testing.T) {
			_, err := listContacts(t, `{"data":[{"id":1}],`+body+`}`)
			testkit.RequireDecodeError(t, err, path)
		})
	}
}

// A link is only read. The next page comes from the base URL, wherever the link points.
func TestLinksAreNeverFollowed(t *testing.T) {
	var uris []string
	client := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		uris = append(uris, r.RequestURI)
		if len(uris) == 1 {
			testkit.Respond(http.StatusOK, `{"data":[{"id":1}],"links":{"next":"https://elsewhere.example/steal?next=c2&token=t"}}`)(w, r)
			return
		}
		testkit.Respond(http.StatusOK, `[{"id":2}]`)(w, r)
	})
	contacts, err := drift.Collect(client.Contacts.All(t.Context(), drift.ContactListOptions{Search: "a", Limit: 1}), 0)
	require.NoError(t, err)
	assert.Equal(t, []*drift.Contact{{ID: 1}, {ID: 2}}, contacts)
	assert.Equal(t, []string{"/v2/contacts?limit=1&search=a", "/v2/contacts?limit=1&next=c2&search=a"}, uris)
}
