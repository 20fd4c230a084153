package drift_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"reflect"
	"strings"
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

// Of data that come twice the last count, also where they are fewer.
func TestLastDataCount(t *testing.T) {
	match := func(body string) (*drift.Contact, error) {
		return testkit.Serve(t, testkit.Respond(http.StatusOK, body)).Contacts.MatchEmail(t.Context(), "a@example.com")
	}
	contact, err := match(`{"data":[{"id":1}],"data":[{"id":2}]}`)
	require.NoError(t, err)
	assert.Equal(t, drift.ContactID(2), contact.ID)
	_, err = match(`{"data":[{"id":1}],"data":[]}`)
	require.ErrorIs(t, err, drift.ErrNotFound)

	page, err := testkit.Serve(t, testkit.Respond(http.StatusOK, `{"data":[{"id":1}],"data":null}`)).Contacts.List(t.Context(), drift.ContactListOptions{})
	require.NoError(t, err)
	assert.Empty(t, page.Items)
}

func TestExtraWithoutAValue(t *testing.T) {
	conversation := drift.Conversation{Extra: map[string]json.RawMessage{"conversation_tags": nil}}
	require.NoError(t, json.Unmarshal([]byte(`{"id":1}`), &conversation))
	assert.Equal(t, drift.ConversationID(1), conversation.ID)
}

// getMessage, getConversation, getMeeting and listContacts decode a body as the answer of an operation.
func getMessage(t testing.TB, body string) (*drift.Message, error) {
	t.Helper()
	return testkit.Serve(t, testkit.Respond(http.StatusOK, body)).Messages.Get(t.Context(), 42, 1)
}

func getConversation(t testing.TB, body string) (*drift.Conversation, error) {
	t.Helper()
	return testkit.Serve(t, testkit.Respond(http.StatusOK, body)).Conversations.Get(t.Context(), 1)
}

func getMeeting(t testing.TB, body string) (*drift.Meeting, error) {
	t.Helper()
	return testkit.Serve(t, testkit.Respond(http.StatusOK, body)).Meetings.Get(t.Context(), 1)
}

func listContacts(t testing.TB, body string) (*drift.Page[drift.Contact], error) {
	t.Helper()
	return testkit.Serve(t, testkit.Respond(http.StatusOK, body)).Contacts.List(t.Context(), drift.ContactListOptions{})
}

const maxID = 9223372036854775807

func TestDecodeID(t *testing.T) {
	for value, want := range map[string]drift.ConversationID{
		`7`: 7, `"7"`: 7, `9223372036854775807`: maxID, `"9223372036854775807"`: maxID, `9007199254740993`: 1<<53 + 1,
		`5.0`: 5, `5e0`: 5, `"5.0"`: 5, `50e-1`: 5, `1E3`: 1000, `"1e+2"`: 100, `9007199254740993.000`: 1<<53 + 1, `922337203685477580.7e1`: maxID,
		`0.00000000000000000000000000000000007e35`: 7,
	} {
		t.Run(value, func(t *testing.T) {
			c, err := testkit.Serve(t, testkit.Respond(http.StatusOK, `{"data":{"id":`+value+`}}`)).Conversations.Get(t.Context(), want)
			require.NoError(t, err)
			assert.Equal(t, want, c.ID)
		})
	}
}

func TestDecodeRefusedIDs(t *testing.T) {
	for _, value := range append([]string{`0`, `"0"`, `-0`, `0.0`, `"0e5"`, `0e999999999`, `null`, `""`, `-7`, `"-7"`, `-7.0`}, testkit.RefusedIntegers...) {
		t.Run(value, func(t *testing.T) {
			_, err := getConversation(t, `{"id":`+value+`}`)
			testkit.RequireDecodeError(t, err, "/id")
			_, err = getConversation(t, `{"data":{"title":"a","id":`+value+`}}`)
			testkit.RequireDecodeError(t, err, "/id")
			_, err = listContacts(t, `{"data":[{"id":1},{"id":2},{"id":3},{"id":`+value+`}]}`)
			testkit.RequireRecordError(t, err, 3, "/id")
			_, err = listContacts(t, `[{"id":1},{"id":2},{"id":3},{"id":`+value+`},{"id":5}]`)
			testkit.RequireRecordError(t, err, 3, "/id")
		})
	}
}

// The path begins at the data, however their name is spelled.
func TestDecodeMissingID(t *testing.T) {
	for _, body := range []string{`{}`, `{"title":"a"}`, `{"data":{}}`, `{"DATA":{"title":"a"}}`, `{"Da_ta":{"title":"a"}}`} {
		_, err := getConversation(t, body)
		testkit.RequireDecodeError(t, err, "/id")
	}
	_, err := listContacts(t, `{"DATA":[{"id":1},{"email":"ann@example.com"}]}`)
	testkit.RequireRecordError(t, err, 1, "/id")
	_, err = testkit.Serve(t, testkit.Respond(http.StatusOK, `{"email":"a@b"}`)).Meetings.AddParticipant(t.Context(), 1, drift.MeetingAddParticipantRequest{Email: "a@b"})
	testkit.RequireDecodeError(t, err, "/id")
	require.ErrorIs(t, err, drift.ErrAmbiguous, "the participant was added all the same")
}

