package drift_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

// This file decodes records a second time: slowly, over the members of an object in their order, and only by what
// "Accepted" and "Refused" in docs/wire-format.md say. It shares no code with internal/wire.

var errRefused = errors.New("refused")

// refer decodes a value into one that is zero.
func refer(raw json.RawMessage, v reflect.Value) error {
	switch {
	case v.Type() == reflect.TypeFor[json.RawMessage]():
		if string(raw) != "null" {
			v.SetBytes(raw)
		}
		return nil
	case v.Kind() == reflect.Slice:
		return referList(raw, v)
	case string(raw) == "null":
		return nil
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return refer(raw, v.Elem())
	case v.Type() == reflect.TypeFor[time.Time]():
		return referInstant(raw, v)
	case v.Kind() == reflect.Struct:
		return referObject(raw, v)
	case v.Kind() == reflect.Map:
		return referMap(raw, v)
	case v.Kind() == reflect.String:
		return referText(raw, v)
	case v.Kind() == reflect.Bool:
		return referBoolean(raw, v)
	default:
		return referInteger(raw, v)
	}
}

// "one element in place of a list; an empty text is no list"
func referList(raw json.RawMessage, v reflect.Value) error {
	if string(raw) == "null" || string(raw) == `""` {
		return nil
	}
	elements := []json.RawMessage{raw}
	if raw[0] == '[' {
		elements = nil
		if err := json.Unmarshal(raw, &elements); err != nil {
			return err
		}
	}
	v.Set(reflect.MakeSlice(v.Type(), len(elements), len(elements)))
	for i, element := range elements {
		if err := refer(element, v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

// "free maps are kept as they are; numbers are json.Number"
func referMap(raw json.RawMessage, v reflect.Value) error {
	if raw[0] != '{' {
		return errRefused
	}
	decoder := json.NewDecoder(bytes.NewReader(lastOfEach(raw)))
	decoder.UseNumber()
	var object map[string]any
	err := decoder.Decode(&object)
	v.Set(reflect.ValueOf(object).Convert(v.Type()))
	return err
}

// lastOfEach writes an object without names that come twice, which encoding/json would merge.
func lastOfEach(raw json.RawMessage) json.RawMessage {
	switch raw[0] {
	case '{':
		object := map[string]json.RawMessage{}
		for _, m := range membersOf(raw) {
			object[m.name] = lastOfEach(m.value)
		}
		text, _ := json.Marshal(object)
		return text
	case '[':
		var list []json.RawMessage
		_ = json.Unmarshal(raw, &list)
		for i := range list {
			list[i] = lastOfEach(list[i])
		}
		text, _ := json.Marshal(list)
		return text
	}
	return raw
}

// "text: a string, or the text of a number or a boolean, all digits kept"
func referText(raw json.RawMessage, v reflect.Value) error {
	switch {
	case raw[0] == '"':
		v.SetString(unquote(raw))
	case raw[0] == '{', raw[0] == '[':
		return errRefused
	default:
		v.SetString(string(raw))
	}
	return nil
}

// "booleans: true and false, also in a string"
func referBoolean(raw json.RawMessage, v reflect.Value) error {
	switch text := scalarOf(raw); {
	case raw[0] != '"' && raw[0] != 't' && raw[0] != 'f', text != "true" && text != "false" && text != "":
		return errRefused
	default:
		v.SetBool(text == "true")
		return nil
	}
}

// "integers: exact up to 2^63-1, also in a string, with a fraction or an exponent as long as the value is whole"
func referInteger(raw json.RawMessage, v reflect.Value) error {
	if strings.ContainsRune("tf{[", rune(raw[0])) {
		return errRefused
	}
	n, ok := wholeNumber(scalarOf(raw))
	if ok && v.Type() == reflect.TypeFor[time.Duration]() { // "durations: whole minutes"
		minutes := n
		n *= int64(time.Minute)
		ok = n/int64(time.Minute) == minutes
	}
	if !ok {
		return errRefused
	}
	v.SetInt(n)
	return nil
}

// "instants: integer milliseconds, the same in a string, or RFC 3339 with a zone; 0 is the zero time"
func referInstant(raw json.RawMessage, v reflect.Value) error {
	text := scalarOf(raw)
	ms, ok := wholeNumber(text)
	if !ok && rfc3339.MatchString(text) {
		t, err := time.Parse(time.RFC3339, strings.ToUpper(text))
		ms, ok = t.UnixMilli(), err == nil
	}
	if !ok || strings.ContainsRune("tf{[", rune(raw[0])) {
		return errRefused
	}
	if ms != 0 {
		v.Set(reflect.ValueOf(time.UnixMilli(ms).UTC()))
	}
	return nil
}

var (
	rfc3339    = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`)
	jsonNumber = regexp.MustCompile(`^-?\d+(\.\d+)?([eE][+-]?\d+)?$`)
)

// wholeNumber is what package big makes of a number; of no text, 0.
func wholeNumber(text string) (int64, bool) {
	if text == "" {
		return 0, true
	}
	if !jsonNumber.MatchString(text) {
		return 0, false
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	number, _ := new(big.Rat).SetString(mantissa)
	if power, err := strconv.Atoi(cmp.Or(exponent, "0")); err != nil || max(power, -power) > 10_000 {
		return 0, number.Sign() == 0
	}
	number, _ = number.SetString(text)
	return number.Num().Int64(), number.IsInt() && number.Num().IsInt64()
}

// scalarOf is the text of a string, or of any other value as it stands.
func scalarOf(raw json.RawMessage) string {
	if raw[0] == '"' {
		return unquote(raw)
	}
	return string(raw)
}

func unquote(raw json.RawMessage) (text string) {
	_ = json.Unmarshal(raw, &text)
	return text
}

type jsonMember struct {
	name  string
	value json.RawMessage
}

func membersOf(raw json.RawMessage) (members []jsonMember) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	_, _ = decoder.Token()
	for decoder.More() {
		name, _ := decoder.Token()
		m := jsonMember{name: name.(string)}
		_ = decoder.Decode(&m.value)
		members = append(members, m)
	}
	return members
}

// referObject: "of one name that comes twice the last value; the field's own name before another spelling before the
// other name; a value before null; then the last".
func referObject(raw json.RawMessage, v reflect.Value) error {
	if v.Type() == reflect.TypeFor[drift.TagRef]() && raw[0] != '{' { // "tags: names or objects"
		return referText(raw, v.FieldByName("Name"))
	}
	if raw[0] != '{' {
		return errRefused
	}
	spellings := map[string]int{}
	members := membersOf(raw)
	for i, m := range members {
		spellings[m.name] = i
	}
	best := map[int][]int{} // what speaks for each field's value, and the value's place in the end
	for name, i := range spellings {
		field, merit := meaning(v.Type(), name)
		if field < 0 {
			keepExtra(v, name, members[i].value)
			continue
		}
		claim := append(merit, i)
		if says(members[i].value, v.Field(field).Type()) {
			claim = append([]int{1}, claim...)
		} else {
			claim = append([]int{0}, claim...)
		}
		if known, found := best[field]; !found || slicesCompare(claim, known) > 0 {
			best[field] = claim
		}
	}
	for field, claim := range best {
		if err := refer(members[claim[len(claim)-1]].value, v.Field(field)); err != nil {
			return fmt.Errorf("%s: %w", v.Type().Field(field).Name, err)
		}
	}
	return nil
}

func slicesCompare(a, b []int) int {
	for i := range a {
		if c := cmp.Compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return 0
}

func keepExtra(v reflect.Value, name string, raw json.RawMessage) {
	extra := v.FieldByName("Extra")
	if !extra.IsValid() {
		return // of a request, which has none
	}
	if extra.IsNil() {
		extra.Set(reflect.ValueOf(map[string]json.RawMessage{}))
	}
	extra.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(raw))
}

// meaning returns the field that a name means, or -1, and how well it does.
func meaning(of reflect.Type, name string) (field int, merit []int) {
	foreign := strings.HasPrefix(name, "_") || strings.HasSuffix(name, "_") || strings.Contains(name, "-")
	same := func(other string) bool { return !foreign && other != "" && plainName(name) == plainName(other) }
	field = -1
	for i := range of.NumField() {
		own, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		switch {
		case own == "":
		case name == own:
			return i, []int{2}
		case same(own):
			field, merit = i, []int{1}
		case same(of.Field(i).Tag.Get("also")) && field < 0:
			field, merit = i, []int{0}
		}
	}
	return field, merit
}

// plainName is a name without case and underscores, which only ASCII has here.
func plainName(name string) string {
	lower := []byte(strings.ReplaceAll(name, "_", ""))
	for i, b := range lower {
		if 'A' <= b && b <= 'Z' {
			lower[i] = b | 0x20
		}
	}
	return string(lower)
}

// says: "null says nothing, and an empty text only where text is due".
func says(raw json.RawMessage, of reflect.Type) bool {
	if of.Kind() == reflect.Pointer {
		return says(raw, of.Elem())
	}
	emptyIsText := of.Kind() == reflect.String || of.Kind() == reflect.Struct && of != reflect.TypeFor[time.Time]() ||
		of.Kind() == reflect.Map || of == reflect.TypeFor[json.RawMessage]()
	return string(raw) != "null" && (emptyIsText || string(raw) != `""`)
}

// referredTypes are the records, their parts, and the requests that read themselves by the same rules.
func referredTypes() []reflect.Type {
	types := []reflect.Type{reflect.TypeFor[drift.MeetingCreateRequest](), reflect.TypeFor[drift.NoteCreateRequest]()}
	for _, of := range testkit.JSONTypes() {
		if !strings.HasSuffix(of.Name(), "Request") {
			types = append(types, of)
		}
	}
	return types
}

// requireReferred: the package and the reference make the same record of the data, or both refuse them.
func requireReferred(t testing.TB, of reflect.Type, data []byte) {
	t.Helper()
	want := reflect.New(of)
	wantErr := errRefused
	if json.Valid(data) {
		wantErr = refer(bytes.TrimSpace(data), want.Elem())
	}
	got := testkit.Filled(t, of) // of which nothing must remain
	err := got.Interface().(json.Unmarshaler).UnmarshalJSON(data)
	if (err == nil) != (wantErr == nil) {
		require.Fail(t, "one of two refuses", "%s: %v, and the reference: %v\n%s", of.Name(), err, wantErr, data)
	}
	if err == nil && !reflect.DeepEqual(want.Interface(), got.Interface()) {
		require.Equal(t, want.Interface(), got.Interface(), "%s", data)
	}
}

// FuzzReference holds the decoder of records, which takes short cuts, to the reference, which takes none.
func FuzzReference(f *testing.F) {
	types := referredTypes()
	seeds := append(oddAnswers,
		`{"id":1,"_id":7,"__id__":8,"i-d":9,"i_d":10}`, `{"created_at":5,"createdAt":null}`, `{"createdAt":null,"created_at":""}`, `{"ID":{},"id":1}`,
		`{"id":1,"author":{"id":1,"bot":true},"author":{"id":2}}`, `{"id":null,"title":null,"tags":null,"archived":null,"created_at":null,"custom_attributes":null}`,
		`{"id":5.0,"archived":"true","title":7.50,"labels":"a","participants":"50e-1","created_at":0,"conversation_tags":{"id":"3","x":1},"tags":null}`,
		`{"attachment":{"id":1},"Attachment":null,"attachments":"","buttons":{"label":true,"reaction":{"type":1,"_type":2}}}`,
	)
	for i := range types {
		for _, seed := range seeds {
			f.Add(uint8(i), []byte(seed))
		}
		for seed := range uint64(20) {
			f.Add(uint8(i), newGenerator(seed).object(types[i], 0))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		if !utf8.Valid(data) || bytes.Contains(bytes.ToLower(data), []byte(`\ud`)) {
			return // how many U+FFFD stand for what is broken is of no interest
		}
		requireReferred(t, types[int(kind)%len(types)], data)
	})
}

// TestReference does the same with records that are odd on purpose.
func TestReference(t *testing.T) {
	for _, of := range referredTypes() {
		for seed := range uint64(2000) {
			requireReferred(t, of, newGenerator(seed).object(of, 0))
		}
	}
}

// The reference itself knows the rules.
func TestReferenceRefers(t *testing.T) {
	for data, want := range map[string]drift.Message{
		`{"_id":7,"ID":2,"id":1,"i-d":3}`:                         {ID: 1, Extra: map[string]json.RawMessage{"_id": json.RawMessage("7"), "i-d": json.RawMessage("3")}},
		`{"author":{"id":1,"bot":true},"author":{"id":2}}`:        {Author: &drift.Author{ID: 2}},
		`{"createdAt":5,"created_at":null,"labels":7}`:            {CreatedAt: time.UnixMilli(5).UTC(), Labels: []string{"7"}},
		`{"attachment":{"id":"4.0"},"attachments":"","body":1.0}`: {Attachments: []drift.Attachment{{ID: 4}}, Body: "1.0"},
	} {
		var got drift.Message
		require.NoError(t, refer(json.RawMessage(data), reflect.ValueOf(&got).Elem()))
		assert.Equal(t, want, got, data)
	}
	for _, data := range []string{`{"id":1.5}`, `{"body":{}}`, `{"reply":1}`, `{"created_at":"2026-01-01T3:04:05Z"}`, `{"labels":[[]]}`, `{"author":7}`} {
		require.Error(t, refer(json.RawMessage(data), reflect.ValueOf(new(drift.Message)).Elem()), data)
	}
}

// generator makes records with odd names and values, the same ones for a seed.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 1))} }

func pick[T any](g generator, values ...T) T { return values[g.IntN(len(values))] }

func (g generator) object(of reflect.Type, depth int) []byte {
	var text bytes.Buffer
	text.WriteByte('{')
	for i := range g.IntN(8) {
		if i > 0 {
			text.WriteString(pick(g, ",", " ,\n"))
		}
		field := of.Field(g.IntN(of.NumField()))
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		name = pick(g, cmp.Or(name, "x_new"), cmp.Or(field.Tag.Get("also"), name, "y"))
		fmt.Fprintf(&text, `"%s":%s`, g.spelled(name), g.value(field.Type, depth))
		if g.IntN(3) == 0 { // the same field once more
			fmt.Fprintf(&text, `,"%s":%s`, g.spelled(name), g.value(field.Type, depth))
		}
	}
	text.WriteByte('}')
	return text.Bytes()
}

// spelled writes a name in one of many ways, half of the time in its own.
func (g generator) spelled(name string) string {
	switch g.IntN(20) {
	case 0:
		return "_" + name
	case 1:
		return name + "_"
	case 2:
		return strings.ReplaceAll(name, "_", "-")
	case 3:
		return strings.ReplaceAll(name, "_", "__")
	case 4:
		return fmt.Sprintf(`\u%04x%s`, name[0], name[1:])
	case 5:
		return strings.ToUpper(name)
	case 6:
		return name[:1] + "_" + name[1:]
	case 7:
		return name[:len(name)-1] + "\u017f"
	case 8, 9, 10:
		return strings.ReplaceAll(name, "_", "")
	}
	return name
}

func (g generator) value(of reflect.Type, depth int) string {
	if g.IntN(3) == 0 || depth > 3 {
		return pick(g, `null`, `""`, `0`, `7`, `"7"`, `5.0`, `5e0`, `"50e-1"`, `5.5`, `1e400`, `-0.0`, `9223372036854775807`, `92233720368547758080e-1`, `true`, `"true"`, `"false"`,
			`false`, `"text"`, `"2026-01-02T03:04:05.678+01:00"`, `"1970-01-01T00:00:00Z"`, `"2026-01-02T3:04:05Z"`, `{}`, `[]`, `[null]`, `["a",1,true,""]`, `[5.0,"6"]`,
			`{"id":1,"id":2}`, `{"a":{"b":1},"a":{"c":1.50}}`, `" "`, `"\u0022"`)
	}
	switch {
	case of == reflect.TypeFor[time.Time]():
		return pick(g, `5`, `"1767225600123"`, `1767225600123.0`, `"2026-01-02T03:04:05Z"`, `0`)
	case of.Kind() == reflect.Pointer:
		return g.value(of.Elem(), depth)
	case of.Kind() == reflect.Struct:
		return string(g.object(of, depth+1))
	case of.Kind() == reflect.Slice && of.Elem().Kind() != reflect.Uint8:
		elements := make([]string, g.IntN(7))
		for i := range elements {
			elements[i] = g.value(of.Elem(), depth+1)
		}
		return "[" + strings.Join(elements, ", ") + "]"
	case of.Kind() == reflect.Bool:
		return pick(g, `true`, `false`, `"true"`)
	case of.Kind() == reflect.String:
		return pick(g, `"a"`, `"é\n"`, `7`, `1.50`, `false`)
	case of.Kind() == reflect.Map:
		return pick(g, `{"a":1.50,"A":[{"b":null}]}`, `{}`)
	default:
		return pick(g, `5`, `"6"`, `7.0`, `1e2`)
	}
}
