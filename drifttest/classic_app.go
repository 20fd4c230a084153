package drifttest

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
	"time"
)

// scopes of every token.
const scopes = "account_read account_write all_contact_read contact_read contact_write conversation_read " +
	"conversation_write gdpr_read gdpr_write playbook_read user_read user_write"

// tokenInfo describes a token. Its lifetime is in milliseconds, unlike that of the token endpoint; 0 does not expire.
// The caller holds s.mu.
func (s *Server) tokenInfo(c *call) (any, error) {
	token := c.params.text("access_token")
	now := time.UnixMilli(c.now)
	expires, created := int64(0), int64(0)
	switch issued := s.oauth.access[digestOf(token)]; {
	case s.oauth.accepts(token, now):
		expires = issued.expires.Sub(now).Milliseconds()
		created = issued.expires.Add(-s.settings.app.TokenLifetime).UnixMilli()
	case !slices.Contains(s.settings.tokens, token) || s.revoked[digestOf(token)]:
		return nil, notFound("such", "access token")
	}
	return bare{object{
		"access_token":         token,
		"authenticated_userid": "orgId:" + decimal(orgID),
		"credential_id":        s.settings.app.ClientID,
		"token_type":           "bearer",
		"expires_in":           expires,
		"created_at":           created,
		"scope":                scopes,
		"id":                   "1",
	}}, nil
}

// uninstall removes the app from the account: the token of the request is not accepted again. The caller holds s.mu.
func (s *Server) uninstall(c *call) (any, error) {
	app := s.settings.app
	id, secret := digestOf(c.params.text("clientId")), digestOf(c.params.text("clientSecret"))
	wantID, wantSecret := digestOf(app.ClientID), digestOf(app.ClientSecret.Reveal())
	if subtle.ConstantTimeCompare(id[:], wantID[:])&subtle.ConstantTimeCompare(secret[:], wantSecret[:]) != 1 {
		return nil, &failure{
			status:  http.StatusForbidden,
			kind:    errorType(http.StatusUnauthorized),
			message: "clientId or clientSecret is wrong",
		}
	}
	if issued := s.oauth.access[digestOf(c.token)]; issued != nil {
		issued.family.revoked = true
	}
	s.revoked[digestOf(c.token)] = true
	return okay(http.StatusOK), nil
}

// classicRetrieve would have an administrator get the data by e-mail.
func (st *store) classicRetrieve(*call) (any, error) {
	to := "admin@drift.example"
	for _, user := range st.users.records {
		if user.text("role") == "admin" && user.text("email") != "" {
			to = user.text("email")
			break
		}
	}
	return object{"message": "Your retrieval is processing", "sentToEmail": to}, nil
}

// classicErase removes every contact and every user with an address, at once.
func (st *store) classicErase(c *call) (any, error) {
	has := func(r object) bool { return strings.EqualFold(r.text("email"), c.params.text("email")) }
	st.contacts.records = slices.DeleteFunc(st.contacts.records, has)
	st.users.records = slices.DeleteFunc(st.users.records, has)
	return object{"message": "Your delete is processing"}, nil
}
