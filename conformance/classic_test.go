package conformance_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/conformance"
	"github.com/driftsdk/drift/drifttest"
)

const classicDocument = "../testdata/classic-openapi.yaml"

// classicOperation is a line of the table of the classic API.
type classicOperation struct {
	name, method, path string
	query, body        []string // sorted; of nested members the first name
}

func classicTable(t *testing.T) []classicOperation {
	t.Helper()
	data, err := os.ReadFile("../testdata/classic.tsv")
	require.NoError(t, err)
	var operations []classicOperation
	for line := range strings.Lines(string(data)) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		require.Len(t, columns, 10, line)
		name := columns[0]
		if name == "operation" {
			continue
		}
		if name != "oauth.token" {
			name = "classic." + name
		}
		operations = append(operations, classicOperation{name, columns[1], "/" + columns[2], names(columns[3]), names(columns[4])})
	}
	require.Len(t, operations, 50)
	return operations
}

// names of a column. A list in brackets has no names.
func names(column string) []string {
	found := []string{}
	if strings.HasPrefix(column, "[") {
		return found
	}
	for name := range strings.SplitSeq(column, ", ") {
		first, _, _ := strings.Cut(name, ".")
		if first != "" && !slices.Contains(found, first) {
			found = append(found, first)
		}
	}
	slices.Sort(found)
	return found
}

func loadClassic(t *testing.T, base string) *conformance.Contract {
	t.Helper()
	contract, err := conformance.Load(classicDocument, base)
	require.NoError(t, err)
	return contract
}

func TestClassicDocumentIsTheTable(t *testing.T) {
	doc := loadClassic(t, "https://drift.test").Document
	query := map[*openapi3.Operation][]string{} // of all lines that share an operation
	known := map[string]bool{}
	for _, op := range classicTable(t) {
		known[op.name] = true
		item := doc.Paths.Value(op.path)
		require.NotNil(t, item, op.path)
		documented := item.GetOperation(op.method)
		require.NotNil(t, documented, "%s %s", op.method, op.path)
		assert.Contains(t, operationsOf(documented), op.name)
		query[documented] = append(query[documented], op.query...)
		assert.Equal(t, op.body, membersOf(documented), op.name)
		assert.Equal(t, strings.Count(op.path, "{"), len(item.Parameters), op.name)
	}
	for path, item := range doc.Paths.Map() {
		for method, documented := range item.Operations() {
			for _, name := range operationsOf(documented) {
				assert.True(t, known[name], "%s %s is not in the table", method, path)
			}
			want := slices.Compact(slices.Sorted(slices.Values(query[documented])))
			assert.ElementsMatch(t, want, parametersOf(documented), documented.OperationID)
		}
	}
}

// operationsOf returns the lines of the table that an operation of the document stands for.
func operationsOf(documented *openapi3.Operation) []string {
	listed, ok := documented.Extensions["x-operations"].([]any)
	if !ok {
		return []string{documented.OperationID}
	}
	var names []string
	for _, name := range listed {
		names = append(names, name.(string))
	}
	return names
}

func parametersOf(documented *openapi3.Operation) []string {
	var names []string
	for _, ref := range documented.Parameters {
		names = append(names, ref.Value.Name)
	}
	return names
}

func membersOf(documented *openapi3.Operation) []string {
	found := []string{}
	if documented.RequestBody == nil {
		return found
	}
	for _, media := range documented.RequestBody.Value.Content {
		found = slices.AppendSeq(found, maps.Keys(media.Schema.Value.Properties))
	}
	slices.Sort(found)
	return found
}

// Every object of a request is closed, except the free maps.
func TestClassicDocumentIsStrict(t *testing.T) {
	doc := loadClassic(t, "https://drift.test").Document
	for name, ref := range doc.Components.Schemas {
		if ref.Value.Type.Is("object") {
			open := slices.Contains([]string{"Attributes", "Open"}, name)
			assert.Equal(t, !open, closed(ref.Value), name)
		}
	}
	for path, item := range doc.Paths.Map() {
		for method, documented := range item.Operations() {
			if documented.RequestBody == nil {
				continue
			}
			for _, media := range documented.RequestBody.Value.Content {
				schema := media.Schema.Value
				assert.True(t, schema.Type.Is("array") || closed(schema), "%s %s", method, path)
			}
		}
	}
}