// Only the record that an operation returns must have an id.
func TestDecodeNestedIDs(t *testing.T) {
	for value, want := range map[string]drift.ContactID{`0`: 0, `null`: 0, `""`: 0, `"0"`: 0, `7`: 7, `"7"`: 7, `7.0`: 7, `9223372036854775807`: maxID} {
		c, err := getConversation(t, `{"id":1,"contact_id":`+value+`}`)
		require.NoError(t, err, value)
		assert.Equal(t, want, c.ContactID, value)
	}
	for _, value := range testkit.RefusedIntegers {
		_, err := getConversation(t, `{"id":1,"contact_id":`+value+`}`)
		testkit.RequireDecodeError(t, err, "/contact_id")
		_, err = getConversation(t, `{"data":{"id":1,"participants":[1,`+value+`]}}`)
		testkit.RequireDecodeError(t, err, "/participants/1")
	}
	m, err := getMeeting(t, `{"id":1,"participants":[{"email":"a@b"},{"id":0},{"id":null,"first_name":"Eve"},{"id":"5"}]}`)
	require.NoError(t, err)
	assert.Equal(t, []drift.Participant{{Email: "a@b"}, {}, {FirstName: "Eve"}, {ID: 5}}, m.Participants)

	i, err := testkit.Serve(t, testkit.Respond(http.StatusOK, `{"data":{"status":"done"}}`)).Driftbot.Trigger(t.Context(), 1, drift.DriftbotTriggerRequest{})
	require.NoError(t, err)
	assert.Equal(t, &drift.DriftbotInteraction{Status: "done"}, i)
}

// Ids of objects that have no type for their id are ids all the same.
func TestDecodePlainIDs(t *testing.T) {
	m, err := getMessage(t, `{"id":1,"author":{"id":"77"},"attachments":[{"id":"78"},{"id":null},{"id":79}]}`)
	require.NoError(t, err)
	assert.Equal(t, &drift.Author{ID: 77}, m.Author)
	assert.Equal(t, []drift.Attachment{{ID: 78}, {}, {ID: 79}}, m.Attachments)
	for _, value := range testkit.RefusedIntegers {
		_, err := getMessage(t, `{"id":1,"author":{"id":`+value+`}}`)
		testkit.RequireDecodeError(t, err, "/author/id")
	}
}

func TestDecodeCompanyID(t *testing.T) {
	for value, want := range map[string]drift.CompanyID{
		`"1_a.com"`: "1_a.com", `12`: "12", `12.50`: "12.50", `9007199254740993`: "9007199254740993", `null`: "", `""`: "", `"a\ud83d"`: "a\ufffd", `true`: "true",
	} {
		page, err := testkit.Serve(t, testkit.Respond(http.StatusOK, `[{"id":1,"company_id":`+value+`}]`)).Companies.ListPeople(t.Context(), "x", drift.CompanyListPeopleOptions{})
		require.NoError(t, err, value)
		assert.Equal(t, want, page.Items[0].CompanyID, value)
	}
	_, err := testkit.Serve(t, testkit.Respond(http.StatusOK, `[{"id":1,"company_id":["1_a.com"]}]`)).Companies.ListPeople(t.Context(), "x", drift.CompanyListPeopleOptions{})
	testkit.RequireRecordError(t, err, 0, "/company_id")
}

func TestDecodeInstants(t *testing.T) {
	for value, want := range map[string]time.Time{
		`1767225600123`:                   time.Date(2026, 1, 1, 0, 0, 0, 123e6, time.UTC),
		`"1767225600123"`:                 time.Date(2026, 1, 1, 0, 0, 0, 123e6, time.UTC),
		`"2026-01-01T00:00:00.123Z"`:      time.Date(2026, 1, 1, 0, 0, 0, 123e6, time.UTC),
		`"2026-01-01T02:00:00+02:00"`:     time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		`"2026-01-01T00:00:00.123999Z"`:   time.Date(2026, 1, 1, 0, 0, 0, 123e6, time.UTC),
		`"2025-12-31T19:00:00.123-05:00"`: time.Date(2026, 1, 1, 0, 0, 0, 123e6, time.UTC),
		`-1`:                              time.Date(1969, 12, 31, 23, 59, 59, 999e6, time.UTC),
		`"-1"`:                            time.Date(1969, 12, 31, 23, 59, 59, 999e6, time.UTC),
		`1767225600123.0`:                 time.Date(2026, 1, 1, 0, 0, 0, 123e6, time.UTC),
		`"1.767225600123e12"`:             time.Date(2026, 1, 1, 0, 0, 0, 123e6, time.UTC),
		`"2026-01-01t00:00:00.1z"`:        time.Date(2026, 1, 1, 0, 0, 0, 1e8, time.UTC),
		`"2026-01-01T23:59:00+23:59"`:     time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		`0`:                               {},
		`"0"`:                             {},
		`-0.0`:                            {},
		`"1970-01-01T00:00:00Z"`:          {},
		`"1970-01-01T02:00:00.000+02:00"`: {},
		`null`:                            {},
		`""`:                              {},
	} {
		t.Run(value, func(t *testing.T) {
			c, err := getConversation(t, `{"id":1,"created_at":`+value+`}`)
			require.NoError(t, err)
			assert.Equal(t, want, c.CreatedAt)
		})
	}
}

