package filestore

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/window"
)

const (
	minute = int64(time.Minute)
	margin = 3 * int64(time.Second)
)

func TestWindowIsReadAsWritten(t *testing.T) {
	someone := owner{math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32}
	crowd := make([]slot, maxSlots)
	for i := range crowd {
		crowd[i] = slot{owner: owner{pid: uint32(i), instance: 9}, serial: uint32(i), inFlight: i%2 == 0, until: int64(i)}
	}
	for _, w := range []*minuteWindow{
		{slots: []slot{}},
		{
			first: 1, pause: pause{2, 3}, pauses: 4, admitted: 5, before: 6, last: [2]int64{7, 8}, perMinute: 9,
			lesson: drift.WindowLesson{Limit: 10, Interval: 11}, learned: 12,
			slots: []slot{
				{someone, math.MaxUint32, math.MaxUint32 >> 2, true, true, math.MaxInt64}, {owner: someone, refused: true},
			},
		},
		{slots: crowd},
	} {
		b := make([]byte, windowSize)
		w.encode(b)
		got := decodeWindow(b)
		require.NotNil(t, got)
		assert.Equal(t, w, got)
	}
}

func TestEachBitOfTheWindowIsChecked(t *testing.T) {
	b := make([]byte, windowSize)
	w := minuteWindow{pause: pause{1, 2}, slots: []slot{{serial: 4, until: 5}, {serial: 6, inFlight: true}}}
	written := w.encode(b)
	for bit := range len(written) * 8 {
		b[bit/8] ^= 1 << (bit % 8)
		require.Nil(t, decodeWindow(b), "bit %d", bit)
		b[bit/8] ^= 1 << (bit % 8)
	}
}

func TestWindowSettles(t *testing.T) {
	me, now := newOwner(), int64(1000*time.Hour)
	dead, twin, afar := me, me, me
	dead.started++
	twin.instance++
	afar.space++
	w := minuteWindow{
		first: now + 1, last: [2]int64{now + 1, now - 1}, learned: now + 9*minute,
		pause: pause{now + minute, now + 3*minute},
		slots: []slot{
			{owner: me, serial: 1, inFlight: true, until: now - 1}, {owner: twin, serial: 1, inFlight: true, until: now - 1},
			{owner: dead, serial: 1, inFlight: true, until: now + minute},
			{owner: afar, serial: 1, inFlight: true, until: now + 1}, {owner: afar, serial: 2, inFlight: true, until: now - 1},
			{owner: afar, serial: 3, inFlight: true, until: now - minute - margin},
			{owner: dead, serial: 2, until: now}, {owner: dead, serial: 3, until: now + 1},
			{owner: dead, serial: 4, until: now + 100*minute},
		},
	}
	w.settle(me, now, time.Minute)
	assert.Equal(t, []slot{
		{owner: me, serial: 1, inFlight: true, until: now - 1}, {owner: twin, serial: 1, inFlight: true, until: now - 1},
		{owner: dead, serial: 1, until: now + minute + margin},
		{owner: afar, serial: 1, inFlight: true, until: now + 1}, {owner: afar, serial: 2, until: now - 1 + minute + margin},
		{owner: dead, serial: 3, until: now + 1}, {owner: dead, serial: 4, until: now + minute + margin},
	}, w.slots)
	assert.Equal(t, pause{now, now + 2*minute}, w.pause)
	assert.Equal(t, []int64{now + 1 - minute, now + 1 - minute, now - 1 - minute, now + 8*minute},
		[]int64{w.first, w.last[0], w.last[1], w.learned})

	w.settle(me, now+minute+margin, time.Minute)
	assert.Equal(t, []slot{
		{owner: me, serial: 1, inFlight: true, until: now - 1}, {owner: twin, serial: 1, inFlight: true, until: now - 1},
		{owner: afar, serial: 1, until: now + 1 + minute + margin},
	}, w.slots)
}

