package filestore

import (
	"math"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const minute = int64(time.Minute)

func TestWindowIsReadAsWritten(t *testing.T) {
	someone := owner{math.MaxUint64, math.MaxUint32, math.MaxUint32}
	crowd := make([]sharedSlot, maxSlots)
	for i := range crowd {
		crowd[i] = sharedSlot{owner: owner{uint64(i), 7, 9}, serial: uint32(i), back: int64(i)}
	}
	for _, w := range []sharedWindow{
		{slots: []sharedSlot{}},
		{pause: pause{1, 2}, slots: []sharedSlot{{someone, math.MaxUint32, math.MaxInt64}, {someone, 1, 0}}},
		{slots: crowd},
	} {
		b := make([]byte, windowSize)
		w.encode(b)
		got, intact := decodeWindow(b)
		require.True(t, intact)
		assert.Equal(t, w, got)
	}
}

func TestEachBitOfTheWindowIsChecked(t *testing.T) {
	b := make([]byte, windowSize)
	w := sharedWindow{pause: pause{1, 2}, slots: []sharedSlot{{owner{1, 2, 3}, 4, 5}, {owner{1, 2, 3}, 6, 0}}}
	written := w.encode(b)
	for bit := range len(written) * 8 {
		b[bit/8] ^= 1 << (bit % 8)
		_, intact := decodeWindow(b)
		require.False(t, intact, "bit %d", bit)
		b[bit/8] ^= 1 << (bit % 8)
	}
}

func TestWindowSettles(t *testing.T) {
	me, now := newOwner(), int64(1000*time.Hour)
	dead := owner{started: me.started + 1, pid: me.pid}
	twin := owner{started: me.started, pid: me.pid, instance: me.instance + 1}
	w := sharedWindow{
		pause: pause{now + minute, now + 3*minute},
		slots: []sharedSlot{
			{me, 1, 0}, {twin, 1, 0}, {dead, 1, 0},
			{dead, 2, now}, {dead, 3, now + 1}, {dead, 4, now + minute}, {dead, 5, now + minute + 1}, {me, 6, now + 100*minute},
		},
	}
	require.True(t, w.settle(me, now, time.Minute))
	assert.Equal(t, []sharedSlot{
		{me, 1, 0}, {twin, 1, 0}, {dead, 1, now + minute},
		{dead, 3, now + 1}, {dead, 4, now + minute}, {dead, 5, now + minute}, {me, 6, now + minute},
	}, w.slots)
	assert.Equal(t, pause{now, now + 2*minute}, w.pause)
	require.False(t, w.settle(me, now, time.Minute))

	require.False(t, w.settle(me, now+minute, time.Minute))
	assert.Len(t, w.slots, 2)
}

func TestWindowLearnsWhatBecameOfSlots(t *testing.T) {
	me, other := owner{1, 2, 3}, owner{1, 2, 4}
	w := sharedWindow{slots: []sharedSlot{{other, 1, 0}, {me, 1, 0}, {me, 2, 0}, {me, 3, 0}, {me, 4, 0}, {me, 5, 77}, {me, 7, 88}}}
	holdings := map[uint32]holding{
		1: underWay,
		2: unused,
		3: 99,
		// 4 is not known here: its caller was told that there was no slot
		6: underWay, // the file has forgotten it
		7: 88,       // the file knows
		8: unused,   // the file never knew
		9: 55,
	}
	require.True(t, w.merge(me, holdings))
	assert.ElementsMatch(t, []sharedSlot{
		{other, 1, 0}, {me, 1, 0}, {me, 3, 99}, {me, 5, 77}, {me, 7, 88}, {me, 6, 0}, {me, 9, 55},
	}, w.slots)
	require.False(t, w.merge(me, map[uint32]holding{1: underWay, 6: underWay}))

	full := fullWindow(1)
	many := map[uint32]holding{}
	for i := range uint32(100) {
		many[i] = underWay
	}
	require.True(t, full.merge(me, many))
	assert.Len(t, full.slots, maxSlots)
}

func TestOwner(t *testing.T) {
	me := newOwner()
	assert.True(t, me.runs())
	assert.NotEqual(t, me, newOwner(), "two files of one process")
	me.started++
	assert.False(t, me.runs(), "the process that had this id before")

	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(program, "-test.run=^$")
	require.NoError(t, cmd.Start())
	started, runs := startOf(cmd.Process.Pid)
	require.True(t, runs)
	child := owner{started: started, pid: uint32(cmd.Process.Pid)}
	assert.True(t, child.runs())
	require.NoError(t, cmd.Process.Kill())
	require.Eventually(t, func() bool { return !child.runs() }, 10*time.Second, time.Millisecond, "a process that nobody has waited for")
	require.Error(t, cmd.Wait())
	assert.False(t, child.runs())
}

func FuzzWindow(f *testing.F) {
	for _, w := range []sharedWindow{{}, {pause: pause{1, math.MaxInt64}, slots: []sharedSlot{{owner{1, 2, 3}, 4, 5}}}, fullWindow(1)} {
		b := make([]byte, windowSize)
		f.Add(w.encode(b), int64(0))
	}
	f.Add([]byte(windowMagic+"\x01\x00\x00\x00\xff\xff\xff\xff"), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, data []byte, now int64) {
		b := make([]byte, windowSize)
		copy(b, data)
		w, intact := decodeWindow(b)
		if !intact {
			return
		}
		if again, intact := decodeWindow(w.encode(make([]byte, windowSize))); !intact || len(again.slots) != len(w.slots) {
			t.Fatal("not read as written")
		}
		w.merge(owner{1, 2, 3}, map[uint32]holding{4: unused, 5: underWay})
		w.settle(owner{1, 2, 3}, now, time.Minute)
		o := w.outlook(now, time.Minute)
		for ahead := range 5 {
			o.slotAt(ahead, 2, 3, time.Minute, time.Now())
		}
		if len(w.slots) > maxSlots {
			t.Fatalf("%d slots", len(w.slots))
		}
	})
}
