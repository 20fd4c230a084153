package drift_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

func TestJSONTypes(t *testing.T) {
	assert.Len(t, testkit.RecordTypes(), 10)
	assert.Len(t, testkit.RequestTypes(), 16)
}

// assertRoundTrip puts a value through encoding/json, by itself and inside others, by value and by pointer.
func assertRoundTrip(t *testing.T, pointer reflect.Value) {
	t.Helper()
	list := reflect.MakeSlice(reflect.SliceOf(pointer.Type().Elem()), 2, 2)
	list.Index(0).Set(pointer.Elem())
	named := reflect.MakeMap(reflect.MapOf(reflect.TypeFor[string](), pointer.Type()))
	named.SetMapIndex(reflect.ValueOf("a"), pointer)
	for _, v := range []reflect.Value{pointer, pointer.Elem(), list, named} {
		text, err := json.Marshal(v.Interface())
		require.NoError(t, err)
		back := reflect.New(v.Type())
		require.NoError(t, json.Unmarshal(text, back.Interface()), "%s", text)
		require.Equal(t, v.Interface(), back.Elem().Interface(), "%s", text)
	}
}

func TestJSONRoundTrip(t *testing.T) {
	for _, of := range testkit.JSONTypes() {
		t.Run(of.Name(), func(t *testing.T) {
			assertRoundTrip(t, testkit.Filled(t, of))
		})
	}
}

func TestJSONRoundTripOfZero(t *testing.T) {
	for _, of := range testkit.JSONTypes() {
		t.Run(of.Name(), func(t *testing.T) {
			assertRoundTrip(t, reflect.New(of))
			text, err := json.Marshal(reflect.New(of).Interface())
			require.NoError(t, err)
			assert.Contains(t, []string{`{}`, `{"id":0}`, `""`}, string(text))
		})
	}
}

// Null and absent stay apart, field by field.
func TestJSONRoundTripOfOptionals(t *testing.T) {
	for _, of := range testkit.RequestTypes() {
		for i := range of.NumField() {
			v := reflect.New(of)
			optional, ok := testkit.AsOptional(v.Elem().Field(i))
			if !ok {
				continue
			}
			require.NoError(t, optional.UnmarshalJSON([]byte("null")))
			text, err := json.Marshal(v.Interface())
			require.NoError(t, err)
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			assert.JSONEq(t, `{"`+name+`":null}`, string(text))
			assertRoundTrip(t, v)
		}
	}
}

// What is written has the names of the catalogue, instants in milliseconds and durations in minutes.
func TestJSONForm(t *testing.T) {
	for _, of := range testkit.JSONTypes() {
		t.Run(of.Name(), func(t *testing.T) {
			text, err := json.Marshal(testkit.Filled(t, of).Interface())
			require.NoError(t, err)
			var written map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(text, &written))
			for i := range of.NumField() {
				assertField(t, of.Field(i), written)
			}
		})
	}
}

func assertField(t *testing.T, field reflect.StructField, written map[string]json.RawMessage) {
	t.Helper()
	if field.Name == "Extra" {
		assert.JSONEq(t, `{"b":1,"a":[null,9007199254740993]}`, string(written["x_new"]))
		assert.JSONEq(t, `"é"`, string(written["X"]))
		return
	}
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	assert.Regexp(t, `^[a-z]+(_[a-z]+)*$`, name)
	require.Contains(t, written, name)
	switch field.Type {
	case reflect.TypeFor[time.Time](), reflect.TypeFor[drift.Optional[time.Time]]():
		assert.Equal(t, fmt.Sprint(testkit.FillTime.UnixMilli()), string(written[name]), name)
	case reflect.TypeFor[time.Duration](), reflect.TypeFor[drift.Optional[time.Duration]]():
		assert.Equal(t, "45", string(written[name]), name)
	}
}

// A record by itself may lack an id, unlike one in an answer.
func TestJSONWithoutID(t *testing.T) {
	var c drift.Contact
	require.NoError(t, json.Unmarshal([]byte(`{"email":"a@b"}`), &c))
	assert.Equal(t, drift.Contact{Email: "a@b"}, c)
}

