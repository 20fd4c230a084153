package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

const (
	proxyWorkers    = 24
	callsToAWeather = 200
	proxyTimeout    = 250 * time.Millisecond // of an attempt
	proxyPeople     = 120
	proxyCompany    = drift.CompanyID("acme.example")
	proxyRecords    = 40 // that are only read
	markerAttribute = "marker"
)

// fromEnv reads a number that a longer run sets.
func fromEnv(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	return n
}

// Thousands of calls over a network that breaks in every way: DRIFT_PROXY_CALLS says how many, DRIFT_PROXY_SEED which. What the calls
// returned is held against what the server has, which is read past the network.
func TestCallsOverABadNetwork(t *testing.T) {
	calls, seed := fromEnv(t, "DRIFT_PROXY_CALLS", 5000), uint64(fromEnv(t, "DRIFT_PROXY_SEED", 1))
	server := drifttest.Start(t)
	w := newWeather(t, strings.TrimPrefix(server.URL, "http://"), seed)
	client := server.Client(
		drift.WithHTTPClient(&http.Client{Transport: w.transport(t), Timeout: proxyTimeout}),
		drift.WithRateLimit(10_000_000),
		drift.WithRetryPolicy(drift.RetryPolicy{MaxAttempts: 4, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond, Budget: -1}),
	)
	world := newWorld(t, server)
	jobs := world.plan(t, calls, rand.New(rand.NewPCG(seed, 1)))
	server.Reset()
	_, before := server.Used()

	start := time.Now()
	runJobs(t, client, w, jobs)
	took := time.Since(start)
	w.stop()
	requests := settled(t, server)
	_, after := server.Used()

	usage, err := client.Quota(t.Context())
	require.NoError(t, err)
	arrived, written, counted := after-before, int(w.requests.Load()), usage.Used
	assert.LessOrEqual(t, arrived, written)
	assert.LessOrEqual(t, written, counted, "the quota counts what was written, at least in part")

	world.inspect(t, jobs, requests)
	t.Logf("seed %d: %d calls in %.1f s, %d requests written, %d arrived, %d counted", seed, calls, took.Seconds(), written, arrived, counted)
	t.Logf("connections: %v", w.met)
	sums := tallies(jobs)
	for _, kind := range slices.Sorted(maps.Keys(sums)) {
		t.Logf("%s: %v", kind, sums[kind])
	}
	checkThatItWasBad(t, sums)
}

// job is one call, and what became of it.
type job struct {
	kind       string
	marker     string // what a write leaves behind
	write      bool
	repeatable bool        // the write may arrive more than once
	deletes    drift.TagID // instead of leaving a marker
	opts       []drift.CallOption
	do         func(ctx context.Context, client *drift.Client, j *job) error

	response drift.Response
	err      error
	arrived  int // how often its request did
	applied  int // how often the server has its marker, or misses what it deletes
}

func runJobs(t *testing.T, client *drift.Client, w *weather, jobs []*job) {
	t.Helper()
	queue := make(chan *job)
	var group sync.WaitGroup
	for range proxyWorkers {
		group.Go(func() {
			for j := range queue {
				j.err = j.do(t.Context(), client, j)
			}
		})
	}
	for i, j := range jobs {
		if i%callsToAWeather == 0 {
			w.turn(t)
		}
		queue <- j
	}
	close(queue)
	group.Wait()
}

// settled returns what arrived, when nothing more arrives: what the client has given up may still be on its way.
func settled(t *testing.T, server *drifttest.Server) []drifttest.Request {
	t.Helper()
	seen, still := server.Count("*"), 0
	require.Eventually(t, func() bool {
		now := server.Count("*")
		if still++; now != seen {
			seen, still = now, 0
		}
		return still >= 5
	}, time.Minute, 100*time.Millisecond)
	return server.Requests()
}

// world is what is on the server before the calls, and a way to it that does not go through the bad network.
type world struct {
	direct        *drift.Client
	server        *drifttest.Server
	conversation  drift.ConversationID // into which everything is written
	conversations []*drift.Conversation
	people        []*drift.Person
	firstPage     *drift.Page[drift.Person]
}

