package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/faults"
	"github.com/driftsdk/drift/internal/testkit"
)

func listFaults() faults.Cases {
	return faults.Cases{
		170: faultNoRecord,
		178: faultFirstOfAList,
		186: faultOddRecords,
		187: faultCursorsGoOn,
		188: faultPaginate,
	}
}

// outcome is what a method makes of an answer.
type outcome string

const (
	gives       outcome = "a value"
	reported    outcome = "an APIError"
	notFound    outcome = "ErrNotFound"
	undecodable outcome = "a DecodeError"
)

// noRecordShapes are answers of success that hold no record, with what a method makes of them that is due one record,
// the first of several (matchEmail), or a page.
var noRecordShapes = []struct {
	body             string
	one, first, page outcome
}{
	{`{"data":[],"errors":[{"type":"x","message":"no"}]}`, reported, reported, reported},
	{`{"errors":[{"type":"x","message":"no"}],"data":[]}`, reported, reported, reported},
	{`{"data":[],"error":"no"}`, reported, reported, reported},
	{`{"error":"no","data":[]}`, reported, reported, reported},
	{`{"data":[ ],"error":{"message":"no"}}`, reported, reported, reported},
	{`{"data":{},"errors":{"email":["no"]}}`, reported, reported, undecodable},
	{`{"errors":["no"],"data":{ }}`, reported, reported, undecodable},
	{`{"data":null,"errors":[{"message":"no"}]}`, reported, reported, reported},
	{`{"error":"no","data":null}`, reported, reported, reported},
	{`{"error":{"message":"no"}}`, reported, reported, reported},
	{`{"errors":[{"message":"no"}],"pagination":{}}`, reported, reported, reported},
	{`{"Data":[],"ERRORS":[{"message":"no"}]}`, reported, reported, reported},
	{`{"data":[{"id":1}],"data":[],"error":"no"}`, reported, reported, reported},
	{`{"data":[{"id":1}],"error":"no","data":null}`, reported, reported, reported},
	{`{"data":[{"id":1}],"data":null}`, undecodable, notFound, gives},
	{`{"data":{"id":1},"data":null}`, undecodable, notFound, gives},
	{`{"data":{"id":1},"data":[]}`, undecodable, notFound, gives},
	{`{"data":[]}`, undecodable, notFound, gives},
	{`{"data":[],"errors":[],"error":null}`, undecodable, notFound, gives},
	{`{"data":[],"pagination":{"more":false}}`, undecodable, notFound, gives},
	{`{"data":null}`, undecodable, notFound, gives},
	{`{"data":null,"error":""}`, undecodable, notFound, gives},
	{`null`, undecodable, notFound, gives},
	{`[]`, undecodable, notFound, gives},
	{`{"data":[null]}`, undecodable, undecodable, undecodable},
	{`{"data":[null,{"id":1}]}`, undecodable, undecodable, undecodable},
	{`{"data":[[]]}`, undecodable, undecodable, undecodable},
	{`{"data":[{}]}`, undecodable, undecodable, undecodable},
	{`[{}]`, undecodable, undecodable, undecodable},
	{`[7]`, undecodable, undecodable, undecodable},
	{`{"data":""}`, undecodable, undecodable, undecodable},
	{`{"data":"","error":"no"}`, undecodable, undecodable, undecodable},
	{`{"data":false}`, undecodable, undecodable, undecodable},
	{`{"data":0}`, undecodable, undecodable, undecodable},
	{`""`, undecodable, undecodable, undecodable},
	{``, undecodable, undecodable, undecodable},
}

// noIDShapes hold an object without an id, which an interaction of a bot may be.
var noIDShapes = []string{`{}`, `{"data":{}}`, `{"data":{},"errors":[]}`, `{"data":{"id":null}}`, `{"meta":{}}`}