func TestOwnersWordWins(t *testing.T) {
	me, other := owner{1, 2, 3, 4}, owner{1, 2, 3, 5}
	here, now := time.Now(), int64(1000*time.Hour)
	in := func(d time.Duration) time.Time { return here.Add(d) }
	w := minuteWindow{pauses: 2, slots: []slot{
		{owner: other, serial: 1, inFlight: true},
		{owner: me, serial: 1, until: now + 1}, // in flight, but another process took it for lost
		{owner: me, serial: 2, inFlight: true}, // ended meanwhile
		{owner: me, serial: 3, inFlight: true}, // its caller got an error
		{owner: me, serial: 4, until: now + 1}, // the clock was set forward, but here a minute is a minute
	}}
	held := map[uint32]*holding{
		1: {pauses: 2, until: in(time.Second)},
		2: {pauses: 2, until: in(time.Minute), ended: true, admitted: true},
		4: {pauses: 2, until: in(time.Minute), ended: true, admitted: true, told: true},
		5: {pauses: 1, until: in(time.Second), ended: true, admitted: true}, // the file has forgotten it
		6: {pauses: 2, until: in(0), ended: true, admitted: true},           // free
	}
	w.merge(me, held, here, now)
	assert.ElementsMatch(t, []slot{
		{owner: other, serial: 1, inFlight: true},
		{owner: me, serial: 1, pauses: 2, inFlight: true, until: now + int64(time.Second)},
		{owner: me, serial: 2, pauses: 2, until: now + minute},
		{owner: me, serial: 4, pauses: 2, until: now + minute},
		{owner: me, serial: 5, pauses: 1, until: now + int64(time.Second)},
	}, w.slots)
	assert.EqualValues(t, 2, w.admitted, "2 and 6")

	full := fullWindow(0, 1)
	many := map[uint32]*holding{}
	for i := range uint32(100) {
		many[i] = &holding{}
	}
	full.merge(me, many, here, now)
	assert.Len(t, full.slots, maxSlots)
}

// The file follows the rules of the window in memory, which was written before it.
func TestFileAgainstMemory(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			q, err := OpenQuota(filepath.Join(t.TempDir(), "quota"))
			require.NoError(t, err)
			defer func() { require.NoError(t, q.Close()) }()
			compareWithMemory(t, &windowStore{quota: q, perMinute: 20}, window.NewMemory(), rand.New(rand.NewPCG(seed, 1)))
		})
	}
}

func compareWithMemory(t *testing.T, file drift.WindowStore, memory *window.Memory, random *rand.Rand) {
	ctx := context.Background()
	var slots [][2]uint64
	var lesson drift.WindowLesson
	for range 300 {
		time.Sleep(time.Duration(random.Int64N(int64(4 * time.Second))))
		var got drift.WindowState
		var want window.State
		var errs [2]error
		switch n := random.IntN(10); {
		case n < 5:
			seconds := func(n int) time.Duration { return time.Duration(random.IntN(n)) * time.Second }
			c := window.Claim{Bulk: random.IntN(3) == 0, Capacity: 1 + random.IntN(20), Pace: seconds(2), Spacing: seconds(3),
				InFlight: 1 + random.IntN(6), Ramp: seconds(5), Lesson: window.Lesson(lesson), At: time.Now()}
			claim := drift.WindowClaim{Capacity: c.Capacity, Pace: c.Pace, Spacing: c.Spacing, InFlight: c.InFlight, Ramp: c.Ramp,
				Lesson: lesson}
			if c.Bulk {
				claim.Class = drift.ClassBulk
			}
			got, errs[0] = file.Take(ctx, claim)
			want, errs[1] = memory.Take(ctx, c)
			require.Equal(t, want.Slot != 0, got.Slot != 0)
			if got.Slot != 0 {
				slots = append(slots, [2]uint64{got.Slot, want.Slot})
				continue
			}
		case n < 8 && len(slots) > 0:
			i := random.IntN(len(slots))
			back := []time.Duration{0, time.Minute, time.Minute, time.Minute + 3*time.Second}[random.IntN(4)]
			end := window.End{Back: back, Refused: back == time.Minute && random.IntN(3) == 0, At: time.Now()}
			_, errs[0] = file.Give(ctx, slots[i][0], drift.WindowEnd{Back: end.Back, Refused: end.Refused})
			_, errs[1] = memory.Give(ctx, slots[i][1], end)
			slots = slices.Delete(slots, i, i+1)
			got, _ = file.Look(ctx)
			want, _ = memory.Look(ctx)
		case n == 8:
			p := window.Pause{For: time.Duration(random.IntN(40)-5) * time.Second}
			if random.IntN(3) == 0 {
				p.Lesson = window.Lesson{Limit: 1 + random.IntN(20), Interval: time.Second}
				lesson = drift.WindowLesson(p.Lesson)
			}
			got, errs[0] = file.Pause(ctx, drift.WindowPause{For: p.For, Lesson: drift.WindowLesson(p.Lesson)})
			want, errs[1] = memory.Pause(ctx, p)
		default:
			got, errs[0] = file.Look(ctx)
			want, errs[1] = memory.Look(ctx)
		}
		require.Equal(t, [2]error{}, errs)
		requireSameState(t, want, got)
	}
}

