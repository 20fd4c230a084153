package drifttest_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/internal/testkit"
)

// One request of each operation against the demo account, with what its answer must hold.
func TestEveryOperation(t *testing.T) {
	t.Parallel()
	tests := []struct {
		operation, method, path, body, want string
	}{
		{"conversations.get", "GET", "v2/conversations/42", "", `{"id":42,"status":"bulk_sent"}`},
		{"conversations.create", "POST", "v2/conversations", `{"users":[2,3],"labels":["a"],"tags":["b"],"background_mode":true}`,
			`{"id":61,"status":"open","participants":[2,3],"member_count":2,"labels":["a"],"tags":["b"]}`},
		{"conversations.createFromScratch", "POST", "v2/conversations/create", `{"email":"new@x.example","title":"T","assigned_user_id":7}`,
			`{"id":61,"contact_id":31,"email":"new@x.example","title":"T","assigned_user_id":7}`},
		{"conversations.update", "PATCH", "v2/conversations/1", `{"assigned_user_id":9}`, `{"id":1,"assigned_user_id":9}`},
		{"conversations.delete", "DELETE", "v2/conversations/1", "", ""},
		{"conversations.list", "GET", "v2/conversations?limit=1", "", `[{"id":1}]`},
		{"conversations.listByStatus", "GET", "v2/conversations/status/pending?limit=1&archived=false", "", `[{"id":3,"status":"pending"}]`},
		{"messages.get", "GET", "v2/conversations/1/messages/2", "", `{"id":2,"conversation_id":1,"author":{"id":1,"type":"user","bot":true}}`},
		{"messages.create", "POST", "v2/conversations/2/messages", `{"body":"<p>&amp;</p>","client_message_id":"k","conversation_id":2,"labels":["l"],"use_custom_avatar":true}`,
			`{"conversation_id":2,"body":"<p>&amp;</p>","client_message_id":"k","labels":["l"],"use_custom_avatar":true,"type":"chat"}`},
		{"messages.update", "PATCH", "v2/conversations/1/messages/2", `{"reply":true,"type":"private_note"}`, `{"id":2,"reply":true,"type":"private_note"}`},
		{"contacts.get", "GET", "v2/contacts/1", "", `{"id":1,"email":"grace.abbott@customer01.example"}`},
		{"contacts.create", "POST", "v2/contacts", `{"users":[1],"tags":["vip"]}`, `{"id":31,"users":[1],"tags":["vip"]}`},
		{"contacts.upsertByEmail", "POST", "v2/contacts/raw", `{"email":"GRACE.abbott@customer01.example"}`, `{"id":1,"email":"GRACE.abbott@customer01.example"}`},
		{"contacts.update", "PATCH", "v2/contacts/1", `{"email":"g@x.example","background_mode":false}`, `{"id":1,"email":"g@x.example"}`},
		{"contacts.delete", "DELETE", "v2/contacts/1", "", ""},
		{"contacts.list", "GET", "v2/contacts?search=INES&limit=1", "", `[{"id":3}]`},
		{"contacts.matchEmail", "GET", "v2/contacts/match-email?email=Grace.Abbott@customer01.example", "", `{"id":1}`},
		{"notes.get", "GET", "v2/conversations/1/timeline/notes/1", "", `{"id":1,"conversation_id":1,"type":"call"}`},
		{"notes.create", "POST", "v2/conversations/2/timeline/notes", `{"body":"b","client_id":"c","client_created_at":5,"created_at":6,"tags":["t"],"type":"x","user":3}`,
			`{"conversation_id":2,"body":"b","client_id":"c","client_created_at":5,"created_at":6,"tags":["t"],"type":"x","user":3}`},
		{"notes.update", "PATCH", "v2/conversations/1/timeline/notes/1", `{"closed":true}`, `{"id":1,"closed":true}`},
		{"tags.get", "GET", "v2/tags/1", "", `{"id":1,"name":"vip","color":"#d4af37"}`},
		{"tags.create", "POST", "v2/tags", `{"name":"n","color":"c","description":"d","enabled":false,"background_mode":true}`,
			`{"id":5,"name":"n","color":"c","description":"d","enabled":false,"background_mode":true}`},
		{"tags.update", "PATCH", "v2/tags/1", `{"color":"0f0"}`, `{"id":1,"name":"vip","color":"0f0"}`},
		{"tags.delete", "DELETE", "v2/tags/1", "", ""},
		{"companies.listPeople", "GET", "v2/companies/acme.example/people?search=ada&scope=all", "", `[{"id":1,"name":"Ada Byron","company_id":"acme.example"}]`},
		{"companies.listTeams", "GET", "v2/companies/acme.example/teams?search=sal", "", `[{"id":2,"name":"Sales","members":[4,5]}]`},
		{"meetings.get", "GET", "v2/meetings/1", "", `{"id":1,"subject":"Kick-off","participant_ids":[1,2],"in_progress":false}`},
		{"meetings.create", "POST", "v2/meetings", `{"start_at":1,"duration":30,"conversation_id":1,"created_by":2,"updated_by":3}`,
			`{"id":5,"start_at":1,"duration":30,"conversation_id":1,"created_by":2,"updated_by":3}`},
		{"meetings.update", "PATCH", "v2/meetings/1", `{"subject":"S","participant_ids":[2],"location":null}`, `{"id":1,"subject":"S","participant_ids":[2]}`},
		{"meetings.delete", "DELETE", "v2/meetings/1", "", ""},
		{"meetings.list", "GET", "v2/meetings?direction=outbound&use_precise_filters=true", "", `[{"id":2},{"id":4}]`},
		{"meetings.addParticipant", "POST", "v2/meetings/1/participants", `{"email":"p@x.example","first_name":"P","last_name":"Q"}`,
			`{"id":9,"meeting_id":1,"email":"p@x.example","first_name":"P","last_name":"Q"}`},
		{"driftbot.updateMessage", "PATCH", "v2/conversations/1/driftbot", `{"body":"B"}`, `{"id":2,"body":"B"}`},
		{"driftbot.trigger", "POST", "v2/conversations/1/driftbot/trigger", `{"action_id":"a","conversation_id":1,"payload":{"n":1.50}}`,
			`{"conversation_id":1,"action_id":"a","status":"completed","payload":{"n":1.50}}`},
	}
	require.Len(t, tests, len(testkit.Catalogue(t)))
	for _, test := range tests {
		t.Run(test.operation, func(t *testing.T) {
			t.Parallel()
			w := start(t, drifttest.WithDemoData())
			res := w.send(test.method, test.path, test.body)
			require.NoError(t, res.err)
			assert.Equal(t, 1, w.Count(test.operation))
			assert.Equal(t, "drifttest-000001", res.header.Get("X-Request-Id"))
			if test.want == "" {
				assert.Equal(t, http.StatusNoContent, res.status)
				assert.Empty(t, res.body)
				assert.Empty(t, res.header.Get("Content-Type"))
				return
			}
			assert.Equal(t, "application/json", res.header.Get("Content-Type"))
			require.Equal(t, http.StatusOK, res.status, "%s", res.body)
			assertContains(t, test.want, res.body)
		})
	}
}