func faultNoRecord(t *testing.T) {
	var body string
	client := throughFault(t, func(r *http.Request) (*http.Response, error) {
		return testkit.MemoryAnswer(r, http.StatusOK, "application/json", body), nil
	})
	client.limiter.Limiter = testkit.OpenLimiter{}
	testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) {
		if call.TakesAnyBody() {
			return
		}
		if hasOwnShape(call) {
			for _, shape := range noRecordShapes {
				body = shape.body
				outcomeOfCall(t, client, call)
			}
			return
		}
		for _, shape := range noRecordShapes {
			want := shape.one
			switch {
			case call.Operation.Name == "contacts.matchEmail":
				want = shape.first
			case call.AnswersList():
				want = shape.page
			}
			body = shape.body
			assert.Equal(t, want, outcomeOfCall(t, client, call), body)
		}
		for _, shape := range noIDShapes {
			want := undecodable
			if call.Operation.Name == "driftbot.trigger" {
				want = gives
			}
			body = shape
			assert.Equal(t, want, outcomeOfCall(t, client, call), body)
		}
	})
}

// hasOwnShape reports whether other shapes hold a record or a list for an operation of the classic API: a list in a
// member, an object in place of a list, a record without an id. All the same there is a value or an error.
func hasOwnShape(call testkit.Invocation) bool {
	switch strings.TrimPrefix(call.Operation.Name, "classic.") {
	case "contacts.listByEmail", "contacts.listByExternalId", "contacts.createTimelineEvent", "contacts.listAttributes",
		"contacts.listTags", "contacts.addTags", "users.getMany", "messages.create", "conversations.getJSONTranscript",
		"scim.listUsers", "reports.conversations", "reports.conversationSummary", "app.tokenInfo", "gdpr.retrieve",
		"gdpr.delete", "playbooks.listLandingPages":
		return call.Operation.Classic()
	}
	return call.Operation.Name == "classic.meetings.list"
}

// outcomeOfCall calls the method and checks that there is a value, or an error, or of a page both.
func outcomeOfCall(t *testing.T, client *faultClient, i testkit.Invocation) outcome {
	t.Helper()
	results := i.Results(t.Context(), client.Client)
	if i.Ranges() {
		for item, failure := range results[0].Seq2() {
			require.NotEqual(t, item.IsNil(), failure.IsNil(), "one of both")
			if !failure.IsNil() {
				return outcomeOf(t, client.saw(failure.Interface().(error)))
			}
		}
		return gives
	}
	err, _ := results[1].Interface().(error)
	isEmpty := results[0].IsNil() && results[0].Kind() != reflect.Slice // an empty list may be nil
	require.False(t, isEmpty && err == nil, "neither a value nor an error")
	require.True(t, results[0].IsNil() || err == nil || i.AnswersList(), "a record and an error")
	for _, item := range testkit.Items(results[0]) {
		require.False(t, item.IsNil())
	}
	return outcomeOf(t, client.saw(err))
}

func outcomeOf(t *testing.T, err error) outcome {
	t.Helper()
	var api *drift.APIError
	switch {
	case err == nil:
		return gives
	case errors.As(err, new(*drift.DecodeError)):
		return undecodable
	case !errors.As(err, &api):
		require.NoError(t, err)
	case api.StatusCode == http.StatusNotFound:
		return notFound
	}
	return reported
}

func faultFirstOfAList(t *testing.T) {
	var body string
	client := serveFault(t, func(w http.ResponseWriter, r *http.Request) { testkit.Respond(http.StatusOK, body)(w, r) })
	client.limiter.Limiter = testkit.OpenLimiter{}
	match := func(answer string) (*drift.Contact, error) {
		body = answer
		contact, err := client.Contacts.MatchEmail(t.Context(), testkit.MarkedAddress)
		return contact, client.saw(err)
	}
	for _, rest := range []string{
		`{"email":"x"}`, `{"id":0}`, `{"id":6,"created_at":"soon"}`, `null`, `7`, `"a"`, `[]`, `[[{"id":1}]]`, `{}`, `true`, `{"id":6},null,{"id":[1]}`,
	} {
		for _, shape := range []string{`{"data":[{"id":5},%s]}`, `[{"id":5},%s]`, `{"errors":["partly"],"data":[{"id":5} , %s ],"links":{"next":"?x"}}`} {
			contact, err := match(fmt.Sprintf(shape, rest))
			require.NoError(t, err, rest)
			assert.Equal(t, drift.ContactID(5), contact.ID)
		}
	}
	for answer, path := range map[string]string{
		`{"data":[{"email":"x"},{"id":5}]}`:        "/0/id",
		`{"data":[{"id":5},{"id":6]}`:              "",
		`{"data":[{"id":5},]}`:                     "",
		`{"data":[{"id":5},{"id":6,"email":"x}]}`:  "",
		`{"data":[{"id":5}]} x`:                    "",
		`{"data":[{"created_at":"s"},{"id":null}]`: "",
	} {
		contact, err := match(answer)
		require.Nil(t, contact)
		testkit.RequireDecodeError(t, err, path)
	}
}

