package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"

	"github.com/driftsdk/drift/internal/wire"
)

// Page is one page of a list.
type Page[T any] struct {
	Items []*T
	Next  string // cursor of the next page; "": this is the last page
}

// Odd are the elements of a page that do not decode.
type Odd []OddElement

// OddElement is an element that does not decode.
type OddElement struct {
	Index int // position within its page
	Raw   json.RawMessage
	Err   *wire.Error // its path begins at the element
}

func (o Odd) Error() string { return "some elements do not decode" }

// maxOdd bounds the memory of a page whose elements are all short and do not decode. No known page is that long.
const maxOdd = 10_000

const errManyOdd = wire.Reason("too many records of the page do not decode")

// usualPage is how many items a page has room for before it grows.
const usualPage = 16

func openList[T any](answer Answer, in *Input) (*Page[T], error) {
	decode := decodeRecord[T]
	if in.Values && !wire.IsRecord(reflect.TypeFor[T]()) {
		decode = decodeValue[T]
	}
	if in.Bare {
		return openBarePage(answer.Body, in, decode)
	}
	return openPage(answer.Body, in, decode)
}

// openBarePage reads an answer that must be a bare list, which is the only page.
func openBarePage[T any](body []byte, in *Input, decode func(*wire.Decoder) (*T, error)) (*Page[T], error) {
	if err := wire.Unmarshal(body, new([]json.RawMessage)); err != nil {
		return nil, err
	}
	return openPage(body, in, decode)
}

// openPage reads an answer that is a page. It returns elements that do not decode as an Odd, together with the page. If
// the answer also reports an error, an empty list counts as no data.
func openPage[T any](body []byte, in *Input, decode func(*wire.Decoder) (*T, error)) (*Page[T], error) {
	var list items[T]
	envelope, err := wire.Open(body, func(dec *wire.Decoder) error {
		list = items[T]{decode: decode} // a "data" before this one does not count
		return list.find(dec, in)
	})
	if envelope.Null {
		list = items[T]{}
	}
	switch {
	case err != nil:
		return nil, err
	case envelope.Failed && list.count() == 0:
		return nil, ErrReported
	}
	page := &Page[T]{Items: list.items}
	if in.Paging != nil && in.Paging.Next != nil {
		page.Next, err = in.Paging.Next(
			&Around{Envelope: envelope, Object: list.object, Count: list.count(), Cursor: in.Cursor, Limit: in.Limit})
	}
	switch {
	case err != nil:
		return nil, wire.Explain(err)
	case list.odd != nil:
		return page, list.odd
	}
	return page, nil
}

// items are the elements of a list while it is read.
type items[T any] struct {
	decode func(*wire.Decoder) (*T, error)
	items  []*T
	odd    Odd
	object wire.Value // that has the list
}

func (l *items[T]) count() int { return len(l.items) + len(l.odd) }

// find reads the list in the data, or in a member of them.
func (l *items[T]) find(dec *wire.Decoder, in *Input) error {
	if in.At == "" || dec.Kind() != '{' {
		return l.read(dec, in)
	}
	mark := dec.Mark()
	found, err := wire.DecodeMember(dec, in.At, func(dec *wire.Decoder) error { return l.read(dec, in) })
	l.object = wire.Value(dec.Past(mark, nil))
	if !found && !in.Sparse {
		return wire.Below("/"+in.At, wire.Misplaced(0, "a list"))
	}
	return err
}

func (l *items[T]) read(dec *wire.Decoder, in *Input) error {
	index := -1
	item := func(dec *wire.Decoder) error {
		index++
		return l.take(dec, index)
	}
	kind := dec.Kind()
	switch {
	case kind == 'n' && in.At != "":
		dec.Value()
		return nil
	case kind == '{' && in.Single:
		return item(dec)
	case kind == '{' && in.Keyed:
		return wire.DecodeValues(dec, item)
	}
	return wire.DecodeList(dec, item)
}

// take decodes the next element. It skips one that does not decode, and keeps its error.
func (l *items[T]) take(dec *wire.Decoder, index int) error {
	dec.Kind()
	mark := dec.Mark()
	item, err := l.decode(dec)
	value := dec.Past(mark, err)
	switch {
	case err == nil && l.items == nil:
		l.items = append(make([]*T, 0, usualPage), item)
	case err == nil:
		l.items = append(l.items, item)
	case len(l.odd) == maxOdd:
		return errManyOdd
	default:
		l.odd = append(l.odd, newOdd(index, value, err))
	}
	return nil
}

func newOdd(index int, value []byte, err error) OddElement {
	var e *wire.Error
	errors.As(wire.Explain(err), &e)
	return OddElement{index, bytes.Clone(value), e}
}

// decodeValue decodes an element of a type that need not be a record. It rejects null if that would leave the value
// empty.
func decodeValue[T any](dec *wire.Decoder) (*T, error) {
	if kind := dec.Kind(); kind == 'n' && !takesNull[T]() {
		return nil, wire.Misplaced(kind, "a value")
	}
	item := new(T)
	if err := wire.Decode(dec, item); err != nil {
		return nil, err
	}
	return item, nil
}

// takesNull reports whether null is a value of the type, or may be one for the type's own UnmarshalJSON.
func takesNull[T any]() bool {
	switch reflect.TypeFor[T]().Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return true
	}
	_, decodes := any(new(T)).(json.Unmarshaler)
	return decodes
}
