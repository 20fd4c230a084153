package wire

import (
	"bytes"
	stdjson "encoding/json"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Decoder reads a JSON value whose grammar the JSON package has already checked. It relies on that check and does not
// look for, say, missing commas and colons.
type Decoder struct {
	scanner
	keeps   bool // values that do not fit their fields
	texts   texts
	checker jsontext.Decoder
	input   bytes.Buffer // of the checker
}

// scanner finds the beginning and the end of values.
type scanner struct {
	data  []byte
	at    int
	plain bool // no string has an escape or invalid UTF-8
}

// decoders are reused, because the buffers of a new one cost more than decoding a typical value.
var decoders = sync.Pool{New: func() any { return new(Decoder) }}

// newDecoder returns a decoder for data, which must be one JSON value. Free the decoder even after an error.
func newDecoder(data []byte) (*Decoder, error) {
	d := decoders.Get().(*Decoder)
	d.data = data
	return d, d.check()
}

// free releases the data and returns the decoder to the pool.
func (d *Decoder) free() {
	d.data, d.at, d.keeps, d.input = nil, 0, false, bytes.Buffer{}
	d.checker.Reset(&d.input)
	decoders.Put(d)
}

func (d *Decoder) check() error {
	d.input = *bytes.NewBuffer(d.data)
	d.checker.Reset(&d.input, lenient)
	if _, err := d.checker.ReadValue(); err != nil {
		return err
	}
	if rest := d.data[d.checker.InputOffset():]; len(bytes.TrimLeft(rest, " \t\r\n")) > 0 {
		return Reason("unexpected data after the JSON value")
	}
	d.plain = bytes.IndexByte(d.data, '\\') < 0 && utf8.Valid(d.data)
	return nil
}

// Kind skips white space, commas and colons, and returns the kind of the next value or closing bracket. Do not call it
// after the last value.
func (s *scanner) Kind() jsontext.Kind {
	for {
		switch b := s.data[s.at]; {
		case b <= ' ' || b == ',' || b == ':':
			s.at++
		case '0' <= b && b <= '9' || b == '-':
			return '0'
		default:
			return jsontext.Kind(b)
		}
	}
}

// enter enters the next value, a list or an object.
func (s *scanner) enter() {
	s.Kind()
	s.at++
}

// more reports whether the list or object has another member. If not, it leaves the list or object.
func (s *scanner) more() bool {
	kind := s.Kind()
	if kind == '}' || kind == ']' {
		s.at++
		return false
	}
	return true
}

// Value skips the next value and returns it.
func (s *scanner) Value() jsontext.Value {
	kind := s.Kind()
	start := s.at
	switch kind {
	case '"':
		s.skipString()
	case '{', '[':
		s.skipNested()
	case 'n', 't':
		s.at += len("null")
	case 'f':
		s.at += len("false")
	default:
		for s.at < len(s.data) && !endsNumber(s.data[s.at]) {
			s.at++
		}
	}
	return s.data[start:s.at:s.at]
}

func (s *scanner) skipString() {
	for end := s.at; ; {
		end += 1 + bytes.IndexByte(s.data[end+1:], '"')
		backslashes := 0
		for s.data[end-1-backslashes] == '\\' {
			backslashes++
		}
		if backslashes%2 == 0 {
			s.at = end + 1
			return
		}
	}
}

func (s *scanner) skipNested() {
	for depth := 0; ; {
		switch s.data[s.at] {
		case '"':
			s.skipString()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.at++
		if depth == 0 {
			return
		}
	}
}

func endsNumber(b byte) bool { return b <= ' ' || b == ',' || b == ']' || b == '}' }

// integer is ParseInt of the next value, with a shortcut for short integers without a sign.
func (d *Decoder) integer() (int64, error) {
	if d.Kind() != '0' {
		return ParseInt(d.Value())
	}
	var n int64
	for i := d.at; i < len(d.data) && i-d.at <= 18; i++ {
		b := d.data[i]
		if endsNumber(b) {
			d.at = i
			return n, nil
		}
		if b < '0' || b > '9' {
			break
		}
		n = n*10 + int64(b-'0')
	}
	return ParseInt(d.Value())
}

// comesEmpty reports whether the next value is an empty string.
func (s *scanner) comesEmpty() bool { return bytes.HasPrefix(s.data[s.at:], emptyString) }

var emptyString = []byte(`""`)

// string skips a string and returns its text, which may be a part of the data.
func (s *scanner) string() []byte {
	s.Kind()
	start := s.at
	s.skipString()
	if s.plain {
		return s.data[start+1 : s.at-1]
	}
	text, _ := unquoted(s.data[start:s.at]) // cannot fail: it is a string
	return text
}

func (d *Decoder) text() string { return d.texts.of(d.string()) }

// open returns the next value as an any: objects become map[string]any, lists []any, and numbers json.Number, so that
// no digit is lost.
func (d *Decoder) open() any {
	switch kind := d.Kind(); kind {
	case '{':
		return d.openObject()
	case '[':
		return d.openList()
	case '"':
		return d.text()
	case '0':
		return stdjson.Number(d.texts.of(d.Value()))
	case 't', 'f':
		d.Value()
		return kind == 't'
	default:
		d.Value()
		return nil
	}
}

func (d *Decoder) openObject() map[string]any {
	object := map[string]any{}
	for d.enter(); d.more(); {
		key := d.text()
		object[key] = d.open()
	}
	return object
}

func (d *Decoder) openList() []any {
	list := []any{}
	for d.enter(); d.more(); {
		list = append(list, d.open())
	}
	return list
}

// DecodeValues is DecodeList for the values of an object.
func DecodeValues(dec *Decoder, item func(*Decoder) error) error {
	for dec.enter(); dec.more(); {
		name := pointer(dec.string())
		if err := item(dec); err != nil {
			return Below(name, err)
		}
	}
	return nil
}

// Mark returns the decoder's position.
func (d *Decoder) Mark() int { return d.at }

// Return moves the decoder back to a mark.
func (d *Decoder) Return(mark int) { d.at = mark }

// Decode decodes the next value into out with Unmarshal, which checks the grammar again.
func Decode(dec *Decoder, out any) error { return Unmarshal(dec.Value(), out) }

// DecodeList calls item for every element of the next value, a list. Each call must skip the element.
func DecodeList(dec *Decoder, item func(*Decoder) error) error {
	if kind := dec.Kind(); kind != '[' {
		return Misplaced(kind, "a list")
	}
	n := 0
	for dec.enter(); dec.more(); n++ {
		if err := item(dec); err != nil {
			return Below("/"+strconv.Itoa(n), err)
		}
	}
	return nil
}

// DecodeMember calls decode at a member of the next value, an object, and then skips the object. It does not call
// decode if the object lacks the member, and reports so. The path of an error begins with the member.
func DecodeMember(dec *Decoder, name string, decode func(*Decoder) error) (found bool, err error) {
	var one names
	one.add(name, "", isNull)
	dec.Kind()
	chosen := one.choose(&dec.scanner, func(int) { dec.Value() })
	if len(chosen) == 0 {
		return false, nil
	}
	end := dec.at
	dec.at = chosen[0].name
	spelled := pointer(dec.string())
	dec.at = chosen[0].value
	err = Below(spelled, decode(dec))
	dec.at = end
	return true, err
}

// Past returns the value at a mark, which is a part of the data. If decoding the value failed, Past also moves the
// decoder behind it.
func (d *Decoder) Past(mark int, decoding error) jsontext.Value {
	if decoding != nil {
		d.at = mark
		d.Value()
	}
	return d.data[mark:d.at:d.at]
}

// texts are recently read strings, by place.
type texts [256]string

// maxShort is the length of the longest text that is looked up. Names, statuses, labels and tags recur often.
const maxShort = 32

// of returns a text as a string. For a short text that was read recently, it returns the same string without
// allocating. Texts that share a place replace each other.
func (t *texts) of(text []byte) string {
	n := len(text)
	if n == 0 || n > maxShort {
		return string(text)
	}
	mixed := (uint32(n)<<24 | uint32(text[0])<<16 | uint32(text[n/2])<<8 | uint32(text[n-1])) * 0x9e3779b1
	known := &t[mixed>>24]
	if *known != string(text) {
		*known = string(text)
	}
	return *known
}
