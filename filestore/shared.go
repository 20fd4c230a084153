package filestore

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"time"
)

// After the two copies of the record stands the window: the slots that are taken.
//
//	 0  magic
//	 8  version
//	12  number of slots
//	16  when the service asked for a pause, in ns since 1970
//	24  when the pause ends; 0: none
//	32  0
//	60  CRC-32C of all before, and of the slots
//	64  slots of 32 bytes: when the owner's process was started, its process id, its instance, the slot's serial number, 0,
//	    and when the slot comes back, in ns since 1970; 0: the call is under way
//
// It is not flushed: it is worth a minute.
const (
	windowMagic  = "DRIFTWIN"
	windowOffset = copies * blockSize
	windowSize   = 8 * blockSize
	windowHeader = 64
	slotSize     = 32
	maxSlots     = (windowSize - windowHeader) / slotSize

	// maxPerMinute leaves a few slots to those that a damaged window has forgotten.
	maxPerMinute = 1000

	// longestPause keeps sums of times within their bounds.
	longestPause = 366 * 24 * time.Hour
)

// sharedWindow is what the file knows of the last minute.
type sharedWindow struct {
	pause pause
	slots []sharedSlot
}

// pause keeps all calls back until it ends. When it was asked for tells whether the clock was set back since.
type pause struct{ asked, until int64 }

type sharedSlot struct {
	owner  owner
	serial uint32
	back   int64
}

// holding is what became of a slot of this process: the time when it comes back, or one of these.
type holding int64

const (
	underWay holding = 0
	unused   holding = -1
)

// fullWindow is what a damaged one is taken for. Nobody knows what it held, so there is room for nobody until all of it would
// have come back.
func fullWindow(back int64) sharedWindow {
	return sharedWindow{slots: slices.Repeat([]sharedSlot{{back: back}}, maxPerMinute)}
}

// encode writes the window to the start of b and returns that part.
func (w sharedWindow) encode(b []byte) []byte {
	b = b[:windowHeader+len(w.slots)*slotSize]
	clear(b)
	copy(b, windowMagic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(w.slots)))
	binary.LittleEndian.PutUint64(b[16:], uint64(w.pause.asked))
	binary.LittleEndian.PutUint64(b[24:], uint64(w.pause.until))
	for i, s := range w.slots {
		at := b[windowHeader+i*slotSize:]
		binary.LittleEndian.PutUint64(at, s.owner.started)
		binary.LittleEndian.PutUint32(at[8:], s.owner.pid)
		binary.LittleEndian.PutUint32(at[12:], s.owner.instance)
		binary.LittleEndian.PutUint32(at[16:], s.serial)
		binary.LittleEndian.PutUint64(at[24:], uint64(s.back))
	}
	binary.LittleEndian.PutUint32(b[60:], windowChecksum(b))
	return b
}

// decodeWindow reports whether the window is intact.
func decodeWindow(b []byte) (sharedWindow, bool) {
	count := binary.LittleEndian.Uint32(b[12:])
	if string(b[:8]) != windowMagic || binary.LittleEndian.Uint32(b[8:]) != formatVersion || count > maxSlots {
		return sharedWindow{}, false
	}
	b = b[:windowHeader+count*slotSize]
	if windowChecksum(b) != binary.LittleEndian.Uint32(b[60:]) {
		return sharedWindow{}, false
	}
	w := sharedWindow{
		pause: pause{int64(binary.LittleEndian.Uint64(b[16:])), int64(binary.LittleEndian.Uint64(b[24:]))},
		slots: make([]sharedSlot, count, count+1),
	}
	for i := range w.slots {
		at := b[windowHeader+i*slotSize:]
		w.slots[i] = sharedSlot{
			owner: owner{
				started:  binary.LittleEndian.Uint64(at),
				pid:      binary.LittleEndian.Uint32(at[8:]),
				instance: binary.LittleEndian.Uint32(at[12:]),
			},
			serial: binary.LittleEndian.Uint32(at[16:]),
			back:   int64(binary.LittleEndian.Uint64(at[24:])),
		}
	}
	return w, true
}