func newWorld(t *testing.T, server *drifttest.Server) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{server: server, direct: server.Client(drift.WithRateLimit(10_000_000))}
	w.conversation = server.AddConversation(drift.Conversation{Title: "written to"})
	for i := range proxyRecords {
		id := server.AddConversation(drift.Conversation{Title: fmt.Sprintf("conversation %d ", i) + strings.Repeat("äöü ", 20*i)})
		conversation, err := w.direct.Conversations.Get(ctx, id)
		require.NoError(t, err)
		w.conversations = append(w.conversations, conversation)
	}
	for i := range proxyPeople {
		server.AddPerson(proxyCompany, drift.Person{Name: fmt.Sprintf("Person %d", i), Title: strings.Repeat("x", i)})
	}
	var err error
	w.people, err = drift.Collect(w.direct.Companies.AllPeople(ctx, proxyCompany, drift.CompanyListPeopleOptions{}), proxyPeople)
	require.NoError(t, err)
	require.Len(t, w.people, proxyPeople)
	w.firstPage, err = w.direct.Companies.ListPeople(ctx, proxyCompany, drift.CompanyListPeopleOptions{Limit: 50})
	require.NoError(t, err)
	return w
}

// plan makes the calls. One in eight is given little time, and one in four is not sent again.
func (w *world) plan(t *testing.T, n int, dice *rand.Rand) []*job {
	t.Helper()
	kinds := []func(*testing.T, *rand.Rand) *job{
		w.getConversation, w.getConversation, w.listPeople, w.listPeople, w.allPeople,
		w.createMessage, w.createContact, w.createNote, w.updateContact, w.deleteTag, w.createMessageIdempotently,
	}
	jobs := make([]*job, n)
	for i := range jobs {
		j := kinds[dice.IntN(len(kinds))](t, dice)
		j.marker = fmt.Sprintf("marker-%06d", i)
		j.opts = append(j.opts, drift.WithResponse(&j.response))
		switch dice.IntN(8) {
		case 0:
			j.opts = append(j.opts, drift.WithTimeout(time.Duration(1+dice.IntN(40))*time.Millisecond))
		case 1, 2:
			j.opts = append(j.opts, drift.WithoutRetry())
		}
		jobs[i] = j
	}
	return jobs
}

// errWrong is what a call returned with success and should not have.
var errWrong = errors.New("the answer is not what the server has")

func mustBe(want, got any) error {
	if !assert.ObjectsAreEqual(want, got) {
		return errWrong
	}
	return nil
}

func (w *world) getConversation(_ *testing.T, dice *rand.Rand) *job {
	want := w.conversations[dice.IntN(len(w.conversations))]
	return &job{kind: "read one", do: func(ctx context.Context, client *drift.Client, j *job) error {
		got, err := client.Conversations.Get(ctx, want.ID, j.opts...)
		if err != nil {
			return err
		}
		return mustBe(want, got)
	}}
}

func (w *world) listPeople(*testing.T, *rand.Rand) *job {
	return &job{kind: "read a page", do: func(ctx context.Context, client *drift.Client, j *job) error {
		got, err := client.Companies.ListPeople(ctx, proxyCompany, drift.CompanyListPeopleOptions{Limit: 50}, j.opts...)
		if err != nil {
			return err
		}
		return mustBe(w.firstPage, got)
	}}
}

// What came before the error of a sequence counts too, and so does the place where to resume.
func (w *world) allPeople(*testing.T, *rand.Rand) *job {
	return &job{kind: "read a sequence", do: func(ctx context.Context, client *drift.Client, j *job) error {
		got := []*drift.Person{}
		for person, err := range client.Companies.AllPeople(ctx, proxyCompany, drift.CompanyListPeopleOptions{Limit: 40}, j.opts...) {
			if err != nil {
				return errors.Join(err, mustBe(w.people[:len(got)/40*40], got))
			}
			got = append(got, person)
		}
		return mustBe(w.people, got)
	}}
}

