package drift_test

import (
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
)

// pagedContacts is a list of contacts in pages, by the cursor that asks for them.
type pagedContacts struct {
	pages map[string]contactPage
	serve func(*http.Request) // called before each answer, if not nil

	mu      sync.Mutex
	queries []url.Values
}

type contactPage struct {
	ids    []int
	next   string
	status int // 0: the page is fine
}

func (p *pagedContacts) roundTrip(req *http.Request) (*http.Response, error) {
	query := req.URL.Query()
	p.mu.Lock()
	p.queries = append(p.queries, query)
	p.mu.Unlock()
	if p.serve != nil {
		p.serve(req)
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	page, ok := p.pages[query.Get("next")]
	if !ok {
		return memoryAnswer(req, http.StatusBadRequest, "application/json", `{"error": "unknown cursor"}`), nil
	}
	if page.status != 0 {
		return memoryAnswer(req, page.status, "application/json", `{}`), nil
	}
	return memoryAnswer(req, http.StatusOK, "application/json", page.json()), nil
}

func (p contactPage) json() string {
	var items []string
	for _, id := range p.ids {
		items = append(items, fmt.Sprintf(`{"id": %d}`, id))
	}
	return fmt.Sprintf(`{"data": [%s], "pagination": {"more": %t, "next": %q}}`, strings.Join(items, ","), p.next != "", p.next)
}

func (p *pagedContacts) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queries)
}

// cursors lists the cursors that were asked for.
func (p *pagedContacts) cursors() (cursors []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, query := range p.queries {
		cursors = append(cursors, query.Get("next"))
	}
	return cursors
}

// threePages holds the contacts 1 to 6 on three pages.
func threePages() *pagedContacts {
	return &pagedContacts{pages: map[string]contactPage{
		"":  {ids: []int{1, 2}, next: "b"},
		"b": {ids: []int{3, 4}, next: "c"},
		"c": {ids: []int{5, 6}},
	}}
}

func idsOf(contacts []*drift.Contact) (ids []int) {
	for _, contact := range contacts {
		ids = append(ids, int(contact.ID))
	}
	return ids
}

func TestListReturnsOnePage(t *testing.T) {
	pages := threePages()
	client := through(t, pages.roundTrip)
	page, err := client.Contacts.List(t.Context(), drift.ContactListOptions{})
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2}, idsOf(page.Items))
	assert.Equal(t, "b", page.Next)
	page, err = client.Contacts.List(t.Context(), drift.ContactListOptions{Cursor: "c", Limit: 7})
	require.NoError(t, err)
	assert.Equal(t, []int{5, 6}, idsOf(page.Items))
	assert.Empty(t, page.Next)
	assert.Equal(t, []url.Values{{}, {"next": {"c"}, "limit": {"7"}}}, pages.queries, "List leaves the size of a page to the service")
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
			network := &memoryNetwork{status: http.StatusOK, contentType: "application/json", body: c.body}
			page, err := through(t, network.roundTrip).Contacts.List(t.Context(), drift.ContactListOptions{})
			require.NoError(t, err)
			assert.Equal(t, c.ids, idsOf(page.Items))
			assert.Equal(t, c.next, page.Next)
		})
	}
}

func TestListRefuses(t *testing.T) {
	for body, path := range map[string]string{
		`{"data": [{"id": 1}, {"id": 0}]}`:                 "/1/id",
		`{"data": [{"id": 1}, 2]}`:                         "/1",
		`{"data": {"id": 1}}`:                              "",
		`{"data": [], "pagination": {"more": true}}`:       "/pagination/next",
		`{"data": [], "links": {"next": "https://a/b"}}`:   "/links/next",
		`{"data": [], "pagination": {"next": {"a": "b"}}}`: "/pagination/next",
	} {
		network := &memoryNetwork{status: http.StatusOK, contentType: "application/json", body: body}
		_, err := through(t, network.roundTrip).Contacts.List(t.Context(), drift.ContactListOptions{})
		var decode *drift.DecodeError
		require.ErrorAs(t, err, &decode, body)
		assert.Equal(t, path, decode.Path, body)
	}
}

func TestAllRangesOverEveryPage(t *testing.T) {
	pages := threePages()
	all := through(t, pages.roundTrip).Contacts.All(t.Context(), drift.ContactListOptions{Tags: []string{"vip", "new"}, Search: "ada"})
	assert.Zero(t, pages.requests(), "nothing is sent before the range")
	contacts, err := drift.Collect(all, 0)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2, 3, 4, 5, 6}, idsOf(contacts))
	filters := func(next ...string) url.Values {
		query := url.Values{"tags": {"vip", "new"}, "search": {"ada"}, "limit": {"100"}}
		if next != nil {
			query["next"] = next
		}
		return query
	}
	assert.Equal(t, []url.Values{filters(), filters("b"), filters("c")}, pages.queries)
}