// numberedPages is a list whose cursors are the numbers of pages, as many services have them: a cursor counts only
// together with the limit.
func numberedPages(records int) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		limit, page := 25, 0
		if text := r.URL.Query().Get("limit"); text != "" {
			limit, _ = strconv.Atoi(text)
		}
		if text := r.URL.Query().Get("next"); text != "" {
			page, _ = strconv.Atoi(text)
		}
		var ids []int
		for id := page*limit + 1; id <= min((page+1)*limit, records); id++ {
			ids = append(ids, id)
		}
		next := ""
		if (page+1)*limit < records {
			next = strconv.Itoa(page + 1)
		}
		return testkit.MemoryAnswer(r, http.StatusOK, "application/json", testkit.ContactPage{IDs: ids, Next: next}.JSON()), nil
	}
}

func faultCursorsGoOn(t *testing.T) {
	const records = 230
	var want []int
	for id := range records {
		want = append(want, id+1)
	}
	for _, limit := range []int{0, 1, 7, 99, 100} {
		client := throughFault(t, numberedPages(records))
		client.limiter.Limiter = testkit.OpenLimiter{}
		page, err := client.Contacts.List(t.Context(), drift.ContactListOptions{Limit: limit})
		require.NoError(t, err)
		all := client.Contacts.All(t.Context(), drift.ContactListOptions{Limit: limit, Cursor: page.Next})
		rest, err := drift.Collect(all, 0)
		require.NoError(t, err)
		assert.Equal(t, want, append(testkit.IDsOf(page.Items), testkit.IDsOf(rest)...), "List, then All, with %d", limit)

		got, cursor := brokenOff(t, client, limit)
		for cursor != "" {
			page, err := client.Contacts.List(t.Context(), drift.ContactListOptions{Limit: limit, Cursor: cursor})
			require.NoError(t, err)
			got, cursor = append(got, testkit.IDsOf(page.Items)...), page.Next
		}
		assert.Equal(t, want, got, "All, then List, with %d", limit)
	}
}

// brokenOff ranges over a list until its second page fails, and returns what came, and the cursor of the PageError.
func brokenOff(t *testing.T, client *faultClient, limit int) ([]int, string) {
	t.Helper()
	calls := 0
	failing := throughFault(t, func(r *http.Request) (*http.Response, error) {
		if calls++; calls == 2 {
			return testkit.MemoryAnswer(r, http.StatusForbidden, "application/json", `{}`), nil
		}
		return numberedPages(230)(r)
	})
	contacts, err := drift.Collect(failing.Contacts.All(t.Context(), drift.ContactListOptions{Limit: limit}), 0)
	var page *drift.PageError
	require.ErrorAs(t, client.saw(err), &page)
	return testkit.IDsOf(contacts), page.Cursor
}

func faultOddRecords(t *testing.T) {
	t.Run("every list", checkOddRecordsOfEveryList)
	t.Run("the reports", checkReportsOfOddRecords)
	for odd, path := range testkit.OddRecords {
		for place := range 3 {
			t.Run(fmt.Sprint(odd, place), func(t *testing.T) { checkOddRecord(t, odd, path, place) })
		}
	}
}

