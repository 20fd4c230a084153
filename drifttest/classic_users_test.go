package drifttest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
)

func TestClassicUsers(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.AddUser(classic.User{ID: 7, Name: "Ada", Email: "ada@acme.example"})
	assert.Equal(t, 404, w.send("GET", "users/8", "").status)
	assert.Equal(t, 404, w.send("PATCH", "users/update?userId=8", `{"name":"x"}`).status)
	assert.Equal(t, 400, w.send("PATCH", "users/update", `{"name":"x"}`).status)
	assert.Equal(t, 400, w.send("PATCH", "users/update?userId=7", `{"name":null}`).status, "nobody knows what null does")
	assert.Equal(t, `{"data":{}}`, string(w.send("GET", "users?userId=8", "").body))

	// Users take part in the conversations of v2.
	w.AddConversation(drift.Conversation{Participants: []drift.UserID{7}})
	assert.Equal(t, []int{1}, w.list("v2/conversations?participants=ada").ids())
}

func TestClassicTeamsAreThoseOfV2(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.AddTeam("a.example", drift.Team{Name: "T", OrgID: 1, Members: []drift.UserID{3}, AutoOffline: true})
	const team = `{"data":[{"id":1,"name":"T","orgId":1,"members":[3],"autoOffline":true}]}`
	assert.JSONEq(t, team, string(w.send("GET", "teams/org", "").body))
	assert.JSONEq(t, team, string(w.send("GET", "teams/users/3", "").body))
	assert.JSONEq(t, `{"data":[]}`, string(w.send("GET", "teams/users/4", "").body))
}
