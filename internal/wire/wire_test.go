package wire

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseText(t *testing.T) {
	for value, want := range map[string]string{`"a"`: "a", `""`: "", `null`: "", `12.50`: "12.50", `"\u00e9"`: "é", `"a\ud83d"`: "a\ufffd", "\"a\xff\"": "a\ufffd"} {
		got, err := ParseText([]byte(value))
		require.NoError(t, err, value)
		assert.Equal(t, want, got, value)
	}
	for _, value := range []string{`true`, `{}`, `[]`, `"a`, `"\x"`, ``} {
		_, err := ParseText([]byte(value))
		assert.ErrorIs(t, err, ErrText, value)
	}
}

func TestParseInt(t *testing.T) {
	for value, want := range map[string]int64{`7`: 7, `"7"`: 7, `null`: 0, `""`: 0, `-7`: -7, `9223372036854775807`: math.MaxInt64,
		`7.0`: 7, `1e2`: 100, `"-50e-1"`: -5, `0.0e-5`: 0, `0e99999999999`: 0, `"000000000000000000000000000000000007"`: 7, `-9223372036854775808.0`: math.MinInt64,
		`-922337203685477580800e-2`: math.MinInt64, `10000000000000000000000000000000000000000e-40`: 1} {
		got, err := ParseInt([]byte(value))
		require.NoError(t, err, value)
		assert.Equal(t, want, got, value)
	}
	for _, value := range []string{`"+7"`, `7.5`, `1e-1`, `1e19`, `1e99999999999`, `1e-99999999999`, `"7."`, `".7"`, `"7e"`, `"e"`, `"-"`, `"7e1x"`,
		`true`, `{}`, `[]`, ``, `"7`, `9223372036854775808`, `9223372036854775808.0`, `-9223372036854775809.0`, `92233720368547758070000000000e-9`} {
		_, err := ParseInt([]byte(value))
		assert.ErrorIs(t, err, ErrInteger, value)
	}
}

func TestParseInstant(t *testing.T) {
	for _, value := range []string{`null`, `""`, `0`, `"0"`, `-0.0`, `"1970-01-01T01:00:00+01:00"`} {
		got, err := ParseInstant([]byte(value))
		require.NoError(t, err, value)
		assert.Equal(t, time.Time{}, got, value)
	}
	for _, value := range []string{`true`, `{}`, `1.5`, `"now"`} {
		_, err := ParseInstant([]byte(value))
		assert.ErrorIs(t, err, ErrInstant, value)
	}
}

type units struct {
	At  time.Time      `json:"at,omitzero"`
	For time.Duration  `json:"for,omitzero"`
	N   stdjson.Number `json:"n,omitzero"`
}

func TestMarshal(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 123456789, time.FixedZone("", 3600))
	text, err := Marshal(units{at, 90 * time.Minute, "1.50"})
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf(`{"at":%d,"for":90,"n":1.50}`, at.UnixMilli()), string(text))
	text, err = Marshal(map[string]any{"b": 1, "a": map[string]int{"d": 1, "c": 2}})
	require.NoError(t, err)
	assert.Equal(t, `{"a":{"c":2,"d":1},"b":1}`, string(text), "one text for one request")
	for want, v := range map[error]any{ErrZeroTime: time.Time{}, ErrMinutes: time.Second, ErrNumber: stdjson.Number("one")} {
		_, err := Marshal(v)
		assert.ErrorIs(t, err, want)
	}
}

// What an answer held can be written again; a request with the same faults is refused.
func TestMarshalOfOddValues(t *testing.T) {
	for _, v := range []any{stdjson.RawMessage(`{"a":1,"a":2}`), stdjson.RawMessage(`"\ud83d"`), "a\xff"} {
		_, err := Marshal(v)
		require.NoError(t, err)
		_, err = MarshalStrict(v, Strict(nil))
		require.Error(t, err)
	}
}

func TestStrictTakesPrecedence(t *testing.T) {
	shout := json.MarshalToFunc(func(enc *jsontext.Encoder, _ time.Duration) error { return enc.WriteToken(jsontext.String("long")) })
	text, err := MarshalStrict(units{At: time.UnixMilli(5), For: time.Second}, Strict(shout))
	require.NoError(t, err)
	assert.Equal(t, `{"at":5,"for":"long"}`, string(text))
}

