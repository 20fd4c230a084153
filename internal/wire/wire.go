// Package wire reads and writes the JSON and the query strings of the Drift API.
//
// Reading is tolerant, because answers vary: names match in snake_case or camelCase and in any case, instants are
// milliseconds or RFC 3339, integers are numbers or numeric strings, and a body may contain invalid UTF-8 or repeated
// names. Writing is strict: every value has one form. The rules are in docs/wire-format.md.
//
// The package does not depend on the types of package drift.
package wire

import (
	"bytes"
	stdjson "encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// lenient are the options for the grammar of answers and of data from them.
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
		json.UnmarshalFromFunc(readBool),
	)),
)

// writing are the options for requests. Keys are sorted, so that equal requests have equal bodies.
var writing = json.JoinOptions(
	json.Deterministic(true),
	json.WithMarshalers(marshalers),
)

// rewriting are the options for encoding data from an answer. Unknown fields stay unchanged, so they may contain
// invalid UTF-8 or repeated names.
var rewriting = json.JoinOptions(writing, lenient)

var (
	openMarshalers = json.JoinMarshalers(json.MarshalToFunc(writeInstant), json.MarshalToFunc(writeNumber))
	marshalers     = json.JoinMarshalers(openMarshalers, json.MarshalToFunc(writeMinutes))

	openWriting = json.JoinOptions(json.Deterministic(true), json.WithMarshalers(openMarshalers))
)

// Unmarshal decodes one JSON value tolerantly into a target of any type. Anything after the value is an error. If an
// object repeats a name, the last value replaces the others. Values under two spellings of a name are decoded into the
// same field one after the other. Its errors are of type *Error.
func Unmarshal(data []byte, out any) error {
	err := json.Unmarshal(withoutRepeats(data), out, reading)
	if err == nil {
		return nil
	}
	e := *asError(err)
	e.Keys = e.Keys || hasMap(reflect.TypeOf(out), map[reflect.Type]bool{})
	return &e
}

// hasMap reports whether the path of an error in a value of type t may lead through a map. It ignores the inside of
// types that implement json.Unmarshaler.
func hasMap(t reflect.Type, seen map[reflect.Type]bool) bool {
	if t == nil || seen[t] || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Map:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return hasMap(t.Elem(), seen)
	case reflect.Struct:
		for field := range t.Fields() {
			if hasMap(field.Type, seen) {
				return true
			}
		}
	}
	return false
}

// Marshal encodes v in the API's form. It can encode everything that Unmarshal accepts.
func Marshal(v any) ([]byte, error) {
	return json.Marshal(v, rewriting)
}

// Strict returns options for MarshalStrict with additional marshalers, which take precedence.
func Strict(first *json.Marshalers) json.Options {
	return json.JoinOptions(writing, json.WithMarshalers(json.JoinMarshalers(first, marshalers)))
}

// MarshalStrict is Marshal for requests: invalid UTF-8 and repeated names are errors.
func MarshalStrict(v any, strict json.Options) ([]byte, error) { return json.Marshal(v, strict) }

// MarshalOpen encodes a value whose type the API does not define. Only instants have a special form. A duration is an
// error, because its unit is unknown.
func MarshalOpen(v any) ([]byte, error) {
	return json.Marshal(v, openWriting)
}

// WriteOpen is MarshalOpen for an object inside a value that is being encoded. It sorts the keys.
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

// writeOpenValue encodes a value, with shortcuts for the most common types.
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

// Reason is the reason why a value does not fit. It quotes nothing of the value.
type Reason string

func (r Reason) Error() string { return string(r) }

// Reasons of single values.
const (
	ErrInteger  = Reason("not a 64-bit integer")
	ErrNumber   = Reason("not a number")
	ErrText     = Reason("not a string")
	ErrInstant  = Reason("neither milliseconds since the epoch nor an RFC 3339 time with a zone")
	ErrMinutes  = Reason("not a whole number of minutes")
	ErrZeroTime = Reason("the zero time cannot be sent")
)

// ParseInt reads a JSON integer, a JSON string that contains one, or null or an empty string (0). The integer may have
// a fraction or an exponent if its value is whole.
func ParseInt(value []byte) (int64, error) {
	text, err := scalar(value)
	if err != nil || len(text) == 0 {
		return 0, err
	}
	return parseInteger(text)
}

