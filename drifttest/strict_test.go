package drifttest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/drifttest"
)

func TestStrictness(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithDemoData())
	const (
		conversations = "v2/conversations"
		conversation  = "v2/conversations/1"
		messages      = "v2/conversations/1/messages"
	)
	tests := []struct {
		name, method, path, body, blames string
		edits                            []edit
	}{
		{"unknown query parameter", "GET", conversations + "?nope=1", "", "nope", nil},
		{"camelCase in a query", "GET", conversations + "?assignedUserId=1", "", "assignedUserId", nil},
		{"parameter of another operation", "GET", "v2/contacts?title=x", "", "title", nil},
		{"status beside the path", "GET", conversations + "/status/open?status=open", "", "status", nil},
		{"text for an id", "GET", conversations + "?id=x", "", "id", nil},
		{"zero for an id", "GET", conversations + "?id=0", "", "id", nil},
		{"negative member count", "GET", conversations + "?member_count=-1", "", "member_count", nil},
		{"RFC 3339 for an instant", "GET", conversations + "?created_at=2026-01-01T00:00:00Z", "", "created_at", nil},
		{"fraction for an instant", "GET", conversations + "?created_at=1.5", "", "created_at", nil},
		{"plus sign", "GET", conversations + "?created_at=%2B1", "", "created_at", nil},
		{"1 for a boolean", "GET", conversations + "?archived=1", "", "archived", nil},
		{"scalar given twice", "GET", conversations + "?title=a&title=b", "", "title", nil},
		{"empty value", "GET", conversations + "?title=", "", "title", nil},
		{"limit 0", "GET", conversations + "?limit=0", "", "limit", nil},
		{"limit 101", "GET", conversations + "?limit=101", "", "limit", nil},
		{"limit on a get", "GET", conversation + "?limit=1", "", "limit", nil},
		{"next on a get", "GET", conversation + "?next=1", "", "next", nil},
		{"made-up cursor", "GET", conversations + "?next=abc", "", "next", nil},
		{"map without a key", "GET", conversations + "?custom_attributes=x", "", "custom_attributes", nil},
		{"map with an empty key", "GET", conversations + "?custom_attributes[]=x", "", "custom_attributes", nil},
		{"map key that is not closed", "GET", conversations + "?custom_attributes[a=x", "", "custom_attributes", nil},
		{"map key with a bracket", "GET", conversations + "?custom_attributes[a[b]]=x", "", "custom_attributes", nil},
		{"map key that is closed twice", "GET", conversations + "?custom_attributes[a]]=x", "", "custom_attributes", nil},
		{"map key and more", "GET", conversations + "?custom_attributes[a]b=x", "", "custom_attributes", nil},
		{"map key with a control character", "GET", "v2/contacts?custom_attributes[a%0Ab]=x", "", "custom_attributes", nil},
		{"map key with another control character", "GET", "v2/contacts?custom_attributes[%C2%85]=x", "", "custom_attributes", nil},
		{"bad map key without a value", "GET", "v2/contacts?custom_attributes[%7F]=", "", "custom_attributes", nil},
		{"map key given twice", "GET", "v2/contacts?custom_attributes[a]=x&custom_attributes[a]=y", "", "custom_attributes[a]", nil},
		{"empty attribute", "GET", "v2/contacts?custom_attributes[plan]=", "", "custom_attributes[plan]", nil},
		{"empty list", "GET", "v2/contacts?tags=", "", "tags", nil},
		{"empty element of a list", "GET", "v2/contacts?tags=a&tags=", "", "tags", nil},
		{"empty participant", "GET", "v2/meetings?participants=", "", "participants", nil},
		{"empty list of ids", "GET", "v2/meetings?participant_ids=", "", "participant_ids", nil},
		{"empty e-mail in a filter", "GET", "v2/contacts?email=", "", "email", nil},
		{"empty e-mail to match", "GET", "v2/contacts/match-email?email=", "", "email", nil},
		{"empty id", "GET", conversations + "?id=", "", "id", nil},
		{"empty cursor", "GET", conversations + "?next=", "", "next", nil},
		{"parameter without a value", "GET", conversations + "?labels", "", "labels", nil},
		{"invalid UTF-8 in a query", "GET", conversations + "?title=%FF", "", "query", nil},
		{"key of what is no map", "GET", conversations + "?title[a]=x", "", "title[a]", nil},
		{"malformed query", "GET", conversations + "?a=%zz", "", "query", nil},
		{"query on a POST", "POST", conversations + "?labels=a", `{}`, "labels", nil},
		{"zero in the path", "GET", conversations + "/0", "", "conversationId", nil},
		{"negative in the path", "GET", conversations + "/-1", "", "conversationId", nil},
		{"text in the path", "GET", conversations + "/x", "", "conversationId", nil},
		{"missing e-mail", "GET", "v2/contacts/match-email", "", "email", nil},

		{"unknown name", "POST", messages, `{"body":"x","nope":1}`, "nope", nil},
		{"camelCase in a body", "POST", messages, `{"body":"x","clientMessageId":"k"}`, "clientMessageId", nil},
		{"name in capitals", "POST", messages, `{"Body":"x"}`, "Body", nil},
		{"name given twice", "POST", messages, `{"body":"x","body":"y"}`, "body", nil},
		{"name given twice inside", "PATCH", conversation, `{"custom_attributes":{"a":1,"a":2}}`, "a", nil},
		{"trailing garbage", "POST", messages, `{"body":"x"} {}`, "body", nil},
		{"no JSON", "POST", messages, `body=x`, "body", nil},
		{"invalid UTF-8", "POST", messages, "{\"body\":\"\xff\"}", "body", nil},
		{"list for an object", "POST", messages, `[]`, "body", nil},
		{"no body", "POST", conversations, "", "body", nil},
		{"number for a string", "POST", messages, `{"body":1}`, "body", nil},
		{"null in a create", "POST", messages, `{"body":null}`, "body", nil},
		{"string for an id", "PATCH", conversation, `{"assigned_user_id":"7"}`, "assigned_user_id", nil},
		{"zero for an id", "PATCH", conversation, `{"assigned_user_id":0}`, "assigned_user_id", nil},
		{"fraction for an id", "PATCH", conversation, `{"assigned_user_id":7.0}`, "assigned_user_id", nil},
		{"exponent for an id", "PATCH", conversation, `{"assigned_user_id":7e0}`, "assigned_user_id", nil},
		{"id beyond 63 bits", "PATCH", conversation, `{"assigned_user_id":9223372036854775808}`, "assigned_user_id", nil},
		{"string for a list", "PATCH", conversation, `{"labels":"a"}`, "labels", nil},
		{"number in a list of strings", "PATCH", conversation, `{"labels":["a",1]}`, "labels", nil},
		{"string in a list of ids", "POST", conversations, `{"users":["1"]}`, "users", nil},
		{"list for a map", "PATCH", conversation, `{"custom_attributes":[]}`, "custom_attributes", nil},
		{"string for a boolean", "PATCH", messages + "/1", `{"reply":"true"}`, "reply", nil},
		{"string for an instant", "POST", "v2/meetings", `{"start_at":"2026-01-01T00:00:00Z"}`, "start_at", nil},
		{"half a minute", "POST", "v2/meetings", `{"start_at":1,"duration":30.5}`, "duration", nil},
		{"no minutes", "POST", "v2/meetings", `{"start_at":1,"duration":0}`, "duration", nil},

		{"empty message", "POST", messages, `{"body":""}`, "body", nil},
		{"message without body", "POST", messages, `{}`, "body", nil},
		{"tag without name", "POST", "v2/tags", `{"color":"red"}`, "name", nil},
		{"meeting without start", "POST", "v2/meetings", `{"duration":30}`, "start_at", nil},
		{"message that loses its body", "PATCH", messages + "/2", `{"body":null}`, "body", nil},
		{"message of the bot that loses its body", "PATCH", conversation + "/driftbot", `{"body":""}`, "body", nil},
		{"tag that loses its name", "PATCH", "v2/tags/1", `{"name":null}`, "name", nil},
		{"meeting that loses its start", "PATCH", "v2/meetings/1", `{"start_at":null}`, "start_at", nil},
		{"meeting at no time", "POST", "v2/meetings", `{"start_at":0}`, "start_at", nil},
		{"contact with an empty e-mail", "PATCH", "v2/contacts/1", `{"email":""}`, "email", nil},
		{"conversation with an empty e-mail", "POST", conversations + "/create", `{"email":""}`, "email", nil},
		{"contact without e-mail", "POST", "v2/contacts/raw", `{}`, "email", nil},
		{"participant without e-mail", "POST", "v2/meetings/1/participants", `{"first_name":"P"}`, "email", nil},
		{"another conversation's message", "POST", messages, `{"body":"x","conversation_id":2}`, "conversation_id", nil},
		{"another conversation's bot", "POST", conversation + "/driftbot/trigger", `{"conversation_id":2}`, "conversation_id", nil},
		{"meeting about nothing", "POST", "v2/meetings", `{"start_at":1,"conversation_id":999}`, "conversation_id", nil},
		{"meeting moved to nothing", "PATCH", "v2/meetings/1", `{"conversation_id":999}`, "conversation_id", nil},

		{"no Accept", "GET", conversation, "", "Accept", []edit{header("Accept")}},
		{"other Accept", "GET", conversation, "", "Accept", []edit{header("Accept", "text/html")}},
		{"no Content-Type", "POST", messages, `{"body":"x"}`, "Content-Type", []edit{header("Content-Type")}},
		{"form", "POST", messages, `{"body":"x"}`, "Content-Type", []edit{header("Content-Type", "application/x-www-form-urlencoded")}},
		{"other charset", "POST", messages, `{"body":"x"}`, "Content-Type", []edit{header("Content-Type", "application/json; charset=latin1")}},
		{"other charset in an update", "PATCH", messages + "/2", `{"body":"x"}`, "Content-Type", []edit{header("Content-Type", "application/json;charset=UTF-16")}},
		{"two Content-Types", "POST", messages, `{"body":"x"}`, "Content-Type", []edit{header("Content-Type", "application/json", "application/json")}},
		{"Content-Type without a body", "GET", conversation, "", "Content-Type", []edit{header("Content-Type", "application/json")}},
		{"body on a GET", "GET", conversation, `{}`, "body", nil},
		{"body on a DELETE", "DELETE", conversation, `{}`, "body", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			kind, message := w.refused(http.StatusBadRequest, test.method, test.path, test.body, test.edits...)
			assert.Equal(t, "validation_error", kind)
			assert.True(t, strings.HasPrefix(message, test.blames+": "), message)
		})
	}
}

