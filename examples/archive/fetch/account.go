package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/examples/archive/store"
)

// ErrOtherAccount reports an archive of another account.
var ErrOtherAccount = errors.New("the archive belongs to another account: choose another folder with -dir")

// Bind binds the archive to the host and the organization of a token, and refuses a token of another account. It makes
// a call only if the token is new to the archive.
func (f *Fetcher) Bind(ctx context.Context, host string, token drift.Secret) error {
	hash := sha256.Sum256([]byte(host + "\n" + token.Reveal()))
	fingerprint := hex.EncodeToString(hash[:8])
	known, err := f.store.Meta(ctx, "token")
	if err != nil || known == fingerprint {
		return err
	}
	organization, scopes, err := f.organization(ctx, token)
	if err != nil {
		return err
	}
	return f.write(ctx, func(tx *store.Tx) error {
		for key, value := range map[string]string{"host": host, "organization": organization} {
			bound, err := tx.Meta(key)
			if err != nil {
				return err
			}
			if bound != "" && bound != unknown && bound != value {
				return fmt.Errorf("%w (its %s is %s)", ErrOtherAccount, key, bound)
			}
			if err := tx.SetMeta(key, value); err != nil {
				return err
			}
		}
		return errors.Join(tx.SetMeta("token", fingerprint), tx.SetMeta("scopes", scopes))
	})
}

// organization asks which organization a token belongs to, and what it allows. If the service does not say, the users
// do.
func (f *Fetcher) organization(ctx context.Context, token drift.Secret) (organization, scopes string, err error) {
	err = f.try(ctx, func(ctx context.Context) error {
		info, err := f.api.App.TokenInfo(ctx, token)
		if err == nil && info.OrgID() != 0 {
			organization, scopes = info.OrgID().String(), info.Scope
		}
		return err
	})
	if organization != "" || err != nil && !isOwn(err) {
		return organization, scopes, err
	}
	var response drift.Response
	err = f.try(ctx, func(ctx context.Context) error {
		_, err := f.api.Users.List(ctx, drift.WithResponse(&response))
		return err
	})
	if err != nil && (!isOwn(err) || IsElsewhere(err)) {
		return "", "", err
	}
	users, _ := list(response.Body, "data")
	for _, user := range users {
		if id := idOf(user, "orgId"); id != "" && id != "0" {
			return id, scopes, nil
		}
	}
	return unknown, scopes, nil
}

// IsElsewhere reports whether the first calls failed because another service or a web site is at the base URL.
func IsElsewhere(err error) bool {
	return errors.Is(err, drift.ErrNotFound) || errors.Is(err, drift.ErrUnexpectedContent)
}

// unknown is the organization of a token for which the service names none.
const unknown = "unknown"

// Scopes returns the scopes that a complete archive needs and a token lacks. If it is not known what the token allows,
// there are none.
func Scopes(granted []string) (lacking []string) {
	has := map[string]bool{}
	for _, scope := range granted {
		has[scope] = true
	}
	for _, scope := range []string{
		scopeConversations, scopeContacts, scopeUsers, scopeAccounts, scopePlaybooks, scopeAttributes,
	} {
		if len(granted) > 0 && !has[scope] {
			lacking = append(lacking, scope)
		}
	}
	return lacking
}

const (
	scopeConversations = "conversation_read"
	scopeContacts      = "contact_read"
	scopeAttributes    = "all_contact_read"
	scopeUsers         = "user_read"
	scopeAccounts      = "account_read"
	scopePlaybooks     = "playbook_read"
)

// rawText returns JSON as it is, other text as a JSON string, and bytes that are no text in base64.
func rawText(data []byte) json.RawMessage {
	if json.Valid(data) {
		return data
	}
	if !utf8.Valid(data) {
		quoted, _ := json.Marshal(map[string][]byte{"base64": data}) // always encodes
		return quoted
	}
	quoted, _ := json.Marshal(string(data)) // a string always encodes
	return quoted
}
