package main

import (
	"context"
	"math/rand/v2"
	"net/http/httptest"
	"time"

	"github.com/driftsdk/drift"
)

// A list whose pages take some time to come, and are worked on for some time. The work of a page is in ten pieces, as that of
// a program that handles item after item.
const (
	prefetchItems   = 100
	prefetchLatency = 20 * time.Millisecond
	prefetchWork    = 20 * time.Millisecond
	workEvery       = prefetchItems / 10

	mostWithWork, mostWithoutWork = 0.62, 1.05
)

// prefetching is the time with WithPrefetch over that without, with work on the pages and with none.
type prefetching struct {
	work, noWork interval
	late         float64 // the time with work and without prefetching, over the sum of latency and work: what the machine adds
}

func measurePrefetch(quick bool) (p prefetching, err error) {
	pages, rounds := 20, 10
	if quick {
		pages, rounds = 10, 3
	}
	server := httptest.NewServer(newPageServer(pages, prefetchItems, prefetchLatency))
	defer server.Close()
	client, err := drift.NewClient(drift.WithToken(token), drift.WithBaseURL(server.URL), drift.WithRateLimit(1e5))
	if err != nil {
		return p, err
	}
	defer client.Close()
	if _, err := rangeOver(client, 0); err != nil { // so that there are connections
		return p, err
	}
	var seconds float64
	if p.work, seconds, err = prefetchRatio(client, prefetchWork, rounds); err != nil {
		return p, err
	}
	p.late = seconds / float64(pages) / (prefetchLatency + prefetchWork).Seconds()
	p.noWork, _, err = prefetchRatio(client, 0, rounds)
	return p, err
}

// prefetchRatio is the time with prefetching over that without, which is the other result.
func prefetchRatio(client *drift.Client, work time.Duration, rounds int) (ratio interval, without float64, err error) {
	random := rand.New(rand.NewPCG(7, 8))
	ways := [][]drift.CallOption{{drift.WithPrefetch()}, nil}
	ratios, withouts := make([]float64, rounds), make([]float64, rounds)
	for round := range ratios {
		seconds := make([]float64, len(ways))
		for _, i := range random.Perm(len(ways)) {
			if seconds[i], err = rangeOver(client, work, ways[i]...); err != nil {
				return interval{}, 0, err
			}
		}
		ratios[round], withouts[round] = seconds[0]/seconds[1], seconds[1]
	}
	return bootstrap(ratios), median(withouts), nil
}

// rangeOver is how long it takes to range over the list and to work on each page.
func rangeOver(client *drift.Client, work time.Duration, opts ...drift.CallOption) (seconds float64, err error) {
	start := time.Now()
	n := 0
	for _, err := range client.Conversations.All(context.Background(), drift.ConversationListOptions{}, opts...) {
		if err != nil {
			return 0, err
		}
		if n++; n%workEvery == 0 && work > 0 {
			time.Sleep(work * workEvery / prefetchItems)
		}
	}
	return time.Since(start).Seconds(), nil
}
