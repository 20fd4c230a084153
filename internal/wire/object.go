package wire

import (
	"bytes"
	"cmp"
	stdjson "encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// DecodeObject decodes the next value, an object or null, into the struct that out points to, which must be zero. Null
// leaves it zero.
//
// A member belongs to the field with its name. Names match in snake_case and camelCase and in any case, and a field
// with the tag also:"name" has a second name. If an object has several values for a field, a value wins over null. Then
// the field's name wins over other spellings, and those over the second name. Then the last value wins. The winner
// replaces the other values entirely, and errors in those do not matter. A field with the option embed in its json tag
// gets the members that belong to no other field.
//
// A field with the tag wire:"bare" gets a string in place of the object, and one with the tag wire:"null" keeps null.
// The tag wire:"milliseconds" is for a duration in that unit. The tag wire:"id" marks the id of a record, an integer or
// a string; see [DecodeRecord]. DecodeObject does not call UnmarshalJSON of the struct, nor of fields that are
// integers, free maps or records, unless a field has the tag wire:"own". A struct cannot contain itself. After an
// error, too, the decoder is behind the object.
func DecodeObject(dec *Decoder, out any) error {
	v := reflect.ValueOf(out).Elem()
	return layoutOf(v.Type()).set(dec, v)
}

const (
	errNoID    = Reason("the record has no id greater than 0")
	errMissing = Reason("the record lacks this member")
)

// DecodeRecord is DecodeObject for a whole record. The value must be an object. If the type has an id, it must be
// greater than 0 or not empty. A field with the tag wire:"required" must get a value.
func DecodeRecord(dec *Decoder, out any) error {
	if kind := dec.Kind(); kind != '{' {
		dec.Value()
		return Misplaced(kind, "an object")
	}
	mark := dec.Mark()
	v := reflect.ValueOf(out).Elem()
	l := layoutOf(v.Type())
	if err := l.setMembers(dec, v); err != nil {
		return err
	}
	if l.must >= 0 && v.Field(l.fields[l.must].index).IsZero() {
		return &Error{Path: l.spelled(dec, mark, l.must), Reason: errMissing}
	}
	if l.id < 0 {
		return nil
	}
	if id := v.Field(l.fields[l.id].index); id.IsZero() || id.CanInt() && id.Int() < 0 {
		return &Error{Path: l.spelled(dec, mark, l.id), Reason: errNoID}
	}
	return nil
}

// IsRecord reports whether values of a type are records: structs with an id.
func IsRecord(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && taggedField(t, "id") >= 0
}

// UnmarshalObject is DecodeObject for one JSON value. The struct need not be zero: its contents are replaced. Anything
// after the value is an error.
func UnmarshalObject(data []byte, out any) error {
	dec, err := newDecoder(data)
	defer dec.free()
	if err != nil {
		return err
	}
	reflect.ValueOf(out).Elem().SetZero()
	return DecodeObject(dec, out)
}

// Expect returns an error with the reason otherwise if a field of the struct that out points to differs from value. It
// ignores case, and accepts a field that is zero or that the type lacks. The name "" means the record's id. Mark is the
// position of the object, in whose spelling the error names the field.
func Expect(dec *Decoder, mark int, out any, name, value string, otherwise Reason) error {
	v := reflect.ValueOf(out).Elem()
	l := layoutOf(v.Type())
	member, found := l.names.own[name]
	if name == "" {
		member, found = l.id, l.id >= 0
	}
	if !found {
		return nil
	}
	field := v.Field(l.fields[member].index)
	if field.IsZero() || equals(field, value) {
		return nil
	}
	return &Error{Path: l.spelled(dec, mark, member), Reason: otherwise}
}

func equals(field reflect.Value, value string) bool {
	if !field.CanInt() {
		return strings.EqualFold(field.String(), value)
	}
	n, err := strconv.ParseInt(value, 10, 64)
	return err == nil && n == field.Int()
}

// spelled returns the path of a member of the object at mark, in the object's spelling.
func (l *layout) spelled(dec *Decoder, mark, member int) string {
	s := scanner{data: dec.data, at: mark, plain: dec.plain}
	for _, c := range l.names.choose(&s, func(int) { s.Value() }) {
		if c.member == member {
			s.at = c.name
			return pointer(s.string())
		}
	}
	name, _ := strconv.Unquote(string(l.names.members[member].quoted))
	return pointer([]byte(name))
}

// layout maps the members of an object to the fields of a struct.
type layout struct {
	names  names
	fields []field // by member
	id     int     // index of the record's id in fields; -1: none
	must   int     // index of the required field in fields; -1: none
	bare   int     // index of the struct's field for a string in place of the object; -1: none
	rest   int     // index of the struct's field for other members; -1: none
}

type field struct {
	index int
	set   setter
}

// setter decodes the next value into a zero field. The path of its error begins at that value.
type setter func(dec *Decoder, field reflect.Value) error

// layouts caches the *layout of each type.
var layouts sync.Map

func layoutOf(t reflect.Type) *layout {
	if known, ok := layouts.Load(t); ok {
		return known.(*layout)
	}
	known, _ := layouts.LoadOrStore(t, newLayout(t))
	return known.(*layout)
}

func newLayout(t reflect.Type) *layout {
	l := &layout{id: -1, must: -1, bare: taggedField(t, "bare"), rest: restField(t)}
	id, must := taggedField(t, "id"), taggedField(t, "required")
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if i == l.rest || !f.IsExported() || name == "-" {
			continue
		}
		if i == id {
			l.id = len(l.fields)
		}
		if i == must {
			l.must = len(l.fields)
		}
		l.names.add(cmp.Or(name, f.Name), f.Tag.Get("also"), absentIn(f.Type))
		l.fields = append(l.fields, field{i, fieldSetter(f)})
	}
	return l
}