func TestStrictButNotPetty(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithDemoData())
	for _, test := range []struct{ method, path, body string }{
		{"POST", "v2/conversations/1/messages", ` {"body":"x"} `},
		{"POST", "v2/conversations", `{}`},
		{"PATCH", "v2/conversations/1", `{"assigned_user_id":9223372036854775807}`},
		{"GET", "v2/conversations?limit=100", ""},
		{"GET", "v2/conversations/status/made%2Fup", ""},
		{"GET", "v2/contacts?custom_attributes[Ö%20.x]=%20", ""},
	} {
		res := w.send(test.method, test.path, test.body)
		assert.Equal(t, http.StatusOK, res.status, "%s: %s", test.path, res.body)
	}
	for _, contentType := range []string{"application/json; charset=utf-8", `application/json; charset="UTF-8"`, "Application/JSON"} {
		res := w.send("POST", "v2/conversations", `{}`, header("Content-Type", contentType))
		assert.Equal(t, http.StatusOK, res.status, contentType)
	}
}

func TestUnknownPathAndMethod(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, path := range []string{"", "v2", "v2/nope", "v1/contacts", "v2/contacts/", "v2//contacts", "v2/contacts/1/x"} {
		kind, _ := w.refused(http.StatusNotFound, http.MethodGet, path, "")
		assert.Equal(t, "not_found", kind)
	}
	for path, allow := range map[string]string{
		"v2/conversations/1":      "DELETE, GET, PATCH",
		"v2/contacts":             "GET, POST",
		"v2/conversations/create": "DELETE, GET, PATCH, POST",
	} {
		res := w.send(http.MethodPut, path, "{}")
		assert.Equal(t, http.StatusMethodNotAllowed, res.status)
		assert.Equal(t, allow, res.header.Get("Allow"))
	}
	assert.Equal(t, http.StatusMethodNotAllowed, w.send(http.MethodHead, "v2/contacts", "").status)
}

