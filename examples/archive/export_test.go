package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/storetest"
)

func TestExport(t *testing.T) {
	dir := storetest.Open(t).Dir()
	for format, want := range map[string]string{
		"jsonl": `"kind":"conversation"`, "csv": "conversation,status", "html": "Grace",
	} {
		t.Run(format, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "export")
			var stdout, stderr strings.Builder
			args := []string{"export", "-dir", dir, "-format", format, "-out", out, "-status", "closed"}
			require.Equal(t, exitOK, run(t.Context(), args, &stdout, &stderr), stderr.String())
			assert.Contains(t, stdout.String(), "Written to "+out+": 1 conversation.")
			assert.Contains(t, stdout.String(), "personal data")
			file := out
			if format == "html" {
				file = filepath.Join(out, "index.html")
			}
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Contains(t, string(data), want)
			assert.Contains(t, string(data), "screenshot")
			assert.NotContains(t, string(data), "engine", "it is in an open conversation")

			assert.Equal(t, exitError, run(t.Context(), args, io.Discard, &stderr), "nothing is replaced")
			again, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, data, again)
		})
	}
}

func TestExportRefuses(t *testing.T) {
	dir := storetest.Open(t).Dir()
	for want, args := range map[string][]string{
		`-format "xml"`: {"-format", "xml"},
		"a day is":      {"-from", "1.3.2025"},
		"a contact is":  {"-contact", "ada"},
	} {
		var stderr strings.Builder
		out := filepath.Join(t.TempDir(), "export")
		all := append([]string{"export", "-dir", dir, "-out", out}, args...)
		assert.Equal(t, exitError, run(t.Context(), all, io.Discard, &stderr))
		assert.Contains(t, stderr.String(), want)
		assert.NoFileExists(t, out)
	}
}
