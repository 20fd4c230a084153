package filestore

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
	"unicode/utf8"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

const (
	tokensFormat  = "drift tokens"
	tokensVersion = 1
)

// tokensFile is the file.
type tokensFile struct {
	Format   string          `json:"format"`
	Version  int             `json:"version"`
	Account  string          `json:"account"`  // SHA-256 of its name
	Checksum string          `json:"checksum"` // CRC-32C of the account and of the token as it stands there
	Token    json.RawMessage `json:"token"`
}

type storedToken struct {
	AccessToken  string      `json:"access_token"`
	TokenType    string      `json:"token_type,omitzero"`
	RefreshToken string      `json:"refresh_token,omitzero"`
	Expiry       time.Time   `json:"expiry,omitzero"`
	ExpiresIn    int64       `json:"expires_in,omitzero"`
	OrgID        drift.OrgID `json:"org_id,omitzero"`

	Series  string `json:"series,omitzero"`  // the same for all that replaced each other in one file
	Written int64  `json:"written,omitzero"` // in ns since 1970, and later than that of the token before it
}

var errNotStorable = errors.New("the token is empty, or no text")

func newStoredToken(token *oauth2.Token) (*storedToken, error) {
	if token == nil {
		return nil, nil
	}
	if token.AccessToken+token.RefreshToken == "" || !utf8.ValidString(token.AccessToken+token.RefreshToken) {
		return nil, errNotStorable
	}
	orgID, _ := drift.OrgIDFromToken(token)
	stored := &storedToken{AccessToken: token.AccessToken, TokenType: token.TokenType, RefreshToken: token.RefreshToken,
		Expiry: token.Expiry.Round(0), ExpiresIn: token.ExpiresIn, OrgID: orgID}
	if _, err := json.Marshal(stored); err != nil {
		return nil, errNotStorable // the error might quote it
	}
	return stored, nil
}

func (s *storedToken) token() *oauth2.Token {
	if s == nil {
		return nil
	}
	token := &oauth2.Token{AccessToken: s.AccessToken, TokenType: s.TokenType, RefreshToken: s.RefreshToken,
		Expiry: s.Expiry, ExpiresIn: s.ExpiresIn}
	if s.OrgID > 0 {
		token = token.WithExtra(map[string]any{"orgId": int64(s.OrgID)}) // for drift.OrgIDFromToken
	}
	return token
}

// follow makes s the successor of last.
func (s *storedToken) follow(last *storedToken) {
	s.Series, s.Written = rand.Text(), time.Now().UnixNano()
	if last != nil && last.Series != "" {
		s.Series, s.Written = last.Series, max(s.Written, last.Written+1)
	}
}

// putBack reports whether s is from before last: a file from a backup.
func (s *storedToken) putBack(last *storedToken) bool {
	return s != nil && last != nil && s.Series != "" && s.Series == last.Series && s.Written < last.Written
}

// encode fills the file up with spaces, so that its size is known before the token is.
func (t *Tokens) encode(s *storedToken) ([]byte, error) {
	stored, err := json.Marshal(s)
	if err != nil {
		return nil, errNotStorable
	}
	contents, err := json.Marshal(tokensFile{tokensFormat, tokensVersion, t.account, tokensChecksum(t.account, stored), stored})
	if err != nil {
		return nil, err
	}
	padding := tokensBlock - 1 - len(contents)%tokensBlock
	contents = append(contents, bytes.Repeat([]byte(" "), padding)...)
	return append(contents, '\n'), nil
}

func (t *Tokens) decode(contents []byte) (*storedToken, error) {
	var file tokensFile
	stored := new(storedToken)
	switch err := json.Unmarshal(contents, &file); {
	case err != nil || file.Format != tokensFormat:
		return nil, ErrCorrupt
	case file.Version != tokensVersion:
		return nil, ErrVersion
	case file.Checksum != tokensChecksum(file.Account, file.Token) || json.Unmarshal(file.Token, stored) != nil:
		return nil, ErrCorrupt
	case file.Account != t.account:
		return nil, ErrAccount
	}
	return stored, nil
}

func tokensChecksum(account string, token []byte) string {
	return fmt.Sprintf("%08x", crc32.Update(crc32.Checksum([]byte(account), castagnoli), castagnoli, token))
}
