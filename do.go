package drift

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/driftsdk/drift/internal/answer"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// Request is a call to any endpoint under the base URL. Use it for endpoints without a method in this package. The
// limiter, the quota and retries apply to it as to every other call.
type Request struct {
	Name   string // identifies the call in errors, logs and hooks; "": the template
	Method string // in upper case; "": GET

	// Path is a template relative to the base URL, such as "contacts/{contactId}". Errors, logs and
	// hooks show it, so put ids and other variable parts into Values. What Do rejects is not shown;
	// a call without a Name is then called "request".
	Path   string
	Values map[string]string // of the template's parameters; each becomes one escaped segment
	Query  url.Values
	Body   any  // encoded as JSON, with instants as milliseconds; nil: none
	Raw    bool // decode the whole answer, which has no "data" envelope
}

// Do sends a request and decodes the answer into out, a pointer to a JSON target. An *[]byte or an io.Writer gets the
// body unchanged, and nil discards it. Do returns the same errors as every other call. If it fails before it decodes
// the answer, it leaves a JSON target unchanged.
//
// An io.Writer receives the body as it arrives. Its size is unlimited unless [WithMaxResponseBytes] sets a limit. Do
// does not retry after the first byte. If the connection fails, or nothing arrives for a minute (the timeout of an
// attempt, see [WithHTTPClient]), Do returns a [*TransportError] whose Written is the number of bytes that the writer
// got. To get the rest, call Do again with a Range header; see the example and [WithHeader]. If the writer fails, Do
// returns an error that wraps the writer's and names the operation.
//
// A JSON target is decoded by the conventions of the API. Names match in any case, and with or without underscores and
// dashes. A time.Time is milliseconds or RFC 3339, a time.Duration is whole minutes, and an int, an int64 or a bool may
// be a string. All other types decode as with encoding/json. If an object repeats a name, the last value wins; values
// under two spellings of a field's name are merged. Records of this package, even inside the target, decode as in every
// other call. In an any, a number becomes a float64; to keep every digit of an id, use an int64, a json.Number or
// [Attributes].
//
// With *[]byte, io.Writer or Raw, an answer with a success status is a success even if its body reports an error.
func (c *Client) Do(ctx context.Context, req Request, out any, opts ...CallOption) error {
	route, in := req.prepare(out)
	return c.connection().Call(ctx, route, &in, opts, func(answer rest.Answer) error {
		return req.decode(answer.Body, out)
	})
}

// unnamed is the name of a call whose path cannot be shown.
const unnamed = "request"

// prepare checks and encodes a request whose answer is decoded into out.
func (r Request) prepare(out any) (*rest.Route, rest.Input) {
	in := rest.Input{Query: r.Query, Bare: r.Raw}
	switch out := out.(type) {
	case nil:
		in.AnyContent = true
	case *[]byte:
		in.AnyContent, in.Accept = true, rest.AnyContent
	case io.Writer:
		in.AnyContent, in.Accept, in.Writer = true, rest.AnyContent, out
	}
	route, err := r.route()
	if in.Path, in.Body, in.Err = r.encode(out); err != nil {
		in.Err = err
	}
	return route, in
}

// route checks the method and the path. It leaves out what is refused, because that may have anything in it. Of a path
// with a query, it keeps the part before.
func (r Request) route() (*rest.Route, error) {
	route := &rest.Route{Name: cmp.Or(r.Name, r.Path), Method: cmp.Or(r.Method, http.MethodGet), Path: r.Path}
	var err error
	if why := checkTemplate(r.Path); why != nil {
		err = &ValidationError{Argument: "Path", Reason: why.Error()}
		if end := strings.IndexAny(r.Path, "?#"); end < 0 || checkTemplate(r.Path[:end]) != nil {
			route.Path = ""
		} else {
			route.Path = r.Path[:end]
		}
		route.Name = cmp.Or(r.Name, route.Path, unnamed)
	}
	if strings.ContainsFunc(r.Method, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		err = &ValidationError{Argument: "Method", Reason: "must be an HTTP method in upper case"}
		route.Method = ""
	}
	route.Name = answer.Printable(route.Name, answer.MaxName)
	return route, err
}

func (r Request) encode(out any) (rest.Path, any, error) {
	if err := checkTarget(out); err != nil {
		return nil, nil, err
	}
	path, err := r.values()
	if err != nil {
		return nil, nil, &ValidationError{Argument: "Path", Reason: err.Error()}
	}
	if r.Body == nil {
		return path, nil, nil
	}
	body, err := marshalOpen(r.Body)
	if err == nil && string(body) == "null" { // of a nil pointer
		err = errNull
	}
	if err != nil {
		return nil, nil, &ValidationError{Argument: "Body", Reason: err.Error()}
	}
	return path, rest.JSON(body), nil
}

const errNull = wire.Reason("must not be null")

// values returns the values of the path's parameters, which must use them all.
func (r Request) values() (rest.Path, error) {
	var values rest.Path
	used := map[string]bool{}
	for part := range strings.SplitSeq(r.Path, "/") {
		if name, isName := strings.CutPrefix(part, "{"); isName {
			name = strings.TrimSuffix(name, "}")
			used[name] = true
			values = append(values, rest.Text(r.Values[name]))
		}
	}
	for name := range r.Values {
		if !used[name] {
			return nil, errors.New("does not use all Values")
		}
	}
	return values, nil
}

// checkTemplate rejects a path that would leave the base URL, or that is not a template.
func checkTemplate(path string) error {
	for part := range strings.SplitSeq(path, "/") {
		name, isName := strings.CutPrefix(part, "{")
		name, closed := strings.CutSuffix(name, "}")
		switch {
		case isName && (!closed || !isWord(name)):
			return errors.New("has a parameter that is not a word in braces")
		case isName:
		case part == "":
			return errors.New("must be relative to the base URL, without empty segments")
		case part == "." || part == "..":
			return rest.ErrDots
		case strings.ContainsAny(part, `?#%\{}`) || !printableASCII(part):
			return errors.New("has a character that must be escaped: use Values and Query")
		}
	}
	return nil
}

func isWord(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// checkTarget rejects a target that could not be decoded into, before the call is made.
func checkTarget(out any) error {
	if out == nil {
		return nil
	}
	v := reflect.ValueOf(out)
	if _, writer := out.(io.Writer); writer && (v.Kind() != reflect.Pointer || !v.IsNil()) {
		return nil
	}
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return &ValidationError{Argument: "out", Reason: "must be nil, an io.Writer, or a pointer that is not nil"}
	}
	return nil
}

func (r Request) decode(body []byte, out any) error {
	switch out := out.(type) {
	case nil:
		return rest.Reported(body)
	case *[]byte:
		*out = slices.Clone(body)
		return nil
	case io.Writer: // the body was written as it arrived
		return nil
	}
	if r.Raw {
		return wire.Unmarshal(body, out)
	}
	var data jsontext.Value // the "data" that counts: the answer may repeat the name
	envelope, err := wire.Open(body, func(dec *wire.Decoder) error {
		data = dec.Value()
		return nil
	})
	if err == nil && envelope.Data {
		err = wire.Unmarshal(data, out)
	}
	return rest.CheckEnvelope(envelope, err)
}
