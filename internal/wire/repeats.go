package wire

import (
	"cmp"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// span is a part of the data.
type span struct{ from, to int }

// withoutRepeats returns a JSON value without repeated names: it keeps only the last member of each name, whereas the
// JSON package would merge their values. It returns data itself if no object repeats a name, or if data is not JSON.
func withoutRepeats(data []byte) []byte {
	if jsontext.Value(data).IsValid(jsontext.AllowInvalidUTF8(true)) || !jsontext.Value(data).IsValid(lenient) {
		return data
	}
	s := scanner{data: data}
	repeats := s.repeats(nil)
	slices.SortFunc(repeats, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	kept, at := make([]byte, 0, len(data)), 0
	for _, repeat := range repeats {
		if repeat.from >= at {
			kept = append(kept, data[at:repeat.from]...)
		}
		at = max(at, repeat.to)
	}
	return append(kept, data[at:]...)
}

// repeats skips the next value and appends the spans of the members in it that are repeated later. Each span ends at
// the next member.
func (s *scanner) repeats(found []span) []span {
	switch s.Kind() {
	case '{':
		return s.repeatedMembers(found)
	case '[':
		for s.enter(); s.more(); {
			found = s.repeats(found)
		}
		return found
	default:
		s.Value()
		return found
	}
}

func (s *scanner) repeatedMembers(found []span) []span {
	var starts []int
	last := map[string]int{} // index of starts by name
	for s.enter(); s.more(); {
		starts = append(starts, s.at)
		name := string(s.string())
		if before, again := last[name]; again {
			found = append(found, span{starts[before], starts[before+1]})
		}
		last[name] = len(starts) - 1
		found = s.repeats(found)
	}
	return found
}
