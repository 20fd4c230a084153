package webhook_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/webhook"
)

func TestDeliveryText(t *testing.T) {
	t.Run("w1_lone_surrogates", func(t *testing.T) {
		for name, test := range map[string]struct{ escaped, want string }{
			"first half":         {`thanks \ud83d`, "thanks \ufffd"},
			"second half":        {`\ude00 thanks`, "\ufffd thanks"},
			"two first halves":   {`\ud83d\ud83d`, "\ufffd\ufffd"},
			"halves swapped":     {`\ude00\ud83d`, "\ufffd\ufffd"},
			"upper case":         {`\uD83D!`, "\ufffd!"},
			"before an escape":   {`\ud83d\n`, "\ufffd\n"},
			"a whole one":        {`\ud83d\ude00`, "\U0001f600"},
			"an escaped escape":  {`\\ud83d`, `\ud83d`},
			"beside other texts": {`é\ud83dé`, "é\ufffdé"},
		} {
			e := parse[*webhook.NewMessage](t, `{"type":"new_message","data":{"id":1,"body":"`+test.escaped+`"}}`)
			assert.Equal(t, test.want, e.Data.Body, name)
		}
		for _, delivery := range []string{
			`{"type":"new_message","data":{"attributes":{"a":["\ud83d"]},"x":"\ud83d","y":{"\ud83d":1}},"z":"\ud83d"}`,
			`{"type":"something_new","data":{"body":"\ud83d"}}`,
		} {
			h := newHandler(t)
			n := count(h, nil)
			assert.Equal(t, 200, status(h, delivery))
			assert.Equal(t, int64(1), n.Load())
			first, err := webhook.Parse([]byte(delivery))
			require.NoError(t, err)
			text, err := json.Marshal(first)
			require.NoError(t, err)
			_, err = webhook.Parse(text)
			require.NoError(t, err)
		}
	})

	t.Run("w7_byte_order_mark", func(t *testing.T) {
		h := newHandler(t)
		n := count(h, nil)
		assert.Equal(t, 200, status(h, "\ufeff"+timed))
		assert.Equal(t, 200, status(h, timed), "the same delivery")
		assert.Equal(t, int64(1), n.Load())
		inBody := "\ufeff" + `{"token":"` + testToken + `","type":"something_new"}`
		assert.Equal(t, 200, send(h, request(inBody, "X-Verification-Token", "")).StatusCode)
		for _, delivery := range []string{
			"\ufeff", "\ufeff\ufeff" + timed, " \ufeff" + timed, timed + "\ufeff", "\xef\xbb" + timed,
		} {
			assert.Equal(t, 400, status(h, delivery), "%q", delivery)
		}
	})
}

func TestDeliveryNames(t *testing.T) {
	t.Run("w7_twice_in_another_case", func(t *testing.T) {
		for _, members := range []string{
			`"data":{"id":1,"ID":2}`,
			`"data":{"id":1,"\u0049d":2}`,
			`"data":{"conversationId":1,"conversation_id":2}`,
			`"data":{"conversationId":1,"ConversationID":2}`,
			`"data":{"status":"open","ſtatus":"closed"}`,
			`"data":{"x":[{"y":{"k":1,"` + "\u212a" + `":2}}]}`,
			`"data":{"Ä":1,"ä":2}`,
			`"data":{"_id":1,"_ID":2}`,
			`"data":{"a-b":1,"A-B":2}`,
			`"data":{"attributes":{},"Attributes":{}}`,
			`"data":{"attributes":{"a":1,"a":2}}`,
			`"x":1,"X":2`,
			`"orgId":1,"ORG_ID":2`,
			`"to` + "\u212a" + `en":"` + testToken + `","token":"` + testToken + `"`,
		} {
			for _, eventType := range []string{"new_message", "something_new"} {
				delivery := `{"type":"` + eventType + `",` + members + `}`
				assert.Equal(t, 400, status(newHandler(t), delivery), delivery)
				_, err := webhook.Parse([]byte(delivery))
				require.ErrorAs(t, err, new(*drift.DecodeError), delivery)
			}
		}
	})

	t.Run("names that stay apart", func(t *testing.T) {
		for _, members := range []string{
			`"data":{"id":1,"_id":2,"i-d":3}`,
			`"data":{"a":{"id":1},"b":{"ID":2}}`,
			`"data":{"attributes":{"_END_USER_VERSION":4,"_end_user_version":5,"externalId":"a","external_id":"b","x":{"k":1,"K":2}}}`,
			`"data":{"diff":[{"name":"attributes","previous":{"a":1,"A":2},"updated":null}]}`,
		} {
			for _, eventType := range []string{"contact_identified", "contact_updated", "something_new"} {
				delivery := `{"type":"` + eventType + `",` + members + `}`
				event, err := webhook.Parse([]byte(delivery))
				require.NoError(t, err, delivery)
				text, err := json.Marshal(event)
				require.NoError(t, err)
				assert.JSONEq(t, delivery, string(text))
			}
		}
		contact := parse[*webhook.ContactIdentified](t,
			`{"type":"contact_identified","data":{"attributes":{"a":1,"A":2}}}`)
		assert.Equal(t, drift.Attributes{"a": json.Number("1"), "A": json.Number("2")}, contact.Data.Attributes)
	})
}

