package wire

import (
	stdjson "encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type keeping struct {
	N     int64                         `json:"n,omitzero" also:"number"`
	At    time.Time                     `json:"at,omitzero"`
	List  []int64                       `json:"list,omitzero"`
	Inner *inner                        `json:"inner,omitzero"`
	Plain plain                         `json:"plain,omitzero"`
	Any   stdjson.RawMessage            `json:"any,omitzero" wire:"null"`
	Raw   stdjson.RawMessage            `json:"raw,omitzero"`
	Extra map[string]stdjson.RawMessage `json:",embed,inline"`
}

type inner struct {
	Yes   bool                          `json:"yes,omitzero"`
	Extra map[string]stdjson.RawMessage `json:",embed,inline"`
}

type plain struct {
	X stdjson.Number `json:"x,omitzero"`
}

func raws(pairs ...string) map[string]stdjson.RawMessage {
	m := map[string]stdjson.RawMessage{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = stdjson.RawMessage(pairs[i+1])
	}
	return m
}

func TestUnmarshalKeep(t *testing.T) {
	for data, want := range map[string]keeping{
		`{"n":"7","x":1}`:                        {N: 7, Extra: raws("x", "1")},
		`{"n":"x","at":5}`:                       {At: time.UnixMilli(5).UTC(), Extra: raws("n", `"x"`)},
		`{"N":[1,{"a":2}],"list":[3]}`:           {List: []int64{3}, Extra: raws("N", `[1,{"a":2}]`)},
		`{"list":[1,"x"],"n":1}`:                 {N: 1, Extra: raws("list", `[1,"x"]`)},
		`{"inner":{"yes":2,"y":3},"n":1}`:        {N: 1, Inner: &inner{Extra: raws("yes", "2", "y", "3")}},
		`{"inner":[]}`:                           {Extra: raws("inner", "[]")},
		`{"plain":{"x":"7.50"}}`:                 {Plain: plain{"7.50"}},
		`{"plain":{"x":"a"},"n":2}`:              {N: 2, Extra: raws("plain", `{"x":"a"}`)},
		`{"plain":{"x":" 7"}}`:                   {Extra: raws("plain", `{"x":" 7"}`)},
		`{"plain":{"x":-7e2}}`:                   {Plain: plain{"-7e2"}},
		`{"plain":{"x":""}}`:                     {},
		`{"any":null,"raw":null}`:                {Any: stdjson.RawMessage("null")},
		`{"number":1}`:                           {N: 1},
		`{"number":"x"}`:                         {Extra: raws("number", `"x"`)},
		`{"number":1,"n":2,"at":"x"}`:            {N: 2, Extra: raws("number", "1", "at", `"x"`)},
		`{"n":2,"number":null}`:                  {N: 2},
		`{"n":null,"number":1}`:                  {N: 1},
		`{"n":"x","number":1}`:                   {Extra: raws("n", `"x"`, "number", "1")},
		`{"n":1,"n":2,"at":"x"}`:                 {N: 2, Extra: raws("at", `"x"`)},
		`null`:                                   {},
		`{"inner":{"yes":"true"},"at":"\ud83d"}`: {Inner: &inner{Yes: true}, Extra: raws("at", `"\ud83d"`)},
	} {
		got := keeping{N: 9, Extra: raws("old", "1")}
		require.NoError(t, UnmarshalKeep([]byte(data), &got), data)
		assert.Equal(t, want, got, data)
		got = keeping{}
		require.NoError(t, Value(data).DecodeKeep(&got), data)
		assert.Equal(t, want, got, data)
	}
	for _, data := range []string{`[]`, `"x"`, `7`, `{"n":1`, `{} {}`, ``} {
		require.Error(t, UnmarshalKeep([]byte(data), &keeping{}), data)
	}
	var list []keeping
	require.NoError(t, UnmarshalKeep([]byte(`[{"n":"x"}]`), &list))
	assert.Equal(t, []keeping{{Extra: raws("n", `"x"`)}}, list)
	require.Error(t, UnmarshalObject([]byte(`{"n":"x"}`), &keeping{}), "and only where it is asked for")
}
