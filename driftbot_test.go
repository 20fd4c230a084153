package drift_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

var driftbotCalls = map[string]goldenCall{
	"driftbot.updateMessage": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Driftbot.UpdateMessage(ctx, 42, drift.DriftbotUpdateMessageRequest{
			Body: drift.Set(goldenBody), Labels: drift.Set(goldenLabels),
		})
	},
	"driftbot.trigger": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Driftbot.Trigger(ctx, 42, drift.DriftbotTriggerRequest{
			ActionID: "book", Payload: map[string]any{"slot": 3, "Keep_case": []any{nil, "<b>"}},
		})
	},
}

func TestNoPayloadIsNotSent(t *testing.T) {
	var body string
	_, err := keepBody(t, &body).Driftbot.Trigger(t.Context(), 7, drift.DriftbotTriggerRequest{ActionID: "a"})
	require.NoError(t, err)
	assert.Equal(t, `{"action_id":"a","conversation_id":7}`, body)
}

func TestNullPayloadIsNone(t *testing.T) {
	client := testkit.Serve(t, testkit.Respond(200, `{"data":{"status":"done","payload":null}}`))
	interaction, err := client.Driftbot.Trigger(t.Context(), 7, drift.DriftbotTriggerRequest{})
	require.NoError(t, err)
	assert.Nil(t, interaction.Payload)
}
