package drift

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"time"

	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// DriftbotService acts on a conversation through the Driftbot.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type DriftbotService interface {
	// UpdateMessage changes the bot's message in a conversation: PATCH
	// v2/conversations/{conversationId}/driftbot. A request that sets no field is a
	// *ValidationError.
	UpdateMessage(
		ctx context.Context, conversationID ConversationID, req DriftbotUpdateMessageRequest, opts ...CallOption,
	) (*Message, error)

	// Trigger triggers an action of the bot in a conversation: POST
	// v2/conversations/{conversationId}/driftbot/trigger.
	Trigger(
		ctx context.Context, conversationID ConversationID, req DriftbotTriggerRequest, opts ...CallOption,
	) (*DriftbotInteraction, error)
}

// DriftbotInteraction is the result of a trigger. The service may omit its id.
type DriftbotInteraction struct {
	ID             string          `json:"id,omitzero"`
	ConversationID ConversationID  `json:"conversation_id,omitzero"`
	ActionID       string          `json:"action_id,omitzero"`
	Status         string          `json:"status,omitzero"`
	Payload        json.RawMessage `json:"payload,omitzero"` // any JSON value but null, unchanged
	CreatedAt      time.Time       `json:"created_at,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// DriftbotUpdateMessageRequest is the body of PATCH v2/conversations/{conversationId}/driftbot. Zero fields stay
// unchanged.
type DriftbotUpdateMessageRequest struct {
	Body   Optional[string]   `json:"body,omitzero"` // HTML
	Labels Optional[[]string] `json:"labels,omitzero"`
}

// DriftbotTriggerRequest is the body of POST v2/conversations/{conversationId}/driftbot/trigger. Zero fields are not
// sent. The client adds the conversation's id.
type DriftbotTriggerRequest struct {
	ActionID string `json:"action_id,omitzero"`

	// Payload is any value that encodes to JSON, with instants as milliseconds. A value that
	// encodes to null, such as a nil pointer, map or slice, is not sent. To send null, use
	// json.RawMessage("null").
	Payload any `json:"payload,omitzero"`
}

// encodePayload encodes the payload in advance, because the checks of request bodies must not apply to it.
func (r *DriftbotTriggerRequest) encodePayload() error {
	payload := r.Payload
	r.Payload = nil
	if isNil(payload) {
		return nil
	}
	data, err := marshalOpen(payload)
	if err != nil {
		return &ValidationError{Argument: "payload", Reason: err.Error()}
	}
	if _, literal := payload.(json.RawMessage); literal || string(data) != "null" {
		r.Payload = json.RawMessage(data)
	}
	return nil
}

// isNil reports whether a value is nil, points to nil at any depth, or is an empty json.RawMessage.
func isNil(value any) bool {
	v := reflect.ValueOf(value)
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Map:
		return v.IsNil()
	case reflect.Slice:
		return v.IsNil() || v.Len() == 0 && v.Type() == reflect.TypeFor[json.RawMessage]()
	}
	return false
}

type driftbotTriggerFields DriftbotTriggerRequest

// driftbotTriggerBody adds the id in the path, which the catalogue also requires in the body.
type driftbotTriggerBody struct {
	driftbotTriggerFields
	ConversationID ConversationID `json:"conversation_id"`
}

var (
	driftbotUpdateMessage = rest.Route{Name: "driftbot.updateMessage", Method: http.MethodPatch, Path: "v2/conversations/{conversationId}/driftbot"}
	driftbotTrigger       = rest.Route{Name: "driftbot.trigger", Method: http.MethodPost, Path: "v2/conversations/{conversationId}/driftbot/trigger"}
)

type driftbot struct{ *caller }

func (s driftbot) UpdateMessage(
	ctx context.Context, conversationID ConversationID, req DriftbotUpdateMessageRequest, opts ...CallOption,
) (*Message, error) {
	return rest.One[Message](ctx, s.caller, &driftbotUpdateMessage,
		rest.Input{Path: rest.Path{rest.ID(conversationID)}, Body: &req}, opts)
}

func (s driftbot) Trigger(
	ctx context.Context, conversationID ConversationID, req DriftbotTriggerRequest, opts ...CallOption,
) (*DriftbotInteraction, error) {
	invalid := req.encodePayload()
	body := driftbotTriggerBody{driftbotTriggerFields(req), conversationID}
	return rest.One[DriftbotInteraction](ctx, s.caller, &driftbotTrigger,
		rest.Input{Path: rest.Path{rest.ID(conversationID)}, Body: &body, Err: invalid}, opts)
}

// UnmarshalJSON decodes an interaction as sent by the API or encoded by MarshalJSON.
func (i *DriftbotInteraction) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, i) }

// MarshalJSON encodes the interaction with the API's names and units, Extra included.
func (i DriftbotInteraction) MarshalJSON() ([]byte, error) {
	type fields DriftbotInteraction
	return wire.Marshal(fields(i))
}

// UnmarshalJSON decodes a request encoded by MarshalJSON. Numbers in the payload become [json.Number].
func (r *DriftbotTriggerRequest) UnmarshalJSON(data []byte) error {
	var raw struct {
		ActionID string     `json:"action_id"`
		Payload  wire.Value `json:"payload"`
	}
	if err := wire.UnmarshalObject(data, &raw); err != nil {
		return err
	}
	*r = DriftbotTriggerRequest{ActionID: raw.ActionID}
	switch string(raw.Payload) {
	case "":
		return nil
	case "null":
		r.Payload = json.RawMessage("null") // unlike nil, it is sent
		return nil
	}
	var err error
	r.Payload, err = wire.UnmarshalOpen(raw.Payload)
	return err
}

// MarshalJSON encodes the request with the API's names, and instants in the payload as milliseconds.
func (r DriftbotTriggerRequest) MarshalJSON() ([]byte, error) {
	if err := r.encodePayload(); err != nil {
		return nil, err
	}
	return wire.Marshal(driftbotTriggerFields(r))
}
