package faults_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/faults"
	"github.com/driftsdk/drift/internal/testkit"
)

// valueFaults: odd values in records and requests.
func valueFaults() faults.Cases {
	return faults.Cases{
		171: faultNumbersForTextIDs, 172: faultForeignNames, 173: faultNullBesideAValue, 174: faultNamesThatComeTwice, 175: faultUnknownMembers,
		176: faultGenerousScalars, 177: faultNearlyInstants, 179: faultOddCursors, 180: faultPathOfAnError, 181: faultNilPayload,
		182: faultPayloadRoundTrip, 183: faultUnsayableFilters, 184: faultMemberCountZero, 185: faultLinearDecoding,
	}
}

// message and meeting read a record whose members are these.
func (c *faultClient) message(network *testkit.MemoryNetwork, members string) (*drift.Message, error) {
	network.Body = `{"data":{` + members + `}}`
	message, err := c.Messages.Get(c.t.Context(), 1, 1)
	return message, c.saw(err)
}

func (c *faultClient) meeting(network *testkit.MemoryNetwork, members string) (*drift.Meeting, error) {
	network.Body = `{"data":{` + members + `}}`
	meeting, err := c.Meetings.Get(c.t.Context(), 1)
	return meeting, c.saw(err)
}

func rawJSON(text string) json.RawMessage { return json.RawMessage(text) }

func faultNumbersForTextIDs(t *testing.T) {
	client, network := bodyFault(t)
	for _, id := range []string{"9007199254740993", "123456789012345678901234567890", "1.50", "-0", "1e400"} {
		network.Body = `{"data":{"id":` + id + `,"action_id":` + id + `,"status":` + id + `}}`
		interaction, err := client.Driftbot.Trigger(t.Context(), 1, drift.DriftbotTriggerRequest{})
		require.NoError(t, client.saw(err))
		assert.Equal(t, &drift.DriftbotInteraction{ID: id, ActionID: id, Status: id}, interaction)

		message, err := client.message(network, `"id":1,"client_message_id":`+id)
		require.NoError(t, err)
		assert.Equal(t, id, message.ClientMessageID)

		network.Body = `[{"id":1,"workspace_id":` + id + `},{"id":2,"workspaceId":"` + id + `"}]`
		teams, err := client.Companies.ListTeams(t.Context(), "1_a.com", drift.CompanyListTeamsOptions{})
		require.NoError(t, client.saw(err))
		assert.Equal(t, []*drift.Team{{ID: 1, WorkspaceID: id}, {ID: 2, WorkspaceID: id}}, teams.Items)

		network.Body = `{"id":1,"client_id":` + id + `}`
		note, err := client.Notes.Get(t.Context(), 1, 1)
		require.NoError(t, client.saw(err))
		assert.Equal(t, id, note.ClientID)
	}
}

