package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/driftsdk/drift/classic"
)

// The classic API: the same comparison, with answers as Drift documents them.

// classicConversationJSON is a conversation with every field that the type has.
const classicConversationJSON = `{"id":4200017,"status":"open","contactId":7104412,"inboxId":612,"orgId":51234,` +
	`"participants":[7001,7002,7003,7019],"relatedPlaybookId":9044,` +
	`"conversationTags":[{"name":"pricing","color":"FF8800"},{"name":"renewal","color":"0044CC"},{"name":"vip","color":"228833"}],` +
	`"createdAt":1767225600123,"updatedAt":1767225601123}`

// A page of messages is a conversation: a visitor's message, with the page that it was written on, and an agent's or the bot's
// in turn. The visitor's first has a file, and the bot's has buttons.
const (
	messageJSON = `{"id":%ID%,"conversationId":4200017,"orgId":51234,"type":"chat","createdAt":1767225600123,"body":"<p>Hello, we are a team ` +
		`of forty in three countries, and would like to know what a contract for two years would cost us.</p>",`
	visitorJSON = `"author":{"id":7104412,"type":"contact","bot":false},"attributes":{},"context":{"ip":"203.0.113.7",` +
		`"userAgent":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0","title":"Pricing",` +
		`"referrer":"https://www.example.com/pricing","locale":"en-US","timezone":"Europe/Zurich","location":{"city":"Zurich","country":"CH"}}`
	fileJSON = `,"attachments":[{"id":88001,"fileName":"requirements.pdf","mimeType":"application/pdf",` +
		`"url":"https://driftapi.com/attachments/88001/data"}]}`
	agentJSON   = `"author":{"id":7001,"type":"user","bot":false},"attributes":{}}`
	buttonsJSON = `"author":{"id":7002,"type":"user","bot":true},"attributes":{},` +
		`"buttons":[{"label":"Talk to sales","value":"Talk to sales","type":"reply"},{"label":"Later","value":"Later","type":"reply"}]}`
)

// classicMessage is message i of a page.
func classicMessage(i int) string {
	rest := visitorJSON + "}"
	switch {
	case i == 0:
		rest = visitorJSON + fileJSON
	case i == 1:
		rest = buttonsJSON
	case i%2 == 1:
		rest = agentJSON
	}
	return strings.Replace(messageJSON, "%ID%", strconv.Itoa(635760001+i), 1) + rest
}

const classicPageItems = 50

func answerClassicOne() []byte { return []byte(`{"data":` + classicConversationJSON + `}`) }

// answerClassicPage is a page of messages; next is the cursor of the page after it, "" for none.
func answerClassicPage(next string) []byte {
	var page bytes.Buffer
	page.WriteString(`{"data":{"messages":[`)
	for i := range classicPageItems {
		if i > 0 {
			page.WriteByte(',')
		}
		page.WriteString(classicMessage(i))
	}
	page.WriteString(`]},"pagination":{"more":` + strconv.FormatBool(next != "") + `,"next":"` + next + `"}}`)
	return page.Bytes()
}

// classicRows are the calls of package classic that are compared with the floor.
func classicRows() []row {
	one, page := mustBeJSON(answerClassicOne()), mustBeJSON(answerClassicPage(""))
	return []row{
		{name: "`classic`: GET of one conversation, stubbed", rounds: 400, calls: callsOfSlice,
			hand: classicGetByHand(newStub(one)), other: classicGetWithClient(newStub(one)),
			most: eachEngine{jsonV1: {time: 1.10}}[engine]},
		{name: "`classic`: page of 50 messages, stubbed", rounds: 200, calls: 20,
			hand: classicPageByHand(newStub(page)), other: classicPageWithClient(newStub(page)),
			most: eachEngine{jsonV1: {time: 0.50, bytes: 0.50}}[engine]},
	}
}

func classicGetByHand(transport http.RoundTripper) candidate {
	client := newByHand(stubURL, transport)
	return candidate{"by hand", always(func() error {
		got, err := client.classicConversation(context.Background(), conversationID)
		if err == nil && got.ID != conversationID {
			err = fmt.Errorf("conversation %d", got.ID)
		}
		return err
	})}
}

func classicGetWithClient(transport http.RoundTripper) candidate {
	return withClassic(transport, func(api *classic.Client) error {
		got, err := api.Conversations.Get(context.Background(), conversationID)
		if err == nil && got.ID != conversationID {
			err = fmt.Errorf("conversation %d", got.ID)
		}
		return err
	})
}

func classicPageByHand(transport http.RoundTripper) candidate {
	client := newByHand(stubURL, transport)
	return candidate{"by hand", always(func() error {
		items, err := client.classicMessages(context.Background(), conversationID)
		if err == nil && len(items) != classicPageItems {
			err = fmt.Errorf("%d items", len(items))
		}
		return err
	})}
}

