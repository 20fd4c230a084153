package webhook

import (
	"context"
	"net/http"
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

func (h *Handler) enqueue(ctx context.Context, d *delivery) answer {
	d.ctx = context.WithoutCancel(ctx)
	reason := h.push(d)
	if reason == "" {
		return answer{status: http.StatusOK, reason: "queued"}
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	if err := h.abandon(ctx, d); err != nil {
		h.report(ctx, d.event, err)
	}
	return answer{status: http.StatusServiceUnavailable, reason: reason}
}

// push gives a delivery to a new worker or puts it into the queue, or says why not. Workers exist only while there is work,
// so that a handler that nobody uses has no goroutine.
func (h *Handler) push(d *delivery) (refused string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return "shutting down"
	case h.working < h.workers:
		h.working++
		go h.work(d)
	case len(h.queue) < h.queueSize:
		h.queue = append(h.queue, d)
	default:
		return "the queue is full"
	}
	h.active++
	return ""
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
	return d
}

func (h *Handler) handleQueued(d *delivery) {
	defer h.leave()
	if time.Since(d.claimed) >= h.lease {
		switch claim, err := h.claim(d.ctx, d); {
		case err != nil:
			h.report(d.ctx, d.event, err)
			return
		case claim == InFlight:
			h.report(d.ctx, d.event, ErrInFlight)
			return
		case claim == Handled:
			return // it was sent again meanwhile
		}
	}
	_ = h.handle(d.ctx, d) // settled and reported there
}

// Shutdown ends the work in good order: deliveries that come now are answered 503, those that are being handled or wait in
// the queue are finished. Call it after the Shutdown of the [net/http.Server], or before: both ways nothing is lost.
//
// When ctx ends first, Shutdown returns its cause at once, or a second later where the [Dedup] store is slow. The contexts of
// the functions that still run end then, and what waits in the queue goes to the function of [WithOnError] with [ErrShutdown].
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
		h.giveUp(ctx)
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

// giveUp empties the queue.
func (h *Handler) giveUp(ctx context.Context) {
	h.mu.Lock()
	waiting := h.queue
	h.queue = nil
	h.mu.Unlock()

	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	for _, d := range waiting {
		_ = h.abandon(bounded, d) // failing that, the claim ends with its lease
		h.report(d.ctx, d.event, ErrShutdown)
		h.leave()
	}
}
