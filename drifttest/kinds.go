package drifttest

import (
	"encoding/json"
	"math"
	"strconv"
)

// kind is the type of a parameter, as error messages describe it.
type kind string

const (
	kindText       kind = "a string"
	kindAddress    kind = "a string that is not empty"
	kindFlag       kind = "a boolean"
	kindID         kind = "an integer greater than 0"
	kindMinutes    kind = "a whole number of minutes greater than 0"
	kindCount      kind = "an integer of at least 0"
	kindPageSize   kind = "an integer from 1 to 100"
	kindInstant    kind = "an integer: milliseconds since the epoch"
	kindTexts      kind = "a list of strings"
	kindIDs        kind = "a list of integers greater than 0"
	kindAttributes kind = "an object"
	kindAnything   kind = "a JSON value"
)

// kindOf returns the kind of a parameter. A name means the same in every operation.
func kindOf(name string) kind {
	switch name {
	case "archived", "background_mode", "closed", "deleted", "enabled", "in_progress", "reply", "use_custom_avatar",
		"use_precise_filters":
		return kindFlag
	case "assigned_user_id", "conversation_id", "created_by", "id", "updated_by", "user", "workflow_id":
		return kindID
	case "client_created_at", "created_after", "created_at", "created_before", "ended_at", "last_activity_at",
		"last_message_sent_at", "resolved_at", "start_after", "start_at", "start_before", "updated_at", "updated_since":
		return kindInstant
	case "labels", "participants", "tags":
		return kindTexts
	case "participant_ids", "users":
		return kindIDs
	case "custom_attributes":
		return kindAttributes
	case "duration":
		return kindMinutes
	case "email":
		return kindAddress
	case "limit":
		return kindPageSize
	case "member_count":
		return kindCount
	case "payload":
		return kindAnything
	}
	return kindText
}

// kindOfPath returns the kind of a parameter in the path.
func kindOfPath(name string) kind {
	switch name {
	case "accountId", "companyId", "status", "tagName":
		return kindText
	}
	return kindID
}

// lift converts the text of a path or a query to the type that the value has in JSON, so that one check serves both.
func (k kind) lift(value string) any {
	switch k {
	case kindFlag:
		if value == "true" || value == "false" {
			return value == "true"
		}
	case kindID, kindMinutes, kindCount, kindPageSize, kindInstant, kindIDs,
		kindUserIDs, kindStatusIDs, kindAccountPage, kindMeetingPage:
		return json.Number(value)
	}
	return value
}

func (k kind) liftList(values []string) any {
	items := make([]any, len(values))
	for i, value := range values {
		items[i] = k.lift(value)
	}
	return items
}

// check converts a decoded JSON value to the type that the store uses for the kind, and reports whether it is of that
// kind.
func (k kind) check(value any) (any, bool) {
	switch k {
	case kindText:
		return as[string](value)
	case kindAddress:
		text, ok := as[string](value)
		return text, ok && text != ""
	case kindFlag:
		return as[bool](value)
	case kindID, kindMinutes:
		return integer(value, 1, math.MaxInt64)
	case kindCount:
		return integer(value, 0, math.MaxInt64)
	case kindPageSize:
		return integer(value, 1, 100)
	case kindInstant:
		return integer(value, math.MinInt64, math.MaxInt64)
	case kindTexts:
		return list(value, func(item any) (string, bool) { s, ok := item.(string); return s, ok })
	case kindIDs:
		return list(value, func(item any) (int64, bool) { return integer(item, 1, math.MaxInt64) })
	case kindAttributes:
		return as[map[string]any](value)
	case kindAnything:
		return value, true
	}
	return k.checkClassic(value)
}

func as[T any](value any) (T, bool) {
	typed, ok := value.(T)
	return typed, ok
}

// integer accepts plain decimal digits only: no fraction, exponent, leading zero or plus sign.
func integer(value any, least, most int64) (int64, bool) {
	digits, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(digits.String(), 10, 64)
	return n, err == nil && n >= least && n <= most && strconv.FormatInt(n, 10) == digits.String()
}

func list[T any](value any, item func(any) (T, bool)) ([]T, bool) {
	values, ok := value.([]any)
	if !ok {
		return nil, false
	}
	items := make([]T, len(values))
	for i, value := range values {
		if items[i], ok = item(value); !ok {
			return nil, false
		}
	}
	return items, true
}