func faultForeignNames(t *testing.T) {
	client, network := bodyFault(t)
	for foreign, want := range map[string]map[string]json.RawMessage{
		`"_id":7`: {"_id": rawJSON(`7`)}, `"__id__":7`: {"__id__": rawJSON(`7`)}, `"i-d":7`: {"i-d": rawJSON(`7`)}, `"id_":7`: {"id_": rawJSON(`7`)}, `"-id":7`: {"-id": rawJSON(`7`)},
		`"_id":"5f1a"`: {"_id": rawJSON(`"5f1a"`)}, `"_created_at":"soon"`: {"_created_at": rawJSON(`"soon"`)}, `"Created-At":5`: {"Created-At": rawJSON(`5`)},
		`"_attachment":{}`: {"_attachment": rawJSON(`{}`)}, `"i_d":7`: nil, `"ID":7`: nil, `"i__d":{}`: nil, `"Id":"soon"`: nil,
	} {
		for _, members := range []string{`"id":1,` + foreign, foreign + `,"id":1`, foreign + `,"id":1,` + foreign} {
			message, err := client.message(network, members)
			require.NoError(t, err, members)
			assert.Equal(t, &drift.Message{ID: 1, Extra: want}, message, members)
		}
	}
	for _, network.Body = range []string{
		`{"data":{"id":1},"Data":{"id":2},"_data":[],"da-ta":7}`, `{"_data":null,"DATA":{"id":{}},"data":{"id":1}}`, `{"_error":"no","err-or":"no","data":{"id":1}}`,
		`{"Data":null,"d_ata":{"id":1}}`, `{"data":{"id":"x"},"data":{"id":1}}`,
	} {
		conversation, err := client.conversation()
		require.NoError(t, err, network.Body)
		assert.Equal(t, &drift.Conversation{ID: 1}, conversation, network.Body)
	}
	network.Body = `{"_data":1,"id":1}`
	conversation, err := client.conversation()
	require.NoError(t, err)
	assert.Equal(t, &drift.Conversation{ID: 1, Extra: map[string]json.RawMessage{"_data": rawJSON(`1`)}}, conversation)
	for rest, want := range map[string]string{
		`"pagination":{"next":"a","_next":"b","Next":"c","ne-xt":{}}`: "a", `"Pagination":{"next":"b"},"pagination":{"next":"a"}`: "a",
		`"_pagination":7,"pagination":{"next":"b","next":"a","more":true,"More":false}`: "a", `"pag-ination":{"next":"b"}`: "",
		`"links":{"_next":7,"next":"?next=a","NEXT":"?next=b"}`: "a", `"pagination":{"more":false,"more_":true,"next":"b"}`: "",
	} {
		network.Body = `{"data":[{"id":1}],` + rest + `}`
		page, err := client.Contacts.List(t.Context(), drift.ContactListOptions{})
		require.NoError(t, client.saw(err), rest)
		assert.Equal(t, want, page.Next, rest)
	}
}

func faultNullBesideAValue(t *testing.T) {
	client, network := bodyFault(t)
	at := time.UnixMilli(5).UTC()
	for members, want := range map[string]*drift.Message{
		`"created_at":5,"createdAt":null`:                         {CreatedAt: at},
		`"createdAt":null,"created_at":5`:                         {CreatedAt: at},
		`"created_at":null,"createdAt":5`:                         {CreatedAt: at},
		`"createdAt":5,"created_at":null`:                         {CreatedAt: at},
		`"createdAt":5,"CreatedAt":null,"created_at":""`:          {CreatedAt: at},
		`"createdAt":9,"CREATED_AT":5,"CreatedAt":null`:           {CreatedAt: at},
		`"createdAt":5,"CreatedAt":9,"CreatedAt":null`:            {CreatedAt: at},
		`"created_at":5,"created_at":null`:                        {},
		`"created_at":null,"created_at":5`:                        {CreatedAt: at},
		`"attachments":null,"attachment":{"id":3}`:                {Attachments: []drift.Attachment{{ID: 3}}},
		`"attachment":{"id":3},"attachments":null`:                {Attachments: []drift.Attachment{{ID: 3}}},
		`"attachment":{"id":3},"ATTACHMENT":null`:                 {Attachments: []drift.Attachment{{ID: 3}}},
		`"attachments":[],"attachment":{"id":3}`:                  {Attachments: []drift.Attachment{}},
		`"author":{"id":1},"Author":null`:                         {Author: &drift.Author{ID: 1}},
		`"author":{"ID":1,"id":null,"bot":null,"Bot":true}`:       {Author: &drift.Author{ID: 1, Bot: true}},
		`"attributes":{"a":null,"A":null},"Attributes":{"a":"b"}`: {Attributes: drift.Attributes{"a": nil, "A": nil}},
		`"body":"","Body":"a"`:                                    {},
	} {
		want.ID = 1
		message, err := client.message(network, `"id":1,`+members)
		require.NoError(t, err, members)
		assert.Equal(t, want, message, members)
	}
}

