package drifttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// answer is the server's answer, before a fault damages it.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// failure is the reason to refuse a request.
type failure struct {
	status  int
	kind    string // the "type" of the error body
	message string
	param   string // the parameter that is wrong; "": none
	code    string // of the classic contact service; "": the usual one for the status
	header  http.Header
}

func (f *failure) Error() string { return f.message }

func invalid(name, reason string) error {
	return &failure{
		status:  http.StatusBadRequest,
		kind:    errorType(http.StatusBadRequest),
		message: name + ": " + reason,
		param:   name,
	}
}

func notFound(what string, id any) error {
	return &failure{
		status:  http.StatusNotFound,
		kind:    errorType(http.StatusNotFound),
		message: fmt.Sprintf("There is no %s %v", what, id),
	}
}

func unauthorized() error {
	return &failure{
		status:  http.StatusUnauthorized,
		kind:    errorType(http.StatusUnauthorized),
		message: "The access token is invalid or has expired",
	}
}

// errorType is the "type" that goes with a status in an error body.
func errorType(status int) string {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return "validation_error"
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusForbidden:
		return "forbidden"
	case http.StatusNotFound:
		return "not_found"
	case http.StatusMethodNotAllowed:
		return "method_not_allowed"
	case http.StatusConflict:
		return "conflict"
	case http.StatusTooManyRequests:
		return "rate_limit"
	}
	if status >= http.StatusInternalServerError {
		return "internal_error"
	}
	return "request_error"
}

// success encodes the result of an operation: a record, a page, or nil for an answer without a body.
func success(result any) answer {
	switch result := result.(type) {
	case nil:
		return answer{status: http.StatusNoContent}
	case page:
		return answer{status: http.StatusOK, body: encode(result)}
	case bare:
		return answer{status: http.StatusOK, body: encode(result.value)}
	case okay:
		return answer{status: int(result), body: []byte(`{"result":"OK","ok":true}`)}
	case plainText:
		header := http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
		return answer{status: http.StatusOK, header: header, body: []byte(result)}
	default:
		return answer{status: http.StatusOK, body: encode(object{"data": result})}
	}
}

// refusal encodes an error as the operation does; "" is no operation.
func refusal(operation string, err error) answer {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		status := http.StatusInternalServerError
		f = &failure{status: status, kind: errorType(status), message: err.Error()}
	}
	return answer{status: f.status, header: f.header, body: errorBody(operation, f)}
}

// errorBody writes an error in the shape that the operation uses: the contact service of the classic API has codes, and
// its conversations have a list of what is wrong with a request.
func errorBody(operation string, f *failure) []byte {
	detail := object{"type": f.kind, "message": f.message}
	switch {
	case isContacts(operation) && f.contactCode() != "":
		return encode(object{"code": f.contactCode(), "message": f.message})
	case isConversations(operation) && f.status == http.StatusBadRequest:
		if f.param != "" {
			detail["param"] = f.param
		}
		return encode(object{"errors": []object{detail}})
	}
	return encode(object{"error": detail})
}

// encode does not escape HTML, because the bodies of messages are HTML.
func encode(value any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		panic(err) // the store holds only values that came from JSON
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// send writes the answer, damaged by the fault of the exchange.
func (s *Server) send(w http.ResponseWriter, e *exchange, a answer) {
	a = e.fault.truncate(a)
	if e.fault.Drop == DropInBody && len(a.body) == 0 {
		e.fault.Drop = DropInHeaders // there is no body to truncate
	}
	switch e.fault.Drop {
	case DropBeforeAnswer, DropAfterHandling:
		panic(http.ErrAbortHandler)
	case DropInHeaders:
		dropInHeaders(w, a.status)
		return
	}
	s.setStatus(e.record, a.status)
	writeHeader(w, e, a)
	if e.fault.Drop == DropInBody {
		dropInBody(w, a.body)
	}
	_, _ = w.Write(a.body) // fails only when the client is gone
	writePadding(w, e.fault.Pad)
}

func writeHeader(w http.ResponseWriter, e *exchange, a answer) {
	header := w.Header()
	header.Set("X-Request-Id", e.id)
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		header.Set("Content-Type", "application/json")
		if e.fault.Pad <= 0 {
			header.Set("Content-Length", strconv.Itoa(len(a.body)))
		}
	}
	for name, values := range a.header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	w.WriteHeader(a.status)
}