// ParseIntText is ParseInt for the text of a string.
func ParseIntText(text string) (int64, error) { return parseInteger([]byte(text)) }

// parseInteger rejects a plus sign, which strconv accepts and JSON does not.
func parseInteger(text []byte) (int64, error) {
	n, err := strconv.ParseInt(string(text[:min(len(text), maxShort)]), 10, 64)
	if err != nil || len(text) > maxShort {
		return parseWhole(text)
	}
	if text[0] == '+' {
		return 0, ErrInteger
	}
	return n, nil
}

// maxDigits is the number of digits of the longest 64-bit integer.
const maxDigits = 19

// parseWhole reads a decimal number whose value is whole. It does not expand a large exponent.
func parseWhole(text []byte) (int64, error) {
	number, negative := bytes.CutPrefix(text, []byte("-"))
	whole, rest := leadingDigits(number)
	var fraction []byte
	if after, found := bytes.CutPrefix(rest, []byte(".")); found {
		if fraction, rest = leadingDigits(after); len(fraction) == 0 {
			return 0, ErrInteger
		}
	}
	exponent, ok := parseExponent(rest)
	if len(whole) == 0 || !ok {
		return 0, ErrInteger
	}
	digits := bytes.TrimLeft(append(bytes.Clone(whole), fraction...), "0")
	if len(digits) == 0 {
		return 0, nil
	}
	exponent -= len(fraction)
	trimmed := bytes.TrimRight(digits, "0")
	exponent += len(digits) - len(trimmed)
	if exponent < 0 || len(trimmed)+exponent > maxDigits {
		return 0, ErrInteger
	}
	digits = append(trimmed, bytes.Repeat([]byte("0"), exponent)...)
	if negative {
		digits = append([]byte("-"), digits...)
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		return 0, ErrInteger
	}
	return n, nil
}

func leadingDigits(text []byte) (digits, rest []byte) {
	n := 0
	for n < len(text) && '0' <= text[n] && text[n] <= '9' {
		n++
	}
	return text[:n], text[n:]
}

// farOff replaces every larger exponent. No text has enough digits to compensate for it.
const farOff = 1 << 27

// parseExponent reads the exponent of a number, or returns 0 for an empty text.
func parseExponent(text []byte) (exponent int, ok bool) {
	if len(text) == 0 {
		return 0, true
	}
	if text[0] != 'e' && text[0] != 'E' {
		return 0, false
	}
	text = text[1:]
	sign := 1
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		if text[0] == '-' {
			sign = -1
		}
		text = text[1:]
	}
	digits, rest := leadingDigits(text)
	for _, digit := range digits {
		exponent = min(exponent*10+int(digit-'0'), farOff)
	}
	return sign * exponent, len(digits) > 0 && len(rest) == 0
}

// ParseText reads a JSON string, a number as its text, or null ("").
func ParseText(value []byte) (string, error) {
	text, err := scalar(value)
	if err != nil {
		return "", ErrText
	}
	return string(text), nil
}

// ParseScalar is ParseText that also accepts a boolean as its text.
func ParseScalar(value []byte) (string, error) {
	switch text := string(value); text {
	case "true", "false":
		return text, nil
	}
	return ParseText(value)
}

// ParseBool reads a JSON boolean, a JSON string that contains one, or null or an empty string (false).
func ParseBool(value []byte) (bool, error) {
	kind := jsontext.Value(value).Kind()
	switch kind {
	case 't', 'f':
		return kind == 't', nil
	case 'n':
		return false, nil
	case '"':
		switch text, _ := scalar(value); string(text) {
		case "true":
			return true, nil
		case "false", "":
			return false, nil
		}
	}
	return false, Misplaced(kind, "a boolean")
}

