package drift_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

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

func matchEmail(t testing.TB, body string) (*drift.Contact, error) {
	t.Helper()
	return testkit.Serve(t, testkit.Respond(http.StatusOK, body)).Contacts.MatchEmail(t.Context(), "ann@example.com")
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

// A write whose answer does not fit was applied all the same.
func TestDecodeErrorOfAWriteIsAmbiguous(t *testing.T) {
	client := testkit.Serve(t, testkit.Respond(http.StatusOK, `{"data":{"id":0}}`))
	_, err := client.Messages.Create(t.Context(), 1, drift.MessageCreateRequest{Body: "a", ClientMessageID: "key"})
	var ambiguous *drift.AmbiguousError
	require.ErrorAs(t, err, &ambiguous)
	assert.Equal(t, "key", ambiguous.ClientID)
	testkit.RequireDecodeError(t, err, "/id")
}

// A status of success does not make a success of an error. A member named "error" that says nothing is none.
func TestDecodeErrorsUnderSuccess(t *testing.T) {
	for name, test := range map[string]struct{ body, kind, message string }{
		"object":           {`{"error":{"type":"not_found","message":"no such thing"}}`, "not_found", "no such thing"},
		"list":             {`{"errors":[{"type":"validation_error","message":"bad","param":"email"}]}`, "validation_error", "bad"},
		"text":             {`{"error":"broken"}`, "", "broken"},
		"beside null":      {`{"data":null,"error":{"message":"broken"}}`, "", "broken"},
		"another case":     {`{"Errors":[{"message":"broken"}]}`, "", "broken"},
		"half a surrogate": {`{"error":{"message":"broken\ud83d"}}`, "", "broken"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := getConversation(t, test.body)
			var api *drift.APIError
			require.ErrorAs(t, err, &api)
			assert.Equal(t, http.StatusOK, api.StatusCode)
			assert.Equal(t, test.kind, api.Type)
			assert.Equal(t, test.message, api.Message)
		})
	}
	for _, body := range []string{`{"error":null}`, `{"errors":[]}`, `{"error":""}`, `{"error":false}`, `{"errors":{}}`} {
		_, err := getConversation(t, body)
		testkit.RequireDecodeError(t, err, "/id")
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

func TestDecodeLists(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		want []*drift.Contact
	}{
		"data":       {`{"data":[{"id":1},{"id":2}]}`, []*drift.Contact{{ID: 1}, {ID: 2}}},
		"bare":       {`[{"id":1},{"id":2}]`, []*drift.Contact{{ID: 1}, {ID: 2}}},
		"empty data": {`{"data":[]}`, nil},
		"empty bare": {`[]`, nil},
		"data null":  {`{"data":null}`, nil},
		"null":       {`null`, nil},
		"twice":      {`{"data":[{"id":1}],"data":[{"id":2}]}`, []*drift.Contact{{ID: 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			page, err := listContacts(t, test.body)
			require.NoError(t, err)
			assert.Equal(t, test.want, page.Items)
			assert.Empty(t, page.Next)
		})
	}
	for body, path := range map[string]string{
		`{}`: "", `{"id":1}`: "", `"a"`: "", `7`: "", ``: "", `{"data":{}}`: "", `{"data":"a"}`: "", `{"data":true}`: "", `[{"id":1}] x`: "",
		`[{"id":1}`: "",
	} {
		page, err := listContacts(t, body)
		assert.Nil(t, page)
		testkit.RequireDecodeError(t, err, path)
	}
	for _, body := range []string{`{"errors":[{"message":"broken"}]}`, `{"data":null,"errors":[{"message":"broken"}]}`, `{"data":[],"error":"broken"}`} {
		_, err := listContacts(t, body)
		require.ErrorAs(t, err, new(*drift.APIError), body)
	}
}

func TestDecodeCursors(t *testing.T) {
	for body, want := range map[string]string{
		`"pagination":{"more":true,"next":"c2"}`:                    "c2",
		`"pagination":{"next":"c2"}`:                                "c2",
		`"pagination":{"more":null,"next":"c2"}`:                    "c2",
		`"pagination":{"more":true,"next":25}`:                      "25",
		`"pagination":{"more":true,"next":9007199254740993}`:        "9007199254740993",
		`"pagination":{"more":true,"next":"a b&c=d/é"}`:             "a b&c=d/é",
		`"Pagination":{"More":true,"NEXT":"c2"}`:                    "c2",
		`"pagination":{"more":false,"next":"c2"}`:                   "",
		`"pagination":{"more":false},"links":{"next":"/x?next=c2"}`: "",
		`"pagination":{"more":false}`:                               "",
		`"pagination":{}`:                                           "",
		`"pagination":null,"links":null`:                            "",
		`"pagination":[],"links":""`:                                "",
		`"pagination":false,"links":[]`:                             "",
		`"pagination":{"next":null}`:                                "",
		`"pagination":{"next":""},"links":{"next":""}`:              "",
		`"links":{}`: "",
		`"links":{"next":null,"prev":"/x?next=c0"}`:                                     "",
		`"links":{"next":"/v2/contacts?next=c2"}`:                                       "c2",
		`"links":{"next":"https://elsewhere.example/any?limit=2&next=c2#part"}`:         "c2",
		`"links":{"next":"http://[::1]:namedport/x?page_token=c2"}`:                     "c2",
		`"links":{"next":"?cursor=a%20b%26c"}`:                                          "a b&c",
		`"links":{"next":"/x?cursor=c4&page_token=c3&next=c2"}`:                         "c2",
		`"links":{"next":"/x?cursor=c4&page_token=c3"}`:                                 "c3",
		`"pagination":{"more":true,"next":"c2"},"links":{"next":"/x?next=c9"}`:          "c2",
		`"pagination":{"more":true},"links":{"next":"/x?next=c9"}`:                      "c9",
		`"links":{"next":"/x?next=c9"},"pagination":{"more":true,"next":null},"x":true`: "c9",
	} {
		t.Run(body, func(t *testing.T) {
			page, err := listContacts(t, `{"data":[{"id":1}],`+body+`}`)
			require.NoError(t, err)
			assert.Equal(t, want, page.Next)
			page, err = listContacts(t, `{`+body+`,"data":[{"id":1}]}`)
			require.NoError(t, err)
			assert.Equal(t, want, page.Next)
		})
	}
	for body, path := range map[string]string{
		`"pagination":{"more":true}`:                                 "/pagination/next",
		`"pagination":{"more":true,"next":null}`:                     "/pagination/next",
		`"pagination":{"more":true,"next":""}`:                       "/pagination/next",
		`"pagination":{"more":true,"next":["c2"]}`:                   "/pagination/next",
		`"pagination":{"more":true,"next":{"a":1}}`:                  "/pagination/next",
		`"pagination":{"more":true,"next":true}`:                     "/pagination/next",
		`"pagination":{"more":"yes","next":"c2"}`:                    "/pagination/more",
		`"pagination":[1]`:                                           "/pagination",
		`"pagination":"c1"`:                                          "/pagination",
		`"links":{"next":{"href":"/x?next=c2"}}`:                     "/links/next",
		`"links":{"next":"/x"},"pagination":{"more":true,"next":""}`: "/links/next",
		`"links":"/x?next=c2"`:                                       "/links",
	} {
		t.Run(body, func(t *testing.T) {
			_, err := listContacts(t, `{"data":[{"id":1}],`+body+`}`)
			testkit.RequireDecodeError(t, err, path)
		})
	}
}

// A link is only read. The next page comes from the base URL, wherever the link points.
func TestLinksAreNeverFollowed(t *testing.T) {
	var uris []string
	client := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		uris = append(uris, r.RequestURI)
		if len(uris) == 1 {
			testkit.Respond(http.StatusOK, `{"data":[{"id":1}],"links":{"next":"https://elsewhere.example/steal?next=c2&token=t"}}`)(w, r)
			return
		}
		testkit.Respond(http.StatusOK, `[{"id":2}]`)(w, r)
	})
	contacts, err := drift.Collect(client.Contacts.All(t.Context(), drift.ContactListOptions{Search: "a", Limit: 1}), 0)
	require.NoError(t, err)
	assert.Equal(t, []*drift.Contact{{ID: 1}, {ID: 2}}, contacts)
	assert.Equal(t, []string{"/v2/contacts?limit=1&search=a", "/v2/contacts?limit=1&next=c2&search=a"}, uris)
}

