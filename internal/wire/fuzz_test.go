package wire

import (
	"bytes"
	"cmp"
	stdjson "encoding/json"
	"errors"
	"math/big"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// What Open accepts is JSON, and what is JSON it accepts. Its cursor is text or an error with a path.
func FuzzOpen(f *testing.F) {
	for _, body := range []string{
		``, ` `, `null`, `{}`, `[]`, `"a"`, `1`, `{"data":{"id":1}}`, `{"data":[1,2],"pagination":{"more":true,"next":"a"}}`, `{"Da-ta":null,"error":"a"}`,
		`{"data":1,"data":2}`, `{"data":[1}`, `{"data":1} x`, `{"links":{"next":"/a?cursor=b#c"},"data":[]}`, `{"data":[],"links":{"next":"%"}}`,
		`{"errors":[ ],"data":"` + "\xff" + `"}`, `{"data":[],"pagination":{"more":true}}`, `{"data":[],"pagination":7,"links":[]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		calls := 0
		e, err := Open(body, func(dec *Decoder) error {
			calls++
			return skipAll(dec)
		})
		require.Equal(t, stdjson.Valid(body), err == nil, "%v", err)
		var typed *Error
		if err != nil {
			require.ErrorAs(t, err, &typed)
			return
		}
		require.False(t, e.Data && e.Null)
		require.True(t, !e.Data || calls > 0)
		if _, err := e.Next(); err != nil {
			require.ErrorAs(t, err, &typed)
			require.NotEmpty(t, typed.Path)
		}
	})
}

// An instant is milliseconds, as strconv reads them, or RFC 3339, as package time does.
func FuzzInstant(f *testing.F) {
	for _, text := range []string{
		"0", "-1", "1767225600123", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "+1", "01", "1e3", "1.5", "", " 1",
		"2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456789+02:00", "2026-01-01T00:00:00", "0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999Z", "2026-02-30T00:00:00Z",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseInstantText(text)
		ms, isInteger := exactInteger(text)
		parsed, notTime := time.Parse(time.RFC3339, strings.ToUpper(text))
		switch {
		case isInteger:
		case notTime == nil && instantForm.MatchString(text):
			ms = parsed.UnixMilli()
		default:
			require.ErrorIs(t, err, ErrInstant)
			return
		}
		require.NoError(t, err)
		if ms == 0 {
			require.Equal(t, time.Time{}, got)
			return
		}
		require.Equal(t, ms, got.UnixMilli())
		require.Equal(t, time.UTC, got.Location())
		require.Zero(t, got.Nanosecond()%int(time.Millisecond))
		again, err := ParseInstantText(strconv.FormatInt(got.UnixMilli(), 10))
		require.NoError(t, err)
		require.True(t, got.Equal(again))
	})
}

// instantForm is the form of RFC 3339.
var instantForm = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// integerForm is the form of a JSON number, which may begin with zeros in a string.
var integerForm = regexp.MustCompile(`^-?\d+(\.\d+)?([eE][+-]?\d+)?$`)

// exactInteger is what package big makes of a number.
func exactInteger(text string) (int64, bool) {
	if !integerForm.MatchString(text) {
		return 0, false
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	number, ok := new(big.Rat).SetString(mantissa)
	if power, err := strconv.Atoi(cmp.Or(exponent, "0")); err != nil || power > 1000 || power < -1000 {
		return 0, number.Sign() == 0
	}
	if ok {
		number, ok = new(big.Rat).SetString(text)
	}
	return number.Num().Int64(), ok && number.IsInt() && number.Num().IsInt64()
}

// An integer is a whole number, in whatever form, also in a string.
func FuzzInt(f *testing.F) {
	for _, text := range []string{"0", "-0", "7", "-7", "9223372036854775807", "9223372036854775808", "1e2", "1.0", "+1", "", "null", "0x1", "1_0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		quoted, err := stdjson.Marshal(text)
		require.NoError(t, err)
		want, isInteger := exactInteger(text)
		got, err := ParseInt(quoted)
		require.Equal(t, isInteger || text == "", err == nil, "%s", quoted)
		if isInteger {
			require.Equal(t, want, got)
		}
		if stdjson.Valid([]byte(text)) && text != "null" && text[0] != '"' {
			bare, err := ParseInt([]byte(text))
			if err == nil {
				require.Equal(t, want, bare)
			}
		}
	})
}

// A text is what encoding/json makes of a string, or the digits of a number.
func FuzzText(f *testing.F) {
	for _, text := range []string{`""`, `"a"`, `"\u0000"`, `"\ud83d\ude00"`, `"\ud83d"`, "\"\xff\"", "\"\xed\xa0\x80\"", `7`, `-0.0`, `1e400`, `null`, `true`, `[]`, `{}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if trimmed := bytes.TrimSpace(value); !stdjson.Valid(value) || len(trimmed) != len(value) {
			return // decoders hand over values, and nothing around them
		}
		got, err := ParseText(value)
		var want any
		decoder := stdjson.NewDecoder(bytes.NewReader(value))
		decoder.UseNumber()
		require.NoError(t, decoder.Decode(&want))
		switch want := want.(type) {
		case nil:
			require.NoError(t, err)
			require.Empty(t, got)
		case string:
			require.NoError(t, err)
			require.Equal(t, cut(want), cut(got))
		case stdjson.Number:
			require.NoError(t, err)
			require.Equal(t, want.String(), got)
		default:
			require.ErrorIs(t, err, ErrText)
		}
	})
}