func (w *world) createMessage(*testing.T, *rand.Rand) *job {
	return &job{kind: "POST message", write: true, do: func(ctx context.Context, client *drift.Client, j *job) error {
		got, err := client.Messages.Create(ctx, w.conversation, drift.MessageCreateRequest{Body: j.marker}, j.opts...)
		if err != nil {
			return err
		}
		return mustBe(j.marker, got.Body)
	}}
}

func (w *world) createMessageIdempotently(t *testing.T, dice *rand.Rand) *job {
	j := w.createMessage(t, dice)
	j.kind, j.repeatable, j.opts = "POST message, WithIdempotent", true, []drift.CallOption{drift.WithIdempotent()}
	return j
}

func (w *world) createContact(*testing.T, *rand.Rand) *job {
	return &job{kind: "POST contact", write: true, do: func(ctx context.Context, client *drift.Client, j *job) error {
		got, err := client.Contacts.Create(ctx, drift.ContactCreateRequest{Labels: []string{j.marker}}, j.opts...)
		if err != nil {
			return err
		}
		return mustBe([]string{j.marker}, got.Labels)
	}}
}

func (w *world) createNote(*testing.T, *rand.Rand) *job {
	return &job{kind: "POST note", write: true, do: func(ctx context.Context, client *drift.Client, j *job) error {
		got, err := client.Notes.Create(ctx, w.conversation, drift.NoteCreateRequest{Body: j.marker}, j.opts...)
		if err != nil {
			return err
		}
		return mustBe(j.marker, got.Body)
	}}
}

func (w *world) updateContact(*testing.T, *rand.Rand) *job {
	id := w.server.AddContact(drift.Contact{})
	return &job{kind: "PATCH contact", write: true, do: func(ctx context.Context, client *drift.Client, j *job) error {
		attributes := drift.Attributes{markerAttribute: j.marker}
		got, err := client.Contacts.Update(ctx, id, drift.ContactUpdateRequest{CustomAttributes: drift.Set(attributes)}, j.opts...)
		if err != nil {
			return err
		}
		return mustBe(attributes, got.CustomAttributes)
	}}
}

func (w *world) deleteTag(t *testing.T, _ *rand.Rand) *job {
	t.Helper()
	tag, err := w.direct.Tags.Create(t.Context(), drift.TagCreateRequest{Name: "to be deleted"})
	require.NoError(t, err)
	return &job{kind: "DELETE tag", write: true, deletes: tag.ID, do: func(ctx context.Context, client *drift.Client, j *job) error {
		return client.Tags.Delete(ctx, tag.ID, j.opts...)
	}}
}

// inspect finds out what the calls did, and holds it against what they returned.
func (w *world) inspect(t *testing.T, jobs []*job, requests []drifttest.Request) {
	t.Helper()
	arrived, kept := arrivals(requests), w.kept(t)
	for _, j := range jobs {
		j.arrived, j.applied = arrived[j.marker], kept[j.marker]
		if j.deletes != 0 {
			j.applied = w.deleted(t, j.deletes)
		}
		var notFit *drift.DecodeError
		assert.False(t, errors.As(j.err, &notFit), "%s, %s: a part of an answer was taken for the whole: %v", j.kind, j.marker, j.err)
		switch ambiguous := errors.Is(j.err, drift.ErrAmbiguous); {
		case errors.Is(j.err, errWrong):
			t.Errorf("%s, %s: %v", j.kind, j.marker, j.err)
		case !j.write:
			assert.False(t, ambiguous, "a read is not ambiguous")
		case j.err == nil:
			assert.Positive(t, j.applied, "%s, %s: a success that the server does not have", j.kind, j.marker)
		case !ambiguous:
			assert.Zero(t, j.applied, "%s, %s: reported as not applied, and it was: %v", j.kind, j.marker, j.err)
		}
		if !j.repeatable {
			assert.LessOrEqual(t, j.applied, 1, "%s, %s: applied more than once", j.kind, j.marker)
			assert.LessOrEqual(t, j.arrived, 1, "%s, %s: arrived more than once", j.kind, j.marker)
		}
	}
}

