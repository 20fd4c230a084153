package main

import (
	"context"
	"math"
	"time"

	"github.com/driftsdk/drift"
)

// free is a limiter and a quota store that cost nothing.
type free struct{}

func (free) Acquire(context.Context, drift.Turn) (drift.Slot, error) { return free{}, nil }
func (free) Pause(context.Context, time.Time) error                  { return nil }
func (free) Done(context.Context, drift.Result) error                { return nil }
func (free) Reserve(context.Context) (drift.Reservation, error)      { return freeReservation{}, nil }
func (free) Usage(context.Context) (usage drift.Usage, _ error)      { return usage, nil }

type freeReservation struct{}

func (freeReservation) Usage() drift.Usage           { return drift.Usage{} }
func (freeReservation) Refund(context.Context) error { return nil }

// limitsCost is what the limiter and the quota in memory add to a call.
type limitsCost struct {
	microseconds, allocations float64
	counts                    bool // the floor matched itself
}

const mostLimitsMicroseconds, mostLimitsAllocations = 1, 1

// measureLimits takes a call that has little else to do, and takes the same without limiter and quota from it.
func measureLimits(e effort) (limitsCost, error) {
	transport := newStub(nil)
	remove := func(client *drift.Client) error {
		return client.Conversations.Delete(context.Background(), conversationID)
	}
	difference := func(c comparison) limitsCost {
		with := c.others[us]
		slower := c.ratio(with, c.floor).median - 1
		return limitsCost{slower * c.floor.microseconds(), math.Round(with.cost.allocations - c.floor.cost.allocations), c.counts()}
	}
	cheap := func(c comparison) bool { return difference(c).microseconds <= mostLimitsMicroseconds }
	c, err := compareUntil(cheap, e.tries, e.plan(400, callsOfSlice),
		withClient("without limits", stubURL, transport, remove, drift.WithLimiter(free{}), drift.WithQuotaStore(free{})),
		withClient("with limits", stubURL, transport, remove))
	if err != nil {
		return limitsCost{}, err
	}
	return difference(c), nil
}
