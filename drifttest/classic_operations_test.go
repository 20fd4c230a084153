package drifttest_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/drifttest"
)

// One request of each operation of the classic API against the demo account, with what its answer must hold.
var classicRequests = []struct{ operation, path, body, want string }{
	{"contacts.create", "contacts", `{"attributes":{"email":"n@x.example","name":"Nora","plan":"pro","externalId":"x-1"}}`,
		`{"id":32,"attributes":{"email":"n@x.example","name":"Nora","plan":"pro","externalId":"x-1"}}`},
	{"contacts.get", "contacts/1", "", `{"id":1,"createdAt":1767603600000,"attributes":{"email":"grace.abbott@customer01.example",` +
		`"name":"Grace Abbott","plan":"free","externalId":null,"tags":[{"name":"vip","color":"d4af37"}]}}`},
	{"contacts.listByEmail", "contacts?email=Grace.Abbott@customer01.example&limit=1", "", `[{"id":1}]`},
	{"contacts.listByExternalId", "contacts?idType=external&id=crm-7&id=crm-8", "", `[{"id":31}]`},
	{"contacts.update", "contacts/1", `{"attributes":{"plan":"pro","name":null}}`, `{"id":1,"attributes":{"plan":"pro"}}`},
	{"contacts.updateByExternalId", "contacts/normalize?idType=external&id=crm-7", `{"attributes":{"plan":"pro"}}`,
		`{"id":31,"attributes":{"plan":"pro","externalId":"crm-7"}}`},
	{"contacts.delete", "contacts/1", "", `{"result":"OK","ok":true}`},
	{"contacts.unsubscribe", "emails/unsubscribe", `["a@x.example"]`, `{"result":"OK","ok":true}`},
	{"contacts.createTimelineEvent", "contacts/timeline", `{"contactId":1,"event":"Bought a Hat","createdAt":5}`,
		`{"attributes":{},"event":"bought a hat","createdAt":5,"contactId":1}`},
	{"contacts.listAttributes", "contacts/attributes", "", `[{"name":"email","displayName":"Email","type":"STRING"}]`},
	{"contacts.listTags", "contacts/1/tags", "", `[{"name":"vip","color":"d4af37"}]`},
	{"contacts.addTags", "contacts/1/tags", `[{"name":"new","color":"0960C5"},{"name":"bug"}]`,
		`[{"name":"vip","color":"d4af37"},{"name":"new","color":"0960C5"},{"name":"bug","color":"c0392b"}]`},
	{"contacts.removeTag", "contacts/1/tags/vip", "", `{"result":"OK","ok":true}`},
	{"contacts.removeTags", "contacts/1/tags/delete/_bulk", `["vip"]`, `{"result":"OK","ok":true}`},
	{"users.list", "users/list", "", `[{"id":1,"name":"Ada Byron","role":"admin","bot":false}]`},
	{"users.get", "users/7", "", `{"id":7,"name":"Driftbot","bot":true}`},
	{"users.getMany", "users?userId=2&userId=999&userId=3", "", `{"2":{"id":2,"name":"Ben Okafor"},"3":{"id":3,"name":"Chloe Martin"}}`},
	{"users.update", "users/update?userId=2", `{"availability":"OFFLINE","phone":"617-555-0101"}`,
		`{"id":2,"availability":"OFFLINE","phone":"617-555-0101","name":"Ben Okafor"}`},
	{"meetings.list", "users/meetings/org?min_start_time=0&max_start_time=1800000000000&limit=1", "",
		`[{"agentId":4,"bookedBy":4,"eventId":"1","schedulerId":1,"conversationId":1,"slotStart":1769403600000,` +
			`"slotEnd":1769405400000,"meetingNotes":"Agenda follows.","conferenceDetails":{"join_url":"https://meet.acme.example/kick-off"}}]`},
	{"conversations.list", "conversations/list?page_token=&limit=1&statusId=2", "", `[{"id":59,"status":"closed"}]`},
	{"conversations.get", "conversations/42", "", `{"id":42,"status":"bulk_sent","participants":[2],"conversationTags":[{"name":"trial","color":"2e86c1"}]}`},
	{"conversations.create", "conversations/new", `{"email":"new@x.example","message":{"body":"<p>Hi</p>","attributes":{"autoAssigneeId":4}}}`,
		`{"id":61,"status":"open","contactId":32,"participants":[4]}`},
	{"conversations.stats", "conversations/stats", "", `{"OPEN":20,"CLOSED":20,"PENDING":10}`},
	{"conversations.getTranscript", "conversations/1/transcript", "", "Jan 07, 01:00:00 AM UTC Grace Abbott: Hello! Invoice is missing a VAT number.\n" +
		"Jan 07, 02:00:00 AM UTC Bot (Agent): Thank you, somebody will be with you in a moment.\nJan 07, 07:00:00 AM UTC Ada Byron (Agent): Called back, all is well.\n"},
	{"conversations.getJSONTranscript", "conversations/1/json_transcript", "", `{"messages":[{"id":1,"type":"chat"}]}`},
	{"messages.list", "conversations/1/messages", "",
		`[{"id":1,"conversationId":1,"author":{"id":1,"type":"contact","bot":false},"attachments":[{"id":1,"fileName":"invoice.txt",` +
			`"mimeType":"text/plain","url":"https://driftapi.com/attachments/1/data"}]},{"id":2},{"id":1099511627777,"type":"private_note"}]`},
	{"messages.create", "conversations/2/messages", `{"type":"chat","body":"<p>&amp;</p>","userId":3,"buttons":[{"label":"Yes","value":"Yes","type":"reply"}]}`,
		`{"conversationId":2,"type":"chat","body":"<p>&amp;</p>","author":{"id":3,"type":"user","bot":false},"buttons":[{"label":"Yes","value":"Yes","type":"reply"}]}`},
	{"attachments.download", "attachments/2/data", "", "id,name\n1,Ada\n2,Ben\n"},
	{"accounts.create", "accounts/create", `{"ownerId":2,"domain":"new.example","name":"New","customProperties":[{"name":"n","label":"N","type":"NUMBER","value":1}]}`,
		`{"accountId":"14_new.example","ownerId":2,"domain":"new.example","deleted":false,"targeted":false}`},
	{"accounts.get", "accounts/acme.example", "", `{"accountId":"acme.example","ownerId":1,"domain":"acme.example"}`},
	{"accounts.list", "accounts?index=10&size=2", "", `[{"accountId":"123459_customer10.example"},{"accountId":"123460_customer11.example"}]`},
	{"accounts.update", "accounts/update", `{"accountId":"acme.example","ownerId":3,"targeted":true}`,
		`{"accountId":"acme.example","ownerId":3,"targeted":true,"name":"acme.example"}`},
	{"accounts.delete", "accounts/acme.example", "", `{"result":"OK","ok":true}`},
	{"playbooks.list", "playbooks/list", "", `[{"id":1,"name":"Book a demo","reportType":"BOOK_MORE_MEETINGS"}]`},
	{"playbooks.listLandingPages", "playbooks/clp", "", `[{"playbookId":1,"playbookName":"Book a demo","landingPageUrl":"https://acme.example/book-a-demo"}]`},
	{"teams.list", "teams/org", "", `[{"id":1,"name":"Support","members":[1,2,3,6],"teamAvailabilityMode":"ALWAYS_ONLINE"}]`},
	{"teams.listByUser", "teams/users/4", "", `[{"id":2,"name":"Sales"}]`},
	{"app.uninstall", "app/uninstall?clientId=drifttest-client&clientSecret=drifttest-secret", "", `{"result":"OK","ok":true}`},
	{"app.tokenInfo", "app/token_info", `{"access_token":"` + drifttest.DefaultToken + `"}`,
		`{"access_token":"` + drifttest.DefaultToken + `","authenticated_userid":"orgId:1","token_type":"bearer","expires_in":0}`},
	{"gdpr.retrieve", "gdpr/retrieve", `{"email":"grace.abbott@customer01.example"}`, `{"sentToEmail":"ada@acme.example"}`},
	{"gdpr.delete", "gdpr/delete", `{"email":"grace.abbott@customer01.example"}`, `{"message":"Your delete is processing"}`},
	{"scim.listUsers", "scim/Users?startIndex=2&count=1", "", `[{"id":"2","userName":"ben@acme.example"}]`},
	{"scim.getUser", "scim/Users/1", "", `{"id":"1","userName":"ada@acme.example","displayName":"Ada Byron","active":true,"roles":[{"value":"ADMIN","display":"admin","primary":true}]}`},
	{"scim.createUser", "scim/Users", `{"schemas":["urn:scim:schemas:core:2.0"],"userName":"zoe@acme.example","displayName":"Zoe Quist",` +
		`"roles":[{"value":"AGENT"}],"name":{"givenName":"Zoe","familyName":"Quist"}}`,
		`{"id":"8","userName":"zoe@acme.example","displayName":"Zoe Quist","schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]}`},
	{"scim.replaceUser", "scim/Users/2", `{"userName":"b@acme.example","displayName":"B"}`, `{"id":"2","userName":"b@acme.example","displayName":"B"}`},
	{"scim.updateUser", "scim/Users/2", `{"active":false}`, `{"id":"2","userName":"ben@acme.example","active":false}`},
	{"scim.deleteUser", "scim/Users/2", "", `{"result":"OK","ok":true}`},
	{"reports.conversations", "reports/conversations", `{"filters":[{"property":"createdAt","operation":"BETWEEN","values":["2026-01-07","2026-01-08"]}],` +
		`"metrics":["numBotMessages","timeToCloseMillis","status"]}`, `[{"conversationId":1,"metrics":[1,"NaN","NaN"]}]`},
	{"reports.conversationSummary", "reports/conversation-summary", `{"filters":[{"property":"status","operation":"IN","values":["closed"]}],` +
		`"metrics":[{"type":"AVG","property":"timeToCloseMillis"}]}`, `{"count":20,"data":[{"type":"AVG","property":"timeToCloseMillis","value":21600000}]}`},
}

