// Package rest defines how methods of resources make calls: they pass a route and an Input to One, First, None or List,
// which returns the decoded answer.
package rest

import (
	"context"
	"errors"
	"io"
	"reflect"

	"github.com/driftsdk/drift/internal/wire"
)

// Input is the input of a call.
type Input struct {
	Path  Path  // values for the parameters of the route, in their order
	Query any   // url.Values, or a struct with query tags; nil: none
	Body  any   // encoded as JSON, unless it is of type JSON; nil: none
	Err   error // the call fails with it before anything is sent; nil: the input is valid

	Key    string  // the caller's key of a write, for an AmbiguousError
	Echoes []Field // members that must have these values if the answer has them

	Required   bool      // the call fails unless the answer decodes
	Bare       bool      // the answer has no envelope
	AnyContent bool      // the answer need not be JSON
	Accept     string    // header; "": JSON
	Writer     io.Writer // gets the body as it arrives; nil: decode gets it
}

// JSON is a body that is already encoded.
type JSON []byte

// Field is a member of an answer.
type Field struct{ Name, Value string }

// Caller calls routes. O is the type of its options.
//
// Call sends a request and passes the answer's body to decode. If in.Required is set, Call returns nil only if decode
// did. It may replace an error of decode with another one. If decode is nil, Call ignores the body.
type Caller[O any] interface {
	Call(ctx context.Context, route *Route, in *Input, opts []O, decode func(body []byte) error) error
}

// Errors in an answer whose status is a success. Call converts them into exported types.
var (
	ErrReported = errors.New("the answer reports an error")
	ErrNoRecord = errors.New("the record does not exist")
	ErrNoData   = errors.New("the answer has no data")
)

// ErrForeign is the reason for rejecting a record that belongs to another call.
const ErrForeign = wire.Reason("the answer belongs to another request")

// One calls a route that answers with one record.
func One[T, O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) (*T, error) {
	return receive(ctx, c, route, &in, opts, func(body []byte) (*T, error) { return openOne(body, &in, decodeEcho[T]) })
}

// First calls a route that answers with a record or a list of records, and returns the first record. If there is none,
// the error is ErrNoRecord.
func First[T, O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) (*T, error) {
	return receive(ctx, c, route, &in, opts, func(body []byte) (*T, error) {
		rec, err := openOne(body, &in, decodeFirst[T])
		if errors.Is(err, ErrNoData) {
			err = ErrNoRecord
		}
		return rec, err
	})
}

// None calls a route and ignores the body of the answer.
func None[O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) error {
	return c.Call(ctx, route, &in, opts, nil)
}

// List calls a route that answers with a page. If some elements do not decode, List returns the page together with the
// error into which Call converted their Odd.
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

// receive calls a route and returns the value that open reads from the answer. All methods that return a value use it,
// so that none of them returns nil without an error.
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
