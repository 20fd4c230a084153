package drift_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

var contactCalls = map[string]goldenCall{
	"contacts.get": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Contacts.Get(ctx, 71)
	},
	"contacts.create": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Contacts.Create(ctx, drift.ContactCreateRequest{
			BackgroundMode: new(true), Labels: goldenLabels, Tags: goldenTags, Users: []drift.UserID{7},
		})
	},
	"contacts.upsertByEmail": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Contacts.UpsertByEmail(ctx, "ann+test@example.com")
	},
	"contacts.update": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Contacts.Update(ctx, 71, drift.ContactUpdateRequest{
			AssignedUserID: drift.Set(drift.UserID(7)), BackgroundMode: drift.Set(false), CustomAttributes: drift.Set(goldenAttributes),
			Email: drift.Null[string](), Labels: drift.Set(goldenLabels), Tags: drift.Set(goldenTags),
		})
	},
	"contacts.delete": func(ctx context.Context, c *drift.Client) (any, error) {
		return nil, c.Contacts.Delete(ctx, 71)
	},
	"contacts.list": func(ctx context.Context, c *drift.Client) (any, error) {
		return page(c.Contacts.List(ctx, drift.ContactListOptions{
			BackgroundMode: new(false), CustomAttributes: drift.Attributes{"a b": 0.5, "seats": json.Number("9007199254740993")},
			Email: "ann@example.com", Labels: goldenLabels, Search: "ann & bob", Tags: goldenTags, WorkflowID: 8, Limit: 2, Cursor: "cursor-1",
		}))
	},
	"contacts.matchEmail": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Contacts.MatchEmail(ctx, "ann+test@example.com")
	},
}

func TestFiltersByAttributesAreRefused(t *testing.T) {
	client := testkit.Serve(t, testkit.Respond(http.StatusOK, `{"data":[]}`))
	for _, value := range []any{time.Minute, time.Now(), "\xff", []int{1}, nil} {
		_, err := client.Contacts.List(t.Context(), drift.ContactListOptions{CustomAttributes: drift.Attributes{"a": value}})
		assert.ErrorIs(t, err, drift.ErrInvalid, "%v", value)
	}
}

func matchEmail(t testing.TB, body string) (*drift.Contact, error) {
	t.Helper()
	return testkit.Serve(t, testkit.Respond(http.StatusOK, body)).Contacts.MatchEmail(t.Context(), "ann@example.com")
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