// Whatever an answer held can be kept, also what is no good JSON.
func TestJSONOfOddExtras(t *testing.T) {
	for _, value := range []string{`{"a":1,"a":2}`, `"\ud83d"`, "\"\xff\"", `{"\ud83d":"\ude00"}`, `1e400`, `-0`} {
		var c drift.Contact
		require.NoError(t, json.Unmarshal([]byte(`{"id":1,"x":`+value+`}`), &c), value)
		text, err := json.Marshal(c)
		require.NoError(t, err, value)
		var back drift.Contact
		require.NoError(t, json.Unmarshal(text, &back), value)
		again, err := json.Marshal(back)
		require.NoError(t, err, value)
		assert.Equal(t, string(text), string(again), value)
	}
}

// What cannot be told in the API's units is an error, not another value.
func TestJSONRefusesOtherUnits(t *testing.T) {
	for _, v := range []any{
		drift.Meeting{ID: 1, Duration: 90 * time.Second}, drift.MeetingCreateRequest{Duration: time.Second},
		drift.MeetingUpdateRequest{Duration: drift.Set(time.Second)}, drift.MeetingUpdateRequest{StartAt: drift.Set(time.Time{})},
		drift.Contact{CustomAttributes: drift.Attributes{"a": json.Number("one")}}, drift.Contact{CustomAttributes: drift.Attributes{"a": func() {}}},
	} {
		_, err := json.Marshal(v)
		assert.Error(t, err, "%+v", v)
	}
}

// An object type without Extra would lose what it does not know.
func TestEveryObjectHasExtra(t *testing.T) {
	seen := map[reflect.Type]bool{reflect.TypeFor[time.Time](): true}
	var visit func(of reflect.Type)
	visit = func(of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			visit(of.Elem())
		case reflect.Struct:
			if seen[of] {
				return
			}
			seen[of] = true
			extra, found := of.FieldByName("Extra")
			if assert.True(t, found, of.Name()) {
				assert.Equal(t, reflect.TypeFor[map[string]json.RawMessage](), extra.Type)
				assert.Contains(t, string(extra.Tag), "embed")
			}
			for i := range of.NumField() {
				visit(of.Field(i).Type)
			}
		}
	}
	for _, of := range testkit.RecordTypes() {
		visit(of)
	}
	assert.Len(t, seen, 1+len(testkit.RecordTypes())+6)
}

func TestID(t *testing.T) {
	assert.Equal(t, "9223372036854775807", drift.ConversationID(maxID).String())
	assert.Equal(t, "-1", drift.ContactID(-1).String())
	for text, want := range map[string]drift.TagID{`7`: 7, `"7"`: 7, `null`: 0, `-7`: -7} {
		id := drift.TagID(99)
		require.NoError(t, json.Unmarshal([]byte(`[`+text+`]`), &[]*drift.TagID{&id}))
		require.NoError(t, id.UnmarshalJSON([]byte(text)))
		assert.Equal(t, want, id)
	}
	text, err := json.Marshal(map[drift.TagID]drift.TagID{7: maxID})
	require.NoError(t, err)
	assert.JSONEq(t, `{"7":9223372036854775807}`, string(text))
	var back map[drift.TagID]drift.TagID
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, map[drift.TagID]drift.TagID{7: maxID}, back)
	for _, text := range testkit.RefusedIntegers {
		id := drift.TagID(99)
		require.Error(t, json.Unmarshal([]byte(text), &id), text)
	}
}

func TestCompanyID(t *testing.T) {
	assert.Equal(t, "1_a.com", drift.CompanyID("1_a.com").String())
	text, err := json.Marshal(drift.CompanyID("12"))
	require.NoError(t, err)
	assert.Equal(t, `"12"`, string(text))
	var id drift.CompanyID
	require.NoError(t, json.Unmarshal([]byte(`12.50`), &id))
	assert.Equal(t, drift.CompanyID("12.50"), id)
	require.Error(t, json.Unmarshal([]byte(`{}`), &id))
	require.Error(t, json.Unmarshal([]byte(`[]`), &id))
	require.NoError(t, json.Unmarshal([]byte(`true`), &id))
	assert.Equal(t, drift.CompanyID("true"), id)
}

