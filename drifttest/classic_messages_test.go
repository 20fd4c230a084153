package drifttest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

type messageList struct {
	Data struct {
		Messages []struct {
			ID, CreatedAt int64
			Body, Type    string
		}
	}
	Pagination struct {
		More bool
		Next string
	}
}

func TestClassicMessagesPageByCursor(t *testing.T) {
	t.Parallel()
	w := start(t)
	id := w.AddConversation(drift.Conversation{})
	for i := range 120 {
		w.AddMessage(drift.Message{ConversationID: id, Body: fmt.Sprint(i)})
	}
	page := read[messageList](w, "GET", "conversations/1/messages?next=", "")
	for i := range 120 {
		if i > 0 && i%50 == 0 {
			require.True(t, page.Pagination.More)
			page = read[messageList](w, "GET", "conversations/1/messages?next="+url.QueryEscape(page.Pagination.Next), "")
		}
		assert.Equal(t, fmt.Sprint(i), page.Data.Messages[i%50].Body)
	}
	assert.Len(t, page.Data.Messages, 20)
	assert.Contains(t, string(w.send("GET", "conversations/1/messages", "").body), `"pagination":{"more":true,`)
	assert.False(t, page.Pagination.More)
	w.isBad(t, "conversations/1/messages?next=x")
	w.isBad(t, "conversations/1/messages?limit=10")
	assert.Equal(t, 404, w.send("GET", "conversations/2/messages", "").status)
}

// A private note is a note of v2, and has an id that no message has.
func TestClassicPrivateNotesAreNotes(t *testing.T) {
	t.Parallel()
	w := startDemo(t)
	sent := read[struct{ Data map[string]any }](w, "POST", "conversations/2/messages", `{"type":"private_note","body":"<b>psst</b>","userId":3}`).Data
	assert.Equal(t, "private_note", sent["type"])
	note := w.ok("GET", "v2/conversations/2/timeline/notes/13", "")
	assert.Equal(t, "<b>psst</b>", note["body"])
	assert.EqualValues(t, "3", note["user"])

	w.ok("PATCH", "v2/conversations/2/timeline/notes/13", `{"body":"changed"}`)
	list := read[messageList](w, "GET", "conversations/2/messages", "")
	last := list.Data.Messages[len(list.Data.Messages)-1]
	assert.EqualValues(t, sent["id"], last.ID)
	assert.Equal(t, "changed", last.Body)
	assert.Equal(t, 404, w.send("GET", fmt.Sprintf("v2/conversations/2/messages/%d", last.ID), "").status)
}

func TestClassicEditsOfMessages(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.AddConversation(drift.Conversation{})
	w.AddConversation(drift.Conversation{})
	button := `[{"label":"Yes","value":"Yes","type":"reply"}]`
	read[any](w, "POST", "conversations/1/messages", `{"type":"chat","body":"one","buttons":`+button+`}`)
	edit := func(fields string) result {
		return w.send("POST", "conversations/1/messages", `{"type":"edit","editedMessageId":1,`+fields+`}`)
	}
	assert.Contains(t, string(edit(`"editType":"replace_body","body":"two"`).body), `"editType":"replace_body"`)
	assert.Equal(t, "two", w.ok("GET", "v2/conversations/1/messages/1", "")["body"])
	assert.Equal(t, 200, edit(`"editType":"replace_buttons"`).status)
	assert.NotContains(t, w.ok("GET", "v2/conversations/1/messages/1", ""), "buttons")
	assert.Equal(t, 400, edit(`"body":"x"`).status, "no editType")
	assert.Equal(t, 400, w.send("POST", "conversations/1/messages", `{"type":"chat","body":"x","editType":"delete"}`).status)
	assert.Equal(t, 404, w.send("POST", "conversations/2/messages", `{"type":"edit","editedMessageId":1,"editType":"delete"}`).status)
	assert.Equal(t, 200, edit(`"editType":"delete"`).status)
	assert.Equal(t, 404, w.send("GET", "v2/conversations/1/messages/1", "").status)
}

func TestClassicAttachmentsHaveRanges(t *testing.T) {
	t.Parallel()
	w := start(t)
	file := w.AddAttachment(drift.Attachment{FileName: "a.bin"}, []byte("0123456789"))
	assert.Equal(t, drift.Attachment{ID: 1, FileName: "a.bin", URL: "https://driftapi.com/attachments/1/data"}, file)
	get := func(edits ...edit) result {
		return w.send("GET", "attachments/1/data", "", append(edits, accept(true))...)
	}

	whole := get()
	assert.Equal(t, "0123456789", string(whole.body))
	assert.Equal(t, "text/plain; charset=utf-8", whole.header.Get("Content-Type"), "by its data")
	assert.Equal(t, "bytes", whole.header.Get("Accept-Ranges"))
	etag := whole.header.Get("Etag")
	require.NotEmpty(t, etag)

	part := get(header("Range", "bytes=4-"), header("If-Range", etag))
	assert.Equal(t, http.StatusPartialContent, part.status)
	assert.Equal(t, "456789", string(part.body))
	assert.Equal(t, "bytes 4-9/10", part.header.Get("Content-Range"))

	w.AddAttachment(drift.Attachment{ID: 1, FileName: "a.bin"}, []byte("abcdefghij"))
	changed := get(header("Range", "bytes=4-"), header("If-Range", etag))
	assert.Equal(t, http.StatusOK, changed.status, "another file: from the start")
	assert.Equal(t, "abcdefghij", string(changed.body))
	unchanged := get(header("If-None-Match", changed.header.Get("Etag")))
	assert.Equal(t, http.StatusNotModified, unchanged.status)
	assert.Empty(t, unchanged.body)
	assert.Empty(t, unchanged.header.Get("Content-Type"))
	assert.Equal(t, http.StatusRequestedRangeNotSatisfiable, get(header("Range", "bytes=99-")).status)
	assert.Equal(t, 404, w.send("GET", "attachments/2/data", "", accept(true)).status)

	id := w.AddConversation(drift.Conversation{})
	w.AddMessage(drift.Message{ConversationID: id, Attachments: []drift.Attachment{file}})
	assert.True(t, strings.Contains(string(w.send("GET", "conversations/1/messages", "").body),
		`"attachments":[{"fileName":"a.bin","id":1,"url":"https://driftapi.com/attachments/1/data"}]`))
}
