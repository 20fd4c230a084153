package drift

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/driftsdk/drift/internal/wire"
)

// one calls an operation that answers with a record.
func one[T any, R record[T]](ctx context.Context, c *caller, op operation, in input, opts []CallOption) (*T, error) {
	return receive(routes[op].name, oneRecord[T, R]{in.echo}, func(decode func([]byte) error) error {
		return c.call(ctx, op, in, opts, decode)
	})
}

// first calls an operation that answers with a record or a list of them, of which only the first counts. If there is
// none, the error is ErrNotFound.
func first[T any, R record[T]](ctx context.Context, c *caller, op operation, in input, opts []CallOption) (*T, error) {
	return receive(routes[op].name, firstRecord[T, R]{}, func(decode func([]byte) error) error {
		return c.call(ctx, op, in, opts, decode)
	})
}

// content is how an answer becomes a value. It is a type, so that a call need not allocate a func.
type content[V any] interface {
	open(body []byte) (*V, error)
}

// receive sends a call and returns the value that its answer holds. Every method that returns a value goes through it,
// so that none returns nil without an error. Only a page comes together with an error, that of its records that do not
// decode.
func receive[V any, C content[V]](operation string, c C, send func(decode func([]byte) error) error) (*V, error) {
	var value *V
	err := send(func(body []byte) (err error) {
		value, err = c.open(body)
		if value == nil && err == nil {
			err = errNoData
		}
		return err
	})
	if value == nil && err == nil { // the answer was not opened
		err = &DecodeError{Operation: operation, Err: errNoData}
	}
	return value, err
}

type oneRecord[T any, R record[T]] struct{ echo echo }

func (r oneRecord[T, R]) open(body []byte) (*T, error) {
	return openOne(body, func(dec *wire.Decoder) (*T, error) {
		rec := new(T)
		if err := decodeIdentified(dec, R(rec), &r.echo); err != nil {
			return nil, err
		}
		return rec, nil
	})
}

// echo holds the values of a call that its answer must repeat, if the answer has them at all. A record with another
// value answers another call: a proxy sent one answer too many. Zero values are not compared.
type echo struct {
	id             int64 // of the record, if it is the last value of the path
	conversationID ConversationID
	keyField       string
	key            string // the caller's own key of a write, compared if it has a field, and for AmbiguousError
}

// differs returns the field of a record that differs from the call, or "".
func (e *echo) differs(fields any) string {
	switch {
	case e.id != 0 && wire.Int(fields, "id") != e.id:
		return "id"
	case e.conversationID != 0:
		if id := wire.Int(fields, "conversation_id"); id != 0 && id != int64(e.conversationID) {
			return "conversation_id"
		}
	}
	if e.keyField == "" {
		return ""
	}
	if key := wire.Text(fields, e.keyField); key != "" && !strings.EqualFold(key, e.key) {
		return e.keyField
	}
	return ""
}

type firstRecord[T any, R record[T]] struct{}

func (firstRecord[T, R]) open(body []byte) (*T, error) {
	rec, err := openOne(body, decodeFirst[T, R])
	if errors.Is(err, errNoData) {
		err = errNoRecord
	}
	return rec, err
}

// openOne reads an answer whose data decode turns into a record. If the answer also reports an error, an empty list or
// object counts as no data.
func openOne[T any](body []byte, decode func(*wire.Decoder) (*T, error)) (*T, error) {
	var rec *T
	var data []byte
	var odd error
	envelope, err := wire.Open(body, func(dec *wire.Decoder) error {
		data, odd = wire.Attempt(dec, func(dec *wire.Decoder) (err error) {
			rec, err = decode(dec)
			return err
		})
		return nil // what follows may report an error
	})
	if envelope.Failed && empty(data) {
		envelope.Data = false
	}
	if err := checkEnvelope(envelope, err); err != nil {
		return nil, err
	}
	return rec, wire.Explain(odd)
}

// empty reports whether a JSON value is an empty list or object.
func empty(value []byte) bool {
	return len(value) > 1 && (value[0] == '[' || value[0] == '{') && len(bytes.TrimSpace(value[1:len(value)-1])) == 0
}

// decodeFirst decodes the first record of a list, or the only one in place of a list. It ignores the rest.
func decodeFirst[T any, R record[T]](dec *wire.Decoder) (*T, error) {
	if dec.Kind() != '[' {
		return decodeRecord[T, R](dec)
	}
	var rec *T
	err := wire.DecodeList(dec, func(dec *wire.Decoder) (err error) {
		if rec != nil {
			dec.Value()
			return nil
		}
		rec, err = decodeRecord[T, R](dec)
		return err
	})
	if rec == nil && err == nil {
		err = errNoData
	}
	return rec, err
}

// none calls an operation whose answer says nothing.
func none(ctx context.Context, c *caller, op operation, in input, opts []CallOption) error {
	return c.call(ctx, op, in, opts, nil)
}

// record is what all records have: a view of their fields without methods, for the decoder, and an id.
type record[T any] interface {
	*T
	identifiable
}

type identifiable interface {
	fields() any
	identified() bool
}

func decodeRecord[T any, R record[T]](dec *wire.Decoder) (*T, error) {
	rec := new(T)
	if err := decodeIdentified(dec, R(rec), new(echo)); err != nil {
		return nil, err
	}
	return rec, nil
}

func decodeIdentified(dec *wire.Decoder, rec identifiable, sent *echo) error {
	if kind := dec.Kind(); kind != '{' {
		dec.Value()
		return wire.Misplaced(kind, "an object")
	}
	mark := dec.Mark()
	if err := wire.DecodeObject(dec, rec.fields()); err != nil {
		return err
	}
	if !rec.identified() {
		return &wire.Error{Path: wire.Spelled(dec, mark, rec.fields(), "id"), Reason: errNoID}
	}
	if field := sent.differs(rec.fields()); field != "" {
		return &wire.Error{Path: wire.Spelled(dec, mark, rec.fields(), field), Reason: errForeignRecord}
	}
	return nil
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
