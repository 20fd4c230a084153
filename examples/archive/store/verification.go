package store

import (
	"context"
	"encoding/json"
	"time"
)

// ManifestName is the file in the folder that says what the archive held when it was verified.
const ManifestName = "manifest.json"

// Verification is the result of the last archive verify.
type Verification struct {
	At     time.Time `json:"at"`
	Checks []Check   `json:"checks"`
}

// Check is one thing that was verified.
type Check struct {
	Name   string `json:"name"` // such as "files"
	OK     bool   `json:"ok"`
	Result string `json:"result"` // a sentence
}

// OK reports whether every check is.
func (v *Verification) OK() bool {
	for _, check := range v.Checks {
		if !check.OK {
			return false
		}
	}
	return true
}

// Verification returns the result of the last verification, or ErrNotFound.
func (s *Store) Verification(ctx context.Context) (*Verification, error) {
	text, err := s.Meta(ctx, "verification")
	switch {
	case err != nil:
		return nil, err
	case text == "":
		return nil, ErrNotFound
	}
	v := new(Verification)
	return v, json.Unmarshal([]byte(text), v)
}

// PutVerification replaces the result of the last verification.
func (tx *Tx) PutVerification(v Verification) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.SetMeta("verification", string(data))
}
