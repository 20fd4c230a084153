package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/webhook"
)

func instant(seconds int64) time.Time { return time.UnixMilli(1767225600123 + 1000*seconds).UTC() }

// goldenEvents says for each delivery in testdata what it becomes, and when that happened.
var goldenEvents = map[webhook.EventType]struct {
	event webhook.Event
	at    time.Time
}{
	"contact_identified":               {event: &webhook.ContactIdentified{}},
	"contact_updated":                  {&webhook.ContactUpdated{}, instant(7)},
	"new_message":                      {&webhook.NewMessage{}, instant(1)},
	"new_command_message":              {&webhook.NewCommandMessage{}, instant(1)},
	"new_conversation":                 {&webhook.NewConversation{}, instant(2)},
	"conversation_push":                {event: &webhook.ConversationPush{}},
	"conversation_inactive":            {&webhook.ConversationInactive{}, instant(8)},
	"conversation_manual_push":         {event: &webhook.ConversationManualPush{}},
	"conversation_participant_added":   {&webhook.ConversationParticipantAdded{}, instant(9)},
	"conversation_participant_removed": {&webhook.ConversationParticipantRemoved{}, instant(10)},
	"conversation_status_updated":      {&webhook.ConversationStatusUpdated{}, instant(6)},
	"conversation_status_change":       {&webhook.ConversationStatusUpdated{}, instant(6)},
	"button_clicked":                   {event: &webhook.ButtonClicked{}},
	"button_action":                    {event: &webhook.ButtonAction{}},
	"phone_captured":                   {event: &webhook.PhoneCaptured{}},
	"new_meeting":                      {&webhook.NewMeeting{}, instant(4)},
	"meeting_updated":                  {&webhook.MeetingUpdated{}, instant(5)},
	"playbook_goal_met":                {event: &webhook.PlaybookGoalMet{}},
	"user_availability_updated":        {&webhook.UserAvailabilityUpdated{}, instant(11)},
	"user_unsubscribed":                {event: &webhook.UserUnsubscribed{}},
	"user_unsubscribe":                 {event: &webhook.UserUnsubscribed{}},
	"chat_to_call":                     {event: &webhook.ChatToCall{}},
	"gdpr_delete_requested":            {event: &webhook.GDPRDeleteRequested{}},
	"app_disconnected":                 {event: &webhook.AppDisconnected{}},
	"something_new":                    {event: &webhook.UnknownEvent{}},
}

func golden(t testing.TB, name webhook.EventType) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", string(name)+".json"))
	require.NoError(t, err)
	var compact bytes.Buffer // as encoding/json writes what an event keeps as it came
	require.NoError(t, json.Compact(&compact, text))
	return compact.Bytes()
}

// value decodes any JSON without losing a digit.
func value(t testing.TB, data []byte) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var v any
	require.NoError(t, decoder.Decode(&v), "%s", data)
	return v
}

func TestGoldenDeliveries(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	require.Len(t, files, len(goldenEvents))

	for name, want := range goldenEvents {
		t.Run(string(name), func(t *testing.T) {
			delivery := golden(t, name)
			event, err := webhook.Parse(delivery)
			require.NoError(t, err)
			require.IsType(t, want.event, event)
			assert.Equal(t, name, event.EventType())
			assert.Equal(t, drift.OrgID(123), event.EventOrgID())
			assert.Equal(t, want.at, event.OccurredAt())
			assert.Equal(t, name != "something_new", name.IsKnown())
			if name.IsKnown() {
				requireFilled(t, reflect.ValueOf(event).Elem(), string(name))
			}

			// Out and in again: nothing but the token is lost.
			sent := value(t, delivery).(map[string]any)
			require.Equal(t, testToken, sent["token"])
			delete(sent, "token")
			text, err := json.Marshal(event)
			require.NoError(t, err)
			assert.Equal(t, sent, value(t, text))

			again := reflect.New(reflect.TypeOf(event).Elem()).Interface()
			require.NoError(t, json.Unmarshal(text, again))
			assert.Equal(t, event, again)
			parsed, err := webhook.Parse(text)
			require.NoError(t, err)
			assert.Equal(t, again, parsed)
		})
	}
}

