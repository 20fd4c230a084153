package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGeneratedFileIsCurrent(t *testing.T) {
	const dir = "../../webhook"
	want, err := generate(dir)
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(dir, target))
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run go generate ./webhook")
}

func TestGenerate(t *testing.T) {
	dir := t.TempDir()
	_, err := generate(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	code := "package p\n\ntype (\n\tA struct{}\n\tB string\n)\n\nvar c struct{}\n\ntype D struct{ A }\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, source), []byte(code), 0o600))
	got, err := generate(dir)
	require.NoError(t, err)
	assert.Contains(t, string(got), "package p\n")
	assert.Contains(t, string(got), "func (v *A) UnmarshalJSON(")
	assert.Contains(t, string(got), "func (v D) MarshalJSON(")
	assert.NotContains(t, string(got), "fields B")
}
