package webhook

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/driftsdk/drift/internal/wire"
)

// envelope is what the handler itself needs of a delivery.
type envelope struct {
	eventType EventType
	token     string // "" where it is no string
	hasToken  bool
	raw       []byte // the delivery without its token
}

// key names the delivery for the store of duplicates: the same bytes, whatever the token.
func (e envelope) key() string {
	hash := sha256.Sum256(e.raw)
	return hex.EncodeToString(hash[:])
}

const (
	errNoType   = wire.Reason("the delivery has no type")
	errNoObject = wire.Reason("the delivery is no JSON object")
	errTwice    = wire.Reason("a name comes twice")
	errBehind   = wire.Reason("something follows the delivery")
)

// readEnvelope reads strictly: no name may come twice, in no object, the text must be valid UTF-8, and nothing may follow.
// Where it fails, the envelope holds what came before that, since the token has to be looked at even so.
func readEnvelope(body []byte) (envelope, error) {
	r := envelopeReader{dec: jsontext.NewDecoder(bytes.NewReader(body)), body: body, seen: map[string]bool{}}
	err := r.read()
	if err == nil && r.eventType == "" {
		err = errNoType
	}
	return r.envelope, wire.Explain(err)
}

type envelopeReader struct {
	envelope
	dec  *jsontext.Decoder
	body []byte
	seen map[string]bool
}

func (r *envelopeReader) read() error {
	if kind := r.dec.PeekKind(); kind != '{' && kind != 0 {
		return errNoObject
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	r.raw = r.body
	for kind := r.dec.PeekKind(); kind != '}' && kind != 0; kind = r.dec.PeekKind() {
		if err := r.member(); err != nil {
			return err
		}
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errBehind
	}
	return nil
}

// member reads one member of the delivery. Names are compared as the events compare them, without regard to case.
func (r *envelopeReader) member() error {
	start := r.dec.InputOffset()
	token, err := r.dec.ReadToken()
	if err != nil {
		return err
	}
	name := wire.Fold(token.String())
	value, err := r.dec.ReadValue()
	if err != nil {
		return err
	}
	switch name {
	case "type", "orgid", "data", "token":
		if r.seen[name] {
			return errTwice
		}
		r.seen[name] = true
	}
	switch name {
	case "type":
		r.eventType = EventType(text(value))
	case "token":
		r.hasToken = true
		r.token = text(value)
		r.raw = without(r.body, start, r.dec.InputOffset())
	}
	return nil
}

// text returns a string, and "" for every other kind of value.
func text(value jsontext.Value) string {
	if value.Kind() != '"' {
		return ""
	}
	unquoted, _ := jsontext.AppendUnquote(nil, value)
	return string(unquoted)
}

// without cuts a member out of an object: it starts behind the "{" or behind the member before it.
func without(body []byte, start, end int64) []byte {
	before, behind := body[:start], body[end:]
	if before[start-1] == '{' {
		if rest := bytes.TrimLeft(behind, " \t\r\n"); bytes.HasPrefix(rest, []byte(",")) {
			behind = rest[1:]
		}
	}
	return append(bytes.Clone(before), behind...)
}
