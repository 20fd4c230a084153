package drift

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/driftsdk/drift/internal/rest"
)

// Benchmarks of whole calls, without a network, and of the steps that they are made of. benchmarks compares calls with
// the same by hand.

// benchRecord is a conversation with every field, of a usual size.
const benchRecord = `{"id":42,"title":"Hello, we are a team of forty, and would like to know what a contract would cost us","status":"open",` +
	`"email":"ann@example.com","contact_id":71,"org_id":5,"inbox_id":6,"assigned_user_id":7,"workflow_id":8,"related_playbook_id":9,` +
	`"direction":"inbound","integration":"email","labels":["hot","eu"],"tags":[{"id":31,"name":"vip","color":"#ff8800"}],` +
	`"custom_attributes":{"plan":"pro","seats":40,"score":0.125,"trial":true},"participants":[7,8,9],"member_count":3,` +
	`"reply_subject":"Re: Hello","archived":false,"deleted":false,"created_at":1767225600123,"updated_at":1767225601123,` +
	`"resolved_at":1767225602123,"last_activity_at":1767225603123,"last_message_sent_at":1767225604123}`

// benchAnswers answers every request with the same status and body, in memory.
type benchAnswers struct {
	status int
	header http.Header
	body   string
}

func (a benchAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader([]byte(a.body))),
		ContentLength: int64(len(a.body)), Request: r}, nil
}

// benchClient returns a client that has everything on. Its limiter allows what a benchmark makes.
func benchClient(b testing.TB, status int, body string) *Client {
	b.Helper()
	answers := benchAnswers{status, http.Header{"Content-Type": {jsonType}}, body}
	client, err := NewClient(WithToken("token"), WithBaseURL("https://drift.test"), WithHTTPClient(&http.Client{Transport: answers}),
		WithLimiter(&freshLimiter{}))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Close() })
	return client
}

// freshLimiter is the default limiter, and a new one whenever that is used up.
type freshLimiter struct {
	*WindowLimiter
	used int
}

func (l *freshLimiter) Acquire(ctx context.Context, turn Turn) (Slot, error) {
	if l.used%DefaultRateLimit == 0 {
		l.WindowLimiter = NewLimiter(DefaultRateLimit)
	}
	l.used++
	return l.WindowLimiter.Acquire(ctx, turn)
}

// benchmark makes calls that must not fail.
func benchmark(b *testing.B, call func() error) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if err := call(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	client := benchClient(b, http.StatusOK, `{"data":`+benchRecord+`}`)
	benchmark(b, func() error {
		_, err := client.Conversations.Get(b.Context(), 42)
		return err
	})
}

