package window

import (
	"time"
	"unsafe"
)

// MoveReturns makes the slots look as if they had been given back before the wall clock was set back by d. Their
// monotonic clock readings stay.
func (w *Window) MoveReturns(d time.Duration) {
	for i := range w.returns {
		wall := (*uint64)(unsafe.Pointer(&w.returns[i])) // whole seconds, above 30 bits of nanoseconds
		*wall += uint64(d/time.Second) << 30
	}
}
