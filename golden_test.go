package drift_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite the golden requests and records in testdata")

// goldenCall is a call of one operation with every parameter set. It returns the record, or the page's items and cursor.
type goldenCall func(ctx context.Context, c *drift.Client) (any, error)

func instant(seconds int64) time.Time { return time.UnixMilli(1767225600123 + 1000*seconds) }

var (
	goldenAttributes = drift.Attributes{"plan": "pro", "seats": 12, "active": true}
	goldenBody       = "<p>Hello & welcome</p>"
	goldenLabels     = []string{"hot", "eu"}
	goldenTags       = []string{"vip", "a&b=c"}
)

// goldenCalls has one call for every operation of the catalogue.
var goldenCalls = map[string]goldenCall{
	"conversations.get": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Conversations.Get(ctx, 42)
	},
	"conversations.create": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Conversations.Create(ctx, drift.ConversationCreateRequest{
			BackgroundMode: new(false), Labels: goldenLabels, Tags: goldenTags, Users: []drift.UserID{7, 8},
		})
	},
	"conversations.createFromScratch": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Conversations.CreateFromScratch(ctx, drift.ConversationCreateFromScratchRequest{
			AssignedUserID: 7, BackgroundMode: new(true), CustomAttributes: goldenAttributes, Email: "ann@example.com",
			Labels: goldenLabels, Tags: goldenTags, Title: "Pricing — café",
		})
	},
	"conversations.update": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Conversations.Update(ctx, 42, drift.ConversationUpdateRequest{
			AssignedUserID: drift.Null[drift.UserID](), CustomAttributes: drift.Set(drift.Attributes{"plan": nil, "seats": 12}),
			Labels: drift.Set(goldenLabels), Tags: drift.Set([]string(nil)), WorkflowID: drift.Set(drift.WorkflowID(8)),
		})
	},
	"conversations.delete": func(ctx context.Context, c *drift.Client) (any, error) {
		return nil, c.Conversations.Delete(ctx, 42)
	},
	"conversations.list": func(ctx context.Context, c *drift.Client) (any, error) {
		return page(c.Conversations.List(ctx, drift.ConversationListOptions{
			Archived: new(false), AssignedUserID: 7, CreatedAt: instant(0), CustomAttributes: goldenAttributes, Deleted: new(true),
			Direction: drift.DirectionInbound, Email: "ann+test@example.com", ID: 42, Integration: "email", LastActivityAt: instant(1),
			LastMessageSentAt: instant(2), Labels: goldenLabels, MemberCount: new(3), Participants: []string{"Ann Ames", "bob@example.com"},
			ReplySubject: "Re: Pricing", ResolvedAt: instant(3), Tags: goldenTags, Title: "Pricing — café", UpdatedAt: instant(4),
			WorkflowID: 8, Limit: 2, Cursor: "cursor-1",
		}))
	},
	"conversations.listByStatus": func(ctx context.Context, c *drift.Client) (any, error) {
		return page(c.Conversations.ListByStatus(ctx, drift.ConversationStatusBulkSent, drift.ConversationListByStatusOptions{
			Archived: new(true), Limit: 2, Cursor: "cursor-1",
		}))
	},
	"messages.get": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Messages.Get(ctx, 42, 11)
	},
	"messages.create": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Messages.Create(ctx, 42, drift.MessageCreateRequest{
			Body: goldenBody, ClientMessageID: "own-key", Labels: goldenLabels, UseCustomAvatar: new(false),
		})
	},
	"messages.update": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Messages.Update(ctx, 42, 11, drift.MessageUpdateRequest{
			Body: drift.Set(goldenBody), Labels: drift.Null[[]string](), Reply: drift.Set(false), Type: drift.Set(drift.MessageTypePrivateNote),
		})
	},
	"contacts.get": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Contacts.Get(ctx, 71)
	},
	"contacts.create": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Contacts.Create(ctx, drift.ContactCreateRequest{
			BackgroundMode: new(true), Labels: goldenLabels, Tags: goldenTags, Users: []drift.UserID{7},
		})
	},
	"contacts.upsertByEmail": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Contacts.UpsertByEmail(ctx, "ann+test@example.com")
	},
	"contacts.update": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Contacts.Update(ctx, 71, drift.ContactUpdateRequest{
			AssignedUserID: drift.Set(drift.UserID(7)), BackgroundMode: drift.Set(false), CustomAttributes: drift.Set(goldenAttributes),
			Email: drift.Null[string](), Labels: drift.Set(goldenLabels), Tags: drift.Set(goldenTags),
		})
	},
	"contacts.delete": func(ctx context.Context, c *drift.Client) (any, error) {
		return nil, c.Contacts.Delete(ctx, 71)
	},
	"contacts.list": func(ctx context.Context, c *drift.Client) (any, error) {
		return page(c.Contacts.List(ctx, drift.ContactListOptions{
			BackgroundMode: new(false), CustomAttributes: drift.Attributes{"a b": 0.5, "seats": json.Number("9007199254740993")},
			Email: "ann@example.com", Labels: goldenLabels, Search: "ann & bob", Tags: goldenTags, WorkflowID: 8, Limit: 2, Cursor: "cursor-1",
		}))
	},
	"contacts.matchEmail": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Contacts.MatchEmail(ctx, "ann+test@example.com")
	},
	"notes.get": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Notes.Get(ctx, 42, 12)
	},
	"notes.create": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Notes.Create(ctx, 42, drift.NoteCreateRequest{
			Body: "Call back", ClientCreatedAt: instant(0), ClientID: "own-key", CreatedAt: instant(1), Tags: goldenTags, Type: "call", User: 7,
		})
	},
	"notes.update": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Notes.Update(ctx, 42, 12, drift.NoteUpdateRequest{
			Body: drift.Set("Called"), Closed: drift.Set(true), CreatedAt: drift.Set(instant(0)), Labels: drift.Set(goldenLabels),
			Tags: drift.Set(goldenTags), Type: drift.Null[string](),
		})
	},
	"tags.get": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Tags.Get(ctx, 31)
	},
	"tags.create": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Tags.Create(ctx, drift.TagCreateRequest{
			BackgroundMode: new(false), Color: "ff8800", Description: "Ready to buy", Enabled: new(true), Name: "hot",
		})
	},
	"tags.update": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Tags.Update(ctx, 31, drift.TagUpdateRequest{
			BackgroundMode: drift.Set(true), Color: drift.Set("#ff8800"), Description: drift.Null[string](), Enabled: drift.Set(false),
			Name: drift.Set("hot"),
		})
	},
	"tags.delete": func(ctx context.Context, c *drift.Client) (any, error) {
		return nil, c.Tags.Delete(ctx, 31)
	},
	"companies.listPeople": func(ctx context.Context, c *drift.Client) (any, error) {
		return page(c.Companies.ListPeople(ctx, "123458_domain.com/é", drift.CompanyListPeopleOptions{
			Scope: "all", Search: "ann", Limit: 2, Cursor: "cursor-1",
		}))
	},
	"companies.listTeams": func(ctx context.Context, c *drift.Client) (any, error) {
		return page(c.Companies.ListTeams(ctx, "123458_domain.com", drift.CompanyListTeamsOptions{
			Scope: "all", Search: "sales", Limit: 2, Cursor: "cursor-1",
		}))
	},
	"meetings.get": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Meetings.Get(ctx, 16)
	},
	"meetings.create": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Meetings.Create(ctx, drift.MeetingCreateRequest{
			ConversationID: 42, CreatedBy: 7, Duration: 45 * time.Minute, StartAt: instant(0), UpdatedBy: 8,
		})
	},
	"meetings.update": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Meetings.Update(ctx, 16, drift.MeetingUpdateRequest{
			ConversationID: drift.Set(drift.ConversationID(42)), Duration: drift.Set(time.Hour), EndedAt: drift.Null[time.Time](),
			Location: drift.Set(""), Notes: drift.Set("Bring slides"), ParticipantIDs: drift.Set([]drift.ParticipantID{17, 18}),
			StartAt: drift.Set(instant(0)), Subject: drift.Set("Demo"), UpdatedBy: drift.Set(drift.UserID(8)),
		})
	},
	"meetings.delete": func(ctx context.Context, c *drift.Client) (any, error) {
		return nil, c.Meetings.Delete(ctx, 16)
	},
	"meetings.list": func(ctx context.Context, c *drift.Client) (any, error) {
		return page(c.Meetings.List(ctx, drift.MeetingListOptions{
			CreatedAfter: instant(0), CreatedBefore: instant(1), CreatedBy: 7, Direction: drift.DirectionOutbound, Duration: 45 * time.Minute,
			EndedAt: instant(2), EventType: "demo", ID: 16, InProgress: new(false), Location: "Room 4", Notes: "Bring slides",
			ParticipantIDs: []drift.ParticipantID{17, 18}, Participants: []string{"Bob Bell"}, StartAfter: instant(3), StartBefore: instant(4),
			StartAt: instant(5), Subject: "Demo", UpdatedBy: 8, UpdatedSince: instant(6), UsePreciseFilters: new(true), Limit: 2, Cursor: "cursor-1",
		}))
	},
	"meetings.addParticipant": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Meetings.AddParticipant(ctx, 16, drift.MeetingAddParticipantRequest{
			Email: "bob@example.com", FirstName: "Bob", LastName: "Bell",
		})
	},
	"driftbot.updateMessage": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Driftbot.UpdateMessage(ctx, 42, drift.DriftbotUpdateMessageRequest{
			Body: drift.Set(goldenBody), Labels: drift.Set(goldenLabels),
		})
	},
	"driftbot.trigger": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Driftbot.Trigger(ctx, 42, drift.DriftbotTriggerRequest{
			ActionID: "book", Payload: map[string]any{"slot": 3, "Keep_case": []any{nil, "<b>"}},
		})
	},
}

