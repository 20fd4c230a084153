package filestore

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"time"

	"github.com/driftsdk/drift"
)

// The window, the slots that are taken, follows the two copies of the record.
//
//	 0  magic
//	 8  version
//	12  number of slots
//	16  when the last pause began
//	24  when it ends; 0: there was none
//	32  when the first slot was taken; 0: none was
//	40  when the last slot was taken for an interactive call, and for a bulk call; 0: none was
//	56  number of pauses
//	60  CRC-32C of the header, without this field, and of the slots
//	64  calls that the service admitted since the last pause began, and between that and the one before
//	72  calls a minute; 0: not known
//	76  limit of the lesson; 0: there is none
//	80  interval of the lesson
//	88  when the lesson was learned, or the end of the pause of that time
//	96  0
//	128 slots of 32 bytes: the owner's set of process ids, when its process was started, its process id, its instance,
//	    the slot's serial number, the number of pauses when it was taken and two flags (see slot), and when the lease of
//	    a call in flight ends or the slot becomes free
//
// Times are in ns since 1970. The window is not flushed, because losing it costs only a minute.
const (
	windowMagic  = "DRIFTWIN"
	windowOffset = copies * blockSize
	windowSize   = 8 * blockSize
	windowHeader = 128
	slotSize     = 32
	maxSlots     = (windowSize - windowHeader) / slotSize

	// maxPerMinute leaves room for slots that a damaged window has lost.
	maxPerMinute = 1000

	// These keep times that date from before the clock was set back within bounds.
	longestPause = 366 * 24 * time.Hour
	longestLease = time.Hour

	// never is how long ago something was that has not happened.
	never = time.Duration(1 << 60)
)

// minuteWindow is the file's record of the last minute.
type minuteWindow struct {
	first            int64 // 0: none was taken
	pause            pause
	pauses           uint32 // how many there were
	admitted, before uint32
	last             [2]int64 // by class
	perMinute        uint32
	lesson           drift.WindowLesson
	learned          int64
	slots            []slot
}

// pause holds back all calls until it ends.
type pause struct{ began, until int64 }

// slot is one that is taken.
type slot struct {
	owner    owner
	serial   uint32
	pauses   uint32 // how many there were when it was taken
	inFlight bool
	refused  bool
	until    int64 // in flight: the end of the lease; otherwise when it becomes free
}

const (
	flagInFlight = 1 << iota
	flagRefused
	flagBits = iota
)

// fullWindow replaces a damaged window. Any number of slots may have been taken, so all of them are until the given
// time.
func fullWindow(now, back int64) *minuteWindow {
	return &minuteWindow{first: now, slots: slices.Repeat([]slot{{until: back}}, maxPerMinute)}
}

// encode writes the window to the start of b and returns that part.
func (w *minuteWindow) encode(b []byte) []byte {
	b = b[:windowHeader+len(w.slots)*slotSize]
	clear(b)
	copy(b, windowMagic)
	put32 := func(at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
	put64 := func(at int, v int64) { binary.LittleEndian.PutUint64(b[at:], uint64(v)) }
	put32(8, formatVersion)
	put32(12, uint32(len(w.slots)))
	put64(16, w.pause.began)
	put64(24, w.pause.until)
	put64(32, w.first)
	put64(40, w.last[0])
	put64(48, w.last[1])
	put32(56, w.pauses)
	put32(64, w.admitted)
	put32(68, w.before)
	put32(72, w.perMinute)
	put32(76, uint32(w.lesson.Limit))
	put64(80, int64(w.lesson.Interval))
	put64(88, w.learned)
	for i, s := range w.slots {
		s.encode(b[windowHeader+i*slotSize:])
	}
	put32(60, windowChecksum(b))
	return b
}

func (s slot) encode(b []byte) {
	state := s.pauses << flagBits
	if s.inFlight {
		state |= flagInFlight
	}
	if s.refused {
		state |= flagRefused
	}
	for i, v := range []uint32{s.owner.space, s.owner.started, s.owner.pid, s.owner.instance, s.serial, state} {
		binary.LittleEndian.PutUint32(b[4*i:], v)
	}
	binary.LittleEndian.PutUint64(b[24:], uint64(s.until))
}

// decodeWindow returns nil if the window is damaged, or of another version.
func decodeWindow(b []byte) *minuteWindow {
	get32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	get64 := func(at int) int64 { return int64(binary.LittleEndian.Uint64(b[at:])) }
	count := get32(12)
	if string(b[:8]) != windowMagic || get32(8) != formatVersion || count > maxSlots {
		return nil
	}
	b = b[:windowHeader+count*slotSize]
	if windowChecksum(b) != get32(60) {
		return nil
	}
	w := &minuteWindow{
		pause:     pause{get64(16), get64(24)},
		first:     get64(32),
		last:      [2]int64{get64(40), get64(48)},
		pauses:    get32(56),
		admitted:  get32(64),
		before:    get32(68),
		perMinute: get32(72),
		lesson:    drift.WindowLesson{Limit: int(get32(76)), Interval: time.Duration(get64(80))},
		learned:   get64(88),
		slots:     make([]slot, count, count+1),
	}
	for i := range w.slots {
		w.slots[i] = decodeSlot(b[windowHeader+i*slotSize:])
	}
	return w
}

func decodeSlot(b []byte) slot {
	get := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
	state := get(5)
	return slot{
		owner:    owner{space: get(0), started: get(1), pid: get(2), instance: get(3)},
		serial:   get(4),
		pauses:   state >> flagBits,
		inFlight: state&flagInFlight != 0,
		refused:  state&flagRefused != 0,
		until:    int64(binary.LittleEndian.Uint64(b[24:])),
	}
}

func windowChecksum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:60], castagnoli), castagnoli, b[64:])
}

