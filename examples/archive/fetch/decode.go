package fetch

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
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

// decode decodes a record as far as possible. It leaves out the fields that do not decode, and returns their names. If
// not even the id decodes, it returns an error.
func decode[T any](raw json.RawMessage) (*T, []string, error) {
	record := new(T)
	err := json.Unmarshal(raw, record)
	if err == nil {
		return record, nil, nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return nil, nil, err
	}
	good, dropped := map[string]json.RawMessage{}, []string(nil)
	for name, value := range fields {
		if isID(name) {
			good[name] = value
		}
	}
	if record, err = parse[T](good); err != nil {
		return nil, nil, err
	}
	for name, value := range fields {
		good[name] = value
		if _, err := parse[T](good); err != nil {
			delete(good, name)
			dropped = append(dropped, name)
		}
	}
	slices.Sort(dropped)
	record, err = parse[T](good)
	return record, dropped, err
}

func isID(name string) bool { return strings.EqualFold(name, "id") }

func parse[T any](fields map[string]json.RawMessage) (*T, error) {
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	record := new(T)
	return record, json.Unmarshal(data, record)
}

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