// requireSameState ignores how long ago something was that has not happened.
func requireSameState(t *testing.T, want window.State, got drift.WindowState) {
	t.Helper()
	long := func(d time.Duration) time.Duration { return max(min(d, 24*time.Hour), -24*time.Hour) }
	require.Equal(t, []int{want.InFlight, want.Recent, want.Admitted, want.Before, want.Refused},
		[]int{got.InFlight, got.Recent, got.Admitted, got.Before, got.Refused})
	require.Equal(t, len(want.Returns), len(got.Returns))
	for i := range want.Returns {
		require.Equal(t, want.Returns[i], got.Returns[i])
	}
	require.Equal(t, [4]time.Duration{long(want.Pause), long(want.Age), long(want.Since[0]), long(want.Since[1])},
		[4]time.Duration{long(got.Pause), long(got.Age), long(got.Since[0]), long(got.Since[1])})
	require.Equal(t, want.Lesson, window.Lesson(got.Lesson))
	require.Equal(t, long(want.LessonAge), long(got.LessonAge))
}

func TestOwner(t *testing.T) {
	me := newOwner()
	assert.True(t, me.runs())
	assert.True(t, me.sees(me))
	assert.NotEqual(t, me, newOwner(), "two files of one process")
	me.started++
	assert.False(t, me.runs(), "the process that had this id before")
	assert.False(t, me.sees(owner{space: me.space + 1}))
	assert.False(t, owner{}.sees(owner{}), "no process can be seen")

	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(program, "-test.run=^$")
	require.NoError(t, cmd.Start())
	started, runs := startOf(cmd.Process.Pid)
	require.True(t, runs)
	child := owner{started: started, pid: uint32(cmd.Process.Pid)}
	assert.True(t, child.runs())
	require.NoError(t, cmd.Process.Kill())
	require.Eventually(t, func() bool { return !child.runs() }, 10*time.Second, time.Millisecond,
		"a process that nobody has waited for")
	require.Error(t, cmd.Wait())
	assert.False(t, child.runs())
}

func FuzzWindow(f *testing.F) {
	for _, w := range []*minuteWindow{
		{}, {pause: pause{1, math.MaxInt64}, slots: []slot{{owner: owner{1, 2, 3, 4}, serial: 4, until: 5}}}, fullWindow(1, 2),
	} {
		b := make([]byte, windowSize)
		f.Add(w.encode(b), int64(0))
	}
	f.Add([]byte(windowMagic+"\x02\x00\x00\x00\xff\xff\xff\xff"), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, data []byte, now int64) {
		b := make([]byte, windowSize)
		copy(b, data)
		w := decodeWindow(b)
		if w == nil {
			return
		}
		if again := decodeWindow(w.encode(make([]byte, windowSize))); again == nil || len(again.slots) != len(w.slots) {
			t.Fatal("not read as written")
		}
		me := owner{1, 2, 3, 4}
		w.merge(me, map[uint32]*holding{5: {}}, time.Now(), now)
		w.settle(me, now, time.Minute)
		w.change(drift.WindowPause{For: time.Second}, now)
		if state := w.state(now); state.InFlight+len(state.Returns) != len(w.slots) {
			t.Fatalf("%d slots, but %+v", len(w.slots), state)
		}
		if len(w.slots) > maxSlots {
			t.Fatalf("%d slots", len(w.slots))
		}
	})
}