func TestAllKeepsTheLimit(t *testing.T) {
	pages := threePages()
	client := through(t, pages.roundTrip)
	_, err := drift.Collect(client.Contacts.All(t.Context(), drift.ContactListOptions{Limit: 2}), 0)
	require.NoError(t, err)
	for _, query := range pages.queries {
		assert.Equal(t, "2", query.Get("limit"))
	}
}

func TestAllCanBeRangedAgain(t *testing.T) {
	pages := threePages()
	all := through(t, pages.roundTrip).Contacts.All(t.Context(), drift.ContactListOptions{})
	for range all {
		break
	}
	for range 2 {
		contacts, err := drift.Collect(all, 0)
		require.NoError(t, err)
		assert.Len(t, contacts, 6)
	}
	assert.Equal(t, []string{"", "", "b", "c", "", "b", "c"}, pages.cursors())
}

func TestAllCopiesTheOptionsWhenARangeStarts(t *testing.T) {
	pages := threePages()
	tags := []string{"before"}
	all := through(t, pages.roundTrip).Contacts.All(t.Context(), drift.ContactListOptions{Tags: tags})
	tags[0] = "start"
	for range all {
		tags[0] = "during"
	}
	for _, query := range pages.queries {
		assert.Equal(t, []string{"start"}, query["tags"])
	}
	assert.Equal(t, 3, pages.requests())
}

func TestAllStartsAtACursor(t *testing.T) {
	pages := threePages()
	contacts, err := drift.Collect(through(t, pages.roundTrip).Contacts.All(t.Context(), drift.ContactListOptions{Cursor: "b"}), 0)
	require.NoError(t, err)
	assert.Equal(t, []int{3, 4, 5, 6}, idsOf(contacts))
	assert.Equal(t, []string{"b", "c"}, pages.cursors())
}

func TestAllGoesOnAfterAnEmptyPage(t *testing.T) {
	pages := &pagedContacts{pages: map[string]contactPage{"": {next: "b"}, "b": {next: "c"}, "c": {ids: []int{1}}}}
	for _, opts := range [][]drift.CallOption{nil, {drift.WithPrefetch()}} {
		contacts, err := drift.Collect(through(t, pages.roundTrip).Contacts.All(t.Context(), drift.ContactListOptions{}, opts...), 0)
		require.NoError(t, err)
		assert.Equal(t, []int{1}, idsOf(contacts))
	}
}

func TestAllSendsNothingAfterABreak(t *testing.T) {
	pages := threePages()
	client := through(t, pages.roundTrip)
	for contact, err := range client.Contacts.All(t.Context(), drift.ContactListOptions{}) {
		require.NoError(t, err)
		if contact.ID == 2 {
			break
		}
	}
	assert.Equal(t, 1, pages.requests(), "not even after the last item of a page")
}

func TestAllEndsAtARepeatedCursor(t *testing.T) {
	for name, c := range map[string]struct {
		pages  map[string]contactPage
		ids    []int
		cursor string
		opts   drift.ContactListOptions
	}{
		"at once":      {map[string]contactPage{"": {[]int{1, 2}, "a", 0}, "a": {[]int{3, 4}, "a", 0}}, []int{1, 2, 3, 4}, "a", drift.ContactListOptions{}},
		"in a circle":  {map[string]contactPage{"": {[]int{1, 2}, "a", 0}, "a": {[]int{3, 4}, "b", 0}, "b": {[]int{5, 6}, "a", 0}}, []int{1, 2, 3, 4, 5, 6}, "a", drift.ContactListOptions{}},
		"to the start": {map[string]contactPage{"a": {[]int{3, 4}, "b", 0}, "b": {[]int{5, 6}, "a", 0}}, []int{3, 4, 5, 6}, "a", drift.ContactListOptions{Cursor: "a"}},
	} {
		for _, opts := range [][]drift.CallOption{nil, {drift.WithPrefetch()}} {
			t.Run(fmt.Sprint(name, len(opts)), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					pages := &pagedContacts{pages: c.pages}
					var contacts []*drift.Contact
					var failed *drift.PageError
					for contact, err := range through(t, pages.roundTrip).Contacts.All(t.Context(), c.opts, opts...) {
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
					assert.Equal(t, c.ids, idsOf(contacts))
					assert.Equal(t, len(c.pages), pages.requests(), "the page is not read again")
				})
			})
		}
	}
}