func fieldSetter(f reflect.StructField) setter {
	switch f.Tag.Get("wire") {
	case "null":
		return setRawOrNull
	case "milliseconds":
		return setMilliseconds
	case "own":
		return listSetter(setUnmarshaler)
	}
	return setterOf(f.Type)
}

func taggedField(t reflect.Type, tag string) int {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("wire") == tag {
			return i
		}
	}
	return -1
}

func restField(t reflect.Type) int {
	for i := range t.NumField() {
		if _, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); strings.Contains(options, "embed") {
			return i
		}
	}
	return -1
}

// absentIn returns a func that reports whether a value counts as absent in a field of the type.
func absentIn(t reflect.Type) func(jsontext.Value) bool {
	switch {
	case t == numberType, t == timeType, t.Kind() == reflect.Int, t.Kind() == reflect.Int64, t.Kind() == reflect.Bool:
		return isBlank
	case t.Kind() == reflect.Pointer:
		return absentIn(t.Elem())
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		return isBlank
	default:
		return isNull
	}
}

func (l *layout) set(dec *Decoder, v reflect.Value) error {
	kind := dec.Kind()
	switch {
	case kind == '{':
		return l.setMembers(dec, v)
	case l.bare >= 0 && kind != 'n' && kind != '[':
		return setString(dec, v.Field(l.bare))
	default:
		return setNull(dec, v, "an object")
	}
}

// maxSeen is the number of members that setMembers can track.
const maxSeen = 64

// setMembers decodes the values in order. If a member is repeated or a value does not fit, it starts over with
// setChosen.
func (l *layout) setMembers(dec *Decoder, v reflect.Value) error {
	start := dec.at
	if len(l.fields) > maxSeen {
		return l.setChosen(dec, v, start)
	}
	seen := uint64(0)
	guess := 0 // members are mostly in the order of the fields
	for dec.enter(); dec.more(); {
		name := dec.at
		i := l.names.read(&dec.scanner, guess)
		if i < 0 {
			l.keep(dec, v, name)
			continue
		}
		guess = i + 1
		again := seen&(1<<i) != 0
		seen |= 1 << i
		if again || l.setField(dec, v, &l.fields[i], name) != nil {
			return l.setChosen(dec, v, start)
		}
	}
	return nil
}

