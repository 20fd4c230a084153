package drifttest

import (
	"fmt"
	"regexp"
	"strings"
)

// unknownOperation explains why a name is wrong, with the name that was perhaps meant. The caller does not hold s.mu.
func (s *Server) unknownOperation(name string) string {
	best, distance := "", len(name)/2+1
	consider := func(known string) {
		if d := editDistance(normalize(name), normalize(known)); d < distance {
			best, distance = known, d
		}
	}
	s.mu.Lock()
	for o := range s.allOperations() {
		if strings.Contains(name, " ") {
			consider(o.method + " " + o.path)
		} else {
			consider(o.name)
		}
	}
	s.mu.Unlock()
	for _, e := range endpoints {
		consider(e.name)
	}
	if best == "" {
		return fmt.Sprintf("unknown operation %q", name)
	}
	return fmt.Sprintf("unknown operation %q; did you mean %q?", name, best)
}

var parameter = regexp.MustCompile(`{[^}]*}`)

// normalize leaves out what makes no difference: case and the names of parameters.
func normalize(name string) string { return strings.ToLower(parameter.ReplaceAllString(name, "{}")) }

// editDistance is how many bytes must be inserted, deleted or replaced to make b of a.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
