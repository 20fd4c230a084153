package drift_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

// free is a limiter that lets everything through.
type free struct{}

func (free) Acquire(context.Context, drift.Class) (drift.Slot, error) { return free{}, nil }
func (free) Pause(time.Time)                                          {}
func (free) Done(drift.Outcome)                                       {}

// oddAnswers are seeds: shapes at which decoders have stumbled before.
var oddAnswers = []string{
	``, `{}`, `[]`, `null`, `"a"`, `7`, `{"id":1}`, `{"id":"9223372036854775807"}`, `{"data":{"id":1}}`, `[{"id":1}]`, `{"data":[{"id":1},{"id":0}]}`,
	`{"data":null,"errors":[{"message":"a"}]}`, `{"error":"a"}`, `{"data":{"id":1},"data":null}`, `{"id":1,"x":{"a":1,"a":2},"":"\ud83d"}`, "{\"id\":1,\"x\":\"\xff\"}",
	`{"id":1,"tags":["a",{"id":"1"},null],"conversation_tags":[1]}`, `{"id":1,"conversationTags":{"name":"a"},"conversation_tags":["b"]}`,
	`{"id":1,"attachment":{"id":"3"},"author":{"id":"1"},"author":{"bot":true}}`, `{"id":1,"createdAt":"2026-01-01T00:00:00.999999+23:59","created_at":null}`,
	`{"id":1,"created_at":9223372036854775807,"updated_at":"-9223372036854775808"}`, `{"id":1,"created_at":"0001-01-01T00:00:00Z"}`,
	`{"id":1,"duration":"153722867","participants":[{"id":0,"x":1}]}`, `{"id":1,"custom_attributes":{"a":1e400,"b":[{"c":-0}]},"payload":[1, 2]}`,
	`{"data":[],"pagination":{"more":true,"next":12},"links":{"next":"https://a/?next=b"}}`, `{"data":[],"links":{"next":"/?%zz"}}`, `{"id":1} x`, "\ufeff{\"id\":1}",
}

// Whatever decodes can be encoded, and means the same when it is decoded again.
func FuzzRecord(f *testing.F) {
	types := jsonTypes()
	for i, of := range types {
		for _, answer := range oddAnswers {
			f.Add(uint8(i), []byte(answer))
		}
		text, err := json.Marshal(filled(f, of).Interface())
		require.NoError(f, err)
		f.Add(uint8(i), text)
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		of := types[int(kind)%len(types)]
		first := reflect.New(of)
		if json.Unmarshal(data, first.Interface()) != nil {
			return
		}
		text, err := json.Marshal(first.Interface())
		if err != nil && strings.Contains(err.Error(), "the zero time cannot be sent") {
			return // a request that sets an instant to "not set" makes no sense
		}
		require.NoError(t, err)
		second := reflect.New(of)
		require.NoError(t, json.Unmarshal(text, second.Interface()), "%s", text)
		again, err := json.Marshal(second.Interface())
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
	})
}

// An answer gives a record with an id, or an error of this package: never both, neither or a panic.
func FuzzAnswer(f *testing.F) {
	for _, answer := range oddAnswers {
		f.Add([]byte(answer))
	}
	var body string
	client := through(f, func(*http.Request) (*http.Response, error) { return reply(http.StatusOK, http.Header{}, body), nil }, drift.WithLimiter(free{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		body = string(data)
		message, err := client.Messages.Get(t.Context(), 1, 1)
		require.Equal(t, err == nil, message != nil && message.ID > 0)
		requireTyped(t, err)
		contact, err := client.Contacts.MatchEmail(t.Context(), "a@b")
		require.Equal(t, err == nil, contact != nil && contact.ID > 0)
		requireTyped(t, err)
		page, err := client.Meetings.List(t.Context(), drift.MeetingListOptions{})
		require.Equal(t, err == nil, page != nil)
		requireTyped(t, err)
		if err == nil {
			for _, item := range page.Items {
				require.Positive(t, item.ID)
			}
		}
	})
}

func requireTyped(t *testing.T, err error) {
	t.Helper()
	switch err.(type) {
	case nil, *drift.DecodeError, *drift.APIError:
	default:
		require.ErrorAs(t, err, new(*drift.TransportError))
		require.ErrorIs(t, err, drift.ErrUnexpectedContent)
	}
}

// A path value arrives as it was given, at the route that was called, or is refused.
func FuzzPath(f *testing.F) {
	for _, id := range []string{
		"123458_domain.com", "a/b", "../x", "..", ".", "...", "%2e%2e", "%2F", "a%", "a?b#c", "é", "a b", "+", `a\b`, ";", ":", "//", "/", "a\x00", "\xff", "", " ", "\u00a0", "{companyId}",
	} {
		f.Add(id)
	}
	var seen []string
	client := through(f, func(r *http.Request) (*http.Response, error) {
		seen = append(seen, met(r.URL.RequestURI()))
		return reply(http.StatusOK, http.Header{}, "[]"), nil
	}, drift.WithLimiter(free{}))
	f.Fuzz(func(t *testing.T, id string) {
		calls := map[string]func() error{
			"people ": func() error {
				_, err := client.Companies.ListPeople(t.Context(), drift.CompanyID(id), drift.CompanyListPeopleOptions{})
				return err
			},
			"status ": func() error {
				_, err := client.Conversations.ListByStatus(t.Context(), drift.ConversationStatus(id), drift.ConversationListByStatusOptions{})
				return err
			},
		}
		for route, call := range calls {
			seen = nil
			err := call()
			if err != nil {
				require.ErrorIs(t, err, drift.ErrInvalid)
				require.Empty(t, seen)
				continue
			}
			require.Equal(t, []string{route + id}, seen)
		}
	})
}

// met tells which route a server finds for the URI of a request, and with which value. It is not http.ServeMux, which takes a
// segment that is %2F alone for the end of the path.
func met(uri string) string {
	parsed, err := url.ParseRequestURI(uri)
	if err != nil || path.Clean(parsed.EscapedPath()) != parsed.EscapedPath() {
		return "a path that servers change"
	}
	segments := strings.Split(parsed.EscapedPath(), "/")
	for i, segment := range segments {
		if segments[i], err = url.PathUnescape(segment); err != nil {
			return "a broken escape"
		}
	}
	switch {
	case len(segments) != 5:
	case segments[2] == "companies" && segments[4] == "people":
		return "people " + segments[3]
	case segments[2] == "conversations" && segments[3] == "status":
		return "status " + segments[4]
	}
	return "another route"
}

// Attributes are the most open of all: every accessor copes with every value.
func FuzzAttributes(f *testing.F) {
	for _, text := range []string{`{"a":1}`, `{"a":"1e400"}`, `{"a":"2026-01-01T00:00:00Z"}`, `{"a":[{"b":{}}]}`, `{"a":null}`, `{"a":-0.0}`, `{"":true}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var a drift.Attributes
		if json.Unmarshal(data, &a) != nil {
			return
		}
		for key, value := range a {
			text, isText := a.String(key)
			require.Equal(t, value == any(text), isText)
			n, isInteger := a.Int64(key)
			if _, isNumber := a.Float64(key); isInteger {
				require.True(t, isNumber)
				at, isInstant := a.Time(key)
				require.True(t, isInstant || isText && strings.HasPrefix(text, "+"))
				if isInstant {
					require.Equal(t, n, at.UnixMilli())
				}
			}
		}
	})
}
