package answer

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Whatever a body says of an error, it is short, printable and without the secret, wherever the service repeats that and
// however it hides it.
func FuzzParseAPIError(f *testing.F) {
	const secret = "MARKED-secret.0123456789"
	for _, body := range []string{
		``, `null`, `[]`, `7`, `"text"`, `{}`, `{"error":null}`, `{"error":7}`, `{"error":"text"}`, `{"error":["a"]}`, `{"error":{"type":"t","message":"m","code":7,"param":"p"}}`,
		`{"errors":[{"param":"a","message":"m"},{"param":"a"},"text",7,null,[]]}`, `{"errors":{"param":"a"},"error":"kept"}`, `{"code":"C-1","message":"m"}`,
		`{"error":{"error":{"error":"deep"}}}`, `{"ERROR":{"Type":1e400}}`, "{\"error\":\"\xff\xed\xa0\x80\"}", `{"error":"\ud83d\u202e\u0000"}`, `{"errors":[`, "\ufeff{}",
	} {
		f.Add([]byte(body), "", "", uint8(0))
	}
	for spelling := range uint8(4) {
		f.Add([]byte(`{}`), "Bearer ", "\"", spelling)
		f.Add([]byte(`{}`), strings.Repeat("x", 500), "é", spelling)
		f.Add([]byte(`{}`), strings.Repeat("x", 115), "\u2028", spelling)
	}
	f.Fuzz(func(t *testing.T, body []byte, before, after string, spelling uint8) {
		checkErrorBody(t, parseBody(body, secret), secret)
		quoted, _ := json.Marshal(before + spelled(secret, spelling) + after)
		for _, shape := range []string{`{"error":?}`, `{"error":{"type":?,"code":?,"message":?,"param":?}}`, `{"errors":[?,{"param":?,"message":?}]}`, `{"code":?,"message":?}`} {
			e := parseBody([]byte(strings.ReplaceAll(shape, "?", string(quoted))), secret)
			checkErrorBody(t, e, secret)
			if e.Message == "" {
				t.Fatalf("%s says nothing", shape)
			}
		}
	})
}

// spelled hides a secret in one of the ways that disappear when a text is made printable.
func spelled(secret string, spelling uint8) string {
	half := len(secret) / 2
	return secret[:half] + [...]string{"", "\x00", "\u200b", "\u202e"}[spelling%4] + secret[half:]
}

func checkErrorBody(t *testing.T, e *Error, secret string) {
	t.Helper()
	checkErrorText(t, e.Type, secret, 128)
	checkErrorText(t, e.Code, secret, 128)
	checkErrorText(t, e.Message, secret, 512)
	if len(e.Fields) > 64 {
		t.Fatalf("%d fields", len(e.Fields))
	}
	for param, messages := range e.Fields {
		checkErrorText(t, param, secret, 128)
		for _, message := range messages {
			checkErrorText(t, message, secret, 512)
		}
	}
}

func checkErrorText(t *testing.T, text, secret string, limit int) {
	t.Helper()
	if len(text) > limit || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Fatalf("%q", text)
	}
	if strings.Contains(text, secret[:8]) {
		t.Fatalf("%q shows the secret", text)
	}
}