// scalar returns the text of a number or of a string, or no text for null. Other kinds are errors. The text may be a
// part of value.
func scalar(value []byte) ([]byte, error) {
	switch kind := jsontext.Value(value).Kind(); kind {
	case 'n':
		return nil, nil
	case '0':
		return value, nil
	case '"':
		if len(value) < len(emptyString) || value[len(value)-1] != '"' {
			return nil, ErrInteger // not JSON: anyone may call UnmarshalJSON
		}
		text, err := unquoted(value)
		if err != nil {
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

// unescaped returns the text of a JSON string with escapes or invalid UTF-8. AppendUnquote is fast, but rejects invalid
// UTF-8.
func unescaped(value []byte) ([]byte, error) {
	if text, err := jsontext.AppendUnquote(nil, value); err == nil {
		return text, nil
	}
	var text string
	err := json.Unmarshal(value, &text, jsontext.AllowInvalidUTF8(true))
	return []byte(text), err
}

// readInteger decodes an integer, such as a count or an id without its own type.
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

func readBool(dec *jsontext.Decoder, yes *bool) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	*yes, err = ParseBool(value)
	return err
}

// readNumber decodes a number into a json.Number, which the JSON package treats as a string. Null and an empty string
// become "".
func readNumber(dec *jsontext.Decoder, n *stdjson.Number) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch {
	case value.Kind() == '0':
		*n = stdjson.Number(value)
	case isBlank(value):
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

// ParseInstant reads an instant: integer milliseconds since the epoch, as a number or in a string, an RFC 3339 string,
// or null or an empty string (the zero time). The epoch becomes the zero time too, because it means that an instant was
// never set. The result is in UTC and in whole milliseconds.
func ParseInstant(value []byte) (time.Time, error) {
	text, err := scalar(value)
	if err != nil {
		return time.Time{}, ErrInstant
	}
	if len(text) == 0 {
		return time.Time{}, nil
	}
	return ParseInstantText(string(text))
}

// ParseInstantText reads milliseconds since the epoch or an RFC 3339 time.
func ParseInstantText(text string) (time.Time, error) {
	if isRFC3339(text) {
		t, err := time.Parse(time.RFC3339, strings.ToUpper(text))
		if err != nil {
			return time.Time{}, ErrInstant
		}
		return instant(t.UnixMilli()), nil
	}
	ms, err := ParseIntText(text)
	if err != nil {
		return time.Time{}, ErrInstant
	}
	return instant(ms), nil
}

func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// isRFC3339 reports whether a text has the form of an RFC 3339 time with a zone. Package time also accepts other forms.
func isRFC3339(text string) bool {
	const date, zone = "0000-00-00T00:00:00", "00:00"
	if len(text) <= len(date) || !hasForm(text[:len(date)], date) {
		return false
	}
	rest := text[len(date):]
	if rest[0] == '.' {
		digits, after := leadingDigits([]byte(rest[1:]))
		if rest = string(after); len(digits) == 0 {
			return false
		}
	}
	switch {
	case rest == "Z" || rest == "z":
		return true
	case len(rest) != len("+"+zone) || rest[0] != '+' && rest[0] != '-' || !hasForm(rest[1:], zone):
		return false
	}
	return rest[1:3] < "24" && rest[4:6] < "60"
}

// hasForm reports whether a text has a form of the same length. A 0 in the form matches any digit, and a T also t.
func hasForm(text, form string) bool {
	for i := range len(form) {
		b := text[i]
		switch {
		case form[i] == '0' && '0' <= b && b <= '9', b == form[i], form[i] == 'T' && b == 't':
		default:
			return false
		}
	}
	return true
}

func readMinutes(dec *jsontext.Decoder, d *time.Duration) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	*d, err = ParseMinutes(value)
	return err
}

// ParseMinutes reads a duration in whole minutes.
func ParseMinutes(value []byte) (time.Duration, error) {
	minutes, err := ParseInt(value)
	if err != nil || minutes > math.MaxInt64/int64(time.Minute) || minutes < math.MinInt64/int64(time.Minute) {
		return 0, ErrMinutes
	}
	return time.Duration(minutes) * time.Minute, nil
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

// writeNumber encodes a json.Number as a number. By default, the JSON package quotes it, because it is a string type.
func writeNumber(enc *jsontext.Encoder, n stdjson.Number) error {
	if jsontext.Value(n).Kind() != '0' {
		return ErrNumber
	}
	return enc.WriteValue(jsontext.Value(n))
}

// UnmarshalOpen decodes any JSON value: objects become map[string]any, lists []any, and numbers json.Number.
func UnmarshalOpen(data []byte) (any, error) {
	dec, err := newDecoder(data)
	defer dec.free()
	if err != nil {
		return nil, err
	}
	return dec.open(), nil
}
