package wire

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestValidText(t *testing.T) {
	type inner struct {
		Text string
		Any  any
	}
	type outer struct {
		A []inner        `json:"a,omitzero"`
		B *inner         `json:"b"`
		C map[string]any `json:"c"`
		D int            `json:"d"`
	}
	for member, value := range map[string]outer{
		"a": {A: []inner{{}, {Any: []any{1, "\xff"}}}}, "b": {B: &inner{Text: "\xff"}}, "c": {C: map[string]any{"\xff": 1}},
	} {
		found, valid := ValidText(&value)
		assert.False(t, valid)
		assert.Equal(t, member, found)
	}
	_, valid := ValidText(&outer{A: []inner{{Text: "é", Any: nil}}, C: map[string]any{"a": "b"}})
	assert.True(t, valid)
}
