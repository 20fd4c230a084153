package faults

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/testkit"
)

func rowsOf(t *testing.T) []Row {
	t.Helper()
	rows, err := Rows()
	require.NoError(t, err)
	return rows
}

func TestRowsAreComplete(t *testing.T) {
	rows := rowsOf(t)
	require.Len(t, rows, 194)
	names := map[string]bool{}
	for i, row := range rows {
		assert.Equal(t, i+1, row.Number, "in order, and each number once")
		assert.Regexp(t, `^[a-z][a-z0-9]*(_[a-z0-9]+)*$`, row.Name)
		assert.False(t, names[row.Name], "the name %s comes twice", row.Name)
		names[row.Name] = true
		for column, text := range map[string]string{"package": row.Package, "case": row.Case, "expected": row.Expected} {
			assert.NotEmpty(t, text, "%s of row %03d", column, row.Number)
			assert.Equal(t, strings.TrimSpace(text), text, "%s of row %03d", column, row.Number)
		}
	}
}

// testsOf is the text of the tests of a package.
func testsOf(t *testing.T, pkg string) (text string) {
	t.Helper()
	root := testkit.Root(t)
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pkg), "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		text += string(content)
	}
	return text
}

// Checks that are never run hold nothing.
func TestEveryPackageRunsItsRows(t *testing.T) {
	seen := map[string]bool{"-": true}
	for _, row := range rowsOf(t) {
		if seen[row.Package] {
			continue
		}
		seen[row.Package] = true
		assert.True(t, strings.Contains(testsOf(t, row.Package), `faults.Run(t, "`+row.Package+`"`), "package %s has rows and does not run them", row.Package)
	}
}

var (
	shownBy = regexp.MustCompile(`shown by (Test\w+(?:, Test\w+)*) in package (\S+)`)
	heldBy  = regexp.MustCompile(`(\.ci/\w+) \(([^)]+)\)`)
)

// A row without a check says which tests show the same, or what else holds it; or that it is for later. What any row
// refers to is there.
func TestRowsReferToWhatIsThere(t *testing.T) {
	for _, row := range rowsOf(t) {
		tests := shownBy.FindAllStringSubmatch(row.Expected, -1)
		scripts := heldBy.FindAllStringSubmatch(row.Expected, -1)
		for _, reference := range tests {
			assertTests(t, row, reference[2], reference[1])
		}
		for _, reference := range scripts {
			assertScript(t, row, reference[1], reference[2])
		}
		if row.Package == "-" && len(tests)+len(scripts) == 0 {
			assert.True(t, strings.HasPrefix(row.Expected, "later: "), "row %s: %s", row.TestName(), row.Expected)
		}
	}
}

func assertTests(t *testing.T, row Row, pkg, names string) {
	t.Helper()
	if pkg == "drift" {
		pkg = "."
	}
	text := testsOf(t, pkg)
	for name := range strings.SplitSeq(names, ", ") {
		assert.True(t, strings.Contains(text, "func "+name+"("), "row %s refers to %s", row.TestName(), name)
	}
}

func assertScript(t *testing.T, row Row, file, command string) {
	t.Helper()
	root := testkit.Root(t)
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
	require.NoError(t, err)
	assert.Contains(t, string(text), command, "row %s refers to it", row.TestName())
}

func TestMismatches(t *testing.T) {
	check := func(*testing.T) {}
	rows := []Row{{Number: 1, Package: ".", Name: "one"}, {Number: 2, Package: ".", Name: "two"}, {Number: 3, Package: "other", Name: "three"}}
	for name, test := range map[string]struct {
		cases []Cases
		want  []string
	}{
		"all there":     {[]Cases{{1: check}, {2: check}}, nil},
		"one missing":   {[]Cases{{1: check}}, []string{"row 002_two has no check"}},
		"none":          {nil, []string{"row 001_one has no check", "row 002_two has no check"}},
		"unknown":       {[]Cases{{1: check, 2: check, 9: check}}, []string{"a check has the number 9, which no row has"}},
		"elsewhere":     {[]Cases{{1: check, 2: check, 3: check}}, []string{"row 003_three belongs to package other, and has a check in ."}},
		"twice":         {[]Cases{{1: check, 2: check}, {2: check}}, []string{"row 002_two has 2 checks"}},
		"nil":           {[]Cases{{1: check, 2: nil}}, []string{"row 002: the check is nil"}},
		"other package": {[]Cases{{3: check}}, []string{"row 001_one has no check", "row 002_two has no check", "row 003_three belongs to package other, and has a check in ."}},
	} {
		assert.Equal(t, test.want, mismatches(rows, ".", test.cases), name)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "no header": "001\t.\ta\tb\tc\n", "columns": header + "\n001\t.\ta\tb\n", "blank line": header + "\n\n",
		"number": header + "\nabc\t.\ta\tb\tc\n", "digits": header + "\n01\t.\ta\tb\tc\n",
	} {
		_, err := parse(text)
		assert.Error(t, err, name)
	}
	rows, err := parse(header + "\n007\t.\ta\tb\tc\n")
	require.NoError(t, err)
	assert.Equal(t, []Row{{7, ".", "a", "b", "c"}}, rows)
	assert.Equal(t, "007_a", rows[0].TestName())
}

func TestRunRunsEveryCheckInOrder(t *testing.T) {
	var want, got []int
	checks := Cases{}
	for _, row := range rowsOf(t) {
		if row.Package == "internal/faults" {
			want = append(want, row.Number)
			checks[row.Number] = func(*testing.T) { got = append(got, row.Number) }
		}
	}
	Run(t, "internal/faults", checks)
	assert.Equal(t, want, got)
}