// holding is what a process knows of its own slot. Its times are by the monotonic clock.
type holding struct {
	pauses   uint32
	until    time.Time // in flight: the end of the lease; otherwise when it becomes free
	ended    bool
	refused  bool
	admitted bool // by the service
	telling  bool // the window that is to be written has its end
	told     bool // the file has its end
}

// merge puts the slots that a process holds in place of those that the window has of it. So it restores a slot that the
// window has lost, that another process has taken for that of a dead one, or that a wall clock that was set forward has
// freed. And it removes one whose caller got an error instead.
func (w *minuteWindow) merge(me owner, held map[uint32]*holding, here time.Time, now int64) {
	w.slots = slices.DeleteFunc(w.slots, func(s slot) bool { return s.owner == me })
	for serial, h := range held {
		h.telling = h.ended
		if h.admitted && !h.told && h.pauses == w.pauses {
			w.admitted++
		}
		if rest := h.until.Sub(here); len(w.slots) < maxSlots && (!h.ended || rest > 0) {
			own := slot{me, serial, h.pauses, !h.ended, h.refused, now + int64(rest)}
			w.slots = append(w.slots, own)
		}
	}
}

// settle advances the window to now. The service may count a call of a dead process as late as now. A time that is too
// far ahead dates from before the clock was set back.
func (w *minuteWindow) settle(me owner, now int64, length time.Duration) {
	lost := int64(length + length/marginPart)
	running := make(map[owner]bool)
	for i := range w.slots {
		s := &w.slots[i]
		switch {
		case s.owner == me:
		case !s.inFlight:
			s.until = min(s.until, now+lost)
		case !me.sees(s.owner):
			if s.until = min(s.until, now+int64(longestLease)); s.until <= now {
				s.inFlight, s.until = false, s.until+lost
			}
		case !isRunning(running, s.owner):
			s.inFlight, s.until = false, now+lost
		}
	}
	w.slots = slices.DeleteFunc(w.slots, func(s slot) bool { return !s.inFlight && s.until <= now })
	if back := max(w.first, w.pause.began, w.last[0], w.last[1]) - now; back > 0 {
		for _, at := range []*int64{&w.first, &w.pause.began, &w.pause.until, &w.last[0], &w.last[1], &w.learned} {
			if *at != 0 {
				*at -= back
			}
		}
	}
}

// marginPart is the part of a window's length for which a slot stays taken in addition, if nobody knows when the
// service counts its call: three seconds of a minute.
const marginPart = 20

func isRunning(known map[owner]bool, o owner) bool {
	running, ok := known[o]
	if !ok {
		running = o.runs()
		known[o] = running
	}
	return running
}

// allows reports whether a slot can be taken.
func (w *minuteWindow) allows(claim drift.WindowClaim, now int64, length time.Duration) bool {
	idle := time.Duration(now - max(w.last[0], w.last[1]))
	return w.pause.until <= now && claim.Lesson == w.lesson && len(w.slots) < min(claim.Capacity, maxPerMinute) &&
		time.Duration(now-w.last[class(claim)]) >= claim.Spacing && idle >= claim.Pace &&
		(!w.ramps(now, length) || w.recent() <= min(int(w.admitted), claim.InFlight-1) ||
			w.admitted > 0 && idle >= claim.Ramp)
}

// ramps reports whether the window is young, or a pause has just ended.
func (w *minuteWindow) ramps(now int64, length time.Duration) bool {
	return w.age(now) < length || time.Duration(now-w.pause.until) < length
}

func (w *minuteWindow) age(now int64) time.Duration {
	if w.first == 0 {
		return 0
	}
	return time.Duration(now - w.first)
}

// class is the index of a claim's class.
func class(claim drift.WindowClaim) int {
	if claim.Class == drift.ClassBulk {
		return 1
	}
	return 0
}

// recent returns how many slots in flight were taken since the last pause began.
func (w *minuteWindow) recent() (n int) {
	for _, s := range w.slots {
		if s.inFlight && s.pauses == w.pauses {
			n++
		}
	}
	return n
}

// change changes the pause and the lesson.
func (w *minuteWindow) change(p drift.WindowPause, now int64) {
	until := now + int64(min(p.For, longestPause))
	switch paused := w.pause.until > now; {
	case p.For > 0 && paused:
		w.pause.until = max(w.pause.until, until)
	case p.For > 0:
		w.pause = pause{now, until}
		w.pauses = (w.pauses + 1) << flagBits >> flagBits
		w.admitted, w.before = 0, w.admitted
	case p.For < 0 && paused:
		w.pause.until = now
	}
	if p.Lesson.Limit > 0 {
		w.lesson, w.learned = p.Lesson, max(now, w.pause.until)
	}
}

func (w *minuteWindow) state(now int64) drift.WindowState {
	s := drift.WindowState{
		Recent: w.recent(), Admitted: int(w.admitted), Before: int(w.before), Pause: -never,
		Age: w.age(now), Lesson: w.lesson, LessonAge: time.Duration(now - w.learned),
	}
	for i, at := range w.last {
		s.Since[i] = never
		if at != 0 {
			s.Since[i] = time.Duration(now - at)
		}
	}
	if w.pause.until != 0 {
		s.Pause = time.Duration(w.pause.until - now)
	}
	for _, slot := range w.slots {
		switch {
		case slot.inFlight:
			s.InFlight++
			continue
		case slot.refused:
			s.Refused++
		}
		s.Returns = append(s.Returns, time.Duration(slot.until-now))
	}
	slices.Sort(s.Returns)
	return s
}
