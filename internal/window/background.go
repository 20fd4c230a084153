package window

import (
	"context"
	"sync"
	"time"
)

const (
	taskTimeout = time.Second
	taskRetry   = time.Second
)

// background runs tasks in order, so that no caller waits for the store. Its goroutine ends when there are none left.
type background struct {
	mu     sync.Mutex
	tasks  []task
	idle   chan struct{}      // closed when the goroutine ends; nil: there is none
	cancel context.CancelFunc // ends the goroutine
	closed bool
}

type task struct {
	run   func(context.Context) error
	until time.Time // it is of no use later
	frees bool      // it frees a slot at once
}

// do runs a task later, and again if it fails. After close, it runs the task at once.
func (b *background) do(ctx context.Context, t task) error {
	if b.add(t) {
		return nil
	}
	return attempt(ctx, t.run)
}

// frees returns how many slots are about to be free.
func (b *background) frees() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.tasks {
		if t.frees {
			n++
		}
	}
	return n
}

// add reports whether it is not too late to add a task.
func (b *background) add(t task) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.tasks = append(b.tasks, t)
	if b.idle == nil {
		ctx, cancel := context.WithCancel(context.Background())
		b.idle, b.cancel = make(chan struct{}), cancel
		go b.work(ctx)
	}
	return true
}

// work runs tasks until none are left or the context ends.
func (b *background) work(ctx context.Context) {
	for t, ok := b.next(ctx); ok; t, ok = b.next(ctx) {
		if attempt(ctx, t.run) == nil || !time.Now().Before(t.until) {
			b.mu.Lock()
			b.tasks = b.tasks[1:]
			b.mu.Unlock()
			continue
		}
		select {
		case <-time.After(taskRetry):
		case <-ctx.Done():
		}
	}
}

// next returns the first task. If there is none, the goroutine must end.
func (b *background) next(ctx context.Context) (task, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.tasks) == 0 || ctx.Err() != nil {
		b.cancel()
		close(b.idle)
		b.idle, b.tasks = nil, nil
		return task{}, false
	}
	return b.tasks[0], true
}

func attempt(ctx context.Context, run func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, taskTimeout)
	defer cancel()
	return run(ctx)
}

// close waits until all tasks are done, or the context ends.
func (b *background) close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	idle, cancel := b.idle, b.cancel
	b.mu.Unlock()
	if idle == nil {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		cancel()
		<-idle
		return ctx.Err()
	}
}
