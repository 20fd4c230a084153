package drift_test

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

// keepBody answers with a record and keeps what was sent.
func keepBody(t *testing.T, body *string) *drift.Client {
	return testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		*body = string(data)
		answer := `{"data":{"id":1}}`
		if r.Method == http.MethodPost {
			answer = `{"data":{"status":"done"}}`
		}
		_, _ = w.Write([]byte(answer))
	})
}

// Attributes and payloads are the caller's own: the checks of a request's fields do not reach into them.
func TestOpenValues(t *testing.T) {
	at := time.UnixMilli(1700000000000)
	tests := map[string]struct {
		value any
		want  string // "": refused
	}{
		"text":             {"a", `"a"`},
		"large number":     {json.Number("9007199254740993"), `9007199254740993`},
		"instant":          {at, `1700000000000`},
		"raw null":         {json.RawMessage("null"), `null`},
		"zero id":          {drift.UserID(0), `0`},
		"nested":           {map[string]any{"b": []int{1}, "a": nil}, `{"a":null,"b":[1]}`},
		"duration":         {5 * time.Minute, ""},
		"not a number":     {math.NaN(), ""},
		"channel":          {make(chan int), ""},
		"function":         {func() {}, ""},
		"number that lies": {json.Number("x"), ""},
		"zero time":        {time.Time{}, ""},
		"invalid UTF-8":    {"\xff", ""},
	}
	for name, test := range tests {
		t.Run("payload/"+name, func(t *testing.T) {
			var body string
			client := keepBody(t, &body)
			_, err := client.Driftbot.Trigger(t.Context(), 7, drift.DriftbotTriggerRequest{Payload: test.value})
			if test.want == "" {
				assertRefused(t, err, "payload")
				assert.Empty(t, body, "nothing is sent")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, `{"payload":`+test.want+`,"conversation_id":7}`, body)
		})
		t.Run("attribute/"+name, func(t *testing.T) {
			var body string
			client := keepBody(t, &body)
			_, err := client.Contacts.Update(t.Context(), 7, drift.ContactUpdateRequest{
				CustomAttributes: drift.Set(drift.Attributes{"key": test.value}),
			})
			if test.want == "" {
				assertRefused(t, err, "custom_attributes")
				assert.Empty(t, body, "nothing is sent")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, `{"custom_attributes":{"key":`+test.want+`}}`, body)
		})
	}
}

func assertRefused(t *testing.T, err error, argument string) {
	t.Helper()
	var invalid *drift.ValidationError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, argument, invalid.Argument)
	assert.NotEmpty(t, invalid.Reason)
}

func TestNoPayloadIsNotSent(t *testing.T) {
	var body string
	_, err := keepBody(t, &body).Driftbot.Trigger(t.Context(), 7, drift.DriftbotTriggerRequest{ActionID: "a"})
	require.NoError(t, err)
	assert.Equal(t, `{"action_id":"a","conversation_id":7}`, body)
}

func TestNullPayloadIsNone(t *testing.T) {
	client := testkit.Serve(t, testkit.Respond(200, `{"data":{"status":"done","payload":null}}`))
	interaction, err := client.Driftbot.Trigger(t.Context(), 7, drift.DriftbotTriggerRequest{})
	require.NoError(t, err)
	assert.Nil(t, interaction.Payload)
}

// Ids and durations of a request are checked wherever they stand.
func TestRequestFieldsAreChecked(t *testing.T) {
	var body string
	client := keepBody(t, &body)
	ctx := t.Context()
	tests := map[string]func() error{
		"users": func() error {
			_, err := client.Conversations.Create(ctx, drift.ConversationCreateRequest{Users: []drift.UserID{1, 0}})
			return err
		},
		"assigned_user_id": func() error {
			_, err := client.Conversations.Update(ctx, 1, drift.ConversationUpdateRequest{AssignedUserID: drift.Set(drift.UserID(-1))})
			return err
		},
		"participant_ids": func() error {
			_, err := client.Meetings.Update(ctx, 1, drift.MeetingUpdateRequest{ParticipantIDs: drift.Set([]drift.ParticipantID{0})})
			return err
		},
		"duration": func() error {
			_, err := client.Meetings.Create(ctx, drift.MeetingCreateRequest{Duration: 90 * time.Second})
			return err
		},
		"start_at": func() error {
			_, err := client.Meetings.Update(ctx, 1, drift.MeetingUpdateRequest{StartAt: drift.Set(time.Time{})})
			return err
		},
	}
	for argument, call := range tests {
		t.Run(argument, func(t *testing.T) {
			assertRefused(t, call(), argument)
			assert.Empty(t, body, "nothing is sent")
		})
	}
}