func faultNamesThatComeTwice(t *testing.T) {
	client, network := bodyFault(t)
	for members, want := range map[string]*drift.Message{
		`"author":{"id":1,"bot":true},"author":{"id":2}`:                       {Author: &drift.Author{ID: 2}},
		`"author":{"id":1,"x":1},"author":{"id":2,"y":2}`:                      {Author: &drift.Author{ID: 2, Extra: map[string]json.RawMessage{"y": rawJSON(`2`)}}},
		`"author":{"id":1,"bot":true},"author":{}`:                             {Author: &drift.Author{}},
		`"author":{"id":"x"},"author":{"id":2}`:                                {Author: &drift.Author{ID: 2}},
		`"author":[],"AUTHOR":7,"author":{"id":2}`:                             {Author: &drift.Author{ID: 2}},
		`"labels":["a","b"],"labels":["c"]`:                                    {Labels: []string{"c"}},
		`"labels":["a"],"labels":[]`:                                           {Labels: []string{}},
		`"labels":["a"],"Labels":["b"],"LABELS":["c"]`:                         {Labels: []string{"a"}},
		`"attributes":{"a":1},"attributes":{"b":{"c":1},"b":{"d":2}}`:          {Attributes: drift.Attributes{"b": map[string]any{"d": json.Number("2")}}},
		`"buttons":[{"label":"a","value":"v"},{}],"buttons":[{"label":"b"}]`:   {Buttons: []drift.Button{{Label: "b"}}},
		`"buttons":[{"reaction":{"type":"a"},"reaction":{"message":"b"}}]`:     {Buttons: []drift.Button{{Reaction: &drift.ButtonReaction{Message: "b"}}}},
		`"context":{"ip":"a","x":1},"context":{"user_agent":"b"},"x":1,"x":2`:  {Context: &drift.MessageContext{UserAgent: "b"}, Extra: map[string]json.RawMessage{"x": rawJSON(`2`)}},
		`"attachment":{"id":3,"url":"a"},"attachment":{"id":4},"body":"a"`:     {Attachments: []drift.Attachment{{ID: 4}}, Body: "a"},
		`"attachment":{"id":3},"attachments":[{"id":4}],"attachment":{"id":5}`: {Attachments: []drift.Attachment{{ID: 4}}},
	} {
		want.ID = 1
		message, err := client.message(network, `"id":1,`+members)
		require.NoError(t, err, members)
		assert.Equal(t, want, message, members)
		kept := *testkit.Filled(t, reflect.TypeFor[drift.Message]()).Interface().(*drift.Message)
		require.NoError(t, json.Unmarshal([]byte(`{"id":1,`+members+`}`), &kept))
		assert.Equal(t, want, &kept, members)
	}
	var target struct {
		Author struct{ ID, OrgID int64 }
		Free   map[string]any
		List   []map[string]int
	}
	network.Body = `{"data":{"author":{"id":1,"org_id":2},"free":{"a":{"b":1}},"list":[{"a":1},{"b":2}]},` +
		`"data":{"author":{"org_id":9},"author":{"id":3},"free":{"x":1},"free":{"c":{"d":1},"c":{"e":"f"}},"list":[{"z":1}],"list":[{"c":3}]}}`
	require.NoError(t, client.saw(client.Do(t.Context(), drift.Request{Path: "a"}, &target)))
	assert.Equal(t, struct{ ID, OrgID int64 }{ID: 3}, target.Author)
	assert.Equal(t, map[string]any{"c": map[string]any{"e": "f"}}, target.Free)
	assert.Equal(t, []map[string]int{{"c": 3}}, target.List)
}

