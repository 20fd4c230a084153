package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/driftsdk/drift"
)

// escalated is the label of a conversation that has been escalated.
const escalated = "escalated"

// conversations has only the two methods that an escalator uses. It is declared here, where it is used, so a new method
// of the SDK cannot break a fake of it.
type conversations interface {
	Get(ctx context.Context, id drift.ConversationID, opts ...drift.CallOption) (*drift.Conversation, error)
	Update(
		ctx context.Context, id drift.ConversationID, req drift.ConversationUpdateRequest, opts ...drift.CallOption,
	) (*drift.Conversation, error)
}

// Escalator hands open conversations over to a user.
type Escalator struct {
	Conversations conversations
	To            drift.UserID
}

// Escalate hands a conversation over, and reports whether it did. It skips a conversation that is not open, has been
// escalated before, or no longer exists.
func (e Escalator) Escalate(ctx context.Context, id drift.ConversationID) (bool, error) {
	conversation, err := e.Conversations.Get(ctx, id)
	if errors.Is(err, drift.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("escalate conversation %s: %w", id, err)
	}
	if conversation.Status != drift.ConversationStatusOpen || slices.Contains(conversation.Labels, escalated) {
		return false, nil
	}
	// Applying this update twice does no harm, so the client may retry it even if the first request may have been
	// applied.
	_, err = e.Conversations.Update(ctx, id, drift.ConversationUpdateRequest{
		AssignedUserID: drift.Set(e.To),
		Labels:         drift.Set(append(slices.Clip(conversation.Labels), escalated)),
	}, drift.WithIdempotent())
	if err != nil {
		return false, fmt.Errorf("escalate conversation %s: %w", id, err)
	}
	return true, nil
}
