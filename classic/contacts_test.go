package classic_test

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/internal/testkit"
)

var contactCalls = map[string]goldenCall{
	"contacts.create": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.Create(ctx, classic.ContactCreateRequest{
			Email: "ann@example.com", ExternalID: "x-1", Name: "Ann", Phone: "555-0100",
			Attributes: drift.Attributes{"plan": "pro", "since": instant(0)},
		})
	},
	"contacts.get": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.Get(ctx, 17035536800)
	},
	"contacts.listByEmail": func(ctx context.Context, c *classic.Client) (any, error) {
		found, err := c.Contacts.ListByEmail(ctx, "ann+a&b@example.com", classic.ContactListOptions{Limit: 2})
		return found[:1], err
	},
	"contacts.listByExternalId": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.ListByExternalID(ctx, []string{"x-1", "a&b c"})
	},
	"contacts.update": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.Update(ctx, 17035536800, classic.ContactUpdateRequest{Attributes: drift.Attributes{"a": nil, "b": 1}})
	},
	"contacts.updateByExternalId": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.UpdateByExternalID(ctx, "a/b c", classic.ContactUpdateRequest{Attributes: drift.Attributes{"b": "c"}})
	},
	"contacts.delete": func(ctx context.Context, c *classic.Client) (any, error) {
		return nil, c.Contacts.Delete(ctx, 17035536800)
	},
	"contacts.unsubscribe": func(ctx context.Context, c *classic.Client) (any, error) {
		return nil, c.Contacts.Unsubscribe(ctx, []string{"ann@example.com", "bob@example.com"})
	},
	"contacts.createTimelineEvent": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.CreateTimelineEvent(ctx, classic.TimelineEventRequest{
			ContactID: 17035536800, Event: "Signed up", CreatedAt: instant(0),
		})
	},
	"contacts.listAttributes": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.ListAttributes(ctx)
	},
	"contacts.listTags": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.ListTags(ctx, 17035536800)
	},
	"contacts.addTags": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.AddTags(ctx, 17035536800, []classic.Tag{{Name: "vip", Color: "0960C5"}, {Name: "b"}})
	},
	"contacts.removeTag": func(ctx context.Context, c *classic.Client) (any, error) {
		return nil, c.Contacts.RemoveTag(ctx, 17035536800, "a/b c")
	},
	"contacts.removeTags": func(ctx context.Context, c *classic.Client) (any, error) {
		return nil, c.Contacts.RemoveTags(ctx, 17035536800, []string{"vip", "b"})
	},
}

// Null values are refused however they come to be, because the service would.
func TestAttributesOfANewContactAreNotNull(t *testing.T) {
	client, requests := recording(t, `{"data": {"id": 1}}`)
	var text *string
	for _, null := range []any{nil, text, json.RawMessage("null"), map[string]any(nil)} {
		_, err := client.Contacts.Create(t.Context(), classic.ContactCreateRequest{
			Email: "a@b.c", Attributes: drift.Attributes{"plan": null},
		})
		if reflect.ValueOf(null).Kind() == reflect.Map { // an empty object
			require.NoError(t, err)
			continue
		}
		requireInvalid(t, err, "attributes")
	}
	assert.Equal(t, []string{`POST /contacts {"attributes":{"email":"a@b.c","plan":{}}}`}, *requests)
}

// Some keys differ in case only, and the service has the external id as a text, a number or null.
func TestAttributesStayAMap(t *testing.T) {
	contact, err := answering(t, `{"data": {"id": 1, "attributes": {"_END_USER_VERSION": 4, "_end_user_version": 17899,
		"email": "a@b.c", "name": "Ann", "phone": null, "externalId": 12341243, "external_id": "other", "start_date": 1767225600123,
		"last_active": "1767225601123", "last_contacted": "soon", "tags": [{"name": "vip", "color": "f00"}, 7, "b"],
		"last_context_location": "{\"city\": \"Boston\"}", "socialProfiles": {}}}}`).Contacts.Get(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, json.Number("4"), contact.Attributes["_END_USER_VERSION"])
	assert.Equal(t, json.Number("17899"), contact.Attributes["_end_user_version"])
	assert.Equal(t, map[string]any{}, contact.Attributes["socialProfiles"])
	assert.Equal(t, `{"city": "Boston"}`, contact.Attributes["last_context_location"])
	assert.Equal(t, "a@b.c", contact.Email())
	assert.Equal(t, "Ann", contact.Name())
	assert.Empty(t, contact.Phone())
	assert.Equal(t, "12341243", contact.ExternalID())
	assert.Equal(t, instant(0), contact.StartDate())
	assert.Equal(t, instant(1), contact.LastActive())
	assert.Zero(t, contact.LastContacted())
	assert.Equal(t, []classic.Tag{{Name: "vip", Color: "f00"}, {Name: "7"}, {Name: "b"}}, contact.Tags())

	assert.Equal(t, "x", classic.Contact{Attributes: drift.Attributes{"externalId": nil, "external_id": "x"}}.ExternalID())
	assert.Zero(t, classic.Contact{}.StartDate())
	assert.Nil(t, classic.Contact{}.Tags())
}