func TestTokenIsCheckedFirst(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithToken("one", "two"))
	for _, token := range []string{"one", "two"} {
		res := w.send(http.MethodGet, "v2/contacts", "", header("Authorization", "Bearer "+token))
		assert.Equal(t, http.StatusOK, res.status)
	}
	for name, values := range map[string][]string{
		"none":      nil,
		"default":   {"Bearer " + drifttest.DefaultToken},
		"scheme":    {"Basic one"},
		"no scheme": {"one"},
		"prefix":    {"Bearer on"},
		"twice":     {"Bearer one", "Bearer one"},
	} {
		t.Run(name, func(t *testing.T) {
			kind, message := w.refused(http.StatusUnauthorized, http.MethodPost, "v2/nope?x=1", "{", header("Authorization", values...))
			assert.Equal(t, "authentication_error", kind)
			assert.Equal(t, "The access token is invalid or has expired", message)
		})
	}
}

func TestServeHTTPWithoutTheNetwork(t *testing.T) {
	t.Parallel()
	srv := drifttest.Start(t, drifttest.WithDemoData())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://drift.example/v2/tags/1", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+drifttest.DefaultToken)
	r.Header.Set("Accept", "application/json")

	rec := httptest.NewRecorder()
	srv.ServeHTTP(rec, r)
	assert.Equal(t, http.StatusOK, rec.Code)

	for _, stage := range []drifttest.Stage{drifttest.DropBeforeAnswer, drifttest.DropAfterHandling, drifttest.DropInHeaders, drifttest.DropInBody} {
		srv.Fail("tags.get", drifttest.Fault{Drop: stage})
		assert.PanicsWithValue(t, http.ErrAbortHandler, func() { srv.ServeHTTP(httptest.NewRecorder(), r) })
	}
	srv.Close()
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() { srv.ServeHTTP(httptest.NewRecorder(), r) })
}
