// Package benchmarks measures the client and draws what comes out. It is a module of its own, so that no user's go.sum grows by
// what it needs.
//
// The limiter against a token bucket, in virtual time, as docs/limits.svg:
//
//	go -C benchmarks test -run TestLimitsPlot -v -write
//
// The simulation has a fixed seed, so the same code draws the same bytes.
package benchmarks
