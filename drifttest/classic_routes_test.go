package drifttest

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClassicOperationsAreTheTable(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../testdata/classic.tsv")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")[1:]
	require.Len(t, lines, len(classicOperations)+1)
	for i, line := range lines[:len(classicOperations)] {
		columns := strings.Split(line, "\t")
		o := &classicOperations[i]
		assert.Equal(t, []string{"classic." + columns[0], columns[1], columns[2]}, []string{o.name, o.method, o.path})
		assert.Equal(t, strings.ReplaceAll(columns[3], ",", ""), o.query, o.name)
		assert.Equal(t, strings.ReplaceAll(columns[4], ",", ""), o.body, o.name)
		assert.Equal(t, columns[5] == "text" || columns[5] == "bytes", o.raw, o.name)
		assert.NotEqual(t, o.handle == nil, o.serve == nil, "%s: one of them", o.name)
	}
	token := strings.Split(lines[len(lines)-1], "\t")
	assert.Equal(t, []string{oauthToken, "POST", "oauth2/token"}, token[:3])
	assert.NotNil(t, findEndpoint(token[1], "/"+token[2]))
}
