package filestore

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Numbers that no process can have written are damage, even where the checksum is right.
func TestImpossibleNumbers(t *testing.T) {
	var overflow int64 = math.MaxInt32 + 1
	for name, test := range map[string]struct {
		r    record
		want error
	}{
		"as many probes as calls": {record{month: 1, used: 5, probes: 5}, nil},
		"more probes than calls":  {record{month: 1, used: 5, probes: 6}, ErrCorrupt},
		"most calls":              {record{month: 1, used: math.MaxInt32}, nil},
		"too many calls":          {record{month: 1, used: int(overflow)}, ErrCorrupt},
		"calls below nothing":     {record{month: 1, used: -1}, ErrCorrupt},
	} {
		_, err := decode(test.r.encode())
		assert.ErrorIs(t, err, test.want, name)
	}
}
