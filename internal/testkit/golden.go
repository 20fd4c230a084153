package testkit

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden requests and records in testdata")

// AssertEveryField fails where golden answers lack a field of a record. Of a list the first item has all.
func AssertEveryField(t *testing.T, record reflect.Value) {
	t.Helper()
	switch record.Kind() {
	case reflect.Slice:
		AssertEveryField(t, record.Index(0))
	case reflect.Pointer:
		AssertEveryField(t, record.Elem())
	case reflect.Struct:
		for field, value := range record.Fields() {
			assert.False(t, value.IsZero(), "%s.%s", record.Type(), field.Name)
		}
	}
}

// transportHeaders are net/http's own.
var transportHeaders = []string{"Accept-Encoding"}

// RequestText writes a request as it came, but for the token, the SDK's version and what net/http adds by itself.
func RequestText(t *testing.T, r *http.Request) []byte {
	body, err := io.ReadAll(r.Body)
	assert.NoError(t, err)
	var text bytes.Buffer
	fmt.Fprintln(&text, r.Method, r.RequestURI)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if !slices.Contains(transportHeaders, name) {
			fmt.Fprintf(&text, "%s: %s\n", name, redactedHeader(name, strings.Join(r.Header[name], ", ")))
		}
	}
	fmt.Fprintln(&text)
	text.Write(body)
	return text.Bytes()
}

func redactedHeader(name, value string) string {
	switch name {
	case "Authorization":
		return strings.Replace(value, Token, "REDACTED", 1)
	case "User-Agent":
		product, _, _ := strings.Cut(value, "/")
		return product
	}
	return value
}

// Indented is a record as JSON for people to read.
func Indented(t *testing.T, record any) []byte {
	t.Helper()
	text, err := json.MarshalIndent(record, "", "  ")
	require.NoError(t, err)
	return append(text, '\n')
}

// GoldenFile reads a file.
func GoldenFile(t *testing.T, elements ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(elements...))
	assert.NoError(t, err)
	return text
}

// CompareGolden compares a text with a golden file. With -update it writes the file.
func CompareGolden(t *testing.T, dir, name string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), got, 0o644))
		return
	}
	assert.Equal(t, string(GoldenFile(t, dir, name)), string(got), "%s in %s; -update accepts the change", name, dir)
}
