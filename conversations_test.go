package drift_test

import (
	"context"

	"github.com/driftsdk/drift"
)

var conversationCalls = map[string]goldenCall{
	"conversations.get": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Conversations.Get(ctx, 42)
	},
	"conversations.create": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Conversations.Create(ctx, drift.ConversationCreateRequest{
			BackgroundMode: new(false), Labels: goldenLabels, Tags: goldenTags, Users: []drift.UserID{7, 8},
		})
	},
	"conversations.createFromScratch": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Conversations.CreateFromScratch(ctx, drift.ConversationCreateFromScratchRequest{
			AssignedUserID: 7, BackgroundMode: new(true), CustomAttributes: goldenAttributes, Email: "ann@example.com",
			Labels: goldenLabels, Tags: goldenTags, Title: "Pricing — café",
		})
	},
	"conversations.update": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Conversations.Update(ctx, 42, drift.ConversationUpdateRequest{
			AssignedUserID: drift.Null[drift.UserID](), CustomAttributes: drift.Set(drift.Attributes{"plan": nil, "seats": 12}),
			Labels: drift.Set(goldenLabels), Tags: drift.Set([]string(nil)), WorkflowID: drift.Set(drift.WorkflowID(8)),
		})
	},
	"conversations.delete": func(ctx context.Context, c *drift.Client) (any, error) {
		return nil, c.Conversations.Delete(ctx, 42)
	},
	"conversations.list": func(ctx context.Context, c *drift.Client) (any, error) {
		return page(c.Conversations.List(ctx, drift.ConversationListOptions{
			Archived: new(false), AssignedUserID: 7, CreatedAt: instant(0), CustomAttributes: goldenAttributes, Deleted: new(true),
			Direction: drift.DirectionInbound, Email: "ann+test@example.com", ID: 42, Integration: "email", LastActivityAt: instant(1),
			LastMessageSentAt: instant(2), Labels: goldenLabels, MemberCount: new(3), Participants: []string{"Ann Ames", "bob@example.com"},
			ReplySubject: "Re: Pricing", ResolvedAt: instant(3), Tags: goldenTags, Title: "Pricing — café", UpdatedAt: instant(4),
			WorkflowID: 8, Limit: 2, Cursor: "cursor-1",
		}))
	},
	"conversations.listByStatus": func(ctx context.Context, c *drift.Client) (any, error) {
		return page(c.Conversations.ListByStatus(ctx, drift.ConversationStatusBulkSent, drift.ConversationListByStatusOptions{
			Archived: new(true), Limit: 2, Cursor: "cursor-1",
		}))
	},
}
