package testkit

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
)

// RefusedIntegers are refused wherever an integer belongs.
var RefusedIntegers = []string{
	`1.5`, `1e-1`, `15e-1`, `"1.5"`, `1e19`, `9223372036854775807.5`, `9.2233720368547758075e18`, `1e999999999`, `1e-999999999`, `1e9223372036854775808`,
	`9223372036854775808`, `-9223372036854775809`, `"9223372036854775808"`, `"1."`, `".5"`, `"1e"`, `"1e+"`, `"e1"`, `"-"`, `"1.0.0"`, `"1,0"`,
	`"+7"`, `" 7"`, `"7 "`, `"0x7"`, `"1_000"`, `"seven"`, `" "`, `"NaN"`, `true`, `false`, `[7]`, `{"id":7}`,
}

// JSONTypes returns every type that users may put through encoding/json: records, requests, and the parts of records.
func JSONTypes() []reflect.Type {
	types := append(RecordTypes(), RequestTypes()...)
	return append(types, reflect.TypeFor[drift.Author](), reflect.TypeFor[drift.Button](),
		reflect.TypeFor[drift.ButtonReaction](), reflect.TypeFor[drift.Attachment](),
		reflect.TypeFor[drift.MessageContext](), reflect.TypeFor[drift.TagRef]())
}

// RecordTypes returns what the operations return.
func RecordTypes() []reflect.Type {
	var types []reflect.Type
	for _, service := range Services() {
		for method := range service.Methods() {
			out := method.Type.Out(0)
			if out.Kind() != reflect.Pointer {
				continue // an error, or a sequence
			}
			out = out.Elem()
			if items, ok := out.FieldByName("Items"); ok {
				out = items.Type.Elem().Elem()
			}
			if !slices.Contains(types, out) {
				types = append(types, out)
			}
		}
	}
	return byName(types)
}

// byName sorts types, so that a number means the same type in every run.
func byName(types []reflect.Type) []reflect.Type {
	slices.SortFunc(types, func(a, b reflect.Type) int { return strings.Compare(a.Name(), b.Name()) })
	return types
}

// RequestTypes returns the bodies that the operations take.
func RequestTypes() []reflect.Type {
	var types []reflect.Type
	for _, service := range Services() {
		for method := range service.Methods() {
			for _, argument := range StructArguments(method.Type) {
				if strings.HasSuffix(argument.Name(), "Request") {
					types = append(types, argument)
				}
			}
		}
	}
	return byName(types)
}

// FillTime is every instant of a filled value.
var FillTime = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)

// fill gives a value and everything in it another value than zero.
func fill(t testing.TB, v reflect.Value) {
	t.Helper()
	if fillOptional(t, v.Addr().Interface()) {
		return
	}
	if known, ok := filling(v.Type()); ok {
		v.Set(reflect.ValueOf(known))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(`a "text" <&> é` + v.Type().Name())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1<<53 + 1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0))
		fill(t, v.Index(1))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	default:
		require.Fail(t, "cannot fill", "%s", v.Type())
	}
}

// fillOptional fills the value of an Optional, and reports whether there is one.
func fillOptional(t testing.TB, v any) bool {
	return fillOptionalOf[bool](t, v) || fillOptionalOf[string](t, v) || fillOptionalOf[time.Time](t, v) ||
		fillOptionalOf[time.Duration](t, v) || fillOptionalOf[[]string](t, v) || fillOptionalOf[drift.Attributes](t, v) ||
		fillOptionalOf[drift.ConversationID](t, v) || fillOptionalOf[drift.UserID](t, v) ||
		fillOptionalOf[drift.WorkflowID](t, v) || fillOptionalOf[drift.MessageType](t, v) ||
		fillOptionalOf[[]drift.ParticipantID](t, v) || fillOptionalOf[[]drift.UserID](t, v) ||
		fillOptionalOf[[]classic.CustomProperty](t, v) || fillOptionalOf[classic.SCIMName](t, v) ||
		fillOptionalOf[[]classic.SCIMValue](t, v)
}

func fillOptionalOf[T any](t testing.TB, v any) bool {
	optional, ok := v.(*drift.Optional[T])
	if ok {
		*optional = drift.Set(*Filled(t, reflect.TypeFor[T]()).Interface().(*T))
	}
	return ok
}

// filling returns a value for the types whose kind does not tell what is good for them.
func filling(of reflect.Type) (any, bool) {
	switch of {
	case reflect.TypeFor[time.Time]():
		return FillTime, true
	case reflect.TypeFor[time.Duration]():
		return 45 * time.Minute, true
	case reflect.TypeFor[json.RawMessage]():
		return json.RawMessage(`{"Slot_at":[1.50,"b"]}`), true
	case reflect.TypeFor[map[string]int]():
		return map[string]int{"OPEN": 1, "New_one": 1 << 20}, true
	case reflect.TypeFor[classic.Metric]():
		return classic.Metric("1.50"), true
	case reflect.TypeFor[any]():
		return "a payload", true
	case reflect.TypeFor[map[string]json.RawMessage]():
		return map[string]json.RawMessage{
			"x_new": json.RawMessage(`{"b":1,"a":[null,9007199254740993]}`), "X": json.RawMessage(`"é"`),
		}, true
	case reflect.TypeFor[drift.Attributes]():
		return drift.Attributes{"text": "<a>", "exact": json.Number("9007199254740993"), "none": nil, "yes": true,
			"list": []any{json.Number("0.10"), map[string]any{"Deep_Key": "b"}}}, true
	}
	return nil, false
}

// Filled returns a pointer to a value in which nothing is zero.
func Filled(t testing.TB, of reflect.Type) reflect.Value {
	v := reflect.New(of)
	fill(t, v.Elem())
	return v
}

// Encoded returns v as JSON.
func Encoded(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}