func TestUnmarshal(t *testing.T) {
	var u units
	require.NoError(t, Unmarshal([]byte(`{"AT":"5","fo_r":"90","n":1.50}`), &u))
	assert.Equal(t, units{time.UnixMilli(5).UTC(), 90 * time.Minute, "1.50"}, u)
	for _, body := range []string{`{"at":5} x`, `{"for":0.5}`, `{"for":153722868}`, `{"for":-153722868}`, `{"at":true}`, `{"at":`, `{"for":`, `{"n":"1"}`, `{"n":`} {
		require.Error(t, Unmarshal([]byte(body), &units{}), body)
	}
	require.NoError(t, Unmarshal([]byte(`{"at":null,"for":null,"n":null}`), &u))
	assert.Zero(t, u)
	var n int64
	require.NoError(t, Unmarshal([]byte(`"12"`), &n))
	assert.Equal(t, int64(12), n)
	require.NoError(t, Unmarshal([]byte(`1e2`), &n))
	assert.Equal(t, int64(100), n)
	require.Error(t, Unmarshal([]byte(`1e-2`), &n))
	var yes bool
	require.NoError(t, Unmarshal([]byte(`"true"`), &yes))
	assert.True(t, yes)
	require.Error(t, Unmarshal([]byte(`1`), &yes))
	require.Error(t, Unmarshal([]byte(``), &n))
}

func TestUnmarshalOpen(t *testing.T) {
	got, err := UnmarshalOpen([]byte(`{"a":[1,"b",true,null,{}],"a_B":9007199254740993}`))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"a": []any{stdjson.Number("1"), "b", true, nil, map[string]any{}}, "a_B": stdjson.Number("9007199254740993"),
	}, got)
}

// skipAll reads whatever the data are.
func skipAll(dec *Decoder) error {
	dec.Value()
	return nil
}

func TestOpenFlags(t *testing.T) {
	for body, want := range map[string]Envelope{
		`{"id":1}`: {Data: true}, `[]`: {Data: true}, `{"data":1}`: {Data: true}, `{"data":null}`: {Null: true}, `null`: {Null: true},
		`{"error":"a"}`: {Failed: true}, `{"data":null,"errors":["a"]}`: {Null: true, Failed: true}, `{"data":1,"ERROR":{"a":1}}`: {Data: true, Failed: true},
		`{"error":null,"errors":[ ]}`: {Data: true}, `{"data":null,"data":1}`: {Data: true}, `{"data":1,"data":null}`: {Null: true},
	} {
		got, err := Open([]byte(body), skipAll)
		require.NoError(t, err, body)
		assert.Equal(t, want, got, body)
	}
}

// Decoders are reused: what one answer was must not show in the next.
func TestOpenKeepsNothing(t *testing.T) {
	for range 100 {
		_, err := Open([]byte(`{"data":[1,{"a":`), skipAll)
		require.Error(t, err)
		e, err := Open([]byte(`{"data":[1],"pagination":{"next":"kept"}}`), skipAll)
		require.NoError(t, err)
		_, err = Open([]byte(`{"data":[1],"pagination":{"next":"over"}}`), skipAll)
		require.NoError(t, err)
		next, err := e.Next()
		require.NoError(t, err)
		assert.Equal(t, "kept", next)
	}
}

func TestDecodeList(t *testing.T) {
	var got []int64
	item := func(dec *Decoder) error {
		var n int64
		err := Decode(dec, &n)
		got = append(got, n)
		return err
	}
	list := func(body string) (Envelope, error) {
		got = nil
		return Open([]byte(body), func(dec *Decoder) error { return DecodeList(dec, item) })
	}
	_, err := list(`{"data":[1,"2",3]}`)
	require.NoError(t, err)
	assert.Equal(t, []int64{1, 2, 3}, got)
	for body, path := range map[string]string{`{"data":{}}`: "", `"a"`: "", `[1,true]`: "/1", `{"data":[1,[2]]}`: "/1", `[1`: "", `[1 2]`: "", `x`: "", ``: ""} {
		_, err := list(body)
		var e *Error
		require.ErrorAs(t, err, &e, body)
		assert.Equal(t, path, e.Path, body)
	}
}

