package wire

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWithoutNaN(t *testing.T) {
	for text, want := range map[string]string{
		`[1]`: `[1]`, `["NaN"]`: `["NaN"]`, `[NaN]`: `[null]`, `{"a":[NaN,"NaN",NaN ]}`: `{"a":[null,"NaN",null ]}`,
		`["\"NaN",NaN]`: `["\"NaN",null]`, `["\\",NaN]`: `["\\",null]`, `NaN`: `null`, `[NaN`: `[null`, `"\`: `"\`, ``: ``,
	} {
		assert.Equal(t, want, string(WithoutNaN([]byte(text))), text)
	}
}
