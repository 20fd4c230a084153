package drifttest

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
)

// Kinds of parameters that only the classic API has.
const (
	kindCursor       kind = "a cursor of this list" // may be empty: the first page
	kindStatusIDs    kind = "a list of 1, 2 and 3"
	kindUserIDs      kind = "a list of 1 to 20 user ids"
	kindAccountPage  kind = "an integer from 1 to 65"
	kindMeetingPage  kind = "an integer from 1 to 1000"
	kindAddresses    kind = "a list of e-mail addresses"
	kindNames        kind = "a list of names"
	kindExternal     kind = "external"
	kindAvailability kind = "AVAILABLE or OFFLINE"
	kindMessageType  kind = "chat, private_note or edit"
	kindEditType     kind = "delete, replace, replace_body or replace_buttons"
	kindButtonType   kind = "reply, compose, action or noop"
	kindPropertyType kind = "a type of property, such as STRING"
	kindOperation    kind = "HAS_PROPERTY, BETWEEN or IN"
	kindAggregate    kind = "AVG"
	kindMessage      kind = "an object with body and attributes"
	kindTags         kind = "a list of objects with name and color"
	kindButtons      kind = "a list of buttons with label, value, type, style and reaction"
	kindReaction     kind = "an object with type and message"
	kindProperties   kind = "a list of objects with label, name, type and value"
	kindFilters      kind = "a list of objects with property, operation and values"
	kindAggregates   kind = "a list of objects with type and property"
	kindPersonName   kind = "an object with formatted, familyName and givenName"
	kindValued       kind = "a list of objects with value, display, type and primary"
	kindList         kind = "a list"
)

// classicKindOf returns the kind of a parameter of the classic API, where operations do not differ.
func classicKindOf(name string) kind {
	switch name {
	case "active", "isActive", "targeted":
		return kindFlag
	case "contactId", "editedMessageId", "ownerId", "startIndex", "userId":
		return kindID
	case "createdAt", "max_start_time", "min_start_time":
		return kindInstant
	case "id", "schemas":
		return kindTexts
	case "index":
		return kindCount
	case "count", "limit":
		return kindPageSize
	case "next", "page_token":
		return kindCursor
	case "email", "event", "externalId":
		return kindAddress
	}
	if k, ok := classicNames[name]; ok {
		return k
	}
	return kindText
}

// classicNames are the names that have a kind of their own.
var classicNames = map[string]kind{
	"attributes":       kindAttributes,
	"availability":     kindAvailability,
	"buttons":          kindButtons,
	"customProperties": kindProperties,
	"editType":         kindEditType,
	"emails":           kindValued,
	"filters":          kindFilters,
	"idType":           kindExternal,
	"message":          kindMessage,
	"phoneNumbers":     kindValued,
	"roles":            kindValued,
	"statusId":         kindStatusIDs,
	"type":             kindMessageType,
}

// words are the kinds that allow a few words.
var words = map[kind]string{
	kindExternal:     "external",
	kindAvailability: "AVAILABLE OFFLINE",
	kindMessageType:  "chat private_note edit",
	kindEditType:     "delete replace replace_body replace_buttons",
	kindButtonType:   "reply compose action noop",
	kindOperation:    "HAS_PROPERTY BETWEEN IN",
	kindAggregate:    "AVG",
	kindPropertyType: "STRING EMAIL NUMBER TEAMMEMBER ENUM ENUMARRAY DATE DATETIME LATLON LAT LON PHONE URL",
}

// shape is an object, or a list of such objects.
type shape struct {
	list     bool
	members  map[string]kind
	required string
}

var shapes = map[kind]shape{
	kindMessage:    {members: map[string]kind{"attributes": kindAttributes, "body": kindAddress}, required: "body"},
	kindReaction:   {members: map[string]kind{"type": kindText, "message": kindText}, required: "type"},
	kindPersonName: {members: map[string]kind{"formatted": kindText, "familyName": kindText, "givenName": kindText}},
	kindTags:       {list: true, members: map[string]kind{"color": kindText, "name": kindAddress}, required: "name"},
	kindAggregates: {
		list: true, members: map[string]kind{"property": kindAddress, "type": kindAggregate}, required: "property type",
	},
	kindButtons: {
		list: true, required: "label type value",
		members: map[string]kind{
			"label": kindAddress, "value": kindText, "type": kindButtonType,
			"style": kindText, "reaction": kindReaction,
		},
	},
	kindProperties: {
		list: true, required: "name",
		members: map[string]kind{
			"label": kindText, "name": kindAddress, "type": kindPropertyType, "value": kindAnything,
		},
	},
	kindFilters: {
		list: true, required: "operation property",
		members: map[string]kind{"operation": kindOperation, "property": kindAddress, "values": kindList},
	},
	kindValued: {
		list:    true,
		members: map[string]kind{"display": kindText, "primary": kindFlag, "type": kindText, "value": kindText},
	},
}

func (k kind) isList() bool {
	return k == kindTexts || k == kindIDs || k == kindUserIDs || k == kindStatusIDs
}

// checkClassic is check for the kinds of this file.
func (k kind) checkClassic(value any) (any, bool) {
	switch k {
	case kindCursor:
		return as[string](value)
	case kindAccountPage:
		return integer(value, 1, 65)
	case kindMeetingPage:
		return integer(value, 1, 1000)
	case kindUserIDs:
		ids, ok := list(value, func(item any) (int64, bool) { return integer(item, 1, math.MaxInt64) })
		return ids, ok && len(ids) <= 20
	case kindStatusIDs:
		return list(value, func(item any) (int64, bool) { return integer(item, 1, 3) })
	case kindAddresses, kindNames:
		names, ok := list(value, func(item any) (string, bool) { s, ok := item.(string); return s, ok && s != "" })
		return names, ok && len(names) > 0
	case kindList:
		return as[[]any](value)
	}
	if allowed, ok := words[k]; ok {
		word, _ := value.(string)
		return word, slices.Contains(strings.Fields(allowed), word)
	}
	return value, shapes[k].fits(value)
}

func (s shape) fits(value any) bool {
	items, isList := value.([]any)
	if !s.list {
		items = []any{value}
	} else if !isList {
		return false
	}
	for _, item := range items {
		object, ok := item.(map[string]any)
		if !ok || !s.fitsObject(object) {
			return false
		}
	}
	return true
}

func (s shape) fitsObject(members map[string]any) bool {
	for name, value := range members {
		k, known := s.members[name]
		if !known {
			return false
		}
		if _, ok := k.check(value); !ok {
			return false
		}
	}
	for name := range strings.FieldsSeq(s.required) {
		if _, ok := members[name]; !ok {
			return false
		}
	}
	return true
}

// objects returns a list of objects that has been checked.
func (o object) objects(name string) []object {
	items, _ := o[name].([]any)
	var objects []object
	for _, item := range items {
		members, _ := item.(map[string]any)
		objects = append(objects, members)
	}
	return objects
}

// number returns the integer of a JSON number that was kept as it is, or of a stored one; 0 for anything else.
func number(value any) int64 {
	switch value := value.(type) {
	case int64:
		return value
	case json.Number:
		n, _ := value.Int64()
		return n
	}
	return 0
}