// requireFilled finds fields that a golden delivery does not reach, for instance since their name is another one.
func requireFilled(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch {
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if !v.Field(i).IsZero() {
				requireFilled(t, v.Field(i), path+"."+name)
			} else {
				t.Errorf("%s.%s is not in the golden delivery, or has another name there", path, name)
			}
		}
	case v.Kind() == reflect.Slice && v.Type() != reflect.TypeFor[json.RawMessage]():
		for i := range v.Len() {
			if v.Type() != reflect.TypeFor[[]drift.TagRef]() {
				requireFilled(t, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
			}
		}
	}
}

// Each payload goes through encoding/json by itself too.
func TestPayloadsRoundTrip(t *testing.T) {
	for name := range goldenEvents {
		event, err := webhook.Parse(golden(t, name))
		require.NoError(t, err)
		data := reflect.ValueOf(event).Elem().FieldByName("Data")
		if !data.IsValid() {
			continue
		}
		text, err := json.Marshal(data.Interface())
		require.NoError(t, err)
		sent := value(t, golden(t, name)).(map[string]any)["data"]
		assert.Equal(t, sent, value(t, text), name)

		again := reflect.New(data.Type())
		require.NoError(t, json.Unmarshal(text, again.Interface()))
		assert.Equal(t, data.Interface(), again.Elem().Interface(), name)
	}
}

func parse[E webhook.Event](t testing.TB, delivery string) E {
	t.Helper()
	event, err := webhook.Parse([]byte(delivery))
	require.NoError(t, err)
	require.IsType(t, *new(E), event)
	return event.(E)
}

func TestParseReadsValuesTolerantly(t *testing.T) {
	e := parse[*webhook.ConversationInactive](t, `{"type":"conversation_inactive","orgId":"123","data":{"conversation_id":"42","lastUpdated":"2026-01-01T01:00:00.123+01:00"}}`)
	assert.Equal(t, drift.OrgID(123), e.OrgID)
	assert.Equal(t, drift.ConversationID(42), e.Data.ConversationID)
	assert.Equal(t, instant(0), e.OccurredAt())
	assert.Nil(t, e.Extra)
	assert.Nil(t, e.Data.Extra)

	meeting := parse[*webhook.NewMeeting](t, string(golden(t, "new_meeting"))).Data
	assert.Equal(t, []time.Time{instant(90000), instant(91800), instant(4), instant(5)}, []time.Time{meeting.SlotStart, meeting.SlotEnd, meeting.ScheduledAt, meeting.UpdatedAt})
	assert.Equal(t, webhook.MeetingEventTypeRescheduled, meeting.EventType)

	change := parse[*webhook.ContactUpdated](t, string(golden(t, "contact_updated"))).Data.Diff[2]
	assert.Equal(t, "attributes.seats", change.Name)
	assert.Equal(t, json.RawMessage("9007199254740993"), change.Previous)
	assert.Equal(t, json.RawMessage("12"), change.Updated)

	contact := parse[*webhook.ContactIdentified](t, `{"type":"contact_identified","data":{"id":7,"relatedPlaybookId":null,"attributes":{"seats":"12"}}}`).Data
	seats, ok := contact.Attributes.Int64("seats")
	assert.Equal(t, int64(12), seats)
	assert.True(t, ok)
}

func TestOtherNames(t *testing.T) {
	push := parse[*webhook.ConversationPush](t, `{"type":"conversation_push","data":{"id":"42"}}`)
	assert.Equal(t, webhook.ConversationReference{ConversationID: 42}, push.Data)

	push = parse[*webhook.ConversationPush](t, `{"type":"conversation_push","data":{"id":7,"conversationId":42}}`)
	assert.Equal(t, drift.ConversationID(42), push.Data.ConversationID)
	assert.JSONEq(t, `7`, string(push.Data.Extra["id"]), "what the id is of is not known then")

	push = parse[*webhook.ConversationPush](t, `{"type":"conversation_push","data":{"id":"5c1a"}}`)
	assert.Zero(t, push.Data.ConversationID)
	assert.JSONEq(t, `"5c1a"`, string(push.Data.Extra["id"]))

	for _, attachment := range []string{`{"id":"3"}`, `[{"id":3}]`} {
		message := parse[*webhook.NewMessage](t, `{"type":"new_message","data":{"attachment":`+attachment+`}}`)
		assert.Equal(t, webhook.Message{Attachments: []webhook.Attachment{{ID: 3}}}, message.Data)
	}
	message := parse[*webhook.NewMessage](t, `{"type":"new_message","data":{"attachment":{"id":3},"attachments":[{"id":4}]}}`)
	assert.Equal(t, []webhook.Attachment{{ID: 4}}, message.Data.Attachments)
	assert.JSONEq(t, `{"id":3}`, string(message.Data.Extra["attachment"]))
	message = parse[*webhook.NewMessage](t, `{"type":"new_message","data":{"attachment":7}}`)
	assert.JSONEq(t, `7`, string(message.Data.Extra["attachment"]))
}

