package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/driftsdk/drift"
)

const (
	token   = "a-token-of-the-usual-length-0123456789abcdef"
	stubURL = "https://drift.test"
)

// row is one kind of call by hand and with the client, and what the client may take of what it takes by hand: 0 where nothing
// is promised.
type row struct {
	name                     string
	hand, client             candidate
	rounds, calls            int
	time, allocations, bytes float64
}

// rows are the calls that are compared with the floor. end releases what they hold.
func rows() (all []row, end func(), err error) {
	one, page := mustBeJSON(answerOne()), mustBeJSON(answerPage(1, pageItems, ""))
	url, transport, endLoopback, err := loopback(one)
	if err != nil {
		return nil, nil, err
	}
	urlHTTP, transportHTTP, endHTTP := loopbackHTTP(one)
	end = func() {
		endLoopback()
		endHTTP()
	}
	return []row{
		{name: "GET of one conversation, stubbed", hand: getByHand(stubURL, newStub(one)), client: getWithClient(stubURL, newStub(one)),
			rounds: 400, calls: callsOfSlice, time: 0.50, allocations: 0.75, bytes: 0.65},
		{name: "the same over loopback", hand: getByHand(url, transport), client: getWithClient(url, transport),
			rounds: 400, calls: 40, time: 0.88},
		{name: "the same over loopback, from a server of net/http", hand: getByHand(urlHTTP, transportHTTP),
			client: getWithClient(urlHTTP, transportHTTP), rounds: 400, calls: 40, time: 0.90},
		{name: "POST with a body, stubbed", hand: postByHand(newStub(one)), client: postWithClient(newStub(one)),
			rounds: 400, calls: callsOfSlice, time: 0.70},
		{name: "list of 1,000 conversations, stubbed", hand: listByHand(newStub(page)), client: listWithClient(newStub(page)),
			rounds: 100, calls: 2, time: 0.35, bytes: 0.60},
	}, end, nil
}

// within reports whether the client's time is what it may be.
func (r row) within(c comparison) bool {
	return r.time == 0 || c.ratio(c.others[us], c.floor).median <= r.time
}

func (r row) measure(e effort) (comparison, error) {
	return compareUntil(r.within, e.tries, e.plan(r.rounds, r.calls), r.hand, r.client)
}

func always(call func() error) func() (func() error, error) {
	return func() (func() error, error) { return call, nil }
}

func newByHand(url string, transport http.RoundTripper) *byHand {
	return &byHand{base: url, token: token, client: &http.Client{Transport: transport}}
}

// newOurs returns a client as it comes: limiter, quota, origin check, tolerant decoding, timeout of the attempt and retries
// are on. The limiter allows 100 calls a minute, so each slice has a client of its own.
func newOurs(url string, transport http.RoundTripper, opts ...drift.Option) (*drift.Client, error) {
	return drift.NewClient(append([]drift.Option{drift.WithToken(token), drift.WithBaseURL(url), drift.WithPlan(drift.PlanEnterprise),
		drift.WithHTTPClient(&http.Client{Transport: transport})}, opts...)...)
}

func withClient(name, url string, transport http.RoundTripper, call func(*drift.Client) error, opts ...drift.Option) candidate {
	return candidate{name, func() (func() error, error) {
		client, err := newOurs(url, transport, opts...)
		return func() error { return call(client) }, err
	}}
}

func getByHand(url string, transport http.RoundTripper) candidate {
	client := newByHand(url, transport)
	return candidate{"by hand", always(func() error {
		got, err := client.conversation(context.Background(), conversationID)
		if err == nil && got.ID != conversationID {
			err = fmt.Errorf("conversation %d", got.ID)
		}
		return err
	})}
}

func getWithClient(url string, transport http.RoundTripper) candidate {
	return withClient("drift", url, transport, getOne)
}

func getOne(client *drift.Client) error {
	got, err := client.Conversations.Get(context.Background(), conversationID)
	if err == nil && got.ID != conversationID {
		err = fmt.Errorf("conversation %d", got.ID)
	}
	return err
}

func postByHand(transport http.RoundTripper) candidate {
	client := newByHand(stubURL, transport)
	return candidate{"by hand", always(func() error {
		_, err := client.createFromScratch(context.Background(), handCreateRequest{
			AssignedUserID:   7001,
			CustomAttributes: map[string]any{"plan": "professional", "seats": 40, "trial": true},
			Email:            "ann.example@customer.example.com",
			Labels:           []string{"hot", "europe", "enterprise"},
			Tags:             []string{"pricing", "renewal"},
			Title:            "Question about pricing for a team of forty",
		})
		return err
	})}
}

func postWithClient(transport http.RoundTripper) candidate {
	return withClient("drift", stubURL, transport, func(client *drift.Client) error {
		_, err := client.Conversations.CreateFromScratch(context.Background(), drift.ConversationCreateFromScratchRequest{
			AssignedUserID:   7001,
			CustomAttributes: drift.Attributes{"plan": "professional", "seats": 40, "trial": true},
			Email:            "ann.example@customer.example.com",
			Labels:           []string{"hot", "europe", "enterprise"},
			Tags:             []string{"pricing", "renewal"},
			Title:            "Question about pricing for a team of forty",
		})
		return err
	})
}

func listByHand(transport http.RoundTripper) candidate {
	client := newByHand(stubURL, transport)
	return candidate{"by hand", always(func() error {
		items, _, err := client.conversations(context.Background(), "")
		if err == nil && len(items) != pageItems {
			err = fmt.Errorf("%d items", len(items))
		}
		return err
	})}
}

func listWithClient(transport http.RoundTripper) candidate {
	return withClient("drift", stubURL, transport, func(client *drift.Client) error {
		page, err := client.Conversations.List(context.Background(), drift.ConversationListOptions{})
		if err == nil && len(page.Items) != pageItems {
			err = fmt.Errorf("%d items", len(page.Items))
		}
		return err
	})
}
