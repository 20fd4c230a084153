package webhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
)

// SetTokens replaces the verification tokens, as when the token is rotated: first the old and the new one, then the
// new one alone. It takes effect with the next delivery; one that is being read keeps the tokens with which it began.
// Wrong tokens are a [*drift.ValidationError], and the ones before stay.
func (h *Handler) SetTokens(tokens []string) error {
	if err := h.check("webhook.SetTokens", tokens); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known = anyOf(tokens)
	return nil
}

// anyOf compares hashes, which all have one length, and compares all of them, so that the time it takes says nothing.
func anyOf(tokens []string) func(string) bool {
	hashes := make([][sha256.Size]byte, len(tokens))
	for i, token := range tokens {
		hashes[i] = sha256.Sum256([]byte(token))
	}
	return func(token string) bool {
		hash := sha256.Sum256([]byte(token))
		found := 0
		for i := range hashes {
			found |= subtle.ConstantTimeCompare(hash[:], hashes[i][:])
		}
		return found == 1
	}
}

const tokenHeader = "X-Verification-Token"

// credentials are the tokens of one request.
type credentials struct {
	known  func(token string) bool
	header []string
	proved bool // the sender knows a token
}

func (h *Handler) credentials(header http.Header) *credentials {
	h.mu.Lock()
	c := &credentials{known: h.known, header: header.Values(tokenHeader)}
	h.mu.Unlock()
	c.proved = len(c.header) == 1 && c.known(c.header[0])
	return c
}

// wrongHeader reports whether the header alone is reason to refuse the request.
func (c *credentials) wrongHeader() bool { return len(c.header) > 0 && !c.proved }

// accept adds the token of the body and reports whether the delivery is authentic: there must be a token, and if
// there are two, both must be right, and the same.
func (c *credentials) accept(p *parts) bool {
	if !p.hasToken {
		return c.proved
	}
	known := c.known(p.token)
	if len(c.header) == 0 {
		c.proved = known
		return known
	}
	return known && p.token == c.header[0] // both are known, so the comparison gives nothing away
}
