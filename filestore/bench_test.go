package filestore_test

import (
	"testing"

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

// A call through the limiter, with 50 slots taken.
func BenchmarkAcquireDone(b *testing.B) {
	l := open(b, newPath(b)).Limiter(100)
	call := func(outcome drift.Outcome) {
		slot, err := l.Acquire(b.Context(), drift.Turn{})
		require.NoError(b, err)
		slot.Done(outcome)
	}
	for range 50 {
		call(drift.OutcomeAnswered)
	}
	for b.Loop() {
		call(drift.OutcomeNotSent)
	}
}