func faultUnknownMembers(t *testing.T) {
	client, network := bodyFault(t)
	x := map[string]json.RawMessage{"x_new": rawJSON(`{"a":[1,2.50],"b":"é"}`)}
	const unknown = `"x_new":{"a":[1,2.50],"b":"é"}`
	message, err := client.message(network, `"id":1,"author":{"id":2,`+unknown+`},"buttons":[{"label":"a","reaction":{"type":"b",`+unknown+`},`+unknown+`}],`+
		`"attachment":{"id":3,`+unknown+`},"context":{`+unknown+`},`+unknown)
	require.NoError(t, err)
	assert.Equal(t, &drift.Message{
		ID: 1, Author: &drift.Author{ID: 2, Extra: x}, Buttons: []drift.Button{{Label: "a", Reaction: &drift.ButtonReaction{Type: "b", Extra: x}, Extra: x}},
		Attachments: []drift.Attachment{{ID: 3, Extra: x}}, Context: &drift.MessageContext{Extra: x}, Extra: x,
	}, message)
	var cached drift.Message
	require.NoError(t, json.Unmarshal([]byte(testkit.Encoded(t, message)), &cached))
	assert.Equal(t, message, &cached)
	assert.Equal(t, 6, strings.Count(testkit.Encoded(t, message), "x_new"))
	for _, part := range []any{message.Author, message.Buttons[0], *message.Buttons[0].Reaction, message.Attachments[0], []any{message.Context}} {
		assert.NotContains(t, testkit.Encoded(t, part), "Extra")
		assert.Contains(t, testkit.Encoded(t, part), `"x_new":{"a":[1,2.50],"b":"é"}`)
	}

	network.Body = `{"id":1,"tags":["vip",{"name":"hot",` + unknown + `},{"name":"cold"}]}`
	conversation, err := client.conversation()
	require.NoError(t, err)
	assert.Equal(t, []drift.TagRef{{Name: "vip"}, {Name: "hot", Extra: x}, {Name: "cold"}}, conversation.Tags)
	assert.JSONEq(t, network.Body, strings.Replace(testkit.Encoded(t, conversation), `"cold"`, `{"name":"cold"}`, 1))

	meeting, err := client.meeting(network, `"id":1,"participants":[{"email":"a@b",`+unknown+`}]`)
	require.NoError(t, err)
	assert.Equal(t, []drift.Participant{{Email: "a@b", Extra: x}}, meeting.Participants)
}

func faultGenerousScalars(t *testing.T) {
	client, network := bodyFault(t)
	meeting, err := client.meeting(network, `"id":"1.0","conversation_id":"","duration":"30.0","start_at":0,"ended_at":"","in_progress":"true","participant_ids":"50e-1",`+
		`"created_by":5e0,"updated_by":9223372036854775807.0,"created_at":"0","updated_at":"1970-01-01T00:00:00Z","subject":7.50,"location":true,"participants":{"id":1E1}`)
	require.NoError(t, err)
	assert.Equal(t, &drift.Meeting{
		ID: 1, Duration: 30 * time.Minute, InProgress: true, ParticipantIDs: []drift.ParticipantID{5}, CreatedBy: 5, UpdatedBy: math.MaxInt64,
		Subject: "7.50", Location: "true", Participants: []drift.Participant{{ID: 10}},
	}, meeting)
	network.Body = `{"id":"1","labels":"a","tags":{"id":"3.0"},"participants":["",null,"2",3.0],"member_count":"","archived":"","deleted":"false","direction":1,"created_at":5.0}`
	conversation, err := client.conversation()
	require.NoError(t, err)
	assert.Equal(t, &drift.Conversation{
		ID: 1, Labels: []string{"a"}, Tags: []drift.TagRef{{ID: 3}}, Participants: []drift.UserID{0, 0, 2, 3}, Direction: "1", CreatedAt: time.UnixMilli(5).UTC(),
	}, conversation)
	message, err := client.message(network, `"id":1,"labels":["a",1.50,false,null],"author":{"id":"","bot":"true"},"attachments":"","buttons":""`)
	require.NoError(t, err)
	network.Body = `{"data":{"id":1,"tags":[2024,true,"vip",{"name":7.50}]}}`
	conversation, err = client.conversation()
	require.NoError(t, err)
	assert.Equal(t, []drift.TagRef{{Name: "2024"}, {Name: "true"}, {Name: "vip"}, {Name: "7.50"}}, conversation.Tags)
	assert.Equal(t, &drift.Message{ID: 1, Labels: []string{"a", "1.50", "false", ""}, Author: &drift.Author{Bot: true}}, message)

	for members, path := range map[string]string{
		`"member_count":5.5`: "/member_count", `"archived":1`: "/archived", `"archived":"yes"`: "/archived", `"title":{}`: "/title", `"title":["a"]`: "/title",
		`"labels":{}`: "/labels", `"participants":true`: "/participants", `"contact_id":[1]`: "/contact_id", `"created_at":5.5`: "/created_at", `"tags":[[]]`: "/tags/0",
		`"custom_attributes":""`: "/custom_attributes", `"created_at":false`: "/created_at", `"member_count":1e999999999`: "/member_count", `"labels":[["a"]]`: "/labels/0",
	} {
		network.Body = `{"id":1,` + members + `}`
		_, err := client.conversation()
		testkit.RequireDecodeError(t, err, path)
	}
	var target struct {
		ID      drift.ContactID
		Count   int
		Exact   int64
		At      time.Time
		For     time.Duration
		Yes, No bool
		Company drift.CompanyID
		IDs     []*drift.TagID
	}
	network.Body = `{"id":"5.0","count":"","exact":9007199254740993.0,"at":0,"for":"1e1","yes":"true","no":"","company":7,"ids":["",5e0]}`
	require.NoError(t, client.saw(client.Do(t.Context(), drift.Request{Path: "a"}, &target)))
	assert.EqualValues(t, 5, target.ID)
	assert.Zero(t, target.Count)
	assert.Equal(t, int64(1<<53+1), target.Exact)
	assert.True(t, target.At.IsZero() && target.Yes && !target.No)
	assert.Equal(t, 10*time.Minute, target.For)
	assert.Equal(t, drift.CompanyID("7"), target.Company)
	assert.Equal(t, []*drift.TagID{new(drift.TagID(0)), new(drift.TagID(5))}, target.IDs)
}

