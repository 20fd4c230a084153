package webhook

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Dedup remembers deliveries, so that each is handled once. An implementation must be safe for concurrent use, and in
// a store that several processes share Claim must be atomic. A key is a SHA-256 in 64 hexadecimal digits, and holds
// nothing of a delivery that can be read.
//
// A delivery is claimed before it is handled, and marked as done only after that succeeded. So a crash in between loses
// nothing: the claim ends with its lease, and the sender's next try is handled.
//
// The methods get a context that ends after five seconds at the latest, and not with the request. A panic in them is
// recovered, and reported as a [*PanicError].
type Dedup interface {
	// Claim takes a delivery for as long as lease, unless it is taken or done already.
	Claim(ctx context.Context, key string, lease time.Duration) (Claim, error)

	// Done marks a delivery as handled, for as long as keep, whether or not its lease is over.
	Done(ctx context.Context, key string, keep time.Duration) error

	// Abandon forgets a delivery, so that the next Claim takes it. An unknown key is not an error.
	Abandon(ctx context.Context, key string) error
}

// Claim is what [Dedup] knows of a delivery.
type Claim int

// What can be known of a delivery. The zero value is none of them.
const (
	Claimed  Claim = iota + 1 // it is the caller's now, who must call Done or Abandon
	InFlight                  // another claim holds it, whose lease is not over
	Handled                   // it was marked as done
)

// DefaultDedupSize is how many deliveries a [MemoryDedup] remembers by default, at about 300 bytes each.
const DefaultDedupSize = 10_000

// ErrDedupFull: as many deliveries are being handled as a [MemoryDedup] may remember.
var ErrDedupFull = errors.New("webhook: too many deliveries are being handled")

// MemoryDedup is a [Dedup] in the memory of one process, and of limited size: to make room it forgets those
// deliveries that were done first. It never forgets one that is being handled. Make one with [NewMemoryDedup].
type MemoryDedup struct {
	size int

	mu     sync.Mutex
	claims recent[string, time.Time] // until when
	done   recent[string, time.Time]
}

// NewMemoryDedup returns a store for size deliveries; 0 or less is [DefaultDedupSize].
func NewMemoryDedup(size int) *MemoryDedup {
	if size <= 0 {
		size = DefaultDedupSize
	}
	return &MemoryDedup{size: size}
}

// Claim fails only with [ErrDedupFull].
func (m *MemoryDedup) Claim(_ context.Context, key string, lease time.Duration) (Claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if until, ok := m.done.get(key); ok && now.Before(until) {
		return Handled, nil
	}
	if until, ok := m.claims.get(key); ok && now.Before(until) {
		return InFlight, nil
	}
	m.done.remove(key)
	m.claims.remove(key)
	if !m.makeRoom(now) {
		return 0, ErrDedupFull
	}
	m.claims.put(key, now.Add(lease))
	return Claimed, nil
}

// Done never fails.
func (m *MemoryDedup) Done(_ context.Context, key string, keep time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.claims.remove(key)
	m.done.remove(key)
	if m.makeRoom(now) {
		m.done.put(key, now.Add(keep))
	}
	return nil
}

// Abandon never fails.
func (m *MemoryDedup) Abandon(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.claims.remove(key)
	m.done.remove(key)
	return nil
}

// makeRoom forgets what is over, and then, if there is still no place, what was done first.
func (m *MemoryDedup) makeRoom(now time.Time) bool {
	for _, entries := range []*recent[string, time.Time]{&m.claims, &m.done} {
		for key, until, ok := entries.oldest(); ok && !now.Before(until); key, until, ok = entries.oldest() {
			entries.remove(key)
		}
	}
	if m.claims.len()+m.done.len() < m.size {
		return true
	}
	key, _, ok := m.done.oldest()
	m.done.remove(key)
	return ok
}