// Without data, or with null, the payload is zero; there is nothing that would not fit.
func TestNoData(t *testing.T) {
	for _, data := range []string{``, `,"data":null`, `,"data":{}`} {
		e := parse[*webhook.AppDisconnected](t, `{"type":"app_disconnected","orgId":123`+data+`}`)
		assert.Equal(t, &webhook.AppDisconnected{Delivery: webhook.Delivery[webhook.Disconnection]{Type: "app_disconnected", OrgID: 123}}, e)
	}
}

func TestDataThatDoNotFit(t *testing.T) {
	for name, test := range map[string]struct{ delivery, path string }{
		"list":   {`{"type":"new_message","orgId":123,"data":["mark-secret"]}`, "/data"},
		"text":   {`{"type":"new_message","orgId":123,"data":"mark-secret"}`, "/data"},
		"number": {`{"type":"new_message","orgId":123,"data":7}`, "/data"},
	} {
		t.Run(name, func(t *testing.T) {
			e := parse[*webhook.UnknownEvent](t, test.delivery)
			assert.Equal(t, webhook.EventTypeNewMessage, e.Type)
			assert.Equal(t, drift.OrgID(123), e.EventOrgID())
			assert.JSONEq(t, test.delivery, string(e.Raw))
			var decodeError *drift.DecodeError
			require.ErrorAs(t, e.Err, &decodeError)
			assert.Equal(t, "new_message", decodeError.Operation)
			assert.Equal(t, test.path, decodeError.Path)
			assert.NotContains(t, fmt.Sprintf("%v %+v %q", e.Err, e.Err, e.Err), "mark-")
		})
	}
	e := parse[*webhook.UnknownEvent](t, `{"type":"new_message","orgId":"acme","data":7}`)
	assert.Zero(t, e.OrgID)
	require.Error(t, e.Err)
}

var brokenDeliveries = map[string]string{
	"empty":                   ``,
	"space":                   ` `,
	"cut short":               `{"type":"new_message","data":{"id":1}`,
	"no JSON":                 `mark-secret`,
	"list":                    `[{"type":"new_message"}]`,
	"null":                    `null`,
	"text":                    `"new_message"`,
	"number":                  `7`,
	"no type":                 `{"orgId":123,"data":{}}`,
	"empty type":              `{"type":"","data":{}}`,
	"type is null":            `{"type":null,"data":{}}`,
	"type is a number":        `{"type":7,"data":{}}`,
	"something behind":        `{"type":"new_message"} {}`,
	"type twice":              `{"type":"new_message","type":"new_message"}`,
	"type in two ways":        `{"type":"new_message","Type":"new_message"}`,
	"data twice":              `{"type":"new_message","data":{},"data":{}}`,
	"data in two ways":        `{"type":"new_message","data":{},"DATA":{}}`,
	"organization twice":      `{"type":"new_message","orgId":1,"org_id":2}`,
	"name twice":              `{"type":"new_message","mark-secret":1,"mark-secret":2}`,
	"name twice in the data":  `{"type":"new_message","data":{"id":1,"id":2}}`,
	"name twice, escaped":     `{"type":"new_message","data":{"id":1,"\u0069d":2}}`,
	"name twice, deep":        `{"type":"something_new","data":{"a":[{"b":1,"b":2}]}}`,
	"invalid UTF-8":           "{\"type\":\"new_message\",\"data\":{\"body\":\"mark-secret\xff\"}}",
	"invalid UTF-8 in a name": "{\"type\":\"new_message\",\"data\":{\"\xff\":1}}",
	"two byte order marks":    "\ufeff\ufeff" + `{"type":"new_message"}`,
}

