package webhook_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/webhook"
)

func TestPanicErrorText(t *testing.T) {
	t.Run("w8_no_form_shows_the_value", func(t *testing.T) {
		for name, value := range map[string]any{
			"text":   "mark-secret",
			"error":  errors.New("mark-secret"),
			"struct": struct{ Token string }{"mark-secret"},
			"bytes":  []byte("mark-secret"),
			"map":    map[string]string{"mark-secret": "mark-secret"},
		} {
			err := &webhook.PanicError{Value: value, Stack: []byte("stack")}
			var shown strings.Builder
			for _, verb := range strings.Split("v +v #v s q x X d b c e f g o O U t T", " ") {
				for _, shape := range []any{err, struct{ Err error }{err}, []error{err}, *err} {
					fmt.Fprintf(&shown, "%"+verb+"\n", shape)
				}
			}
			wrapped := fmt.Errorf("wrapped: %w", err)
			fmt.Fprintf(&shown, "%v %+v %s %q %x", wrapped, wrapped, wrapped, wrapped, wrapped)
			for _, handler := range []slog.Handler{
				slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil),
			} {
				group := slog.GroupValue(slog.Any("x", err))
				slog.New(handler).Error("failed", "error", err, "value", *err, "group", group)
			}
			for _, shape := range []any{err, *err, map[string]any{"error": err}, []any{*err}} {
				text, jsonErr := json.Marshal(shape)
				require.NoError(t, jsonErr)
				shown.Write(text)
			}
			const secret = "mark-secret"
			forms := []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), "109 97 114 107"}
			for _, form := range forms {
				assert.False(t, strings.Contains(shown.String(), form), "%s: %s", name, form)
			}
			assert.True(t, strings.Contains(shown.String(), "recovered from a panic"))
		}
		var quoted bytes.Buffer
		fmt.Fprintf(&quoted, "%q", &webhook.PanicError{})
		assert.Equal(t, `"webhook: recovered from a panic"`, quoted.String())
	})
}
