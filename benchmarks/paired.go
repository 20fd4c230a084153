package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/driftsdk/drift"
)

// candidate is something that is measured. A slice is a number of calls in a row; prepare makes one ready, and its time does
// not count.
type candidate struct {
	name    string
	prepare func() (call func() error, err error)
}

// plan is how much is measured: so many rounds, in each a slice of so many calls of everybody.
type plan struct {
	rounds, calls int
	clock         clock
}

// effort is how thoroughly to measure, how often where the machine disturbs it, and by which clock.
type effort struct {
	quick bool
	tries int
	clock clock
}

// plan is one for so many rounds, or a quarter of them, of so many calls.
func (e effort) plan(rounds, calls int) plan {
	if e.quick {
		rounds /= 4
	}
	return plan{rounds, calls, e.clock}
}

// comparison is what came out for candidates beside the floor.
type comparison struct {
	floor, control measured // control is the floor once more
	others         []measured
}

// measured is what came out for one candidate.
type measured struct {
	name    string
	seconds []float64 // of a call, round by round
	cost    cost
}

func (m measured) microseconds() float64 { return median(m.seconds) * 1e6 }

// cost is what a call takes from the heap.
type cost struct{ allocations, bytes float64 }

// interval is a median, and the ends of what 95 % of bootstrap samples give.
type interval struct{ median, low, high float64 }

// The floor against itself must come out within these, or the machine was too busy to tell.
const leastControl, mostControl = 0.97, 1.03

func (c comparison) counts() bool {
	control := c.ratio(c.control, c.floor).median
	return leastControl <= control && control <= mostControl
}

// ratio is the time of one candidate over that of another: the median of the ratios within each round.
func (c comparison) ratio(of, to measured) interval {
	ratios := make([]float64, len(of.seconds))
	for i := range ratios {
		ratios[i] = of.seconds[i] / to.seconds[i]
	}
	return bootstrap(ratios)
}

// compare runs a slice of the floor, of the floor again and of every other candidate in random order, round after round. What
// the machine does to all of them cancels out in the ratios, and nothing falls in step with the garbage collector.
func compare(p plan, floor candidate, others ...candidate) (comparison, error) {
	defer steadyRuntime()()
	contestants := append([]candidate{floor, floor}, others...)
	results := make([]measured, len(contestants))
	for i, c := range contestants {
		cost, err := count(c, p.calls)
		if err != nil {
			return comparison{}, err
		}
		results[i] = measured{name: c.name, cost: cost}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range p.rounds {
		for _, i := range random.Perm(len(contestants)) {
			seconds, err := timeSlice(contestants[i], p)
			if err != nil {
				return comparison{}, err
			}
			results[i].seconds = append(results[i].seconds, seconds/float64(p.calls))
		}
	}
	return comparison{results[0], results[1], results[2:]}, nil
}

// compareUntil repeats a comparison until it counts and is good, at most so often. It returns the last one that counts, or
// just the last one.
func compareUntil(good func(comparison) bool, tries int, p plan, floor candidate, others ...candidate) (last comparison, err error) {
	for range tries {
		c, err := compare(p, floor, others...)
		if err != nil {
			return c, err
		}
		if c.counts() || !last.counts() {
			last = c
		}
		if c.counts() && good(c) {
			break
		}
	}
	return last, nil
}

// steadyRuntime sets what keeps a comparison steady, and returns what takes it back: one processor, so that no call wakes up
// another core, and a garbage collector that seldom runs. What it costs to collect shows in the bytes.
func steadyRuntime() (back func()) {
	processors, percent := runtime.GOMAXPROCS(1), debug.SetGCPercent(400)
	return func() {
		runtime.GOMAXPROCS(processors)
		debug.SetGCPercent(percent)
	}
}

// callsOfSlice are as many as a new client's limiter lets go at once, besides the first one.
const callsOfSlice = drift.DefaultRateLimit - 1

// timeSlice times calls in a row, after a first one that a new client alone has to make something ready for.
func timeSlice(c candidate, p plan) (seconds float64, err error) {
	call, err := c.prepare()
	if err == nil {
		err = call()
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", c.name, err)
	}
	start := p.clock.now()
	if err := repeat(p.calls, call); err != nil {
		return 0, fmt.Errorf("%s: %w", c.name, err)
	}
	return (p.clock.now() - start).Seconds(), nil
}

// count returns the allocations and bytes of a call, after one that is not counted. A collection in between would empty what
// is kept for the next call, so there is none.
func count(c candidate, calls int) (cost, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	calls = max(min(calls, 100)-1, 5)
	call, err := c.prepare()
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w", c.name, err)
	}
	runtime.GC() // what earlier candidates kept must not help or hinder
	runtime.GC()
	if err := call(); err != nil {
		return cost{}, fmt.Errorf("%s: %w", c.name, err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := repeat(calls, call); err != nil {
		return cost{}, fmt.Errorf("%s: %w", c.name, err)
	}
	runtime.ReadMemStats(&after)
	return cost{float64(after.Mallocs-before.Mallocs) / float64(calls), float64(after.TotalAlloc-before.TotalAlloc) / float64(calls)}, nil
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// bootstrap returns the median, and what the medians of samples of the same size, drawn from the values, lie within.
func bootstrap(values []float64) interval {
	const samples = 1000
	if len(values) == 0 {
		return interval{}
	}
	random := rand.New(rand.NewPCG(3, 4))
	medians := make([]float64, samples)
	sample := make([]float64, len(values))
	for i := range medians {
		for j := range sample {
			sample[j] = values[random.IntN(len(values))]
		}
		medians[i] = median(sample)
	}
	slices.Sort(medians)
	return interval{median(values), medians[samples*25/1000], medians[samples*975/1000]}
}
