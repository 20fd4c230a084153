package drifttest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

type accountList struct {
	Data struct {
		Accounts []struct{ AccountID string }
		Total    int
		Next     *string
	}
}

func TestClassicAccountsPageByIndex(t *testing.T) {
	t.Parallel()
	w := startDemo(t)
	one := read[accountList](w, "GET", "accounts", "").Data
	assert.Len(t, one.Accounts, 10)
	assert.Equal(t, 13, one.Total)
	assert.Equal(t, "/accounts?index=10&size=10", *one.Next)
	two := read[accountList](w, "GET", (*one.Next)[1:], "").Data
	assert.Len(t, two.Accounts, 3)
	assert.Nil(t, two.Next)
	assert.Len(t, read[accountList](w, "GET", "accounts?size=13", "").Data.Accounts, 13)
	assert.Nil(t, read[accountList](w, "GET", "accounts?size=13", "").Data.Next)
}

// A company of v2 is an account, by the same id.
func TestClassicAccountsAreCompanies(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.AddPerson("a.example", drift.Person{Name: "Pia"})
	assert.Equal(t, "a.example", read[struct{ Data struct{ AccountID string } }](w, "GET", "accounts/a.example", "").Data.AccountID)

	read[any](w, "POST", "accounts/create", `{"ownerId":1,"domain":"b.example"}`)
	assert.Empty(t, w.list("v2/companies/2_b.example/people").Data)
	w.refused(404, "GET", "v2/companies/c.example/people", "")

	read[any](w, "DELETE", "accounts/2_b.example", "")
	assert.True(t, read[struct{ Data struct{ Deleted bool } }](w, "GET", "accounts/2_b.example", "").Data.Deleted, "a soft delete")
	assert.Len(t, read[accountList](w, "GET", "accounts", "").Data.Accounts, 1)
	read[any](w, "POST", "accounts/create", `{"ownerId":1,"domain":"b.example"}`)
	assert.Equal(t, 409, w.send("PATCH", "accounts/update", `{"ownerId":1,"accountId":"a.example","domain":"b.example"}`).status)
	assert.Equal(t, 404, w.send("DELETE", "accounts/none", "").status)
}

func TestClassicSeeding(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithClock(newClock("2026-03-01T10:00:00Z").Now))
	user := w.AddUser(map[string]any{"name": "Ada", "timeZone": "Europe/London"})
	assert.JSONEq(t, `{"data":{"id":1,"name":"Ada","timeZone":"Europe/London","orgId":1,"availability":"AVAILABLE","role":"member",`+
		`"verified":true,"bot":false,"createdAt":1772359200000,"updatedAt":1772359200000}}`, string(w.send("GET", "users/"+user.String(), "").body))

	account := w.AddAccount(map[string]any{"domain": "a.example", "ownerId": 1})
	assert.Equal(t, drift.CompanyID("1_a.example"), account)
	assert.Equal(t, account, w.AddAccount(map[string]any{"accountId": account, "name": "A"}), "replaced")
	assert.Len(t, read[accountList](w, "GET", "accounts", "").Data.Accounts, 1)

	playbook := w.AddPlaybook(map[string]any{"name": "P", "interactionId": 9})
	w.AddLandingPage(map[string]any{"playbookId": playbook, "landingPageUrl": "https://a.example/p"})
	assert.JSONEq(t, `[{"playbookId":1,"landingPageUrl":"https://a.example/p"}]`, string(w.send("GET", "playbooks/clp", "").body))
	assert.JSONEq(t, `[{"id":1,"name":"P","interactionId":9,"orgId":1,"meta":{},"goals":[],"createdAt":1772359200000,"updatedAt":1772359200000}]`,
		string(w.send("GET", "playbooks/list", "").body))

	tb := &fakeTB{}
	srv := drifttest.Start(tb)
	defer srv.Close()
	srv.AddUser(map[string]any{"time_zone": "Europe/London"})
	srv.AddUser("Ada")
	assert.Len(t, tb.fatals, 1, "a name that a user does not have")
}
