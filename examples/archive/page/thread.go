package page

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"html/template"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/examples/archive/store"
)

// A page of a conversation has so many messages and bytes of JSON at most, or one message.
const (
	shown      = 300
	shownBytes = 4 << 20
)

// everything is in place of the number of a first message.
const everything = -1

// thread is the content of the page of a conversation.
type thread struct {
	store.Conversation
	Contact        person
	Tags           []string
	Problem        string
	Messages       []message
	Earlier, Later string
	Facts          []fact
	Raw            string
}

// message is a message as a page shows it.
type message struct {
	ID        int64
	Kind      string // contact, agent, bot or note: a class of the style sheet
	Author    string
	Label     string
	At        time.Time
	Body      template.HTML
	PlainText bool
	Buttons   []string
	Files     []attachment
	Page      string // on which a contact wrote it
	Raw       string
}

// attachment is a file as a page shows it.
type attachment struct {
	Name  string
	Link  string // "": it is not in the archive
	Size  string
	State string
}

func (s *server) conversation(w http.ResponseWriter, r *http.Request) error {
	id, err := id(r)
	if err != nil {
		return err
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("from"))
	content, err := readThread(r.Context(), s.archive, s.site, id, max(from, 0))
	if err != nil {
		return err
	}
	return s.show(w, http.StatusOK, "conversation", view{
		Title: content.Contact.Name, Section: "conversations", Content: content,
	})
}

// readThread reads a conversation with a page of its messages, or everything.
func readThread(ctx context.Context, archive *store.Store, site site, id int64, from int) (*thread, error) {
	conversation, err := archive.Conversation(ctx, id)
	if err != nil {
		return nil, err
	}
	messages, err := archive.Messages(ctx, id)
	if err != nil {
		return nil, err
	}
	names, err := readAgents(ctx, archive)
	if err != nil {
		return nil, err
	}
	contact, err := readPerson(ctx, archive, conversation.ContactID)
	if err != nil {
		return nil, err
	}
	content := &thread{
		Conversation: *conversation, Contact: contact, Tags: tags(conversation.Details), Problem: problem(conversation),
		Facts: conversationFacts(conversation, names), Raw: conversationRaw(conversation),
	}
	if from != everything {
		messages = content.cut(messages, site.Conversation(id)+"?from=", from)
	}
	for _, m := range messages {
		content.Messages = append(content.Messages, newMessage(m, author(m, contact, names), site))
	}
	return content, nil
}

func author(m store.Message, contact person, names agents) string {
	switch {
	case m.AuthorType != "contact":
		return names.name(m.AuthorID)
	case m.AuthorID == contact.ID || m.AuthorID == 0:
		return contact.Name
	}
	return contactName(m.AuthorID, "", "")
}

func conversationFacts(c *store.Conversation, names agents) []fact {
	var record classic.Conversation
	_ = json.Unmarshal(c.Details, &record) // what does not decode is listed as an oddity, and in Raw
	facts := []fact{{"id", strconv.FormatInt(c.ID, 10)}}
	for _, id := range record.Participants {
		facts = append(facts, fact{"participant", names.name(int64(id))})
	}
	if c.InboxID != 0 {
		facts = append(facts, fact{"inbox", strconv.FormatInt(c.InboxID, 10)})
	}
	if record.RelatedPlaybookID != 0 {
		facts = append(facts, fact{"playbook", record.RelatedPlaybookID.String()})
	}
	return facts
}

// conversationRaw returns the answer that says most.
func conversationRaw(c *store.Conversation) string {
	if c.Details != nil {
		return pretty(c.Details)
	}
	return pretty(c.Raw)
}

// problem says what the archive lacks of a conversation.
func problem(c *store.Conversation) string {
	switch {
	case !c.GoneAt.IsZero():
		return "Drift no longer had this conversation when it was read last. This is what was archived before."
	case c.MessagesAt.IsZero():
		return "The messages of this conversation are not archived yet. Run archive sync."
	case c.MessagesAt.Before(c.UpdatedAt):
		return "This conversation has changed since its messages were archived. Run archive sync."
	}
	return ""
}

