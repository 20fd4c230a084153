package webhook

import (
	"container/list"
	"sync"
	"time"
)

// Newest tells events that are older than one that came before, since deliveries can overtake each other. K is what
// the events are about, such as [drift.ConversationID]. The zero value is ready, and safe for concurrent use.
//
//	var newest webhook.Newest[drift.ContactID]
//
//	webhook.On(handler, func(ctx context.Context, e *webhook.ContactUpdated) error {
//		if !newest.Accept(e.Data.EndUserID, e.OccurredAt()) {
//			return nil // a later change is known already
//		}
//		…
//	})
//
// It keeps the [NewestSize] keys that were accepted last, in the memory of one process. Where the state is in a
// database, keep the time there instead, beside it, and compare in the same transaction.
type Newest[K comparable] struct {
	mu     sync.Mutex
	latest recent[K, time.Time]
}

// NewestSize is how many keys a [Newest] keeps.
const NewestSize = 10_000

// Accept reports whether nothing later than at was accepted for key. Equal times are accepted, so that a delivery
// that failed can come again, and so is the zero time, which says nothing.
func (n *Newest[K]) Accept(key K, at time.Time) bool {
	if at.IsZero() {
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if latest, ok := n.latest.get(key); ok && at.Before(latest) {
		return false
	}
	n.latest.put(key, at)
	if n.latest.len() > NewestSize {
		oldest, _, _ := n.latest.oldest()
		n.latest.remove(oldest)
	}
	return true
}

// recent is a map that knows the order in which its keys were put. The zero value is empty.
type recent[K comparable, V any] struct {
	order    list.List // of entry[K, V]
	elements map[K]*list.Element
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func (r *recent[K, V]) len() int { return r.order.Len() }

func (r *recent[K, V]) get(key K) (value V, ok bool) {
	element, ok := r.elements[key]
	if !ok {
		return value, false
	}
	return element.Value.(entry[K, V]).value, true
}

func (r *recent[K, V]) put(key K, value V) {
	r.remove(key)
	if r.elements == nil {
		r.elements = map[K]*list.Element{}
	}
	r.elements[key] = r.order.PushBack(entry[K, V]{key, value})
}

func (r *recent[K, V]) remove(key K) {
	if element, ok := r.elements[key]; ok {
		r.order.Remove(element)
		delete(r.elements, key)
	}
}

// oldest returns the entry that was put first.
func (r *recent[K, V]) oldest() (key K, value V, ok bool) {
	front := r.order.Front()
	if front == nil {
		return key, value, false
	}
	e := front.Value.(entry[K, V])
	return e.key, e.value, true
}
