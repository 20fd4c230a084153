// Command benchmarks measures the client against the same calls by hand, and against clients of other services. It is a
// separate module, so that its dependencies stay out of the go.sum of users.
//
// It compares twice: with the JSON engine it was built with and, by running itself again, with the other one.
// GOEXPERIMENT chooses between them: jsonv2, the default of Go 1.27, or nojsonv2.
//
//	go -C benchmarks run . -write          # everything, into docs/performance.md and docs/performance.svg
//	go -C benchmarks run . -quick          # a quarter of the rounds, once: for work on the code
//	go -C benchmarks run . -busy           # by the time on the processor: for a machine that has other work
//	go -C benchmarks run . -only 'GET|go'  # the rows with such names; besides those of the tables: memory, prefetch,
//	                                       # goroutines, connections, limits, size
//
// Its tests hold the bounds in a short run, each time with one engine:
//
//	go -C benchmarks test
//	GOEXPERIMENT=jsonv2 go -C benchmarks test
//
// The limiter against a token bucket, in virtual time, as docs/limits.svg:
//
//	go -C benchmarks test -run TestLimitsPlot -v -write
//
// The simulation has a fixed seed, so the same code draws the same bytes.
package main
