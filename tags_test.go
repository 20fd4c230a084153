package drift_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

var tagCalls = map[string]goldenCall{
	"tags.get": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Tags.Get(ctx, 31)
	},
	"tags.create": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Tags.Create(ctx, drift.TagCreateRequest{
			BackgroundMode: new(false), Color: "ff8800", Description: "Ready to buy", Enabled: new(true), Name: "hot",
		})
	},
	"tags.update": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Tags.Update(ctx, 31, drift.TagUpdateRequest{
			BackgroundMode: drift.Set(true), Color: drift.Set("#ff8800"), Description: drift.Null[string](), Enabled: drift.Set(false),
			Name: drift.Set("hot"),
		})
	},
	"tags.delete": func(ctx context.Context, c *drift.Client) (any, error) {
		return nil, c.Tags.Delete(ctx, 31)
	},
}

func TestDecodeTags(t *testing.T) {
	vip, hot := drift.TagRef{Name: "vip"}, drift.TagRef{ID: 31, Name: "hot", Color: "#f80"}
	odd := hot
	odd.Extra = map[string]json.RawMessage{"x": json.RawMessage(`1`)}
	for body, want := range map[string][]drift.TagRef{
		`"tags":["vip"]`: {vip},
		`"tags":[{"id":"31","name":"hot","color":"#f80"}]`:                          {hot},
		`"tags":["vip",{"ID":31,"Name":"hot","color":"#f80","x":1},{"name":"vip"}]`: {vip, odd, vip},
		`"tags":"vip"`:                               {vip},
		`"tags":""`:                                  nil,
		`"tags":{"name":"vip"}`:                      {vip},
		`"conversationTags":"vip"`:                   {vip},
		`"conversation_tags":["vip"]`:                {vip},
		`"conversationTags":["vip"]`:                 {vip},
		`"tags":["vip"],"conversation_tags":["hot"]`: {vip},
		`"conversation_tags":["hot"],"tags":["vip"]`: {vip},
		`"tags":null,"conversation_tags":["vip"]`:    {vip},
		`"tags":[],"conversation_tags":["hot"]`:      {},
		`"tags":null`:                                nil,
		`"conversation_tags":null`:                   nil,
		`"conversation_tags":[null,{"id":31,"name":"hot","color":"#f80"}]`:                   {{}, hot},
		`"conversation_tags":{"id":31,"name":"hot","color":"#f80"},"contact_id":null,"x":[]`: {hot},
	} {
		c, err := getConversation(t, `{"data":{"id":1,`+body+`}}`)
		require.NoError(t, err, body)
		assert.Equal(t, want, c.Tags, body)
		for name := range c.Extra {
			assert.Equal(t, "x", name)
		}
	}
	for body, path := range map[string]string{
		`"tags":[[]]`: "/tags/0", `"tags":["a",{"id":1.5}]`: "/tags/1/id", `"tags":{"name":{}}`: "/tags/name", `"conversation_tags":[[7]]`: "/conversation_tags/0",
		`"conversationTags":[[7]]`: "/conversationTags/0", `"CONVERSATION_TAGS":{"ID":{}}`: "/CONVERSATION_TAGS/ID",
		`"conversation_tags":["a",{"id":"x"}]`: "/conversation_tags/1/id",
	} {
		_, err := getConversation(t, `{"data":{"id":1,`+body+`}}`)
		testkit.RequireDecodeError(t, err, path)
	}
}

func TestTagRef(t *testing.T) {
	extra := map[string]json.RawMessage{"scope": json.RawMessage(`[1, 2]`)}
	for text, want := range map[string]drift.TagRef{
		`"vip"`: {Name: "vip"}, `""`: {}, `null`: {}, `{"id":"31","name":"vip"}`: {ID: 31, Name: "vip"}, `{"Name":"vip","COLOR":"#f80"}`: {Name: "vip", Color: "#f80"},
		`{"name":"vip","scope":[1, 2]}`: {Name: "vip", Extra: extra},
	} {
		ref := drift.TagRef{ID: 99, Name: "old", Color: "old", Extra: extra}
		require.NoError(t, ref.UnmarshalJSON([]byte(text)), text)
		assert.Equal(t, want, ref, text)
	}
	for want, ref := range map[string]drift.TagRef{
		`"vip"`: {Name: "vip"}, `{"id":31,"name":"vip"}`: {ID: 31, Name: "vip"}, `{"name":"vip","color":"#f80"}`: {Name: "vip", Color: "#f80"}, `""`: {},
		`{"name":"vip","scope":[1,2]}`: {Name: "vip", Extra: extra},
	} {
		text, err := json.Marshal(ref)
		require.NoError(t, err)
		assert.Equal(t, want, string(text))
	}
	require.Error(t, json.Unmarshal([]byte(`[7]`), new(drift.TagRef)))
	require.Error(t, json.Unmarshal([]byte(`{"id":1.5}`), new(drift.TagRef)))
	require.Error(t, new(drift.TagRef).UnmarshalJSON(nil))
}
