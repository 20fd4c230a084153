package drift

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/driftsdk/drift/internal/answer"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// ID is the id of a record of type R. It decodes from a JSON number or a numeric string without losing a digit; null
// and "" decode to 0, which means "none". As an argument, an id must be greater than 0.
type ID[R any] int64

// Each kind of record has its own id type, so that the compiler catches mix-ups. No operation returns a user, a
// workflow, an inbox, a playbook or an organization; this package has only their ids.
type (
	ConversationID = ID[Conversation]
	MessageID      = ID[Message]
	ContactID      = ID[Contact]
	NoteID         = ID[Note]
	TagID          = ID[Tag]
	MeetingID      = ID[Meeting]
	ParticipantID  = ID[Participant]
	PersonID       = ID[Person]
	TeamID         = ID[Team]
	UserID         = ID[userRecord]
	WorkflowID     = ID[workflowRecord]
	InboxID        = ID[inboxRecord]
	PlaybookID     = ID[playbookRecord]
	OrgID          = ID[orgRecord]
)

// These records only have ids: no operation returns one.
type (
	userRecord     struct{}
	workflowRecord struct{}
	inboxRecord    struct{}
	playbookRecord struct{}
	orgRecord      struct{}
)

// String returns the id in decimal.
func (id ID[R]) String() string { return strconv.FormatInt(int64(id), 10) }

// UnmarshalJSON accepts an integer, a string that contains one, null or "". An integer may be written as 5.0 or 5e0.
func (id *ID[R]) UnmarshalJSON(data []byte) error {
	n, err := wire.ParseInt(data)
	if err != nil {
		return err
	}
	*id = ID[R](n)
	return nil
}

func (id ID[R]) positive() (int64, error) {
	if id <= 0 {
		return 0, rest.ErrNotPositive
	}
	return int64(id), nil
}

// CompanyID is the id of a company, a string such as "123458_domain.com".
type CompanyID string

// String returns the id unchanged.
func (id CompanyID) String() string { return string(id) }

// UnmarshalJSON accepts a string, a number, a boolean or null. It keeps the text of a number or boolean.
func (id *CompanyID) UnmarshalJSON(data []byte) error {
	text, err := wire.ParseScalar(data)
	*id = CompanyID(text)
	return err
}

// Optional is a field of a PATCH request. The zero value leaves the field unchanged, [Null] clears it, and [Set] sets
// it.
type Optional[T any] struct {
	value T
	state optionalState
}

type optionalState uint8

const (
	optionalAbsent optionalState = iota
	optionalNull
	optionalSet
)

// Set returns an Optional that sets the field to value. A nil slice is sent as an empty list.
func Set[T any](value T) Optional[T] { return Optional[T]{value: value, state: optionalSet} }

// Null returns an Optional that clears the field.
func Null[T any]() Optional[T] { return Optional[T]{state: optionalNull} }

// Get returns the value and true, or the zero value and false if there is none.
func (o Optional[T]) Get() (T, bool) { return o.value, o.state == optionalSet }

// IsSet reports whether there is a value.
func (o Optional[T]) IsSet() bool { return o.state == optionalSet }

// IsNull reports whether the Optional clears the field.
func (o Optional[T]) IsNull() bool { return o.state == optionalNull }

// IsZero reports whether the Optional leaves the field unchanged. Encoders then omit the field.
func (o Optional[T]) IsZero() bool { return o.state == optionalAbsent }

// MarshalJSON encodes the value, or null if there is none.
func (o Optional[T]) MarshalJSON() ([]byte, error) {
	if o.state != optionalSet {
		return []byte("null"), nil
	}
	return wire.Marshal(o.value)
}

// UnmarshalJSON decodes a value; null decodes to [Null].
func (o *Optional[T]) UnmarshalJSON(data []byte) error {
	*o = Null[T]()
	if string(data) == "null" {
		return nil
	}
	o.state = optionalSet
	return wire.Unmarshal(data, &o.value)
}

// inner returns the value to the encoder of requests, so that its checks apply to the value too.
func (o Optional[T]) inner() (any, bool) { return &o.value, o.state == optionalSet }

// Attributes are custom values by key. Numbers from the API are [json.Number], so that no digit is lost. A request may
// hold any value that encodes to JSON; instants become milliseconds, and nil clears the key.
type Attributes map[string]any

// UnmarshalJSON decodes a JSON object; null decodes to nil.
func (a *Attributes) UnmarshalJSON(data []byte) error {
	value, err := wire.UnmarshalOpen(data)
	if err != nil {
		return err
	}
	switch value := value.(type) {
	case nil:
		*a = nil
	case map[string]any:
		*a = value
	default:
		return errNoObject
	}
	return nil
}

// MarshalJSON encodes a JSON object with sorted keys and with instants as milliseconds.
func (a Attributes) MarshalJSON() ([]byte, error) { return marshalOpen(map[string]any(a)) }

// String returns the string under key and reports whether there is one.
func (a Attributes) String(key string) (string, bool) {
	value, ok := a[key].(string)
	return value, ok
}

