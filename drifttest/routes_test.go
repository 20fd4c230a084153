package drifttest

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOperationsAreTheCatalogue(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../testdata/operations.tsv")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")[1:]
	require.Len(t, operations, len(lines))
	for i, line := range lines {
		columns := strings.Split(line, "\t")
		o := operations[i]
		assert.Equal(t, columns[:3], []string{o.name, o.method, o.path})
		assert.Equal(t, strings.ReplaceAll(columns[3], ",", ""), o.parameters, o.name)
		assert.NotNil(t, o.handle, o.name)
	}
}
