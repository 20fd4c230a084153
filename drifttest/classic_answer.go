package drifttest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Results of the classic API that are not under "data".
type (
	bare      struct{ value any } // the whole answer
	okay      int                 // {"result":"OK","ok":true}, with this status
	plainText string
	file      struct {
		name, mediaType string
		data            []byte
	}
)

// answer serves the file, or the range that the request asks for.
func (f file) answer(r *http.Request) answer {
	w := &bufferedWriter{header: http.Header{"Content-Type": {f.mediaType}}}
	w.header.Set("Etag", fmt.Sprintf(`"%x"`, sha256.Sum256(f.data)))
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(f.data))
	w.sent.body = w.body.Bytes()
	w.sent.header.Del("Content-Length") // a fault may change the length
	return w.sent
}

func isContacts(operation string) bool {
	return strings.HasPrefix(operation, classicPrefix+"contacts.")
}

func isConversations(operation string) bool {
	return strings.HasPrefix(operation, classicPrefix+"conversations.") ||
		strings.HasPrefix(operation, classicPrefix+"messages.")
}

func isReport(operation string) bool { return strings.HasPrefix(operation, classicPrefix+"reports.") }

// contactCode returns the code of the contact service for an error, or "" for one that the gateway in front of it
// reports.
func (f *failure) contactCode() string {
	switch {
	case f.status == http.StatusUnauthorized || f.status == http.StatusTooManyRequests:
		return ""
	case f.code != "":
		return f.code
	case f.status == http.StatusNotFound:
		return "CONTACT-1"
	case f.status == http.StatusConflict:
		return "CONTACT-6"
	case f.status == http.StatusBadRequest:
		return "CONTACT-11"
	case f.status == http.StatusInternalServerError:
		return "CONTACT-5"
	}
	return ""
}

// withCode sets the code of the contact service; other operations do not show it.
func withCode(code string, err error) error {
	if f, ok := errors.AsType[*failure](err); ok && f.code == "" {
		f.code = code
	}
	return err
}

func conflict(message string) error {
	return &failure{status: http.StatusConflict, kind: errorType(http.StatusConflict), message: message}
}
