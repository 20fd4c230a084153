// Package rest defines how methods of resources make calls: they pass a route and an Input to One, First, None or List,
// which returns the decoded answer.
package rest

import (
	"context"
	"errors"
	"io"

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
	return receive(ctx, c, route, opts, &reply[T]{Input: in, open: openRecord[T]})
}

// First calls a route that answers with a record or a list of records, and returns the first record. If there is none,
// the error is ErrNoRecord.
func First[T, O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) (*T, error) {
	return receive(ctx, c, route, opts, &reply[T]{Input: in, open: openFirst[T]})
}

// None calls a route and ignores the body of the answer.
func None[O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) error {
	return c.Call(ctx, route, &in, opts, nil)
}

// List calls a route that answers with a page. If some elements do not decode, List returns the page together with the
// error into which Call converted their Odd.
func List[T, O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) (*Page[T], error) {
	return receive(ctx, c, route, opts, &reply[Page[T]]{Input: in, open: openList[T]})
}

// reply is an input and the value that open reads from its answer.
type reply[V any] struct {
	Input
	open  func(body []byte, in *Input) (*V, error)
	value *V
}

func (r *reply[V]) decode(body []byte) (err error) {
	r.value, err = r.open(body, &r.Input)
	if r.value == nil && err == nil {
		err = ErrNoData
	}
	return err
}

// receive calls a route and returns the value of the reply. All methods that return a value use it, so that none of
// them returns nil without an error.
func receive[V, O any](ctx context.Context, c Caller[O], route *Route, opts []O, r *reply[V]) (*V, error) {
	r.Required = true
	err := c.Call(ctx, route, &r.Input, opts, r.decode)
	return r.value, err
}
