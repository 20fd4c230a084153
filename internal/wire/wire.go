// Package wire reads and writes the JSON and the query strings of the Drift API.
//
// Reading is tolerant, because the service is: names match in snake_case or camelCase and in any case, instants come as
// milliseconds or RFC 3339, integers as numbers or numeric strings, and a body may carry invalid UTF-8 or a name twice
// (the last one wins). Writing is strict: there is one form for everything.
//
// The package knows no type of package drift.
package wire

import (
	"bytes"
	stdjson "encoding/json"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// lenient are the options for the grammar of answers, and of what comes from them.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// reading are the options for answers of the API.
var reading = json.JoinOptions(
	lenient,
	json.MatchCaseInsensitiveNames(true),
	json.WithUnmarshalers(json.JoinUnmarshalers(
		json.UnmarshalFromFunc(readInstant),
		json.UnmarshalFromFunc(readMinutes),
		json.UnmarshalFromFunc(readInteger[int]),
		json.UnmarshalFromFunc(readInteger[int64]),
		json.UnmarshalFromFunc(readNumber),
	)),
)

// writing are the options for requests. Maps are sorted, so that a request has one text.
var writing = json.JoinOptions(
	json.Deterministic(true),
	json.WithMarshalers(marshalers),
)

// rewriting are the options for what an answer held: the fields that no type has stay as they came, and may hold invalid
// UTF-8 or a name twice.
var rewriting = json.JoinOptions(writing, lenient)

var (
	openMarshalers = json.JoinMarshalers(json.MarshalToFunc(writeInstant), json.MarshalToFunc(writeNumber))
	marshalers     = json.JoinMarshalers(openMarshalers, json.MarshalToFunc(writeMinutes))

	openWriting = json.JoinOptions(json.Deterministic(true), json.WithMarshalers(openMarshalers))
)

// Unmarshal decodes one JSON value tolerantly. Anything after it is an error.
func Unmarshal(data []byte, out any) error {
	return json.Unmarshal(data, out, reading)
}

// Marshal encodes v in the API's form. Whatever Unmarshal accepted can be encoded again.
func Marshal(v any) ([]byte, error) {
	return json.Marshal(v, rewriting)
}

// Strict are the options of MarshalStrict, with further marshalers that take precedence.
func Strict(first *json.Marshalers) json.Options {
	return json.JoinOptions(writing, json.WithMarshalers(json.JoinMarshalers(first, marshalers)))
}

// MarshalStrict is Marshal for requests: invalid UTF-8 and a name that comes twice are errors.
func MarshalStrict(v any, strict json.Options) ([]byte, error) { return json.Marshal(v, strict) }

// MarshalOpen encodes a value for which the API has no type. Only instants have a form of their own: a duration is refused,
// since nobody knows its unit.
func MarshalOpen(v any) ([]byte, error) {
	return json.Marshal(v, openWriting)
}

// WriteOpen is MarshalOpen for an object inside a value that is being encoded. Its keys come in order.
func WriteOpen(enc *jsontext.Encoder, object map[string]any) error {
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if err := enc.WriteToken(jsontext.String(key)); err != nil {
			return err
		}
		if err := writeOpenValue(enc, object[key]); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}

// writeOpenValue has the most common values ready.
func writeOpenValue(enc *jsontext.Encoder, v any) error {
	switch v := v.(type) {
	case nil:
		return enc.WriteToken(jsontext.Null)
	case string:
		return enc.WriteToken(jsontext.String(v))
	case bool:
		return enc.WriteToken(jsontext.Bool(v))
	case int:
		return enc.WriteToken(jsontext.Int(int64(v)))
	default:
		return json.MarshalEncode(enc, v, openWriting)
	}
}

// Reason says why a value does not fit, in words that quote nothing of it.
type Reason string

func (r Reason) Error() string { return string(r) }

// Reasons of single values.
const (
	ErrInteger  = Reason("not an integer of 64 bits")
	ErrNumber   = Reason("not a number")
	ErrText     = Reason("not a string")
	ErrInstant  = Reason("neither milliseconds since the epoch nor an RFC 3339 time with a zone")
	ErrMinutes  = Reason("not a whole number of minutes")
	ErrZeroTime = Reason("the zero time cannot be sent")
)

// ParseInt reads a JSON integer, a JSON string that holds one, or null (0).
func ParseInt(value []byte) (int64, error) {
	text, err := scalar(value)
	if err != nil || len(text) == 0 {
		return 0, err
	}
	return parseDigits(text)
}

// parseDigits takes no plus sign, which strconv accepts and JSON does not.
func parseDigits(text []byte) (int64, error) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || text[0] == '+' {
		return 0, ErrInteger
	}
	return n, nil
}

