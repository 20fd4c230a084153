package conformance_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/conformance"
)

const base = "https://drift.test"

// newRequest is what the SDK sends, given as method, path and body.
func newRequest(t *testing.T, line, body string) *http.Request {
	t.Helper()
	method, path, _ := strings.Cut(line, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer token")
	r.Header.Set("Accept", "application/json")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func newResponse(status int, contentType, body string) *http.Response {
	header := http.Header{}
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

func TestContractRefusesRequests(t *testing.T) {
	contract, err := conformance.Load(document, base)
	require.NoError(t, err)
	for name, test := range map[string]struct{ line, body, want string }{
		"unknown path":               {"GET /v2/people", "", "no matching operation"},
		"wrong method":               {"PUT /v2/contacts/1", `{}`, "method not allowed"},
		"id 0":                       {"GET /v2/contacts/0", "", "contactId"},
		"id that is text":            {"GET /v2/contacts/x", "", "contactId"},
		"id with a fraction":         {"GET /v2/contacts/1.5", "", "contactId"},
		"unknown query name":         {"GET /v2/contacts?assignedUserId=1", "", `"assignedUserId" is unknown`},
		"camelCase in a query":       {"GET /v2/conversations?createdAt=1", "", `"createdAt" is unknown`},
		"status in a query":          {"GET /v2/conversations/status/open?status=open", "", `"status" is unknown`},
		"paging where there is none": {"GET /v2/contacts/1?limit=1", "", `"limit" is unknown`},
		"list in brackets":           {"GET /v2/contacts?tags[]=a", "", `"tags[]" is unknown`},
		"map without a key":          {"GET /v2/contacts?custom_attributes=a", "", `"custom_attributes" is unknown`},
		"value given twice":          {"GET /v2/contacts?search=a&search=b", "", `"search" is given more than once`},
		"boolean that is 1":          {"GET /v2/conversations?archived=1", "", "archived"},
		"instant that is a date":     {"GET /v2/conversations?created_at=2026-01-05T09:00:00Z", "", "created_at"},
		"id in a list that is text":  {"GET /v2/meetings?participant_ids=1&participant_ids=x", "", "participant_ids"},
		"page too large":             {"GET /v2/contacts?limit=101", "", "limit"},
		"no address to match":        {"GET /v2/contacts/match-email", "", "email"},
		"body where none belongs":    {"DELETE /v2/contacts/1", `{}`, "body"},
		"no body":                    {"POST /v2/contacts", "", "body"},
		"list for a body":            {"POST /v2/contacts", `[]`, "object"},
		"unknown name":               {"POST /v2/contacts", `{"email":"a@b.example"}`, "email"},
		"camelCase in a body":        {"POST /v2/contacts", `{"backgroundMode":true}`, "backgroundMode"},
		"id as a string":             {"POST /v2/contacts", `{"users":["1"]}`, "users"},
		"id 0 in a list":             {"POST /v2/contacts", `{"users":[0]}`, "users"},
		"tags as objects":            {"POST /v2/contacts", `{"tags":[{"name":"vip"}]}`, "tags"},
		"null in a POST":             {"POST /v2/contacts", `{"tags":null}`, "tags"},
		"instant as a string":        {"POST /v2/meetings", `{"start_at":"2026-01-05T09:00:00Z"}`, "start_at"},
		"duration with a fraction":   {"POST /v2/meetings", `{"duration":30.5}`, "duration"},
		"duration 0":                 {"PATCH /v2/meetings/1", `{"duration":0}`, "duration"},
		"required name missing":      {"POST /v2/contacts/raw", `{}`, "email"},
		"wrong type in a PATCH":      {"PATCH /v2/tags/1", `{"enabled":"yes"}`, "enabled"},
		"map key with a bracket":     {"GET /v2/contacts?custom_attributes[a[b]]=x", "", "brackets"},
		"map key with a tab":         {"GET /v2/contacts?custom_attributes[%09]=x", "", "control"},
		"empty text in a list":       {"GET /v2/contacts?tags=", "", "tags"},
		"empty attribute":            {"GET /v2/contacts?custom_attributes[plan]=", "", "custom_attributes"},
		"empty e-mail":               {"GET /v2/contacts?email=", "", "email"},
		"attributes as a list":       {"PATCH /v2/contacts/1", `{"custom_attributes":[]}`, "custom_attributes"},
	} {
		_, err := contract.CheckRequest(newRequest(t, test.line, test.body))
		require.ErrorContains(t, err, test.want, name)
	}
}

func TestContractRefusesHeaders(t *testing.T) {
	contract, err := conformance.Load(document, base)
	require.NoError(t, err)
	for name, change := range map[string]func(http.Header){
		"no token":                    func(h http.Header) { h.Del("Authorization") },
		"another scheme":              func(h http.Header) { h.Set("Authorization", "Basic dTpw") },
		"no Accept":                   func(h http.Header) { h.Del("Accept") },
		"Content-Type without a body": func(h http.Header) { h.Set("Content-Type", "application/json") },
	} {
		r := newRequest(t, "GET /v2/contacts/1", "")
		change(r.Header)
		_, err := contract.CheckRequest(r)
		require.Error(t, err, name)
	}
	r := newRequest(t, "POST /v2/contacts", `{}`)
	r.Header.Set("Content-Type", "text/plain")
	_, err = contract.CheckRequest(r)
	require.Error(t, err)
}

func TestContractRefusesAnswers(t *testing.T) {
	contract, err := conformance.Load(document, base)
	require.NoError(t, err)
	const jsonType = "application/json"
	for name, test := range map[string]struct {
		line        string
		status      int
		contentType string
		body        string
		want        string
	}{
		"stray field":          {"GET /v2/contacts/1", 200, jsonType, `{"data":{"id":1,"stray":true}}`, "stray"},
		"camelCase":            {"GET /v2/contacts/1", 200, jsonType, `{"data":{"id":1,"createdAt":1}}`, "createdAt"},
		"stray beside more":    {"GET /v2/contacts", 200, jsonType, `{"data":[],"pagination":{"more":false,"total":1}}`, "total"},
		"number for a text":    {"GET /v2/contacts/1", 200, jsonType, `{"data":{"id":1,"email":7}}`, "email"},
		"empty text id":        {"GET /v2/companies/a/people", 200, jsonType, `{"data":[{"id":1,"company_id":""}],"pagination":{"more":false}}`, "company_id"},
		"fraction for text id": {"GET /v2/companies/a/people", 200, jsonType, `{"data":[{"id":1,"company_id":1.5}],"pagination":{"more":false}}`, "company_id"},
		"0 for a list of ids":  {"GET /v2/contacts/1", 200, jsonType, `{"data":{"id":1,"users":0}}`, "users"},
		"number among texts":   {"GET /v2/contacts/1", 200, jsonType, `{"data":{"id":1,"labels":[1]}}`, "labels"},
		"stray beside data":    {"GET /v2/contacts/1", 200, jsonType, `{"data":{"id":1},"links":{}}`, "links"},
		"no envelope":          {"GET /v2/contacts/1", 200, jsonType, `{"id":1}`, "data"},
		"no id":                {"GET /v2/contacts/1", 200, jsonType, `{"data":{"email":"a"}}`, "id"},
		"id 0":                 {"GET /v2/contacts/1", 200, jsonType, `{"data":{"id":0}}`, "id"},
		"id as a string":       {"GET /v2/contacts/1", 200, jsonType, `{"data":{"id":"1"}}`, "id"},
		"null field":           {"GET /v2/contacts/1", 200, jsonType, `{"data":{"id":1,"email":null}}`, "email"},
		"instant as a string":  {"GET /v2/contacts/1", 200, jsonType, `{"data":{"id":1,"created_at":"2026-01-05T09:00:00Z"}}`, "created_at"},
		"list without paging":  {"GET /v2/contacts", 200, jsonType, `{"data":[]}`, "pagination"},
		"record for a list":    {"GET /v2/contacts", 200, jsonType, `{"data":{"id":1},"pagination":{"more":false}}`, "data"},
		"cursor as a number":   {"GET /v2/contacts", 200, jsonType, `{"data":[],"pagination":{"more":true,"next":2}}`, "next"},
		"another success":      {"POST /v2/contacts", 201, jsonType, `{"data":{"id":1}}`, "201"},
		"redirect":             {"GET /v2/contacts/1", 301, "", ``, "301"},
		"text":                 {"GET /v2/contacts/1", 200, "text/html", `<p>Hello</p>`, "text/html"},
		"no JSON":              {"GET /v2/contacts/1", 200, jsonType, `{"data":`, "decode"},
		"body with a 204":      {"DELETE /v2/contacts/1", 204, jsonType, `{}`, "nothing to say"},
		"bare error":           {"GET /v2/contacts/1", 404, jsonType, `{"message":"no"}`, "error"},
		"error of another API": {"GET /v2/contacts/1", 500, jsonType, `{"error":{"type":"a","message":"b","code":1}}`, "code"},
		"Retry-After as text":  {"GET /v2/contacts/1", 429, jsonType, `{"error":{"type":"rate_limit","message":"b"}}`, "Retry-After"},
	} {
		body := ""
		if strings.HasPrefix(test.line, "POST") {
			body = `{}`
		}
		request, err := contract.CheckRequest(newRequest(t, test.line, body))
		require.NoError(t, err, name)
		response := newResponse(test.status, test.contentType, test.body)
		response.Header.Set("Retry-After", "soon")
		require.ErrorContains(t, contract.CheckResponse(request, response), test.want, name)
	}
}

// What the SDK accepts in the fields of a record is in the document too.
func TestContractAcceptsAnswers(t *testing.T) {
	contract, err := conformance.Load(document, base)
	require.NoError(t, err)
	for line, data := range map[string]string{
		"GET /v2/contacts/1":                        `{"id":1,"labels":"hot","tags":"vip","users":7}`,
		"GET /v2/conversations/1":                   `{"id":1,"labels":[],"tags":"vip","participants":7,"member_count":0}`,
		"GET /v2/conversations/1/messages/1":        `{"id":1,"client_message_id":9007199254740993,"author":{"id":1,"team":"x"},"buttons":{"label":"A","icon":1,"reaction":{"delay":3}},"attachments":{"id":1,"size":5},"context":{"city":"Bern"}}`,
		"GET /v2/conversations/1/messages/2":        `{"id":1,"buttons":[{"label":"A"}],"attachments":[{"id":1,"size":5}]}`,
		"GET /v2/meetings/1":                        `{"id":1,"participant_ids":3,"participants":{"id":3,"name":"A"}}`,
		"GET /v2/meetings/2":                        `{"id":1,"participant_ids":[3],"participants":[{"id":3,"name":"A"}]}`,
		"POST /v2/conversations/1/driftbot/trigger": `{"id":7,"action_id":8}`,
	} {
		body := ""
		if strings.HasPrefix(line, "POST") {
			body = `{}`
		}
		request, err := contract.CheckRequest(newRequest(t, line, body))
		require.NoError(t, err, line)
		assert.NoError(t, contract.CheckResponse(request, newResponse(200, "application/json", `{"data":`+data+`}`)), line)
	}
}

// The transport reports both directions and hands both bodies on untouched.
func TestTransport(t *testing.T) {
	contract, err := conformance.Load(document, base)
	require.NoError(t, err)
	var reports []string
	var sent string
	transport := &conformance.Transport{
		Contract: contract,
		Base: roundTripper(func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			sent = string(body)
			return newResponse(200, "application/json", `{"data":{"id":1,"stray":true}}`), err
		}),
		Report: func(err error) { reports = append(reports, err.Error()) },
	}
	response, err := transport.RoundTrip(newRequest(t, "POST /v2/contacts", `{"name":"Ada"}`))
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Equal(t, `{"name":"Ada"}`, sent)
	assert.Equal(t, `{"data":{"id":1,"stray":true}}`, string(body))
	require.Len(t, reports, 2)
	assert.Contains(t, reports[0], "contacts.create: request: ")
	assert.Contains(t, reports[1], "contacts.create: answer: ")
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
