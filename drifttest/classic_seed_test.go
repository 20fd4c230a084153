package drifttest_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/drifttest"
)

func TestClassicSeeding(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithClock(newClock("2026-03-01T10:00:00Z").Now))
	user := w.AddUser(classic.User{
		Name: "Ada", TimeZone: "Europe/London", Verified: true, Extra: map[string]json.RawMessage{"xFuture": json.RawMessage(`[1.5]`)},
	})
	assert.JSONEq(t, `{"data":{"id":1,"name":"Ada","timeZone":"Europe/London","orgId":1,"availability":"AVAILABLE","role":"member","xFuture":[1.5],`+
		`"verified":true,"bot":false,"createdAt":1772359200000,"updatedAt":1772359200000}}`, string(w.send("GET", "users/"+user.String(), "").body))
	other := w.AddUser(classic.User{ID: 9, Availability: classic.AvailabilityOnCall, Role: classic.UserRoleAdmin, OrgID: 7, CreatedAt: time.UnixMilli(5)})
	assert.JSONEq(t, `{"data":{"id":9,"orgId":7,"availability":"ON_CALL","role":"admin","verified":false,"bot":false,"createdAt":5,"updatedAt":1772359200000}}`,
		string(w.send("GET", "users/"+other.String(), "").body))

	account := w.AddAccount(classic.Account{Domain: "a.example", OwnerID: 1})
	assert.Equal(t, classic.AccountID("1_a.example"), account)
	assert.Equal(t, account, w.AddAccount(classic.Account{AccountID: account, Name: "A"}), "replaced")
	assert.Len(t, read[accountList](w, "GET", "accounts", "").Data.Accounts, 1)

	w.AddAccount(classic.Account{
		AccountID:        account,
		CustomProperties: []classic.CustomProperty{{Name: "seats", Label: "Seats", Type: classic.PropertyTypeNumber, Value: 1.5}},
	})
	assert.Equal(t, []any{map[string]any{"name": "seats", "label": "Seats", "type": "NUMBER", "value": 1.5}}, read[struct {
		Data struct{ CustomProperties []any }
	}](w, "GET", "accounts/1_a.example", "").Data.CustomProperties)

	playbook := w.AddPlaybook(classic.Playbook{Name: "P", InteractionID: 9, Goals: []classic.Goal{{ID: "g", Message: "m"}}})
	w.AddLandingPage(classic.LandingPage{PlaybookID: playbook, LandingPageURL: "https://a.example/p"})
	assert.JSONEq(t, `[{"playbookId":1,"landingPageUrl":"https://a.example/p"}]`, string(w.send("GET", "playbooks/clp", "").body))
	assert.JSONEq(t, `[{"id":1,"name":"P","interactionId":9,"orgId":1,"meta":{},"goals":[{"id":"g","message":"m"}],"createdAt":1772359200000,"updatedAt":1772359200000}]`,
		string(w.send("GET", "playbooks/list", "").body))

	tb := &fakeTB{}
	srv := drifttest.Start(tb)
	defer srv.Close()
	srv.AddUser(classic.User{ID: -1})
	assert.Equal(t, []string{"drifttest: an id must be greater than 0 and less than the greatest int64: -1"}, tb.fatals)
}
