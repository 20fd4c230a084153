package drifttest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/driftsdk/drift"
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
