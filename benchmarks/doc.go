// Command benchmarks measures the client against the same calls by hand, and against clients of other services. It is a
// module of its own, so that no user's go.sum grows by what it needs.
//
//	go -C benchmarks run . -write          # everything, into docs/performance.md and docs/performance.svg
//	go -C benchmarks run . -quick          # a quarter of the rounds, once: for work on the code
//	go -C benchmarks run . -busy           # by the time on the processor: for a machine that has other work
//	go -C benchmarks run . -only 'GET|go'  # the rows with such names; besides those of the tables: memory, prefetch,
//	                                       # goroutines, connections, limits, size
//
// Its tests hold the bounds in a short run:
//
//	go -C benchmarks test
//
// The limiter against a token bucket, in virtual time, as docs/limits.svg:
//
//	go -C benchmarks test -run TestLimitsPlot -v -write
//
// The simulation has a fixed seed, so the same code draws the same bytes.
package main