func TestDecodeRefusedInstants(t *testing.T) {
	for _, value := range []string{
		`"2026-01-01T00:00:00"`, `"2026-01-01 00:00:00Z"`, `"2026-01-01"`, `"2026-01-01T00:00:00+0200"`, `"2026-13-01T00:00:00Z"`, `"now"`, `" "`,
		`"2026-01-01T3:04:05Z"`, `"2026-01-01T03:04:05,5Z"`, `"2026-01-01T03:04:05.Z"`, `"2026-01-01T03:04:05+24:00"`, `"2026-01-01T03:04:05-02:60"`,
		`"2026-01-01T03:04:05+2:00"`, `"2026-01-01T03:04:05+02"`, `"2026-01-01T24:00:00Z"`, `"2026-01-01T03:60:05Z"`, `"2026-01-01T03:04Z"`,
		`"2026-1-01T03:04:05Z"`, `"26-01-01T03:04:05Z"`, `"2026-02-29T03:04:05Z"`, `"2026-01-01T03:04:05Z "`, `"+2026-01-01T03:04:05Z"`,
		`1767225600123.5`, `"+5"`, `9223372036854775808`, `true`, `[]`, `{}`,
	} {
		t.Run(value, func(t *testing.T) {
			_, err := getConversation(t, `{"id":1,"created_at":`+value+`}`)
			testkit.RequireDecodeError(t, err, "/created_at")
		})
	}
}

func TestDecodeDurations(t *testing.T) {
	for value, want := range map[string]time.Duration{`30`: 30 * time.Minute, `"45"`: 45 * time.Minute, `"3e1"`: 30 * time.Minute, `0`: 0, `null`: 0, `""`: 0, `153722867`: 153722867 * time.Minute} {
		m, err := getMeeting(t, `{"id":1,"duration":`+value+`}`)
		require.NoError(t, err, value)
		assert.Equal(t, want, m.Duration, value)
	}
	for _, value := range append([]string{`30.5`, `"30.5"`, `"30m"`, `"PT30M"`, `153722868`, `-153722868`}, testkit.RefusedIntegers...) {
		_, err := getMeeting(t, `{"id":1,"duration":`+value+`}`)
		testkit.RequireDecodeError(t, err, "/duration")
	}
}

func TestDecodeBooleansAndCounts(t *testing.T) {
	for value, want := range map[string]bool{`true`: true, `false`: false, `null`: false, `"true"`: true, `"false"`: false, `""`: false} {
		c, err := getConversation(t, `{"id":1,"archived":`+value+`}`)
		require.NoError(t, err, value)
		assert.Equal(t, want, c.Archived, value)
	}
	for _, value := range []string{`"TRUE"`, `"yes"`, `" true"`, `"1"`, `1`, `0`, `[]`, `[true]`, `{}`} {
		_, err := getConversation(t, `{"id":1,"archived":`+value+`}`)
		testkit.RequireDecodeError(t, err, "/archived")
	}
	for _, value := range []string{`3.5`, `true`, `9223372036854775808`} {
		_, err := getConversation(t, `{"id":1,"member_count":`+value+`}`)
		testkit.RequireDecodeError(t, err, "/member_count")
	}
}

func TestDecodeNames(t *testing.T) {
	want := &drift.Conversation{ID: 1, AssignedUserID: 7, ContactID: 8}
	for _, body := range []string{
		`{"id":1,"assigned_user_id":7,"contact_id":8}`, `{"id":1,"assignedUserId":7,"contactId":8}`, `{"ID":1,"AssignedUserID":7,"CONTACT_ID":8}`,
	} {
		c, err := getConversation(t, body)
		require.NoError(t, err)
		assert.Equal(t, want, c, body)
	}
}

// Of a name that comes twice the last counts, and of two spellings the field's own name.
func TestDecodeDuplicateNames(t *testing.T) {
	c, err := getConversation(t, `{"id":1,"title":"a","createdAt":1,"labels":["a","b"],"custom_attributes":{"a":1,"b":1},"x":1,"email":"a",`+
		`"title":"b","created_at":2,"labels":["c"],"custom_attributes":{"a":2,"a":3},"x":2,"email":null,"ID":9,"id":9,"id":"1"}`)
	require.NoError(t, err)
	assert.Equal(t, &drift.Conversation{
		ID: 1, Title: "b", CreatedAt: time.UnixMilli(2).UTC(), Labels: []string{"c"},
		CustomAttributes: drift.Attributes{"a": json.Number("3")}, Extra: map[string]json.RawMessage{"x": json.RawMessage("2")},
	}, c)
	c, err = getConversation(t, `{"data":{"id":5,"title":"first"},"Data":{"id":6},"data":{"id":1}}`)
	require.NoError(t, err)
	assert.Equal(t, &drift.Conversation{ID: 1}, c)
}

