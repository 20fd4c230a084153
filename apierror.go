package drift

import (
	"bytes"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/driftsdk/drift/internal/wire"
)

// Bounds of what an error takes over from an answer.
const (
	maxMessage = 512
	maxName    = 128
	maxFields  = 64

	maxFieldDepth = 8
)

// apiErrorBody is what a body says of an error, in one of the shapes that the service uses:
//
//	{"error": {"type": "…", "message": "…"}}
//	{"errors": [{"type": "…", "message": "…", "param": "…"}]}
//	{"errors": {"field": ["…"]}}
//	{"code": "CONTACT-6", "message": "…"}
//	{"error": "text"}
//
// A body of another shape says nothing.
type apiErrorBody struct {
	kind, message, code string
	fields              map[string][]string
	kept                int // messages in fields

	secret string // never repeated, if not empty
}

// detail is an error as an object. Its members may be of any type, so that one odd member does not hide the others.
type detail struct {
	Type    wire.Value `json:"type"`
	Message wire.Value `json:"message"`
	Code    wire.Value `json:"code"`
	Param   wire.Value `json:"param"`
	Error   wire.Value `json:"error"`
	Errors  wire.Value `json:"errors"`
}

func parseAPIError(body []byte, secret string) *apiErrorBody {
	e := &apiErrorBody{secret: secret}
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

// takeRaw takes over an error that is an object or a text, and returns the object.
func (e *apiErrorBody) takeRaw(value wire.Value) (d detail) {
	if value.Kind() == '{' && value.Decode(&d) == nil {
		e.take(d)
	} else if e.message == "" {
		e.message = e.text(value, maxMessage)
	}
	return d
}

// takeErrors takes over a list of errors, one error, or messages by field.
func (e *apiErrorBody) takeErrors(value wire.Value) {
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
		if value.Decode(&one) == nil && e.text(one.Message, maxMessage) == "" {
			e.takeFields("", value, maxFieldDepth)
			return
		}
		e.take(one)
	default:
		e.takeRaw(value)
	}
}

// takeFields takes over messages by field: a text, several, or those of fields inside the field, whose names are joined
// by dots. The field's name is masked already.
func (e *apiErrorBody) takeFields(field string, value wire.Value, depth int) {
	switch kind := value.Kind(); {
	case depth == 0 || kind == 'n':
	case kind == '{':
		for name, inside := range value.Members() {
			if e.full() {
				return
			}
			e.takeFields(joinNonEmpty(".", field, mask(name, e.secret, maxName)), inside, depth-1)
		}
	case kind == '[':
		for item := range value.Elements() {
			if e.full() {
				return
			}
			e.takeFields(field, item, depth-1)
		}
	case field != "":
		e.addField(mask(field, e.secret, maxName), e.text(value, maxMessage))
	}
}

// take takes over what is not yet known.
func (e *apiErrorBody) take(d detail) {
	e.setIfEmpty(&e.kind, d.Type, maxName)
	e.setIfEmpty(&e.code, d.Code, maxName)
	e.setIfEmpty(&e.message, d.Message, maxMessage)
	if name := e.text(d.Param, maxName); name != "" && !e.full() {
		e.addField(name, e.text(d.Message, maxMessage))
	}
}

// full reports whether no more messages by field are kept. The rest need not be read.
func (e *apiErrorBody) full() bool { return e.kept >= maxFields }

func (e *apiErrorBody) addField(name, message string) {
	if name == "" || e.full() {
		return
	}
	if e.fields == nil {
		e.fields = map[string][]string{}
	}
	e.fields[name] = append(e.fields[name], message)
	e.kept++
}

func (e *apiErrorBody) setIfEmpty(field *string, value wire.Value, limit int) {
	if *field == "" {
		*field = e.text(value, limit)
	}
}

// text returns a JSON string or number as printable text, and "" for everything else.
func (e *apiErrorBody) text(value wire.Value, limit int) string {
	text, err := wire.ParseText(value)
	if err != nil {
		return ""
	}
	return mask(text, e.secret, limit)
}

// mask makes a text of the service fit to be shown. It looks for the secret once the text is as it will be shown, because
// escapes and control characters can hide one, and before it is cut.
func mask(text, secret string, limit int) string {
	text = printable(text, len(text))
	return printable(redact(text, secret), limit)
}

// printable bounds a text and takes out what could deceive the reader of a log.
func printable(text string, limit int) string {
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

// said is what the body says of an error.
func (a *answer) said() *apiErrorBody {
	if a.apiErr == nil {
		a.apiErr = parseAPIError(a.body(), a.secret())
		a.apiErr.takeChallenge(a.header)
	}
	return a.apiErr
}

// secret is what the service might repeat, and errors must not.
func (a *answer) secret() string {
	if a.token == nil {
		return ""
	}
	return a.token.AccessToken
}

// masked is the body without the secret.
func (a *answer) masked() []byte {
	text := string(a.body())
	if masked := redact(text, a.secret()); masked != text {
		return []byte(masked)
	}
	return a.body()
}

func (a *answer) unauthorized() bool {
	if a.status == http.StatusUnauthorized {
		return a.said().code != insufficientScope
	}
	return a.status == http.StatusForbidden && a.said().kind == authenticationError
}

// insufficientScope is the error of RFC 6750 for a token that is good and does not allow the call. A new one would not either.
const insufficientScope = "insufficient_scope"

// takeChallenge takes over what a WWW-Authenticate header says of a scope.
func (e *apiErrorBody) takeChallenge(header http.Header) {
	for _, challenge := range header.Values("Www-Authenticate") {
		if challengeParameter(challenge, "error") == insufficientScope {
			e.code = insufficientScope
			if scope := mask(challengeParameter(challenge, "scope"), e.secret, maxMessage); scope != "" {
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

// quotaUsedUp: nothing documents how the service reports that the month is used up. Status 402 is taken for that, and a 403
// or 429 whose type or code has the word "quota".
func (a *answer) quotaUsedUp() bool {
	switch a.status {
	case http.StatusPaymentRequired:
		return true
	case http.StatusForbidden, http.StatusTooManyRequests:
		said := a.said()
		return strings.Contains(strings.ToLower(said.kind+" "+said.code), "quota")
	}
	return false
}

// retryAfter is how long the service wants a caller to wait: its Retry-After or, for a 429 without one, the time until
// the limit is reset.
func (a *answer) retryAfter() time.Duration {
	asked := parseRetryAfter(a.header, time.Now())
	if asked == 0 && a.status == http.StatusTooManyRequests {
		asked = limitReset(a.header, time.Now())
	}
	return asked
}

// usedUpUntil is the time until the limit is reset, if the service says that it is exhausted.
func (a *answer) usedUpUntil() time.Duration {
	if !usedUp(a.header) {
		return 0
	}
	return limitReset(a.header, time.Now())
}

// apiError makes the last answer an error.
func (c *call) apiError() *APIError {
	said := c.last.said()
	body := c.last.masked()
	body = bytes.Clone(body[:min(len(body), maxErrorBody)])
	return &APIError{
		StatusCode: c.last.status,
		Type:       said.kind,
		Message:    said.message,
		Code:       said.code,
		Fields:     said.fields,
		RequestID:  c.last.requestID(),
		Operation:  c.route.name,
		Method:     c.route.method,
		Route:      c.route.path,
		RetryAfter: c.last.retryAfter(),
		Attempts:   c.attempts,
		body:       &body,
	}
}
