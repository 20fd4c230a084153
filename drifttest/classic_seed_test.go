package drifttest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

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

	properties := []any{map[string]any{"name": "seats", "label": "Seats", "type": "NUMBER", "value": 1.5}}
	w.AddAccount(map[string]any{"accountId": account, "customProperties": properties})
	assert.Equal(t, properties, read[struct {
		Data struct{ CustomProperties []any }
	}](w, "GET", "accounts/1_a.example", "").Data.CustomProperties)

	playbook := w.AddPlaybook(map[string]any{"name": "P", "interactionId": 9, "goals": []any{map[string]any{"id": "g", "message": "m"}}})
	w.AddLandingPage(map[string]any{"playbookId": playbook, "landingPageUrl": "https://a.example/p"})
	assert.JSONEq(t, `[{"playbookId":1,"landingPageUrl":"https://a.example/p"}]`, string(w.send("GET", "playbooks/clp", "").body))
	assert.JSONEq(t, `[{"id":1,"name":"P","interactionId":9,"orgId":1,"meta":{},"goals":[{"id":"g","message":"m"}],"createdAt":1772359200000,"updatedAt":1772359200000}]`,
		string(w.send("GET", "playbooks/list", "").body))

	tb := &fakeTB{}
	srv := drifttest.Start(tb)
	defer srv.Close()
	srv.AddUser(map[string]any{"time_zone": "Europe/London"})
	srv.AddUser(map[string]any{"id": -1})
	assert.Equal(t, []string{`drifttest: the record has no field "time_zone"`,
		"drifttest: an id must be greater than 0 and less than the greatest int64: -1"}, tb.fatals)
}