func TestDeliveryFields(t *testing.T) {
	t.Run("w5_odd_fields_stay_in_extra", func(t *testing.T) {
		for _, test := range []struct{ eventType, field, odd string }{
			{"contact_identified", "id", `"acme"`},
			{"contact_identified", "attributes", `[]`},
			{"contact_identified", "attributes", `"x"`},
			{"contact_identified", "createdAt", `"yesterday"`},
			{"contact_updated", "timestamp", `{}`},
			{"contact_updated", "diff", `[7]`},
			{"new_message", "conversationId", `1.5`},
			{"new_message", "body", `{"html":"x"}`},
			{"new_message", "author", `"Ann"`},
			{"new_message", "buttons", `"none"`},
			{"new_message", "attachments", `[{"id":1},true]`},
			{"new_message", "context", `[1]`},
			{"new_message", "created_at", `true`},
			{"new_conversation", "participants", `[1,"x"]`},
			{"conversation_push", "conversationId", `[]`},
			{"conversation_inactive", "lastUpdated", `"soon"`},
			{"conversation_participant_added", "addedParticipants", `{"id":1}`},
			{"conversation_status_updated", "status", `["open"]`},
			{"button_action", "button", `"Yes"`},
			{"phone_captured", "authorId", `"x1"`},
			{"new_meeting", "slotStart", `"10:00"`},
			{"playbook_goal_met", "playbookId", `{}`},
			{"user_availability_updated", "availability", `{"a":1}`},
		} {
			name := test.eventType + "." + test.field
			data := `{"` + test.field + `":` + test.odd + `,"orgId":7,"x":8}`
			delivery := `{"type":"` + test.eventType + `","orgId":123,"data":` + data + `}`
			event, err := webhook.Parse([]byte(delivery))
			require.NoError(t, err, name)
			require.NotEqual(t, "*webhook.UnknownEvent", fmt.Sprintf("%T", event), name)
			text, err := json.Marshal(event)
			require.NoError(t, err, name)
			assert.JSONEq(t, delivery, string(text), name)
			again, err := webhook.Parse(text)
			require.NoError(t, err, name)
			assert.Equal(t, event, again, name)
		}
	})

	t.Run("w5_odd_fields_of_parts", func(t *testing.T) {
		e := parse[*webhook.NewMessage](t, `{"type":"new_message","orgId":"acme","data":{"id":1,
			"author":{"id":{},"type":"user"},"context":{"ip":[],"location":{"city":"Berlin","latitude":"north"}},
			"buttons":[{"label":"Yes","reaction":7}],"attachments":[{"id":"x","url":"y"}]}}`)
		assert.Zero(t, e.OrgID)
		assert.JSONEq(t, `"acme"`, string(e.Extra["orgId"]))
		assert.Nil(t, e.Data.Extra)
		assert.Equal(t, drift.AuthorTypeUser, e.Data.Author.Type)
		assert.JSONEq(t, `{}`, string(e.Data.Author.Extra["id"]))
		assert.JSONEq(t, `[]`, string(e.Data.Context.Extra["ip"]))
		assert.Equal(t, "Berlin", e.Data.Context.Location.City)
		assert.JSONEq(t, `"north"`, string(e.Data.Context.Location.Extra["latitude"]))
		assert.JSONEq(t, `7`, string(e.Data.Buttons[0].Extra["reaction"]))
		assert.Equal(t, "y", e.Data.Attachments[0].URL)
		assert.JSONEq(t, `"x"`, string(e.Data.Attachments[0].Extra["id"]))
	})

	t.Run("w5_numbers_as_text_and_text_as_numbers", func(t *testing.T) {
		e := parse[*webhook.NewMessage](t, `{"type":"new_message","data":{"id":"1","createdAt":"",
			"author":{"id":"7","bot":"false"},"body":7,"context":{"timezone":2,"location":{"latitude":"42.36","longitude":-71.06,"postalCode":2139}}}}`)
		assert.Equal(t, drift.MessageID(1), e.Data.ID)
		assert.True(t, e.OccurredAt().IsZero())
		assert.Equal(t, "7", e.Data.Body)
		assert.Equal(t, int64(7), e.Data.Author.ID)
		assert.False(t, e.Data.Author.Bot)
		location := e.Data.Context.Location
		assert.Equal(t, webhook.Location{Latitude: "42.36", Longitude: "-71.06", PostalCode: "2139"}, *location)
		assert.Equal(t, "2", e.Data.Context.Timezone)
		goal := parse[*webhook.PlaybookGoalMet](t, `{"type":"playbook_goal_met","data":{"goalId":17,"playbookName":3}}`)
		assert.Equal(t, webhook.Goal{GoalID: "17", PlaybookName: "3"}, goal.Data)
		meeting := parse[*webhook.NewMeeting](t, `{"type":"new_meeting","data":{"eventId":9007199254740993}}`)
		assert.Equal(t, webhook.Meeting{EventID: "9007199254740993"}, meeting.Data)
		phone := parse[*webhook.PhoneCaptured](t,
			`{"type":"phone_captured","data":{"phoneNumber":4930901820,"authorId":"5"}}`)
		assert.Equal(t, webhook.PhoneNumber{PhoneNumber: "4930901820", AuthorID: 5}, phone.Data)
	})
}
