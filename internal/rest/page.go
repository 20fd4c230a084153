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

func openList[T any](body []byte, in *Input) (*Page[T], error) {
	decode := decodeValue[T]
	if wire.IsRecord(reflect.TypeFor[T]()) {
		decode = decodeRecord[T]
	}
	if in.Bare {
		return openBarePage(body, decode)
	}
	return openPage(body, decode)
}

// openBarePage reads an answer that must be a bare list, which is the only page.
func openBarePage[T any](body []byte, decode func(*wire.Decoder) (*T, error)) (*Page[T], error) {
	if err := wire.Unmarshal(body, new([]json.RawMessage)); err != nil {
		return nil, err
	}
	return openPage(body, decode)
}

// openPage reads an answer that is a page. It returns elements that do not decode as an Odd, together with the page. If
// the answer also reports an error, an empty list counts as no data.
func openPage[T any](body []byte, decode func(*wire.Decoder) (*T, error)) (*Page[T], error) {
	page := new(Page[T])
	var odd Odd
	envelope, err := wire.Open(body, func(dec *wire.Decoder) (err error) {
		page.Items, odd, err = decodeItems(dec, decode) // a "data" before this one does not count
		return err
	})
	if envelope.Null {
		page.Items, odd = nil, nil
	}
	switch {
	case err != nil:
		return nil, err
	case envelope.Failed && len(page.Items) == 0 && odd == nil:
		return nil, ErrReported
	}
	if page.Next, err = envelope.Next(); err != nil {
		return nil, err
	}
	if odd != nil {
		return page, odd
	}
	return page, nil
}

func decodeItems[T any](dec *wire.Decoder, decode func(*wire.Decoder) (*T, error)) (items []*T, odd Odd, err error) {
	index := -1
	err = wire.DecodeList(dec, func(dec *wire.Decoder) error {
		index++
		dec.Kind()
		mark := dec.Mark()
		item, err := decode(dec)
		value := dec.Past(mark, err)
		switch {
		case err == nil && items == nil:
			items = append(make([]*T, 0, usualPage), item)
		case err == nil:
			items = append(items, item)
		case len(odd) == maxOdd:
			return errManyOdd
		default:
			odd = append(odd, newOdd(index, value, err))
		}
		return nil
	})
	return items, odd, err
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