// Chat texts are cut without regard to characters.
func TestDecodeInvalidUTF8(t *testing.T) {
	for name, text := range map[string]string{"half a surrogate": `cut\ud83d`, "the other half": `cut\ude00`, "bytes": "cut\xff", "half a sequence": "cut\xe2\x82"} {
		t.Run(name, func(t *testing.T) {
			m, err := getMessage(t, `{"id":1,"body":"`+text+`","labels":["`+text+`"],"attributes":{"`+text+`":"`+text+`"},"`+text+`":"`+text+`"}`)
			require.NoError(t, err)
			assertCut(t, m.Body)
			assertCut(t, m.Labels[0])
			for key, value := range m.Attributes {
				assertCut(t, key)
				assertCut(t, value.(string))
			}
			assert.Len(t, m.Extra, 1)
			_, err = json.Marshal(m)
			require.NoError(t, err, "what was read can be written")
		})
	}
}

// assertCut: how many replacement characters stand for what is missing is of no interest.
func assertCut(t *testing.T, text string) {
	t.Helper()
	assert.Equal(t, "cut\ufffd", strings.TrimRight(text, "\ufffd")+"\ufffd")
	assert.Contains(t, text, "\ufffd")
}

func TestDecodeEnvelopes(t *testing.T) {
	want := &drift.Conversation{ID: 1, Title: "a"}
	for name, body := range map[string]string{
		"data":                 `{"data":{"id":1,"title":"a"}}`,
		"bare":                 `{"id":1,"title":"a"}`,
		"another case":         `{"Data":{"id":1,"title":"a"}}`,
		"space":                " \r\n\t{ \"data\" : {\"id\":1,\"title\":\"a\"} } \n",
		"byte order mark":      "\ufeff" + `{"data":{"id":1,"title":"a"}}`,
		"more beside the data": `{"meta":{"data":7},"data":{"id":1,"title":"a"},"links":{"next":"x"},"pagination":7}`,
		"no errors":            `{"errors":[],"error":null,"data":{"id":1,"title":"a"}}`,
		"errors beside data":   `{"errors":[{"message":"partly"}],"data":{"id":1,"title":"a"}}`,
		"data after null":      `{"data":null,"data":{"id":1,"title":"a"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			c, err := getConversation(t, body)
			require.NoError(t, err)
			assert.Equal(t, want, c)
		})
	}
}

func TestDecodeRefusedEnvelopes(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":           ``,
		"space":             ` `,
		"null":              `null`,
		"data null":         `{"data":null}`,
		"list":              `[{"id":1}]`,
		"data list":         `{"data":[{"id":1}]}`,
		"string":            `"text"`,
		"data string":       `{"data":"text"}`,
		"number":            `7`,
		"true":              `true`,
		"garbage after":     `{"id":1} x`,
		"object after":      `{"id":1}{"id":2}`,
		"garbage after all": `{"data":{"id":1}}]`,
		"null and more":     `null null`,
		"truncated":         `{"data":{"id":1`,
		"truncated name":    `{"data":{"id":1,"ti`,
		"trailing comma":    `{"id":1,}`,
		"single quotes":     `{'id':1}`,
		"comment":           `{"id":1/*x*/}`,
		"NaN":               `{"id":1,"x":NaN}`,
		"leading zero":      `{"id":01}`,
		"control character": "{\"id\":1,\"title\":\"a\nb\"}",
		"bad escape":        `{"id":1,"title":"\x41"}`,
		"two marks":         "\ufeff\ufeff" + `{"id":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := getConversation(t, body)
			require.Error(t, err)
			if name == "two marks" { // that is no JSON at all
				require.ErrorIs(t, err, drift.ErrUnexpectedContent)
				return
			}
			testkit.RequireDecodeError(t, err, "")
		})
	}
}

// A record may come with any status of success, and a deletion may say what it likes.
func TestDecodeAnyStatusOfSuccess(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNonAuthoritativeInfo} {
		client := testkit.Serve(t, testkit.Respond(status, `{"id":1}`))
		c, err := client.Contacts.UpsertByEmail(t.Context(), "a@b")
		require.NoError(t, err, status)
		assert.Equal(t, &drift.Contact{ID: 1}, c)
	}
	for _, body := range []string{``, `{}`, `{"data":null}`, `[]`, `no JSON`, `{"broken`} {
		for _, status := range []int{http.StatusOK, http.StatusAccepted} {
			require.NoError(t, testkit.Serve(t, testkit.Respond(status, body)).Tags.Delete(t.Context(), 1), body)
		}
	}
	require.NoError(t, testkit.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }).Tags.Delete(t.Context(), 1))
}

func TestDecodeEnums(t *testing.T) {
	c, err := getConversation(t, `{"id":1,"status":"snoozed","direction":"sideways"}`)
	require.NoError(t, err)
	assert.Equal(t, drift.ConversationStatus("snoozed"), c.Status)
	assert.False(t, c.Status.IsKnown())
	assert.Equal(t, drift.Direction("sideways"), c.Direction)
	assert.False(t, c.Direction.IsKnown())

	m, err := getMessage(t, `{"id":1,"type":"carrier_pigeon","author":{"id":7,"type":"robot"},"buttons":[{"type":"dance","reaction":{"type":"bow"}}]}`)
	require.NoError(t, err)
	assert.False(t, m.Type.IsKnown())
	assert.False(t, m.Author.Type.IsKnown())
	assert.Equal(t, []drift.Button{{Type: "dance", Reaction: &drift.ButtonReaction{Type: "bow"}}}, m.Buttons)
}

func TestEnumsKnowTheirConstants(t *testing.T) {
	for _, value := range []interface{ IsKnown() bool }{
		drift.ConversationStatusOpen, drift.ConversationStatusClosed, drift.ConversationStatusPending, drift.ConversationStatusBulkSent,
		drift.DirectionInbound, drift.DirectionOutbound, drift.MessageTypeChat, drift.MessageTypePrivateNote, drift.AuthorTypeContact,
		drift.AuthorTypeUser, drift.TeamStatusEnabled, drift.TeamStatusArchived, drift.TeamAvailabilityModeAlwaysOnline,
		drift.TeamAvailabilityModeAlwaysOffline, drift.TeamAvailabilityModeCustomHours,
	} {
		assert.True(t, value.IsKnown(), "%v", value)
	}
	for _, value := range []interface{ IsKnown() bool }{
		drift.ConversationStatus(""), drift.Direction(""), drift.MessageType(""), drift.AuthorType(""), drift.TeamStatus(""), drift.TeamAvailabilityMode(""),
	} {
		assert.False(t, value.IsKnown(), "%T", value)
	}
}

// Free maps keep their keys and every digit.
func TestDecodeFreeMaps(t *testing.T) {
	client := testkit.Serve(t, testkit.Respond(http.StatusOK, `{"id":1,"customAttributes":{"Seats_Used":9007199254740993,"big":1e400,"exact":0.10,"list":[1,{"Keep_Me":2}],"none":null},`+
		`"attributes":{"start_date":1,"startDate":2}}`))
	c, err := client.Contacts.Get(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, drift.Attributes{
		"Seats_Used": json.Number("9007199254740993"), "big": json.Number("1e400"), "exact": json.Number("0.10"), "none": nil,
		"list": []any{json.Number("1"), map[string]any{"Keep_Me": json.Number("2")}},
	}, c.CustomAttributes)
	assert.Equal(t, drift.Attributes{"start_date": json.Number("1"), "startDate": json.Number("2")}, c.Attributes)

	for _, value := range []string{`[]`, `"a"`, `7`, `true`} {
		_, err := getConversation(t, `{"id":1,"custom_attributes":`+value+`}`)
		testkit.RequireDecodeError(t, err, "/custom_attributes")
	}
	for _, payload := range []string{`{"Slot_At":1.50}`, `[1,2]`, `"a"`, `7`, `true`} {
		i, err := testkit.Serve(t, testkit.Respond(http.StatusOK, `{"id":"a","payload":`+payload+`}`)).Driftbot.Trigger(t.Context(), 1, drift.DriftbotTriggerRequest{})
		require.NoError(t, err)
		assert.Equal(t, payload, string(i.Payload))
	}
}

func TestDecodeExtra(t *testing.T) {
	c, err := getConversation(t, `{"id":1,"X_New":{"a":[1, 2]},"big":9007199254740993,"gone":null,"created_at_raw":"x"}`)
	require.NoError(t, err)
	assert.Equal(t, map[string]json.RawMessage{
		"X_New": json.RawMessage(`{"a":[1, 2]}`), "big": json.RawMessage(`9007199254740993`), "gone": json.RawMessage(`null`),
		"created_at_raw": json.RawMessage(`"x"`),
	}, c.Extra)
	c, err = getConversation(t, `{"id":1}`)
	require.NoError(t, err)
	assert.Nil(t, c.Extra)
}

// Depth costs the service nothing, so it must not cost the client its stack.
func TestDecodeDeepNesting(t *testing.T) {
	const levels = 10_001
	open, shut := strings.Repeat("[", levels), strings.Repeat("]", levels)
	objects := strings.Repeat(`{"a":`, levels) + "1" + strings.Repeat("}", levels)
	for name, body := range map[string]string{
		"lists":            open + shut,
		"objects":          objects,
		"never closed":     open,
		"unknown field":    `{"id":1,"x":` + open + shut + `}`,
		"attributes":       `{"id":1,"custom_attributes":{"a":` + open + shut + `}}`,
		"typed field":      `{"id":1,"title":` + open + shut + `}`,
		"beside the data":  `{"data":{"id":1},"x":` + open + shut + `}`,
		"errors":           `{"errors":` + open + shut + `}`,
		"deep attributes":  `{"id":1,"custom_attributes":` + objects + `}`,
		"under pagination": `{"data":{"id":1},"pagination":` + objects + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := getConversation(t, body)
			require.ErrorAs(t, err, new(*drift.DecodeError))
			_, err = listContacts(t, body)
			require.ErrorAs(t, err, new(*drift.DecodeError))
		})
	}
}