func TestOptional(t *testing.T) {
	var absent drift.Optional[string]
	for name, test := range map[string]struct {
		o                  drift.Optional[string]
		set, null, isZero  bool
		value, text, field string
	}{
		"absent": {absent, false, false, true, "", `null`, `{}`},
		"null":   {drift.Null[string](), false, true, false, "", `null`, `{"a":null}`},
		"set":    {drift.Set("x"), true, false, false, "x", `"x"`, `{"a":"x"}`},
		"empty":  {drift.Set(""), true, false, false, "", `""`, `{"a":""}`},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.set, test.o.IsSet())
			assert.Equal(t, test.null, test.o.IsNull())
			assert.Equal(t, test.isZero, test.o.IsZero())
			value, ok := test.o.Get()
			assert.Equal(t, test.set, ok)
			assert.Equal(t, test.value, value)
			text, err := json.Marshal(test.o)
			require.NoError(t, err)
			assert.Equal(t, test.text, string(text))
			text, err = json.Marshal(struct {
				A drift.Optional[string] `json:"a,omitzero"`
			}{test.o})
			require.NoError(t, err)
			assert.Equal(t, test.field, string(text))
		})
	}
	text, err := json.Marshal(drift.Set([]string(nil)))
	require.NoError(t, err)
	assert.Equal(t, `[]`, string(text))
	require.Error(t, json.Unmarshal([]byte(`7`), &absent))
	value, _ := drift.Set(7).Get()
	assert.Equal(t, 7, value)
}

func TestAttributes(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := drift.Attributes{
		"text": "pro", "number": json.Number("12"), "numeric": "12", "big": json.Number("9007199254740993"), "fraction": json.Number("0.5"),
		"exponent": json.Number("1e2"), "int": 12, "int8": int8(12), "uint64": uint64(1 << 63), "float": 1767225600000.0, "float32": float32(0.5),
		"yes": true, "none": nil, "list": []any{}, "ms": json.Number("1767225600000"), "msText": "1767225600000",
		"rfc": "2026-01-01T02:00:00+02:00", "time": at.In(time.FixedZone("", 3600)), "noZone": "2026-01-01T00:00:00", "zero": json.Number("0"),
	}
	check := func(get func(key string) (any, bool), good map[string]any) {
		t.Helper()
		for key := range a {
			value, ok := get(key)
			want, wantOK := good[key]
			if assert.Equal(t, wantOK, ok, key) && ok {
				assert.Equal(t, want, value, key)
			}
		}
		_, ok := get("missing")
		assert.False(t, ok)
	}
	check(func(key string) (any, bool) { return a.String(key) }, map[string]any{
		"text": "pro", "numeric": "12", "msText": "1767225600000", "rfc": "2026-01-01T02:00:00+02:00", "noZone": "2026-01-01T00:00:00",
	})
	check(func(key string) (any, bool) { return a.Int64(key) }, map[string]any{
		"number": int64(12), "numeric": int64(12), "exponent": int64(100), "big": int64(9007199254740993), "int": int64(12), "int8": int64(12), "float": int64(1767225600000), "zero": int64(0),
		"ms": int64(1767225600000), "msText": int64(1767225600000),
	})
	check(func(key string) (any, bool) { return a.Float64(key) }, map[string]any{
		"number": 12.0, "numeric": 12.0, "big": 9007199254740992.0, "fraction": 0.5, "exponent": 100.0, "zero": 0.0, "int": 12.0, "int8": 12.0,
		"uint64": 9223372036854775808.0, "float": 1767225600000.0, "float32": 0.5, "ms": 1767225600000.0, "msText": 1767225600000.0,
	})
	check(func(key string) (any, bool) { return a.Bool(key) }, map[string]any{"yes": true})
	seconds := func(n int64) time.Time { return time.UnixMilli(n).UTC() }
	check(func(key string) (any, bool) { return a.Time(key) }, map[string]any{
		"ms": at, "msText": at, "rfc": at, "time": at, "float": at, "number": seconds(12), "numeric": seconds(12), "big": seconds(9007199254740993),
		"int": seconds(12), "int8": seconds(12), "exponent": seconds(100),
	})
	var none drift.Attributes
	_, ok := none.String("a")
	assert.False(t, ok)
}