func TestPast(t *testing.T) {
	for _, value := range []string{`"a"`, `{"a":["]}",{}]}`, `[[1,2],"x"]`, `null`, `false`, `-1.5e0`} {
		var values []string
		var failures int
		_, err := Open([]byte(`{"data":[ 1 , `+value+`,`+value+` ,2]}`), func(dec *Decoder) error {
			return DecodeList(dec, func(dec *Decoder) error {
				kind, mark := dec.Kind(), dec.Mark()
				var err error
				if kind == '{' || kind == '[' { // half of it
					dec.enter()
					dec.Value()
					err = errors.New("odd")
				} else {
					err = Decode(dec, new(int))
				}
				values = append(values, string(dec.Past(mark, err)))
				if err != nil {
					failures++
				}
				return nil
			})
		})
		require.NoError(t, err)
		assert.Equal(t, []string{"1", value, value, "2"}, values)
		if value == "null" {
			assert.Zero(t, failures)
			continue
		}
		assert.Equal(t, 2, failures, value)
	}
}

func TestErrorPaths(t *testing.T) {
	type record struct {
		A []int64 `json:"a"`
	}
	for body, want := range map[string]string{
		`{"data":{"a":[1,true]}}`: "/a/1", `{"DATA":{"a":[1,true]}}`: "/a/1", `{"a":[true]}`: "/a/0", `{"data":true}`: "", `{"d_ata":7}`: "", `7`: "",
	} {
		_, err := Open([]byte(body), func(dec *Decoder) error { return Decode(dec, new(record)) })
		var e *Error
		require.ErrorAs(t, err, &e, body)
		assert.Equal(t, want, e.Path, body)
		assert.NotEmpty(t, e.Error())
		assert.Equal(t, e.Reason, errors.Unwrap(e))
	}
}

func TestExplain(t *testing.T) {
	require.NoError(t, Explain(nil))
	require.NoError(t, Below("/a", nil))
	other := errors.New("other")
	require.ErrorIs(t, Explain(other), other)
	var e *Error
	require.ErrorAs(t, Below("/a", Explain(&Error{Path: "/b", Reason: ErrText})), &e)
	assert.Equal(t, "/a/b", e.Path)
	for body, want := range map[string]string{
		`"x"`: "a string does not fit", `true`: "a boolean does not fit", `{}`: "an object does not fit", `[]`: "a list does not fit", `[`: "the JSON ends too early", `1.5`: "a number does not fit",
		``: "the JSON ends too early", `x`: "broken JSON at byte 0",
	} {
		var n int32
		assert.EqualError(t, Explain(Unmarshal([]byte(body), &n)), want, body)
	}
	assert.Equal(t, "a value", kindName(0))
	assert.Equal(t, "null", kindName('n'))
}

func TestQuery(t *testing.T) {
	yes, name := false, "a"
	type state string
	type key string
	got, err := Query(struct {
		Flag    *bool          `query:"flag"`
		Name    *string        `query:"name"`
		None    *bool          `query:"none"`
		State   state          `query:"state"`
		List    []state        `query:"list"`
		IDs     []int64        `query:"ids"`
		Map     map[key]any    `query:"map"`
		Empty   map[string]any `query:"empty"`
		At      time.Time      `query:"at"`
		For     time.Duration  `query:"for"`
		Count   int            `query:"count"`
		Ratio   float32        `query:"ratio"`
		Unsent  string
		Skipped uint8 `query:"skipped"`
	}{
		Flag: &yes, Name: &name, State: "open", List: []state{"a", "b"}, IDs: []int64{1, 2}, At: time.UnixMilli(5), For: time.Hour, Count: 3,
		Ratio: 0.1, Unsent: "x",
		Map: map[key]any{"text": state("a"), "number": stdjson.Number("1.50"), "big": uint64(math.MaxUint64), "float": 1e21, "flag": true},
	})
	require.NoError(t, err)
	assert.Equal(t, url.Values{
		"flag": {"false"}, "name": {"a"}, "state": {"open"}, "list": {"a", "b"}, "ids": {"1", "2"}, "at": {"5"}, "for": {"60"}, "count": {"3"}, "ratio": {"0.1"},
		"map[text]": {"a"}, "map[number]": {"1.50"}, "map[big]": {"18446744073709551615"}, "map[float]": {"1000000000000000000000"}, "map[flag]": {"true"},
	}, got)
}

