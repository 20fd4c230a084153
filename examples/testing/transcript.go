package main

import (
	"context"
	"fmt"

	"github.com/driftsdk/drift"
)

// Transcript returns a conversation as plain text. The endpoint belongs to Drift's classic API, for which the
// SDK has no method.
func Transcript(ctx context.Context, client *drift.Client, id drift.ConversationID) (string, error) {
	var text []byte
	err := client.Do(ctx, drift.Request{
		Path:   "conversations/{conversationId}/transcript",
		Values: map[string]string{"conversationId": id.String()},
	}, &text)
	if err != nil {
		return "", fmt.Errorf("read transcript: %w", err)
	}
	return string(text), nil
}
