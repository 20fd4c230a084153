package wire

import (
	"iter"

	"github.com/go-json-experiment/json/jsontext"
)

// Value is a part of a decoded value as it stands in the data. A field of this type keeps a value of any kind, null
// included, without a copy. Its grammar was checked before and is not checked again.
type Value []byte

// Kind returns the kind of the value, and 0 if there is none.
func (v Value) Kind() jsontext.Kind { return jsontext.Value(v).Kind() }

// Decode is DecodeObject for an object.
func (v Value) Decode(out any) error {
	d := decoders.Get().(*Decoder)
	defer d.free()
	d.data, d.plain = v, false
	return DecodeObject(d, out)
}

// Members ranges over the members of an object, in the body's order. A name that comes twice is there twice.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		s := scanner{data: v}
		for s.enter(); s.more(); {
			if name := string(s.string()); !yield(name, Value(s.Value())) {
				return
			}
		}
	}
}

// Elements ranges over the elements of a list.
func (v Value) Elements() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		s := scanner{data: v}
		for s.enter(); s.more(); {
			if !yield(Value(s.Value())) {
				return
			}
		}
	}
}
