package webhook

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/wire"
)

// parts are the members of a delivery. The values are parts of the body, whose grammar is checked.
type parts struct {
	eventType   EventType
	token       string // "" if it is not a string
	hasToken    bool
	orgID, data member
	others      []member
	raw         []byte // the delivery without its token; nil if it is not a JSON object
}

type member struct {
	name       string
	value      wire.Value // nil if there is no such member
	start, end int64      // with the comma before it
}

// key names the delivery for the store of duplicates: the same bytes, whatever the token.
func (p *parts) key() string {
	hash := sha256.Sum256(p.raw)
	return hex.EncodeToString(hash[:])
}

// org returns 0 for an id that does not fit.
func (p *parts) org() (id drift.OrgID, fits bool) {
	if p.orgID.value == nil {
		return 0, true
	}
	n, err := wire.ParseInt(p.orgID.value)
	return drift.OrgID(n), err == nil
}

// extra returns the members that a delivery has no field for; nil if there are none.
func (p *parts) extra() map[string]json.RawMessage {
	extra := map[string]json.RawMessage{}
	for _, m := range p.others {
		extra[m.name] = bytes.Clone(m.value)
	}
	if _, fits := p.org(); !fits {
		extra[p.orgID.name] = bytes.Clone(p.orgID.value)
	}
	if len(extra) == 0 {
		return nil
	}
	return extra
}

const (
	errNoType   = wire.Reason("the delivery has no type")
	errNoObject = wire.Reason("the delivery is not a JSON object")
	errTwice    = wire.Reason("a name comes twice")
	errBehind   = wire.Reason("something follows the delivery")
	errNotUTF8  = wire.Reason("the delivery is not valid UTF-8")
)

var byteOrderMark = []byte("\ufeff")

// readParts walks a delivery once. It is strict: a name that comes twice in an object, bytes that are not UTF-8 and
// anything behind the delivery are errors. Half a surrogate in an escape is accepted, because a text that was cut off
// ends like that. The parts of a delivery with an error hold what came before it, since its token has to be checked
// even so.
func readParts(body []byte) (*parts, error) {
	body = bytes.TrimPrefix(body, byteOrderMark)
	lenient := []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
	r := partsReader{body: body, dec: jsontext.NewDecoder(bytes.NewBuffer(body), lenient...)}
	err := r.read()
	switch {
	case err != nil:
		return &r.parts, wire.Explain(err)
	case !utf8.Valid(body):
		return &r.parts, errNotUTF8
	case r.twice:
		return &r.parts, errTwice
	}
	return &r.parts, nil
}

// readTyped is readParts for a delivery that must have a type.
func readTyped(body []byte) (*parts, error) {
	p, err := readParts(body)
	if err == nil && p.eventType == "" {
		err = errNoType
	}
	return p, err
}

type partsReader struct {
	parts
	body   []byte
	dec    *jsontext.Decoder
	twice  bool
	tokens []member
}

func (r *partsReader) read() error {
	if kind := r.dec.PeekKind(); kind != '{' && kind != 0 {
		return errNoObject
	}
	if err := r.object(false, r.take); err != nil {
		return err
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errBehind
	}
	r.raw = r.body
	for _, token := range slices.Backward(r.tokens) {
		r.raw = without(r.raw, token.start, token.end)
	}
	return nil
}

// object goes past the next object and hands each of its members to take, if that is not nil. In a free object the
// names belong to the users of Drift, and are told apart by case.
func (r *partsReader) object(free bool, take func(member)) error {
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for kind := r.dec.PeekKind(); kind != '}' && kind != 0; kind = r.dec.PeekKind() {
		m := member{start: r.dec.InputOffset()}
		token, err := r.dec.ReadToken()
		if err != nil {
			return err
		}
		m.name = token.String()
		name := m.name
		if !free {
			name = fieldName(name)
		}
		r.twice = r.twice || seen[name]
		seen[name] = true
		begin := r.dec.InputOffset()
		if err := r.value(free || isFree(name)); err != nil {
			return err
		}
		if m.end = r.dec.InputOffset(); take != nil {
			m.value = bytes.TrimLeft(r.body[begin:m.end], " \t\r\n:")
			take(m)
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

// value goes past the next value.
func (r *partsReader) value(free bool) error {
	switch r.dec.PeekKind() {
	case '{':
		return r.object(free, nil)
	case '[':
		return r.list(free)
	}
	_, err := r.dec.ReadToken()
	return err
}

func (r *partsReader) list(free bool) error {
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	for kind := r.dec.PeekKind(); kind != ']' && kind != 0; kind = r.dec.PeekKind() {
		if err := r.value(free); err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

// take sorts a member of the delivery in. Of several tokens the first one counts.
func (r *partsReader) take(m member) {
	switch foldCase(wire.Fold(m.name)) {
	case "type":
		r.twice = r.twice || r.eventType != ""
		r.eventType = EventType(text(m.value))
	case "orgid":
		r.twice = r.twice || r.orgID.value != nil
		r.orgID = m
	case "data":
		r.twice = r.twice || r.data.value != nil
		r.data = m
	case "token":
		r.twice = r.twice || r.hasToken
		if !r.hasToken {
			r.hasToken, r.token = true, text(m.value)
		}
		r.tokens = append(r.tokens, m)
	default:
		r.others = append(r.others, m)
	}
}

// text returns a string, and "" for every other kind of value.
func text(value wire.Value) string {
	if value.Kind() != '"' {
		return ""
	}
	unquoted, _ := wire.ParseText(value) // a string always fits
	return unquoted
}

// fieldName returns a name as fields are matched. A name with a dash, or with an underscore at an edge, matches
// exactly or not at all.
func fieldName(name string) string {
	if !strings.Contains(name, "-") && strings.Trim(name, "_") == name {
		name = wire.Fold(name)
	}
	return foldCase(name)
}

// foldCase returns the same text for names that differ only in case, in any script.
func foldCase(name string) string {
	return strings.Map(func(r rune) rune {
		lowest := r
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			lowest = min(lowest, other)
		}
		return unicode.ToLower(lowest)
	}, name)
}

// isFree reports whether the names within a member belong to the users of Drift: attributes, and their values before
// and after a change. Drift itself sends attributes whose names differ only in case.
func isFree(name string) bool {
	switch name {
	case "attributes", "customattributes", "previous", "updated":
		return true
	}
	return false
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