func BenchmarkGetTogether(b *testing.B) {
	answers := benchAnswers{http.StatusOK, http.Header{"Content-Type": {jsonType}}, `{"data":` + benchRecord + `}`}
	client, err := NewClient(WithToken("token"), WithHTTPClient(&http.Client{Transport: answers}), WithRateLimit(1e9))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := client.Conversations.Get(b.Context(), 42); err != nil { // the first call goes alone
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := client.Conversations.Get(b.Context(), 42); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkCreate(b *testing.B) {
	client := benchClient(b, http.StatusOK, `{"data":`+benchRecord+`}`)
	benchmark(b, func() error {
		_, err := client.Conversations.CreateFromScratch(b.Context(), benchCreateRequest())
		return err
	})
}

func BenchmarkUpdate(b *testing.B) {
	client := benchClient(b, http.StatusOK, `{"data":`+benchRecord+`}`)
	benchmark(b, func() error {
		_, err := client.Conversations.Update(b.Context(), 42, ConversationUpdateRequest{AssignedUserID: Null[UserID](), Labels: Set([]string{"hot"})})
		return err
	})
}

// BenchmarkDelete is a call with next to nothing to encode or to decode: what remains is the way of every call.
func BenchmarkDelete(b *testing.B) {
	client := benchClient(b, http.StatusNoContent, "")
	benchmark(b, func() error { return client.Conversations.Delete(b.Context(), 42) })
}

func BenchmarkList(b *testing.B) {
	client := benchClient(b, http.StatusOK, benchPage(rest.Cursors.Max))
	benchmark(b, func() error {
		_, err := client.Conversations.List(b.Context(), benchListOptions())
		return err
	})
}

func BenchmarkAll(b *testing.B) {
	client := benchClient(b, http.StatusOK, benchPage(rest.Cursors.Max))
	benchmark(b, func() error {
		_, err := Collect(client.Conversations.All(b.Context(), benchListOptions()), 0)
		return err
	})
}

func BenchmarkDo(b *testing.B) {
	client := benchClient(b, http.StatusOK, `{"data":`+benchRecord+`}`)
	request := Request{Path: "v2/conversations/{id}", Values: map[string]string{"id": "42"}}
	benchmark(b, func() error {
		var out struct {
			ID    int64
			Title string
		}
		return client.Do(b.Context(), request, &out)
	})
}

func BenchmarkErrorAnswer(b *testing.B) {
	client := benchClient(b, http.StatusNotFound, `{"error":{"type":"not_found","message":"there is no such conversation"}}`)
	benchmark(b, func() error {
		if _, err := client.Conversations.Get(b.Context(), 42); err == nil {
			b.Fatal("no error")
		}
		return nil
	})
}

// The steps, in the order in which a call takes them.

func BenchmarkStepQuery(b *testing.B) {
	benchmark(b, func() error {
		_, err := encodeQuery(benchListOptions())
		return err
	})
}

func BenchmarkStepBody(b *testing.B) {
	request := benchCreateRequest()
	benchmark(b, func() error {
		_, err := encodeBody(&request)
		return err
	})
}

func BenchmarkStepLimiter(b *testing.B) {
	limiter := &freshLimiter{}
	benchmark(b, func() error {
		slot, err := limiter.Acquire(b.Context(), Turn{})
		if err == nil {
			slot.Done(context.Background(), Result{Outcome: OutcomeAnswered})
		}
		return err
	})
}

func BenchmarkStepQuota(b *testing.B) {
	quota := newMemoryQuota(0)
	benchmark(b, func() error {
		_, err := quota.Reserve(b.Context())
		return err
	})
}

func BenchmarkStepDecode(b *testing.B) {
	b.SetBytes(int64(len(benchRecord)))
	data := []byte(benchRecord)
	benchmark(b, func() error { return new(Conversation).UnmarshalJSON(data) })
}

// BenchmarkMarshal is not a part of a call: programs store and export records.
func BenchmarkMarshal(b *testing.B) {
	var record Conversation
	if err := record.UnmarshalJSON([]byte(benchRecord)); err != nil {
		b.Fatal(err)
	}
	benchmark(b, func() error {
		_, err := json.Marshal(record)
		return err
	})
}

func benchCreateRequest() ConversationCreateFromScratchRequest {
	return ConversationCreateFromScratchRequest{
		AssignedUserID:   7,
		CustomAttributes: Attributes{"plan": "pro", "seats": 40},
		Email:            "ann@example.com",
		Labels:           []string{"hot", "eu"},
		Title:            "Hello, we are a team of forty",
	}
}

func benchListOptions() ConversationListOptions {
	return ConversationListOptions{AssignedUserID: 7, Labels: []string{"hot", "eu"}, UpdatedAt: time.UnixMilli(1767225600123)}
}

func benchPage(items int) string {
	var page bytes.Buffer
	for i := range items {
		page.WriteString(`,` + benchRecord[:len(`{"id":42`)] + strconv.Itoa(i) + benchRecord[len(`{"id":42`):])
	}
	return `{"data":[` + page.String()[1:] + `],"pagination":{"more":false}}`
}
