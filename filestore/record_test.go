package filestore

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRecordIsReadAsWritten(t *testing.T) {
	for _, r := range []record{
		{},
		{sequence: math.MaxUint64, month: -1, used: math.MaxInt32, latest: math.MinInt64, doubted: -1, probes: math.MaxInt32},
		{settings: settings{math.MaxInt32, "Europe/Berlin (UTC+01:00, UTC+02:00)"}},
		{account: [32]byte{1, 31: 2}, sequence: 7, month: 24_315, used: 9_999, latest: 1_773_489_600_000, doubted: 1, probes: 3},
	} {
		got, err := decode(r.encode())
		require.NoError(t, err)
		assert.Equal(t, r, got)
	}
}

func TestNewestRecordCounts(t *testing.T) {
	older, newer := record{sequence: 4, used: 8}, record{sequence: 5, used: 9}
	later := newer.encode()
	later[8]++
	broken := make([]byte, recordSize)
	for _, test := range []struct {
		both  [copies][]byte
		place int
		used  int
		err   error
	}{
		{[copies][]byte{older.encode(), newer.encode()}, 1, 9, nil},
		{[copies][]byte{newer.encode(), older.encode()}, 0, 9, nil},
		{[copies][]byte{newer.encode(), broken}, 0, 10, nil},
		{[copies][]byte{broken, older.encode()}, 1, 9, nil},
		{[copies][]byte{later, older.encode()}, 1, 9, nil}, // not a version but a bit
		{[copies][]byte{broken, broken}, 0, 0, ErrCorrupt},
	} {
		r, err := newest(test.both)
		require.ErrorIs(t, err, test.err)
		assert.Equal(t, test.place, r.place)
		assert.Equal(t, test.used, r.used)
	}
}

// A damaged copy may have begun a month with its call. The other one does not know that, so the month has it too.
func TestDamagedCopyCountsInTheNextMonth(t *testing.T) {
	april := time.Date(2026, time.April, 1, 0, 0, 0, 0, time.UTC)
	march := april.AddDate(0, 0, -1)
	var older record
	require.True(t, older.reserve(march, time.UTC))
	newer := older
	newer.sequence++
	require.True(t, newer.reserve(april, time.UTC))
	require.Equal(t, 1, newer.used)

	r, err := newest([copies][]byte{older.encode(), make([]byte, recordSize)})
	require.NoError(t, err)
	require.True(t, r.reserve(april, time.UTC))
	assert.Equal(t, 2, r.used)
}

// A month of random calls against a count by hand: what was reserved in the month and not taken back.
func TestCountAgainstCountingByHand(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, seed))
		at := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
		var r record
		type call struct{ counted, shown int64 }
		var calls []call
		require.True(t, r.reserve(at, time.UTC))
		byHand := map[int64]int{r.month: 1}
		for range 2000 {
			at = at.Add(time.Duration(random.Int64N(int64(12 * time.Hour))))
			now := at
			if random.IntN(10) == 0 {
				now = at.Add(-time.Duration(random.Int64N(int64(60 * 24 * time.Hour)))) // set back
			}
			if random.IntN(4) > 0 || len(calls) == 0 {
				require.True(t, r.reserve(now, time.UTC))
				byHand[r.month]++
				calls = append(calls, call{r.month, monthOf(now, time.UTC)})
			} else {
				i := random.IntN(len(calls))
				if r.refund(calls[i].counted, calls[i].shown) {
					byHand[calls[i].counted]--
				} else {
					require.NotEqual(t, r.month, calls[i].counted)
				}
				calls = append(calls[:i], calls[i+1:]...)
			}
			require.Equal(t, byHand[r.month], r.used)
		}
	}
}

// Whatever the clock does, no call is forgotten while its month lasts: a month that begins has the calls made in doubt,
// and one that goes on has all.
func TestNoClockMakesTheCountSmaller(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		at := time.Date(2026, time.March, 14, 12, 0, 0, 0, time.UTC)
		var r record
		for range 100 {
			switch random.IntN(6) {
			case 0:
				at = at.AddDate(random.IntN(21)-10, 0, 0)
			case 1:
				at = at.Add(time.Duration(random.Int64N(int64(100*24*time.Hour))) - 50*24*time.Hour)
			default:
				at = at.Add(time.Duration(random.Int64N(int64(3 * time.Minute))))
			}
			before := r
			require.True(t, r.reserve(at, time.UTC))
			require.GreaterOrEqual(t, r.month, before.month)
			require.LessOrEqual(t, r.probes, r.used)
			if r.month == before.month {
				require.Equal(t, before.used+1, r.used)
			} else {
				require.GreaterOrEqual(t, monthOf(at, time.UTC), r.month)
				require.Positive(t, r.used)
			}
		}
	}
}

func FuzzRecord(f *testing.F) {
	older, newer := record{sequence: 4, used: 8}.encode(), record{sequence: 5, month: 24_315, used: 9, latest: 1}.encode()
	f.Add(older, newer)
	f.Add(newer, make([]byte, recordSize))
	f.Add([]byte(recordMagic), []byte{})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		both := [copies][]byte{make([]byte, recordSize), make([]byte, recordSize)}
		copy(both[0], a)
		copy(both[1], b)
		r, err := newest(both)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		written := r
		written.place, written.lost = 0, 0
		if again, err := decode(r.encode()); err != nil || again != written {
			t.Fatalf("%+v is read as %+v, %v", r, again, err)
		}
		if r.used -= r.lost; r.used < math.MaxInt32-1 && !bytes.Equal(both[r.place][16:96], r.encode()[16:96]) {
			t.Fatal("not the record that was written")
		}
		r.turn(time.Now(), time.UTC)
	})
}

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