func faultNearlyInstants(t *testing.T) {
	client, network := bodyFault(t)
	for _, text := range []string{
		"T3:04:05Z", "T03:4:05Z", "T03:04:5Z", "T03:04:05,5Z", "T03:04:05.Z", "T03:04:05+24:00", "T03:04:05+02:60", "T03:04:05-99:00", "T03:04:05+2:00", "T03:04:05+0200",
		"T03:04:05", "T03:04:05 Z", " 03:04:05Z", "T03:04Z", "T24:00:00Z", "T03:60:00Z", "T03:04:05Zulu", "T03:04:05+02:00Z", "T03:04:05\u200b+02:00", "T٠٣:04:05Z",
	} {
		network.Body = `{"id":1,"created_at":"2026-01-02` + text + `"}`
		_, err := client.conversation()
		testkit.RequireDecodeError(t, err, "/created_at")
		_, isInstant := drift.Attributes{"at": "2026-01-02" + text}.Time("at")
		assert.False(t, isInstant, text)
	}
	want := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	for _, text := range []string{"T03:04:05.006Z", "t03:04:05.006z", "T03:04:05.006999999999Z", "T04:04:05.006+01:00", "T03:04:05.006-00:00", "T03:04:05.006+00:00"} {
		network.Body = `{"id":1,"created_at":"2026-01-02` + text + `"}`
		conversation, err := client.conversation()
		require.NoError(t, err)
		assert.Equal(t, want, conversation.CreatedAt, text)
	}
}