// setChosen decodes the object at start again, but only the values that count.
func (l *layout) setChosen(dec *Decoder, v reflect.Value, start int) error {
	v.SetZero()
	dec.at = start
	chosen := l.names.choose(&dec.scanner, func(name int) { l.keep(dec, v, name) })
	end := dec.at
	for _, c := range chosen {
		dec.at = c.value
		if err := l.setField(dec, v, &l.fields[c.member], c.name); err != nil {
			dec.at = c.name
			err = Below(pointer(dec.string()), err)
			dec.at = end
			return err
		}
	}
	if dec.keeps && l.rest >= 0 {
		l.keepLosers(dec, v, start, chosen)
	}
	dec.at = end
	return nil
}

// keep stores a member without a field in the rest field. Name is the position of its name.
func (l *layout) keep(dec *Decoder, v reflect.Value, name int) {
	if l.rest < 0 {
		dec.Value()
		return
	}
	dec.at = name
	rest := v.Field(l.rest).Addr().Interface().(*map[string]stdjson.RawMessage)
	if *rest == nil {
		*rest = map[string]stdjson.RawMessage{}
	}
	key := dec.text()
	(*rest)[key] = bytes.Clone(dec.Value())
}

var (
	timeType        = reflect.TypeFor[time.Time]()
	openType        = reflect.TypeFor[map[string]any]()
	durationType    = reflect.TypeFor[time.Duration]()
	numberType      = reflect.TypeFor[stdjson.Number]()
	anyType         = reflect.TypeFor[any]()
	rawType         = reflect.TypeFor[stdjson.RawMessage]()
	valueType       = reflect.TypeFor[Value]()
	unmarshalerType = reflect.TypeFor[stdjson.Unmarshaler]()
)

func setterOf(t reflect.Type) setter {
	switch kind := t.Kind(); {
	case t == timeType:
		return setTime
	case t == durationType:
		return setMinutes
	case t == numberType:
		return setNumber
	case t == rawType:
		return setRaw
	case t == valueType:
		return setValue
	case t == anyType:
		return setAnyOpen
	case kind == reflect.Int, kind == reflect.Int64:
		return setInteger
	case kind == reflect.Map && t.ConvertibleTo(openType):
		return setOpen
	case kind == reflect.Struct && (taggedField(t, "bare") >= 0 || restField(t) >= 0 || !unmarshals(t)):
		return layoutOf(t).set
	case unmarshals(t):
		return setUnmarshaler
	case kind == reflect.String:
		return setString
	case kind == reflect.Bool:
		return setBool
	case kind == reflect.Pointer:
		return pointerSetter(setterOf(t.Elem()))
	case kind == reflect.Slice:
		return listSetter(setterOf(t.Elem()))
	default:
		return setAny
	}
}

func unmarshals(t reflect.Type) bool { return reflect.PointerTo(t).Implements(unmarshalerType) }

// setAny leaves a value to the JSON package.
func setAny(dec *Decoder, field reflect.Value) error {
	return Unmarshal(dec.Value(), field.Addr().Interface())
}

// setNull accepts null, which leaves the field zero, and rejects any other value.
func setNull(dec *Decoder, _ reflect.Value, want string) error {
	if kind := dec.Value().Kind(); kind != 'n' {
		return Misplaced(kind, want)
	}
	return nil
}

func pointerSetter(set setter) setter {
	return func(dec *Decoder, field reflect.Value) error {
		if dec.Kind() == 'n' {
			return setNull(dec, field, "")
		}
		field.Set(reflect.New(field.Type().Elem()))
		return set(dec, field.Elem())
	}
}

// usualList is the initial capacity of a list in a record.
const usualList = 4

