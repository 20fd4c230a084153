package drifttest_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
)

type scimList struct {
	TotalResults, StartIndex, ItemsPerPage int
	Resources                              []struct {
		ID, UserName, DisplayName string
		Active                    bool
	}
}

func TestSCIMListsUsers(t *testing.T) {
	t.Parallel()
	w := startDemo(t)
	all := read[scimList](w, "GET", "scim/Users", "")
	assert.Equal(t, 6, all.TotalResults, "without the bot")
	assert.Zero(t, all.ItemsPerPage)
	rest := read[scimList](w, "GET", "scim/Users?startIndex=5&count=4", "")
	assert.Equal(t, 6, rest.TotalResults)
	assert.Equal(t, all.Resources[4:], rest.Resources)
	assert.Empty(t, read[scimList](w, "GET", "scim/Users?startIndex=7", "").Resources)

	filter := func(filter string) string { return "scim/Users?filter=" + url.QueryEscape(filter) }
	found := read[scimList](w, "GET", filter(`userName eq "Ben@acme.example"`), "")
	assert.Equal(t, all.Resources[1:2], found.Resources)
	for _, bad := range []string{`userName co "a"`, `userName eq a`, `mood eq "good"`, "x"} {
		w.isBad(t, filter(bad))
	}
	assert.Equal(t, 404, w.send("GET", "scim/Users/7", "").status, "the bot")
}

// SCIM provisions the users of the account.
func TestSCIMUsersAreUsers(t *testing.T) {
	t.Parallel()
	w := start(t)
	read[any](w, "POST", "scim/Users", `{"userName":"a@x.example","displayName":"Ada Byron","roles":[{"value":"ADMIN"}],"active":true}`)
	user := func() map[string]any { return read[struct{ Data map[string]any }](w, "GET", "users/1", "").Data }
	assert.Equal(t, "Ada Byron", user()["name"])
	assert.Equal(t, "admin", user()["role"])
	assert.NotContains(t, user(), "scim")
	assert.Equal(t, 409, w.send("POST", "scim/Users", `{"userName":"A@x.example","displayName":"Ada"}`).status)

	read[any](w, "PATCH", "users/update?userId=1", `{"name":"Ada King"}`)
	replaced := read[map[string]any](w, "PATCH", "scim/Users/1", `{"locale":"en-GB","name":{"givenName":"A"}}`)
	assert.Equal(t, "Ada King", replaced["displayName"])
	assert.Equal(t, map[string]any{"givenName": "A"}, replaced["name"])
	replaced = read[map[string]any](w, "PUT", "scim/Users/1", `{"userName":"a@x.example","displayName":"Ada King"}`)
	assert.Equal(t, map[string]any{"formatted": "Ada King", "givenName": "Ada", "familyName": "King"}, replaced["name"])
	assert.Equal(t, 400, w.send("PUT", "scim/Users/1", `{"displayName":"Ada King"}`).status)

	gone := read[map[string]any](w, "PATCH", "scim/Users/1", `{"isActive":false}`)
	assert.Equal(t, false, gone["active"])
	assert.Equal(t, 404, w.send("GET", "users/1", "").status)
	assert.Equal(t, 409, w.send("POST", "scim/Users", `{"userName":"a@x.example","displayName":"Ada"}`).status, "cannot come back")
	assert.Equal(t, 404, w.send("DELETE", "scim/Users/1", "").status)
}