// pageOf is a page whose item type is of no interest.
type pageOf struct {
	items any
	next  string
}

func page[T any](p *drift.Page[T], err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return pageOf{p.Items, p.Next}, nil
}

// nextCursors are the cursors that the answers of a list hold: a bare array has none.
var nextCursors = map[string]string{"snake": "cursor-2", "camel": "cursor-2", "bare": ""}

func TestGolden(t *testing.T) {
	for _, op := range testkit.Catalogue(t) {
		t.Run(op.Name, func(t *testing.T) {
			call, ok := goldenCalls[op.Name]
			require.True(t, ok, "no call of this operation")
			snake := goldenExchange(t, op, "snake", call)
			compareGolden(t, op.Name, "record.golden", indented(t, snake))
			assertEveryField(t, reflect.ValueOf(snake))
			for _, form := range []string{"camel", "bare"} {
				record := goldenExchange(t, op, form, call)
				assert.Equal(t, snake, record, form)
				assert.Equal(t, string(indented(t, snake)), string(indented(t, record)), form)
			}
		})
	}
	assert.Len(t, goldenCalls, 34)
}

// assertEveryField fails where the golden answers lack a field of a record. Of a list the first item has all.
func assertEveryField(t *testing.T, record reflect.Value) {
	t.Helper()
	switch record.Kind() {
	case reflect.Slice:
		assertEveryField(t, record.Index(0))
	case reflect.Pointer:
		assertEveryField(t, record.Elem())
	case reflect.Struct:
		for field, value := range record.Fields() {
			assert.False(t, value.IsZero(), "%s.%s", record.Type(), field.Name)
		}
	}
}

