package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/driftsdk/drift"
)

// Reminder leaves a note in a conversation in which nobody writes for a while.
type Reminder struct {
	Client *drift.Client
	After  time.Duration // without a message
	Every  time.Duration // how often to look
}

// Watch returns when it has left the note, or when the conversation is no longer open. A look that fails is skipped:
// the next one comes soon enough.
func (r Reminder) Watch(ctx context.Context, id drift.ConversationID) error {
	began := time.Now()
	ticker := time.NewTicker(r.Every)
	defer ticker.Stop()
	for {
		conversation, err := r.Client.Conversations.Get(ctx, id)
		switch {
		case errors.Is(err, drift.ErrServer):
		case err != nil:
			return fmt.Errorf("watch conversation %s: %w", id, err)
		case conversation.Status != drift.ConversationStatusOpen:
			return nil
		case time.Since(latest(began, conversation.LastMessageSentAt)) >= r.After:
			return r.leaveNote(ctx, id)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (r Reminder) leaveNote(ctx context.Context, id drift.ConversationID) error {
	_, err := r.Client.Notes.Create(ctx, id, drift.NoteCreateRequest{Body: fmt.Sprintf("Quiet for %s.", r.After)})
	if err != nil {
		return fmt.Errorf("remind of conversation %s: %w", id, err)
	}
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