// classicTable returns the rows of the table by operation, but for the token endpoint.
func classicTable(t *testing.T) map[string][]string {
	t.Helper()
	data, err := os.ReadFile("../testdata/classic.tsv")
	require.NoError(t, err)
	rows := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		columns := strings.Split(strings.TrimRight(line, "\n"), "\t")
		rows[columns[0]] = columns
	}
	delete(rows, "operation")
	delete(rows, "oauth.token")
	return rows
}

func startDemo(t *testing.T) *wire {
	t.Helper()
	w := start(t, drifttest.WithDemoData(), drifttest.WithClock(newClock("2026-01-30T00:00:00Z").Now))
	res := w.send("POST", "contacts", `{"attributes":{"email":"crm@x.example","externalId":"crm-7"}}`)
	require.Equal(t, 200, res.status)
	w.Reset()
	return w
}

func accept(raw bool) edit {
	if raw {
		return header("Accept", "*/*")
	}
	return func(*http.Request) {}
}

func TestEveryClassicOperation(t *testing.T) {
	t.Parallel()
	table := classicTable(t)
	require.Len(t, classicRequests, len(table))
	for _, test := range classicRequests {
		t.Run(test.operation, func(t *testing.T) {
			t.Parallel()
			row := table[test.operation]
			shape, at := row[5], row[9]
			raw := shape == "text" || shape == "bytes"
			w := startDemo(t)
			res := w.send(row[1], test.path, test.body, accept(raw))
			require.NoError(t, res.err)
			assert.Equal(t, 1, w.Count("classic."+test.operation))
			want := http.StatusOK
			if test.operation == "contacts.delete" {
				want = http.StatusAccepted
			}
			require.Equal(t, want, res.status, "%s", res.body)
			if raw {
				assert.Equal(t, test.want, string(res.body))
				return
			}
			assert.Equal(t, "application/json", res.header.Get("Content-Type"))
			checkShape(t, shape, res.body)
			var expected any
			require.NoError(t, json.Unmarshal([]byte(test.want), &expected))
			assert.Equal(t, expected, partOf(valueAt(t, res.body, at), expected), "%s", res.body)
		})
	}
}

