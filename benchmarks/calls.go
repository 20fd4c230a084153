package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	gojson "github.com/goccy/go-json"

	"github.com/driftsdk/drift"
)

const (
	token   = "a-token-of-the-usual-length-0123456789abcdef"
	stubURL = "https://drift.test"
)

// row is one kind of call, by hand and in another way.
type row struct {
	name          string
	hand, other   candidate
	rounds, calls int
	most          bounds
}

// bounds are the largest shares that the client may take of what a call takes by hand: 0 where nothing is promised.
type bounds struct{ time, allocations, bytes float64 }

// eachEngine are bounds by the JSON engine.
type eachEngine [2]bounds

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
	byHand, goccy := newByHand(stubURL, newStub(one)), newByHandGoccy(stubURL, newStub(one))
	pageByHand, pageGoccy := newByHand(stubURL, newStub(page)), newByHandGoccy(stubURL, newStub(page))
	return append([]row{
		{name: "GET of one conversation, stubbed", rounds: 400, calls: callsOfSlice,
			hand: getByHand(byHand), other: getWithClient(stubURL, newStub(one)),
			most: eachEngine{jsonV1: {0.62, 0.70, 0.80}, jsonV2: {0.97, 1.15, 0.95}}[engine]},
		{name: "the same GET by hand, with goccy/go-json", rounds: 400, calls: callsOfSlice,
			hand: getByHand(byHand), other: getByHand(goccy)},
		{name: "GET over loopback", rounds: 400, calls: 40,
			hand: getByHand(newByHand(url, transport)), other: getWithClient(url, transport),
			most: eachEngine{jsonV1: {time: 0.91}, jsonV2: {time: 1.08}}[engine]},
		{name: "the same from a server of net/http", rounds: 400, calls: 40,
			hand: getByHand(newByHand(urlHTTP, transportHTTP)), other: getWithClient(urlHTTP, transportHTTP),
			most: eachEngine{jsonV1: {time: 0.97}, jsonV2: {time: 1.15}}[engine]},
		{name: "POST with a body, stubbed", rounds: 400, calls: callsOfSlice,
			hand: postByHand(newStub(one)), other: postWithClient(newStub(one)),
			most: eachEngine{jsonV1: {time: 0.66}, jsonV2: {time: 0.97}}[engine]},
		{name: "list of 1,000 conversations, stubbed", rounds: 100, calls: 2,
			hand: listByHand(pageByHand), other: listWithClient(newStub(page)),
			most: eachEngine{jsonV1: {time: 0.35, bytes: 0.60}, jsonV2: {time: 0.55, bytes: 0.60}}[engine]},
		{name: "the same list by hand, with goccy/go-json", rounds: 100, calls: 2,
			hand: listByHand(pageByHand), other: listByHand(pageGoccy)},
	}, classicRows()...), end, nil
}

// within reports whether the time is within its bound.
func (r row) within(c comparison) bool {
	return r.most.time == 0 || c.ratio(c.others[us], c.floor).median <= r.most.time
}

func (r row) measure(e effort) (comparison, error) {
	return compareUntil(r.within, e.tries, e.plan(r.rounds, r.calls), r.hand, r.other)
}

func always(call func() error) func() (func() error, error) {
	return func() (func() error, error) { return call, nil }
}

func newByHand(url string, transport http.RoundTripper) *byHand {
	return &byHand{base: url, token: token, client: &http.Client{Transport: transport}, decode: json.Unmarshal}
}

// newByHandGoccy decodes with a faster replacement of encoding/json: about as fast as a call by hand gets without
// generated code.
func newByHandGoccy(url string, transport http.RoundTripper) *byHand {
	client := newByHand(url, transport)
	client.decode = func(data []byte, out any) error { return gojson.Unmarshal(data, out) }
	return client
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

func getByHand(client *byHand) candidate {
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

func listByHand(client *byHand) candidate {
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