func TestAllTellsWhereItFailed(t *testing.T) {
	for _, opts := range [][]drift.CallOption{nil, {drift.WithPrefetch()}} {
		pages := threePages()
		pages.pages["b"] = contactPage{status: http.StatusForbidden}
		client := through(t, pages.roundTrip)
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

		pages.pages["b"] = contactPage{ids: []int{3, 4}, next: "c"}
		rest, err := drift.Collect(client.Contacts.All(t.Context(), drift.ContactListOptions{Cursor: page.Cursor}, opts...), 0)
		require.NoError(t, err)
		assert.Equal(t, []int{3, 4, 5, 6}, idsOf(rest))
	}
}

// What was read can be collected while the range goes on. Stopped timers may keep a few pages for a while, hence the margin.
func TestAllLetsGoOfPages(t *testing.T) {
	const count, margin = 60, 20
	pages := &pagedContacts{pages: map[string]contactPage{}}
	cursor := ""
	for i := range count {
		next := fmt.Sprintf("p%d", i)
		if i == count-1 {
			next = ""
		}
		pages.pages[cursor] = contactPage{ids: []int{i + 1}, next: next}
		cursor = next
	}
	var read []weak.Pointer[drift.Contact]
	for contact, err := range through(t, pages.roundTrip).Contacts.All(t.Context(), drift.ContactListOptions{}) {
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
	trap, calls := trapServer(t)
	var queries []url.Values
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.Query())
		assert.Equal(t, "/v2/contacts", r.URL.Path)
		links := fmt.Sprintf(`, "links": {"self": %q, "next": %q}`, trap, trap+"/v2/contacts?page_token=second&limit=1&x=y")
		if len(queries) == 2 {
			links = ""
		}
		respond(http.StatusOK, fmt.Sprintf(`{"data": [{"id": %d}]%s}`, len(queries), links))(w, r)
	})
	contacts, err := drift.Collect(client.Contacts.All(t.Context(), drift.ContactListOptions{}), 0)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2}, idsOf(contacts))
	assert.Equal(t, []url.Values{{"limit": {"100"}}, {"limit": {"100"}, "next": {"second"}}}, queries)
	assert.Zero(t, calls())
}

func TestAllWithTimeoutBoundsEachPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pages := threePages()
		pages.serve = func(*http.Request) { <-time.After(40 * time.Second) }
		all := through(t, pages.roundTrip).Contacts.All(t.Context(), drift.ContactListOptions{}, drift.WithTimeout(50*time.Second))
		contacts, err := drift.Collect(all, 0)
		require.NoError(t, err)
		assert.Len(t, contacts, 6)
	})
}

func TestAllWithAWrongOption(t *testing.T) {
	pages := threePages()
	_, err := drift.Collect(through(t, pages.roundTrip).Contacts.All(t.Context(), drift.ContactListOptions{}, drift.WithHeader("Host", "x")), 0)
	require.ErrorIs(t, err, drift.ErrInvalid)
	assert.Zero(t, pages.requests())
}

func TestCollect(t *testing.T) {
	pages := threePages()
	client := through(t, pages.roundTrip)
	for maximum, want := range map[int][]int{-1: {1, 2, 3, 4, 5, 6}, 0: {1, 2, 3, 4, 5, 6}, 1: {1}, 2: {1, 2}, 3: {1, 2, 3}, 6: {1, 2, 3, 4, 5, 6}, 9: {1, 2, 3, 4, 5, 6}} {
		contacts, err := drift.Collect(client.Contacts.All(t.Context(), drift.ContactListOptions{}), maximum)
		require.NoError(t, err)
		assert.Equal(t, want, idsOf(contacts), "at most %d", maximum)
	}
	before := pages.requests()
	_, err := drift.Collect(client.Contacts.All(t.Context(), drift.ContactListOptions{}), 2)
	require.NoError(t, err)
	assert.Equal(t, before+1, pages.requests(), "a full slice needs no further page")
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
		client := through(t, pages.roundTrip)
		wanted := map[drift.ContactID]int{1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 3}
		for contact, err := range client.Contacts.All(t.Context(), drift.ContactListOptions{}, drift.WithPrefetch()) {
			require.NoError(t, err)
			synctest.Wait()
			assert.Equal(t, wanted[contact.ID], pages.requests(), "at item %d", contact.ID)
		}
		assert.Equal(t, []string{"", "b", "c"}, pages.cursors())
	})
}

func TestPrefetchEndsWithTheRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pages := threePages()
		var ended bool // not synchronized: the range must have waited
		pages.serve = func(req *http.Request) {
			if req.URL.Query().Get("next") != "" {
				<-req.Context().Done()
				ended = true
			}
		}
		client := through(t, pages.roundTrip)
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
		assert.Equal(t, 2, pages.requests())
	})
}

