package classic_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/internal/testkit"
)

var userCalls = map[string]goldenCall{
	"users.list": func(ctx context.Context, c *classic.Client) (any, error) { return c.Users.List(ctx) },
	"users.get":  func(ctx context.Context, c *classic.Client) (any, error) { return c.Users.Get(ctx, 228225) },
	"users.getMany": func(ctx context.Context, c *classic.Client) (any, error) {
		found, err := c.Users.GetMany(ctx, []drift.UserID{228225, 7})
		return found[228225], err
	},
	"users.update": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Users.Update(ctx, 228225, classic.UserUpdateRequest{
			Alias: drift.Set("annie"), Availability: drift.Set("OFFLINE"), AvatarURL: drift.Set("https://a.example/a.png"),
			Email: drift.Set("ann@example.com"), Locale: drift.Set("en-US"), Name: drift.Set("Ann"), Phone: drift.Set(""),
		})
	},
}

func TestGetMany(t *testing.T) {
	for body, want := range map[string]int{
		`{"data": {"7": {"id": 7}, "8": {"id": "8"}}}`: 2, `{"7": {"id": 7}}`: 1, `{"data": [{"id": 7}]}`: 1, `[{"id": 7}]`: 1,
		`{"data": {}}`: 0, `{}`: 0, `{"data": null}`: 0,
	} {
		found, err := answering(t, body).Users.GetMany(t.Context(), []drift.UserID{7, 8})
		require.NoError(t, err, body)
		assert.NotNil(t, found, body)
		assert.Len(t, found, want, body)
		for id, user := range found {
			assert.Equal(t, id, user.ID)
		}
	}
	found, err := answering(t, `{"data": {"7": {"id": 7}, "8": {"id": []}}}`).Users.GetMany(t.Context(), []drift.UserID{7, 8})
	assert.Len(t, found, 1)
	testkit.RequireRecordError(t, err, 1, "/id")
	found, err = answering(t, `{"data": "a"}`).Users.GetMany(t.Context(), []drift.UserID{7})
	assert.Nil(t, found)
	testkit.RequireDecodeError(t, err, "")
}

func TestGetManyIsRefused(t *testing.T) {
	client, requests := recording(t, `{"data": {}}`)
	_, err := client.Users.GetMany(t.Context(), nil)
	requireInvalid(t, err, "ids")
	_, err = client.Users.GetMany(t.Context(), make([]drift.UserID, 21))
	requireInvalid(t, err, "ids")
	_, err = client.Users.GetMany(t.Context(), []drift.UserID{7, 0})
	requireInvalid(t, err, "userId")
	_, err = client.Users.GetMany(t.Context(), []drift.UserID{9, 7, 8})
	require.NoError(t, err)
	assert.Equal(t, []string{"GET /users?userId=9&userId=7&userId=8"}, *requests)
}

func TestUpdateUserIsRefused(t *testing.T) {
	client := answering(t, `{}`)
	_, err := client.Users.Update(t.Context(), 7, classic.UserUpdateRequest{})
	requireInvalid(t, err, "req")
	_, err = client.Users.Update(t.Context(), 7, classic.UserUpdateRequest{Phone: drift.Null[string]()})
	requireInvalid(t, err, "phone")
	_, err = client.Users.Update(t.Context(), 7, classic.UserUpdateRequest{Availability: drift.Set("ON_CALL")})
	requireInvalid(t, err, "availability")
	_, err = client.Users.Update(t.Context(), 0, classic.UserUpdateRequest{Name: drift.Set("Ann")})
	requireInvalid(t, err, "userId")
}

// Another user's record belongs to another call.
func TestAnotherUser(t *testing.T) {
	client := answering(t, `{"data": {"id": 8}}`)
	_, err := client.Users.Get(t.Context(), 7)
	testkit.RequireDecodeError(t, err, "/id")
	_, err = client.Users.Update(t.Context(), 7, classic.UserUpdateRequest{Name: drift.Set("Ann")})
	testkit.RequireDecodeError(t, err, "/id")
	require.ErrorIs(t, err, drift.ErrAmbiguous)
}
