package answer

import (
	"mime"
	"net/http"
	"strings"

	"github.com/driftsdk/drift/internal/wire"
)

// CheckJSON rejects a body that is certainly not JSON in UTF-8. It tolerates a wrong Content-Type, unless that is HTML.
// The text of the error may be empty.
func CheckJSON(header http.Header, body []byte) error {
	first := firstByte(body)
	media, params, err := mediaType(header.Get("Content-Type"))
	if err == nil && (media == "text/html" || media == "application/xhtml+xml") || first == '<' {
		return wire.Reason("HTML")
	}
	switch strings.ToLower(params["charset"]) {
	case "", "utf-8", "utf8", "us-ascii":
	default:
		return wire.Reason("not in UTF-8")
	}
	if first != ' ' && strings.IndexByte(`{["-0123456789tfn`, first) < 0 {
		return wire.Reason("")
	}
	return nil
}

// IsHTML reports whether the body is HTML, so that a web site or a proxy has sent it in place of the API.
func IsHTML(header http.Header, body []byte) bool {
	if CheckEncoding(header) != nil {
		return false
	}
	first := firstByte(body)
	media, _, _ := mediaType(header.Get("Content-Type"))
	return first == '<' || media == "text/html" && first != '{' && first != ' '
}

// CheckEncoding rejects an encoding that net/http has not decoded.
func CheckEncoding(header http.Header) error {
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return wire.Reason("unknown Content-Encoding")
	}
	return nil
}

// firstByte returns the first byte of a body that is not white space, or a space if there is none.
func firstByte(body []byte) byte {
	for _, b := range body {
		if b != ' ' && b != '\t' && b != '\r' && b != '\n' {
			return b
		}
	}
	return ' '
}

// mediaType parses a Content-Type, with a shortcut for the most common one.
func mediaType(contentType string) (media string, params map[string]string, err error) {
	if contentType == "application/json" {
		return contentType, nil, nil
	}
	return mime.ParseMediaType(contentType)
}
