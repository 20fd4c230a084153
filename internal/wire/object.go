package wire

import (
	"bytes"
	"cmp"
	stdjson "encoding/json"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// DecodeObject decodes the object that comes next into the struct that out points to. It does what Decode does, faster: how
// to set each field is found out once for a type, and the kinds of fields that records have are set without a detour. Null is
// the zero value.
//
// The struct's own methods are not asked, and neither are those of fields that are integers. A field with the tag wire:"bare"
// takes a string that stands in place of the object, and one with the option embed of the tag json takes the members that no
// other field has. A struct cannot hold itself.
func DecodeObject(dec *Decoder, out any) error {
	v := reflect.ValueOf(out).Elem()
	return layoutOf(v.Type()).set(dec, v)
}

// UnmarshalObject is DecodeObject for one JSON value. Anything after it is an error.
func UnmarshalObject(data []byte, out any) error {
	dec, err := newDecoder(data)
	defer dec.free()
	if err != nil {
		return err
	}
	return DecodeObject(dec, out)
}

// layout is how the members of an object become the fields of a struct.
type layout struct {
	members  []member
	byName   map[string]int // into members, by name as the tag spells it
	byFolded map[string]int // by name as Fold spells it
	bare     int            // the field for a string in place of the object; -1: none
	rest     int            // the field for other members; -1: none
}

type member struct {
	quoted []byte // the name as it mostly comes
	field  int
	set    setter
}

// setter decodes the next value into a field. The path of its error begins at that value.
type setter func(dec *Decoder, field reflect.Value) error

// layouts holds each type's *layout, as the JSON package holds what it knows of types.
var layouts sync.Map

func layoutOf(t reflect.Type) *layout {
	if known, ok := layouts.Load(t); ok {
		return known.(*layout)
	}
	known, _ := layouts.LoadOrStore(t, newLayout(t))
	return known.(*layout)
}

func newLayout(t reflect.Type) *layout {
	l := &layout{byName: map[string]int{}, byFolded: map[string]int{}, bare: bareField(t), rest: -1}
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case strings.Contains(options, "embed"):
			l.rest = i
			continue
		case !field.IsExported() || name == "-":
			continue
		}
		name = cmp.Or(name, field.Name)
		l.byName[name], l.byFolded[Fold(name)] = len(l.members), len(l.members)
		l.members = append(l.members, member{strconv.AppendQuote(nil, name), i, setterOf(field.Type)})
	}
	return l
}

func bareField(t reflect.Type) int {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("wire") == "bare" {
			return i
		}
	}
	return -1
}

func (l *layout) set(dec *Decoder, v reflect.Value) error {
	kind := dec.Kind()
	switch {
	case kind == '{':
		return l.setMembers(dec, v)
	case kind == '"' && l.bare >= 0:
		v.SetZero()
		return setString(dec, v.Field(l.bare))
	default:
		return setNull(dec, v, "an object")
	}
}

func (l *layout) setMembers(dec *Decoder, v reflect.Value) error {
	guess := 0 // members mostly come in the order of the fields
	for dec.enter(); dec.more(); {
		name := dec.at
		i := l.readName(dec, guess)
		if i < 0 {
			l.keep(dec, v, name)
			continue
		}
		guess = i + 1
		if err := l.members[i].set(dec, v.Field(l.members[i].field)); err != nil {
			dec.at = name
			return Below(pointer(dec.string()), err)
		}
	}
	return nil
}

// readName goes past a name and returns the index of its member, or -1.
func (l *layout) readName(dec *Decoder, guess int) int {
	if guess < len(l.members) && bytes.HasPrefix(dec.data[dec.at:], l.members[guess].quoted) {
		dec.at += len(l.members[guess].quoted)
		return guess
	}
	return l.find(dec.string())
}

// find returns the index of a member, or -1.
func (l *layout) find(name []byte) int {
	if i, ok := l.byName[string(name)]; ok {
		return i
	}
	if i, ok := l.byFolded[Fold(string(name))]; ok {
		return i
	}
	return -1
}

// keep puts a member that has no field, and whose name stands there, with the others of its kind.
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
	unmarshalerType = reflect.TypeFor[stdjson.Unmarshaler]()
)

func setterOf(t reflect.Type) setter {
	switch kind := t.Kind(); {
	case t == timeType:
		return setTime
	case kind == reflect.Int, kind == reflect.Int64 && t != durationType:
		return setInteger
	case kind == reflect.Map && t.ConvertibleTo(openType):
		return setOpen
	case kind == reflect.Struct && (bareField(t) >= 0 || !unmarshals(t)):
		return layoutOf(t).set
	case unmarshals(t):
		return setUnmarshaler
	case kind == reflect.String && t != numberType:
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

// setNull sets a field to null, which is its zero value. Any other value is out of place.
func setNull(dec *Decoder, field reflect.Value, want string) error {
	if kind := dec.Value().Kind(); kind != 'n' {
		return Misplaced(kind, want)
	}
	field.SetZero()
	return nil
}

func pointerSetter(set setter) setter {
	return func(dec *Decoder, field reflect.Value) error {
		if dec.Kind() == 'n' {
			return setNull(dec, field, "")
		}
		if field.IsNil() {
			field.Set(reflect.New(field.Type().Elem()))
		}
		return set(dec, field.Elem())
	}
}

// usualList is how many elements most lists of a record have room for.
const usualList = 4

func listSetter(set setter) setter {
	return func(dec *Decoder, field reflect.Value) error {
		if dec.Kind() != '[' {
			return setNull(dec, field, "a list")
		}
		field.SetZero()
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
}

func setOpen(dec *Decoder, field reflect.Value) error {
	if dec.Kind() != '{' {
		return setNull(dec, field, "an object")
	}
	field.Set(reflect.ValueOf(dec.openObject()))
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
	*t = time.UnixMilli(ms).UTC()
	return nil
}

func setInteger(dec *Decoder, field reflect.Value) error {
	n, err := dec.integer()
	if err == nil && field.OverflowInt(n) {
		return ErrInteger
	}
	field.SetInt(n)
	return err
}

func setString(dec *Decoder, field reflect.Value) error {
	if dec.Kind() == '"' {
		field.SetString(dec.text())
		return nil
	}
	return setNull(dec, field, "a string")
}

func setBool(dec *Decoder, field reflect.Value) error {
	switch kind := dec.Kind(); kind {
	case 't', 'f':
		dec.Value()
		field.SetBool(kind == 't')
		return nil
	}
	return setNull(dec, field, "a boolean")
}