func TestCreateContactIsRefused(t *testing.T) {
	client := answering(t, `{}`)
	for _, test := range []struct {
		req      classic.ContactCreateRequest
		argument string
	}{
		{classic.ContactCreateRequest{}, "email"},
		{classic.ContactCreateRequest{Email: "ann"}, "email"},
		{classic.ContactCreateRequest{Email: "a@b.c", Attributes: drift.Attributes{"email": "a@b.c"}}, "attributes"},
		{classic.ContactCreateRequest{Email: "a@b.c", Name: "Ann", Attributes: drift.Attributes{"name": "Ann"}}, "attributes"},
		{classic.ContactCreateRequest{Email: "a@b.c", Attributes: drift.Attributes{"plan": nil}}, "attributes"},
		{classic.ContactCreateRequest{Email: "a@b.c", Attributes: drift.Attributes{"plan": "\xff"}}, "attributes"},
	} {
		_, err := client.Contacts.Create(t.Context(), test.req)
		requireInvalid(t, err, test.argument)
	}
	_, err := client.Contacts.Update(t.Context(), 1, classic.ContactUpdateRequest{})
	requireInvalid(t, err, "attributes")
	_, err = client.Contacts.UpdateByExternalID(t.Context(), "x", classic.ContactUpdateRequest{Attributes: drift.Attributes{}})
	requireInvalid(t, err, "attributes")
}

func TestContactListsAreRefused(t *testing.T) {
	client := answering(t, `{}`)
	_, err := client.Contacts.ListByEmail(t.Context(), "ann", classic.ContactListOptions{})
	requireInvalid(t, err, "email")
	for _, limit := range []int{-1, 101} {
		_, err = client.Contacts.ListByEmail(t.Context(), "a@b.c", classic.ContactListOptions{Limit: limit})
		requireInvalid(t, err, "limit")
	}
	for _, ids := range [][]string{nil, {}, {""}, {"a", ""}, {"a\n"}} {
		_, err = client.Contacts.ListByExternalID(t.Context(), ids)
		requireInvalid(t, err, "externalIDs")
	}
	requireInvalid(t, client.Contacts.Unsubscribe(t.Context(), nil), "emails")
	requireInvalid(t, client.Contacts.Unsubscribe(t.Context(), []string{"a@b.c", "d"}), "emails")
	requireInvalid(t, client.Contacts.RemoveTags(t.Context(), 1, nil), "names")
	_, err = client.Contacts.AddTags(t.Context(), 1, []classic.Tag{{Color: "f00"}})
	requireInvalid(t, err, "tags")
}

// An address is not unique. The sample of the documentation has a single object.
func TestListByEmail(t *testing.T) {
	for body, want := range map[string]int{
		`{"data": []}`: 0, `{"data": null}`: 0, `[]`: 0, `{"data": [{"id": 1}, {"id": 2}]}`: 2, `{"data": {"id": 1}}`: 1, `{"id": 1}`: 1,
		`{"data": [{"id": 1}], "errors": []}`: 1,
	} {
		found, err := answering(t, body).Contacts.ListByEmail(t.Context(), "a@b.c", classic.ContactListOptions{})
		require.NoError(t, err, body)
		assert.Len(t, found, want, body)
	}
	_, err := answering(t, `{"errors": [{"message": "no"}], "data": []}`).Contacts.ListByEmail(t.Context(), "a@b.c", classic.ContactListOptions{})
	require.ErrorAs(t, err, new(*drift.APIError))
}

// Without a limit of the caller's, duplicates are not hidden, and the address arrives as it is.
func TestListByEmailAsksForAll(t *testing.T) {
	client, requests := recording(t, `{"data": []}`)
	_, err := client.Contacts.ListByEmail(t.Context(), "a+b&c=d@e.f", classic.ContactListOptions{})
	require.NoError(t, err)
	assert.Equal(t, []string{"GET /contacts?email=a%2Bb%26c%3Dd%40e.f&limit=100"}, *requests)
}