// partOf drops the members and items that nothing is expected of.
func partOf(have, want any) any {
	switch want := want.(type) {
	case []any:
		list, _ := have.([]any)
		part := []any{}
		for i := range min(len(list), len(want)) {
			part = append(part, partOf(list[i], want[i]))
		}
		return part
	case map[string]any:
		members, _ := have.(map[string]any)
		part := map[string]any{}
		for name := range want {
			if member, ok := members[name]; ok {
				part[name] = partOf(member, want[name])
			}
		}
		return part
	}
	return have
}

// valueAt follows a JSON pointer; "-" is the whole body.
func valueAt(t *testing.T, body []byte, pointer string) any {
	t.Helper()
	var value any
	require.NoError(t, json.Unmarshal(body, &value))
	if pointer == "-" {
		return value
	}
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		members, ok := value.(map[string]any)
		require.True(t, ok, "%s: %s", pointer, body)
		value = members[name]
	}
	return value
}

func checkShape(t *testing.T, shape string, body []byte) {
	t.Helper()
	var value any
	require.NoError(t, json.Unmarshal(body, &value))
	top, isObject := value.(map[string]any)
	data := top["data"]
	switch shape {
	case "data-object", "data-map":
		assert.IsType(t, map[string]any{}, data)
	case "data-list":
		assert.IsType(t, []any{}, data)
	case "bare-object":
		assert.True(t, isObject)
		assert.False(t, len(top) == 1 && data != nil, "no envelope")
	case "bare-list":
		assert.IsType(t, []any{}, value)
	case "ok":
		assert.Equal(t, map[string]any{"result": "OK", "ok": true}, value)
	default:
		assert.Fail(t, "no such shape", shape)
	}
}