var replacements = regexp.MustCompile("\ufffd+")

// cut leaves one replacement character where there are several: how many stand for broken bytes is of no interest.
func cut(text string) string { return replacements.ReplaceAllString(text, "\ufffd") }

// A duration is whole minutes, as many as fit.
func FuzzMinutes(f *testing.F) {
	for _, text := range []string{"0", "-0", "30", "-30", "153722867", "153722868", "-153722868", "9223372036854775807", "99999999999999999999", "1e2", "30.0", "+30", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		quoted, err := stdjson.Marshal(text)
		require.NoError(t, err)
		var got time.Duration
		err = Unmarshal(quoted, &got)
		minutes, isInteger := exactInteger(text)
		if !isInteger && text != "" {
			require.Error(t, err, "%q", text)
			return
		}
		want := new(big.Int).Mul(big.NewInt(minutes), big.NewInt(int64(time.Minute)))
		require.Equal(t, want.IsInt64(), err == nil, "%q: %v", text, err)
		if err == nil {
			require.Equal(t, want.Int64(), int64(got))
		}
	})
}

// A query gives back what was put into it, whatever it holds.
func FuzzQuery(f *testing.F) {
	f.Add("a", "b", "k", "v", int64(7), false)
	f.Add("a&b=c#d", "é %zz+", "k[x]", "", int64(0), true)
	f.Add("", "", "", "a", int64(-1), true)
	f.Add("\xff\x00", ";", "\x00=&", "\n", int64(1<<62), false)
	f.Fuzz(func(t *testing.T, text, item, key, value string, n int64, yes bool) {
		encoded, err := Query(struct {
			Text string         `query:"text"`
			List []string       `query:"list"`
			Map  map[string]any `query:"map"`
			N    int64          `query:"n"`
			Yes  *bool          `query:"yes"`
		}{text, []string{item, item}, map[string]any{key: value}, n, &yes})
		if !parameterKey(key) || item == "" || value == "" || n < 0 || !utf8.ValidString(text) || !utf8.ValidString(item) || !utf8.ValidString(value) {
			require.ErrorAs(t, err, new(*ArgumentError))
			return
		}
		require.NoError(t, err)
		got, err := url.ParseQuery(encoded.Encode())
		require.NoError(t, err)
		want := url.Values{"yes": {strconv.FormatBool(yes)}, "list": {item, item}, "map[" + key + "]": {value}}
		if text != "" {
			want["text"] = []string{text}
		}
		if n != 0 {
			want["n"] = []string{strconv.FormatInt(n, 10)}
		}
		require.Equal(t, want, got)
	})
}

// parameterKey reports whether a key of a map can stand between brackets.
func parameterKey(key string) bool {
	return key != "" && utf8.ValidString(key) && !strings.ContainsFunc(key, func(r rune) bool { return r == '[' || r == ']' || unicode.IsControl(r) })
}

// An open value is what encoding/json makes of it with UseNumber, and every error can be explained.
func FuzzOpenValue(f *testing.F) {
	for _, text := range []string{``, `{}`, `[]`, `{"a":[1,{"b":null}],"a":2}`, `1e400`, `"\ud83d"`, "\"\xff\"", `{"a":1} x`, `[1,]`, `tru`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := UnmarshalOpen(data)
		require.Equal(t, stdjson.Valid(data), err == nil, "%v", err)
		if err != nil {
			require.True(t, errors.As(Explain(err), new(*Error)))
			return
		}
		text, err := Marshal(got)
		require.NoError(t, err)
		again, err := UnmarshalOpen(text)
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}
