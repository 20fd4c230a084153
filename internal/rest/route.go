package rest

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/driftsdk/drift/internal/wire"
)

// Route identifies an operation. Errors, logs and hooks show its name and template, but never the URL.
type Route struct {
	Name   string // such as "conversations.get"
	Method string
	Path   string // template relative to the base URL, with {parameters}
	Reads  bool   // it changes nothing, although its method is POST
}

// Path holds the values of a route's parameters, in their order.
type Path []Segment

// Segment is the value of a parameter. It becomes one segment of the path.
type Segment struct {
	text string
	err  error
	own  bool
}

// ID is the segment of an id, which must be greater than 0.
func ID[N ~int64](id N) Segment {
	if id <= 0 {
		return Segment{err: ErrNotPositive}
	}
	return Segment{text: strconv.FormatInt(int64(id), 10)}
}

// OwnID is the segment of the id of the record that the call returns. The answer must repeat it.
func OwnID[N ~int64](id N) Segment {
	s := ID(id)
	s.own = true
	return s
}

// Text is the segment of a text.
func Text[S ~string](text S) Segment {
	return Segment{text: string(text), err: CheckText(string(text))}
}

// OwnText is the segment of a text that is the id of the record that the call returns. The answer must repeat it.
func OwnText[S ~string](id S) Segment {
	s := Text(id)
	s.own = true
	return s
}

// Reasons why a value cannot be a segment.
const (
	ErrNotPositive = wire.Reason("must be greater than 0")
	ErrEmpty       = wire.Reason("must not be empty")
	ErrDots        = wire.Reason(`must not be "." or ".."`)
	errControl     = wire.Reason("must be valid UTF-8 without control characters")
	errTooLong     = wire.Reason("must be at most 1024 bytes long")
)

// maxText is in bytes. Servers reject URLs longer than about 8 KiB, and that answer would cost a call of the quota.
const maxText = 1024

// CheckText rejects a text that would change the path. Escaping does not protect "." and "..", which URL code resolves.
func CheckText(text string) error {
	switch {
	case text == "":
		return ErrEmpty
	case text == "." || text == "..":
		return ErrDots
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return errControl
	case strings.TrimSpace(text) == "":
		return ErrEmpty
	case len(text) > maxText:
		return errTooLong
	}
	return nil
}

// Expand returns base, an escaped path, followed by the template with values in place of its parameters. Its errors are
// of type *wire.ArgumentError.
func (r *Route) Expand(base string, values Path) (string, error) {
	var path strings.Builder
	path.Grow(len(base) + len(r.Path) + len("9223372036854775807"))
	path.WriteString(base)
	for template := r.Path; ; {
		literal, parameter, found := strings.Cut(template, "{")
		path.WriteString(literal)
		if !found {
			return path.String(), nil
		}
		name, after, _ := strings.Cut(parameter, "}")
		value := Segment{err: ErrEmpty}
		if len(values) > 0 {
			value, values = values[0], values[1:]
		}
		if value.err != nil {
			return "", &wire.ArgumentError{Argument: name, Reason: value.err}
		}
		path.WriteString(url.PathEscape(value.text))
		template = after
	}
}

// CheckEmail rejects an argument that is not an e-mail address.
func CheckEmail(email string) error {
	if err := CheckText(email); err != nil || !strings.Contains(email, "@") {
		return &wire.ArgumentError{Argument: "email", Reason: errEmail}
	}
	return nil
}

const errEmail = wire.Reason("must be an e-mail address")
