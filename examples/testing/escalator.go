package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/driftsdk/drift"
)

// escalated is the label of a conversation that was escalated before.
const escalated = "escalated"

// conversations is what an escalator needs of the client: two methods out of its many. The interface is declared here, where it
// is used, so a new method of the SDK cannot break a fake of it.
type conversations interface {
	Get(ctx context.Context, id drift.ConversationID, opts ...drift.CallOption) (*drift.Conversation, error)
	Update(ctx context.Context, id drift.ConversationID, req drift.ConversationUpdateRequest, opts ...drift.CallOption) (*drift.Conversation, error)
}

// Escalator hands open conversations over to somebody.
type Escalator struct {
	Conversations conversations
	To            drift.UserID
}

// Escalate hands a conversation over, and reports whether there was anything to do: a conversation that is not open, was
// escalated before or no longer exists is left alone.
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
	// Sending this twice does no harm, so the client may repeat it where it cannot know whether the first one got through.
	_, err = e.Conversations.Update(ctx, id, drift.ConversationUpdateRequest{
		AssignedUserID: drift.Set(e.To),
		Labels:         drift.Set(append(slices.Clip(conversation.Labels), escalated)),
	}, drift.WithIdempotent())
	if err != nil {
		return false, fmt.Errorf("escalate conversation %s: %w", id, err)
	}
	return true, nil
}