// hookAtSecondCall runs f on the second call of a client.
func hookAtSecondCall(f func()) drift.Option {
	var mu sync.Mutex
	calls := 0
	return drift.WithHooks(drift.Hooks{Request: func(drift.RequestInfo) {
		mu.Lock()
		calls++
		second := calls == 2
		mu.Unlock()
		if second {
			f()
		}
	}})
}

func TestPrefetchHandsOnThePanicOfAHook(t *testing.T) {
	for name, lastID := range map[string]drift.ContactID{"when the page is read": 6, "when the range is left": 2} {
		t.Run(name, func(t *testing.T) {
			pages := threePages()
			client := through(t, pages.roundTrip, hookAtSecondCall(func() { panic("hook") }))
			assert.PanicsWithValue(t, "hook", func() {
				for contact := range client.Contacts.All(t.Context(), drift.ContactListOptions{}, drift.WithPrefetch()) {
					if contact.ID == lastID {
						break
					}
				}
			})
			assert.Equal(t, 1, pages.requests())
			_, err := client.Contacts.List(t.Context(), drift.ContactListOptions{})
			require.NoError(t, err, "the client is as good as before")
		})
	}
}

// A hook that fails a test ends the goroutine that it runs on: the caller must not go on without a page.
func TestPrefetchEndsTheGoroutineThatAHookEnds(t *testing.T) {
	client := through(t, threePages().roundTrip, hookAtSecondCall(runtime.Goexit))
	var ids []int
	returned := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		for contact := range client.Contacts.All(t.Context(), drift.ContactListOptions{}, drift.WithPrefetch()) {
			ids = append(ids, int(contact.ID))
		}
		returned = true
	}()
	<-done
	assert.Equal(t, []int{1, 2}, ids)
	assert.False(t, returned)
}

func TestPrefetchFillsTheResponseOfThePageInHand(t *testing.T) {
	pages := threePages()
	client := through(t, pages.roundTrip)
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
	pages.pages["b"] = contactPage{status: http.StatusForbidden}
	var response drift.Response
	_, err := drift.Collect(through(t, pages.roundTrip).Contacts.All(t.Context(), drift.ContactListOptions{}, drift.WithPrefetch(), drift.WithResponse(&response)), 0)
	require.ErrorIs(t, err, drift.ErrForbidden)
	assert.Equal(t, http.StatusForbidden, response.StatusCode)
}

func TestPrefetchConcernsOnlyAll(t *testing.T) {
	pages := threePages()
	client := through(t, pages.roundTrip, drift.WithPrefetch())
	_, err := client.Contacts.List(t.Context(), drift.ContactListOptions{})
	require.NoError(t, err)
	assert.Equal(t, 1, pages.requests())
}

// randomPages cuts the contacts 1 to n into pages of random sizes, some of them empty.
func randomPages(random *rand.Rand, n int) (*pagedContacts, [][]int) {
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
	pages := &pagedContacts{pages: map[string]contactPage{}}
	cursor := ""
	for i, ids := range sizes {
		next := fmt.Sprintf("c%d", i+1)
		if i == len(sizes)-1 {
			next = ""
		}
		pages.pages[cursor] = contactPage{ids: ids, next: next}
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
		client := through(t, pages.roundTrip, drift.WithLimiter(openLimiter{}))
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
		require.Equal(t, want, idsOf(contacts))
		needed := pagesUpTo(sizes, leftAt)
		if prefetch {
			require.LessOrEqual(t, pages.requests(), needed+1)
			require.GreaterOrEqual(t, pages.requests(), needed)
		} else {
			require.Equal(t, needed, pages.requests())
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
		whole := map[string]contactPage{}
		for cursor, page := range pages.pages {
			whole[cursor] = page
			if random.IntN(3) == 0 {
				pages.pages[cursor] = contactPage{status: http.StatusConflict}
			}
		}
		client := through(t, pages.roundTrip, drift.WithLimiter(openLimiter{}))
		var got []int
		var options drift.ContactListOptions
		for {
			contacts, err := drift.Collect(client.Contacts.All(t.Context(), options), 0)
			got = append(got, idsOf(contacts)...)
			if err == nil {
				break
			}
			var failed *drift.PageError
			require.ErrorAs(t, err, &failed)
			pages.pages[failed.Cursor] = whole[failed.Cursor]
			options.Cursor = failed.Cursor
		}
		require.Equal(t, slices.Concat(sizes...), got)
	}
}
