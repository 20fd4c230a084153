package faults_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/faults"
	"github.com/driftsdk/drift/internal/testkit"
)

// requestFaults: what a caller can ask for.
func requestFaults() faults.Cases {
	return faults.Cases{
		94: faultNoID, 95: faultIDWithSlashes, 96: faultOddID, 97: faultHeaderInjection, 98: faultOddBaseURL, 99: faultBodyCannotBeEncoded,
		100: faultRequestChangedMeanwhile, 101: faultReaderAsBody,
	}
}

// requestFault returns a client of a server on loopback, and what that server saw. Every answer is an empty list.
func requestFault(t *testing.T) (*faultClient, *[]*http.Request) {
	t.Helper()
	var seen []*http.Request
	client := serveFault(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		seen = append(seen, r)
		testkit.Respond(http.StatusOK, `{"data":[]}`)(w, r)
	})
	client.limiter.Limiter = testkit.OpenLimiter{}
	return client, &seen
}

// requireRefused: the caller is told, and that is all.
func (c *faultClient) requireRefused(err error, argument string) {
	c.t.Helper()
	var invalid *drift.ValidationError
	require.ErrorAs(c.t, c.saw(err), &invalid)
	assert.Equal(c.t, argument, invalid.Argument)
	assert.NotEmpty(c.t, invalid.Reason)
}

// requireNothingSent: no request, no slot, no call of the month.
func (c *faultClient) requireNothingSent(seen *[]*http.Request) {
	c.t.Helper()
	assert.Empty(c.t, *seen)
	assert.Empty(c.t, c.limiter.books.Outcomes)
	c.requireSpent(0, 0)
}

// people lists the people of a company, and thing calls a route that has no method with the id in its path.
func (c *faultClient) people(id string) error {
	_, err := c.Companies.ListPeople(c.t.Context(), drift.CompanyID(id), drift.CompanyListPeopleOptions{})
	return c.saw(err)
}

func (c *faultClient) thing(id string) error {
	return c.saw(c.Do(c.t.Context(), drift.Request{Path: "v2/companies/{companyId}/people", Values: map[string]string{"companyId": id}}, nil))
}

func faultNoID(t *testing.T) {
	client, seen := requestFault(t)
	for _, id := range []string{"", ".", "..", " ", "  ", "\u00a0", "\u2003\u3000"} {
		client.requireRefused(client.people(id), "companyId")
		client.requireRefused(client.thing(id), "companyId")
	}
	for _, id := range []int64{0, -1, math.MinInt64} {
		_, err := client.Tags.Get(t.Context(), drift.TagID(id))
		client.requireRefused(err, "tagId")
		client.requireRefused(client.Contacts.Delete(t.Context(), drift.ContactID(id)), "contactId")
		_, err = client.Messages.Get(t.Context(), 1, drift.MessageID(id))
		client.requireRefused(err, "messageId")
	}
	client.requireNothingSent(seen)
}

// requireArrives: the server finds the id as it was given, on the route that was called.
func (c *faultClient) requireArrives(seen *[]*http.Request, id string) {
	c.t.Helper()
	for _, call := range []func(string) error{c.people, c.thing} {
		*seen = nil
		require.NoError(c.t, call(id), "%.100q", id)
		require.Len(c.t, *seen, 1)
		assert.Equal(c.t, "people "+id, testkit.RouteOf(strings.TrimPrefix((*seen)[0].RequestURI, "/"+testkit.MarkedBase)))
	}
}

