package testkit

import (
	"context"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/window"
)

// SharedWindow is a store in memory that several limiters share, as processes would.
type SharedWindow struct{ memory *window.Memory }

func NewSharedWindow() *SharedWindow { return &SharedWindow{window.NewMemory()} }

func (w *SharedWindow) Take(ctx context.Context, c drift.WindowClaim) (drift.WindowState, error) {
	return stateOf(w.memory.Take(ctx, window.Claim{
		Bulk: c.Class == drift.ClassBulk, Capacity: c.Capacity, Pace: c.Pace, Spacing: c.Spacing, Ramp: c.Ramp,
		Lesson: window.Lesson(c.Lesson), Lease: c.Lease,
	}))
}

func (w *SharedWindow) Give(ctx context.Context, slot uint64, end drift.WindowEnd) (drift.WindowState, error) {
	return stateOf(w.memory.Give(ctx, slot, window.End(end)))
}

func (w *SharedWindow) Look(ctx context.Context) (drift.WindowState, error) {
	return stateOf(w.memory.Look(ctx))
}

func (w *SharedWindow) Pause(ctx context.Context, p drift.WindowPause) (drift.WindowState, error) {
	return stateOf(w.memory.Pause(ctx, window.Pause{For: p.For, Lesson: window.Lesson(p.Lesson)}))
}

func stateOf(s window.State, err error) (drift.WindowState, error) {
	return drift.WindowState{
		Slot: s.Slot, InFlight: s.InFlight, Recent: s.Recent, Admitted: s.Admitted, Before: s.Before, Refused: s.Refused,
		Returns: s.Returns, Pause: s.Pause, Age: s.Age, Since: s.Since, Lesson: drift.WindowLesson(s.Lesson),
		LessonAge: s.LessonAge,
	}, err
}