func TestDecodeMatchEmail(t *testing.T) {
	for _, body := range []string{`{"data":{"id":1}}`, `{"id":1}`, `{"data":[{"id":1},{"id":2}]}`, `[{"id":1}]`} {
		contact, err := matchEmail(t, body)
		require.NoError(t, err, body)
		assert.Equal(t, &drift.Contact{ID: 1}, contact, body)
	}
	for _, body := range []string{`{"data":null}`, `{"data":[]}`, `[]`, `null`} {
		contact, err := matchEmail(t, body)
		require.ErrorIs(t, err, drift.ErrNotFound, body)
		assert.Nil(t, contact, body)
	}
	for body, path := range map[string]string{`{}`: "/id", `{"data":{"id":0}}`: "/id", `{"data":[{"id":0}]}`: "/0/id", `{"data":"a"}`: "", ``: ""} {
		_, err := matchEmail(t, body)
		testkit.RequireDecodeError(t, err, path)
		assert.NotErrorIs(t, err, drift.ErrNotFound)
	}
	_, err := matchEmail(t, `{"error":{"message":"broken"}}`)
	require.ErrorAs(t, err, new(*drift.APIError))
	assert.NotErrorIs(t, err, drift.ErrNotFound)
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

func TestDecodeTags(t *testing.T) {
	vip, hot := drift.TagRef{Name: "vip"}, drift.TagRef{ID: 31, Name: "hot", Color: "#f80"}
	odd := hot
	odd.Extra = map[string]json.RawMessage{"x": json.RawMessage(`1`)}
	for body, want := range map[string][]drift.TagRef{
		`"tags":["vip"]`: {vip},
		`"tags":[{"id":"31","name":"hot","color":"#f80"}]`:                          {hot},
		`"tags":["vip",{"ID":31,"Name":"hot","color":"#f80","x":1},{"name":"vip"}]`: {vip, odd, vip},
		`"tags":"vip"`:                               {vip},
		`"tags":""`:                                  nil,
		`"tags":{"name":"vip"}`:                      {vip},
		`"conversationTags":"vip"`:                   {vip},
		`"conversation_tags":["vip"]`:                {vip},
		`"conversationTags":["vip"]`:                 {vip},
		`"tags":["vip"],"conversation_tags":["hot"]`: {vip},
		`"conversation_tags":["hot"],"tags":["vip"]`: {vip},
		`"tags":null,"conversation_tags":["vip"]`:    {vip},
		`"tags":[],"conversation_tags":["hot"]`:      {},
		`"tags":null`:                                nil,
		`"conversation_tags":null`:                   nil,
		`"conversation_tags":[null,{"id":31,"name":"hot","color":"#f80"}]`:                   {{}, hot},
		`"conversation_tags":{"id":31,"name":"hot","color":"#f80"},"contact_id":null,"x":[]`: {hot},
	} {
		c, err := getConversation(t, `{"data":{"id":1,`+body+`}}`)
		require.NoError(t, err, body)
		assert.Equal(t, want, c.Tags, body)
		for name := range c.Extra {
			assert.Equal(t, "x", name)
		}
	}
	for body, path := range map[string]string{
		`"tags":[[]]`: "/tags/0", `"tags":["a",{"id":1.5}]`: "/tags/1/id", `"tags":{"name":{}}`: "/tags/name", `"conversation_tags":[[7]]`: "/conversation_tags/0",
		`"conversationTags":[[7]]`: "/conversationTags/0", `"CONVERSATION_TAGS":{"ID":{}}`: "/CONVERSATION_TAGS/ID",
		`"conversation_tags":["a",{"id":"x"}]`: "/conversation_tags/1/id",
	} {
		_, err := getConversation(t, `{"data":{"id":1,`+body+`}}`)
		testkit.RequireDecodeError(t, err, path)
	}
}

func TestDecodeAttachments(t *testing.T) {
	one, two := drift.Attachment{ID: 3, FileName: "a.pdf", MIMEType: "application/pdf", URL: "https://x/3"}, drift.Attachment{ID: 4}
	for body, want := range map[string][]drift.Attachment{
		`"attachments":[{"id":3,"file_name":"a.pdf","mime_type":"application/pdf","url":"https://x/3"},{"id":4}]`: {one, two},
		`"attachment":[{"id":3,"fileName":"a.pdf","mimeType":"application/pdf","url":"https://x/3"},{"id":4}]`:    {one, two},
		`"attachment":{"id":4}`:                          {two},
		`"Attachment":{"id":4}`:                          {two},
		`"attachment":null`:                              nil,
		`"attachment":[]`:                                {},
		`"attachments":[{"id":4}],"attachment":{"id":3}`: {two},
		`"attachments":null,"attachment":{"id":4}`:       {two},
	} {
		m, err := getMessage(t, `{"id":1,`+body+`}`)
		require.NoError(t, err, body)
		assert.Equal(t, want, m.Attachments, body)
		assert.Nil(t, m.Extra)
	}
	_, err := getMessage(t, `{"id":1,"attachment":{"id":true}}`)
	testkit.RequireDecodeError(t, err, "/attachment/id")
	_, err = getMessage(t, `{"id":1,"attachment":"a.pdf"}`)
	testkit.RequireDecodeError(t, err, "/attachment")
}

func TestDecodeMessageParts(t *testing.T) {
	m, err := getMessage(t, `{"id":1,"author":{"id":7,"type":"user","bot":true,"x":1},"context":{"IP":"192.0.2.1","userAgent":"B","place":{"City":"Bern"}}}`)
	require.NoError(t, err)
	assert.Equal(t, &drift.Author{
		ID: 7, Type: drift.AuthorTypeUser, Bot: true, Extra: map[string]json.RawMessage{"x": json.RawMessage(`1`)},
	}, m.Author)
	assert.Equal(t, &drift.MessageContext{
		IP: "192.0.2.1", UserAgent: "B", Extra: map[string]json.RawMessage{"place": json.RawMessage(`{"City":"Bern"}`)},
	}, m.Context)
	m, err = getMessage(t, `{"id":1,"author":null,"context":null,"buttons":null}`)
	require.NoError(t, err)
	assert.Equal(t, &drift.Message{ID: 1}, m)
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

// marker stands for personal data in a body.
const marker = "MARKER"

// No text of an error may show what the body held: such texts end up in logs.
func TestDecodeErrorsQuoteNothing(t *testing.T) {
	for _, body := range []string{
		`{"id":"MARKER"}`, `{"id":1,"created_at":"MARKER"}`, `{"id":1,"contact_id":"MARKER"}`, `{"id":1,"contact_id":{"MARKER":"MARKER"}}`,
		`{"id":1,"title":["MARKER"]}`, `{"id":1,"title":{"MARKER":1}}`, `{"id":1,"archived":"MARKER"}`, `{"id":1,"member_count":"MARKER"}`,
		`{"id":1,"labels":{"MARKER":"MARKER"}}`, `{"id":1,"labels":[{"MARKER":1}]}`, `{"id":1,"tags":[[7]],"MARKER":"MARKER"}`, `{"id":1,"tags":{"id":"MARKER"}}`,
		`{"id":1,"conversation_tags":[["MARKER"]]}`, `{"id":1,"custom_attributes":"MARKER"}`,
		`{"id":1,"custom_attributes":["MARKER"]}`, `{"id":1,"custom_attributes":{"MARKER":MARKER}}`, `{"id":1,"custom_attributes":{"MARKER":"\MARKER"}}`,
		`{"MARKER":{"MARKER":[MARKER]}}`, `{"id":1,"MARKER":"MARKER`, `{"id":1,"MARKER`, `{"id":1,"MARKER":"\uMARKER"}`, `{"id":1} MARKER`,
		`{"MARKER":1,"id":0}`, `{"data":"MARKER"}`, `{"data":["MARKER"]}`, `{"MARKER":1}`, `"MARKER"`, `["MARKER"]`, `["MARKER`, `MARKER`, `<p>MARKER</p>`,
		`{"data":{"id":1,"MARKER":tru}}`, `{"MARKER":1,"data":{"id":1,"status":[7]}}`, `{"id":1,"custom_attributes":{"MARKER":` + strings.Repeat("[", 10_001) + `}}`,
	} {
		_, err := getConversation(t, body)
		assertNoMarker(t, err, body)
	}
	for _, body := range []string{
		`[{"id":1,"MARKER":{"id":"MARKER"}},{"id":"MARKER"}]`, `{"data":{"MARKER":1}}`, `[{"id":1,"attributes":"MARKER"}]`,
		`{"data":[],"pagination":"MARKER"}`, `{"data":[],"pagination":{"more":"MARKER"}}`, `{"data":[],"pagination":{"more":true,"next":{"MARKER":"MARKER"}}}`,
		`{"data":[],"links":"MARKER"}`, `{"data":[],"links":{"next":"/MARKER?MARKER=MARKER"}}`, `{"data":[],"links":{"next":["MARKER"]}}`,
		`{"data":[{"id":1,"users":["MARKER"]}]}`, `{"data":[{"id":1}],"MARKER":MARKER}`,
	} {
		_, err := listContacts(t, body)
		assertNoMarker(t, err, body)
	}
	for _, body := range []string{`{"id":1,"duration":"MARKER"}`, `{"id":1,"participants":[{"id":"MARKER"}]}`, `{"id":1,"participants":"MARKER","MARKER":0}`} {
		_, err := getMeeting(t, body)
		assertNoMarker(t, err, body)
	}
	for _, body := range []string{
		`{"id":1,"attachment":"MARKER"}`, `{"id":1,"attachment":[{"id":"MARKER","MARKER":1}]}`, `{"id":1,"context":"MARKER"}`, `{"id":1,"context":{"ip":{"MARKER":1}}}`,
		`{"id":1,"author":{"id":"MARKER"}}`, `{"id":1,"buttons":[{"MARKER":1,"reaction":"MARKER"}]}`,
	} {
		_, err := getMessage(t, body)
		assertNoMarker(t, err, body)
	}
}

func assertNoMarker(t *testing.T, err error, body string) {
	t.Helper()
	if !assert.Error(t, err, body) {
		return
	}
	for _, text := range everyText(err) {
		assert.NotContains(t, text, marker, "for %.80s", body)
	}
}

// everyText prints an error and everything that it wraps in every way.
func everyText(err error) []string {
	texts := []string{err.Error(), logged(err)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%d", "%s", "%x"} {
		text := fmt.Sprintf(verb, err)
		texts = append(texts, strings.ReplaceAll(text, fmt.Sprintf("%x", marker), marker))
	}
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		if inner := wrapper.Unwrap(); inner != nil {
			texts = append(texts, everyText(inner)...)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range wrapper.Unwrap() {
			texts = append(texts, everyText(inner)...)
		}
	}
	return texts
}

func logged(err error) string {
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Error("failed", "err", err)
	slog.New(slog.NewJSONHandler(&log, nil)).Error("failed", "err", err)
	return log.String()
}

// The walk itself finds what is there.
func TestEveryTextFinds(t *testing.T) {
	inner := errors.New(marker)
	for _, err := range []error{inner, fmt.Errorf("a: %w", inner), errors.Join(errors.New("a"), inner)} {
		assert.Contains(t, strings.Join(everyText(err), " "), marker)
	}
}
