package drift

import (
	"context"
	"errors"

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
		dec.Value()
		return nil, wire.Misplaced(kind, "an object")
	}
	mark := dec.Mark()
	rec := new(T)
	if err := wire.DecodeObject(dec, R(rec).fields()); err != nil {
		return nil, err
	}
	if !R(rec).identified() {
		return nil, &wire.Error{Path: wire.Spelled(dec, mark, R(rec).fields(), "id"), Reason: errNoID}
	}
	return rec, nil
}

// unmarshalRecord is UnmarshalJSON of every record. Unlike an answer, a record by itself may lack an id.
func unmarshalRecord(data []byte, rec interface{ fields() any }) error {
	return wire.UnmarshalObject(data, rec.fields())
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