var markerPattern = regexp.MustCompile(`marker-\d+`)

// arrivals tells how often the request with each marker arrived.
func arrivals(requests []drifttest.Request) map[string]int {
	arrived := map[string]int{}
	for _, r := range requests {
		arrived[string(markerPattern.Find(r.Body))]++
	}
	return arrived
}

// kept tells how often the server has each marker. It reads all messages, notes and contacts, whose ids are without gaps.
func (w *world) kept(t *testing.T) map[string]int {
	t.Helper()
	ctx, kept := t.Context(), map[string]int{}
	for id := drift.MessageID(1); ; id++ {
		message, err := w.direct.Messages.Get(ctx, w.conversation, id)
		if errors.Is(err, drift.ErrNotFound) {
			break
		}
		require.NoError(t, err)
		kept[message.Body]++
	}
	for id := drift.NoteID(1); ; id++ {
		note, err := w.direct.Notes.Get(ctx, w.conversation, id)
		if errors.Is(err, drift.ErrNotFound) {
			break
		}
		require.NoError(t, err)
		kept[note.Body]++
	}
	for contact, err := range w.direct.Contacts.All(ctx, drift.ContactListOptions{}) {
		require.NoError(t, err)
		for _, label := range contact.Labels {
			kept[label]++
		}
		if marker, ok := contact.CustomAttributes.String(markerAttribute); ok {
			kept[marker]++
		}
	}
	return kept
}

func (w *world) deleted(t *testing.T, id drift.TagID) int {
	t.Helper()
	_, err := w.direct.Tags.Get(t.Context(), id)
	if errors.Is(err, drift.ErrNotFound) {
		return 1
	}
	require.NoError(t, err)
	return 0
}

// checkThatItWasBad keeps the test from passing over a network in which nothing happens.
func checkThatItWasBad(t *testing.T, sums map[string]*tally) {
	t.Helper()
	failed := 0
	for _, kind := range []string{"POST message", "POST contact", "POST note", "PATCH contact"} {
		sum := sums[kind]
		assert.Positive(t, sum.succeeded, kind)
		assert.Positive(t, sum.ambiguousApplied, kind)
		assert.Positive(t, sum.ambiguous-sum.ambiguousApplied, kind)
		failed += sum.failed
	}
	assert.Positive(t, failed, "writes that were not sent")
	for _, kind := range []string{"read one", "read a page", "read a sequence"} {
		assert.Positive(t, sums[kind].resent, kind)
		assert.Positive(t, sums[kind].failed, kind)
	}
	assert.Positive(t, sums["POST message, WithIdempotent"].repeated, "what may be repeated was, and the test can see it")
}

// tally sums up the calls of a kind.
type tally struct {
	calls, succeeded, resent, ambiguous, ambiguousApplied, failed, repeated int
}

func tallies(jobs []*job) map[string]*tally {
	sums := map[string]*tally{}
	for _, j := range jobs {
		sum := sums[j.kind]
		if sum == nil {
			sum = new(tally)
			sums[j.kind] = sum
		}
		sum.add(j)
	}
	return sums
}

func (s *tally) add(j *job) {
	s.calls++
	if len(j.response.Attempts) > 1 {
		s.resent++
	}
	if j.applied > 1 {
		s.repeated++
	}
	switch {
	case j.err == nil:
		s.succeeded++
	case !errors.Is(j.err, drift.ErrAmbiguous):
		s.failed++
	case j.applied > 0:
		s.ambiguousApplied++
		fallthrough
	default:
		s.ambiguous++
	}
}

func (s *tally) String() string {
	return fmt.Sprintf("%d calls: %d succeeded, %d ambiguous (%d of them applied), %d failed; %d took more than one attempt, %d were applied more than once",
		s.calls, s.succeeded, s.ambiguous, s.ambiguousApplied, s.failed, s.resent, s.repeated)
}
