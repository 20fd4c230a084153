package drift

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift/internal/answer"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

const (
	defaultTokenLife = time.Hour
	// Package oauth2 takes a token for expired 10 s early: one that lives shorter would be refreshed for every call.
	minTokenLife = 15 * time.Second
	maxTokenLife = 365 * 24 * time.Hour
)

// result turns the last answer into a token or a typed error.
func (r *tokenRequest) result() (*oauth2.Token, error) {
	a := r.last
	if a.err != nil {
		return nil, r.transportError(a.err)
	}
	fields, err := tokenFields(a.body)
	if kind, message := r.refusal(fields); a.status/100 != 2 || kind != "" {
		return nil, r.apiError(a, kind, message)
	}
	if err != nil {
		return nil, r.decodeError("", err)
	}
	return r.token(fields, a.asked)
}

// tokenFields returns the members of an answer by their folded names, so that access_token and accessToken are one.
// Members that are null are left out.
func tokenFields(body []byte) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := wire.Unmarshal(body, &members); err != nil {
		return nil, err
	}
	fields := make(map[string]json.RawMessage, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if value := members[name]; string(value) != "null" {
			fields[wire.Fold(name)] = value
		}
	}
	return fields, nil
}

// refusal returns the error that an answer reports: in the members of RFC 6749, or in the object that the rest of the
// API uses.
func (r *tokenRequest) refusal(fields map[string]json.RawMessage) (kind, message string) {
	if object, err := tokenFields(fields["error"]); err == nil {
		return r.show(object, "type", answer.MaxName), r.show(object, "message", answer.MaxMessage)
	}
	return r.show(fields, "error", answer.MaxName), r.show(fields, "errordescription", answer.MaxMessage)
}

// show returns a text of the service that is fit to be shown.
func (r *tokenRequest) show(fields map[string]json.RawMessage, name string, limit int) string {
	text, _ := wire.ParseText(fields[name])
	for _, secret := range r.secrets {
		text = answer.Mask(text, secret, len(text)+len(redacted))
	}
	return answer.Printable(text, limit)
}

// token makes a token of an answer's members.
func (r *tokenRequest) token(fields map[string]json.RawMessage, asked time.Time) (*oauth2.Token, error) {
	access, _ := wire.ParseText(fields["accesstoken"])
	refresh, _ := wire.ParseText(fields["refreshtoken"])
	kind, _ := wire.ParseText(fields["tokentype"])
	orgID, _ := wire.ParseInt(fields["orgid"])
	token := &oauth2.Token{AccessToken: access, TokenType: "Bearer", RefreshToken: refresh}
	switch {
	case access == "":
		return r.rotated(refresh), r.decodeError("/access_token", rest.ErrEmpty)
	case checkToken(access) != nil:
		return r.rotated(refresh), r.decodeError("/access_token", errTokenText)
	case kind != "" && !strings.EqualFold(kind, "Bearer"):
		return r.rotated(refresh), r.decodeError("/token_type", errNotBearer)
	}
	if r.previous != nil {
		token.RefreshToken = cmp.Or(refresh, r.previous.RefreshToken)
		previous, _ := OrgIDFromToken(r.previous)
		orgID = cmp.Or(orgID, int64(previous))
	}
	if life := tokenLife(fields["expiresin"], token.RefreshToken != ""); life > 0 {
		token.Expiry = asked.Add(life).Round(0).UTC() // by the wall clock: a machine that sleeps has no other
		token.ExpiresIn = int64(life / time.Second)
	}
	if orgID > 0 {
		token = withOrgID(token, OrgID(orgID))
	}
	return token, nil
}

// rotated returns the previous token with a new refresh token, or nil.
func (r *tokenRequest) rotated(refresh string) *oauth2.Token {
	if r.previous == nil || refresh == "" {
		return nil
	}
	token := cloneToken(r.previous)
	token.RefreshToken = refresh
	return token
}

// tokenLife returns how long a token is good, by the answer's number of seconds; 0: no end is known. The service
// documents 0 for tokens that do not expire. Without a number that makes sense, a token that can be refreshed is taken
// to live an hour, which costs a refresh if it is too short, and a 401 if it is too long.
func tokenLife(value json.RawMessage, refreshable bool) time.Duration {
	text, _ := wire.ParseText(value)
	seconds, err := strconv.ParseFloat(text, 64)
	switch {
	case err == nil && seconds == 0:
		return 0
	case (err == nil || errors.Is(err, strconv.ErrRange)) && seconds > 0:
		return time.Duration(max(minTokenLife.Seconds(), min(seconds, maxTokenLife.Seconds())) * float64(time.Second))
	case refreshable:
		return defaultTokenLife
	}
	return 0
}

var errNotBearer = errors.New("the token is not of type Bearer")
