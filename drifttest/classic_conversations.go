package drifttest

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// linkHost is where the links of a list lead: not to the host that was called.
const linkHost = "https://api.drift.com"

// statusNames are the values of statusId.
var statusNames = map[int64]string{1: "open", 2: "closed", 3: "pending"}

// classicConversation shows a conversation as the classic API does: its tags have colors, and whoever it is assigned to
// takes part.
func (st *store) classicConversation(conversation object) object {
	shown := conversationData(conversation)
	delete(shown, "orgId")
	shown["conversationTags"] = st.classicTags(conversation.texts("tags"))
	participants := slices.Clone(conversation.integers("participants"))
	if id := conversation.integer("assigned_user_id"); id != 0 && !slices.Contains(participants, id) {
		participants = append(participants, id)
	}
	delete(shown, "participants")
	if len(participants) > 0 {
		shown["participants"] = participants
	}
	return shown
}

func (st *store) classicGetConversation(c *call) (any, error) {
	conversation, err := st.conversation(c)
	if err != nil {
		return nil, err
	}
	return st.classicConversation(conversation), nil
}

// conversationPage is what a page_token holds: the filter, the size of a page, and the place where the page begins.
type conversationPage struct {
	statuses  []int64
	limit     int64
	updatedAt int64 // of the last conversation of the page before
	id        int64 // 0: the first page
}

// classicListConversations lists the newest activity first, a page after the other by the links. Beside the links, as
// in the service, stands the offset of an older way of paging, which no parameter takes.
func (st *store) classicListConversations(c *call) (any, error) {
	p := conversationPage{statuses: c.params.integers("statusId"), limit: c.params.integer("limit")}
	token := c.params.text("page_token")
	if token != "" {
		var err error
		if p, err = parsePageToken(token); err != nil {
			return nil, err
		}
	}
	if p.limit == 0 {
		p.limit = defaultPageSize
	}
	found := st.conversationsAfter(p)
	links := object{"self": linkTo(token)}
	result := object{"data": []object{}, "links": links}
	if len(found) > int(p.limit) {
		found = found[:p.limit]
		last := found[p.limit-1]
		p.updatedAt, p.id = last.integer("updated_at"), last.integer("id")
		links["next"] = linkTo(p.token())
		result["pagination"] = object{"more": true, "next": decimal(p.limit)}
	}
	items := []object{}
	for _, r := range found {
		items = append(items,
			pick(r, "id status contactId=contact_id inboxId=inbox_id createdAt=created_at updatedAt=updated_at"))
	}
	result["data"] = items
	return bare{result}, nil
}

// conversationsAfter returns the conversations from the beginning of a page on, the last updated first.
func (st *store) conversationsAfter(p conversationPage) []object {
	var found []object
	for _, r := range st.conversations.records {
		isListed := len(p.statuses) == 0 || slices.ContainsFunc(p.statuses, func(id int64) bool {
			return statusNames[id] == r.text("status")
		})
		if isListed && (p.id == 0 || cmp.Or(
			cmp.Compare(r.integer("updated_at"), p.updatedAt), cmp.Compare(r.integer("id"), p.id)) < 0) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b object) int {
		return cmp.Or(cmp.Compare(b.integer("updated_at"), a.integer("updated_at")),
			cmp.Compare(b.integer("id"), a.integer("id")))
	})
	return found
}

func (p conversationPage) token() string {
	values := url.Values{
		"highestUpdatedAt": {decimal(p.updatedAt)},
		"highestId":        {decimal(p.id)},
		"limit":            {decimal(p.limit)},
	}
	for _, id := range p.statuses {
		values.Add("statusIds", decimal(id))
	}
	return base64.StdEncoding.EncodeToString([]byte(values.Encode()))
}

func parsePageToken(token string) (p conversationPage, err error) {
	refused := invalid("page_token", "must be a token of this list")
	plain, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return p, refused
	}
	values, err := url.ParseQuery(string(plain))
	if err != nil {
		return p, refused
	}
	fields := map[string]*int64{"highestUpdatedAt": &p.updatedAt, "highestId": &p.id, "limit": &p.limit}
	for name, field := range fields {
		if *field, err = strconv.ParseInt(values.Get(name), 10, 64); err != nil {
			return p, refused
		}
	}
	for _, text := range values["statusIds"] {
		id, _ := strconv.ParseInt(text, 10, 64)
		p.statuses = append(p.statuses, id)
	}
	if p.id <= 0 || p.limit < 1 || p.limit > 100 {
		return p, refused
	}
	return p, nil
}

func linkTo(token string) string {
	return linkHost + "/conversations/list?page_token=" + url.QueryEscape(token)
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// classicCreateConversation opens a conversation with the visitor's first message.
func (st *store) classicCreateConversation(c *call) (any, error) {
	email := c.params.text("email")
	contact := st.contactByEmail(email, c.now)
	message, _ := c.params["message"].(map[string]any)
	attributes, _ := message["attributes"].(map[string]any)

	fields := object{"email": email, "contact_id": contact["id"], "inbox_id": int64(1)}
	conversation := st.openConversation(fields, c.now)
	conversation["direction"] = "inbound"
	if assignee := number(attributes["autoAssigneeId"]); assignee > 0 {
		conversation["assigned_user_id"] = assignee
	}
	if source, ok := attributes["integrationSource"].(string); ok {
		conversation["integration"] = source
	}
	st.conversationHappened(conversation)
	first := object{"body": message["body"]}
	if len(attributes) > 0 {
		first["attributes"] = attributes
	}
	st.addMessage(conversation, first, visitor(conversation), c.now)
	return bare{st.classicConversation(conversation)}, nil
}

// classicStats counts conversations by status; a status without conversations is missing.
func (st *store) classicStats(*call) (any, error) {
	counts := map[string]int{}
	for _, conversation := range st.conversations.records {
		if status := conversation.text("status"); status != "bulk_sent" {
			counts[strings.ToUpper(status)]++
		}
	}
	return bare{object{"conversationCount": counts}}, nil
}

var markup = regexp.MustCompile(`<[^>]*>`)

// classicTranscript has a line for each message. An unknown visitor is called null, as in the service.
func (st *store) classicTranscript(c *call) (any, error) {
	conversation, err := st.conversation(c)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	for _, message := range st.classicMessages(conversation) {
		at := time.UnixMilli(message.integer("createdAt")).UTC().Format("Jan 02, 03:04:05 PM MST")
		body := html.UnescapeString(markup.ReplaceAllString(message.text("body"), ""))
		fmt.Fprintf(&text, "%s %s: %s\n", at, st.speaker(message), body)
	}
	return plainText(text.String()), nil
}

func (st *store) speaker(message object) string {
	author, _ := message["author"].(map[string]any)
	id := number(author["id"])
	if author["type"] == "contact" {
		contact, _ := st.contacts.get(id)
		if name, ok := contactAttributes(contact)["name"].(string); ok {
			return name
		}
		return "null"
	}
	user, _ := st.users.get(id)
	switch {
	case author["bot"] == true:
		return "Bot (Agent)"
	case user.text("name") != "":
		return user.text("name") + " (Agent)"
	}
	return "Agent " + decimal(id) + " (Agent)"
}

func (st *store) classicJSONTranscript(c *call) (any, error) {
	conversation, err := st.conversation(c)
	if err != nil {
		return nil, err
	}
	return object{"messages": st.classicMessages(conversation)}, nil
}
