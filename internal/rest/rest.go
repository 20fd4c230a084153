// Package rest defines how methods of resources make calls: they pass a route and an Input to One, First, List, All, OK
// and so on, which return the decoded answer.
package rest

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/driftsdk/drift/internal/wire"
)

// Input is the input of a call.
type Input struct {
	Path  Path  // values for the parameters of the route, in their order
	Query any   // url.Values, or a struct with query tags; nil: none
	Body  any   // encoded as JSON, unless it is of type JSON; nil: none
	Err   error // the call fails with it before anything is sent; nil: the input is valid

	Key    string  // the caller's key of a write, for an AmbiguousError
	Secret string  // a value of the request that errors must not repeat, besides the token
	Echoes []Field // members that must have these values if the answer has them

	Required   bool      // the call fails unless the answer decodes
	Bare       bool      // the answer has no envelope
	AnyContent bool      // the answer need not be JSON
	AnyBody    bool      // the answer may have any body, even one that is broken or too large
	NaN        bool      // NaN, which is not JSON, counts as null
	Accept     string    // header; "": JSON
	Writer     io.Writer // gets the body as it arrives; nil: decode gets it
	Resume     bool      // after a failure, ask for the rest of the body

	At     string // the member of the data that has the record or the list; "": the data themselves
	Sparse bool   // without that member, the list is empty
	Values bool   // the elements of a list may be of any type; else they are records
	Single bool   // an object counts as a list of one
	Keyed  bool   // the values of an object count as a list

	Limiter any // a drift.Limiter in front of the client's; nil: none

	Paging *Paging // how a list pages; nil: it does not
	Limit  int     // items per page; 0: the largest number
	Cursor string  // "": the first page
}

// JSON is a body that is already encoded.
type JSON []byte

// Field is a member of an answer.
type Field struct{ Name, Value string }

// Answer is an answer whose status is a success.
type Answer struct {
	Header http.Header
	Body   []byte
}

// Caller calls routes. O is the type of its options.
//
// Call sends a request and passes the answer to decode. If in.Required is set, Call returns nil only if decode did. It
// may replace an error of decode with another one. If decode is nil, Call ignores the body.
//
// Range returns what a range over a list needs if its calls have these options.
type Caller[O any] interface {
	Call(ctx context.Context, route *Route, in *Input, opts []O, decode func(Answer) error) error
	Range(opts []O) Range[O]
}

// Errors in an answer whose status is a success. Call converts them into exported types.
var (
	ErrReported = errors.New("the answer reports an error")
	ErrNoRecord = errors.New("the record does not exist")
	ErrNoData   = errors.New("the answer has no data")
)

// ErrForeign is the reason for rejecting a record that belongs to another call.
const ErrForeign = wire.Reason("the answer belongs to another request")

// AnyContent is the Accept header of calls whose answer need not be JSON.
const AnyContent = "*/*"

// One calls a route that answers with one record.
func One[T, O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) (*T, error) {
	return receive(ctx, c, route, opts, &reply[T]{Input: in, open: openRecord[T]})
}

// First calls a route that answers with a record or a list of records, and returns the first record. If there is none,
// the error is ErrNoRecord.
func First[T, O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) (*T, error) {
	return receive(ctx, c, route, opts, &reply[T]{Input: in, open: openFirst[T]})
}

// Last is One for a route that may also answer with a list, whose last element is the record.
func Last[T, O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) (*T, error) {
	return receive(ctx, c, route, opts, &reply[T]{Input: in, open: openLast[T]})
}

// None calls a route and ignores the body of the answer.
func None[O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) error {
	return c.Call(ctx, route, &in, opts, nil)
}

// OK calls a route that answers with {"ok": true}, or with any other body. Only an answer that reports an error or that
// it is not OK is an error.
func OK[O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) error {
	in.AnyContent, in.AnyBody = true, true
	return c.Call(ctx, route, &in, opts, acknowledged)
}

// Raw calls a route that answers with JSON of an unknown shape, and returns the data.
func Raw[O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) ([]byte, error) {
	data, err := receive(ctx, c, route, opts, &reply[[]byte]{Input: in, open: openRaw})
	if err != nil {
		return nil, err
	}
	return *data, nil
}

// PlainText calls a route that answers with a text.
func PlainText[O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) (string, error) {
	in.AnyContent, in.Accept = true, AnyContent
	text, err := receive(ctx, c, route, opts, &reply[string]{Input: in, open: openText})
	if err != nil {
		return "", err
	}
	return *text, nil
}

const errNoWriter = wire.Reason("must not be nil")

// Stream calls a route that answers with a file, and writes the file to w.
func Stream[O any](ctx context.Context, c Caller[O], route *Route, in Input, w io.Writer, opts []O) error {
	in.AnyContent, in.Accept, in.Writer, in.Resume = true, AnyContent, w, true
	if w == nil {
		in.Err = &wire.ArgumentError{Argument: "w", Reason: errNoWriter}
	}
	return c.Call(ctx, route, &in, opts, func(Answer) error { return nil })
}

// reply is an input and the value that open reads from its answer.
type reply[V any] struct {
	Input
	open  func(answer Answer, in *Input) (*V, error)
	value *V
}

func (r *reply[V]) decode(answer Answer) (err error) {
	r.value, err = r.open(answer, &r.Input)
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
