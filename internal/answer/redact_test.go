package answer

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRedact(t *testing.T) {
	for _, secret := range []string{"plain-token-5e1d", "a+b/c==&<d>5e1d", "%2Bpercent%/5e1d", `back\slash"5e1d`, "eyJhbGciOi.J9-_x+/5e1d=="} {
		escapedAll := func(format string) string {
			var out strings.Builder
			for _, c := range []byte(secret) {
				fmt.Fprintf(&out, format, c)
			}
			return out.String()
		}
		for name, echo := range map[string]string{
			"as it is":          secret,
			"URL":               url.QueryEscape(secret),
			"path":              url.PathEscape(secret),
			"URL in lower case": lowerEscapes(url.QueryEscape(secret)),
			"URL twice":         url.QueryEscape(url.QueryEscape(secret)),
			"every byte":        escapedAll("%%%02X"),
			"JSON":              escapedAll(`\u%04x`),
			"JavaScript":        escapedAll(`\x%02x`),
			"JSON slashes":      strings.NewReplacer(`\`, `\\`, "/", `\/`, `"`, `\"`).Replace(secret),
			"HTML":              html.EscapeString(secret),
			"HTML numbers":      escapedAll("&#%d;"),
			"HTML hex":          escapedAll("&#x%X;"),
			"hex":               hex.EncodeToString([]byte(secret)),
			"HEX":               strings.ToUpper(hex.EncodeToString([]byte(secret))),
			"base64":            base64.StdEncoding.EncodeToString([]byte(secret)),
			"base64 of URLs":    base64.RawURLEncoding.EncodeToString([]byte(secret)),
			"base64 escaped":    url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(secret))),
			"base64 of Bearer":  base64.StdEncoding.EncodeToString([]byte("Bearer " + secret)),
			"base64 within":     base64.StdEncoding.EncodeToString([]byte("id:" + secret + "!!")),
			"base64 of \\":      strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte("x"+secret)), "/", `\/`),
		} {
			got := redact("bad token '"+echo+"' or "+echo, secret)
			assert.Equal(t, 2, strings.Count(got, Redacted), "%s of %s: %s", name, secret, got)
			assert.NotContains(t, got, "5e1d", name)
			assert.Contains(t, got, "bad token '", name)
		}
	}
}

func lowerEscapes(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' {
			out.WriteString(strings.ToLower(text[i : i+3]))
			i += 2
			continue
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

func TestRedactLeavesTheRest(t *testing.T) {
	const secret = "token+/5e1d=="
	for _, text := range []string{"", "no", "100 % of it", `\`, `\u12`, `\u0`, "&", "&amp", "&#;", "&#x;", "&nothing;", "%", "%2", "%zz", "a&b;c",
		"token+/5e1", strings.Repeat("%25", 100), "é\u2028 ü"} {
		assert.Equal(t, text, redact(text, secret))
		assert.Equal(t, text+Redacted+text, redact(text+secret+text, secret))
		assert.Equal(t, text, redact(text, ""))
	}
	assert.Equal(t, "authentication_error", redact("authentication_error", "t"), "a short secret would destroy the text")
	assert.Equal(t, "a 7 bytes b", redact("a 7 bytes b", "7 bytes"))
	assert.Equal(t, "a REDACTED b", redact("a 8-bytes! b", "8-bytes!"))
}

func FuzzRedact(f *testing.F) {
	for _, text := range []string{`\u002b%2B&#43;`, "a%25252B", "&amp;amp;#x2B;", `\\\/`} {
		f.Add(text, "token+/5e1d==", text)
	}
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		if len(secret) < shortestSecret || strings.ContainsAny(secret, ` %&\`) || strings.Contains(Redacted, secret) {
			t.Skip()
		}
		got := redact(before+" "+url.QueryEscape(secret)+" "+after, secret)
		assert.Contains(t, got, Redacted)
	})
}
