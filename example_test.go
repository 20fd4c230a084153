package drift_test

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

// The examples call an in-memory server. With an account, use
//
//	client, err := drift.NewClient(drift.WithToken(os.Getenv("DRIFT_TOKEN")))
func ExampleConversationsService() {
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	client, ctx := server.Client(), context.Background()

	// Leave the labels alone, clear the assignment, set the tags.
	conversation, err := client.Conversations.Update(ctx, 4, drift.ConversationUpdateRequest{
		AssignedUserID: drift.Null[drift.UserID](),
		Tags:           drift.Set([]string{"urgent"}),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(conversation.Title, conversation.Tags[0].Name)

	pending := client.Conversations.AllByStatus(ctx, drift.ConversationStatusPending, drift.ConversationListByStatusOptions{})
	first, err := drift.Collect(pending, 2)
	if err != nil {
		log.Fatal(err)
	}
	for _, conversation := range first {
		fmt.Println(conversation.ID, conversation.Status)
	}
	// Output:
	// Password reset mail never arrives urgent
	// 3 pending
	// 9 pending
}

func ExampleMessagesService() {
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	client, ctx := server.Client(), context.Background()

	message, err := client.Messages.Create(ctx, 1, drift.MessageCreateRequest{
		Body:            "Your invoice is on its way.",
		ClientMessageID: "invoice-2026-11", // without one it is a random UUID
	})
	var ambiguous *drift.AmbiguousError
	if errors.As(err, &ambiguous) {
		log.Fatalf("conversation 1 may have %s already: have somebody look before sending it again", ambiguous.ClientID)
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(message.ClientMessageID, message.Body)
	// Output: invoice-2026-11 Your invoice is on its way.
}

func ExampleContactsService() {
	server := drifttest.NewServer()
	defer server.Close()
	client, ctx := server.Client(), context.Background()

	contact, err := client.Contacts.MatchEmail(ctx, "grace@example.com")
	if errors.Is(err, drift.ErrNotFound) {
		contact, err = client.Contacts.UpsertByEmail(ctx, "grace@example.com")
	}
	if err != nil {
		log.Fatal(err)
	}
	contact, err = client.Contacts.Update(ctx, contact.ID, drift.ContactUpdateRequest{
		CustomAttributes: drift.Set(drift.Attributes{"seats": 25, "trial": nil}), // merged; nil clears a key
	})
	if err != nil {
		log.Fatal(err)
	}
	seats, _ := contact.CustomAttributes.Int64("seats")
	fmt.Println(contact.ID, contact.Email, seats)
	// Output: 1 grace@example.com 25
}

func ExampleNotesService() {
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	client, ctx := server.Client(), context.Background()

	note, err := client.Notes.Create(ctx, 1, drift.NoteCreateRequest{Body: "Asked finance for the number."})
	if err != nil {
		log.Fatal(err)
	}
	note, err = client.Notes.Update(ctx, 1, note.ID, drift.NoteUpdateRequest{Closed: drift.Set(true)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(note.Body, note.Closed)
	// Output: Asked finance for the number. true
}

func ExampleTagsService() {
	server := drifttest.NewServer()
	defer server.Close()
	client, ctx := server.Client(), context.Background()

	tag, err := client.Tags.Create(ctx, drift.TagCreateRequest{Name: "vip", Color: "0960C5", Enabled: new(true)})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Tags.Delete(ctx, tag.ID); err != nil {
		log.Fatal(err)
	}
	_, err = client.Tags.Get(ctx, tag.ID)
	fmt.Println(tag.Name, errors.Is(err, drift.ErrNotFound))
	// Output: vip true
}

func ExampleMeetingsService() {
	server := drifttest.NewServer()
	defer server.Close()
	client, ctx := server.Client(), context.Background()

	meeting, err := client.Meetings.Create(ctx, drift.MeetingCreateRequest{
		StartAt:  time.Date(2026, time.December, 1, 9, 30, 0, 0, time.UTC),
		Duration: 45 * time.Minute,
	})
	if err != nil {
		log.Fatal(err)
	}
	participant, err := client.Meetings.AddParticipant(ctx, meeting.ID, drift.MeetingAddParticipantRequest{
		Email: "grace@example.com", FirstName: "Grace",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(meeting.StartAt.Format(time.DateTime), meeting.Duration, participant.FirstName)
	// Output: 2026-12-01 09:30:00 45m0s Grace
}

func ExampleCompaniesService() {
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	client, ctx := server.Client(), context.Background()

	people := client.Companies.AllPeople(ctx, "acme.example", drift.CompanyListPeopleOptions{Search: "a"})
	for person, err := range people {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(person.Name)
		break
	}
	// Output: Ada Byron
}

func ExampleDriftbotService() {
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	client, ctx := server.Client(), context.Background()

	interaction, err := client.Driftbot.Trigger(ctx, 1, drift.DriftbotTriggerRequest{
		ActionID: "send-survey",
		Payload:  map[string]any{"language": "en"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(interaction.ActionID, interaction.Status)
	// Output: send-survey completed
}

func ExampleNewClient() {
	client, err := drift.NewClient(
		drift.FromEnv(), // DRIFT_TOKEN, DRIFT_BASE_URL, DRIFT_PLAN
		drift.WithUserAgent("billing/1.4"),
		drift.WithLogger(slog.Default()),
	)
	if errors.Is(err, drift.ErrInvalid) {
		fmt.Println(err) // names the option or the variable that is wrong
		return
	}
	defer client.Close()
}

// A program decides by the sentinel, reads the details from the type, and counts by the kind.
func ExampleAPIError() {
	server := drifttest.NewServer()
	defer server.Close()
	client, ctx := server.Client(), context.Background()

	_, err := client.Contacts.Get(ctx, 7)
	if errors.Is(err, drift.ErrNotFound) {
		fmt.Println("there is no such contact")
	}
	if api, ok := errors.AsType[*drift.APIError](err); ok {
		fmt.Println(api.StatusCode, api.Type, api.Operation)
	}
	fmt.Println(drift.KindOf(err))
	// Output:
	// there is no such contact
	// 404 not_found contacts.get
	// not_found
}

// Kinds are labels for metrics: there are few, and they do not change.
func ExampleKindOf() {
	server := drifttest.NewServer()
	defer server.Close()
	server.Fail("contacts.list", drifttest.Fault{Status: http.StatusServiceUnavailable})
	client, ctx := server.Client(drift.WithoutRetry()), context.Background()

	calls := map[drift.Kind]int{}
	_, err := client.Contacts.UpsertByEmail(ctx, "grace@example.com")
	calls[drift.KindOf(err)]++
	_, err = client.Contacts.Get(ctx, 0)
	calls[drift.KindOf(err)]++
	_, err = client.Contacts.List(ctx, drift.ContactListOptions{})
	calls[drift.KindOf(err)]++
	fmt.Println(calls)
	// Output: map[invalid:1 ok:1 server:1]
}

// A list that fails resumes at the page that could not be read.
func ExamplePageError() {
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	client, ctx := server.Client(drift.WithoutRetry()), context.Background()

	options, read := drift.ContactListOptions{Limit: 10}, 0
	for done := false; !done; {
		done = true
		for _, err := range client.Contacts.All(ctx, options) {
			if page, ok := errors.AsType[*drift.PageError](err); ok && errors.Is(err, drift.ErrServer) {
				fmt.Println("after", read, "contacts:", drift.KindOf(err))
				options.Cursor, done = page.Cursor, false
				break
			}
			if err != nil {
				log.Fatal(err)
			}
			if read++; read == 10 {
				server.Fail("contacts.list", drifttest.Fault{Status: http.StatusServiceUnavailable})
			}
		}
	}
	fmt.Println(read)
	// Output:
	// after 10 contacts: server
	// 30
}

// A field of an update is left alone, cleared or set.
func ExampleOptional() {
	for _, request := range []drift.ConversationUpdateRequest{
		{},
		{AssignedUserID: drift.Null[drift.UserID]()},
		{AssignedUserID: drift.Set(drift.UserID(7))},
	} {
		id, ok := request.AssignedUserID.Get()
		fmt.Println(request.AssignedUserID.IsSet(), request.AssignedUserID.IsNull(), id, ok)
	}
	// Output:
	// false false 0 false
	// false true 0 false
	// true false 7 true
}

type span struct{ name string }

type spanKey struct{}

// A tracer starts a span for the call, finds it at the end, and names it by the operation, not by the URL.
func ExampleHooks() {
	hooks := drift.Hooks{
		Start: func(ctx context.Context, info drift.RequestInfo) context.Context {
			return context.WithValue(ctx, spanKey{}, &span{info.Operation})
		},
		Attempt: func(attempt drift.AttemptInfo) {
			fmt.Println("attempt", attempt.Number, attempt.Method, attempt.Route, attempt.StatusCode)
		},
		Response: func(response drift.ResponseInfo) {
			span := response.Context().Value(spanKey{}).(*span)
			fmt.Println(span.name, drift.KindOf(response.Err))
		},
	}
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	server.Fail("tags.get", drifttest.Fault{Status: http.StatusServiceUnavailable})
	client := server.Client(drift.WithHooks(hooks), drift.WithRetryPolicy(drift.RetryPolicy{MinBackoff: time.Millisecond}))

	if _, err := client.Tags.Get(context.Background(), 1); err != nil {
		log.Fatal(err)
	}
	// Output:
	// attempt 1 GET v2/tags/{tagId} 503
	// attempt 2 GET v2/tags/{tagId} 200
	// tags.get ok
}

// A middleware sees each attempt as it is sent. It logs the template of the path: the path itself has ids in it.
func ExampleWithMiddleware() {
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	client := server.Client(drift.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if info, number, ok := drift.AttemptFromContext(r.Context()); ok {
				fmt.Println(info.Operation, info.Route, number)
			}
			return next.RoundTrip(r)
		})
	}))

	if _, err := client.Tags.Get(context.Background(), 1); err != nil {
		log.Fatal(err)
	}
	// Output: tags.get v2/tags/{tagId} 1
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func ExampleCollect() {
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	client, ctx := server.Client(), context.Background()

	contacts, err := drift.Collect(client.Contacts.All(ctx, drift.ContactListOptions{}), 0)
	var page *drift.PageError
	if errors.As(err, &page) {
		log.Fatalf("read %d contacts; go on with Cursor: %q", len(contacts), page.Cursor)
	}
	fmt.Println(len(contacts))
	// Output: 30
}

func ExampleClient_With() {
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	client := server.Client()

	// A view for a long job: it leaves room for others, and is patient.
	export := client.With(drift.WithBulk(), drift.WithTimeout(10*time.Minute))
	tag, err := export.Tags.Get(context.Background(), 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tag.ID)
	// Output: 1
}

func ExampleClient_Do() {
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	client := server.Client()

	// An endpoint that has no method goes through the same limits and retries.
	var contact struct {
		Email string `json:"email"`
	}
	err := client.Do(context.Background(), drift.Request{
		Path:   "v2/contacts/{contactId}",
		Values: map[string]string{"contactId": "1"},
	}, &contact)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(contact.Email)
	// Output: grace.abbott@customer01.example
}

// A download that breaks off continues where it stopped.
func ExampleClient_Do_resume() {
	server := drifttest.NewServer()
	defer server.Close()
	server.Handle("GET", "attachments/{id}/data", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("the data of the attachment"))
	})
	server.Fail("GET attachments/{id}/data", drifttest.Fault{Drop: drifttest.DropInBody})
	client := server.Client()

	file, err := os.CreateTemp("", "attachment-*")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(file.Name())
	defer file.Close()

	request := drift.Request{Path: "attachments/{id}/data", Values: map[string]string{"id": "7"}}
	var response drift.Response
	err = client.Do(context.Background(), request, file)
	for size := int64(0); ; {
		broken, ok := errors.AsType[*drift.TransportError](err)
		if !ok || broken.Written == 0 {
			break
		}
		size += broken.Written
		fmt.Println("resume at", size)
		rest := drift.WithHeader("Range", fmt.Sprintf("bytes=%d-", size))
		err = client.Do(context.Background(), request, file, rest, drift.WithResponse(&response))
		if response.StatusCode == http.StatusOK {
			log.Fatal("the service ignored Range and sent the whole file again")
		}
	}
	if err != nil {
		log.Fatal(err)
	}
	content, err := os.ReadFile(file.Name())
	fmt.Printf("%s %v\n", content, err)
	// Output:
	// resume at 13
	// the data of the attachment <nil>
}

func ExampleListOf() {
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	client := server.Client()

	// Suppose that contacts had no method.
	type person struct {
		ID    int64
		Email string
	}
	page, err := drift.ListOf[person](context.Background(), client, drift.Request{
		Path:  "v2/contacts",
		Query: url.Values{"limit": {"2"}},
	})
	for _, odd := range drift.RecordErrors(err) {
		log.Print(odd) // the others are in the page
	}
	if page == nil {
		log.Fatal(err)
	}
	fmt.Println(len(page.Items), page.Items[0].Email, page.Next != "")
	// Output: 2 grace.abbott@customer01.example true
}

func ExamplePaginate() {
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	client := server.Client()

	type person struct {
		ID    int64
		Email string
	}
	read := func(ctx context.Context, cursor string) (*drift.Page[person], error) {
		query := url.Values{"limit": {"10"}}
		if cursor != "" {
			query.Set("next", cursor)
		}
		return drift.ListOf[person](ctx, client, drift.Request{Path: "v2/contacts", Query: query})
	}
	n := 0
	for _, err := range drift.Paginate(context.Background(), "", read, drift.WithPrefetch()) {
		if err != nil {
			log.Fatal(err)
		}
		n++
	}
	fmt.Println(n, "people")
	// Output: 30 people
}

func ExampleSkipRecordErrors() {
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	client, ctx := server.Client(), context.Background()

	all := drift.SkipRecordErrors(client.Contacts.All(ctx, drift.ContactListOptions{}), func(odd *drift.RecordError) {
		log.Print(odd)
	})
	contacts, err := drift.Collect(all, 0)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(contacts))
	// Output: 30
}

func ExampleWithResponse() {
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	client := server.Client(drift.WithRetryPolicy(drift.RetryPolicy{MinBackoff: time.Millisecond}))
	server.Fail("tags.get", drifttest.Fault{Status: 503})

	var response drift.Response
	if _, err := client.Tags.Get(context.Background(), 1, drift.WithResponse(&response)); err != nil {
		log.Fatal(err)
	}
	for _, attempt := range response.Attempts {
		fmt.Println(attempt.StatusCode)
	}
	// Output:
	// 503
	// 200
}

// Two handlers of a web application: the button, and the callback.
func ExampleOAuthConfig() {
	config := drift.OAuthConfig{ClientID: "id", ClientSecret: "secret", RedirectURL: "https://app.example.com/callback"}
	store := drift.NewMemoryTokenStore(nil) // better: filestore.OpenTokens

	const stateCookie, verifierCookie = "__Host-state", "__Host-verifier"
	http.HandleFunc("/connect", func(w http.ResponseWriter, r *http.Request) {
		state, verifier := rand.Text(), oauth2.GenerateVerifier()
		for name, value := range map[string]string{stateCookie: state, verifierCookie: verifier} {
			http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: 600, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
		}
		http.Redirect(w, r, config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)), http.StatusSeeOther)
	})
	http.HandleFunc("/callback", func(w http.ResponseWriter, r *http.Request) {
		state, stateErr := r.Cookie(stateCookie)
		verifier, verifierErr := r.Cookie(verifierCookie)
		if stateErr != nil || verifierErr != nil || subtle.ConstantTimeCompare([]byte(state.Value), []byte(r.FormValue("state"))) != 1 {
			http.Error(w, "this browser has not asked", http.StatusBadRequest)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: stateCookie, Path: "/", MaxAge: -1, Secure: true}) // it is good once
		token, err := config.Exchange(r.Context(), r.FormValue("code"), oauth2.VerifierOption(verifier.Value))
		if err == nil {
			err = store.Save(r.Context(), token)
		}
		if err != nil {
			http.Error(w, "not authorized", http.StatusBadGateway)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})

	source := config.TokenSource(store)
	defer source.Close()
	client, err := drift.NewClient(drift.WithTokenSource(source))
	if err != nil {
		return
	}
	defer client.Close()
}
