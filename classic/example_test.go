package classic_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
)

// exampleAnswers are the answers of the server in the examples, by method and path.
var exampleAnswers = map[string]string{
	"POST /contacts":          `{"data": {"id": 7, "attributes": {"email": "grace@example.com", "plan": "pro"}}}`,
	"GET /users":              `{"data": {"7": {"id": 7, "name": "Ann"}}}`,
	"GET /users/meetings/org": `{"data": [{"agentId": 7, "slotStart": 1767225600000}]}`,
	"GET /conversations/list": `{"data": [{"id": 1, "contactId": 7}, {"id": 2, "contactId": 8}], "links": {}}`,
	"GET /conversations/1/messages": `{"data": {"messages": [
		{"id": 1, "author": {"type": "contact"}, "body": "Hello"}, {"id": 2, "author": {"type": "user"}, "body": "Hi!"}
	]}, "pagination": {"more": false}}`,
	"POST /conversations/1/messages": `{"data": {"id": 3, "body": "Shall we talk?", "buttons": [{"label": "Yes"}]}}`,
	"GET /attachments/9/data":        `%PDF-1.7`,
	"GET /accounts":                  `{"data": {"accounts": [{"accountId": "1_acme.example", "name": "Acme"}], "total": 1}}`,
	"GET /playbooks/list":            `[{"id": 5, "name": "Welcome"}]`,
	"GET /teams/org":                 `{"data": [{"id": 3, "name": "Sales", "members": [7, 8]}]}`,
	"POST /app/token_info":           `{"authenticated_userid": "orgId:123", "expires_in": 7200000, "scope": "contact_read"}`,
	"POST /gdpr/delete":              `{"data": {"message": "Your delete is processing"}}`,
	"PATCH /scim/Users/7":            `{"id": "7", "userName": "ann@example.com", "active": false}`,
	"POST /reports/conversations":    `{"count": 1, "data": [{"conversationId": 1, "metrics": [12, "NaN"]}]}`,
}

// exampleAPI returns a client of a server with exampleAnswers. With an account, use
//
//	client, err := drift.NewClient(drift.WithToken(os.Getenv("DRIFT_TOKEN")))
//	api := classic.New(client)
func exampleAPI() (api *classic.Client, end func()) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := exampleAnswers[r.Method+" "+r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, answer)
	}))
	client, err := drift.NewClient(drift.WithToken("example-token"), drift.WithBaseURL(server.URL))
	if err != nil {
		log.Fatal(err)
	}
	return classic.New(client), func() {
		_ = client.Close()
		server.Close()
	}
}

func ExampleContactsService() {
	api, end := exampleAPI()
	defer end()

	contact, err := api.Contacts.Create(context.Background(), classic.ContactCreateRequest{
		Email:      "grace@example.com",
		Attributes: drift.Attributes{"plan": "pro"},
	})
	if errors.Is(err, drift.ErrConflict) {
		log.Fatal("there is a contact with this address")
	}
	if err != nil {
		log.Fatal(err)
	}
	plan, _ := contact.Attributes.String("plan")
	fmt.Println(contact.ID, contact.Email(), plan)
	// Output: 7 grace@example.com pro
}

func ExampleUsersService() {
	api, end := exampleAPI()
	defer end()

	users, err := api.Users.GetMany(context.Background(), []drift.UserID{7, 8})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(users[7].Name, users[8] == nil)
	// Output: Ann true
}

func ExampleMeetingsService() {
	api, end := exampleAPI()
	defer end()

	meetings, err := api.Meetings.List(context.Background(), classic.MeetingListOptions{To: time.Now()})
	if err != nil {
		log.Fatal(err)
	}
	for _, meeting := range meetings {
		fmt.Println(meeting.AgentID, meeting.SlotStart)
	}
	// Output: 7 2026-01-01 00:00:00 +0000 UTC
}

// The API has no filter by contact: a loop with an if takes its place.
func ExampleConversationsService() {
	api, end := exampleAPI()
	defer end()

	for conversation, err := range api.Conversations.All(context.Background(), classic.ConversationListOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		if conversation.ContactID == 8 {
			fmt.Println(conversation.URL())
		}
	}
	// Output: https://app.drift.com/conversations/2
}

func ExampleMessagesService() {
	api, end := exampleAPI()
	defer end()
	ctx := context.Background()

	for message, err := range api.Messages.All(ctx, 1, classic.MessageListOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(message.Author.Type, message.Body)
	}
	message, err := api.Messages.Create(ctx, 1, classic.MessageCreateRequest{
		Type:    classic.MessageTypeChat,
		Body:    "Shall we talk?",
		Buttons: []classic.Button{classic.ReplyButton("Yes"), classic.ReplyButton("No")},
	})
	if errors.Is(err, drift.ErrAmbiguous) {
		log.Fatal("look at the messages before you send it again")
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(message.ID)
	// Output:
	// contact Hello
	// user Hi!
	// 3
}

func ExampleAttachmentsService() {
	api, end := exampleAPI()
	defer end()

	var file bytes.Buffer // or an *os.File
	err := api.Attachments.Download(context.Background(), 9, &file)
	var broken *drift.TransportError
	if errors.As(err, &broken) {
		log.Fatalf("only %d bytes arrived", broken.Written)
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(file.String())
	// Output: %PDF-1.7
}

func ExampleAccountsService() {
	api, end := exampleAPI()
	defer end()

	accounts, err := drift.Collect(api.Accounts.All(context.Background(), classic.AccountListOptions{}), 0)
	if err != nil {
		log.Fatal(err)
	}
	for _, account := range accounts {
		fmt.Println(account.AccountID, account.Name)
	}
	// Output: 1_acme.example Acme
}

func ExamplePlaybooksService() {
	api, end := exampleAPI()
	defer end()

	playbooks, err := api.Playbooks.List(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(playbooks[0].ID, playbooks[0].Name)
	// Output: 5 Welcome
}

func ExampleTeamsService() {
	api, end := exampleAPI()
	defer end()

	teams, err := api.Teams.List(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(teams[0].Name, teams[0].Members)
	// Output: Sales [7 8]
}

func ExampleAppService() {
	api, end := exampleAPI()
	defer end()

	info, err := api.App.TokenInfo(context.Background(), drift.Secret("example-token"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.OrgID(), info.ExpiresIn, info.Scopes())
	// Output: 123 2h0m0s [contact_read]
}

func ExampleGDPRService() {
	api, end := exampleAPI()
	defer end()

	deletion, err := api.GDPR.Delete(context.Background(), "grace@example.com") // for good
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(deletion.Message)
	// Output: Your delete is processing
}

func ExampleSCIMService() {
	api, end := exampleAPI()
	defer end()

	user, err := api.SCIM.UpdateUser(context.Background(), "7", classic.SCIMUserUpdateRequest{Active: drift.Set(false)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user.UserName, user.Active)
	// Output: ann@example.com false
}

func ExampleReportsService() {
	api, end := exampleAPI()
	defer end()

	report, err := api.Reports.Conversations(context.Background(), classic.ReportRequest{
		Filters: []classic.ReportFilter{{
			Property: "updatedAt", Operation: classic.ReportOperationBetween, Values: []any{"2026-01-01", "2026-01-31"},
		}},
		Metrics: []string{"numAgentMessages", "timeToCloseMillis"},
	})
	if err != nil {
		log.Fatal(err)
	}
	messages, _ := report.Rows[0].Metrics[0].Int64()
	_, closed := report.Rows[0].Metrics[1].Int64()
	fmt.Println(messages, closed)
	// Output: 12 false
}