// Int64 returns the integer under key, a number or a numeric string, and reports whether there is one.
func (a Attributes) Int64(key string) (int64, bool) {
	text, ok := a.number(key)
	if !ok {
		return 0, false
	}
	value, err := wire.ParseIntText(text)
	return value, err == nil
}

// Float64 returns the number under key, a number or a numeric string, and reports whether there is one.
func (a Attributes) Float64(key string) (float64, bool) {
	text, ok := a.number(key)
	if !ok {
		return 0, false
	}
	value, err := strconv.ParseFloat(text, 64)
	return value, err == nil
}

// Bool returns the boolean under key and reports whether there is one.
func (a Attributes) Bool(key string) (value, ok bool) {
	value, ok = a[key].(bool)
	return value, ok
}

// Time returns the instant under key in UTC and reports whether there is one. The value may be milliseconds since the
// epoch, as a number or a numeric string, an RFC 3339 string or a [time.Time]. The epoch itself counts as unset, as it
// does in records.
func (a Attributes) Time(key string) (time.Time, bool) {
	if value, ok := a[key].(time.Time); ok {
		return value.UTC(), true
	}
	text, ok := a.number(key)
	if !ok {
		return time.Time{}, false
	}
	value, err := wire.ParseInstantText(text)
	return value, err == nil && !value.IsZero()
}

// number returns the decimal text of the value under key, which is a number of any Go type or a string.
func (a Attributes) number(key string) (string, bool) {
	switch value := a[key].(type) {
	case json.Number:
		return value.String(), true
	case string:
		return value, true
	case int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return fmt.Sprint(value), true
	case float32:
		return strconv.FormatFloat(float64(value), 'f', -1, 32), true // 'f': an integer must not have an exponent
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64), true
	}
	return "", false
}

// TagRef is a tag of a record. It always has a name; some answers add an id and a color.
type TagRef struct {
	ID    TagID  `json:"id,omitzero"`
	Name  string `json:"name,omitzero" wire:"bare"`
	Color string `json:"color,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// UnmarshalJSON accepts a name or an object.
func (t *TagRef) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, t) }

// MarshalJSON encodes a tag that has only a name as a string.
func (t TagRef) MarshalJSON() ([]byte, error) {
	if t.ID == 0 && t.Color == "" && len(t.Extra) == 0 {
		return wire.Marshal(t.Name)
	}
	type fields TagRef
	return wire.Marshal(fields(t))
}

// Direction is the side that started a conversation or a meeting. The API may know more values than this package.
type Direction string

// The known directions.
const (
	DirectionInbound  Direction = "inbound"
	DirectionOutbound Direction = "outbound"
)

// IsKnown reports whether this package has a constant for the direction.
func (d Direction) IsKnown() bool { return d == DirectionInbound || d == DirectionOutbound }

// Secret is a string whose value is never printed: fmt, slog and every encoder that asks for text write REDACTED, and
// encoding/gob refuses it. [Secret.Reveal] returns the value. It cannot protect itself where its methods are not
// called: in unexported fields (fmt), as a key of a map (encoding/json), and where the verb does not fit what holds it,
// as in fmt.Sprintf("%s", []any{&structWithSecret}).
type Secret string

const redacted = answer.Redacted

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns REDACTED.
func (s Secret) String() string { return redacted }

// GoString returns REDACTED.
func (s Secret) GoString() string { return redacted }

// Format writes REDACTED for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue returns REDACTED.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns REDACTED. JSON encoders use it too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalBinary returns an error: what encoding/gob and other binary encoders write is meant to be read again.
func (s Secret) MarshalBinary() ([]byte, error) { return nil, errSecretEncoded }

var errSecretEncoded = errors.New("drift: a Secret is not encoded")

// newKey returns a random UUID of version 4 in lower case.
func newKey() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never returns an error
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// requests are the options for encoding request bodies. They add checks: all ids and durations must be positive.
var requests = wire.Strict(jsonv2.JoinMarshalers(
	jsonv2.MarshalToFunc(func(enc *jsontext.Encoder, id interface{ positive() (int64, error) }) error {
		n, err := id.positive()
		if err != nil {
			return err
		}
		return enc.WriteToken(jsontext.Int(n))
	}),
	jsonv2.MarshalToFunc(func(enc *jsontext.Encoder, d time.Duration) error {
		if d <= 0 || d%time.Minute != 0 {
			return errMinutes
		}
		return enc.WriteToken(jsontext.Int(int64(d / time.Minute)))
	}),
	jsonv2.MarshalToFunc(func(enc *jsontext.Encoder, a Attributes) error {
		return wire.WriteOpen(enc, a)
	}),
	jsonv2.MarshalToFunc(func(enc *jsontext.Encoder, o interface{ inner() (any, bool) }) error {
		if value, ok := o.inner(); ok {
			return jsonv2.MarshalEncode(enc, value)
		}
		return enc.WriteToken(jsontext.Null)
	}),
))

// marshalOpen encodes a value whose type the API does not define. The error has the reason but no path, because the
// path may contain keys of the caller.
func marshalOpen(value any) (jsontext.Value, error) {
	data, err := wire.MarshalOpen(value)
	var e *wire.Error
	if errors.As(wire.Explain(err), &e) {
		return nil, e.Reason
	}
	return data, nil
}
