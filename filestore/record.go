package filestore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"time"
)

// The file begins with two copies of the record. An update overwrites the older copy, so the newer one survives an
// interrupted update. Each copy has a separate block: if the disk loses a block, one copy is left.
//
//	 0  magic
//	 8  version
//	12  0
//	16  SHA-256 of the account's name
//	48  sequence number, one more with each update
//	56  month, in months since the year 0; 0: no call counted yet
//	64  used
//	72  latest time seen, in ms since 1970
//	80  when the clock was first doubted, in ms since 1970
//	88  calls since then
//	96  plan, calls a month; 0: not limited
//	104 CRC-32C of the last 128 bytes
//	108 0
//	124 CRC-32C of everything before
//	128 length of the time zone's name
//	129 the name
//
// Version 1 ends after 128 bytes, and has 0 from byte 96 on. The next update makes it version 2.
//
// Numbers are little-endian. Later versions must not move the first 12 bytes and the checksum.
const (
	recordMagic   = "DRIFTUSE"
	formatVersion = 2
	firstVersion  = 1
	recordHalf    = 128
	recordSize    = 2 * recordHalf
	blockSize     = 4096
	copies        = 2
)

const (
	// farthest is how far the clock may jump into another month beyond the latest time seen before it is doubted.
	farthest = 40 * 24 * time.Hour

	// settledAfter is how long a call under a doubted clock must stay without a refund to count as sent.
	settledAfter = 2 * time.Minute
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is the file's count of the month.
type record struct {
	account  [sha256.Size]byte
	settings settings
	sequence uint64
	month    int64
	used     int
	latest   int64
	doubted  int64 // when the first call under a doubted clock was made
	probes   int   // calls since then; they count in month, and also in the next one if the clock proves right

	place int // which of the copies it is
	lost  int // 1: the other copy is damaged, and may have been one call ahead; that call is part of used
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
	binary.LittleEndian.PutUint64(b[96:], uint64(r.settings.plan))
	b[recordHalf] = byte(copy(b[recordHalf+1:], r.settings.zone))
	binary.LittleEndian.PutUint32(b[104:], crc32.Checksum(b[recordHalf:], castagnoli))
	binary.LittleEndian.PutUint32(b[124:], crc32.Checksum(b[:124], castagnoli))
	return b
}

// decode returns ErrCorrupt or ErrVersion for anything but a record of a known version.
func decode(b []byte) (record, error) {
	if string(b[:8]) != recordMagic || crc32.Checksum(b[:124], castagnoli) != binary.LittleEndian.Uint32(b[124:]) {
		return record{}, ErrCorrupt
	}
	used, probes := binary.LittleEndian.Uint64(b[64:]), binary.LittleEndian.Uint64(b[88:])
	r := record{
		account:  [sha256.Size]byte(b[16:48]),
		sequence: binary.LittleEndian.Uint64(b[48:]),
		month:    int64(binary.LittleEndian.Uint64(b[56:])),
		used:     int(used),
		latest:   int64(binary.LittleEndian.Uint64(b[72:])),
		doubted:  int64(binary.LittleEndian.Uint64(b[80:])),
		probes:   int(probes),
	}
	var err error
	switch binary.LittleEndian.Uint32(b[8:]) {
	case firstVersion:
	case formatVersion:
		r.settings, err = decodeSettings(b)
	default:
		return record{}, ErrVersion
	}
	if err != nil || used > math.MaxInt32 || probes > used {
		return record{}, ErrCorrupt
	}
	return r, nil
}

func decodeSettings(b []byte) (settings, error) {
	plan := binary.LittleEndian.Uint64(b[96:])
	half := b[recordHalf:recordSize]
	length := int(half[0])
	if crc32.Checksum(half, castagnoli) != binary.LittleEndian.Uint32(b[104:]) || plan > math.MaxInt32 ||
		length >= recordHalf {
		return settings{}, ErrCorrupt
	}
	return settings{int(plan), string(half[1 : 1+length])}, nil
}

// newest returns the valid copy with the highest sequence number. If the other one is damaged, that may have been the
// newer one, and one call ahead.
func newest(both [copies][]byte) (record, error) {
	a, errA := decode(both[0])
	b, errB := decode(both[1])
	a.place, b.place = 0, 1
	switch {
	case errors.Is(errA, ErrVersion) || errors.Is(errB, ErrVersion):
		return record{}, ErrVersion
	case errA != nil && errB != nil:
		return record{}, ErrCorrupt
	case errA != nil:
		b.lose()
		return b, nil
	case errB != nil:
		a.lose()
		return a, nil
	case a.sequence > b.sequence:
		return a, nil
	default:
		return b, nil
	}
}

// lose counts a call that the damaged copy may have had. It may have begun a month, so it counts in that too.
func (r *record) lose() { r.used, r.lost = min(r.used+1, math.MaxInt32), 1 }

func monthOf(at time.Time, location *time.Location) int64 {
	year, month, _ := at.In(location).Date()
	return int64(year)*12 + int64(month) - 1
}

// startOfMonth returns the first instant of a month: midnight, or the next instant if the clocks skip midnight.
func startOfMonth(month int64, location *time.Location) time.Time {
	start := time.Date(int(month/12), time.Month(month%12+1), 1, 0, 0, 0, 0, location)
	if monthOf(start, location) < month {
		_, start = start.ZoneBounds()
	}
	return start
}

// reserve counts a call, or reports that the month is used up. While the clock is doubted, the old month continues, and
// if it is used up, one more call may go: its outcome decides whether the clock is right.
func (r *record) reserve(at time.Time, location *time.Location) bool {
	r.turn(at, location)
	doubtful := monthOf(at, location) > r.month
	if r.full() && !(doubtful && r.probes == 0) {
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

func (r *record) full() bool { return r.settings.plan > 0 && r.used >= r.settings.plan }

// turn begins the month that the clock shows, if the clock can be trusted. It never returns to an earlier month: a
// clock that is set back must not reset the count.
func (r *record) turn(at time.Time, location *time.Location) {
	now, month := at.UnixMilli(), monthOf(at, location)
	late := 0 // calls under the doubted clock, some of which may belong to the month that begins
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
	case r.probes > 0 && now < r.doubted: // the clock has jumped again
		r.doubted = now
	}
}

// settled reports whether a call was sent under the doubted clock. Its TLS handshake found the server's certificate
// valid at the clock's time, which is unlikely if the clock is wrong by months or years.
func (r *record) settled(now int64) bool {
	return r.probes > 0 && now-r.doubted >= settledAfter.Milliseconds()
}

// begin starts a month. The calls under the doubted clock count in it.
func (r *record) begin(month, latest int64) {
	r.month, r.used, r.latest = month, r.probes+r.lost, latest
	r.doubted, r.probes = 0, 0
}

// refund takes back a call that was counted in one month while the clock showed the other.
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