func TestAttributesJSON(t *testing.T) {
	a := drift.Attributes{"old": true}
	require.NoError(t, json.Unmarshal([]byte(`{"n":9007199254740993}`), &a))
	assert.Equal(t, drift.Attributes{"n": json.Number("9007199254740993")}, a)
	require.NoError(t, a.UnmarshalJSON([]byte(`null`)))
	assert.Nil(t, a)
	for _, text := range []string{`[]`, `"a"`, `7`, `true`} {
		require.Error(t, json.Unmarshal([]byte(text), &a), text)
	}
	for _, text := range []string{``, `{`, `{"a"`, `{"a":`, `{"a":[`, `{} x`, `{"a":[1,]}`, `{"a":tru}`} {
		require.Error(t, a.UnmarshalJSON([]byte(text)), text)
	}
}

func TestTagRef(t *testing.T) {
	extra := map[string]json.RawMessage{"scope": json.RawMessage(`[1, 2]`)}
	for text, want := range map[string]drift.TagRef{
		`"vip"`: {Name: "vip"}, `""`: {}, `null`: {}, `{"id":"31","name":"vip"}`: {ID: 31, Name: "vip"}, `{"Name":"vip","COLOR":"#f80"}`: {Name: "vip", Color: "#f80"},
		`{"name":"vip","scope":[1, 2]}`: {Name: "vip", Extra: extra},
	} {
		ref := drift.TagRef{ID: 99, Name: "old", Color: "old", Extra: extra}
		require.NoError(t, ref.UnmarshalJSON([]byte(text)), text)
		assert.Equal(t, want, ref, text)
	}
	for want, ref := range map[string]drift.TagRef{
		`"vip"`: {Name: "vip"}, `{"id":31,"name":"vip"}`: {ID: 31, Name: "vip"}, `{"name":"vip","color":"#f80"}`: {Name: "vip", Color: "#f80"}, `""`: {},
		`{"name":"vip","scope":[1,2]}`: {Name: "vip", Extra: extra},
	} {
		text, err := json.Marshal(ref)
		require.NoError(t, err)
		assert.Equal(t, want, string(text))
	}
	require.Error(t, json.Unmarshal([]byte(`[7]`), new(drift.TagRef)))
	require.Error(t, json.Unmarshal([]byte(`{"id":1.5}`), new(drift.TagRef)))
	require.Error(t, new(drift.TagRef).UnmarshalJSON(nil))
}

func TestSecret(t *testing.T) {
	secret := drift.Secret("hunter2")
	assert.Equal(t, "hunter2", secret.Reveal())
	holder := struct {
		S drift.Secret
		P *drift.Secret
		L []drift.Secret
		M map[string]drift.Secret
	}{secret, &secret, []drift.Secret{secret}, map[string]drift.Secret{"a": secret}}
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%t", "%c", "%U", "%o", "%e", "%g", "%10s", "%.3s", "%T", "%Z"} {
		texts = append(texts, fmt.Sprintf(verb, secret), fmt.Sprintf(verb, &secret), fmt.Sprintf(verb, holder), fmt.Sprintf(verb, &holder))
	}
	texts = append(texts, secret.String(), secret.GoString(), secret.LogValue().String(), fmt.Sprint(secret), fmt.Errorf("a: %v", secret).Error(),
		testkit.Encoded(t, secret), testkit.Encoded(t, &secret), testkit.Encoded(t, holder), logOf(secret), logOf(holder))
	for _, text := range texts {
		assert.NotContains(t, text, "hunter")
		assert.NotContains(t, strings.ToLower(text), "68756e746572") // the same in hexadecimal
		assert.NotContains(t, strings.ToLower(text), "68 75 6e")
	}
	assert.Equal(t, `"REDACTED"`, testkit.Encoded(t, secret))
	assert.Equal(t, "REDACTED", fmt.Sprintf("%s", secret))
}

func logOf(v any) string {
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("a", "v", v)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("a", slog.Any("v", v), slog.Group("g", "v", v))
	return log.String()
}
