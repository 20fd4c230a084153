package window_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/driftsdk/drift/internal/window"
)

// At the very instant at which a slot comes back, whoever waits for it goes before whoever comes for it.
func TestNewcomerAtTheInstantOfAReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 300 {
			w := window.New(full(1))
			use(t, w)
			start := time.Now()
			waited, came := make(chan time.Duration, 1), make(chan time.Duration, 1)
			time.AfterFunc(time.Minute, func() { // set before the window's own timer
				acquire(t, w, false).Used()
				came <- time.Since(start)
			})
			go func() {
				acquire(t, w, false).Used()
				waited <- time.Since(start)
			}()
			if !assert.Equal(t, time.Minute, <-waited) || !assert.InDelta(t, 120, (<-came).Seconds(), 0.001) {
				return
			}
		}
	})
}

// One who goes alone after a pause goes without a token only where there is none: the token that is there is not one more.
func TestTokenThatIsThereAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(full(2))
		use(t, w)
		use(t, w)
		w.Pause(time.Now().Add(time.Second))
		time.Sleep(31 * time.Second) // at 2 a minute, the empty bucket now has exactly one token
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _, _ = w.Acquire(ctx, false) }() // goes first, when the slots come back at 60 s
		synctest.Wait()
		_, err := w.Acquire(within(t, 29500*time.Millisecond), false) // at 60 s there is a slot, and a token only at 61 s
		requireLate(t, err, 30*time.Second+1)
		cancel()
		synctest.Wait()
	})
}
