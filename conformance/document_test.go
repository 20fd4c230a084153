package conformance_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/conformance"
)

func load(t *testing.T) *openapi3.T {
	t.Helper()
	contract, err := conformance.Load(document, "https://drift.test")
	require.NoError(t, err)
	return contract.Document
}

func TestDocumentIsTheCatalogue(t *testing.T) {
	doc := load(t)
	names := map[string]bool{}
	for _, op := range catalogue(t) {
		names[op.name] = true
		item := doc.Paths.Value(op.path)
		require.NotNil(t, item, op.path)
		documented := item.GetOperation(op.method)
		require.NotNil(t, documented, "%s %s", op.method, op.path)
		assert.Equal(t, op.name, documented.OperationID)
		assert.Equal(t, append([]string{}, op.parameters...), parametersIn(op, item, documented), op.name)
		assert.Equal(t, strings.Contains(op.name, ".list"), pages(documented), "%s: limit and next", op.name)
	}
	for path, item := range doc.Paths.Map() {
		for method, documented := range item.Operations() {
			assert.True(t, names[documented.OperationID], "%s %s is not in the catalogue", method, path)
		}
	}
}

// parametersIn are the names that the document gives an operation, but for paging and for what only addresses the record.
func parametersIn(op operation, item *openapi3.PathItem, documented *openapi3.Operation) []string {
	names := []string{}
	for _, ref := range slices.Concat(item.Parameters, documented.Parameters) {
		name := ref.Value.Name
		if name != "limit" && name != "next" && !isAddress(op, name) {
			names = append(names, name)
		}
	}
	if documented.RequestBody != nil {
		names = slices.AppendSeq(names, maps.Keys(bodyOf(documented).Properties))
	}
	slices.Sort(names)
	return names
}

func bodyOf(documented *openapi3.Operation) *openapi3.Schema {
	return documented.RequestBody.Value.Content.Get("application/json").Schema.Value
}

func pages(documented *openapi3.Operation) bool {
	limit := documented.Parameters.GetByInAndName("query", "limit")
	next := documented.Parameters.GetByInAndName("query", "next")
	return limit != nil && next != nil
}

// Every object is closed, except free maps and objects inside records. Every field of a PATCH may be null, and none of a POST.
func TestDocumentIsStrict(t *testing.T) {
	doc := load(t)
	open := []string{
		"AnyValue", "Attachment", "Attributes", "Author", "Button", "ButtonReaction", "MeetingParticipant", "MessageContext",
		"NullableAttributes",
	}
	for name, ref := range doc.Components.Schemas {
		if ref.Value.Type.Includes("object") {
			assert.Equal(t, slices.Contains(open, name), !closed(ref.Value), name)
		}
	}
	for path, item := range doc.Paths.Map() {
		for method, documented := range item.Operations() {
			if documented.RequestBody == nil {
				assert.Contains(t, []string{http.MethodGet, http.MethodDelete}, method, path)
				continue
			}
			body := bodyOf(documented)
			assert.True(t, closed(body), documented.OperationID)
			for name, property := range body.Properties {
				nullable := property.Value.Type.Includes("null")
				assert.Equal(t, method == http.MethodPatch || name == "payload", nullable, "%s: %s", documented.OperationID, name)
			}
		}
	}
}

func closed(schema *openapi3.Schema) bool {
	has := schema.AdditionalProperties.Has
	return has != nil && !*has
}

func TestRecordsHaveTheFieldsOfTheDocument(t *testing.T) {
	schemas := load(t).Components.Schemas
	for _, record := range []any{
		drift.Conversation{}, drift.Message{}, drift.Author{}, drift.Button{}, drift.ButtonReaction{}, drift.Attachment{},
		drift.MessageContext{}, drift.Note{}, drift.Contact{}, drift.Tag{}, drift.Meeting{}, drift.Participant{}, drift.Person{},
		drift.Team{}, drift.DriftbotInteraction{},
	} {
		name := reflect.TypeOf(record).Name()
		require.Contains(t, schemas, name)
		assert.ElementsMatch(t, fieldsOf(record), slices.Collect(maps.Keys(schemas[name].Value.Properties)), name)
	}
}

func TestParticipantsHaveTheSameFieldsEverywhere(t *testing.T) {
	schemas := load(t).Components.Schemas
	assert.Equal(t, schemas["Participant"].Value.Properties, schemas["MeetingParticipant"].Value.Properties)
}

func fieldsOf(record any) []string {
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeOf(record)) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// The document's examples are whole records, and pass through the SDK's types unchanged.
func TestExamples(t *testing.T) {
	schemas := load(t).Components.Schemas
	for name, record := range map[string]any{
		"Conversation": &drift.Conversation{}, "Message": &drift.Message{}, "Note": &drift.Note{}, "Contact": &drift.Contact{},
		"Tag": &drift.Tag{}, "Meeting": &drift.Meeting{}, "Participant": &drift.Participant{}, "Person": &drift.Person{},
		"Team": &drift.Team{}, "DriftbotInteraction": &drift.DriftbotInteraction{},
	} {
		schema := schemas[name].Value
		require.Len(t, schema.Examples, 1, name)
		example, ok := schema.Examples[0].(map[string]any)
		require.True(t, ok, name)
		assert.ElementsMatch(t, slices.Collect(maps.Keys(schema.Properties)), slices.Collect(maps.Keys(example)), name)

		require.NoError(t, schema.VisitJSON(example, openapi3.EnableJSONSchema2020()), name)

		data, err := json.Marshal(example)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, record), name)
		again, err := json.Marshal(record)
		require.NoError(t, err)
		assert.JSONEq(t, string(withoutFalse(t, data)), string(again), name)
	}
}

// withoutFalse drops what a record leaves out: false is the zero value.
func withoutFalse(t *testing.T, data []byte) []byte {
	t.Helper()
	var members map[string]any
	require.NoError(t, json.Unmarshal(data, &members))
	maps.DeleteFunc(members, func(_ string, value any) bool { return value == false })
	data, err := json.Marshal(members)
	require.NoError(t, err)
	return data
}
