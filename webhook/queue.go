package webhook

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"
)

// enter counts a delivery in, unless the handler is shut down. Each enter that succeeds needs a leave.
func (h *Handler) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.active++
	return true
}

func (h *Handler) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.active--
	if h.closed && h.active == 0 {
		close(h.drained)
	}
}

// track notes a delivery that a function is about to handle.
func (h *Handler) track(d *delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running[d] = true
}

func (h *Handler) untrack(d *delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.running, d)
}

func (h *Handler) enqueue(d *delivery) answer {
	d.ctx = context.WithoutCancel(d.ctx)
	refused := h.push(d)
	if refused == nil {
		return answer{status: http.StatusOK, reason: "queued"}
	}
	ctx, cancel := bounded(d.ctx)
	defer cancel()
	if err := h.abandon(ctx, d); err != nil {
		h.report(ctx, d.event, err)
	}
	return refuse(http.StatusServiceUnavailable, refused)
}

var errQueueFull = errors.New("the queue is full")

// push gives a delivery to a new worker or puts it into the queue, or says why not. Workers exist only while there is
// work, so that an idle handler has no goroutine.
func (h *Handler) push(d *delivery) (refused error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return ErrShutdown
	case h.working < h.workers:
		h.working++
		h.running[d] = true
		go h.work(d)
	case len(h.queue) < h.queueSize:
		h.queue = append(h.queue, d)
	default:
		return errQueueFull
	}
	h.active++
	return nil
}

func (h *Handler) work(d *delivery) {
	exited := true
	defer func() {
		if exited { // by a function that called runtime.Goexit
			go h.work(nil)
		}
	}()
	if d == nil {
		d = h.pop()
	}
	for ; d != nil; d = h.pop() {
		h.handleQueued(d)
	}
	exited = false
}

// pop returns the next delivery, or nil, after which the worker must end.
func (h *Handler) pop() *delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.queue) == 0 {
		h.working--
		return nil
	}
	d := h.queue[0]
	h.queue[0] = nil
	h.queue = h.queue[1:]
	h.running[d] = true
	return d
}

func (h *Handler) handleQueued(d *delivery) {
	defer h.leave()
	defer h.untrack(d)
	switch handled, err := h.reclaim(d); {
	case handled:
		h.decide(d, OutcomeDuplicate, err)
		return
	case err != nil:
		h.reportOutcome(d, err)
		return
	}
	_ = h.handle(d) // which has reported it
}

// reclaim claims a delivery once more whose lease is over, unless it was handled meanwhile.
func (h *Handler) reclaim(d *delivery) (handled bool, err error) {
	if time.Since(d.claimed) < h.lease {
		return false, nil
	}
	claim, err := h.claim(d)
	if claim == InFlight {
		err = ErrInFlight
	}
	return claim == Handled, err
}

// shutdownGrace is how long Shutdown waits after its context has ended.
const shutdownGrace = time.Second

// Shutdown ends the work in good order: it refuses deliveries that come now with 503, and waits for those that are
// being handled or wait in the queue. Call it before or after the Shutdown of the [net/http.Server]: nothing is lost
// either way.
//
// When ctx ends first, the contexts of the functions that still run end. Shutdown waits up to a second for them and
// returns the cause of ctx. By then the function of [WithOnError] has had each delivery that is not handled, with
// [ErrShutdown] unless its own function failed in time: those in the queue, and those whose function still runs.
// Whatever such a function returns later is not reported any more. Reports that are under way get five more seconds.
func (h *Handler) Shutdown(ctx context.Context) error {
	defer h.stop(ErrShutdown)
	drained := h.close()
	select {
	case <-drained:
		return nil
	default:
	}
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		h.giveUp(ctx, drained)
		return context.Cause(ctx)
	}
}

func (h *Handler) close() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		if h.active == 0 {
			close(h.drained)
		}
	}
	return h.drained
}

// giveUp ends what runs, and reports what is not handled.
func (h *Handler) giveUp(ctx context.Context, drained <-chan struct{}) {
	h.stop(ErrShutdown)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	for _, d := range h.emptyQueue() {
		_ = h.abandon(ctx, d) // failing that, the claim ends with its lease
		h.reportOutcome(d, ErrShutdown)
		h.leave()
	}
	select {
	case <-drained:
	case <-ctx.Done():
	}
	for _, d := range h.stillRunning() {
		h.reportOutcome(d, ErrShutdown)
	}
	h.awaitReports(ctx)
}

// awaitReports lets calls of onError end that other goroutines make.
func (h *Handler) awaitReports(ctx context.Context) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	h.mu.Lock()
	running := slices.Collect(maps.Keys(h.reports))
	h.mu.Unlock()
	for _, ended := range running {
		select {
		case <-ended:
		case <-ctx.Done():
			return
		}
	}
}

func (h *Handler) emptyQueue() []*delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	waiting := h.queue
	h.queue = nil
	return waiting
}

func (h *Handler) stillRunning() []*delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Keys(h.running))
}
