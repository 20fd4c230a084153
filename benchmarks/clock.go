package main

import "time"

// clock tells the time since some instant.
type clock struct {
	name string
	now  func() time.Duration
	sums bool // over the cores that run at the same time
}

// The time on the wall, and that of the processors on which this process ran. The latter leaves out what neighbours take on a
// busy machine. Otherwise the two agree, because what is compared runs on one processor and waits for nobody else.
var (
	onTheWall    = clock{"on the wall", func() time.Duration { return time.Since(begin) }, false}
	onProcessors = clock{"on the processor", processorTime, true}
)

var begin = time.Now()