func faultOddCursors(t *testing.T) {
	client, network := bodyFault(t)
	for rest, want := range map[string]string{
		`"pagination":{"next":" "}`: " ", `"pagination":{"more":true,"next":"\t\u00a0"}`: "\t\u00a0", `"pagination":{"next":"{ }"}`: "{ }", `"pagination":{"next":"null"}`: "null",
		`"links":{"next":"/x?a=1;b&next=2"}`: "2", `"links":{"next":"/x?next=2&a=%zz"}`: "2", `"links":{"next":"/x?%zz=1&&;&=&next=%20"}`: " ",
		`"links":{"next":"?next=%zz&cursor=2"}`: "2", `"pagination":{"more":"true"},"links":{"next":"?next=2#a?next=3"}`: "2", `"pagination":{"more":"false","next":"2"}`: "",
		`"pagination":{"next":{ }},"links":{"next":""}`: "", `"pagination":{"next":0}`: "0",
	} {
		network.Body = `{"data":[{"id":1}],` + rest + `}`
		page, err := client.Contacts.List(t.Context(), drift.ContactListOptions{})
		require.NoError(t, client.saw(err), rest)
		assert.Equal(t, want, page.Next, rest)
	}
	for rest, path := range map[string]string{
		`"links":{"next":"/x?next=%zz"}`: "/links/next", `"Links":{"NEXT":{}}`: "/Links/NEXT", `"PAGINATION":{"more":true}`: "/PAGINATION/next", `"paginAtion":{"Next":[1]}`: "/paginAtion/Next",
		`"pagination":{"More":1}`: "/pagination/More",
	} {
		network.Body = `{"data":[{"id":1}],` + rest + `}`
		_, err := client.Contacts.List(t.Context(), drift.ContactListOptions{})
		testkit.RequireDecodeError(t, client.saw(err), path)
	}
	sent, seen := requestFault(t)
	_, err := sent.Contacts.List(t.Context(), drift.ContactListOptions{Cursor: " "})
	require.NoError(t, err)
	assert.Equal(t, "limit=100&next=+", (*seen)[0].URL.RawQuery)
}

func faultPathOfAnError(t *testing.T) {
	client, network := bodyFault(t)
	for members, path := range map[string]string{
		`"id":1,"conversationTags":[[7]]`: "/conversationTags/0", `"id":1,"Conversation_Tags":["a",{"ID":{}}]`: "/Conversation_Tags/1/ID", `"id":1,"conversation_tags":[[]]`: "/conversation_tags/0",
		`"id":1,"createdAt":"soon"`: "/createdAt", `"ID":1,"tags":null,"conversationTags":[[7]]`: "/conversationTags/0", `"ID":0`: "/ID", `"Id":null`: "/Id", `"i\u0064":""`: "/id", `"title":"a"`: "/id",
		`"id":1,"CREATED_AT":{},"createdAt":null`: "/CREATED_AT", `"id":1,"customAttributes":7`: "/customAttributes",
	} {
		network.Body = `{"data":{` + members + `}}`
		_, err := client.conversation()
		testkit.RequireDecodeError(t, err, path)
	}
	_, err := client.message(network, `"id":1,"Attachment":{"fileName":{}}`)
	testkit.RequireDecodeError(t, err, "/Attachment/fileName")
	_, err = client.message(network, `"id":1,"Author":{"Id":"x"}`)
	testkit.RequireDecodeError(t, err, "/Author/Id")
}

// triggerBodies returns a client, and the bodies of the triggers that it sends.
func triggerBodies(t *testing.T) (*faultClient, *[]string) {
	t.Helper()
	var bodies []string
	client := serveFault(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		testkit.Respond(http.StatusOK, `{"data":{"id":"a"}}`)(w, r)
	})
	client.limiter.Limiter = testkit.OpenLimiter{}
	return client, &bodies
}