// goldenExchange makes a call that is answered in one of the accepted forms, and returns the record or the page's items.
func goldenExchange(t *testing.T, op testkit.Operation, form string, call goldenCall) any {
	t.Helper()
	var request []byte
	client := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		request = requestText(t, r)
		testkit.Respond(http.StatusOK, string(goldenFile(t, op.Name, form+".json")))(w, r)
	})
	result, err := call(t.Context(), client)
	require.NoError(t, err, form)
	compareGolden(t, op.Name, "request.golden", request)
	assertParameters(t, op, request)
	if page, ok := result.(pageOf); ok {
		assert.Equal(t, nextCursors[form], page.next, form)
		return page.items
	}
	return result
}

// transportHeaders are net/http's own.
var transportHeaders = []string{"Accept-Encoding"}

// requestText writes a request as it came, but for the token, the SDK's version and what net/http adds by itself.
func requestText(t *testing.T, r *http.Request) []byte {
	body, err := io.ReadAll(r.Body)
	assert.NoError(t, err)
	var text bytes.Buffer
	fmt.Fprintln(&text, r.Method, r.RequestURI)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if !slices.Contains(transportHeaders, name) {
			fmt.Fprintf(&text, "%s: %s\n", name, redactedHeader(name, strings.Join(r.Header[name], ", ")))
		}
	}
	fmt.Fprintln(&text)
	text.Write(body)
	return text.Bytes()
}

func redactedHeader(name, value string) string {
	switch name {
	case "Authorization":
		return strings.Replace(value, testkit.Token, "REDACTED", 1)
	case "User-Agent":
		product, _, _ := strings.Cut(value, "/")
		return product
	}
	return value
}

var mapKey = regexp.MustCompile(`\[.*\]$`)