func windowChecksum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:60], castagnoli), castagnoli, b[windowHeader:])
}

// merge tells the window what became of the slots of this process, and reports whether that was news. A slot that the window
// has forgotten is put in again; one that it should not know goes: its caller was told that there is none.
func (w *sharedWindow) merge(me owner, holdings map[uint32]holding) bool {
	changed := false
	known := make(map[uint32]bool, len(holdings))
	kept := w.slots[:0]
	for _, s := range w.slots {
		if s.owner == me && s.back == 0 {
			h, held := holdings[s.serial]
			changed = changed || !held || h != underWay
			if !held || h == unused {
				continue
			}
			s.back = int64(h)
		}
		if s.owner == me {
			known[s.serial] = true
		}
		kept = append(kept, s)
	}
	w.slots = kept
	for serial, h := range holdings {
		if h != unused && !known[serial] && len(w.slots) < maxSlots {
			w.slots = append(w.slots, sharedSlot{me, serial, int64(h)})
			changed = true
		}
	}
	return changed
}

// settle brings the window up to now, and reports whether others need to know. A call of a process that died may have been
// counted by the service up to now. What lies further ahead than it can is from before the clock was set back.
func (w *sharedWindow) settle(me owner, now int64, length time.Duration) bool {
	changed := false
	latest := now + int64(length)
	running := map[owner]bool{me: true}
	for i := range w.slots {
		s := &w.slots[i]
		if s.back > latest || s.back == 0 && !isRunning(running, s.owner) {
			s.back = latest
			changed = true
		}
	}
	w.slots = slices.DeleteFunc(w.slots, func(s sharedSlot) bool { return s.back != 0 && s.back <= now })
	if w.pause.until != 0 && w.pause.asked > now {
		w.pause = pause{now, now + w.pause.until - w.pause.asked}
		changed = true
	}
	return changed
}

func isRunning(known map[owner]bool, o owner) bool {
	running, ok := known[o]
	if !ok {
		running = o.runs()
		known[o] = running
	}
	return running
}

// outlook is what a process knows of the window when it has looked at it, in its own time.
type outlook struct {
	returns []time.Time // when each slot that is taken comes back at the soonest, in order
	paused  time.Time   // nobody goes before
}

func (w *sharedWindow) outlook(now int64, length time.Duration) outlook {
	var o outlook
	here := time.Now()
	for _, s := range w.slots {
		after := length // the call is under way
		if s.back != 0 {
			after = time.Duration(s.back - now)
		}
		o.returns = append(o.returns, here.Add(after))
	}
	slices.SortFunc(o.returns, time.Time.Compare)
	if w.pause.until > now {
		o.paused = here.Add(time.Duration(w.pause.until - now))
	}
	return o
}

// slotAt is the soonest that there can be a slot for a caller with this many others ahead, if no slot is given back unused.
// Those that the callers ahead take come back after the window's length. Some callers ahead may be of the other class, so the
// rounds are those of the whole limit: nobody is refused for a wait that might have been shorter.
func (o outlook) slotAt(ahead, capacity, limit int, length time.Duration, now time.Time) time.Time {
	returns := o.returns
	for len(returns) > 0 && !returns[0].After(now) {
		returns = returns[1:]
	}
	at := now
	switch missing := ahead%limit + 1 + len(returns) - capacity; {
	case missing > len(returns):
		at = now.Add(length)
	case missing > 0:
		at = returns[missing-1]
	}
	at = at.Add(time.Duration(ahead/limit) * length)
	if o.paused.After(at) {
		return o.paused
	}
	return at
}

