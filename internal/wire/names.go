package wire

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// names are the members that an object can have. A member has a name, which also matches in other spellings, and may
// have a second name.
type names struct {
	members []named
	own     map[string]int // index of members by name
	folded  map[string]int // index by the folded name
	also    map[string]int // index by the folded second name
}

type named struct {
	quoted []byte // the usual spelling of the name
	absent func(jsontext.Value) bool
}

// rank orders the names of a member; the lowest wins.
type rank uint8

const (
	ownName rank = iota
	foldedName
	otherName
)

func (n *names) add(name, also string, absent func(jsontext.Value) bool) {
	if n.own == nil {
		n.own, n.folded, n.also = map[string]int{}, map[string]int{}, map[string]int{}
	}
	i := len(n.members)
	n.own[name], n.folded[Fold(name)] = i, i
	if also != "" {
		n.also[Fold(also)] = i
	}
	n.members = append(n.members, named{strconv.AppendQuote(nil, name), absent})
}

// read skips a name and returns the index of its member, or -1. It tries guess first.
func (n *names) read(s *scanner, guess int) int {
	if guess < len(n.members) && bytes.HasPrefix(s.data[s.at:], n.members[guess].quoted) {
		s.at += len(n.members[guess].quoted)
		return guess
	}
	i, _ := n.find(s.string())
	return i
}

// find returns the index of a member, or -1, and the rank of the name.
func (n *names) find(name []byte) (int, rank) {
	if i, ok := n.own[string(name)]; ok {
		return i, ownName
	}
	var buffer [maxShort]byte
	folded, ok := folded(buffer[:0], name)
	if !ok {
		return -1, 0
	}
	if i, ok := n.folded[string(folded)]; ok {
		return i, foldedName
	}
	if i, ok := n.also[string(folded)]; ok {
		return i, otherName
	}
	return -1, 0
}

// folded appends a name in lower case and without underscores. It fails for a name with a dash, or with an underscore
// at the beginning or end.
func folded(dst, name []byte) ([]byte, bool) {
	if len(name) == 0 || name[0] == '_' || name[len(name)-1] == '_' {
		return nil, false
	}
	for _, b := range name {
		switch {
		case b == '-':
			return nil, false
		case b == '_':
		case 'A' <= b && b <= 'Z':
			dst = append(dst, b+'a'-'A')
		default:
			dst = append(dst, b)
		}
	}
	return dst, true
}

// candidate is a value that a member may take.
type candidate struct {
	member int
	rank   rank
	name   int // position of its name
	value  int // position of its value
	absent bool
}

// beats reports whether one candidate wins over another: any value beats none, then the better name wins, then the
// later one.
func (c candidate) beats(other candidate) bool {
	switch {
	case c.absent != other.absent:
		return other.absent
	case c.rank != other.rank:
		return c.rank < other.rank
	default:
		return c.value > other.value
	}
}

// choose reads the next value, an object, and returns the value that counts for each member, in the body's order. If a
// name is repeated in the same spelling, only its last value is considered. For every other member, choose calls
// foreign with the position of the name; foreign must skip the value.
func (n *names) choose(s *scanner, foreign func(name int)) []candidate {
	var all []candidate
	last := map[string]int{} // index of all by name
	for s.enter(); s.more(); {
		c := candidate{name: s.at}
		name := s.string()
		if c.member, c.rank = n.find(name); c.member < 0 {
			foreign(c.name)
			continue
		}
		s.Kind()
		c.value = s.at
		c.absent = n.members[c.member].absent(s.Value())
		if before, again := last[string(name)]; again {
			all[before] = c
			continue
		}
		last[string(name)] = len(all)
		all = append(all, c)
	}
	best := map[int]candidate{}
	for _, c := range all {
		if known, found := best[c.member]; !found || c.beats(known) {
			best[c.member] = c
		}
	}
	chosen := all[:0]
	for _, c := range all {
		if best[c.member].name == c.name {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// isNull reports whether a value counts as absent in a field that accepts every text.
func isNull(value jsontext.Value) bool { return value.Kind() == 'n' }

// isBlank reports whether a value counts as absent in a field for which "" is not a value.
func isBlank(value jsontext.Value) bool { return isNull(value) || string(value) == `""` }