func TestJSONTypes(t *testing.T) {
	assert.Contains(t, testkit.RecordTypes(), reflect.TypeFor[drift.Participant]())
	assert.Contains(t, testkit.RequestTypes(), reflect.TypeFor[drift.MeetingAddParticipantRequest]())
}

// assertRoundTrip puts a value through encoding/json, by itself and inside others, by value and by pointer.
func assertRoundTrip(t *testing.T, pointer reflect.Value) {
	t.Helper()
	list := reflect.MakeSlice(reflect.SliceOf(pointer.Type().Elem()), 2, 2)
	list.Index(0).Set(pointer.Elem())
	named := reflect.MakeMap(reflect.MapOf(reflect.TypeFor[string](), pointer.Type()))
	named.SetMapIndex(reflect.ValueOf("a"), pointer)
	for _, v := range []reflect.Value{pointer, pointer.Elem(), list, named} {
		text, err := json.Marshal(v.Interface())
		require.NoError(t, err)
		back := reflect.New(v.Type())
		require.NoError(t, json.Unmarshal(text, back.Interface()), "%s", text)
		require.Equal(t, v.Interface(), back.Elem().Interface(), "%s", text)
	}
}

func TestJSONRoundTrip(t *testing.T) {
	for _, of := range testkit.JSONTypes() {
		t.Run(of.Name(), func(t *testing.T) {
			assertRoundTrip(t, testkit.Filled(t, of))
		})
	}
}