func classicPageWithClient(transport http.RoundTripper) candidate {
	return withClassic(transport, func(api *classic.Client) error {
		page, err := api.Messages.List(context.Background(), conversationID, classic.MessageListOptions{})
		if err == nil && len(page.Items) != classicPageItems {
			err = fmt.Errorf("%d items", len(page.Items))
		}
		return err
	})
}

func withClassic(transport http.RoundTripper, call func(*classic.Client) error) candidate {
	return candidate{"drift", func() (func() error, error) {
		client, err := newOurs(stubURL, transport)
		api := classic.New(client)
		return func() error { return call(api) }, err
	}}
}

func (h *byHand) classicConversation(ctx context.Context, id int64) (*handClassicConversation, error) {
	var answer struct {
		Data handClassicConversation `json:"data"`
	}
	if err := h.get(ctx, "/conversations/"+strconv.FormatInt(id, 10), &answer); err != nil {
		return nil, err
	}
	return &answer.Data, nil
}

func (h *byHand) classicMessages(ctx context.Context, conversation int64) ([]*handMessage, error) {
	var answer struct {
		Data struct {
			Messages []*handMessage `json:"messages"`
		} `json:"data"`
		Pagination struct {
			More bool   `json:"more"`
			Next string `json:"next"`
		} `json:"pagination"`
	}
	if err := h.get(ctx, "/conversations/"+strconv.FormatInt(conversation, 10)+"/messages", &answer); err != nil {
		return nil, err
	}
	return answer.Data.Messages, nil
}

// handClassicConversation has the fields of classic.Conversation.
type handClassicConversation struct {
	ID                int64            `json:"id"`
	Status            string           `json:"status"`
	ContactID         int64            `json:"contactId"`
	InboxID           int64            `json:"inboxId"`
	OrgID             int64            `json:"orgId"`
	Participants      []int64          `json:"participants"`
	RelatedPlaybookID int64            `json:"relatedPlaybookId"`
	ConversationTags  []handClassicTag `json:"conversationTags"`
	CreatedAt         millis           `json:"createdAt"`
	UpdatedAt         millis           `json:"updatedAt"`
}

type handClassicTag struct {
	Name  string `json:"name"`
	Color string `json:"color"`
}

// handMessage has the fields of classic.Message that a message has unless it was edited.
type handMessage struct {
	ID             int64            `json:"id"`
	ConversationID int64            `json:"conversationId"`
	OrgID          int64            `json:"orgId"`
	Type           string           `json:"type"`
	Body           string           `json:"body"`
	Author         *handAuthor      `json:"author"`
	Buttons        []handButton     `json:"buttons"`
	Attachments    []handAttachment `json:"attachments"`
	Context        *handContext     `json:"context"`
	Attributes     map[string]any   `json:"attributes"`
	CreatedAt      millis           `json:"createdAt"`
}

type handAuthor struct {
	ID   int64  `json:"id"`
	Type string `json:"type"`
	Bot  bool   `json:"bot"`
}

type handButton struct {
	Label string `json:"label"`
	Value string `json:"value"`
	Type  string `json:"type"`
}

type handAttachment struct {
	ID       int64  `json:"id"`
	FileName string `json:"fileName"`
	MIMEType string `json:"mimeType"`
	URL      string `json:"url"`
}

type handContext struct {
	IP        string         `json:"ip"`
	UserAgent string         `json:"userAgent"`
	Title     string         `json:"title"`
	Referrer  string         `json:"referrer"`
	Locale    string         `json:"locale"`
	TimeZone  string         `json:"timezone"`
	Location  map[string]any `json:"location"`
}

// classicMemory is what it took to read the messages of a long conversation, and to download a large file.
type classicMemory struct {
	few, many, file reading
}

const mostOfDownload = 1 << 20 // bytes of the heap, over what there was before

func (m classicMemory) growth() float64 {
	return float64(m.many.MedianHeap) / float64(m.few.MedianHeap)
}

// measureClassicMemory reads that many pages of messages and a tenth of them, and downloads so many bytes.
func measureClassicMemory(pages, size int) (m classicMemory, err error) {
	err = withReader(func(reader string) error {
		if m.few, err = readFrom(reader, "messages", &messageServer{pages / 10}, pages/10*classicPageItems); err != nil {
			return err
		}
		if m.many, err = readFrom(reader, "messages", &messageServer{pages}, pages*classicPageItems); err != nil {
			return err
		}
		m.file, err = readFrom(reader, "download", fileServer(size), size)
		return err
	})
	return m, err
}

// messageServer answers with pages of the same messages. The cursor is the number of the page.
type messageServer struct{ pages int }

func (s *messageServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	number, _ := strconv.Atoi(r.URL.Query().Get("next"))
	next := ""
	if number+1 < s.pages {
		next = strconv.Itoa(number + 1)
	}
	answering(answerClassicPage(next))(w, r)
}

// fileServer answers with that many bytes.
type fileServer int

func (size fileServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(int(size)))
	part := make([]byte, 1<<16)
	for left := int(size); left > 0; {
		n, err := w.Write(part[:min(left, len(part))])
		if err != nil {
			return
		}
		left -= n
	}
}
