// Package rest is what the resources of this module are written in: a route, the values that a method hands over, and how
// the answer becomes what the method returns.
package rest

import (
	"context"
	"errors"
	"io"
	"reflect"

	"github.com/driftsdk/drift/internal/wire"
)

// Input is what a method hands over.
type Input struct {
	Path  Path // values for the parameters of the route, in their order
	Query any  // url.Values, or a struct with query tags; nil: none
	Body  any  // encoded as JSON, unless it is of type JSON; nil: none
	Err   error

	Key    string  // of the write, chosen by its caller; for an ambiguous error
	Echoes []Field // that the answer must repeat, if it has them

	Required   bool      // the call fails without an answer that decodes
	Bare       bool      // the answer has no envelope
	AnyContent bool      // the answer need not be JSON
	Accept     string    // header; "": JSON
	Writer     io.Writer // gets the body as it arrives; nil: decode gets it
}

// JSON is a body that is encoded already.
type JSON []byte

// Field is a member of an answer.
type Field struct{ Name, Value string }

// Caller calls routes. O is the type of its options.
//
// Call sends a request and decodes the answer. If the input says that an answer is required, Call returns nil only if decode
// has returned nil, and may otherwise return an error in place of one of decode's. If decode is nil, the answer's body does
// not matter.
type Caller[O any] interface {
	Call(ctx context.Context, route *Route, in *Input, opts []O, decode func(body []byte) error) error
}

// Ways in which an answer with a status of success fails. Call turns them into errors with a type.
var (
	ErrReported = errors.New("the answer reports an error")
	ErrNoRecord = errors.New("there is no such record")
	ErrNoData   = errors.New("the answer has no data")
)

// ErrForeign is the reason of the error of a record that another call asked for.
const ErrForeign = wire.Reason("the answer belongs to another request")

// One calls a route that answers with one record.
func One[T, O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) (*T, error) {
	return receive(ctx, c, route, &in, opts, func(body []byte) (*T, error) { return openOne(body, &in, decodeEcho[T]) })
}

// First calls a route that answers with a record or a list of them, of which only the first counts. If there is none, the
// error is ErrNoRecord.
func First[T, O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) (*T, error) {
	return receive(ctx, c, route, &in, opts, func(body []byte) (*T, error) {
		rec, err := openOne(body, &in, decodeFirst[T])
		if errors.Is(err, ErrNoData) {
			err = ErrNoRecord
		}
		return rec, err
	})
}

// None calls a route whose answer says nothing.
func None[O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) error {
	return c.Call(ctx, route, &in, opts, nil)
}

// List calls a route that answers with a page. A *Page comes together with an error if some of its elements do not decode:
// then Call has turned the Odd that decoding returned into that error.
func List[T, O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) (*Page[T], error) {
	decode := decodeValue[T]
	if wire.IsRecord(reflect.TypeFor[T]()) {
		decode = decodeRecord[T]
	}
	return receive(ctx, c, route, &in, opts, func(body []byte) (*Page[T], error) {
		if in.Bare {
			return openBarePage(body, decode)
		}
		return openPage(body, decode)
	})
}

// receive calls a route and returns the value that open makes of the answer. All methods that return a value go through it,
// so that none returns nil without an error.
func receive[V, O any](
	ctx context.Context, c Caller[O], route *Route, in *Input, opts []O, open func(body []byte) (*V, error),
) (*V, error) {
	var value *V
	in.Required = true
	err := c.Call(ctx, route, in, opts, func(body []byte) (err error) {
		value, err = open(body)
		if value == nil && err == nil {
			err = ErrNoData
		}
		return err
	})
	return value, err
}
