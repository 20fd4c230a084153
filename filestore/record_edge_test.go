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

// What becomes of a call that is taken back: it was counted in one month while the clock showed another, or the same.
func TestRefundAndDoubt(t *testing.T) {
	const march, november, december = 315, 323, 324
	for name, test := range map[string]struct {
		before         record
		counted, shown int64
		refunded       bool
		after          record
	}{
		"in doubt":                             {record{month: march, used: 5, probes: 2}, march, december, true, record{month: march, used: 4, probes: 1}},
		"in doubt, and the clock is back":      {record{month: march, used: 5}, march, december, true, record{month: march, used: 4}},
		"before others that are in doubt":      {record{month: march, used: 5, probes: 2}, march, march, true, record{month: march, used: 4, probes: 2}},
		"in doubt, and the clock was right":    {record{month: december, used: 5}, march, december, true, record{month: december, used: 4}},
		"in doubt, and another month has come": {record{month: november, used: 5}, march, december, false, record{month: november, used: 5}},
		"of a month that is over":              {record{month: december, used: 5}, march, march, false, record{month: december, used: 5}},
		"of nothing":                           {record{month: march}, march, march, false, record{month: march}},
	} {
		after := test.before
		assert.Equal(t, test.refunded, after.refund(test.counted, test.shown), name)
		assert.Equal(t, test.after, after, name)
	}
}