// oddPages is a list of three pages. The odd record stands in the second one, at this place among 3 and 4; the third
// holds nothing but odd ones, and the fourth the contact 5.
func oddPages(t *testing.T, odd string, place int) *faultClient {
	t.Helper()
	second := slices.Insert([]string{`{"id": 3}`, ` {"id":4}`}, place, odd)
	pages := map[string]string{
		"":  `{"data": [{"id": 1}, {"id": 2}], "pagination": {"next": "b"}}`,
		"b": `{"data": [` + strings.Join(second, " ,\n") + `], "pagination": {"next": "c"}}`,
		"c": `{"data": [` + odd + `,` + odd + `], "links": {"next": "?next=d"}}`,
		"d": `{"data": [{"id": 5}]}`,
	}
	client := throughFault(t, func(r *http.Request) (*http.Response, error) {
		return testkit.MemoryAnswer(r, http.StatusOK, "application/json", pages[r.URL.Query().Get("next")]), nil
	})
	client.limiter.Limiter = testkit.OpenLimiter{}
	return client
}

func checkOddRecord(t *testing.T, odd, path string, place int) {
	client := oddPages(t, odd, place)
	page, err := client.Contacts.List(t.Context(), drift.ContactListOptions{Cursor: "b"})
	require.Len(t, drift.RecordErrors(client.saw(err)), 1)
	record := testkit.RequireRecordError(t, err, place, path)
	assert.Equal(t, "contacts.list", record.Operation)
	assert.Equal(t, odd, string(record.Raw()))
	assert.Equal(t, []int{3, 4}, testkit.IDsOf(page.Items))
	assert.Equal(t, "c", page.Next)
	testkit.RequirePrintableError(t, err)
	testkit.RequirePrintableError(t, record)

	page, err = client.Contacts.List(t.Context(), drift.ContactListOptions{Cursor: "c"})
	records := drift.RecordErrors(client.saw(err))
	require.Len(t, records, 2)
	assert.Equal(t, []int{0, 1}, []int{records[0].Index, records[1].Index})
	assert.Empty(t, page.Items)
	assert.Equal(t, "d", page.Next)

	want := append([]int{1, 2}, slices.Insert([]int{3, 4}, place, -1)...)
	for _, opts := range [][]drift.CallOption{nil, {drift.WithPrefetch()}} {
		all := client.Contacts.All(t.Context(), drift.ContactListOptions{}, opts...)
		got, errs := testkit.Yields(t, all)
		assert.Equal(t, append(want, -1, -1, 5), got)
		for _, err := range errs {
			client.saw(err)
		}
		contacts, err := drift.Collect(all, 0)
		assert.Equal(t, want[:2+place], testkit.IDsOf(contacts), "Collect stops")
		testkit.RequireRecordError(t, err, place, path)
		contacts, err = drift.Collect(drift.SkipRecordErrors(all, nil), 0)
		require.NoError(t, err)
		assert.Equal(t, []int{1, 2, 3, 4, 5}, testkit.IDsOf(contacts))
	}
}

func checkOddRecordsOfEveryList(t *testing.T) {
	var body string
	client := throughFault(t, func(r *http.Request) (*http.Response, error) {
		return testkit.MemoryAnswer(r, http.StatusOK, "application/json", body), nil
	})
	client.limiter.Limiter = testkit.OpenLimiter{}
	testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) {
		if !call.AnswersList() {
			return
		}
		odd, path := `{"id": "`+testkit.MarkedAnswer+`"}`, "/id"
		if call.Operation.Classic() { // where some records have no id, or a text
			odd, path = `[]`, ""
		}
		body = call.ListAnswer(`{"id": 1, "accountId": "1"}`, odd, `{"id": 3, "accountId": "3"}`)
		results := call.Results(t.Context(), client.Client)
		if !call.Ranges() {
			assert.Len(t, testkit.Items(results[0]), 2)
			require.False(t, results[1].IsNil(), "no error")
			err := client.saw(results[1].Interface().(error))
			assert.Equal(t, call.Operation.Name, testkit.RequireRecordError(t, err, 1, path).Operation)
			return
		}
		var failed []bool
		for _, failure := range results[0].Seq2() {
			failed = append(failed, !failure.IsNil())
		}
		assert.Equal(t, []bool{false, true, false}, failed)
	})
}

