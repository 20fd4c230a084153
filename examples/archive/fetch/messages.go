package fetch

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/examples/archive/store"
)

const messagesList = "classic.messages.list"

func (f *Fetcher) messages(ctx context.Context) error { return f.run(ctx, f.messagesStage()) }

func (f *Fetcher) messagesStage() *stage {
	return &stage{kind: "messages", operation: messagesList, scope: scopeConversations, subject: conversation,
		read: f.thread}
}

// thread reads the messages of a conversation. Each page is a transaction. A conversation that has changed since its
// first page was read starts over.
func (f *Fetcher) thread(ctx context.Context, d store.Due) error {
	cursor := d.Cursor
	if d.Target != d.UpdatedAt {
		cursor = ""
	}
	seen := map[string]bool{}
	for !seen[cursor] {
		seen[cursor] = true
		page, err := f.messagesPage(ctx, d.ID, cursor)
		if cursor != "" && isRefused(err) && !seen[""] {
			cursor = "" // the cursor is too old
			continue
		}
		if err != nil {
			return err
		}
		isFirst := cursor == ""
		cursor = page.next
		if err := f.write(ctx, func(tx *store.Tx) error { return page.put(tx, d, isFirst) }); err != nil || cursor == "" {
			return err
		}
	}
	return drift.ErrCursorLoop
}

// messagePage is a page of a conversation.
type messagePage struct {
	messages []store.Message
	odd      []store.Oddity
	next     string
	seen     map[int64]string
}

func (p *messagePage) put(tx *store.Tx, d store.Due, isFirst bool) error {
	if isFirst {
		if err := tx.ClearOddities(messagesList, conversation(d.ID)); err != nil {
			return err
		}
	}
	for _, m := range slices.Backward(p.messages) {
		if err := tx.PutMessage(m); err != nil {
			return err
		}
	}
	contactID, err := tx.ContactOf("messages", d.ID)
	if err != nil {
		return err
	}
	for i := range p.odd {
		p.odd[i].ContactID = cmp.Or(p.odd[i].ContactID, contactID)
	}
	if err := putOddities(tx, p.odd); err != nil {
		return err
	}
	return tx.MessagesRead(d, p.next)
}

func (f *Fetcher) messagesPage(ctx context.Context, id int64, cursor string) (*messagePage, error) {
	var response drift.Response
	var page *drift.Page[classic.Message]
	err := f.try(ctx, func(ctx context.Context) (err error) {
		page, err = f.api.Messages.List(ctx, drift.ConversationID(id), classic.MessageListOptions{Cursor: cursor},
			drift.WithResponse(&response))
		if drift.RecordErrors(err) != nil {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, withBody(err, &response)
	}
	raws, err := list(response.Body, "data", "messages")
	if err != nil {
		return nil, withBody(err, &response)
	}
	read := &messagePage{next: page.Next, seen: map[int64]string{}}
	for _, raw := range raws {
		read.add(id, raw)
	}
	return read, nil
}

func (p *messagePage) add(in int64, raw json.RawMessage) {
	m, dropped, err := decode(raw, messageID)
	if err != nil {
		p.note(conversation(in)+", a message without an id", err.Error(), raw)
		return
	}
	subject := fmt.Sprintf("%s, message %d", conversation(in), m.ID)
	attachments, begin := m.Attachments, len(p.odd)
	if dropped != nil {
		p.note(subject, notDecoded(dropped), raw)
		attachments = readable(raw)
	}
	message := store.Message{
		ID: int64(m.ID), ConversationID: in, Type: string(m.Type), CreatedAt: m.CreatedAt,
		Text: plainText(m.Body), Raw: raw,
	}
	if m.Author != nil {
		message.AuthorID, message.AuthorType, message.Bot = m.Author.ID, string(m.Author.Type), m.Author.Bot
	}
	for _, a := range attachments {
		if a.ID == 0 {
			p.note(subject, "an attachment has no id, so its file cannot be downloaded", raw)
			continue
		}
		message.Attachments = append(message.Attachments,
			store.Attachment{ID: int64(a.ID), Name: a.FileName, MIMEType: a.MIMEType})
	}
	for i := range p.odd[begin:] {
		if message.AuthorType == "contact" { // whoever wrote it, not whose conversation it is
			p.odd[begin+i].ContactID = message.AuthorID
		}
	}
	if before, isTwice := p.seen[message.ID]; isTwice {
		if before != string(raw) {
			p.note(subject, errTwice, raw)
		}
		return
	}
	p.seen[message.ID] = string(raw)
	p.messages = append(p.messages, message)
}

func (p *messagePage) note(subject, text string, raw json.RawMessage) {
	p.odd = append(p.odd, store.Oddity{Operation: messagesList, Subject: subject, Error: text, Raw: raw})
}

// readable returns the attachments that decode, of a message in which some do not.
func readable(raw json.RawMessage) (attachments []classic.Attachment) {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(raw, &fields) // it has been decoded before
	for _, name := range []string{"attachments", "attachment"} {
		elements, err := list(fields[name])
		if err != nil { // one attachment, or nothing
			elements = []json.RawMessage{fields[name]}
		}
		for _, element := range elements {
			if a, err := parse[classic.Attachment](element); err == nil && element != nil {
				attachments = append(attachments, *a)
			}
		}
	}
	return attachments
}