func TestJSONRoundTripOfZero(t *testing.T) {
	for _, of := range testkit.JSONTypes() {
		t.Run(of.Name(), func(t *testing.T) {
			assertRoundTrip(t, reflect.New(of))
			text, err := json.Marshal(reflect.New(of).Interface())
			require.NoError(t, err)
			assert.Contains(t, []string{`{}`, `{"id":0}`, `""`}, string(text))
		})
	}
}

// Null and absent stay apart, field by field.
func TestJSONRoundTripOfOptionals(t *testing.T) {
	for _, of := range testkit.RequestTypes() {
		for i := range of.NumField() {
			v := reflect.New(of)
			optional, ok := testkit.AsOptional(v.Elem().Field(i))
			if !ok {
				continue
			}
			require.NoError(t, optional.UnmarshalJSON([]byte("null")))
			text, err := json.Marshal(v.Interface())
			require.NoError(t, err)
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			assert.JSONEq(t, `{"`+name+`":null}`, string(text))
			assertRoundTrip(t, v)
		}
	}
}

// What is written has the names of the catalogue, instants in milliseconds and durations in minutes.
func TestJSONForm(t *testing.T) {
	for _, of := range testkit.JSONTypes() {
		t.Run(of.Name(), func(t *testing.T) {
			text, err := json.Marshal(testkit.Filled(t, of).Interface())
			require.NoError(t, err)
			var written map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(text, &written))
			for i := range of.NumField() {
				assertField(t, of.Field(i), written)
			}
		})
	}
}

func assertField(t *testing.T, field reflect.StructField, written map[string]json.RawMessage) {
	t.Helper()
	if field.Name == "Extra" {
		assert.JSONEq(t, `{"b":1,"a":[null,9007199254740993]}`, string(written["x_new"]))
		assert.JSONEq(t, `"é"`, string(written["X"]))
		return
	}
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	assert.Regexp(t, `^[a-z]+(_[a-z]+)*$`, name)
	require.Contains(t, written, name)
	switch field.Type {
	case reflect.TypeFor[time.Time](), reflect.TypeFor[drift.Optional[time.Time]]():
		assert.Equal(t, fmt.Sprint(testkit.FillTime.UnixMilli()), string(written[name]), name)
	case reflect.TypeFor[time.Duration](), reflect.TypeFor[drift.Optional[time.Duration]]():
		assert.Equal(t, "45", string(written[name]), name)
	}
}

// A record by itself may lack an id, unlike one in an answer.
func TestJSONWithoutID(t *testing.T) {
	var c drift.Contact
	require.NoError(t, json.Unmarshal([]byte(`{"email":"a@b"}`), &c))
	assert.Equal(t, drift.Contact{Email: "a@b"}, c)
}

// Everything that an answer held can be kept, even if it is not valid JSON.
func TestJSONOfOddExtras(t *testing.T) {
	for _, value := range []string{`{"a":1,"a":2}`, `"\ud83d"`, "\"\xff\"", `{"\ud83d":"\ude00"}`, `1e400`, `-0`} {
		var c drift.Contact
		require.NoError(t, json.Unmarshal([]byte(`{"id":1,"x":`+value+`}`), &c), value)
		text, err := json.Marshal(c)
		require.NoError(t, err, value)
		var back drift.Contact
		require.NoError(t, json.Unmarshal(text, &back), value)
		again, err := json.Marshal(back)
		require.NoError(t, err, value)
		assert.Equal(t, string(text), string(again), value)
	}
}

