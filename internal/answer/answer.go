// Package answer reads the parts of an answer other than its data: the error in a body, the time to wait, and the
// content type.
package answer

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/driftsdk/drift/internal/wire"
)

// Limits on the parts of an answer that an error contains, in bytes and numbers.
const (
	MaxMessage = 512
	MaxName    = 128

	maxFields     = 64
	maxFieldDepth = 8
)

// Redacted replaces a secret.
const Redacted = "REDACTED"

// Error is the error in an answer, in one of the shapes that the service uses:
//
//	{"error": {"type": "…", "message": "…"}}
//	{"errors": [{"type": "…", "message": "…", "param": "…"}]}
//	{"errors": {"field": ["…"]}}
//	{"code": "CONTACT-6", "message": "…"}
//	{"error": "text"}
//
// For a body of any other shape, Error is empty.
type Error struct {
	Type, Message, Code string
	Fields              map[string][]string // messages by parameter

	kept   int    // messages in Fields
	secret string // replaced by Redacted; "": none
}

// Empty reports whether the body has none of these shapes.
func (e *Error) Empty() bool {
	return e.Type == "" && e.Message == "" && e.Code == "" && len(e.Fields) == 0
}

// detail is an error as an object. Its members accept any type, so that one malformed member does not hide the others.
type detail struct {
	Type    wire.Value `json:"type"`
	Message wire.Value `json:"message"`
	Code    wire.Value `json:"code"`
	Param   wire.Value `json:"param"`
	Error   wire.Value `json:"error"`
	Errors  wire.Value `json:"errors"`
}

// ParseError reads the error in an answer. Redacted replaces the secret.
func ParseError(header http.Header, body []byte, secret string) *Error {
	e := parseBody(body, secret)
	e.takeChallenge(header)
	return e
}

func parseBody(body []byte, secret string) *Error {
	e := &Error{secret: secret}
	var top detail
	if wire.UnmarshalObject(body, &top) != nil {
		return e
	}
	e.take(top)
	inner := e.takeRaw(top.Error)
	e.takeErrors(top.Errors)
	e.takeErrors(inner.Errors)
	return e
}

// takeRaw adds an error that is an object or a text, and returns the object.
func (e *Error) takeRaw(value wire.Value) (d detail) {
	if value.Kind() == '{' && value.Decode(&d) == nil {
		e.take(d)
	} else if e.Message == "" {
		e.Message = e.text(value, MaxMessage)
	}
	return d
}

// takeErrors adds a list of errors, one error, or messages by field.
func (e *Error) takeErrors(value wire.Value) {
	switch value.Kind() {
	case '[':
		for item := range value.Elements() {
			if e.full() {
				return
			}
			e.takeRaw(item)
		}
	case '{':
		var one detail
		if value.Decode(&one) == nil && e.text(one.Message, MaxMessage) == "" {
			e.takeFields("", value, maxFieldDepth)
			return
		}
		e.take(one)
	default:
		e.takeRaw(value)
	}
}

// takeFields adds the messages of a field: a text, a list of texts, or the messages of nested fields, whose names it
// joins with dots. The name of the field is already masked.
func (e *Error) takeFields(field string, value wire.Value, depth int) {
	switch kind := value.Kind(); {
	case depth == 0 || kind == 'n':
	case kind == '{':
		for name, inside := range value.Members() {
			if e.full() {
				return
			}
			e.takeFields(join(field, Mask(name, e.secret, MaxName)), inside, depth-1)
		}
	case kind == '[':
		for item := range value.Elements() {
			if e.full() {
				return
			}
			e.takeFields(field, item, depth-1)
		}
	case field != "":
		e.addField(Mask(field, e.secret, MaxName), e.text(value, MaxMessage))
	}
}

func join(field, name string) string {
	if field == "" || name == "" {
		return field + name
	}
	return field + "." + name
}

// take fills the fields that are still empty.
func (e *Error) take(d detail) {
	e.setIfEmpty(&e.Type, d.Type, MaxName)
	e.setIfEmpty(&e.Code, d.Code, MaxName)
	e.setIfEmpty(&e.Message, d.Message, MaxMessage)
	if name := e.text(d.Param, MaxName); name != "" && !e.full() {
		e.addField(name, e.text(d.Message, MaxMessage))
	}
}

// full reports whether Fields has the maximum number of messages. The rest need not be read.
func (e *Error) full() bool { return e.kept >= maxFields }

func (e *Error) addField(name, message string) {
	if name == "" || e.full() {
		return
	}
	if e.Fields == nil {
		e.Fields = map[string][]string{}
	}
	e.Fields[name] = append(e.Fields[name], message)
	e.kept++
}

func (e *Error) setIfEmpty(field *string, value wire.Value, limit int) {
	if *field == "" {
		*field = e.text(value, limit)
	}
}

// text returns a JSON string or number as printable text, and "" for everything else.
func (e *Error) text(value wire.Value, limit int) string {
	text, err := wire.ParseText(value)
	if err != nil {
		return ""
	}
	return Printable(hideAddresses(Mask(text, e.secret, len(text))), limit)
}

// Mask returns a text of the service as printable text without the secret. It looks for the secret after it has removed
// control characters, which could hide the secret, and before it shortens the text.
func Mask(text, secret string, limit int) string {
	text = Printable(text, len(text))
	return Printable(redact(text, secret), limit)
}

// Printable shortens a text to limit bytes and removes characters that could mislead the reader of a log.
func Printable(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit-len("…")], "") + "…"
	}
	return strings.TrimSpace(text)
}

// Hide returns a body without the secret.
func Hide(body []byte, secret string) []byte {
	if secret == "" {
		return body
	}
	text := string(body)
	if masked := redact(text, secret); masked != text {
		return []byte(masked)
	}
	return body
}

// InsufficientScope is the error code of RFC 6750 for a valid token that does not allow the call. A new token would not
// help.
const InsufficientScope = "insufficient_scope"

// takeChallenge adds the required scope from WWW-Authenticate headers.
func (e *Error) takeChallenge(header http.Header) {
	for _, challenge := range header.Values("Www-Authenticate") {
		if challengeParameter(challenge, "error") == InsufficientScope {
			e.Code = InsufficientScope
			if scope := Mask(challengeParameter(challenge, "scope"), e.secret, MaxMessage); scope != "" {
				e.addField("scope", scope)
			}
		}
	}
}

// challengeParameter returns a parameter of a challenge, without its quotes.
func challengeParameter(challenge, name string) string {
	for part := range strings.SplitSeq(challenge, ",") {
		part = strings.TrimSpace(part)
		if scheme, first, found := strings.Cut(part, " "); found && !strings.Contains(scheme, "=") {
			part = first
		}
		if key, value, _ := strings.Cut(part, "="); strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}
