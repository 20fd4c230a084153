package fetch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/examples/archive/store"
)

// tamper changes the answers of paths that end in the keys: it puts elements in front of the first list, or sets
// members of every record.
func tamper(elements map[string][]string) func(*http.Request, http.RoundTripper) (*http.Response, error) {
	return func(request *http.Request, server http.RoundTripper) (*http.Response, error) {
		response, err := server.RoundTrip(request)
		if err != nil {
			return nil, err
		}
		for suffix, odd := range elements {
			if !strings.HasSuffix(request.URL.Path, suffix) || response.StatusCode != http.StatusOK {
				continue
			}
			body, err := io.ReadAll(response.Body)
			if err != nil {
				return nil, err
			}
			before, after, _ := bytes.Cut(body, []byte("["))
			comma := ","
			if bytes.HasPrefix(bytes.TrimSpace(after), []byte("]")) {
				comma = ""
			}
			body = fmt.Appendf(nil, "%s[%s%s%s", before, strings.Join(odd, ","), comma, after)
			response.Body = io.NopCloser(bytes.NewReader(body))
			response.ContentLength = int64(len(body))
			response.Header.Del("Content-Length")
		}
		return response, nil
	}
}

// raws returns the raw records that are listed for an operation.
func raws(t *testing.T, a *archive, operation string) []string {
	t.Helper()
	all, err := a.Oddities(t.Context())
	require.NoError(t, err)
	var found []string
	for _, o := range all {
		if o.Operation == operation {
			found = append(found, string(o.Raw))
		}
	}
	return found
}

func TestOddRecordsInEveryList(t *testing.T) {
	withoutID := []string{`{"name":"no id"}`, `null`, `"text"`, `[1]`}
	odd := map[string][]string{
		"/conversations/list":       append([]string{`{"id":"x","status":"open"}`}, withoutID...),
		"/conversations/1/messages": append([]string{`{"id":1.5,"body":"half"}`}, withoutID...),
		"/users/list":               withoutID,
		"/teams/org":                withoutID,
		"/playbooks/list":           withoutID,
		"/accounts":                 {`{"name":"no id"}`, `null`, `"text"`},
		"/users/meetings/org":       {`{"eventId":"e1","slotStart":"soon"}`, `"text"`},
		"/contacts/attributes":      {`{"name":"good","type":[1]}`, `"text"`},
		"/playbooks/clp":            {`{"playbookId":"x"}`, `"text"`},
	}
	a := newArchive(t, account(t, 120))
	a.network = tamper(odd)
	result := a.sync(t)
	requireComplete(t, a)
	assert.False(t, result.Complete())
	assert.Empty(t, result.Missing)
	assert.Empty(t, result.Left)
	for operation, path := range map[string]string{
		"classic.conversations.list": "/conversations/list", "classic.messages.list": "/conversations/1/messages",
		"classic.users.list": "/users/list", "classic.teams.list": "/teams/org", "classic.playbooks.list": "/playbooks/list",
		"classic.accounts.list": "/accounts", "classic.meetings.list": "/users/meetings/org",
		"classic.contacts.listAttributes": "/contacts/attributes", "classic.playbooks.listLandingPages": "/playbooks/clp",
	} {
		listed := raws(t, a, operation)
		for _, record := range odd[path] {
			assert.Contains(t, listed, record, path)
		}
	}
	before := result.Status.Oddities
	assert.Equal(t, before, a.sync(t).Status.Oddities, "each is listed once, however often it is seen")
}

func TestOddFieldsAreLeftOut(t *testing.T) {
	a := newArchive(t, account(t, 5))
	a.network = tamper(map[string][]string{
		"/conversations/list": {
			`{"id":901,"status":[5],"contactId":1,"updatedAt":"soon"}`,
			`{"id":902,"status":"open","contactId":{"a":1},"updatedAt":1000}`,
			`{"id":903,"status":"open","contactId":2,"updatedAt":253402300799000}`,
		},
		"/conversations/1/messages": {
			`{"id":801,"body":[7],"author":"me","createdAt":"soon"}`,
			`{"id":802,"body":"two files","attachments":[{"id":"x"},{"id":71,"fileName":"b.txt"}]}`,
			`{"id":803,"body":"no number","attachments":[{"fileName":"c.txt"}]}`,
		},
	})
	result := a.sync(t)
	for id, want := range map[int64]store.Conversation{
		901: {Status: "", ContactID: 1}, 902: {Status: "open"}, 903: {Status: "open", ContactID: 2},
	} {
		c, err := a.Conversation(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, want.Status, c.Status)
		assert.Equal(t, want.ContactID, c.ContactID)
		assert.True(t, json.Valid(c.Raw))
	}
	messages, err := a.Messages(t.Context(), 1)
	require.NoError(t, err)
	byID := map[int64]store.Message{}
	for _, m := range messages {
		byID[m.ID] = m
	}
	assert.Empty(t, byID[801].Text)
	assert.JSONEq(t, `{"id":801,"body":[7],"author":"me","createdAt":"soon"}`, string(byID[801].Raw))
	require.Len(t, byID[802].Attachments, 1)
	assert.Equal(t, int64(71), byID[802].Attachments[0].ID)
	assert.NotEmpty(t, raws(t, a, "classic.messages.list"))
	assert.Equal(t, 3+2, result.Status.Gone+2, "the three do not exist: their messages are gone")

	a.server.AddConversation(drift.Conversation{ContactID: 1})
	a.sync(t)
	_, err = a.Conversation(t.Context(), 6)
	assert.NoError(t, err, "a time in the future hides no later change")
}

// replace answers a path with a body.
func replace(path, body string) func(*http.Request, http.RoundTripper) (*http.Response, error) {
	return func(request *http.Request, server http.RoundTripper) (*http.Response, error) {
		if request.URL.Path != path {
			return server.RoundTrip(request)
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(body)), Request: request}, nil
	}
}

func TestOddSingleRecords(t *testing.T) {
	for _, test := range []struct {
		path, body, operation, raw string
		left                       bool
	}{
		{"/contacts/2", `{"data":{"id":2,"createdAt":"x","attributes":{"email":"kept@example.com"}}}`,
			"classic.contacts.get", `{"id":2,"createdAt":"x","attributes":{"email":"kept@example.com"}}`, false},
		{"/contacts/2", `{"data":{"id":7}}`, "classic.contacts.get", `{"data":{"id":7}}`, true},
		{"/contacts/2", `{"data":[]}`, "classic.contacts.get", `{"data":[]}`, true},
		{"/conversations/2", `{"data":{"id":2,"status":[]}}`, "classic.conversations.get", `{"id":2,"status":[]}`, false},
		{"/conversations/2/messages", `{"data":{"messages":7}}`, "classic.messages.list", `{"data":{"messages":7}}`, true},
		{"/users/list", `{"data":7}`, "classic.users.list", `{"data":7}`, false},
	} {
		t.Run(test.path+test.body, func(t *testing.T) {
			a := newArchive(t, account(t, 4))
			a.network = replace(test.path, test.body)
			result := a.sync(t)
			assert.Contains(t, raws(t, a, test.operation), test.raw)
			assert.Equal(t, test.left, len(result.Left) > 0, "%v", result.Left)
			assert.False(t, result.Complete())

			a.network = nil
			if test.left {
				assert.True(t, a.sync(t).Complete(), "it is read again, and no longer listed")
			}
		})
	}
}
