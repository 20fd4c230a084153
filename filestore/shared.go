package filestore

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"time"
)

// The window, the slots that are taken, follows the two copies of the record.
//
//	 0  magic
//	 8  version
//	12  number of slots
//	16  when the service asked for a pause, in ns since 1970
//	24  when the pause ends; 0: none
//	32  0
//	60  CRC-32C of everything before, and of the slots
//	64  slots of 32 bytes: when the owner's process was started, its process id, its instance, the slot's serial number,
//	    0, and when the slot becomes free, in ns since 1970; 0: the call is in flight
//
// It is not flushed, because losing it costs only a minute.
const (
	windowMagic  = "DRIFTWIN"
	windowOffset = copies * blockSize
	windowSize   = 8 * blockSize
	windowHeader = 64
	slotSize     = 32
	maxSlots     = (windowSize - windowHeader) / slotSize

	// maxPerMinute leaves room for slots that a damaged window has lost.
	maxPerMinute = 1000

	// longestPause keeps sums of times from overflowing.
	longestPause = 366 * 24 * time.Hour
)

// sharedWindow is the file's record of the last minute.
type sharedWindow struct {
	pause pause
	slots []sharedSlot
}

// pause holds back all calls until it ends. If asked is in the future, the clock has been set back.
type pause struct{ asked, until int64 }

type sharedSlot struct {
	owner  owner
	serial uint32
	back   int64
}

// holding is the state of a slot of this process: the time when it becomes free, or one of these.
type holding int64

const (
	underWay holding = 0
	unused   holding = -1
)

// fullWindow replaces a damaged window. Any number of slots may have been taken, so all of them are until the given
// time.
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

// merge updates the window with the slots of this process, and reports whether that changed it. It restores a slot that
// the window has lost. It removes a slot that this process does not hold, because its caller got an error instead.
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

// settle advances the window to now, and reports whether the change must be written. The service may count a call of a
// dead process as late as now. A time that is too far ahead dates from before the clock was set back.
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

// outlook is a process's view of the window, in the process's own time.
type outlook struct {
	returns []time.Time // the earliest time when each taken slot becomes free, in order
	paused  time.Time   // no call goes before
}

func (w *sharedWindow) outlook(now int64, length time.Duration) outlook {
	var o outlook
	here := time.Now()
	for _, s := range w.slots {
		after := length // the call is in flight
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

// slotAt returns the earliest time at which a caller with this many others ahead can get a slot, if no slot is given
// back unused. The slots that the callers ahead take become free after the window's length. Callers ahead may be of the
// other class, so slotAt assumes that each round uses the whole limit: a caller whose wait might be shorter is not
// refused.
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

// share reads the window, brings it up to date, and passes it to look, which reports whether it changed the window. It
// then writes the changes. A damaged window counts as full.
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

// told drops the changes that are now in the file.
func (q *Quota) told() {
	for serial, h := range q.holdings {
		if h != underWay {
			delete(q.holdings, serial)
		}
	}
	q.pause = pause{}
}

// take takes a slot if fewer than capacity are taken and there is no pause. Otherwise it returns the outlook.
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

// give gives a slot back: at once if it was not used, otherwise after the window's length.
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

// pauseFor pauses all processes.
func (q *Quota) pauseFor(d time.Duration) {
	q.mu.Lock()
	now := q.clock()
	if until := now.Add(min(d, longestPause)).UnixNano(); until > q.pause.until && !q.closed {
		q.pause = pause{now.UnixNano(), until}
	}
	q.mu.Unlock()
	q.tell()
}

// tell writes the changes to the file. Its callers have no context, so it waits only briefly for the file. If it fails,
// a timer calls it again, until it succeeds or until Close.
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

// recheck returns how long to wait before checking again for changes by another process: a second.
func (q *Quota) recheck() time.Duration { return q.length / 60 }

// release gives back the slots that are still held, as if this process had died.
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