func TestRefusedQueries(t *testing.T) {
	for name, options := range map[string]any{
		"negative": struct {
			N int `query:"a"`
		}{-1},
		"negative in a list": struct {
			N []int64 `query:"a"`
		}{[]int64{1, -1}},
		"zero in a list": struct {
			N []int64 `query:"a"`
		}{[]int64{0}},
		"half a minute": struct {
			D time.Duration `query:"a"`
		}{30 * time.Second},
		"negative duration": struct {
			D time.Duration `query:"a"`
		}{-time.Minute},
	} {
		_, err := Query(options)
		assertArgument(t, err, name)
	}
	for _, value := range []any{nil, []string{"a"}, map[string]any{}, math.NaN(), math.Inf(1), func() {}, struct{}{}, 90 * time.Second} {
		_, err := Query(struct {
			M map[string]any `query:"a"`
		}{map[string]any{"key": value}})
		assertArgument(t, err, fmt.Sprintf("%T", value))
	}
	for _, key := range []string{"", "a]", "[a", "a][b", "a\x00", "a\n", "a\u0085", "\xff"} {
		_, err := Query(struct {
			M map[string]any `query:"a"`
		}{map[string]any{key: "b"}})
		assertArgument(t, err, fmt.Sprintf("%q", key))
	}
	type state string
	_, err := Query(struct {
		M map[string]any `query:"a"`
	}{map[string]any{"b": state("")}})
	assertArgument(t, err, "empty attribute")
	_, err = Query(struct {
		L []state `query:"a"`
	}{[]state{"b", ""}})
	assertArgument(t, err, "empty element")
}

func assertArgument(t *testing.T, err error, name string) {
	t.Helper()
	var argument *ArgumentError
	if assert.ErrorAs(t, err, &argument, name) {
		assert.Equal(t, "a", argument.Argument, name)
		assert.True(t, strings.HasPrefix(err.Error(), "a: "), name)
		assert.ErrorIs(t, err, argument.Reason)
	}
}

func TestFold(t *testing.T) {
	for _, name := range []string{"created_at", "createdAt", "CREATED-AT", "CreatedAt", "_created__at_"} {
		assert.Equal(t, "createdat", Fold(name))
	}
	assert.Equal(t, "é", Fold("é"))
}

// What a decoder passes over, and what it takes, must end where it ends.
func TestDecoderFindsTheEnds(t *testing.T) {
	type inner struct {
		N    int64  `json:"n"`
		Text string `json:"text"`
	}
	type record struct {
		ID    int64                         `json:"id"`
		Count int                           `json:"count"`
		Text  string                        `json:"text"`
		Yes   bool                          `json:"yes"`
		List  []string                      `json:"list"`
		Inner *inner                        `json:"inner"`
		At    time.Time                     `json:"at"`
		Open  map[string]any                `json:"open"`
		Rest  map[string]stdjson.RawMessage `json:",embed"`
	}
	for body, want := range map[string]record{
		`{"id":1,"x":"a\\","text":"b"}`:                         {ID: 1, Text: "b", Rest: rest("x", `"a\\"`)},
		`{"x":"\\\"}","text":"\\\"","id":2}`:                    {ID: 2, Text: `\"`, Rest: rest("x", `"\\\"}"`)},
		`{"x":{"}":["]",{"a":"{[\""}]},"id":3}`:                 {ID: 3, Rest: rest("x", `{"}":["]",{"a":"{[\""}]}`)},
		"{ \"id\" :\t4 ,\r\n\"list\" : [ \"a\" , \"b\" ] }":     {ID: 4, List: []string{"a", "b"}},
		`{"list":[],"inner":{},"open":{},"id":5}`:               {ID: 5, List: []string{}, Inner: &inner{}, Open: map[string]any{}},
		`{"id":"6","count":"7","at":"8","yes":true}`:            {ID: 6, Count: 7, At: time.UnixMilli(8).UTC(), Yes: true},
		`{"id":-9,"count":-1,"at":-1}`:                          {ID: -9, Count: -1, At: time.UnixMilli(-1).UTC()},
		`{"id":999999999999999999,"count":0}`:                   {ID: 999999999999999999},
		`{"id":9223372036854775807,"inner":{"n":1,"text":"a"}}`: {ID: math.MaxInt64, Inner: &inner{1, "a"}},
		`{"x":-1.5e+3,"y":null,"z":false,"id":1}`:               {ID: 1, Rest: map[string]stdjson.RawMessage{"x": []byte(`-1.5e+3`), "y": []byte(`null`), "z": []byte(`false`)}},
		`{"open":{"a":[1.50,{"b":"\ud83d\ude00"},null,false]},"text":"é","id":1}`: {ID: 1, Text: "é", Open: map[string]any{
			"a": []any{stdjson.Number("1.50"), map[string]any{"b": "😀"}, nil, false}}},
		"{\"text\":\"a\xffb\",\"x\":\"\xff\",\"id\":1}": {ID: 1, Text: "a\ufffdb", Rest: rest("x", "\"\xff\"")},
		`{"te\u0078t":"a","id":1}`:                      {ID: 1, Text: "a"},
		`{"id":1,"text":null,"list":null,"inner":null,"at":null,"open":null,"yes":null,"count":null}`: {ID: 1},
	} {
		var got record
		require.NoError(t, UnmarshalObject([]byte(body), &got), body)
		assert.Equal(t, want, got, body)
	}
	for body, path := range map[string]string{
		`{"id":1e-2}`: "/id", `{"id":9223372036854775808}`: "/id", `{"id":9999999999999999999}`: "/id", `{"id":1.5}`: "/id", `{"count":true}`: "/count",
		`{"inner":{"n":[]}}`: "/inner/n", `{"list":["a",[]]}`: "/list/1", `{"list":{}}`: "/list", `{"open":[]}`: "/open", `{"yes":"yes"}`: "/yes",
		`{"Inner":{"TEXT":{}}}`: "/Inner/TEXT", `{"at":1.5}`: "/at", `{"at":99999999999999999999}`: "/at", `[]`: "", `{"id":1`: "", `{"id":1}}`: "", `{"id":{}`: "",
	} {
		var e *Error
		require.ErrorAs(t, Explain(UnmarshalObject([]byte(body), new(record))), &e, body)
		assert.Equal(t, path, e.Path, body)
	}
}

