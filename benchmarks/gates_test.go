package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests hold the bounds in a short run. Allocations and bytes are exact wherever it runs. Times are compared on the
// processor, and more than once before a test fails; where the floor does not match itself, they tell nothing, and the
// test is skipped.

var short = effort{quick: true, tries: 5, clock: onProcessors}

func TestAllocationBounds(t *testing.T) {
	all, end, err := rows()
	require.NoError(t, err)
	defer end()
	for _, row := range all {
		if row.most.allocations == 0 && row.most.bytes == 0 {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			hand, client := countAlone(t, row.hand, row.calls), countAlone(t, row.other, row.calls)
			t.Logf("allocations %.1f of %.1f, bytes %.0f of %.0f", client.allocations, hand.allocations, client.bytes, hand.bytes)
			if row.most.allocations > 0 {
				assert.LessOrEqual(t, client.allocations/hand.allocations, row.most.allocations, "allocations")
			}
			if row.most.bytes > 0 {
				assert.LessOrEqual(t, client.bytes/hand.bytes, row.most.bytes, "bytes")
			}
		})
	}
}

func countAlone(t *testing.T, c candidate, calls int) cost {
	defer steadyRuntime()()
	cost, err := count(c, calls)
	require.NoError(t, err)
	return cost
}

func TestTimeBounds(t *testing.T) {
	all, end, err := rows()
	require.NoError(t, err)
	defer end()
	for _, row := range all {
		if row.most.time == 0 {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			c, err := row.measure(short)
			require.NoError(t, err)
			requireQuiet(t, c)
			time := c.ratio(c.others[us], c.floor)
			t.Logf("time over that by hand: %s", time)
			assert.LessOrEqual(t, time.median, row.most.time)
		})
	}
}

func TestAheadOfPeers(t *testing.T) {
	for _, p := range peers() {
		t.Run(p.name, func(t *testing.T) {
			c, err := p.measure(short)
			require.NoError(t, err)
			requireQuiet(t, c)
			time := c.ratio(c.others[us], c.others[them])
			t.Logf("time over that of %s: %s", p.name, time)
			assert.Less(t, time.median, 1.0)
		})
	}
}

func requireQuiet(t *testing.T, c comparison) {
	t.Helper()
	if !c.counts() {
		t.Skipf("the floor over itself is %s: this machine is too busy to compare times", c.ratio(c.control, c.floor))
	}
}

// Ranging takes the same however long the list is, so what collecting takes more grows with it: a tenth of the pages, a tenth of
// the ratio.
func TestMemoryBounds(t *testing.T) {
	const pages = 100
	var m memory
	for range short.tries {
		var err error
		m, err = measureMemory(pages, true)
		require.NoError(t, err)
		if m.growth() <= mostGrowth && m.heapRatio() >= leastHeapRatio*pages/1000.0 {
			break
		}
	}
	t.Logf("peak and median of the heap: %s %s, ten times as many pages %s %s, collected %s", mebibytes(m.few.PeakHeap), mebibytes(m.few.MedianHeap),
		mebibytes(m.many.PeakHeap), mebibytes(m.many.MedianHeap), mebibytes(m.collected.PeakHeap))
	assert.LessOrEqual(t, m.growth(), mostGrowth)
	assert.GreaterOrEqual(t, m.heapRatio(), leastHeapRatio*pages/1000.0)
}

// A tenth of the messages and a sixteenth of the file: what is held does not depend on how much there is.
func TestClassicMemoryBounds(t *testing.T) {
	var m classicMemory
	for range short.tries {
		var err error
		m, err = measureClassicMemory(100_000/classicPageItems, 1<<26)
		require.NoError(t, err)
		if m.growth() <= mostGrowth && m.file.overStart() <= mostOfDownload {
			break
		}
	}
	t.Logf("median of the heap: %s, ten times as many pages %s; a download takes %.0f bytes", mebibytes(m.few.MedianHeap), mebibytes(m.many.MedianHeap), m.file.overStart())
	assert.LessOrEqual(t, m.growth(), mostGrowth)
	assert.LessOrEqual(t, m.file.overStart(), float64(mostOfDownload))
}

func TestPrefetchBounds(t *testing.T) {
	var p prefetching
	for range short.tries {
		var err error
		p, err = measurePrefetch(true)
		require.NoError(t, err)
		if p.work.median <= mostWithWork && p.noWork.median <= mostWithoutWork {
			break
		}
	}
	t.Logf("with work %s, without %s; without prefetching %.2f of what latency and work are", p.work, p.noWork, p.late)
	if p.late > 1.2 {
		t.Skipf("pages take %.2f times as long as their latency and the work on them: this machine is too busy to compare times", p.late)
	}
	assert.LessOrEqual(t, p.work.median, mostWithWork)
	assert.LessOrEqual(t, p.noWork.median, mostWithoutWork)
}

func TestScalingBound(t *testing.T) {
	s, err := scalingUntilGood(short)
	require.NoError(t, err)
	t.Logf("throughput per core of 256 goroutines: %s, by hand %s", s.client, s.hand)
	if s.client.median < leastPerCore && !s.counts() {
		t.Skipf("by hand it is %s: this machine is too busy to tell", s.hand)
	}
	assert.GreaterOrEqual(t, s.client.median, leastPerCore)
}

func TestConnectionsBound(t *testing.T) {
	var client, hand int
	for range short.tries { // a connection comes back a moment after its answer was read, on a busy machine a long one
		var err error
		client, hand, err = measureConnections()
		require.NoError(t, err)
		if client <= mostConnections {
			break
		}
	}
	t.Logf("%d connections, with http.DefaultTransport %d", client, hand)
	assert.LessOrEqual(t, client, mostConnections)
}

func TestLimitsBounds(t *testing.T) {
	l, err := measureLimits(short)
	require.NoError(t, err)
	t.Logf("limiter and quota: %.2f µs, %.0f allocations", l.microseconds, l.allocations)
	assert.LessOrEqual(t, l.allocations, float64(mostLimitsAllocations))
	if !l.counts {
		t.Skip("the floor does not match itself: this machine is too busy to compare times")
	}
	assert.LessOrEqual(t, l.microseconds, float64(mostLimitsMicroseconds))
}
