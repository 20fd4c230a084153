package answer

import (
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	// shortestSecret is how long a secret must be to be looked for. A shorter one, as in a test, is a part of any text.
	shortestSecret = 8

	// escapeDepth is how often a text may have been escaped.
	escapeDepth = 2
)

// address is an e-mail address, also as it stands in a URL.
var address = regexp.MustCompile(`[^\s"'<>(),;:=&?\[\]{}]+(?:@|%40)[^\s"'<>(),;:=&?\[\]{}]*[^\s"'<>(),;:=&?\[\]{}.]`)

// hideAddresses returns a text without e-mail addresses, which a service repeats in its messages.
func hideAddresses(text string) string {
	if !strings.Contains(text, "@") && !strings.Contains(text, "%40") {
		return text
	}
	return address.ReplaceAllLiteralString(text, Redacted)
}

// redact takes a secret out of a text that repeats it: as it is, in hex or in base64, and with any of its characters
// escaped as in URLs, in JSON or in HTML.
func redact(text, secret string) string {
	if len(secret) < shortestSecret || longestWord(text) < len(secret) {
		return text
	}
	var room [12]string
	forms := appendForms(room[:0], secret)
	var found []span
	plain := escapedText{text: text}
	for depth := 0; ; depth++ {
		for _, form := range forms {
			found = plain.find(form, found)
		}
		inner, escaped := plain.unescape()
		if !escaped || depth == escapeDepth {
			return replaceSpans(text, found)
		}
		plain = inner
	}
}

// longestWord returns the length of the longest part without a space: no form of a secret has one, or is shorter than
// it.
func longestWord(text string) int {
	longest := 0
	for word := range strings.SplitSeq(text, " ") {
		longest = max(longest, len(word))
	}
	return longest
}

// appendForms appends the texts that give a secret away. A secret may look as if it were escaped itself.
func appendForms(forms []string, secret string) []string {
	forms = append(forms, secret)
	if inner, escaped := (escapedText{text: secret}).unescape(); escaped {
		forms = append(forms, inner.text)
	}
	inHex := hex.EncodeToString([]byte(secret))
	forms = append(forms, inHex, strings.ToUpper(inHex))
	for before := range 3 { // base64 depends on how many bytes come before; the characters that others share are left out
		encoded := base64.StdEncoding.EncodeToString([]byte("\x00\x00\x00"[:before] + secret))
		first, end := (before*8+5)/6, (before+len(secret))*8/6
		form := encoded[first:end]
		forms = append(forms, form)
		if other := strings.NewReplacer("+", "-", "/", "_").Replace(form); other != form {
			forms = append(forms, other)
		}
	}
	return forms
}

// span is a part of a text.
type span struct{ start, end int }

func replaceSpans(text string, spans []span) string {
	if len(spans) == 0 {
		return text
	}
	slices.SortFunc(spans, func(a, b span) int { return a.start - b.start })
	var out strings.Builder
	end := 0
	for _, s := range spans {
		if s.start >= end {
			out.WriteString(text[end:s.start])
			out.WriteString(Redacted)
		}
		end = max(end, s.end)
	}
	out.WriteString(text[end:])
	return out.String()
}

// escapedText is a text without its escapes, and where its bytes come from.
type escapedText struct {
	text   string
	starts []int // in the text that was given, and its end; nil: it is that text
}

func (t escapedText) at(i int) int {
	if t.starts == nil {
		return i
	}
	return t.starts[i]
}

func (t escapedText) find(form string, found []span) []span {
	for from := 0; ; {
		i := strings.Index(t.text[from:], form)
		if i < 0 {
			return found
		}
		from += i + len(form)
		found = append(found, span{t.at(from - len(form)), t.at(from)})
	}
}

// unescape takes out one level of escapes, and reports whether there was any.
func (t escapedText) unescape() (inner escapedText, escaped bool) {
	if !strings.ContainsAny(t.text, `%\&`) {
		return t, false
	}
	plain := make([]byte, 0, len(t.text))
	inner.starts = make([]int, 0, len(t.text)+1)
	for i := 0; i < len(t.text); {
		c, length := unescapeByte(t.text[i:])
		escaped = escaped || length > 1
		plain, inner.starts = append(plain, c), append(inner.starts, t.at(i))
		i += length
	}
	inner.text, inner.starts = string(plain), append(inner.starts, t.at(len(t.text)))
	return inner, escaped
}

// unescapeByte returns the first byte of a text, and how many bytes it takes there.
func unescapeByte(text string) (c byte, length int) {
	switch text[0] {
	case '%':
		if c, ok := hexByte(text, 1, 3); ok {
			return c, 3
		}
	case '\\':
		return unescapeJSON(text)
	case '&':
		return unescapeHTML(text)
	}
	return text[0], 1
}

func unescapeJSON(text string) (c byte, length int) {
	switch {
	case len(text) < 2:
	case strings.IndexByte(`\/"'`, text[1]) >= 0:
		return text[1], 2
	case text[1] == 'x':
		if c, ok := hexByte(text, 2, 4); ok {
			return c, 4
		}
	case text[1] == 'u':
		if c, ok := hexByte(text, 2, 6); ok {
			return c, 6
		}
	}
	return text[0], 1
}

// entities are the names of HTML for the characters of a token.
var entities = map[string]byte{"amp": '&', "lt": '<', "gt": '>', "quot": '"', "apos": '\'', "plus": '+', "sol": '/', "equals": '='}

func unescapeHTML(text string) (c byte, length int) {
	name, _, closed := strings.Cut(text[1:min(len(text), len("&equals;")+4)], ";")
	if !closed {
		return text[0], 1
	}
	length = len(name) + len("&;")
	if c, ok := entities[name]; ok {
		return c, length
	}
	number, numeric := strings.CutPrefix(name, "#")
	base := 10
	if digits, inHex := strings.CutPrefix(strings.ToLower(number), "x"); inHex {
		number, base = digits, 16
	}
	if n, err := strconv.ParseUint(number, base, 7); numeric && err == nil {
		return byte(n), length
	}
	return text[0], 1
}

// hexByte reads a byte in hex.
func hexByte(text string, start, end int) (byte, bool) {
	if len(text) < end {
		return 0, false
	}
	n, err := strconv.ParseUint(text[start:end], 16, 8)
	return byte(n), err == nil
}