// listSetter accepts one element in place of a list.
func listSetter(set setter) setter {
	return func(dec *Decoder, field reflect.Value) error {
		switch kind := dec.Kind(); {
		case kind == '[':
			return setElements(dec, field, set)
		case kind == 'n' || dec.comesEmpty():
			dec.Value()
			return nil
		default:
			field.Grow(1)
			field.SetLen(1)
			return set(dec, field.Index(0))
		}
	}
}

func setElements(dec *Decoder, field reflect.Value, set setter) error {
	field.Grow(usualList)
	n := 0
	for dec.enter(); dec.more(); n++ {
		if n == field.Cap() {
			field.Grow(1)
		}
		field.SetLen(n + 1)
		if err := set(dec, field.Index(n)); err != nil {
			return Below("/"+strconv.Itoa(n), err)
		}
	}
	return nil
}

func setOpen(dec *Decoder, field reflect.Value) error {
	if dec.Kind() != '{' {
		return setNull(dec, field, "an object")
	}
	field.Set(reflect.ValueOf(dec.openObject()))
	return nil
}

// setAnyOpen keeps the digits of numbers, which the JSON package would turn into float64.
func setAnyOpen(dec *Decoder, field reflect.Value) error {
	if value := dec.open(); value != nil {
		field.Set(reflect.ValueOf(value))
	}
	return nil
}

// setRaw keeps a value unchanged. Null counts as absent.
func setRaw(dec *Decoder, field reflect.Value) error {
	if value := dec.Value(); !isNull(value) {
		field.SetBytes(bytes.Clone(value))
	}
	return nil
}

// setRawOrNull keeps a value as it came, null included.
func setRawOrNull(dec *Decoder, field reflect.Value) error {
	field.SetBytes(bytes.Clone(dec.Value()))
	return nil
}

// setValue keeps any value, null included, without a copy.
func setValue(dec *Decoder, field reflect.Value) error {
	field.SetBytes(dec.Value())
	return nil
}

func setUnmarshaler(dec *Decoder, field reflect.Value) error {
	return field.Addr().Interface().(stdjson.Unmarshaler).UnmarshalJSON(dec.Value())
}

func setTime(dec *Decoder, field reflect.Value) (err error) {
	t := field.Addr().Interface().(*time.Time)
	if dec.Kind() != '0' {
		*t, err = ParseInstant(dec.Value())
		return err
	}
	ms, err := dec.integer()
	if err != nil {
		return ErrInstant
	}
	*t = instant(ms)
	return nil
}

func setMinutes(dec *Decoder, field reflect.Value) error {
	d, err := ParseMinutes(dec.Value())
	field.SetInt(int64(d))
	return err
}

func setMilliseconds(dec *Decoder, field reflect.Value) error {
	ms, err := dec.integer()
	if err == nil && (ms > math.MaxInt64/int64(time.Millisecond) || ms < math.MinInt64/int64(time.Millisecond)) {
		err = ErrInteger
	}
	field.SetInt(ms * int64(time.Millisecond))
	return err
}

func setInteger(dec *Decoder, field reflect.Value) error {
	n, err := dec.integer()
	if err == nil && field.OverflowInt(n) {
		return ErrInteger
	}
	field.SetInt(n)
	return err
}

// setNumber also accepts a number in a string.
func setNumber(dec *Decoder, field reflect.Value) error {
	text, err := scalar(dec.Value())
	number := jsontext.Value(text)
	if err != nil || len(text) > 0 && (number.Kind() != '0' || !number.IsValid() || bytes.ContainsAny(text, " \t\r\n")) {
		return ErrNumber
	}
	field.SetString(string(text))
	return nil
}

func setString(dec *Decoder, field reflect.Value) error {
	switch dec.Kind() {
	case '"':
		field.SetString(dec.text())
	case '0', 't', 'f':
		field.SetString(dec.texts.of(dec.Value()))
	default:
		return setNull(dec, field, "a string")
	}
	return nil
}

func setBool(dec *Decoder, field reflect.Value) error {
	yes, err := ParseBool(dec.Value())
	field.SetBool(yes)
	return err
}