func faultIDWithSlashes(t *testing.T) {
	client, seen := requestFault(t)
	for _, id := range []string{
		"a/b", "a?b", "a#b", "%2e%2e", "%2E", "a%2fb", ";x", "../x", "x/..", "/", "//", "/..", "...", `\`, `..\x`, "a%", "%zz", "+", "a b", "a&b=c", "{companyId}", "@", ":", "*",
		"a/people", "x/../../contacts/1", "http://elsewhere.test/",
	} {
		client.requireArrives(seen, id)
	}
}

func faultOddID(t *testing.T) {
	client, seen := requestFault(t)
	for _, id := range []string{"é", "日本語", "👩‍👩‍👧", "עברית", "\u202egnp.exe", "e\u0301", "\U0010ffff", "\u200b", "ß\u00a0x", strings.Repeat("é", 512)} {
		client.requireArrives(seen, id)
	}
	*seen = nil
	for _, id := range []string{
		"\xff", "a\xc0\xaf", "\xed\xa0\x80", "a\u0085", // no text, or one that controls a terminal
		strings.Repeat("x", 1025), strings.Repeat("é", 513), strings.Repeat("x", 10<<10),
	} {
		client.requireRefused(client.people(id), "companyId")
		client.requireRefused(client.thing(id), "companyId")
	}
	assert.Empty(t, *seen)
}

func faultHeaderInjection(t *testing.T) {
	client, seen := requestFault(t)
	for _, bad := range []string{"\r", "\n", "\x00", "a\r\nX-Injected: 1", "a\r\n\r\nGET /injected HTTP/1.1\r\n\r\n", "a\nX-Injected: 1", "\x7f"} {
		client.requireRefused(client.people(bad), "companyId")
		client.requireRefused(client.thing(bad), "companyId")
		client.requireRefused(client.get(t.Context(), drift.WithHeader("X-Given", bad)), "WithHeader")
		client.requireRefused(client.get(t.Context(), drift.WithHeader("X-"+bad, "a")), "WithHeader")
		client.requireRefused(client.Do(t.Context(), drift.Request{Method: "GET" + bad, Path: "a"}, nil), "Method")
		client.requireRefused(client.Do(t.Context(), drift.Request{Path: "a" + bad}, nil), "Path")
		for _, option := range []drift.Option{drift.WithUserAgent(testkit.MarkedHeader + bad), drift.WithToken(testkit.MarkedToken + bad), drift.WithBaseURL("https://drift.test/" + bad)} {
			_, err := drift.NewClient(drift.WithTokenSource(testkit.StaticSource("a")), option)
			require.ErrorIs(t, client.saw(err), drift.ErrInvalid)
		}
		client.requireNothingSent(seen)
	}
	for i, odd := range []string{"\r", "\n", "\x00", "a\r\nX-Injected: 1", "a&b=c#d", "a\r\n\r\nGET /injected HTTP/1.1\r\n\r\n"} {
		query := url.Values{"a": {odd}, odd: {"b"}}
		err := client.Do(t.Context(), drift.Request{Method: http.MethodPost, Path: "v2/things", Query: query, Body: []string{odd}}, nil)
		require.NoError(t, client.saw(err))
		require.Len(t, *seen, i+1)
		r := (*seen)[i]
		assert.Equal(t, query, r.URL.Query())
		assert.Empty(t, r.Header.Get("X-Injected"))
		var body []string
		require.NoError(t, json.NewDecoder(r.Body).Decode(&body))
		assert.Equal(t, []string{odd}, body)
	}
}

func faultOddBaseURL(t *testing.T) {
	client, network := bodyFault(t) // for its watch
	transport := drift.WithHTTPClient(&http.Client{Transport: network})
	for base, fine := range map[string]bool{
		"https://drift.test": true, "https://drift.test/a/b/": true, "https://drift.test/a%2Fb": true, "http://localhost:1": true, "http://127.0.0.1": true, "http://[::1]/": true,
		"": false, "drift.test": false, "//drift.test": false, "/v2": false, "https:drift.test": false, "https://": false, "ftp://drift.test": false, "file:///etc": false,
		"http://drift.test": false, "http://192.168.0.1": false, "http://localhost.drift.test": false, "http://0.0.0.0": false,
		"https://drift.test?": false, "https://drift.test/?q=" + testkit.MarkedQuery: false, "https://drift.test/#" + testkit.MarkedQuery: false, "https://drift.test/../x": false,
		"https://ada@drift.test": false, "https://ada:" + testkit.MarkedToken + "@drift.test": false, "https://ada:" + testkit.MarkedToken + "@drift.test:port": false, "https://drift.test/%zz" + testkit.MarkedPath: false,
	} {
		made, err := drift.NewClient(drift.WithToken(testkit.MarkedToken), drift.WithBaseURL(base), transport)
		if fine {
			require.NoError(t, err, base)
			require.NoError(t, made.Close())
			continue
		}
		client.requireRefused(err, "WithBaseURL")
	}
	assert.Zero(t, network.Requests.Load())
}

func faultBodyCannotBeEncoded(t *testing.T) {
	client, seen := requestFault(t)
	circle := map[string]any{}
	circle["a"] = circle
	type ring struct{ Next *ring }
	closed := new(ring)
	closed.Next = closed
	for _, body := range []any{
		math.NaN(), math.Inf(-1), map[string]any{testkit.MarkedBody: math.Inf(1)}, make(chan int), map[string]any{testkit.MarkedBody: make(chan int)}, func() {}, []any{func() {}}, complex(1, 1),
		json.RawMessage(`{"` + testkit.MarkedBody), json.Number(testkit.MarkedBody), "\xff", circle, closed, (*ring)(nil), json.RawMessage(nil), json.RawMessage("null"),
	} {
		client.requireRefused(client.Do(t.Context(), drift.Request{Method: http.MethodPost, Path: "v2/things", Body: body}, nil), "Body")
	}
	var noContext context.Context
	ctx := t.Context()
	for argument, call := range map[string]func() error{
		"req": func() error {
			_, err := client.Contacts.Update(ctx, 1, drift.ContactUpdateRequest{})
			return err
		},
		"custom_attributes": func() error {
			_, err := client.Contacts.Update(ctx, 1, drift.ContactUpdateRequest{CustomAttributes: drift.Set(drift.Attributes{testkit.MarkedBody: math.NaN()})})
			return err
		},
		"payload": func() error {
			_, err := client.Driftbot.Trigger(ctx, 1, drift.DriftbotTriggerRequest{Payload: map[string]any{testkit.MarkedBody: make(chan int)}})
			return err
		},
		"start_at": func() error {
			_, err := client.Meetings.Update(ctx, 1, drift.MeetingUpdateRequest{StartAt: drift.Set(time.Time{})})
			return err
		},
		"out": func() error { return client.Do(ctx, drift.Request{Path: "v2/things"}, struct{}{}) },
		"ctx": func() error { return client.Do(noContext, drift.Request{Path: "v2/things"}, nil) },
	} {
		client.requireRefused(call(), argument)
	}
	_, err := client.Tags.Create(ctx, drift.TagCreateRequest{Name: testkit.MarkedBody + "\xff"})
	require.ErrorIs(t, client.saw(err), drift.ErrInvalid)
	client.requireNothingSent(seen)
}

// Changes that the caller makes to a request during the call affect no attempt, and do not race.
func faultRequestChangedMeanwhile(t *testing.T) {
	attributes := drift.Attributes{"a": "first", "list": []any{"first"}, "deep": map[string]any{"a": "first"}}
	labels := []string{"first"}
	query, values := url.Values{"q": {"first"}}, map[string]string{"v": "first"}
	change := func() {
		attributes["a"], attributes["list"].([]any)[0], attributes["deep"].(map[string]any)["a"] = "changed", "changed", "changed"
		labels[0], query["q"][0], values["v"] = "changed", "changed", "changed"
		attributes["more"], query["more"], values["more"] = "changed", []string{"changed"}, "changed"
	}
	var sent []string
	var changes sync.WaitGroup
	attempt := func(r *http.Request) (*http.Response, error) {
		var body []byte
		if r.Body != nil {
			body, _ = io.ReadAll(r.Body)
		}
		sent = append(sent, r.URL.RequestURI()+" "+string(body))
		if len(sent)%2 == 1 {
			changes.Go(change) // beside the second attempt, and not before it
			return testkit.MemoryAnswer(r, http.StatusTooManyRequests, "application/json", `{}`), nil
		}
		data := `{"id":1}`
		if r.Method == http.MethodGet {
			data = `[]`
		}
		return testkit.MemoryAnswer(r, http.StatusOK, "application/json", `{"data":`+data+`}`), nil
	}
	client := throughFault(t, attempt, drift.WithRetryPolicy(drift.RetryPolicy{MinBackoff: 1, MaxBackoff: 1}))
	client.limiter.Limiter = testkit.OpenLimiter{}
	for _, call := range []func() error{
		func() error {
			_, err := client.Conversations.Update(t.Context(), 1, drift.ConversationUpdateRequest{Labels: drift.Set(labels), CustomAttributes: drift.Set(attributes)})
			return err
		},
		func() error {
			_, err := client.Contacts.List(t.Context(), drift.ContactListOptions{Tags: labels, CustomAttributes: drift.Attributes{"a": "first"}})
			return err
		},
		func() error {
			return client.Do(t.Context(), drift.Request{Method: http.MethodPost, Path: "v2/{v}", Values: values, Query: query, Body: attributes}, nil)
		},
	} {
		require.NoError(t, client.saw(call()))
		changes.Wait()
		require.Len(t, sent, 2)
		assert.Equal(t, sent[0], sent[1])
		assert.Contains(t, sent[0], "first")
		assert.NotContains(t, sent[0], "changed")
		sent = nil
		attributes["a"], attributes["list"].([]any)[0], attributes["deep"].(map[string]any)["a"] = "first", "first", "first"
		labels[0], query["q"][0], values["v"] = "first", "first", "first"
		delete(attributes, "more")
		delete(query, "more")
		delete(values, "more")
	}
}

func faultReaderAsBody(t *testing.T) {
	client, seen := requestFault(t)
	file, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer file.Close()
	for _, body := range []any{
		strings.NewReader(testkit.MarkedBody), bytes.NewBufferString(testkit.MarkedBody), bytes.NewReader([]byte(testkit.MarkedBody)), io.LimitReader(strings.NewReader(testkit.MarkedBody), 3),
		io.NopCloser(strings.NewReader(testkit.MarkedBody)), io.MultiReader(strings.NewReader(testkit.MarkedBody)), file, map[string]any{"file": file},
	} {
		err := client.Do(t.Context(), drift.Request{Method: http.MethodPost, Path: "v2/things", Body: body}, nil)
		client.requireRefused(fmt.Errorf("%T: %w", body, err), "Body")
	}
	client.requireNothingSent(seen)
}
