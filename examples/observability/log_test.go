package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

func TestLogKeepsTheKindOfAnError(t *testing.T) {
	var out bytes.Buffer
	err := &drift.APIError{Operation: "contacts.update", StatusCode: 422, Type: "mark-type", Code: "mark-code",
		Message: "mark-message"}
	slog.New(logHandler(&out)).Info("it failed", "status", "own", drift.ErrorAttr(err))
	assert.NotContains(t, out.String(), "mark")
	var record map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &record))
	assert.Equal(t, "it failed", record["msg"])
	assert.Equal(t, "own", record["status"])
	assert.Equal(t, "invalid", record["error"].(map[string]any)["kind"])
	assert.Equal(t, "contacts.update", record["error"].(map[string]any)["operation"])
}
