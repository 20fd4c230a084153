package drifttest

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
)

const classicMessagePage = 50

// A note of v2 is a message of type private_note here. Notes have ids of their own, so as messages they have ids from
// noteMessages on, which no message has.
const noteMessages = 1 << 40

// classicMessage shows a message as the classic API and webhooks do.
func classicMessage(message object) object {
	shown := pick(message, "id orgId=org_id conversationId=conversation_id body author type createdAt=created_at "+
		"buttons attachments context attributes")
	for _, name := range []string{"buttons", "attachments", "context"} {
		if value, ok := shown[name]; ok {
			shown[name] = camelNames(value)
		}
	}
	if _, ok := shown["attributes"]; !ok {
		shown["attributes"] = object{}
	}
	return shown
}

func noteMessage(note object) object {
	shown := pick(note, "conversationId=conversation_id body createdAt=created_at")
	shown["id"] = noteMessages + note.integer("id")
	shown["orgId"] = orgID
	shown["type"] = "private_note"
	shown["attributes"] = object{}
	shown["author"] = author(true)
	if user := note.integer("user"); user != 0 {
		shown["author"] = agent(user)
	}
	return shown
}

// classicMessages returns the messages and notes of a conversation, the oldest first.
func (st *store) classicMessages(conversation object) []object {
	messages := []object{}
	for _, message := range st.messages.within("conversation_id", conversation.integer("id")) {
		messages = append(messages, classicMessage(message))
	}
	for _, note := range st.notes.within("conversation_id", conversation.integer("id")) {
		messages = append(messages, noteMessage(note))
	}
	slices.SortFunc(messages, compareMessages)
	return messages
}

func compareMessages(a, b object) int {
	return cmp.Or(cmp.Compare(a.integer("createdAt"), b.integer("createdAt")),
		cmp.Compare(a.integer("id"), b.integer("id")))
}

func (st *store) classicListMessages(c *call) (any, error) {
	conversation, err := st.conversation(c)
	if err != nil {
		return nil, err
	}
	after, err := parseMessageCursor(c.params.text("next"))
	if err != nil {
		return nil, err
	}
	messages := slices.DeleteFunc(st.classicMessages(conversation), func(m object) bool {
		return after != nil && compareMessages(m, after) <= 0
	})
	paging := pagination{More: len(messages) > classicMessagePage}
	if paging.More {
		messages = messages[:classicMessagePage]
		paging.Next = messageCursor(messages[classicMessagePage-1])
	}
	return bare{object{"data": object{"messages": messages}, "pagination": paging}}, nil
}

// messageCursor names the last message of a page. Its padding must be escaped in a query.
func messageCursor(last object) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%d %d", last.integer("createdAt"), last.integer("id")))
}

func parseMessageCursor(next string) (object, error) {
	if next == "" {
		return nil, nil
	}
	plain, err := base64.StdEncoding.DecodeString(next)
	var at, id int64
	if _, scanErr := fmt.Sscanf(string(plain), "%d %d", &at, &id); err != nil || scanErr != nil {
		return nil, invalid("next", "must be a cursor of this list")
	}
	return object{"createdAt": at, "id": id}, nil
}

// classicCreateMessage writes a chat message, a note, or a change of an earlier message. Without a userId the bot
// writes.
func (st *store) classicCreateMessage(c *call) (any, error) {
	conversation, err := st.conversation(c)
	if err != nil {
		return nil, err
	}
	if err := checkMessage(c.params); err != nil {
		return nil, err
	}
	writer := author(true)
	if user := c.params.integer("userId"); user != 0 {
		writer = agent(user)
	}
	switch c.params.text("type") {
	case "edit":
		return st.classicEdit(c, conversation)
	case "private_note":
		note := st.addNote(conversation, object{"body": c.params.text("body")}, c.now)
		if user := c.params.integer("userId"); user != 0 {
			note["user"] = user
		}
		conversation["updated_at"] = c.now
		return noteMessage(note), nil
	}
	message := st.addMessage(conversation, c.params.without("userId"), writer, c.now)
	return classicMessage(message), nil
}

func checkMessage(params object) error {
	isEdit := params.text("type") == "edit"
	for _, name := range []string{"editType", "editedMessageId"} {
		if _, given := params[name]; given != isEdit {
			return invalid(name, "belongs to a message of type edit, which needs it")
		}
	}
	if !isEdit && params.text("body") == "" && len(params.objects("buttons")) == 0 {
		return invalid("body", "is missing")
	}
	for _, button := range params.objects("buttons") {
		if button.text("type") != "reply" || button["value"] != button["label"] {
			return invalid("buttons", "a chat message has only reply buttons, whose value equals the label")
		}
	}
	return nil
}

// classicEdit changes or deletes a message of the conversation, and answers with the message that it edited.
func (st *store) classicEdit(c *call, conversation object) (any, error) {
	id := c.params.integer("editedMessageId")
	message, err := st.messages.getWithin("conversation_id", conversation.integer("id"), id)
	if err != nil {
		return nil, err
	}
	edit := c.params.text("editType")
	if edit == "replace" || edit == "replace_body" {
		message["body"] = c.params.text("body")
	}
	if edit == "replace" || edit == "replace_buttons" {
		message.merge(object{"buttons": c.params["buttons"]})
	}
	message["updated_at"] = c.now
	shown := classicMessage(message)
	shown["type"] = "edit"
	shown["editedMessageId"] = id
	shown["editType"] = edit
	if edit == "delete" {
		return shown, st.messages.delete(id)
	}
	return shown, nil
}

func (st *store) classicDownload(c *call) (any, error) {
	attachment, err := st.attachments.get(c.id("attachmentId"))
	if err != nil {
		return nil, err
	}
	data, _ := attachment["data"].([]byte)
	mediaType := attachment.text("mime_type")
	if mediaType == "" {
		mediaType = http.DetectContentType(data)
	}
	return file{name: attachment.text("file_name"), mediaType: mediaType, data: data}, nil
}