func rest(name, value string) map[string]stdjson.RawMessage {
	return map[string]stdjson.RawMessage{name: stdjson.RawMessage(value)}
}

// A text that comes again is the same string, and another one never is, whatever their hashes.
func TestTextsStayApart(t *testing.T) {
	var texts texts
	for i := range 10_000 {
		want := strings.Repeat("x", i%40) + fmt.Sprint(i%3000)
		require.Equal(t, want, texts.of([]byte(want)))
	}
}

// An integer that does not fit the field is an error, not another number.
func TestIntegerOfAnotherWidth(t *testing.T) {
	var n int
	require.NoError(t, Unmarshal([]byte(`"12"`), &n))
	assert.Equal(t, 12, n)
	if math.MaxInt == math.MaxInt64 {
		require.Error(t, Unmarshal([]byte(`9223372036854775808`), &n))
		return
	}
	require.ErrorIs(t, Explain(Unmarshal([]byte(`9223372036854775807`), &n)), ErrInteger)
}

// A layout tells 64 members apart as it goes; a type with more of them is read by the longer way.
func TestObjectsOfManyMembers(t *testing.T) {
	var fields []reflect.StructField
	for i := range 70 {
		fields = append(fields, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: reflect.TypeFor[map[string]any](), Tag: reflect.StructTag(fmt.Sprintf(`json:"f_%d"`, i))})
	}
	v := reflect.New(reflect.StructOf(fields))
	require.NoError(t, UnmarshalObject([]byte(`{"f_0":{"a":1},"f_69":{"a":1},"f69":{"c":3},"f_69":{"b":2},"f_0":{"b":2}}`), v.Interface()))
	for i := range 70 {
		var want map[string]any
		if i == 0 || i == 69 {
			want = map[string]any{"b": stdjson.Number("2")}
		}
		assert.Equal(t, want, v.Elem().Field(i).Interface(), i)
	}
	var e *Error
	require.ErrorAs(t, UnmarshalObject([]byte(`{"F69":[]}`), v.Interface()), &e)
	assert.Equal(t, "/F69", e.Path)
}