// The server also answers requests that the client does not send as the document says.
func TestClassicServerConforms(t *testing.T) {
	server := drifttest.Start(t, drifttest.WithDemoData())
	server.AddContact(drift.Contact{Attributes: drift.Attributes{"externalId": "x-1"}})
	contract := loadClassic(t, server.URL)
	client := &http.Client{Transport: &conformance.Transport{
		Contract: contract, Base: server.HTTPClient().Transport, Report: func(err error) { t.Helper(); t.Error(err) },
	}}
	table := map[string]classicOperation{}
	for _, op := range classicTable(t) {
		table[op.name] = op
	}
	for path, operation := range map[string]string{
		"contacts?idType=external&id=x-1&limit=100":            "classic.contacts.listByExternalId",
		"conversations/list":                                   "classic.conversations.list",
		"conversations/list?limit=2":                           "classic.conversations.list",
		"conversations/1/messages?next=":                       "classic.messages.list",
		"accounts?index=0":                                     "classic.accounts.list",
		"users/meetings/org?min_start_time=0&max_start_time=1": "classic.meetings.list",
		"scim/Users?count=2":                                   "classic.scim.listUsers",
	} {
		answer, body := send(t, client, classicRequest(t, contract, table[operation], server.URL+"/"+path, ""))
		assert.Equal(t, http.StatusOK, answer.StatusCode, "%s: %s", path, body)
	}
}

// The token endpoint answers a form as the document says, and refuses it so.
func TestClassicTokenEndpointConforms(t *testing.T) {
	server := drifttest.Start(t)
	contract := loadClassic(t, server.URL)
	config := server.OAuthConfig()
	config.HTTPClient = &http.Client{Transport: &conformance.Transport{
		Contract: contract, Base: server.HTTPClient().Transport, Report: func(err error) { t.Helper(); t.Error(err) },
	}}
	code := server.Allow(config.AuthCodeURL("state")).Query().Get("code")
	_, err := config.Exchange(t.Context(), code)
	require.NoError(t, err)
	_, err = config.Exchange(t.Context(), code)
	require.ErrorIs(t, err, drift.ErrInvalid)
	_, ok := contract.Seen("oauth.token")
	assert.True(t, ok)
}

func send(t *testing.T, client *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	answer, err := client.Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer, string(body)
}