// What cannot be told in the API's units is an error, not another value.
func TestJSONRefusesOtherUnits(t *testing.T) {
	for _, v := range []any{
		drift.Meeting{ID: 1, Duration: 90 * time.Second}, drift.MeetingCreateRequest{Duration: time.Second},
		drift.MeetingUpdateRequest{Duration: drift.Set(time.Second)}, drift.MeetingUpdateRequest{StartAt: drift.Set(time.Time{})},
		drift.Contact{CustomAttributes: drift.Attributes{"a": json.Number("one")}}, drift.Contact{CustomAttributes: drift.Attributes{"a": func() {}}},
	} {
		_, err := json.Marshal(v)
		assert.Error(t, err, "%+v", v)
	}
}

// An object type without Extra would lose what it does not know.
func TestEveryObjectHasExtra(t *testing.T) {
	seen := map[reflect.Type]bool{reflect.TypeFor[time.Time](): true}
	var visit func(of reflect.Type)
	visit = func(of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			visit(of.Elem())
		case reflect.Struct:
			if seen[of] {
				return
			}
			seen[of] = true
			extra, found := of.FieldByName("Extra")
			if assert.True(t, found, of.Name()) {
				assert.Equal(t, reflect.TypeFor[map[string]json.RawMessage](), extra.Type)
				assert.Contains(t, string(extra.Tag), "embed")
			}
			for i := range of.NumField() {
				visit(of.Field(i).Type)
			}
		}
	}
	for _, of := range testkit.RecordTypes() {
		visit(of)
	}
	assert.Len(t, seen, 1+len(testkit.RecordTypes())+6)
}

func TestID(t *testing.T) {
	assert.Equal(t, "9223372036854775807", drift.ConversationID(maxID).String())
	assert.Equal(t, "-1", drift.ContactID(-1).String())
	for text, want := range map[string]drift.TagID{`7`: 7, `"7"`: 7, `null`: 0, `-7`: -7} {
		id := drift.TagID(99)
		require.NoError(t, json.Unmarshal([]byte(`[`+text+`]`), &[]*drift.TagID{&id}))
		require.NoError(t, id.UnmarshalJSON([]byte(text)))
		assert.Equal(t, want, id)
	}
	text, err := json.Marshal(map[drift.TagID]drift.TagID{7: maxID})
	require.NoError(t, err)
	assert.JSONEq(t, `{"7":9223372036854775807}`, string(text))
	var back map[drift.TagID]drift.TagID
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, map[drift.TagID]drift.TagID{7: maxID}, back)
	for _, text := range testkit.RefusedIntegers {
		id := drift.TagID(99)
		require.Error(t, json.Unmarshal([]byte(text), &id), text)
	}
}

func TestCompanyID(t *testing.T) {
	assert.Equal(t, "1_a.com", drift.CompanyID("1_a.com").String())
	text, err := json.Marshal(drift.CompanyID("12"))
	require.NoError(t, err)
	assert.Equal(t, `"12"`, string(text))
	var id drift.CompanyID
	require.NoError(t, json.Unmarshal([]byte(`12.50`), &id))
	assert.Equal(t, drift.CompanyID("12.50"), id)
	require.Error(t, json.Unmarshal([]byte(`{}`), &id))
	require.Error(t, json.Unmarshal([]byte(`[]`), &id))
	require.NoError(t, json.Unmarshal([]byte(`true`), &id))
	assert.Equal(t, drift.CompanyID("true"), id)
}

func TestOptional(t *testing.T) {
	var absent drift.Optional[string]
	for name, test := range map[string]struct {
		o                  drift.Optional[string]
		set, null, isZero  bool
		value, text, field string
	}{
		"absent": {absent, false, false, true, "", `null`, `{}`},
		"null":   {drift.Null[string](), false, true, false, "", `null`, `{"a":null}`},
		"set":    {drift.Set("x"), true, false, false, "x", `"x"`, `{"a":"x"}`},
		"empty":  {drift.Set(""), true, false, false, "", `""`, `{"a":""}`},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.set, test.o.IsSet())
			assert.Equal(t, test.null, test.o.IsNull())
			assert.Equal(t, test.isZero, test.o.IsZero())
			value, ok := test.o.Get()
			assert.Equal(t, test.set, ok)
			assert.Equal(t, test.value, value)
			text, err := json.Marshal(test.o)
			require.NoError(t, err)
			assert.Equal(t, test.text, string(text))
			text, err = json.Marshal(struct {
				A drift.Optional[string] `json:"a,omitzero"`
			}{test.o})
			require.NoError(t, err)
			assert.Equal(t, test.field, string(text))
		})
	}
	text, err := json.Marshal(drift.Set([]string(nil)))
	require.NoError(t, err)
	assert.Equal(t, `[]`, string(text))
	require.Error(t, json.Unmarshal([]byte(`7`), &absent))
	value, _ := drift.Set(7).Get()
	assert.Equal(t, 7, value)
}