// The call was answered: it is not repeated, and hooks and the caller's Response have what List returns.
func checkReportsOfOddRecords(t *testing.T) {
	var infos []drift.ResponseInfo
	client := throughFault(t, func(r *http.Request) (*http.Response, error) {
		return testkit.MemoryAnswer(r, http.StatusOK, "application/json", `[{"id": 1}, {"id": 0}, null]`), nil
	}, drift.WithHooks(drift.Hooks{Response: func(i drift.ResponseInfo) { infos = append(infos, i) }}))
	var response drift.Response
	page, err := client.Contacts.List(t.Context(), drift.ContactListOptions{}, drift.WithResponse(&response))
	require.NotNil(t, page)
	require.Len(t, drift.RecordErrors(client.saw(err)), 2)
	require.Len(t, infos, 1)
	assert.Equal(t, http.StatusOK, infos[0].StatusCode)
	assert.Equal(t, err, infos[0].Err)
	assert.Equal(t, http.StatusOK, response.StatusCode)
	assert.Len(t, response.Attempts, 1)
	client.requireSpent(1, 1)

	raw := drift.RecordErrors(err)[0].Raw()
	clear(response.Body)
	assert.JSONEq(t, `{"id": 0}`, string(raw), "it shares nothing with the answer")
}

// faultPaginate: an endpoint without a method in two styles of cursor, one of which points at another host.
func faultPaginate(t *testing.T) {
	trap, calls := testkit.TrapServer(t)
	var seen []string
	client := serveFault(t, func(w http.ResponseWriter, r *http.Request) {
		cursor := r.URL.Query().Get("page_token")
		seen = append(seen, cursor)
		testkit.Respond(http.StatusOK, map[string]string{
			"":   `{"data": [{"id": 1}, {"id": 2}], "pagination": {"more": true, "next": "b"}}`,
			"b":  `{"data": [{"id": 3}, {"id": 0}, {"id": 4}], "links": {"next": "` + trap + `/x?page_token=c"}}`,
			"c":  `{"data": [{"id": 5}], "pagination": {"next": "b2"}}`,
			"b2": `{"error": "no"}`,
		}[cursor])(w, r)
	})
	client.limiter.Limiter = testkit.OpenLimiter{}
	read := func(ctx context.Context, cursor string) (*drift.Page[drift.Contact], error) {
		query := url.Values{}
		if cursor != "" {
			query.Set("page_token", cursor)
		}
		req := drift.Request{Name: "crm.deals", Path: "crm/deals", Query: query}
		return drift.ListOf[drift.Contact](ctx, client.Client, req)
	}
	for _, opts := range [][]drift.CallOption{nil, {drift.WithPrefetch()}} {
		seen = nil
		seq := drift.Paginate(t.Context(), "", read, opts...)
		got, errs := testkit.Yields(t, seq)
		assert.Equal(t, []int{1, 2, 3, -1, 4, 5, -2}, got)
		require.Len(t, errs, 2)
		assert.Equal(t, "crm.deals", testkit.RequireRecordError(t, client.saw(errs[0]), 1, "/id").Operation)
		var page *drift.PageError
		require.ErrorAs(t, client.saw(errs[1]), &page)
		assert.Equal(t, "b2", page.Cursor)
		require.ErrorAs(t, page, new(*drift.APIError))
		assert.Equal(t, []string{"", "b", "c", "b2"}, seen)

		seen = nil
		for range seq {
			break
		}
		assert.Equal(t, []string{""}, seen, "nothing is sent after the range is left")
		rest, err := drift.Collect(drift.SkipRecordErrors(drift.Paginate(t.Context(), "b", read, opts...), nil), 3)
		require.NoError(t, err)
		assert.Equal(t, []int{3, 4, 5}, testkit.IDsOf(rest))
	}
	assert.Zero(t, calls())
}