// ParseText reads a JSON string, a number, whose digits are kept, or null ("").
func ParseText(value []byte) (string, error) {
	if string(value) == `""` {
		return "", nil
	}
	text, err := scalarText(value)
	if err != nil {
		return "", ErrText
	}
	return text, nil
}

// scalarText is scalar as a string.
func scalarText(value []byte) (string, error) {
	text, err := scalar(value)
	return string(text), err
}

// scalar returns the text of a number or of a string; null gives none. Other kinds, and an empty string, are errors. What it
// returns may be a part of value.
func scalar(value []byte) ([]byte, error) {
	switch kind := jsontext.Value(value).Kind(); kind {
	case 'n':
		return nil, nil
	case '0':
		return value, nil
	case '"':
		if len(value) < 2 {
			return nil, ErrInteger
		}
		text, err := unquoted(value)
		if err != nil || len(text) == 0 {
			return nil, ErrInteger
		}
		return text, nil
	default:
		return nil, ErrInteger
	}
}

// unquoted returns the text of a JSON string, which may be a part of value.
func unquoted(value []byte) ([]byte, error) {
	inner := value[1 : len(value)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return inner, nil
	}
	return unescaped(value)
}

// unescaped is for strings that are not their own text. AppendUnquote is fast, but takes invalid UTF-8 for an error.
func unescaped(value []byte) ([]byte, error) {
	if text, err := jsontext.AppendUnquote(nil, value); err == nil {
		return text, nil
	}
	var text string
	err := json.Unmarshal(value, &text, jsontext.AllowInvalidUTF8(true))
	return []byte(text), err
}

// readInteger is for counts, and for ids of objects that have no type for their id.
func readInteger[N int | int64](dec *jsontext.Decoder, n *N) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	wide, err := ParseInt(value)
	if *n = N(wide); err == nil && int64(*n) != wide {
		return ErrInteger
	}
	return err
}

// readNumber is there because json.Number is a string type, for which a number would not do. null is "".
func readNumber(dec *jsontext.Decoder, n *stdjson.Number) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch value.Kind() {
	case '0':
		*n = stdjson.Number(value)
	case 'n':
		*n = ""
	default:
		return ErrNumber
	}
	return nil
}

func readInstant(dec *jsontext.Decoder, t *time.Time) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	*t, err = ParseInstant(value)
	return err
}

// ParseInstant reads an instant: integer milliseconds since the epoch, the same in a string, an RFC 3339 string, or null
// (the zero time). The result is in UTC and has whole milliseconds.
func ParseInstant(value []byte) (time.Time, error) {
	text, err := scalar(value)
	if err != nil {
		return time.Time{}, ErrInstant
	}
	if len(text) == 0 {
		return time.Time{}, nil
	}
	if ms, err := parseDigits(text); err == nil {
		return time.UnixMilli(ms).UTC(), nil
	}
	return parseRFC3339(string(text))
}

// ParseInstantText reads milliseconds since the epoch or an RFC 3339 time.
func ParseInstantText(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, ErrInstant
	}
	if ms, err := parseDigits([]byte(text)); err == nil {
		return time.UnixMilli(ms).UTC(), nil
	}
	return parseRFC3339(text)
}

func parseRFC3339(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, ErrInstant
	}
	return t.UTC().Truncate(time.Millisecond), nil
}

func readMinutes(dec *jsontext.Decoder, d *time.Duration) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	minutes, err := ParseInt(value)
	if err != nil || minutes > math.MaxInt64/int64(time.Minute) || minutes < math.MinInt64/int64(time.Minute) {
		return ErrMinutes
	}
	*d = time.Duration(minutes) * time.Minute
	return nil
}

func writeInstant(enc *jsontext.Encoder, t time.Time) error {
	if t.IsZero() {
		return ErrZeroTime
	}
	return enc.WriteToken(jsontext.Int(t.UnixMilli()))
}

func writeMinutes(enc *jsontext.Encoder, d time.Duration) error {
	if d%time.Minute != 0 {
		return ErrMinutes
	}
	return enc.WriteToken(jsontext.Int(int64(d / time.Minute)))
}

// writeNumber is there because json.Number is a string type, and would be quoted.
func writeNumber(enc *jsontext.Encoder, n stdjson.Number) error {
	if jsontext.Value(n).Kind() != '0' {
		return ErrNumber
	}
	return enc.WriteValue(jsontext.Value(n))
}

// UnmarshalOpen decodes any JSON value for which there is no type.
func UnmarshalOpen(data []byte) (any, error) {
	dec, err := newDecoder(data)
	defer dec.free()
	if err != nil {
		return nil, err
	}
	return dec.open(), nil
}
