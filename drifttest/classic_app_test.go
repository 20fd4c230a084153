package drifttest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/driftsdk/drift/drifttest"
)

func TestClassicTokenInfo(t *testing.T) {
	t.Parallel()
	c := newClock("2026-03-01T10:00:00Z")
	w := start(t, drifttest.WithClock(c.Now))
	issued := w.IssueToken().AccessToken
	c.advance(time.Hour)
	info := func(token string) result {
		return w.send("POST", "app/token_info", fmt.Sprintf(`{"access_token":%q}`, token))
	}
	assert.Contains(t, string(info(issued).body), `"expires_in":3600000,`, "in milliseconds")
	assert.Contains(t, string(info(drifttest.DefaultToken).body), `"expires_in":0,`)
	assert.Equal(t, 404, info("another").status)
	c.advance(time.Hour)
	assert.Equal(t, 404, info(issued).status, "it has expired")
	for _, r := range w.Requests() {
		assert.Equal(t, `{"access_token":"REDACTED"}`, string(r.Body))
	}
}

func TestClassicUninstallEndsTheToken(t *testing.T) {
	t.Parallel()
	w := start(t)
	issued := header("Authorization", "Bearer "+w.IssueToken().AccessToken)
	uninstall := func(secret string, edits ...edit) int {
		return w.send("POST", "app/uninstall?clientId=drifttest-client&clientSecret="+secret, "", edits...).status
	}
	assert.Equal(t, 403, uninstall("wrong", issued))
	assert.Equal(t, 200, w.send("GET", "users/list", "", issued).status)
	assert.Equal(t, 200, uninstall("drifttest-secret", issued))
	assert.Equal(t, 401, w.send("GET", "users/list", "", issued).status)

	assert.Equal(t, 200, uninstall("drifttest-secret"))
	assert.Equal(t, 401, w.send("GET", "users/list", "").status, "a token of WithToken too")
	assert.Equal(t, 200, w.send("GET", "users/list", "", header("Authorization", "Bearer "+w.IssueToken().AccessToken)).status)
	assert.Equal(t, "clientId=drifttest-client&clientSecret=REDACTED", w.Requests()[0].Query)
}

func TestClassicErase(t *testing.T) {
	t.Parallel()
	w := startDemo(t)
	for _, email := range []string{"ADA@acme.example", "grace.abbott@customer01.example"} {
		read[any](w, "POST", "gdpr/delete", fmt.Sprintf(`{"email":%q}`, email))
	}
	assert.Equal(t, 404, w.send("GET", "users/1", "").status)
	w.refused(404, "GET", "v2/contacts/1", "")
	assert.Equal(t, 400, w.send("POST", "gdpr/delete", `{}`).status)
}
