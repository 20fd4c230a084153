package drifttest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/drifttest"
)

// What the contact service, conversations and all others answer to a bad request.
func TestClassicErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"no contact", "GET", "contacts/99", "", 404, `{"code":"CONTACT-1","message":"There is no contact 99"}`},
		{"malformed", "POST", "contacts", `{`, 400, `{"code":"CONTACT-4","message":"body: must be one JSON value in UTF-8"}`},
		{"unknown member", "POST", "contacts", `{"email":"a@x.example"}`, 400, `{"code":"CONTACT-4","message":"email: unknown parameter"}`},
		{"null in a create", "POST", "contacts", `{"attributes":{"email":"a@x.example","plan":null}}`, 400,
			`{"code":"CONTACT-4","message":"attributes: must not have a null value"}`},
		{"email taken", "POST", "contacts", `{"attributes":{"email":"grace.abbott@customer01.example"}}`, 409,
			`{"code":"CONTACT-6","message":"There is a contact with this email"}`},
		{"external id taken", "POST", "contacts", `{"attributes":{"email":"b@x.example","externalId":"crm-7"}}`, 409,
			`{"code":"CONTACT-6","message":"There is a contact with this externalId"}`},
		{"no email", "POST", "contacts", `{"attributes":{"name":"N"}}`, 400, `{"code":"CONTACT-7","message":"attributes: must have an email"}`},
		{"no attributes", "POST", "contacts", `{}`, 400, `{"code":"CONTACT-8","message":"attributes: must not be empty"}`},
		{"no changes", "PATCH", "contacts/1", `{"attributes":{}}`, 400, `{"code":"CONTACT-8","message":"attributes: must not be empty"}`},
		{"bad tags", "PATCH", "contacts/1", `{"attributes":{"tags":["vip"]}}`, 400,
			`{"code":"CONTACT-9","message":"attributes: must have a list of objects with name and color as the tags"}`},
		{"unknown tag", "DELETE", "contacts/1/tags/nope", "", 400, `{"code":"CONTACT-9","message":"tags: the contact does not have every tag"}`},
		{"stray parameter", "GET", "contacts?email=a@x.example&cursor=1", "", 400, `{"code":"CONTACT-10","message":"cursor: unknown parameter"}`},
		{"id without its type", "GET", "contacts?id=crm-7", "", 400, `{"code":"CONTACT-10","message":"id: unknown parameter"}`},
		{"neither", "GET", "contacts", "", 400, `{"code":"CONTACT-11","message":"email: is missing"}`},
		{"other type of id", "GET", "contacts?id=crm-7&idType=drift", "", 400, `{"code":"CONTACT-11","message":"idType: must be external"}`},
		{"both ids", "POST", "contacts/timeline", `{"event":"e","contactId":1,"externalId":"crm-7"}`, 400,
			`{"code":"CONTACT-11","message":"contactId: give either contactId or externalId"}`},
		{"contactId 0", "POST", "contacts/timeline", `{"event":"e","contactId":0,"externalId":"crm-7"}`, 400,
			`{"code":"CONTACT-4","message":"contactId: must be an integer greater than 0"}`},
		{"object for a list", "POST", "emails/unsubscribe", `{"email":"a@x.example"}`, 400,
			`{"code":"CONTACT-4","message":"body: must be a list of e-mail addresses"}`},

		{"no conversation", "GET", "conversations/99", "", 404, `{"error":{"type":"not_found","message":"There is no conversation 99"}}`},
		{"status by name", "GET", "conversations/list?statusId=OPEN", "", 400,
			`{"errors":[{"type":"validation_error","message":"statusId: must be a list of 1, 2 and 3","param":"statusId"}]}`},
		{"bad token", "GET", "conversations/list?page_token=x", "", 400,
			`{"errors":[{"type":"validation_error","message":"page_token: must be a token of this list","param":"page_token"}]}`},
		{"offset", "GET", "conversations/list?next=25", "", 400,
			`{"errors":[{"type":"validation_error","message":"next: unknown parameter","param":"next"}]}`},
		{"no type", "POST", "conversations/1/messages", `{"body":"x"}`, 400,
			`{"errors":[{"type":"validation_error","message":"type: is missing","param":"type"}]}`},
		{"orgId of old", "POST", "conversations/1/messages", `{"type":"chat","body":"x","orgId":1}`, 400,
			`{"errors":[{"type":"validation_error","message":"orgId: unknown parameter","param":"orgId"}]}`},
		{"button of another kind", "POST", "conversations/1/messages", `{"type":"chat","buttons":[{"label":"A","value":"B","type":"reply"}]}`, 400,
			`{"errors":[{"type":"validation_error","message":"buttons: a chat message has only reply buttons, whose value equals the label","param":"buttons"}]}`},

		{"21 users", "GET", "users?userId=1" + strings.Repeat("&userId=1", 20), "", 400,
			`{"error":{"type":"validation_error","message":"userId: must be a list of 1 to 20 user ids"}}`},
		{"availability", "PATCH", "users/update?userId=1", `{"availability":"ON_CALL"}`, 400,
			`{"error":{"type":"validation_error","message":"availability: must be AVAILABLE or OFFLINE"}}`},
		{"role", "PATCH", "users/update?userId=1", `{"role":"admin"}`, 400,
			`{"error":{"type":"validation_error","message":"role: unknown parameter"}}`},
		{"66 accounts", "GET", "accounts?size=66", "", 400, `{"error":{"type":"validation_error","message":"size: must be an integer from 1 to 65"}}`},
		{"owner_id", "POST", "accounts/create", `{"owner_id":1}`, 400, `{"error":{"type":"validation_error","message":"owner_id: unknown parameter"}}`},
		{"update without owner", "PATCH", "accounts/update", `{"accountId":"acme.example"}`, 400,
			`{"error":{"type":"validation_error","message":"ownerId: is missing"}}`},
		{"domain taken", "POST", "accounts/create", `{"ownerId":1,"domain":"acme.example"}`, 409,
			`{"error":{"type":"conflict","message":"There is an account with this domain"}}`},
		{"meetings without an end", "GET", "users/meetings/org?min_start_time=0", "", 400,
			`{"error":{"type":"validation_error","message":"max_start_time: is missing"}}`},
		{"unknown property", "POST", "reports/conversations", `{"filters":[],"metrics":["mood"]}`, 400,
			`{"error":{"type":"validation_error","message":"property: is unknown: mood"}}`},
		{"PatchOp", "PATCH", "scim/Users/1", `{"Operations":[]}`, 400, `{"error":{"type":"validation_error","message":"Operations: unknown parameter"}}`},
		{"wrong secret", "POST", "app/uninstall?clientId=drifttest-client&clientSecret=x", "", 403,
			`{"error":{"type":"authentication_error","message":"clientId or clientSecret is wrong"}}`},
		{"JSON of a transcript", "GET", "conversations/1/transcript", "", 400,
			`{"errors":[{"type":"validation_error","message":"Accept: must be */*","param":"Accept"}]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := startDemo(t)
			res := w.send(test.method, test.path, test.body)
			require.NoError(t, res.err)
			assert.Equal(t, test.status, res.status)
			assert.JSONEq(t, test.want, string(res.body))
		})
	}
}

func TestClassicFaultsAnswerInTheShapeOfTheOperation(t *testing.T) {
	t.Parallel()
	w := startDemo(t)
	for status, want := range map[int]string{
		404: `{"code":"CONTACT-1","message":"Not Found"}`,
		409: `{"code":"CONTACT-6","message":"Conflict"}`,
		500: `{"code":"CONTACT-5","message":"Internal Server Error"}`,
		401: `{"error":{"type":"authentication_error","message":"Unauthorized"}}`,
		429: `{"error":{"type":"rate_limit","message":"Too Many Requests"}}`,
		503: `{"error":{"type":"internal_error","message":"Service Unavailable"}}`,
	} {
		w.Fail("classic.contacts.get", drifttest.Fault{Status: status})
		res := w.send("GET", "contacts/1", "")
		assert.Equal(t, status, res.status)
		assert.JSONEq(t, want, string(res.body))
	}
	assert.Equal(t, 200, w.send("GET", "contacts/1", "").status)
	w.Fail("GET conversations/{id}/messages", drifttest.Fault{Status: 400})
	assert.JSONEq(t, `{"errors":[{"type":"validation_error","message":"Bad Request"}]}`, string(w.send("GET", "conversations/1/messages", "").body))
}