func classicRequest(t *testing.T, contract *conformance.Contract, op classicOperation, target, body string) *http.Request {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), op.method, target, reader)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+drifttest.DefaultToken)
	r.Header.Set("Accept", "application/json")
	ok := contract.Document.Paths.Value(op.path).GetOperation(op.method).Responses.Status(http.StatusOK)
	if ok != nil && ok.Value.Content["application/json"] == nil {
		r.Header.Set("Accept", "*/*")
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// Every shape of an error is in the document.
func TestClassicErrorsConform(t *testing.T) {
	server := drifttest.Start(t, drifttest.WithDemoData())
	contract := loadClassic(t, server.URL)
	for _, op := range classicTable(t) {
		if op.name == "oauth.token" {
			continue
		}
		for _, status := range []int{400, 401, 403, 404, 409, 429, 500, 503} {
			server.Fail(op.name, drifttest.Fault{Status: status})
			path := classicPath(op.path)
			if op.name == "classic.contacts.listByExternalId" {
				path += "?idType=external"
			}
			r := classicRequest(t, contract, op, server.URL+path, "")
			request, _ := contract.CheckRequest(r)
			answer, err := server.HTTPClient().Do(r)
			require.NoError(t, err)
			assert.Equal(t, status, answer.StatusCode, op.name)
			assert.NoError(t, contract.CheckResponse(request, answer), op.name)
			require.NoError(t, answer.Body.Close())
		}
	}
}

func classicPath(template string) string {
	path := strings.NewReplacer("{accountId}", "acme.example", "{tagName}", "vip").Replace(template)
	for strings.Contains(path, "{") {
		before, rest, _ := strings.Cut(path, "{")
		_, after, _ := strings.Cut(rest, "}")
		path = before + "1" + after
	}
	return path
}

// The document and the test server take and refuse the same values, for every parameter of every operation.
func TestClassicServerAndDocumentAgree(t *testing.T) {
	server := drifttest.Start(t, drifttest.WithDemoData())
	server.AddContact(drift.Contact{Attributes: drift.Attributes{"externalId": "x-1"}})
	contract := loadClassic(t, server.URL)
	for _, op := range classicTable(t) {
		if op.name == "oauth.token" || op.name == "classic.contacts.listByExternalId" {
			continue
		}
		documented := contract.Document.Paths.Value(op.path).GetOperation(op.method)
		for _, v := range classicVariants(t, op, documented) {
			target := server.URL + classicPath(op.path)
			if len(v.query) > 0 {
				target += "?" + v.query.Encode()
			}
			r := classicRequest(t, contract, op, target, v.body)
			_, refused := contract.CheckRequest(r)
			assert.Equal(t, refused != nil, refuses(t, server, r), "%s %s %s: the document says %v", r.Method, r.URL, v.body, refused)
		}
	}
}

type variant struct {
	query url.Values
	body  string
}

func classicVariants(t *testing.T, op classicOperation, documented *openapi3.Operation) []variant {
	t.Helper()
	var variants []variant
	for _, name := range op.query {
		for _, value := range queryValues {
			query := classicQuery(op.name)
			query.Set(name, value)
			if !classicServerAsksMore(op.name, name, value) {
				variants = append(variants, variant{query, encoded(t, classicNeeds(op.name, ""))})
			}
		}
	}
	if documented.RequestBody == nil {
		return variants
	}
	for _, value := range bodyValues {
		if len(op.body) == 0 && !classicServerAsksMore(op.name, "body", value) { // the body is a list
			variants = append(variants, variant{classicQuery(op.name), value})
		}
		for _, name := range op.body {
			members := classicNeeds(op.name, name)
			members[name] = json.RawMessage(value)
			if !classicServerAsksMore(op.name, name, value) {
				variants = append(variants, variant{classicQuery(op.name), encoded(t, members)})
			}
		}
	}
	return variants
}

func encoded(t *testing.T, members map[string]json.RawMessage) string {
	t.Helper()
	if len(members) == 0 {
		return ""
	}
	data, err := json.Marshal(members)
	require.NoError(t, err)
	return string(data)
}

// classicQuery is what an operation needs in its query.
func classicQuery(operation string) url.Values {
	switch operation {
	case "classic.contacts.listByEmail":
		return url.Values{"email": {"a@x.example"}}
	case "classic.contacts.updateByExternalId":
		return url.Values{"id": {"x-1"}, "idType": {"external"}}
	case "classic.users.update":
		return url.Values{"userId": {"1"}}
	case "classic.meetings.list":
		return url.Values{"min_start_time": {"0"}, "max_start_time": {"1"}}
	case "classic.app.uninstall":
		return url.Values{"clientId": {"x"}, "clientSecret": {"x"}}
	}
	return url.Values{}
}

// classicNeeds is what an operation needs in its body to take the named member.
func classicNeeds(operation, name string) map[string]json.RawMessage {
	bodies := map[string]string{
		"classic.contacts.create":              `{"attributes":{"email":"a@x.example"}}`,
		"classic.contacts.update":              `{"attributes":{"plan":"pro"}}`,
		"classic.contacts.updateByExternalId":  `{"attributes":{"plan":"pro"}}`,
		"classic.contacts.createTimelineEvent": `{"event":"e","contactId":1}`,
		"classic.users.update":                 `{"alias":"x"}`,
		"classic.conversations.create":         `{"email":"a@x.example","message":{"body":"x"}}`,
		"classic.messages.create":              `{"type":"chat","body":"x"}`,
		"classic.accounts.create":              `{"ownerId":1}`,
		"classic.accounts.update":              `{"accountId":"acme.example","ownerId":1}`,
		"classic.app.tokenInfo":                `{"access_token":"x"}`,
		"classic.gdpr.retrieve":                `{"email":"a@x.example"}`,
		"classic.gdpr.delete":                  `{"email":"a@x.example"}`,
		"classic.scim.createUser":              `{"displayName":"x","userName":"x"}`,
		"classic.scim.replaceUser":             `{"displayName":"x","userName":"x"}`,
		"classic.reports.conversations":        `{"filters":[],"metrics":[]}`,
		"classic.reports.conversationSummary":  `{"filters":[],"metrics":[]}`,
	}
	body := bodies[operation]
	switch operation + " " + name {
	case "classic.contacts.createTimelineEvent externalId":
		body = `{"event":"e"}`
	case "classic.messages.create editType", "classic.messages.create editedMessageId":
		body = `{"type":"edit","editType":"replace","editedMessageId":1}`
	}
	members := map[string]json.RawMessage{}
	if body != "" {
		if err := json.Unmarshal([]byte(body), &members); err != nil {
			panic(err)
		}
	}
	return members
}

// classicServerAsksMore reports whether the server refuses a value for what it means: a cursor that it did not issue, a
// filter that it does not understand, a tag that the contact lacks, a property that it does not know, an empty message.
func classicServerAsksMore(operation, name, value string) bool {
	switch strings.TrimPrefix(operation, "classic.") + " " + name {
	case "conversations.list page_token", "messages.list next", "scim.listUsers filter":
		return value != ""
	case "contacts.removeTags body", "reports.conversations metrics":
		return value == `["x"]`
	case "messages.create body":
		return value == `""`
	case "messages.create type":
		return value == `"edit"`
	}
	return false
}
