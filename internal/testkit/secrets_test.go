package testkit_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/testkit"
)

// The watch itself must see what shows.
func TestSecretWatchSees(t *testing.T) {
	const mark = testkit.MarkedBody
	for verb, value := range map[string]any{"%s": mark, "%x": mark, "%X": mark, "%v": []byte(mark)} {
		watch := new(testkit.SecretWatch)
		fmt.Fprintf(watch, verb, value)
		assert.NotEmpty(t, watch.Found(), verb)
	}
	for before := range 6 {
		watch := new(testkit.SecretWatch)
		require.NoError(t, json.NewEncoder(watch).Encode([]byte(strings.Repeat("é", before)[:before]+mark)))
		assert.NotEmpty(t, watch.Found(), "base64 after %d bytes", before)
	}
	watch := new(testkit.SecretWatch)
	watch.ShowError(fmt.Errorf("outer: %w", errors.Join(io.EOF, testkit.QuotingError(testkit.MarkedBody))))
	assert.NotEmpty(t, watch.Found())
}
