package redisstore_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/window"
)

// Random operations have the same effect on the window in Redis and on the one in memory. Times are long, so that it
// does not matter that the two do not run at the same moment.
func TestWindowIsTheSameAsInMemory(t *testing.T) {
	s := startRedis(t)
	for range 20 {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		m := model{t: t, memory: window.NewMemory(), redis: s.openEach()().Window(), random: r}
		for step := range 100 {
			m.step()
			m.compare()
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
		}
	}
}

type model struct {
	t      *testing.T
	memory *window.Memory
	redis  drift.WindowStore
	random *rand.Rand
	slots  [][2]uint64 // that are taken: in memory, in Redis
	lesson window.Lesson
}

func (m *model) step() {
	switch n := m.random.IntN(20); {
	case n < 11:
		m.take()
	case n < 18 && len(m.slots) > 0:
		m.give()
	case n == 18:
		m.pause(window.Pause{For: time.Hour})
		m.pause(window.Pause{For: -1})
	case n == 19:
		m.lesson = window.Lesson{Limit: m.random.IntN(3), Interval: time.Second}
		m.pause(window.Pause{Lesson: m.lesson})
		if m.lesson.Limit == 0 {
			m.lesson = m.state().Lesson
		}
	}
}

func (m *model) take() {
	c := window.Claim{Capacity: 3 + m.random.IntN(10), Bulk: m.random.IntN(4) == 0, Lesson: m.lesson, Lease: time.Hour,
		InFlight: 1 + m.random.IntN(8), Ramp: time.Hour, At: time.Now()}
	switch m.random.IntN(10) {
	case 0:
		c.Pace = time.Hour
	case 1:
		c.Spacing = time.Hour
	case 2:
		c.Ramp = 0
	case 3:
		c.Lesson.Limit++
	}
	a, err := m.memory.Take(m.t.Context(), c)
	require.NoError(m.t, err)
	claim := drift.WindowClaim{Capacity: c.Capacity, Pace: c.Pace, Spacing: c.Spacing, InFlight: c.InFlight, Ramp: c.Ramp,
		Lesson: drift.WindowLesson(c.Lesson), Lease: c.Lease}
	if c.Bulk {
		claim.Class = drift.ClassBulk
	}
	b, err := m.redis.Take(m.t.Context(), claim)
	require.NoError(m.t, err)
	assert.Equal(m.t, a.Slot != 0, b.Slot != 0, "%+v", c)
	if a.Slot != 0 {
		m.slots = append(m.slots, [2]uint64{a.Slot, b.Slot})
	}
}

func (m *model) give() {
	i := m.random.IntN(len(m.slots))
	slot := m.slots[i]
	m.slots = append(m.slots[:i], m.slots[i+1:]...)
	end := window.End{At: time.Now(), Back: time.Duration(m.random.IntN(3)) * time.Hour}
	end.Refused = end.Back > 0 && m.random.IntN(4) == 0
	_, err := m.memory.Give(m.t.Context(), slot[0], end)
	require.NoError(m.t, err)
	for range 1 + m.random.IntN(2) {
		_, err = m.redis.Give(m.t.Context(), slot[1], drift.WindowEnd{Back: end.Back, Refused: end.Refused})
		require.NoError(m.t, err)
	}
}

func (m *model) pause(p window.Pause) {
	_, err := m.memory.Pause(m.t.Context(), p)
	require.NoError(m.t, err)
	_, err = m.redis.Pause(m.t.Context(), drift.WindowPause{For: p.For, Lesson: drift.WindowLesson(p.Lesson)})
	require.NoError(m.t, err)
}

func (m *model) state() window.State {
	s, err := m.memory.Look(m.t.Context())
	require.NoError(m.t, err)
	return s
}

// compare rounds times, and takes everything longer than a day for the same.
func (m *model) compare() {
	a, b := m.state(), look(m.t, m.redis)
	near := func(a, b time.Duration, what string) {
		const long = 24 * time.Hour
		assert.InDelta(m.t, min(max(a, -long), long), min(max(b, -long), long), float64(10*time.Second), what)
	}
	assert.Equal(m.t, []int{a.InFlight, a.Recent, a.Admitted, a.Before, a.Refused, len(a.Returns)},
		[]int{b.InFlight, b.Recent, b.Admitted, b.Before, b.Refused, len(b.Returns)},
		"in flight, recent, admitted, before, refused, returns")
	assert.Equal(m.t, drift.WindowLesson(a.Lesson), b.Lesson)
	near(a.Pause, b.Pause, "pause")
	near(a.Age, b.Age, "age")
	near(a.LessonAge, b.LessonAge, "age of the lesson")
	for i := range a.Since {
		near(a.Since[i], b.Since[i], "since")
	}
	for i := range min(len(a.Returns), len(b.Returns)) {
		near(a.Returns[i], b.Returns[i], "returns")
	}
}
