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
// other field has.
func DecodeObject(dec *Decoder, out any) error {
	return setStruct(dec, reflect.ValueOf(out).Elem())
}

// UnmarshalObject is DecodeObject for one JSON value. Anything after it is an error.
func UnmarshalObject(data []byte, out any) error {
	dec := newDecoder(data)
	defer dec.free()
	if err := DecodeObject(dec, out); err != nil {
		return err
	}
	return dec.atEnd()
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
	quoted string // the name as it mostly comes
	field  int
	set    setter
}

// setter decodes the next value into a field.
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
		l.members = append(l.members, member{strconv.Quote(name), i, setterOf(field.Type)})
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

func (l *layout) decode(dec *Decoder, v reflect.Value) error {
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	guess := 0 // members mostly come in the order of the fields
	for dec.more('}') {
		i, name, err := l.readName(dec, guess)
		switch {
		case err != nil:
		case i < 0:
			err = l.keep(dec, v, name)
		default:
			err = l.members[i].set(dec, v.Field(l.members[i].field))
			guess = i + 1
		}
		if err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// readName reads a name and returns the index of its member, or -1 and the name itself.
func (l *layout) readName(dec *Decoder, guess int) (int, string, error) {
	quoted, err := dec.ReadValue()
	if err != nil {
		return 0, "", err
	}
	if guess < len(l.members) && l.members[guess].quoted == string(quoted) {
		return guess, "", nil
	}
	name, err := unquoted(quoted)
	if i := l.find(name); i >= 0 {
		return i, "", err
	}
	return -1, dec.text(name), err
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

// keep puts a member that has no field with the others of its kind.
func (l *layout) keep(dec *Decoder, v reflect.Value, name string) error {
	if l.rest < 0 {
		return dec.SkipValue()
	}
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	rest := v.Field(l.rest).Addr().Interface().(*map[string]stdjson.RawMessage)
	if *rest == nil {
		*rest = map[string]stdjson.RawMessage{}
	}
	(*rest)[name] = bytes.Clone(value)
	return nil
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
	case kind == reflect.Int64 && t != durationType:
		return setInteger
	case kind == reflect.Map && t.ConvertibleTo(openType):
		return setOpen
	case kind == reflect.Struct && (bareField(t) >= 0 || !unmarshals(t)):
		return setStruct
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
func setAny(dec *Decoder, field reflect.Value) error { return Decode(dec, field.Addr().Interface()) }

func setStruct(dec *Decoder, v reflect.Value) error {
	kind := dec.PeekKind()
	if kind == '{' {
		return layoutOf(v.Type()).decode(dec, v)
	}
	if kind == '"' {
		if bare := layoutOf(v.Type()).bare; bare >= 0 {
			v.SetZero()
			return setString(dec, v.Field(bare))
		}
	}
	return setNull(dec, v, "an object")
}

// setNull sets a field to null, which is its zero value. Any other value is out of place.
func setNull(dec *Decoder, field reflect.Value, want string) error {
	if dec.PeekKind() != 'n' {
		return Misplaced(dec, want)
	}
	field.SetZero()
	return dec.SkipValue()
}

func pointerSetter(set setter) setter {
	return func(dec *Decoder, field reflect.Value) error {
		if dec.PeekKind() == 'n' {
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
		if dec.PeekKind() != '[' {
			return setNull(dec, field, "a list")
		}
		if _, err := dec.ReadToken(); err != nil {
			return err
		}
		field.SetZero()
		field.Grow(usualList)
		for n := 0; dec.more(']'); n++ {
			if n == field.Cap() {
				field.Grow(1)
			}
			field.SetLen(n + 1)
			if err := set(dec, field.Index(n)); err != nil {
				return err
			}
		}
		_, err := dec.ReadToken()
		return err
	}
}

func setOpen(dec *Decoder, field reflect.Value) error {
	if dec.PeekKind() != '{' {
		return setNull(dec, field, "an object")
	}
	object, err := readOpenObject(dec)
	if err == nil {
		field.Set(reflect.ValueOf(object))
	}
	return err
}

func setUnmarshaler(dec *Decoder, field reflect.Value) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	return misfit(dec, field.Addr().Interface().(stdjson.Unmarshaler).UnmarshalJSON(value))
}

func setTime(dec *Decoder, field reflect.Value) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	*field.Addr().Interface().(*time.Time), err = ParseInstant(value)
	return misfit(dec, err)
}

func setInteger(dec *Decoder, field reflect.Value) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	n, err := ParseInt(value)
	field.SetInt(n)
	return misfit(dec, err)
}

func setString(dec *Decoder, field reflect.Value) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch value.Kind() {
	case '"':
		text, err := unquoted(value)
		field.SetString(dec.text(text))
		return err
	case 'n':
		field.SetString("")
		return nil
	}
	return misfit(dec, wrongKind(value.Kind()))
}

func setBool(dec *Decoder, field reflect.Value) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch value.Kind() {
	case 't', 'f', 'n':
		field.SetBool(value.Kind() == 't')
		return nil
	}
	return misfit(dec, wrongKind(value.Kind()))
}

// misfit says where the value that was just read stands; nil stays nil.
func misfit(dec *Decoder, err error) error {
	if err == nil {
		return nil
	}
	return Below(string(dec.StackPointer()), err)
}