func TestParseIsStrict(t *testing.T) {
	for name, delivery := range brokenDeliveries {
		t.Run(name, func(t *testing.T) {
			event, err := webhook.Parse([]byte(delivery))
			assert.Nil(t, event)
			var decodeError *drift.DecodeError
			require.ErrorAs(t, err, &decodeError)
			assert.Equal(t, "webhook.Parse", decodeError.Operation)
			assert.NotContains(t, fmt.Sprintf("%v %+v %q", err, err, err), "mark-")
		})
	}
}

// tokenPlaces are deliveries with the token in every place that it can have.
var tokenPlaces = []string{
	`{"token":"TOKEN","type":"TYPE","data":{}}`, `{"type":"TYPE","token":"TOKEN","data":{}}`, `{"type":"TYPE","data":{},"token":"TOKEN"}`,
	` { "token" : "TOKEN" , "type" : "TYPE" } `, "\n{\n\t\"type\": \"TYPE\",\n\t\"token\": \"TOKEN\"\n}\n", `{"Token":"TOKEN","type":"TYPE"}`,
	`{"type":"TYPE","\u0074oken":"TOKEN"}`,
}

func TestTokenIsNotPartOfEvents(t *testing.T) {
	for _, eventType := range []string{"new_message", "something_new"} {
		for _, place := range tokenPlaces {
			delivery := strings.NewReplacer("TYPE", eventType, "TOKEN", testToken).Replace(place)
			var got webhook.Event
			h := newHandler(t)
			webhook.On(h, func(_ context.Context, e webhook.Event) error {
				got = e
				return nil
			})
			require.Equal(t, 200, status(h, delivery), delivery)
			text, err := json.Marshal(got)
			require.NoError(t, err)
			shown := fmt.Sprintf("%s %+v %s", text, got, rawOf(got))
			assert.NotContains(t, shown, testToken)
			assert.NotContains(t, strings.ToLower(shown), `"token"`)
			assert.Contains(t, string(text), eventType)

			unmarshalled := reflect.New(reflect.TypeOf(got).Elem()).Interface()
			require.NoError(t, json.Unmarshal([]byte(delivery), unmarshalled))
			again, err := json.Marshal(unmarshalled)
			require.NoError(t, err)
			assert.Equal(t, string(text), string(again), "encoding/json takes the token out as well")
		}
	}
}

func rawOf(e webhook.Event) string {
	if unknown, ok := e.(*webhook.UnknownEvent); ok {
		return string(unknown.Raw)
	}
	return ""
}

func TestUnknownEvent(t *testing.T) {
	e := parse[*webhook.UnknownEvent](t, `{"type":"something_new","orgId":"123","token":"x","data":[1.50,{"b":"c"}]}`)
	assert.Equal(t, &webhook.UnknownEvent{Type: "something_new", OrgID: 123, Raw: json.RawMessage(`{"type":"something_new","orgId":"123","data":[1.50,{"b":"c"}]}`)}, e)

	text, err := json.Marshal(webhook.UnknownEvent{Type: "something_new", OrgID: 123})
	require.NoError(t, err)
	assert.JSONEq(t, `{"type":"something_new","orgId":123}`, string(text))
	require.Error(t, json.Unmarshal([]byte(`{"type":"a","data":{"b":1,"b":2}}`), &webhook.UnknownEvent{}))
	require.Error(t, json.Unmarshal([]byte(`{"orgId":1}`), &webhook.UnknownEvent{}))
	require.Error(t, json.Unmarshal([]byte(`{"type":"a","orgId":"acme"}`), &webhook.UnknownEvent{}))
	require.Error(t, json.Unmarshal([]byte(`[]`), &webhook.NewMessage{}))
}

func TestKnownValues(t *testing.T) {
	assert.True(t, webhook.EventTypeUserUnsubscribe.IsKnown())
	assert.False(t, webhook.EventType("").IsKnown())
	for _, availability := range []webhook.Availability{webhook.AvailabilityAvailable, webhook.AvailabilityOnline, webhook.AvailabilityOffline, webhook.AvailabilityOnCall} {
		assert.True(t, availability.IsKnown())
	}
	assert.False(t, webhook.Availability("AWAY").IsKnown())
	assert.True(t, webhook.MeetingEventTypeCanceled.IsKnown())
	assert.False(t, webhook.MeetingEventType("").IsKnown())
}