// cut returns the messages of one page, and links it with those before and after.
func (t *thread) cut(all []store.Message, address string, from int) []store.Message {
	from = min(from, len(all))
	to := from + fitting(slices.All(all[from:]))
	if from > 0 {
		t.Earlier = address + strconv.Itoa(from-fitting(slices.Backward(all[:from])))
	}
	if to < len(all) {
		t.Later = address + strconv.Itoa(to)
	}
	return all[from:to]
}

// fitting returns how many messages fit on a page.
func fitting(messages iter.Seq2[int, store.Message]) (n int) {
	size := 0
	for _, m := range messages {
		if size += len(m.Raw); n == shown || n > 0 && size > shownBytes {
			break
		}
		n++
	}
	return n
}

// newMessage makes a message ready to be shown. What does not decode is shown as far as the archive knows it.
func newMessage(m store.Message, author string, site site) message {
	var record classic.Message
	if err := json.Unmarshal(m.Raw, &record); err != nil {
		record = classic.Message{Body: template.HTMLEscapeString(m.Text)}
	}
	shown := message{
		ID: m.ID, Author: author, Kind: kind(m), Label: label(m, record), At: m.CreatedAt, Body: clean(record.Body),
		PlainText: plainText(record.Body), Raw: pretty(m.Raw),
	}
	for _, button := range record.Buttons {
		shown.Buttons = append(shown.Buttons, cmp.Or(button.Label, button.Value, button.Type))
	}
	for _, file := range m.Attachments {
		shown.Files = append(shown.Files, site.attachment(file))
	}
	if c := record.Context; c != nil && m.AuthorType == "contact" {
		shown.Page = cmp.Or(c.Title, c.Referrer)
	}
	return shown
}

func kind(m store.Message) string {
	switch {
	case m.Type == "private_note":
		return "note"
	case m.AuthorType == "contact":
		return "contact"
	case m.Bot:
		return "bot"
	}
	return "agent"
}

func label(m store.Message, record classic.Message) string {
	var labels []string
	if m.Bot {
		labels = append(labels, "bot")
	}
	if m.Type != "" && m.Type != "chat" {
		labels = append(labels, strings.ReplaceAll(m.Type, "_", " "))
	}
	if record.EditedMessageID != 0 {
		labels = append(labels, cmp.Or(record.EditType, "edit")+" of message "+record.EditedMessageID.String())
	}
	return strings.Join(labels, ", ")
}

// tags returns the names of the tags in the details of a conversation.
func tags(details json.RawMessage) (names []string) {
	if len(details) == 0 {
		return nil
	}
	var record classic.Conversation
	_ = json.Unmarshal(details, &record) // what does not decode is listed as an oddity
	for _, tag := range record.ConversationTags {
		names = append(names, tag.Name)
	}
	return names
}

// pretty indents JSON and changes nothing else of it.
func pretty(raw json.RawMessage) string {
	var out bytes.Buffer
	if isDeep(raw) || json.Indent(&out, raw, "", "  ") != nil {
		return string(raw)
	}
	return out.String()
}

// isDeep reports whether JSON is nested so deeply that there would be more blanks than JSON: with 10,000 brackets, 200 MB
// of them.
func isDeep(raw json.RawMessage) bool {
	const deepest = 50
	tokens, depth := json.NewDecoder(bytes.NewReader(raw)), 0
	for depth <= deepest {
		switch token, err := tokens.Token(); {
		case err != nil:
			return false // the end, or not JSON
		case token == json.Delim('{'), token == json.Delim('['):
			depth++
		case token == json.Delim('}'), token == json.Delim(']'):
			depth--
		}
	}
	return true
}
