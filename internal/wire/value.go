package wire

import (
	"iter"

	"github.com/go-json-experiment/json/jsontext"
)

// Value is a part of the data whose grammar has already been checked. A field of this type refers to a value of any
// kind, including null, without a copy.
type Value []byte

// Kind returns the kind of the value, or 0 if there is none.
func (v Value) Kind() jsontext.Kind { return jsontext.Value(v).Kind() }

// Decode is DecodeObject for a Value.
func (v Value) Decode(out any) error {
	d := decoders.Get().(*Decoder)
	defer d.free()
	d.data, d.plain = v, false
	return DecodeObject(d, out)
}

// Members ranges over the members of an object, in the body's order. It yields repeated names each time.
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
