package classic_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/internal/testkit"
)

var goldenSCIMUser = classic.SCIMUserCreateRequest{
	Active: new(true), DisplayName: "Ann", Emails: []classic.SCIMValue{{Value: "ann@example.com", Primary: true}}, Locale: "en-US",
	Name: &classic.SCIMName{GivenName: "Ann"}, PhoneNumbers: []classic.SCIMValue{{Value: "1"}},
	Roles: []classic.SCIMValue{{Value: "ADMIN"}}, UserName: "ann@example.com",
}

var scimCalls = map[string]goldenCall{
	"scim.listUsers": func(ctx context.Context, c *classic.Client) (any, error) {
		return page(c.SCIM.ListUsers(ctx, classic.SCIMListUsersOptions{Filter: `userName eq "a&b"`, Limit: 2}))
	},
	"scim.getUser": func(ctx context.Context, c *classic.Client) (any, error) { return c.SCIM.GetUser(ctx, "228225") },
	"scim.createUser": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.SCIM.CreateUser(ctx, goldenSCIMUser)
	},
	"scim.replaceUser": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.SCIM.ReplaceUser(ctx, "228225", goldenSCIMUser)
	},
	"scim.updateUser": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.SCIM.UpdateUser(ctx, "228225", classic.SCIMUserUpdateRequest{
			Active: drift.Set(false), DisplayName: drift.Set("Ann"), Emails: drift.Set([]classic.SCIMValue{{Value: "ann@example.com"}}),
			IsActive: drift.Set(false), Locale: drift.Null[string](), Name: drift.Set(classic.SCIMName{GivenName: "Ann"}),
			PhoneNumbers: drift.Set([]classic.SCIMValue(nil)), Roles: drift.Set([]classic.SCIMValue{{Value: "MEMBER"}}),
			UserName: drift.Set("ann@example.com"),
		})
	},
	"scim.deleteUser": func(ctx context.Context, c *classic.Client) (any, error) {
		return nil, c.SCIM.DeleteUser(ctx, "228225")
	},
}

func TestAllSCIMUsers(t *testing.T) {
	var queries []string
	client := classic.New(testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		switch r.URL.Query().Get("startIndex") {
		case "1":
			testkit.Respond(200, `{"totalResults": 4, "itemsPerPage": 0, "startIndex": 1, "Resources": [{"id": "1"}, {"id": 2}]}`)(w, r)
		case "3":
			testkit.Respond(200, `{"data": {"totalResults": "4", "resources": [{"id": ""}, {"id": "4"}]}}`)(w, r)
		default:
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	var found []classic.SCIMUserID
	odd := 0
	for user, err := range client.SCIM.AllUsers(t.Context(), classic.SCIMListUsersOptions{Limit: 2}) {
		if err != nil {
			testkit.RequireRecordError(t, err, 0, "/id")
			odd++
			continue
		}
		found = append(found, user.ID)
	}
	assert.Equal(t, []classic.SCIMUserID{"1", "2", "4"}, found)
	assert.Equal(t, 1, odd)
	assert.Equal(t, []string{"count=2&startIndex=1", "count=2&startIndex=3"}, queries)
}

func TestSCIMPages(t *testing.T) {
	for body, want := range map[string]string{
		`{"totalResults": 2, "Resources": [{"id": "1"}]}`: "2", `{"totalResults": 1, "Resources": [{"id": "1"}]}`: "", `{"totalResults": 9, "Resources": []}`: "",
		`{"totalResults": 0}`: "", `{"totalResults": 0, "Resources": null}`: "", `{"Resources": [{"id": "1"}]}`: "2", `[{"id": "1"}]`: "2",
	} {
		page, err := answering(t, body).SCIM.ListUsers(t.Context(), classic.SCIMListUsersOptions{Limit: 1})
		require.NoError(t, err, body)
		assert.Equal(t, want, page.Next, body)
	}
	for _, cursor := range []string{"0", "-1", "a", "1.5"} {
		_, err := answering(t, `{}`).SCIM.ListUsers(t.Context(), classic.SCIMListUsersOptions{Cursor: cursor})
		requireInvalid(t, err, "cursor")
	}
}

func TestSCIMIsRefused(t *testing.T) {
	client := answering(t, `{}`)
	_, err := client.SCIM.CreateUser(t.Context(), classic.SCIMUserCreateRequest{DisplayName: "a"})
	requireInvalid(t, err, "userName")
	_, err = client.SCIM.ReplaceUser(t.Context(), "1", classic.SCIMUserCreateRequest{UserName: "a"})
	requireInvalid(t, err, "displayName")
	_, err = client.SCIM.UpdateUser(t.Context(), "1", classic.SCIMUserUpdateRequest{})
	requireInvalid(t, err, "req")
	_, err = client.SCIM.GetUser(t.Context(), "")
	requireInvalid(t, err, "scimUserId")
}

func TestDeactivateSCIMUser(t *testing.T) {
	client, requests := recording(t, `{"id": "7"}`)
	_, err := client.SCIM.UpdateUser(t.Context(), "7", classic.SCIMUserUpdateRequest{Active: drift.Set(false)})
	require.NoError(t, err)
	assert.Equal(t, []string{`PATCH /scim/Users/7 {"schemas":["urn:scim:schemas:core:2.0"],"active":false}`}, *requests)
}

func TestSCIMUserID(t *testing.T) {
	for text, want := range map[string]classic.SCIMUserID{`"7"`: "7", `7`: "7", `null`: ""} {
		id := classic.SCIMUserID("old")
		require.NoError(t, json.Unmarshal([]byte(text), &id))
		assert.Equal(t, want, id)
	}
	assert.Equal(t, "7", classic.SCIMUserID("7").String())
}
