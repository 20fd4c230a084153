package filestore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

func BenchmarkReserve(b *testing.B) {
	q := open(b, newPath(b))
	for b.Loop() {
		reserve(b, q, noon)
	}
}

func BenchmarkUsage(b *testing.B) {
	q := open(b, newPath(b))
	for b.Loop() {
		used(b, q, noon)
	}
}

// A slot that is taken and given back, with 50 others taken. Of a call, that is what does not wait for the disk.
func BenchmarkAcquireDone(b *testing.B) {
	q := open(b, newPath(b))
	l := q.Limiter(100)
	call := func(turn drift.Turn, result drift.Result) {
		slot, err := l.Acquire(b.Context(), turn)
		require.NoError(b, err)
		require.NoError(b, slot.Done(b.Context(), result))
	}
	for range 50 {
		call(drift.Turn{}, answered)
	}
	b.Run("slot", func(b *testing.B) {
		for b.Loop() {
			call(drift.Turn{}, notSent)
		}
	})
	b.Run("slot and count", func(b *testing.B) {
		for b.Loop() {
			call(drift.Turn{Quota: q}, notSent)
		}
	})
}

// BenchmarkRefusal refuses a caller behind 2,000 others.
func BenchmarkRefusal(b *testing.B) {
	for name, l := range map[string]drift.Limiter{
		"file": open(b, newPath(b)).Limiter(100), "memory": drift.NewLimiter(100),
	} {
		b.Run(name, func(b *testing.B) {
			for range 100 {
				slot, err := l.Acquire(b.Context(), drift.Turn{})
				require.NoError(b, err)
				require.NoError(b, slot.Done(b.Context(), answered))
			}
			for range 2000 {
				go func() { _, _ = l.Acquire(within(b, time.Hour), drift.Turn{}) }()
			}
			time.Sleep(100 * time.Millisecond)
			for b.Loop() {
				_, err := l.Acquire(within(b, time.Minute), drift.Turn{})
				require.ErrorIs(b, err, drift.ErrRateLimited)
			}
		})
	}
}
