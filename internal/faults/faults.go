// Package faults is the fault matrix: faults.tsv lists what can go wrong and what must happen then, and [Run] ties each
// line to its check. The checks of the client are the tests of this package; other packages have checks of their own.
//
// Only the tests of this module import it.
package faults

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// Cases are checks by the number of their row.
type Cases map[int]func(t *testing.T)

// Run runs the checks of one package as subtests, in the order of the rows and named after them, such as
// "041_expired_token". pkg is the package's directory relative to the module's root. It fails for a row without a
// check, for a check without a row, and for a check that leaves a goroutine behind.
func Run(t *testing.T, pkg string, cases ...Cases) {
	t.Helper()
	rows, err := Rows()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range mismatches(rows, pkg, cases) {
		t.Error(problem)
	}
	checks := merge(cases)
	for _, row := range rows {
		check := checks[row.Number]
		if row.Package != pkg || check == nil {
			continue
		}
		t.Run(row.TestName(), func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, before) }) // it runs after the cleanups of the check
			check(t)
		})
	}
}

// mismatches are the ways in which checks and rows do not go together.
func mismatches(rows []Row, pkg string, cases []Cases) (problems []string) {
	count := map[int]int{}
	for _, c := range cases {
		for number, check := range c {
			count[number]++
			if check == nil {
				problems = append(problems, fmt.Sprintf("row %03d: the check is nil", number))
			}
		}
	}
	for _, row := range rows {
		switch n := count[row.Number]; {
		case row.Package == pkg && n == 0:
			problems = append(problems, fmt.Sprintf("row %s has no check", row.TestName()))
		case row.Package != pkg && n > 0:
			problem := fmt.Sprintf("row %s belongs to package %s, and has a check in %s", row.TestName(), row.Package, pkg)
			problems = append(problems, problem)
		case n > 1:
			problems = append(problems, fmt.Sprintf("row %s has %d checks", row.TestName(), n))
		}
		delete(count, row.Number)
	}
	for _, number := range slices.Sorted(maps.Keys(count)) {
		problems = append(problems, fmt.Sprintf("a check has the number %d, which no row has", number))
	}
	return problems
}

func merge(cases []Cases) Cases {
	all := Cases{}
	for _, c := range cases {
		maps.Copy(all, c)
	}
	return all
}

// Row is a line of faults.tsv.
type Row struct {
	Number   int
	Package  string // directory of the package that checks it; "-": none does, and Expected says why
	Name     string
	Case     string // what goes wrong
	Expected string // what is to happen then
}

// TestName is the name of the row's subtest.
func (r Row) TestName() string { return fmt.Sprintf("%03d_%s", r.Number, r.Name) }

const header = "number\tpackage\tname\tcase\texpected"

//go:embed faults.tsv
var table string

// Rows returns the lines of the table.
func Rows() ([]Row, error) { return parse(table) }

func parse(text string) ([]Row, error) {
	first, rest, _ := strings.Cut(text, "\n")
	if first != header {
		return nil, errors.New("faults.tsv: the first line is not the header")
	}
	var rows []Row
	for line := range strings.Lines(rest) {
		columns := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(columns) != 5 {
			return nil, fmt.Errorf("faults.tsv: %d columns in %q", len(columns), line)
		}
		number, err := strconv.Atoi(columns[0])
		if err != nil || len(columns[0]) != 3 {
			return nil, fmt.Errorf("faults.tsv: %q is not a number of three digits", columns[0])
		}
		rows = append(rows, Row{number, columns[1], columns[2], columns[3], columns[4]})
	}
	return rows, nil
}
