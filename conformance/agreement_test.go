package conformance_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/conformance"
	"github.com/driftsdk/drift/drifttest"
)

// The document and the test server were written apart from each other. They must take and refuse the same values, for every
// parameter of every operation: what one alone refuses is a mistake in one of them.

var queryValues = []string{
	"", "x", "true", "True", "1", "0", "-1", "+1", "01", "7", "100", "101", "1.5", "1.0", "1e3", "null", "a&b", "9223372036854775807",
	"9223372036854775808",
}

var queryKeys = []string{"[plan]", "[a b]", "[Ö.x]", "[a[b]]", "[a]b]", "[]]", "[a\n]", "[\u0085]", "[a\x7f]"}

var bodyValues = []string{
	`"x"`, `""`, `true`, `1`, `0`, `-1`, `"1"`, `1.5`, `[]`, `["x"]`, `[1]`, `[0]`, `[null]`, `{}`, `{"k":null}`, `null`,
	`9223372036854775807`,
}

func TestServerAndDocumentAgree(t *testing.T) {
	server := drifttest.Start(t, drifttest.WithDemoData())
	contract, err := conformance.Load(document, server.URL)
	require.NoError(t, err)
	for _, op := range catalogue(t) {
		item := contract.Document.Paths.Value(op.path)
		documented := item.GetOperation(op.method)
		for _, r := range variants(t, server.URL, op, documented) {
			body := r.Header.Get("X-Test")
			r.Header.Del("X-Test")
			_, refused := contract.CheckRequest(r)
			assert.Equal(t, refused != nil, refuses(t, server, r), "%s %s %s: the document says %v", r.Method, r.URL, body, refused)
		}
	}
}

// variants are requests of an operation with each parameter of the query or the body at each value. What else the server needs
// is there too.
func variants(t *testing.T, base string, op operation, documented *openapi3.Operation) []*http.Request {
	t.Helper()
	var requests []*http.Request
	if documented.RequestBody == nil {
		for _, ref := range documented.Parameters {
			if ref.Value.In != openapi3.ParameterInQuery || ref.Value.Name == "next" { // a cursor is good or bad by what it holds
				continue
			}
			for _, value := range queryValues {
				requests = append(requests, request(t, base, op, url.Values{keyOf(ref.Value): {value}}, nil))
			}
			if ref.Value.Style == openapi3.SerializationDeepObject {
				for _, key := range queryKeys {
					requests = append(requests, request(t, base, op, url.Values{ref.Value.Name + key: {"x"}}, nil))
				}
			}
		}
		return requests
	}
	for name := range bodyOf(documented).Properties {
		for _, value := range bodyValues {
			if serverAsksMore(op.name, name, value) {
				continue
			}
			body := needed(op.name)
			body[name] = json.RawMessage(value)
			requests = append(requests, request(t, base, op, nil, body))
		}
	}
	return requests
}

// serverAsksMore reports whether the server refuses a value for what it means: it takes away what the record needs, is an empty
// address, or is the id of a conversation that does not exist.
func serverAsksMore(operation, name, value string) bool {
	resource, _, _ := strings.Cut(operation, ".")
	switch resource + " " + name {
	case "messages body", "driftbot body", "tags name":
		return value == `""` || value == "null"
	case "meetings start_at":
		return value == "0" || value == "null"
	}
	return name == "email" && value == `""` || name == "conversation_id" && value == "9223372036854775807"
}

func keyOf(parameter *openapi3.Parameter) string {
	if parameter.Style == openapi3.SerializationDeepObject {
		return parameter.Name + "[plan]"
	}
	return parameter.Name
}

// needed is what the server asks for in a body.
func needed(operation string) map[string]json.RawMessage {
	switch operation {
	case "messages.create":
		return map[string]json.RawMessage{"body": json.RawMessage(`"Hello"`)}
	case "tags.create":
		return map[string]json.RawMessage{"name": json.RawMessage(`"vip"`)}
	case "meetings.create":
		return map[string]json.RawMessage{"start_at": json.RawMessage(`1`)}
	case "contacts.upsertByEmail", "meetings.addParticipant":
		return map[string]json.RawMessage{"email": json.RawMessage(`"ada@acme.example"`)}
	}
	return map[string]json.RawMessage{}
}

func request(t *testing.T, base string, op operation, query url.Values, members map[string]json.RawMessage) *http.Request {
	t.Helper()
	body := ""
	if members != nil {
		data, err := json.Marshal(members)
		require.NoError(t, err)
		body = string(data)
	}
	path := strings.NewReplacer("{companyId}", "acme.example", "{status}", "open").Replace(op.path)
	for strings.Contains(path, "{") {
		before, rest, _ := strings.Cut(path, "{")
		_, after, _ := strings.Cut(rest, "}")
		path = before + "1" + after
	}
	r := newRequest(t, op.method+" "+path, body)
	target, err := url.Parse(base + path)
	require.NoError(t, err)
	target.RawQuery = query.Encode()
	r.URL, r.Host = target, target.Host
	r.Header.Set("Authorization", "Bearer "+drifttest.DefaultToken)
	r.Header.Set("X-Test", body)
	return r
}

func refuses(t *testing.T, server *drifttest.Server, r *http.Request) bool {
	t.Helper()
	recorder := httptest.NewRecorder()
	server.ServeHTTP(recorder, r)
	return recorder.Code == http.StatusBadRequest
}
