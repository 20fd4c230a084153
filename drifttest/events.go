package drifttest

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// happened reports an event to the webhooks. The data must not change afterwards.
func (st *store) happened(event string, data object) {
	for _, listen := range st.listeners {
		listen(event, data)
	}
}

// pick copies fields of a record under the names that webhooks use: "camelCase=snake_case", or a single name that is
// the same in both.
func pick(record object, fields string) object {
	picked := object{}
	for field := range strings.FieldsSeq(fields) {
		name, from, found := strings.Cut(field, "=")
		if !found {
			from = name
		}
		if value, ok := record[from]; ok {
			picked[name] = value
		}
	}
	return picked
}

func (st *store) messageHappened(message object) {
	event := "new_message"
	if strings.HasPrefix(message.text("body"), "/") {
		event = "new_command_message"
	}
	st.happened(event, classicMessage(message))
}

func (st *store) conversationHappened(conversation object) {
	st.happened("new_conversation", conversationData(conversation))
}

// conversationData shows a conversation by the names of webhooks and of the classic API.
func conversationData(conversation object) object {
	data := pick(conversation, "id orgId=org_id status contactId=contact_id inboxId=inbox_id participants "+
		"createdAt=created_at updatedAt=updated_at relatedPlaybookId=related_playbook_id")
	if names := conversation.texts("tags"); len(names) > 0 {
		tags := make([]object, len(names))
		for i, name := range names {
			tags[i] = object{"name": name}
		}
		data["conversationTags"] = tags
	}
	return data
}

func (st *store) statusHappened(conversation object, now int64) {
	st.happened("conversation_status_updated", object{
		"conversationId": conversation["id"],
		"status":         conversation["status"],
		"changedAt":      now,
	})
}

// contactHappened compares a contact with its earlier state, which is nil for a new contact. A contact with an address
// is identified.
func (st *store) contactHappened(before map[string]any, contact object, now int64) {
	after := contactAttributes(contact)
	if _, known := before["email"]; !known && contact.text("email") != "" {
		st.happened("contact_identified", object{
			"id":         contact["id"],
			"createdAt":  contact["created_at"],
			"attributes": after,
		})
	}
	if changes := contactChanges(before, after); before != nil && len(changes) > 0 {
		st.happened("contact_updated", object{
			"endUserId": contact["id"],
			"orgId":     orgID,
			"timestamp": now,
			"diff":      changes,
		})
	}
}

// contactAttributes returns all fields of a contact in one map, as webhooks send them.
func contactAttributes(contact object) map[string]any {
	attributes := map[string]any{}
	for _, field := range []string{"attributes", "custom_attributes"} {
		members, _ := contact[field].(map[string]any)
		maps.Copy(attributes, members)
	}
	if email := contact.text("email"); email != "" {
		attributes["email"] = email
	}
	return attributes
}

func contactChanges(before, after map[string]any) []object {
	names := maps.Clone(before)
	if names == nil {
		names = map[string]any{}
	}
	maps.Copy(names, after)
	changes := []object{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !reflect.DeepEqual(before[name], after[name]) {
			changes = append(changes, object{
				"name":     "attributes." + name,
				"previous": before[name],
				"updated":  after[name],
			})
		}
	}
	return changes
}

func (st *store) meetingHappened(event string, meeting object, more object) {
	data := st.meetingData(meeting)
	maps.Copy(data, more)
	st.happened(event, data)
}

// meetingData shows a meeting by the names of webhooks and of the classic API.
func (st *store) meetingData(meeting object) object {
	data := object{
		"agentId":     meeting.integer("created_by"),
		"orgId":       orgID,
		"eventId":     strconv.FormatInt(meeting.integer("id"), 10),
		"slotStart":   meeting.integer("start_at"),
		"slotEnd":     endOf(meeting),
		"scheduledAt": meeting.integer("created_at"),
	}
	if conversation, err := st.conversations.get(meeting.integer("conversation_id")); err == nil {
		data["conversationId"] = conversation["id"]
		data["schedulerId"] = conversation.integer("contact_id")
	}
	return data
}