// assertContains holds what is under "data" against a part of it: other fields of a record may be there.
func assertContains(t *testing.T, want string, body []byte) {
	t.Helper()
	var envelope struct{ Data any }
	require.NoError(t, json.Unmarshal(body, &envelope))
	var expected any
	require.NoError(t, json.Unmarshal([]byte(want), &expected))
	assert.Equal(t, expected, reduce(envelope.Data, expected), "%s", body)
}

// reduce drops the fields that nothing is expected of.
func reduce(have, want any) any {
	switch want := want.(type) {
	case []any:
		list, _ := have.([]any)
		for i := range list {
			list[i] = reduce(list[i], want[min(i, len(want)-1)])
		}
		return list
	case map[string]any:
		record, _ := have.(map[string]any)
		for name := range record {
			if _, ok := want[name]; !ok {
				delete(record, name)
			}
		}
	}
	return have
}

func TestDeletedIsNotFound(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"v2/conversations/1", "v2/contacts/1", "v2/tags/1", "v2/meetings/1"} {
		w := start(t, drifttest.WithDemoData())
		assert.Equal(t, http.StatusNoContent, w.send(http.MethodDelete, path, "").status)
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			kind, message := w.refused(http.StatusNotFound, method, path, "")
			assert.Equal(t, "not_found", kind)
			assert.Contains(t, message, "1")
		}
	}
}

func TestDeleteConversationTakesMessagesAndNotes(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithDemoData())
	w.send(http.MethodDelete, "v2/conversations/1", "")
	for _, path := range []string{"v2/conversations/1/messages/1", "v2/conversations/1/timeline/notes/1"} {
		w.refused(http.StatusNotFound, http.MethodGet, path, "")
	}
	w.refused(http.StatusNotFound, http.MethodPost, "v2/conversations/1/messages", `{"body":"x"}`)
	w.refused(http.StatusNotFound, http.MethodPost, "v2/conversations/1/timeline/notes", `{"body":"x"}`)
	w.refused(http.StatusNotFound, http.MethodPost, "v2/conversations/1/driftbot/trigger", `{}`)
}

func TestRecordsOfAnotherOwnerAreNotFound(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithDemoData())
	for _, path := range []string{"v2/conversations/2/messages/1", "v2/conversations/2/timeline/notes/1"} {
		w.refused(http.StatusNotFound, http.MethodGet, path, "")
		w.refused(http.StatusNotFound, http.MethodPatch, path, `{"body":"x"}`)
	}
	w.refused(http.StatusNotFound, http.MethodGet, "v2/companies/nobody.example/people", "")
	w.refused(http.StatusNotFound, http.MethodGet, "v2/contacts/match-email?email=nobody@x.example", "")
}

