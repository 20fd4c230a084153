package wire

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

var notANumber = []byte("NaN")

// WithoutNaN returns data with null in place of every NaN outside strings. If data is JSON, which has no NaN, it
// returns data itself.
func WithoutNaN(data []byte) []byte {
	if !bytes.Contains(data, notANumber) || jsontext.Value(data).IsValid(lenient) {
		return data
	}
	var out []byte
	inString := false
	for i := 0; i < len(data); i++ {
		switch {
		case inString && data[i] == '\\' && i+1 < len(data):
			out = append(out, data[i])
			i++
		case data[i] == '"':
			inString = !inString
		case !inString && bytes.HasPrefix(data[i:], notANumber):
			out = append(out, "null"...)
			i += len(notANumber) - 1
			continue
		}
		out = append(out, data[i])
	}
	return out
}