func faultNilPayload(t *testing.T) {
	client, bodies := triggerBodies(t)
	var null *struct{ A int }
	for name, payload := range map[string]any{
		"nil": nil, "raw": json.RawMessage(nil), "empty raw": json.RawMessage{}, "pointer": null, "pointer to one": &null, "map": map[string]any(nil), "attributes": drift.Attributes(nil),
		"slice": []int(nil), "pointer to a map": new(map[string]int), "pointer to raw": new(json.RawMessage), "time": (*time.Time)(nil), "optional": drift.Null[int](),
	} {
		*bodies = nil
		req := drift.DriftbotTriggerRequest{ActionID: "a", Payload: payload}
		_, err := client.Driftbot.Trigger(t.Context(), 1, req)
		require.NoError(t, client.saw(err), name)
		assert.Equal(t, []string{`{"action_id":"a","conversation_id":1}`}, *bodies, name)
		assert.JSONEq(t, `{"action_id":"a"}`, testkit.Encoded(t, req), name)
	}
	for want, payload := range map[string]any{
		`null`: json.RawMessage("null"), `{}`: map[string]any{}, `[]`: []int{}, `""`: "", `0`: 0, `false`: new(false), `{"a":null}`: map[string]any{"a": null}, `[null]`: []any{nil},
	} {
		*bodies = nil
		_, err := client.Driftbot.Trigger(t.Context(), 1, drift.DriftbotTriggerRequest{Payload: payload})
		require.NoError(t, client.saw(err), want)
		assert.Equal(t, []string{`{"payload":` + want + `,"conversation_id":1}`}, *bodies)
	}
}

func faultPayloadRoundTrip(t *testing.T) {
	client, bodies := triggerBodies(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.FixedZone("", 3600))
	type slot struct {
		At   time.Time  `json:"at"`
		Next *time.Time `json:"next"`
		Note string     `json:"note"`
	}
	for _, payload := range []any{
		map[string]any{"slot": time.UnixMilli(5)}, map[string]any{"slots": []time.Time{at, at.UTC()}}, slot{at, &at, "<a&b>"}, &slot{At: at}, at, drift.Attributes{"at": at},
		json.Number("1.50"), 1e21, int64(math.MaxInt64), json.RawMessage(`{"a":1.50}`), json.RawMessage(`null`), json.RawMessage(nil), nil, "text", []any{}, map[string]int(nil),
	} {
		*bodies = nil
		req := drift.DriftbotTriggerRequest{ActionID: "a", Payload: payload}
		var back, again drift.DriftbotTriggerRequest
		require.NoError(t, json.Unmarshal([]byte(testkit.Encoded(t, req)), &back))
		require.NoError(t, json.Unmarshal([]byte(testkit.Encoded(t, &back)), &again))
		for _, req := range []drift.DriftbotTriggerRequest{req, back, again} {
			_, err := client.Driftbot.Trigger(t.Context(), 1, req)
			require.NoError(t, client.saw(err))
		}
		assert.Equal(t, (*bodies)[0], (*bodies)[1], "%T", payload)
		assert.Equal(t, (*bodies)[0], (*bodies)[2], "%T", payload)
	}
	_, err := json.Marshal(drift.DriftbotTriggerRequest{Payload: time.Minute})
	require.Error(t, err)
}

func faultUnsayableFilters(t *testing.T) {
	client, seen := requestFault(t)
	for _, key := range []string{"", "a[b", "a]", "[", "]", "a][b", "a\x00", "a\nb", "\x7f", "\u0085", "\xff"} {
		_, err := client.Contacts.List(t.Context(), drift.ContactListOptions{CustomAttributes: drift.Attributes{key: "a"}})
		client.requireRefused(err, "custom_attributes")
		for _, err := range client.Conversations.All(t.Context(), drift.ConversationListOptions{CustomAttributes: drift.Attributes{key: 1}}) {
			client.requireRefused(err, "custom_attributes")
		}
	}
	type plan string
	for _, value := range []any{"", plan(""), nil} {
		_, err := client.Contacts.List(t.Context(), drift.ContactListOptions{CustomAttributes: drift.Attributes{"plan": value}})
		client.requireRefused(err, "custom_attributes")
	}
	for _, list := range [][]string{{""}, {"a", ""}, {"", "a"}} {
		_, err := client.Contacts.List(t.Context(), drift.ContactListOptions{Tags: list})
		client.requireRefused(err, "tags")
		_, err = client.Conversations.List(t.Context(), drift.ConversationListOptions{Labels: list})
		client.requireRefused(err, "labels")
		_, err = client.Meetings.List(t.Context(), drift.MeetingListOptions{Participants: list})
		client.requireRefused(err, "participants")
	}
	client.requireNothingSent(seen)
	_, err := client.Contacts.List(t.Context(), drift.ContactListOptions{CustomAttributes: drift.Attributes{"é &=_-. ": " "}, Tags: []string{" "}})
	require.NoError(t, client.saw(err))
	assert.Equal(t, map[string][]string{"custom_attributes[é &=_-. ]": {" "}, "tags": {" "}, "limit": {"100"}}, map[string][]string((*seen)[0].URL.Query()))
}

