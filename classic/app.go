package classic

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// AppService manages the authorization of an app.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type AppService interface {
	// Uninstall removes a public app from the organization: POST app/uninstall. Afterwards the
	// client's token is dead. The service takes the secret in the query. This package shows it
	// nowhere, but a proxy that logs URLs would.
	Uninstall(ctx context.Context, clientID string, clientSecret drift.Secret, opts ...drift.CallOption) error

	// TokenInfo describes an access token, which need not be the client's: POST app/token_info. The
	// call only reads, so it is retried like a GET.
	TokenInfo(ctx context.Context, token drift.Secret, opts ...drift.CallOption) (*TokenInfo, error)
}

// TokenInfo describes an access token. encoding/json writes the token as REDACTED. An answer without AuthenticatedUserID
// is an error: it must not look like a token that never expires.
type TokenInfo struct {
	ID                  string        `json:"id,omitzero"`
	AccessToken         drift.Secret  `json:"access_token,omitzero"`
	TokenType           string        `json:"token_type,omitzero"`                           // bearer
	AuthenticatedUserID string        `json:"authenticated_userid,omitzero" wire:"required"` // such as orgId:123
	CredentialID        string        `json:"credential_id,omitzero"`                        // of the app
	Scope               string        `json:"scope,omitzero"`                                // separated by spaces
	ExpiresIn           time.Duration `json:"expires_in,omitzero" wire:"milliseconds"`       // 0: never
	CreatedAt           time.Time     `json:"created_at,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// OrgID returns the organization in AuthenticatedUserID, or 0.
func (t TokenInfo) OrgID() drift.OrgID {
	_, id, _ := strings.Cut(t.AuthenticatedUserID, ":")
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return 0
	}
	return drift.OrgID(n)
}

// Scopes returns what the token allows, such as contact_read.
func (t TokenInfo) Scopes() []string { return strings.Fields(t.Scope) }

// tokenInfoBody is the body of POST app/token_info. It is a plain string, because a Secret encodes as REDACTED.
type tokenInfoBody struct {
	AccessToken string `json:"access_token"`
}

// checkToken accepts a token of any length, unlike checkTexts.
func checkToken(token drift.Secret) error {
	if token == "" {
		return invalid("token", errEmpty)
	}
	return nil
}

var (
	appUninstall = rest.Route{Name: "classic.app.uninstall", Method: http.MethodPost, Path: "app/uninstall"}
	appTokenInfo = rest.Route{Name: "classic.app.tokenInfo", Method: http.MethodPost, Path: "app/token_info", Reads: true}
)

type app struct{ *caller }

func (s app) Uninstall(
	ctx context.Context, clientID string, clientSecret drift.Secret, opts ...drift.CallOption,
) error {
	return rest.OK(ctx, s.caller, &appUninstall, rest.Input{
		Query: url.Values{"clientId": {clientID}, "clientSecret": {clientSecret.Reveal()}},
		Err: firstError(
			checkTexts("clientId", []string{clientID}), checkTexts("clientSecret", []string{clientSecret.Reveal()})),
		Secret: clientSecret.Reveal(),
	}, opts)
}

func (s app) TokenInfo(ctx context.Context, token drift.Secret, opts ...drift.CallOption) (*TokenInfo, error) {
	return rest.One[TokenInfo](ctx, s.caller, &appTokenInfo, rest.Input{
		Body:   &tokenInfoBody{token.Reveal()},
		Err:    checkToken(token),
		Secret: token.Reveal(),
	}, opts)
}

// UnmarshalJSON decodes a description as sent by the API or encoded by MarshalJSON.
func (t *TokenInfo) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, t) }

// MarshalJSON encodes the description with the API's names and units, Extra included, but not the token.
func (t TokenInfo) MarshalJSON() ([]byte, error) {
	type fields TokenInfo
	return wire.Marshal(struct {
		fields
		ExpiresIn int64 `json:"expires_in,omitzero"`
	}{fields(t), t.ExpiresIn.Milliseconds()})
}
