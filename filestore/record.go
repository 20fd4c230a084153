package filestore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"time"
)

// The file begins with two copies of the record. An update overwrites the older one, so that the newer one survives an update
// that was torn. Each has a block of its own: a disk that loses a block loses one copy.
//
//	 0  magic
//	 8  version
//	12  0
//	16  SHA-256 of the account's name
//	48  sequence number, one more with each update
//	56  month, in months since the year 0; 0: nothing was counted yet
//	64  used
//	72  latest time seen, in ms since 1970
//	80  when the clock was first doubted, in ms since 1970
//	88  calls since then
//	96  0
//	124 CRC-32C of all before
//
// Numbers are little-endian. Later versions keep the first 12 bytes and the checksum where they are.
const (
	recordMagic   = "DRIFTUSE"
	formatVersion = 1
	recordSize    = 128
	blockSize     = 4096
	copies        = 2
)

const (
	// farthest is how far beyond the latest time seen the clock is believed when it shows another month.
	farthest = 40 * 24 * time.Hour

	// settledAfter is how long after a call under a doubted clock it is certain that the call was sent: one that was not
	// would have been taken back.
	settledAfter = 2 * time.Minute
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is what the file knows of the month.
type record struct {
	account  [sha256.Size]byte
	sequence uint64
	month    int64
	used     int
	latest   int64
	doubted  int64 // since when the clock is doubted, if any call was made since
	probes   int   // calls since then; they count in month, and in the next one if the clock is believed
}

func (r record) encode() []byte {
	b := make([]byte, recordSize)
	copy(b, recordMagic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	copy(b[16:], r.account[:])
	binary.LittleEndian.PutUint64(b[48:], r.sequence)
	binary.LittleEndian.PutUint64(b[56:], uint64(r.month))
	binary.LittleEndian.PutUint64(b[64:], uint64(r.used))
	binary.LittleEndian.PutUint64(b[72:], uint64(r.latest))
	binary.LittleEndian.PutUint64(b[80:], uint64(r.doubted))
	binary.LittleEndian.PutUint64(b[88:], uint64(r.probes))
	binary.LittleEndian.PutUint32(b[124:], crc32.Checksum(b[:124], castagnoli))
	return b
}

// decode returns ErrCorrupt or ErrVersion for what is no record of this version.
func decode(b []byte) (record, error) {
	if string(b[:8]) != recordMagic || crc32.Checksum(b[:124], castagnoli) != binary.LittleEndian.Uint32(b[124:]) {
		return record{}, ErrCorrupt
	}
	if binary.LittleEndian.Uint32(b[8:]) != formatVersion {
		return record{}, ErrVersion
	}
	used, probes := binary.LittleEndian.Uint64(b[64:]), binary.LittleEndian.Uint64(b[88:])
	if used > math.MaxInt32 || probes > used {
		return record{}, ErrCorrupt
	}
	return record{
		account:  [sha256.Size]byte(b[16:48]),
		sequence: binary.LittleEndian.Uint64(b[48:]),
		month:    int64(binary.LittleEndian.Uint64(b[56:])),
		used:     int(used),
		latest:   int64(binary.LittleEndian.Uint64(b[72:])),
		doubted:  int64(binary.LittleEndian.Uint64(b[80:])),
		probes:   int(probes),
	}, nil
}

// newest returns the valid copy with the highest sequence number, and which of the two it is.
func newest(both [copies][]byte) (r record, place int, err error) {
	a, errA := decode(both[0])
	b, errB := decode(both[1])
	switch {
	case errors.Is(errA, ErrVersion) || errors.Is(errB, ErrVersion):
		return record{}, 0, ErrVersion
	case errA != nil && errB != nil:
		return record{}, 0, ErrCorrupt
	case errB != nil || errA == nil && a.sequence > b.sequence:
		return a, 0, nil
	default:
		return b, 1, nil
	}
}

func monthOf(at time.Time, location *time.Location) int64 {
	year, month, _ := at.In(location).Date()
	return int64(year)*12 + int64(month) - 1
}

// startOfMonth is the first instant of a month: midnight, or when the clocks go forward at that hour, what follows it.
func startOfMonth(month int64, location *time.Location) time.Time {
	start := time.Date(int(month/12), time.Month(month%12+1), 1, 0, 0, 0, 0, location)
	if monthOf(start, location) < month {
		_, start = start.ZoneBounds()
	}
	return start
}

// reserve counts a call, or reports that the month is used up. While the clock is doubted the month goes on, and if it is used
// up, one call may go nevertheless: what becomes of it decides whether the clock is right.
func (r *record) reserve(at time.Time, location *time.Location, limit int) bool {
	r.turn(at, location)
	doubtful := monthOf(at, location) > r.month
	if r.full(limit) && !(doubtful && r.probes == 0) {
		return false
	}
	r.used++
	if doubtful {
		if r.probes == 0 {
			r.doubted = at.UnixMilli()
		}
		r.probes++
	}
	return true
}

func (r *record) full(limit int) bool { return limit > 0 && r.used >= limit }

// turn begins the month of the clock, if that can be believed. A month never comes back: a clock that was set back must not
// open a used one again.
func (r *record) turn(at time.Time, location *time.Location) {
	now, month := at.UnixMilli(), monthOf(at, location)
	late := 0 // calls in doubt, some of which may have been made in the month that begins
	if month > r.month && r.settled(now) {
		late = r.probes
		r.begin(monthOf(time.UnixMilli(r.doubted), location), r.doubted)
	}
	switch {
	case month <= r.month:
		r.latest = max(r.latest, now)
		r.doubted, r.probes = 0, 0
	case r.month == 0 || now-r.latest <= farthest.Milliseconds():
		r.begin(month, now)
		r.used += late
	case r.probes > 0 && now < r.doubted: // it has jumped again
		r.doubted = now
	}
}

// settled reports whether a call was sent since the clock is doubted. Its TLS handshake found the server's certificate valid
// at that time, which a clock that is wrong by months or years rarely achieves.
func (r *record) settled(now int64) bool {
	return r.probes > 0 && now-r.doubted >= settledAfter.Milliseconds()
}

// begin turns to a month, in which the calls since the clock is doubted count.
func (r *record) begin(month, latest int64) {
	r.month, r.used, r.latest = month, r.probes, latest
	r.doubted, r.probes = 0, 0
}

// refund takes back a call that was counted in this month while the clock showed that one.
func (r *record) refund(counted, shown int64) bool {
	switch {
	case r.used == 0:
		return false
	case r.month == counted:
		if shown > counted && r.probes > 0 {
			r.probes--
		}
	case r.month != shown || shown <= counted:
		return false
	}
	r.used--
	return true
}
