package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A run takes minutes: it must not fail at the end because the page lacks a place for a table.
func TestPageTakesEveryTable(t *testing.T) {
	tables := map[string]string{"machine": "new", "memory": "new", "rest": "new"}
	for _, engine := range []int{jsonV1, jsonV2} {
		tables[tableOf("calls", engine)] = "new"
		tables[tableOf("peers", engine)] = "new"
	}
	page, err := os.ReadFile(document)
	require.NoError(t, err)
	filled, err := fill(page, tables)
	require.NoError(t, err)
	assert.Equal(t, len(tables), strings.Count(string(filled), "-->\nnew<!--"))
	assert.Equal(t, len(tables), strings.Count(string(page), "<!-- measured:begin"), "a table that is not measured")

	_, err = fill(page, map[string]string{"unheard-of": "new"})
	require.ErrorContains(t, err, "unheard-of")
}

func TestFindingsOfAnotherProcess(t *testing.T) {
	sent, err := json.Marshal(findings{
		Tables: map[string]string{"calls": "| a |\n|---|\n| 1 |\n", "peers": "| b |\n|---|\n"},
		Missed: []string{"list, time"}, Disturbed: []string{"GET"},
	})
	require.NoError(t, err)
	var other findings
	require.NoError(t, json.Unmarshal(sent, &other))
	var printed strings.Builder
	ours := findings{Tables: map[string]string{"memory": ""}, Missed: []string{"GET, time"}}
	r := report{findings: ours, out: &printed}
	r.add(other, "jsonv2")
	assert.Len(t, r.Tables, 3)
	assert.Equal(t, []string{"GET, time", "jsonv2: list, time"}, r.Missed)
	assert.Equal(t, []string{"jsonv2: GET"}, r.Disturbed)
	assert.Equal(t, "calls\n\n| a |\n|---|\n| 1 |\n\n", printed.String(), "an empty table is not printed")
}