func TestAttributes(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := drift.Attributes{
		"text": "pro", "number": json.Number("12"), "numeric": "12", "big": json.Number("9007199254740993"), "fraction": json.Number("0.5"),
		"exponent": json.Number("1e2"), "int": 12, "int8": int8(12), "uint64": uint64(1 << 63), "float": 1767225600000.0, "float32": float32(0.5),
		"yes": true, "none": nil, "list": []any{}, "ms": json.Number("1767225600000"), "msText": "1767225600000",
		"rfc": "2026-01-01T02:00:00+02:00", "time": at.In(time.FixedZone("", 3600)), "noZone": "2026-01-01T00:00:00", "zero": json.Number("0"),
	}
	check := func(get func(key string) (any, bool), good map[string]any) {
		t.Helper()
		for key := range a {
			value, ok := get(key)
			want, wantOK := good[key]
			if assert.Equal(t, wantOK, ok, key) && ok {
				assert.Equal(t, want, value, key)
			}
		}
		_, ok := get("missing")
		assert.False(t, ok)
	}
	check(func(key string) (any, bool) { return a.String(key) }, map[string]any{
		"text": "pro", "numeric": "12", "msText": "1767225600000", "rfc": "2026-01-01T02:00:00+02:00", "noZone": "2026-01-01T00:00:00",
	})
	check(func(key string) (any, bool) { return a.Int64(key) }, map[string]any{
		"number": int64(12), "numeric": int64(12), "exponent": int64(100), "big": int64(9007199254740993), "int": int64(12), "int8": int64(12), "float": int64(1767225600000), "zero": int64(0),
		"ms": int64(1767225600000), "msText": int64(1767225600000),
	})
	check(func(key string) (any, bool) { return a.Float64(key) }, map[string]any{
		"number": 12.0, "numeric": 12.0, "big": 9007199254740992.0, "fraction": 0.5, "exponent": 100.0, "zero": 0.0, "int": 12.0, "int8": 12.0,
		"uint64": 9223372036854775808.0, "float": 1767225600000.0, "float32": 0.5, "ms": 1767225600000.0, "msText": 1767225600000.0,
	})
	check(func(key string) (any, bool) { return a.Bool(key) }, map[string]any{"yes": true})
	seconds := func(n int64) time.Time { return time.UnixMilli(n).UTC() }
	check(func(key string) (any, bool) { return a.Time(key) }, map[string]any{
		"ms": at, "msText": at, "rfc": at, "time": at, "float": at, "number": seconds(12), "numeric": seconds(12), "big": seconds(9007199254740993),
		"int": seconds(12), "int8": seconds(12), "exponent": seconds(100),
	})
	var none drift.Attributes
	_, ok := none.String("a")
	assert.False(t, ok)
}

func TestAttributesJSON(t *testing.T) {
	a := drift.Attributes{"old": true}
	require.NoError(t, json.Unmarshal([]byte(`{"n":9007199254740993}`), &a))
	assert.Equal(t, drift.Attributes{"n": json.Number("9007199254740993")}, a)
	require.NoError(t, a.UnmarshalJSON([]byte(`null`)))
	assert.Nil(t, a)
	for _, text := range []string{`[]`, `"a"`, `7`, `true`} {
		require.Error(t, json.Unmarshal([]byte(text), &a), text)
	}
	for _, text := range []string{``, `{`, `{"a"`, `{"a":`, `{"a":[`, `{} x`, `{"a":[1,]}`, `{"a":tru}`} {
		require.Error(t, a.UnmarshalJSON([]byte(text)), text)
	}
}

func TestSecret(t *testing.T) {
	secret := drift.Secret("hunter2")
	assert.Equal(t, "hunter2", secret.Reveal())
	holder := struct {
		S drift.Secret
		P *drift.Secret
		L []drift.Secret
		M map[string]drift.Secret
	}{secret, &secret, []drift.Secret{secret}, map[string]drift.Secret{"a": secret}}
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%t", "%c", "%U", "%o", "%e", "%g", "%10s", "%.3s", "%T", "%Z"} {
		texts = append(texts, fmt.Sprintf(verb, secret), fmt.Sprintf(verb, &secret), fmt.Sprintf(verb, holder), fmt.Sprintf(verb, &holder))
	}
	texts = append(texts, secret.String(), secret.GoString(), secret.LogValue().String(), fmt.Sprint(secret), fmt.Errorf("a: %v", secret).Error(),
		testkit.Encoded(t, secret), testkit.Encoded(t, &secret), testkit.Encoded(t, holder), logOf(secret), logOf(holder))
	for _, text := range texts {
		assert.NotContains(t, text, "hunter")
		assert.NotContains(t, strings.ToLower(text), "68756e746572") // the same in hexadecimal
		assert.NotContains(t, strings.ToLower(text), "68 75 6e")
	}
	assert.Equal(t, `"REDACTED"`, testkit.Encoded(t, secret))
	assert.Equal(t, "REDACTED", fmt.Sprintf("%s", secret))
}

func logOf(v any) string {
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("a", "v", v)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("a", slog.Any("v", v), slog.Group("g", "v", v))
	return log.String()
}