// assertParameters holds the names that a request sent against the catalogue: all of them, and no others but for paging.
func assertParameters(t *testing.T, op testkit.Operation, request []byte) {
	t.Helper()
	head, body, _ := bytes.Cut(request, []byte("\n\n"))
	uri, err := url.Parse(strings.Fields(string(head))[1])
	require.NoError(t, err)
	names := map[string]bool{}
	for name := range uri.Query() {
		names[mapKey.ReplaceAllString(name, "")] = true
	}
	var fields map[string]json.RawMessage
	if len(body) > 0 {
		require.NoError(t, json.Unmarshal(body, &fields))
	}
	for name := range fields {
		names[name] = true
	}
	if op.Name == "conversations.listByStatus" {
		names["status"] = true // in the path
	}
	delete(names, "limit")
	delete(names, "next")
	assert.ElementsMatch(t, op.Parameters, slices.Collect(maps.Keys(names)))
}

func indented(t *testing.T, record any) []byte {
	t.Helper()
	text, err := json.MarshalIndent(record, "", "  ")
	require.NoError(t, err)
	return append(text, '\n')
}

func goldenFile(t *testing.T, elements ...string) []byte {
	text, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, elements...)...))
	assert.NoError(t, err)
	return text
}

func compareGolden(t *testing.T, operation, name string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join("testdata", operation, name), got, 0o644))
		return
	}
	assert.Equal(t, string(goldenFile(t, operation, name)), string(got), "%s of %s; -update accepts the change", name, operation)
}

// Every folder belongs to an operation.
func TestGoldenFolders(t *testing.T) {
	entries, err := os.ReadDir("testdata")
	require.NoError(t, err)
	for _, entry := range entries {
		if entry.IsDir() && entry.Name() != "fuzz" {
			assert.Contains(t, goldenCalls, entry.Name())
		}
	}
}

// What is absent is not sent: not even the empty list of a POST, nor a zero instant.
func TestZeroRequestsSendNothing(t *testing.T) {
	calls := map[string]goldenCall{
		"conversations": func(ctx context.Context, c *drift.Client) (any, error) {
			return c.Conversations.Create(ctx, drift.ConversationCreateRequest{Labels: []string{}, Tags: []string{}, Users: []drift.UserID{}})
		},
		"from scratch": func(ctx context.Context, c *drift.Client) (any, error) {
			return c.Conversations.CreateFromScratch(ctx, drift.ConversationCreateFromScratchRequest{CustomAttributes: drift.Attributes{}})
		},
		"contacts": func(ctx context.Context, c *drift.Client) (any, error) {
			return c.Contacts.Create(ctx, drift.ContactCreateRequest{})
		},
		"tags": func(ctx context.Context, c *drift.Client) (any, error) {
			return c.Tags.Create(ctx, drift.TagCreateRequest{})
		},
		"meetings": func(ctx context.Context, c *drift.Client) (any, error) {
			return c.Meetings.Create(ctx, drift.MeetingCreateRequest{})
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			client := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				assert.Equal(t, "{}", string(body))
				testkit.Respond(http.StatusOK, `{"id":1}`)(w, r)
			})
			_, err := call(t.Context(), client)
			require.NoError(t, err)
		})
	}
}

var uuid4 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// A key that the SDK makes up is a random UUID in lower case, the same on every attempt of a call and another for each call.
func TestMadeUpKeys(t *testing.T) {
	calls := map[string]goldenCall{
		"client_message_id": func(ctx context.Context, c *drift.Client) (any, error) {
			return c.Messages.Create(ctx, 42, drift.MessageCreateRequest{Body: "a"})
		},
		"client_id": func(ctx context.Context, c *drift.Client) (any, error) {
			return c.Notes.Create(ctx, 42, drift.NoteCreateRequest{Body: "a"})
		},
	}
	for field, call := range calls {
		t.Run(field, func(t *testing.T) {
			first, second := keysOfRetriedCall(t, field, call), keysOfRetriedCall(t, field, call)
			for _, keys := range [][]string{first, second} {
				require.Len(t, keys, 2, "attempts")
				assert.Regexp(t, uuid4, keys[0])
				assert.Equal(t, keys[0], keys[1])
			}
			assert.NotEqual(t, first[0], second[0])
		})
	}
}

// keysOfRetriedCall returns the keys that the attempts of a call sent, of which the first met a 429.
func keysOfRetriedCall(t *testing.T, field string, call goldenCall) (keys []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		client := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
			var body map[string]any
			assert.NoError(t, json.NewDecoder(r.Body).Decode(&body))
			keys = append(keys, fmt.Sprint(body[field]))
			if len(keys) == 1 {
				return reply(http.StatusTooManyRequests, http.Header{"Retry-After": {"2"}}, ""), nil
			}
			return reply(http.StatusOK, nil, `{"id":1}`), nil
		})
		_, err := call(t.Context(), client)
		require.NoError(t, err)
	})
	return keys
}

// reply is an answer of a network in memory.
func reply(status int, header http.Header, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}
