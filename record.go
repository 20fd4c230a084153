package drift

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/driftsdk/drift/internal/wire"
)

// one calls an operation that answers with a record.
func one[T any, R record[T]](ctx context.Context, c *caller, op operation, in input, opts []CallOption) (*T, error) {
	var rec *T
	err := c.call(ctx, op, in, opts, func(body []byte) error {
		envelope, err := wire.Open(body, func(dec *wire.Decoder) (err error) {
			rec, err = decodeRecord[T, R](dec)
			return err
		})
		return checkEnvelope(envelope, err)
	})
	if err != nil {
		return nil, err
	}
	return rec, nil
}

// first calls an operation that answers with a record or a list of them, of which only the first counts. None is
// ErrNotFound.
func first[T any, R record[T]](ctx context.Context, c *caller, op operation, in input, opts []CallOption) (*T, error) {
	var rec *T
	err := c.call(ctx, op, in, opts, func(body []byte) error {
		envelope, err := wire.Open(body, func(dec *wire.Decoder) (err error) {
			if dec.Kind() == '{' {
				rec, err = decodeRecord[T, R](dec)
				return err
			}
			rec = nil
			return wire.DecodeList(dec, func(dec *wire.Decoder) error {
				item, err := decodeRecord[T, R](dec)
				if rec == nil {
					rec = item
				}
				return err
			})
		})
		if err == nil && rec == nil && !envelope.Failed {
			return errNoRecord
		}
		return checkEnvelope(envelope, err)
	})
	if err != nil {
		return nil, err
	}
	return rec, nil
}

// none calls an operation whose answer says nothing.
func none(ctx context.Context, c *caller, op operation, in input, opts []CallOption) error {
	return c.call(ctx, op, in, opts, nil)
}

// record is what all records have: a view of their fields without methods, for the decoder, and an id.
type record[T any] interface {
	*T
	fields() any
	identified() bool
}

func decodeRecord[T any, R record[T]](dec *wire.Decoder) (*T, error) {
	if kind := dec.Kind(); kind != '{' {
		return nil, wire.Misplaced(kind, "an object")
	}
	rec := new(T)
	if err := wire.DecodeObject(dec, R(rec).fields()); err != nil {
		return nil, err
	}
	if !R(rec).identified() {
		return nil, &wire.Error{Path: "/id", Reason: errNoID}
	}
	if adopter, ok := any(rec).(adopter); ok {
		return rec, adopter.adopt()
	}
	return rec, nil
}

// adopter is a record that reads one of its fields from another name too.
type adopter interface{ adopt() error }

// adopt takes a field that came under its other name out of extra. The field's own name wins.
func adopt[E any](extra *map[string]json.RawMessage, other string, field *[]E) error {
	if len(*extra) == 0 {
		*extra = nil
		return nil
	}
	var names []string
	folded := wire.Fold(other)
	for name := range *extra {
		if wire.Fold(name) == folded {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if err := adoptValue((*extra)[name], field); err != nil {
			return wire.Below("/"+other, err)
		}
		delete(*extra, name)
	}
	if len(*extra) == 0 {
		*extra = nil
	}
	return nil
}

// adoptValue accepts one element in place of a list.
func adoptValue[E any](value json.RawMessage, field *[]E) error {
	switch {
	case *field != nil || len(value) == 0 || string(value) == "null":
		return nil
	case value[0] == '[':
		return wire.Unmarshal(value, field)
	}
	var element E
	err := wire.Unmarshal(value, &element)
	*field = []E{element}
	return err
}

// unmarshalRecord is UnmarshalJSON of every record. Unlike an answer, a record by itself may lack an id.
func unmarshalRecord(data []byte, rec interface{ fields() any }) error {
	if err := wire.UnmarshalObject(data, rec.fields()); err != nil {
		return err
	}
	if adopter, ok := rec.(adopter); ok {
		return adopter.adopt()
	}
	return nil
}

// Ways in which an answer with a status of success fails; call turns them into typed errors.
var (
	errReported = errors.New("the answer reports an error")
	errNoRecord = errors.New("there is no such record")
	errNoData   = errors.New("the answer has no data")
)

func checkEnvelope(envelope wire.Envelope, err error) error {
	switch {
	case err != nil:
		return err
	case envelope.Data:
		return nil
	case envelope.Failed:
		return errReported
	default:
		return errNoData
	}
}
