package drifttest_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/driftsdk/drift"
)

type contactAnswer struct {
	Data struct {
		ID         int64
		Attributes map[string]any
	}
}

// Drift's own keys are the attributes of v2, all others are its custom attributes.
func TestClassicContactsAreThoseOfV2(t *testing.T) {
	t.Parallel()
	w := start(t)
	read[any](w, "POST", "contacts", `{"attributes":{"email":"a@x.example","name":"Ada","plan":"pro","seats":9007199254740993,`+
		`"tags":[{"name":"vip"}]}}`)
	contact := w.ok("GET", "v2/contacts/1", "")
	assert.Equal(t, "a@x.example", contact["email"])
	assert.Equal(t, map[string]any{"name": "Ada"}, contact["attributes"])
	assert.Equal(t, map[string]any{"plan": "pro", "seats": json.Number("9007199254740993")}, contact["custom_attributes"])
	assert.Equal(t, []any{"vip"}, contact["tags"])
	assert.Equal(t, []int{1}, w.list("v2/contacts?custom_attributes[plan]=pro").ids())

	w.ok("PATCH", "v2/contacts/1", `{"custom_attributes":{"plan":"free"},"email":"b@x.example"}`)
	changed := read[contactAnswer](w, "PATCH", "contacts/1", `{"attributes":{"name":null,"tier":2}}`).Data.Attributes
	assert.Equal(t, "free", changed["plan"])
	assert.Equal(t, "b@x.example", changed["email"])
	assert.EqualValues(t, 2, changed["tier"])
	assert.NotContains(t, changed, "name", "null clears")
	assert.Contains(t, changed, "externalId")
	assert.Nil(t, changed["externalId"])
}

func TestClassicContactsWithTheSameEmail(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, id := range []string{`"x-1"`, `12341243`} {
		read[any](w, "POST", "contacts", `{"attributes":{"email":"a@x.example","externalId":`+id+`}}`)
	}
	type list struct{ Data []struct{ ID int64 } }
	assert.Len(t, read[list](w, "GET", "contacts?email=a@x.example", "").Data, 2)
	assert.Len(t, read[list](w, "GET", "contacts?email=a@x.example&limit=1", "").Data, 1)
	assert.Empty(t, read[list](w, "GET", "contacts?email=b@x.example", "").Data)
	assert.Equal(t, list{[]struct{ ID int64 }{{2}, {1}}}, read[list](w, "GET", "contacts?idType=external&id=12341243&id=x-1&id=none", ""))
}

func TestClassicTimelineOfExternalContact(t *testing.T) {
	t.Parallel()
	w := start(t)
	read[any](w, "POST", "contacts", `{"attributes":{"email":"a@x.example","externalId":"x-1"}}`)
	event := read[struct{ Data map[string]any }](w, "POST", "contacts/timeline", `{"externalId":"x-1","event":"Paid"}`).Data
	assert.Equal(t, "x-1", event["externalId"])
	assert.EqualValues(t, 1, event["contactId"])
	assert.NotZero(t, event["createdAt"])
	assert.Equal(t, 404, w.send("POST", "contacts/timeline", `{"contactId":2,"event":"Paid"}`).status)
	assert.Equal(t, 404, w.send("POST", "contacts/timeline", `{"externalId":"x-2","event":"Paid"}`).status)
}

func TestClassicAttributesAreDescribed(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.AddContact(drift.Contact{CustomAttributes: drift.Attributes{"seats": 5, "big_spender": true, "plan": "pro"}})
	answer := read[struct {
		Data struct {
			Properties []struct{ Name, DisplayName, Type string }
		}
	}](w, "GET", "contacts/attributes", "")
	assert.Contains(t, answer.Data.Properties, struct{ Name, DisplayName, Type string }{"big_spender", "Big spender", "BOOLEAN"})
	assert.Contains(t, answer.Data.Properties, struct{ Name, DisplayName, Type string }{"seats", "Seats", "NUMERIC"})
	assert.Contains(t, answer.Data.Properties, struct{ Name, DisplayName, Type string }{"plan", "Plan", "STRING"})
}

// The tags of a contact are names in v2; a new one becomes a tag of the account.
func TestClassicTagsAreThoseOfV2(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.AddContact(drift.Contact{Tags: []drift.TagRef{{Name: "a/b"}}})
	read[any](w, "POST", "contacts/1/tags", `[{"name":"new","color":"0960C5"}]`)
	assert.Equal(t, "new", w.ok("GET", "v2/tags/1", "")["name"])
	assert.Equal(t, []any{"a/b", "new"}, w.ok("GET", "v2/contacts/1", "")["tags"])
	read[any](w, "DELETE", "contacts/1/tags/a%2Fb", "")
	assert.Equal(t, []any{"new"}, w.ok("GET", "v2/contacts/1", "")["tags"])
}
