package drifttest_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

// parametersOf reads the catalogue.
func parametersOf(t *testing.T, operation string) []string {
	t.Helper()
	data, err := os.ReadFile("../testdata/operations.tsv")
	require.NoError(t, err)
	for line := range strings.Lines(string(data)) {
		if columns := strings.Split(line, "\t"); columns[0] == operation {
			return strings.Split(columns[3], ", ")
		}
	}
	require.Fail(t, "no such operation", operation)
	return nil
}

var bodyValues = []string{
	`"x"`, `""`, `true`, `1`, `0`, `-1`, `"1"`, `1.0`, `1.5`, `1e3`, `[]`, `["x"]`, `[1]`, `[0]`, `[null]`, `{}`,
	`{"k":null}`, `9223372036854775807`, `9223372036854775808`,
}

// Every field that a create and an update of a record share takes and refuses the same values in both. Null is for
// updates alone.
func TestUpdatesAreAsStrictAsCreates(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithDemoData())
	for _, test := range []struct{ create, createPath, needed, update, updatePath string }{
		{"conversations.create", "v2/conversations", ``, "conversations.update", "v2/conversations/1"},
		{"conversations.createFromScratch", "v2/conversations/create", ``, "conversations.update", "v2/conversations/1"},
		{"messages.create", "v2/conversations/1/messages", `"body":"x"`, "messages.update", "v2/conversations/1/messages/2"},
		{"messages.create", "v2/conversations/1/messages", `"body":"x"`, "driftbot.updateMessage", "v2/conversations/1/driftbot"},
		{"contacts.create", "v2/contacts", ``, "contacts.update", "v2/contacts/1"},
		{"contacts.upsertByEmail", "v2/contacts/raw", `"email":"a@x.example"`, "contacts.update", "v2/contacts/1"},
		{"notes.create", "v2/conversations/1/timeline/notes", ``, "notes.update", "v2/conversations/1/timeline/notes/1"},
		{"tags.create", "v2/tags", `"name":"x"`, "tags.update", "v2/tags/1"},
		{"meetings.create", "v2/meetings", `"start_at":1`, "meetings.update", "v2/meetings/1"},
	} {
		shared := slices.DeleteFunc(parametersOf(t, test.create), func(name string) bool {
			return !slices.Contains(parametersOf(t, test.update), name)
		})
		require.NotEmpty(t, shared, test.create)
		for _, name := range shared {
			for _, value := range bodyValues {
				member := fmt.Sprintf("%q:%s", name, value)
				needed := ""
				if test.needed != "" && !strings.HasPrefix(test.needed, fmt.Sprintf("%q:", name)) {
					needed = test.needed + ","
				}
				created := w.send(http.MethodPost, test.createPath, "{"+needed+member+"}")
				updated := w.send(http.MethodPatch, test.updatePath, "{"+member+"}")
				assert.Equal(t, created.status, updated.status, "%s and %s: %s", test.create, test.update, member)
			}
		}
	}
}

func TestNullClearsWhatARecordCanBeWithout(t *testing.T) {
	t.Parallel()
	required := map[string]string{
		"messages.update": "body", "driftbot.updateMessage": "body", "tags.update": "name", "meetings.update": "start_at",
	}
	w := start(t, drifttest.WithDemoData())
	for operation, path := range map[string]string{
		"conversations.update": "v2/conversations/1", "messages.update": "v2/conversations/1/messages/2", "contacts.update": "v2/contacts/1",
		"notes.update": "v2/conversations/1/timeline/notes/1", "tags.update": "v2/tags/1", "meetings.update": "v2/meetings/1",
		"driftbot.updateMessage": "v2/conversations/1/driftbot",
	} {
		for _, name := range parametersOf(t, operation) {
			body := fmt.Sprintf(`{%q:null}`, name)
			if name == required[operation] {
				_, message := w.refused(http.StatusBadRequest, http.MethodPatch, path, body)
				assert.Equal(t, name+": must not be empty", message)
				continue
			}
			assert.NotContains(t, w.ok(http.MethodPatch, path, body), name, operation)
		}
	}
}

func TestRequiredKeys(t *testing.T) {
	t.Parallel()
	const (
		messages = "v2/conversations/1/messages"
		notes    = "v2/conversations/1/timeline/notes"
		trigger  = "v2/conversations/1/driftbot/trigger"
	)
	strict := start(t, drifttest.WithDemoData(), drifttest.WithRequiredKeys())
	lenient := start(t, drifttest.WithDemoData())
	for _, test := range []struct{ path, body, missing string }{
		{messages, `{"body":"x","conversation_id":1}`, "client_message_id"},
		{messages, `{"body":"x","conversation_id":1,"client_message_id":""}`, "client_message_id"},
		{messages, `{"body":"x","client_message_id":"k"}`, "conversation_id"},
		{notes, `{"body":"x"}`, "client_id"},
		{trigger, `{"action_id":"x"}`, "conversation_id"},
	} {
		_, message := strict.refused(http.StatusBadRequest, http.MethodPost, test.path, test.body)
		assert.Equal(t, test.missing+": is missing", message)
		lenient.ok(http.MethodPost, test.path, test.body)
	}
	strict.ok(http.MethodPatch, messages+"/2", `{"body":"x"}`)
	strict.ok(http.MethodPatch, notes+"/1", `{"body":"x"}`)

	client := strict.Client()
	_, err := client.Messages.Create(t.Context(), 1, drift.MessageCreateRequest{Body: "x"})
	require.NoError(t, err)
	_, err = client.Notes.Create(t.Context(), 1, drift.NoteCreateRequest{})
	require.NoError(t, err)
	_, err = client.Driftbot.Trigger(t.Context(), 1, drift.DriftbotTriggerRequest{})
	require.NoError(t, err)
}

func TestMemberCount(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.ok(http.MethodPost, "v2/conversations", `{}`)
	w.ok(http.MethodPost, "v2/conversations", `{"users":[1,2]}`)
	w.AddConversation(drift.Conversation{Participants: []drift.UserID{7}})
	w.AddConversation(drift.Conversation{MemberCount: 2})
	for count, ids := range map[int][]int{0: {1}, 1: {3}, 2: {2, 4}, 3: {}} {
		assert.Equal(t, ids, w.list(fmt.Sprintf("v2/conversations?member_count=%d", count)).ids())
	}
}
