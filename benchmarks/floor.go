package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// The floor is what one writes by hand with net/http and encoding/json, with some care and nothing beyond the need: one
// function that sends, reads, looks at the status and decodes, and plain structs. It has no limiter, no quota, no retries, no
// timeout, reads names in one spelling only, and drops fields that it does not know.

// byHand is a client by hand.
type byHand struct {
	base   string // without a slash at its end
	token  string
	client *http.Client
	decode func(data []byte, out any) error
}

func (h *byHand) get(ctx context.Context, path string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.base+path, nil)
	if err != nil {
		return err
	}
	return h.do(req, out)
}

func (h *byHand) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	return h.do(req, out)
}

func (h *byHand) do(req *http.Request, out any) error {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+h.token)
	resp, err := h.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", req.Method, req.URL.Path, resp.Status)
	}
	return h.decode(body, out)
}

func (h *byHand) conversation(ctx context.Context, id int64) (*handConversation, error) {
	var answer struct {
		Data handConversation `json:"data"`
	}
	if err := h.get(ctx, "/v2/conversations/"+strconv.FormatInt(id, 10), &answer); err != nil {
		return nil, err
	}
	return &answer.Data, nil
}

func (h *byHand) createFromScratch(ctx context.Context, in handCreateRequest) (*handConversation, error) {
	var answer struct {
		Data handConversation `json:"data"`
	}
	if err := h.post(ctx, "/v2/conversations/create", in, &answer); err != nil {
		return nil, err
	}
	return &answer.Data, nil
}

// conversations returns a page and the cursor of the next one.
func (h *byHand) conversations(ctx context.Context, cursor string) ([]*handConversation, string, error) {
	var answer struct {
		Data       []*handConversation `json:"data"`
		Pagination struct {
			Next string `json:"next"`
		} `json:"pagination"`
	}
	path := "/v2/conversations"
	if cursor != "" {
		path += "?next=" + cursor
	}
	if err := h.get(ctx, path, &answer); err != nil {
		return nil, "", err
	}
	return answer.Data, answer.Pagination.Next, nil
}

// handConversation has the fields of drift.Conversation, with the same types where those are types of Go.
type handConversation struct {
	ID                int64          `json:"id"`
	Title             string         `json:"title"`
	Status            string         `json:"status"`
	Email             string         `json:"email"`
	ContactID         int64          `json:"contact_id"`
	OrgID             int64          `json:"org_id"`
	InboxID           int64          `json:"inbox_id"`
	AssignedUserID    int64          `json:"assigned_user_id"`
	WorkflowID        int64          `json:"workflow_id"`
	RelatedPlaybookID int64          `json:"related_playbook_id"`
	Direction         string         `json:"direction"`
	Integration       string         `json:"integration"`
	Labels            []string       `json:"labels"`
	Tags              []handTag      `json:"tags"`
	CustomAttributes  map[string]any `json:"custom_attributes"`
	Participants      []int64        `json:"participants"`
	MemberCount       int            `json:"member_count"`
	ReplySubject      string         `json:"reply_subject"`
	Archived          bool           `json:"archived"`
	Deleted           bool           `json:"deleted"`
	CreatedAt         millis         `json:"created_at"`
	UpdatedAt         millis         `json:"updated_at"`
	ResolvedAt        millis         `json:"resolved_at"`
	LastActivityAt    millis         `json:"last_activity_at"`
	LastMessageSentAt millis         `json:"last_message_sent_at"`
}

type handTag struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Color string `json:"color"`
}

// millis is an instant as the API sends it.
type millis struct{ time.Time }

func (m *millis) UnmarshalJSON(data []byte) error {
	n, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		return err
	}
	m.Time = time.UnixMilli(n).UTC()
	return nil
}

// handCreateRequest is the body of the POST.
type handCreateRequest struct {
	AssignedUserID   int64          `json:"assigned_user_id,omitempty"`
	BackgroundMode   *bool          `json:"background_mode,omitempty"`
	CustomAttributes map[string]any `json:"custom_attributes,omitempty"`
	Email            string         `json:"email,omitempty"`
	Labels           []string       `json:"labels,omitempty"`
	Tags             []string       `json:"tags,omitempty"`
	Title            string         `json:"title,omitempty"`
}