func faultMemberCountZero(t *testing.T) {
	client, seen := requestFault(t)
	_, err := client.Conversations.List(t.Context(), drift.ConversationListOptions{MemberCount: new(-1)})
	client.requireRefused(err, "member_count")
	client.requireNothingSent(seen)
	for i, count := range []*int{new(0), new(3), nil} {
		_, err := client.Conversations.List(t.Context(), drift.ConversationListOptions{MemberCount: count})
		require.NoError(t, client.saw(err))
		assert.Equal(t, []string{"limit=100&member_count=0", "limit=100&member_count=3", "limit=100"}[i], (*seen)[i].URL.RawQuery)
	}
}

func faultLinearDecoding(t *testing.T) {
	client, network := bodyFault(t)
	repeated := func(size int, member func(i int) string) string {
		var text strings.Builder
		for i := 0; text.Len() < size; i++ {
			if i > 0 {
				text.WriteByte(',')
			}
			text.WriteString(member(i))
		}
		return text.String()
	}
	size, longest := 4<<20, time.Second
	if testkit.UnderRaceDetector() {
		size, longest = 256<<10, time.Minute
	}
	tags := "[" + repeated(size, func(int) string { return `{"id":31,"name":"vip"}` }) + "]"
	times := fastest(t, 8, map[string]func(){
		"own name":    func() { network.Body = `{"id":1,"tags":` + tags + `}` },
		"other name":  func() { network.Body = `{"id":1,"conversation_tags":` + tags + `}` },
		"other names": func() { network.Body = `{"id":1,"conversationTags":` + tags + `}` },
	}, func() {
		conversation, err := client.conversation()
		require.NoError(t, err)
		require.Greater(t, len(conversation.Tags), size/50)
	})
	for name, took := range times {
		assert.Less(t, took, 2*times["own name"], name)
	}

	for name, member := range map[string]func(i int) string{
		"fields":          func(i int) string { return fmt.Sprintf(`"f%d":["taken"]`, i) },
		"one field":       func(int) string { return `"email":["taken","long"]` },
		"nested":          func(i int) string { return fmt.Sprintf(`"f":{"g":{"h":{"i%d":null}}}`, i) },
		"many texts":      func(int) string { return `"":["a","b","c"]` },
		"names of errors": func(int) string { return `"type":1,"Type":2,"t_ype":3` },
	} {
		set := func(size int) func() {
			body := `{"errors":{` + repeated(size, member) + `}}`
			return func() { network.Body = body }
		}
		times := fastest(t, 5, map[string]func(){"quarter": set(size / 4), "whole": set(size)}, func() {
			_, err := client.conversation()
			var api *drift.APIError
			require.ErrorAs(t, err, &api)
			require.LessOrEqual(t, len(api.Fields), 64)
		})
		assert.Less(t, times["whole"], 12*times["quarter"]+20*time.Millisecond, name)
		assert.Less(t, times["whole"], longest, name)
	}
}

// fastest returns the shortest of several times that a call took after each preparation. They take turns, so that a
// busy machine is busy for all of them.
func fastest(t *testing.T, rounds int, prepare map[string]func(), call func()) map[string]time.Duration {
	t.Helper()
	times := map[string]time.Duration{}
	for range rounds {
		for name, ready := range prepare {
			ready()
			start := time.Now()
			call()
			took := time.Since(start)
			if known, measured := times[name]; !measured || took < known {
				times[name] = took
			}
		}
	}
	t.Log(times)
	return times
}