func TestWithoutRepeats(t *testing.T) {
	for data, want := range map[string]string{
		`{"a":1,"b":2}`: `{"a":1,"b":2}`, `{"a":1 , "a":2}`: `{"a":2}`, `{"a":1,"A":2,"a":3,"a":4}`: `{"A":2,"a":4}`, `{"\u0061":1,"a":2}`: `{"a":2}`,
		`[{"a":{"b":1,"b":2},"c":3,"a":{"d":[{"e":1,"e":2}]}}, 7]`: `[{"c":3,"a":{"d":[{"e":2}]}}, 7]`, `{"a":1,"a":2`: `{"a":1,"a":2`, `{"a":1,"a":2} x`: `{"a":1,"a":2} x`,
		"{\"\xff\":1,\"\xfe\":\"\xff\"}": "{\"\xfe\":\"\xff\"}", ``: ``, ` {"a":"}\"","a":null} `: ` {"a":null} `,
	} {
		assert.Equal(t, want, string(withoutRepeats([]byte(data))), data)
	}
}

func TestNames(t *testing.T) {
	var n names
	n.add("id", "", isBlank)
	n.add("created_at", "born_on", isNull)
	for name, want := range map[string]candidate{
		"id": {member: 0, rank: ownName}, "ID": {member: 0, rank: foldedName}, "i_d": {member: 0, rank: foldedName}, "created_at": {member: 1, rank: ownName},
		"createdAt": {member: 1, rank: foldedName}, "born_on": {member: 1, rank: otherName}, "BornOn": {member: 1, rank: otherName},
		"_id": {member: -1}, "id_": {member: -1}, "i-d": {member: -1}, "": {member: -1}, "_": {member: -1}, "-": {member: -1}, "born-on": {member: -1}, "\u0131d": {member: -1},
		strings.Repeat("x", 100): {member: -1}, "created" + strings.Repeat("_", 100) + "at": {member: 1, rank: foldedName},
	} {
		member, rank := n.find([]byte(name))
		assert.Equal(t, want, candidate{member: member, rank: rank}, name)
	}
}

func TestDecodeMember(t *testing.T) {
	for body, want := range map[string]string{
		`{"a":1,"my_list":[2],"b":3}`: `[2]`, `{"myList":[1],"MYLIST":[2]}`: `[1]`, `{"myList":[1],"myList":null}`: `null`, `{"a":1}`: "", `{}`: "",
	} {
		dec, err := newDecoder([]byte(body))
		require.NoError(t, err)
		var got string
		found, err := DecodeMember(dec, "myList", func(dec *Decoder) error {
			got = string(dec.Value())
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, want != "", found, body)
		assert.Equal(t, want, got, body)
		assert.Equal(t, len(body), dec.Mark(), "the object is behind")
		dec.free()
	}
	dec, err := newDecoder([]byte(`{"MY_LIST":1}`))
	require.NoError(t, err)
	defer dec.free()
	_, err = DecodeMember(dec, "myList", func(dec *Decoder) error { return ErrText })
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "/MY_LIST", e.Path)
}

func TestOpenBare(t *testing.T) {
	for body, want := range map[string]string{
		`{"count":1,"data":[2]}`: `{"count":1,"data":[2]}`, `[1]`: `[1]`, `{"data":[],"errors":["a"]}`: `{"data":[],"errors":["a"]}`, `{"error":"a"}`: "", `null`: "",
	} {
		var got string
		_, err := OpenBare([]byte(body), func(dec *Decoder) error {
			got = string(dec.Value())
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, want, got, body)
	}
}

func TestQueryValue(t *testing.T) {
	for link, want := range map[string]string{
		"https://a.example/b?x=1&c=a%2Bb": "a+b", "/b?c=1#c=2": "1", "?c=": "", "c=1": "", "?c=1;d&c=2": "2", "?%zz&c=3": "3",
	} {
		assert.Equal(t, want, QueryValue(link, "c"), link)
	}
}

func TestMilliseconds(t *testing.T) {
	type record struct {
		Left time.Duration `json:"left" wire:"milliseconds"`
	}
	for body, want := range map[string]time.Duration{`{"left":1500}`: 1500 * time.Millisecond, `{"left":"7"}`: 7 * time.Millisecond, `{"left":null}`: 0} {
		var r record
		require.NoError(t, UnmarshalObject([]byte(body), &r))
		assert.Equal(t, want, r.Left)
	}
	require.Error(t, UnmarshalObject([]byte(`{"left":9223372036854775807}`), new(record)))
	require.Error(t, UnmarshalObject([]byte(`{"left":0.5}`), new(record)))
}
