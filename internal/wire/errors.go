package wire

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Error says where and why a JSON value does not fit. It is fit for logs, unless Keys is set: it quotes no value, and
// only names that the target type has, as the body spells them.
type Error struct {
	Path   string // JSON pointer, "" for the whole value
	Reason error
	Keys   bool // the path may contain keys of a map
}

func (e *Error) Error() string { return e.Reason.Error() }
func (e *Error) Unwrap() error { return e.Reason }

// Explain turns an error of the JSON package, which may quote the body, into an *Error; nil stays nil.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	return asError(err)
}

func asError(err error) *Error {
	var own *Error
	var semantic *json.SemanticError
	switch {
	case errors.As(err, &semantic) && errors.As(semantic.Err, &own): // from an UnmarshalJSON, whose path is relative
		return &Error{string(semantic.JSONPointer) + own.Path, own.Reason, own.Keys}
	case errors.As(err, &semantic):
		return &Error{Path: string(semantic.JSONPointer), Reason: semanticReason(semantic)}
	case errors.As(err, &own):
		return own
	}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		return &Error{Reason: syntaxReason(syntactic)}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Error{Reason: errEnd}
	}
	return &Error{Reason: err}
}

const errEnd = Reason("the JSON ends too early")

// syntaxReason omits the invalid text, and the pointer, because its names may come from the body.
func syntaxReason(err *jsontext.SyntacticError) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errEnd
	}
	return Reason(fmt.Sprintf("broken JSON at byte %d", err.ByteOffset))
}

func semanticReason(err *json.SemanticError) error {
	var own Reason
	if errors.As(err.Err, &own) {
		return own
	}
	var syntactic *jsontext.SyntacticError
	if errors.As(err.Err, &syntactic) {
		return syntaxReason(syntactic)
	}
	return wrongKind(err.JSONKind)
}

func wrongKind(kind jsontext.Kind) error { return Reason(kindName(kind) + " does not fit") }

func kindName(kind jsontext.Kind) string {
	switch kind {
	case 0:
		return "a value"
	case '{':
		return "an object"
	case '[':
		return "a list"
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	}
	return "a " + kind.String()
}

// Misplaced returns the error for a value of the wrong kind.
func Misplaced(kind jsontext.Kind, want string) error {
	return &Error{Reason: Reason(fmt.Sprintf("%s instead of %s", kindName(kind), want))}
}

// pointer returns a name as a part of a path.
func pointer(name []byte) string {
	return string(jsontext.Pointer("").AppendToken(string(name)))
}

// Below returns err as an *Error whose path begins with prefix; nil stays nil.
func Below(prefix string, err error) error {
	if err == nil {
		return nil
	}
	e := asError(err)
	return &Error{prefix + e.Path, e.Reason, e.Keys}
}