func TestPatch(t *testing.T) {
	t.Parallel()
	c := newClock("2026-03-01T10:00:00Z")
	w := start(t, drifttest.WithClock(c.Now))
	created := w.ok(http.MethodPost, "v2/conversations/create",
		`{"title":"T","assigned_user_id":3,"labels":["a"],"custom_attributes":{"plan":"pro","seats":9007199254740993,"rate":1.10}}`)
	assert.Equal(t, json.Number("1772359200000"), created["created_at"])

	c.advance(1500 * 1000 * 1000)
	changed := w.ok(http.MethodPatch, "v2/conversations/1", `{"assigned_user_id":null,"labels":[],"custom_attributes":{"plan":null,"tier":2}}`)

	assert.Equal(t, "T", changed["title"], "absent is untouched")
	assert.NotContains(t, changed, "assigned_user_id", "null clears")
	assert.Equal(t, []any{}, changed["labels"])
	assert.Equal(t, map[string]any{"seats": json.Number("9007199254740993"), "rate": json.Number("1.10"), "tier": json.Number("2")},
		changed["custom_attributes"], "maps merge, null clears one key, numbers keep their digits")
	assert.Equal(t, json.Number("1772359200000"), changed["created_at"])
	assert.Equal(t, json.Number("1772359201500"), changed["updated_at"])

	cleared := w.ok(http.MethodPatch, "v2/conversations/1", `{"custom_attributes":null}`)
	assert.NotContains(t, cleared, "custom_attributes")
	assert.Equal(t, cleared, w.ok(http.MethodGet, "v2/conversations/1", ""))
}

func TestCreateFromScratchFindsItsContact(t *testing.T) {
	t.Parallel()
	w := start(t)
	contact := w.ok(http.MethodPost, "v2/contacts/raw", `{"email":"a@x.example"}`)
	first := w.ok(http.MethodPost, "v2/conversations/create", `{"email":"A@X.example"}`)
	second := w.ok(http.MethodPost, "v2/conversations/create", `{"email":"b@x.example"}`)

	assert.Equal(t, contact["id"], first["contact_id"])
	assert.Equal(t, []int{1, 2}, w.list("v2/contacts").ids())
	assert.Equal(t, json.Number("2"), second["contact_id"])
	assert.NotContains(t, w.ok(http.MethodPost, "v2/conversations/create", `{}`), "contact_id")
}

func TestMessageSentTwiceIsThereTwice(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.ok(http.MethodPost, "v2/conversations", `{}`)
	first := w.ok(http.MethodPost, "v2/conversations/1/messages", `{"body":"x","client_message_id":"k"}`)
	second := w.ok(http.MethodPost, "v2/conversations/1/messages", `{"body":"x","client_message_id":"k"}`)
	assert.NotEqual(t, first["id"], second["id"])
	assert.Equal(t, second["created_at"], w.ok(http.MethodGet, "v2/conversations/1", "")["last_message_sent_at"])
}

func TestDriftbot(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.ok(http.MethodPost, "v2/conversations", `{}`)
	w.refused(http.StatusNotFound, http.MethodPatch, "v2/conversations/1/driftbot", `{"body":"x"}`)

	interaction := w.ok(http.MethodPost, "v2/conversations/1/driftbot/trigger", `{"action_id":"<a>","payload":null}`)
	assert.IsType(t, "", interaction["id"])
	assert.Contains(t, interaction, "payload")
	bot := w.ok(http.MethodGet, "v2/conversations/1/messages/1", "")
	assert.Equal(t, "Ran action &lt;a&gt;", bot["body"])

	w.ok(http.MethodPost, "v2/conversations/1/messages", `{"body":"not the bot's"}`)
	changed := w.ok(http.MethodPatch, "v2/conversations/1/driftbot", `{"body":"B","labels":["l"]}`)
	assert.Equal(t, bot["id"], changed["id"])
	assert.Equal(t, "B", w.ok(http.MethodGet, "v2/conversations/1/messages/1", "")["body"])
}

func TestMeetingShowsParticipantsAndProgress(t *testing.T) {
	t.Parallel()
	c := newClock("2026-03-01T10:00:00Z")
	w := start(t, drifttest.WithClock(c.Now))
	w.ok(http.MethodPost, "v2/meetings", `{"start_at":1772359200000,"duration":30}`)
	w.ok(http.MethodPost, "v2/meetings/1/participants", `{"email":"p@x.example","first_name":"Pia","last_name":"Q"}`)

	meeting := w.ok(http.MethodGet, "v2/meetings/1", "")
	assert.Equal(t, true, meeting["in_progress"])
	assert.Equal(t, []any{json.Number("1")}, meeting["participant_ids"])
	assert.Equal(t, []any{map[string]any{"id": json.Number("1"), "meeting_id": json.Number("1"), "email": "p@x.example",
		"first_name": "Pia", "last_name": "Q"}}, meeting["participants"])
	assert.Equal(t, []int{1}, w.list("v2/meetings?in_progress=true").ids())

	ended := w.ok(http.MethodPatch, "v2/meetings/1", `{"ended_at":1772359200000}`)
	assert.Equal(t, false, ended["in_progress"])
}
