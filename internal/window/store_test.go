package window_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/window"
)

// model is a window that keeps everything that has ever happened, and decides by looking at all of it.
type model struct {
	created time.Time
	slots   []*modelSlot
	pauses  []span // from and until
	lesson  window.Lesson
}

type span struct{ from, until time.Time }

type modelSlot struct {
	number  uint64
	bulk    bool
	taken   time.Time
	ended   time.Time // zero: in flight
	back    time.Duration
	refused bool
}

func (s *modelSlot) counts(now time.Time) bool {
	return s.ended.IsZero() || now.Before(s.ended.Add(s.back))
}

// since returns when the current pause began, or the window.
func (m *model) since() time.Time {
	if n := len(m.pauses); n > 0 {
		return m.pauses[n-1].from
	}
	return m.created
}

func (m *model) allows(c window.Claim, now time.Time) bool {
	taken, inFlight, admitted := 0, 0, 0
	last, lastOfClass := m.created.Add(-time.Hour), m.created.Add(-time.Hour)
	for _, s := range m.slots {
		if s.counts(now) {
			taken++
		}
		last = s.taken
		if s.bulk == c.Bulk {
			lastOfClass = s.taken
		}
		if s.taken.Before(m.since()) {
			continue
		}
		switch {
		case s.ended.IsZero():
			inFlight++
		case s.back > 0 && !s.refused:
			admitted++
		}
	}
	young := now.Sub(m.created) < time.Minute
	if n := len(m.pauses); n > 0 {
		if now.Before(m.pauses[n-1].until) {
			return false
		}
		young = young || now.Sub(m.pauses[n-1].until) < time.Minute
	}
	ramp := inFlight > admitted && !(admitted > 0 && now.Sub(last) >= c.Ramp)
	return taken < c.Capacity && now.Sub(last) >= c.Pace && now.Sub(lastOfClass) >= c.Spacing && c.Lesson == m.lesson &&
		!(young && ramp)
}

func (m *model) pause(d time.Duration, now time.Time) {
	until := now.Add(d)
	if n := len(m.pauses); n > 0 && now.Before(m.pauses[n-1].until) {
		if until.After(m.pauses[n-1].until) {
			m.pauses[n-1].until = until
		}
		return
	}
	m.pauses = append(m.pauses, span{now, until})
}

func TestMemoryAgainstAModel(t *testing.T) {
	for range 200 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) { compareWithModel(t, rand.New(rand.NewPCG(seed, 0))) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func compareWithModel(t *testing.T, r *rand.Rand) {
	memory, m := window.NewMemory(), &model{created: time.Now()}
	for range 400 {
		time.Sleep(time.Duration(1 + r.Int64N(int64(2*time.Second))))
		now := time.Now()
		switch r.IntN(12) {
		case 0:
			d := time.Duration(1 + r.Int64N(int64(20*time.Second)))
			lesson := window.Lesson{Limit: 1 + r.IntN(3), Interval: time.Second}
			_, err := memory.Pause(t.Context(), window.Pause{For: d, Lesson: lesson})
			require.NoError(t, err)
			m.pause(d, now)
			m.lesson = lesson
		case 1, 2, 3, 4:
			inFlight := slices.Collect(func(yield func(*modelSlot) bool) {
				for _, s := range m.slots {
					if s.ended.IsZero() && !yield(s) {
						return
					}
				}
			})
			if len(inFlight) == 0 {
				continue
			}
			s := inFlight[r.IntN(len(inFlight))]
			end := window.End{Back: time.Duration(r.IntN(3)) * 31 * time.Second, Refused: r.IntN(5) == 0}
			end.Refused = end.Refused && end.Back > 0
			_, err := memory.Give(t.Context(), s.number, end)
			require.NoError(t, err)
			s.ended, s.back, s.refused = now, end.Back, end.Refused
		default:
			claim := window.Claim{
				Bulk: r.IntN(2) == 0, Capacity: 1 + r.IntN(20), Pace: time.Duration(r.IntN(3)) * time.Second,
				Spacing: time.Duration(r.IntN(4)) * time.Second, Ramp: time.Duration(r.IntN(5)) * time.Second, Lesson: m.lesson,
			}
			if r.IntN(10) == 0 {
				claim.Lesson.Limit++
			}
			state, err := memory.Take(t.Context(), claim)
			require.NoError(t, err)
			if !assert.Equal(t, m.allows(claim, now), state.Slot != 0, "%+v", claim) {
				return
			}
			if state.Slot != 0 {
				m.slots = append(m.slots, &modelSlot{number: state.Slot, bulk: claim.Bulk, taken: now})
			}
		}
	}
}
