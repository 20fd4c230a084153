package fetch

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/driftsdk/drift/classic"
)

// errShape reports an answer that has no list or record where the API has one.
var errShape = errors.New("the answer has another shape than the API's")

// inside returns the value in an answer that a name leads to, step by step. Steps that the answer lacks are left out:
// the API wraps values in "data", but not always.
func inside(body []byte, names ...string) json.RawMessage {
	value := json.RawMessage(body)
	for _, name := range names {
		var object map[string]json.RawMessage
		if json.Unmarshal(value, &object) != nil {
			continue
		}
		if inner, ok := object[name]; ok {
			value = inner
		}
	}
	return value
}

// list returns the elements of the list that names lead to. A list of one may come as an object, and none as null.
func list(body []byte, names ...string) ([]json.RawMessage, error) {
	value := inside(body, names...)
	var elements []json.RawMessage
	if err := json.Unmarshal(value, &elements); err != nil {
		return nil, errShape
	}
	return elements, nil
}

// errOtherRecord reports an answer about another record than the one that was asked for.
var errOtherRecord = errors.New("it has another id")

// errNoID reports a record that cannot be told from others.
var errNoID = errors.New("the record has no id")

// decode decodes a record as far as possible. It leaves out the fields that do not decode, and returns their names. If
// not even the id decodes, it returns an error.
func decode[T any](raw json.RawMessage, id func(*T) int64) (record *T, dropped []string, err error) {
	record, err = parse[T](raw)
	if err != nil {
		record, dropped, err = salvage[T](raw)
	}
	if err == nil && id(record) <= 0 {
		err = errNoID
	}
	if err != nil {
		return nil, nil, err
	}
	return record, dropped, nil
}

func parse[T any](raw json.RawMessage) (*T, error) {
	record := new(T)
	return record, json.Unmarshal(raw, record)
}

// salvage decodes the fields that decode, each on its own.
func salvage[T any](raw json.RawMessage) (*T, []string, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, nil, errNoID
	}
	good, dropped := map[string]json.RawMessage{}, []string(nil)
	for name, value := range fields {
		if isID(name) {
			good[name] = value
		}
	}
	if len(good) == 0 {
		return nil, nil, errNoID
	}
	ids := maps.Clone(good)
	for name, value := range fields {
		alone := maps.Clone(ids) // each field on its own, because a record may have very many
		alone[name] = value
		if _, err := assemble[T](alone); err != nil {
			dropped = append(dropped, name)
			continue
		}
		good[name] = value
	}
	slices.Sort(dropped)
	record, err := assemble[T](good)
	if err != nil { // the fields contradict each other
		record, err = assemble[T](ids)
		dropped = slices.Sorted(maps.Keys(fields))
	}
	return record, dropped, err
}

func isID(name string) bool { return strings.EqualFold(name, "id") }

func assemble[T any](fields map[string]json.RawMessage) (*T, error) {
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	return parse[T](data)
}

// The ids of the records that are decoded.
func conversationID(c *classic.Conversation) int64 { return int64(c.ID) }
func messageID(m *classic.Message) int64           { return int64(m.ID) }
func contactID(c *classic.Contact) int64           { return int64(c.ID) }

// idOf returns the text of a member that identifies a record, or "".
func idOf(raw json.RawMessage, name string) string {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var fields map[string]any
	if decoder.Decode(&fields) != nil {
		return ""
	}
	switch id := fields[name].(type) {
	case string:
		return id
	case json.Number:
		return id.String()
	}
	return ""
}
