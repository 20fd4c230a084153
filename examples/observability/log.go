package main

import (
	"io"
	"log/slog"
	"slices"
)

// logHandler writes failed calls and retries as JSON. Of an error it keeps what cannot quote a customer: the text of an
// error has the service's message, and that may repeat what was sent.
func logHandler(w io.Writer) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, attr slog.Attr) slog.Attr {
			if slices.Contains(groups, "error") && !slices.Contains(harmless, attr.Key) {
				return slog.Attr{}
			}
			return attr
		},
	})
}

// harmless are the attributes of an error that are logged.
var harmless = []string{
	"kind", "operation", "status", "request_id", "attempts", "sent", "server", "retry_after", "local",
}