// share shows the window to look, which reports whether it has changed it, and tells the file the news. A damaged window is
// taken for a full one.
func (q *Quota) share(ctx context.Context, look func(w *sharedWindow, now int64) bool) error {
	return q.file.do(ctx, func() error {
		q.mu.Lock()
		defer q.mu.Unlock()
		if err := q.file.read(q.buffer, windowOffset); err != nil {
			return err
		}
		now := q.clock().UnixNano()
		w, intact := decodeWindow(q.buffer)
		if !intact {
			w = fullWindow(now + int64(q.length))
		}
		changed := !intact
		changed = w.merge(q.owner, q.holdings) || changed
		changed = w.settle(q.owner, now, q.length) || changed
		if q.pause.until > max(now, w.pause.until) {
			w.pause, changed = q.pause, true
		}
		if look(&w, now) || changed {
			if err := q.file.write(w.encode(q.buffer), windowOffset); err != nil {
				return err
			}
		}
		q.told()
		return nil
	})
}

// told forgets what the file knows now.
func (q *Quota) told() {
	for serial, h := range q.holdings {
		if h != underWay {
			delete(q.holdings, serial)
		}
	}
	q.pause = pause{}
}

// take takes a slot if fewer than capacity are taken and there is no pause. Without one, the outlook tells why.
func (q *Quota) take(ctx context.Context, capacity int) (serial uint32, taken bool, o outlook, err error) {
	err = q.share(ctx, func(w *sharedWindow, now int64) bool {
		if len(w.slots) >= capacity || w.pause.until > now {
			o = w.outlook(now, q.length)
			return false
		}
		q.serial++
		serial, taken = q.serial, true
		q.holdings[serial] = underWay
		w.slots = append(w.slots, sharedSlot{owner: q.owner, serial: serial})
		return true
	})
	if err != nil && taken {
		q.mu.Lock()
		delete(q.holdings, serial)
		q.mu.Unlock()
	}
	return serial, taken && err == nil, o, err
}

// look returns the outlook and takes nothing.
func (q *Quota) look(ctx context.Context) (o outlook, err error) {
	err = q.share(ctx, func(w *sharedWindow, now int64) bool {
		o = w.outlook(now, q.length)
		return false
	})
	return o, err
}

// give gives a slot back, at once if it was not used, else after the window's length.
func (q *Quota) give(serial uint32, used bool) {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return
	}
	q.holdings[serial] = unused
	if used {
		q.holdings[serial] = holding(q.clock().Add(q.length).UnixNano())
	}
	q.mu.Unlock()
	q.tell()
}

// pauseFor keeps all processes back for so long.
func (q *Quota) pauseFor(d time.Duration) {
	q.mu.Lock()
	now := q.clock()
	if until := now.Add(min(d, longestPause)).UnixNano(); until > q.pause.until && !q.closed {
		q.pause = pause{now.UnixNano(), until}
	}
	q.mu.Unlock()
	q.tell()
}

// tell makes the news known to the file. There is no context to wait by, so if the file is not free soon, a timer tries again
// until it is, or until Close.
func (q *Quota) tell() {
	ctx, cancel := context.WithTimeout(context.Background(), tellWait)
	defer cancel()
	err := q.share(ctx, func(*sharedWindow, int64) bool { return false })
	if err == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.retry != nil {
		q.retry.Stop()
	}
	if !q.closed {
		q.retry = time.AfterFunc(q.recheck(), q.tell)
	}
}

// recheck is how long to wait before looking again for what another process may have changed: a second.
func (q *Quota) recheck() time.Duration { return q.length / 60 }

// release gives back what is still out, as if this process had died.
func (q *Quota) release(ctx context.Context) error {
	q.mu.Lock()
	if q.closed && len(q.holdings) == 0 {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	if q.retry != nil {
		q.retry.Stop()
	}
	for serial, h := range q.holdings {
		if h == underWay {
			q.holdings[serial] = holding(q.clock().Add(q.length).UnixNano())
		}
	}
	q.mu.Unlock()
	return q.share(ctx, func(*sharedWindow, int64) bool { return false })
}