func TestOddContactsOfAList(t *testing.T) {
	found, err := answering(t, `{"data": [{"id": 1}, {"id": "soon"}, {"id": 3}]}`).Contacts.ListByExternalID(t.Context(), []string{"a"})
	assert.Len(t, found, 2)
	require.Len(t, drift.RecordErrors(err), 1)
	assert.Equal(t, "classic.contacts.listByExternalId", testkit.RequireRecordError(t, err, 1, "/id").Operation)
}

// An event has exactly one of the ids, and the other one is not sent at all.
func TestTimelineEvents(t *testing.T) {
	client, requests := recording(t, `{"data": {"contactId": "17", "event": "signed up"}}`)
	_, err := client.Contacts.CreateTimelineEvent(t.Context(), classic.TimelineEventRequest{ExternalID: "x-1", Event: "Signed up"})
	require.NoError(t, err)
	assert.Equal(t, []string{`POST /contacts/timeline {"externalId":"x-1","event":"Signed up"}`}, *requests)
	for argument, req := range map[string]classic.TimelineEventRequest{
		"contactId": {Event: "a"}, "event": {ContactID: 1},
	} {
		_, err := client.Contacts.CreateTimelineEvent(t.Context(), req)
		requireInvalid(t, err, argument)
	}
	_, err = client.Contacts.CreateTimelineEvent(t.Context(), classic.TimelineEventRequest{ContactID: 1, ExternalID: "a", Event: "a"})
	requireInvalid(t, err, "contactId")
	_, err = client.Contacts.CreateTimelineEvent(t.Context(), classic.TimelineEventRequest{ContactID: -1, Event: "a"})
	requireInvalid(t, err, "contactId")
	assert.Len(t, *requests, 1)
}

// A deletion is a success with any 2xx and any body, unless the body says that it is none.
func TestDeleteContact(t *testing.T) {
	for _, status := range []int{200, 201, 202, 204, 299} {
		for _, body := range []string{`{"result":"OK","ok":true}`, ``, `OK`, `<html>`, `{"ok": "true"}`, `{"ok"`, `null`, `{"ok": null}`} {
			client := classic.New(testkit.AnsweringClient(t, status, body))
			require.NoError(t, client.Contacts.Delete(t.Context(), 1), "%d %s", status, body)
		}
	}
	for _, body := range []string{`{"ok": false}`, `{"ok": "false", "message": "no"}`, `{"error": {"type": "not_found"}}`} {
		err := answering(t, body).Contacts.Delete(t.Context(), 1)
		require.ErrorAs(t, err, new(*drift.APIError), body)
		assert.NotErrorIs(t, err, drift.ErrAmbiguous)
	}
}

func TestContactCodes(t *testing.T) {
	client := classic.New(testkit.AnsweringClient(t, http.StatusConflict, `{"code": "CONTACT-6", "message": "exists"}`))
	_, err := client.Contacts.Create(t.Context(), classic.ContactCreateRequest{Email: "a@b.c"})
	require.ErrorIs(t, err, drift.ErrConflict)
	var api *drift.APIError
	require.ErrorAs(t, err, &api)
	assert.Equal(t, "CONTACT-6", api.Code)
	assert.Equal(t, "classic.contacts.create", api.Operation)
}

func TestContactCreateRequestAsJSON(t *testing.T) {
	for want, req := range map[string]classic.ContactCreateRequest{
		`{"attributes":{"email":"a@b.c","plan":"pro"}}`: {Email: "a@b.c", Attributes: drift.Attributes{"plan": "pro"}},
		`{"attributes":{"email":"a@b.c","externalId":"x","name":"Ann","phone":"1"}}`: {
			Email: "a@b.c", ExternalID: "x", Name: "Ann", Phone: "1"},
	} {
		text, err := json.Marshal(req)
		require.NoError(t, err)
		assert.Equal(t, want, string(text))
		var back classic.ContactCreateRequest
		require.NoError(t, json.Unmarshal(text, &back))
		assert.Equal(t, req, back)
	}
	_, err := json.Marshal(classic.ContactCreateRequest{Email: "a@b.c", Attributes: drift.Attributes{"email": 1}})
	require.Error(t, err)
	require.Error(t, new(classic.ContactCreateRequest).UnmarshalJSON([]byte(`[]`)))
}

func TestInstantsOfAttributesAreMilliseconds(t *testing.T) {
	client, requests := recording(t, `{"data": {"id": 1}}`)
	_, err := client.Contacts.Update(t.Context(), 1, classic.ContactUpdateRequest{
		Attributes: drift.Attributes{"since": time.UnixMilli(5), "cleared": nil, "big": json.Number("9007199254740993")},
	})
	require.NoError(t, err)
	assert.Equal(t, []string{`PATCH /contacts/1 {"attributes":{"big":9007199254740993,"cleared":null,"since":5}}`}, *requests)
}
