package classic

import (
	"fmt"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/door"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// Client calls the classic API through a [drift.Client]. It is safe for concurrent use. Create one with [New].
//
// The services are interfaces, so a test can replace a field of a client with a mock, or build a Client from mocks
// alone: &classic.Client{Contacts: mock}.
type Client struct {
	Contacts      ContactsService
	Users         UsersService
	Meetings      MeetingsService
	Conversations ConversationsService
	Messages      MessagesService
	Attachments   AttachmentsService
	Accounts      AccountsService
	Playbooks     PlaybooksService
	Teams         TeamsService
	App           AppService
	GDPR          GDPRService
	SCIM          SCIMService
	Reports       ReportsService
}

// New returns a client that calls through client. It uses the token, the limits, the retries and the hooks of client,
// and has nothing to close: closing client closes it. New sends nothing and never returns nil. To give every call the
// same options, pass a view: classic.New(client.With(drift.WithBulk())). If client was not made by [drift.NewClient],
// every call returns an error.
func New(client *drift.Client, opts ...Option) *Client {
	c := &caller{Caller: door.Caller(client).(rest.Caller[drift.CallOption])}
	for _, o := range opts {
		if o.apply != nil {
			o.apply(c)
		}
	}
	if c.reports == nil {
		c.reports = door.Limiter(client, "reports", DefaultReportsLimit).(drift.Limiter)
	}
	return &Client{
		Contacts:      contacts{c},
		Users:         users{c},
		Meetings:      meetings{c},
		Conversations: conversations{c},
		Messages:      messages{c},
		Attachments:   attachments{c},
		Accounts:      accounts{c},
		Playbooks:     playbooks{c},
		Teams:         teams{c},
		App:           app{c},
		GDPR:          gdpr{c},
		SCIM:          scim{c},
		Reports:       reports{c},
	}
}

// Option configures a client; see [New].
type Option struct{ apply func(*caller) }

// DefaultReportsLimit is the number of reports a minute that Drift documents. It is stricter than the limit of other
// calls, which holds for reports too.
const DefaultReportsLimit = 60

// WithReportsLimiter replaces the limiter that reports pass before the one of the [drift.Client]. The default is
// [drift.NewLimiter] with [DefaultReportsLimit], which a drift.Client shares with its views. Clients that act for the
// same organization should share one. A nil limiter means the default.
func WithReportsLimiter(limiter drift.Limiter) Option {
	return Option{func(c *caller) { c.reports = limiter }}
}

// caller makes the calls of the services of one client.
type caller struct {
	rest.Caller[drift.CallOption]
	reports drift.Limiter
}

// Format keeps fmt from printing what a service holds.
func (c *caller) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("classic service")) }

// These records only have ids: no operation returns one.
type interactionRecord struct{}

// Ids of records that package drift does not know. Other ids are those of package drift, because both APIs speak of the
// same records.
type (
	AttachmentID  = drift.ID[Attachment]
	InteractionID = drift.ID[interactionRecord]

	// AccountID is the id of an account, a text such as "123458_domain.com". That it is the id of the company of
	// package drift is an assumption (confidence D).
	AccountID = drift.CompanyID
)

// The routes of all services, for drift.Operations.
var _ = door.AddRoutes(
	&contactsCreate, &contactsGet, &contactsListByEmail, &contactsListByExternalID, &contactsUpdate,
	&contactsUpdateByExternalID, &contactsDelete, &contactsUnsubscribe, &contactsCreateTimelineEvent,
	&contactsListAttributes, &contactsListTags, &contactsAddTags, &contactsRemoveTag, &contactsRemoveTags,
	&usersList, &usersGet, &usersGetMany, &usersUpdate,
	&meetingsList,
	&conversationsList, &conversationsGet, &conversationsCreate, &conversationsStats, &conversationsGetTranscript,
	&conversationsGetJSONTranscript,
	&messagesList, &messagesCreate,
	&attachmentsDownload,
	&accountsCreate, &accountsGet, &accountsList, &accountsUpdate, &accountsDelete,
	&playbooksList, &playbooksListLandingPages,
	&teamsList, &teamsListByUser,
	&appUninstall, &appTokenInfo,
	&gdprRetrieve, &gdprDelete,
	&scimListUsers, &scimGetUser, &scimCreateUser, &scimReplaceUser, &scimUpdateUser, &scimDeleteUser,
	&reportsConversations, &reportsConversationSummary,
)

const (
	errEmpty       = wire.Reason("must not be empty")
	errRequired    = wire.Reason("is required")
	errNotPositive = rest.ErrNotPositive
)

func invalid(argument string, reason wire.Reason) error {
	return &wire.ArgumentError{Argument: argument, Reason: reason}
}

// firstError returns the first error that is not nil.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// required returns an error for an id that is not greater than 0.
func required[N ~int64](argument string, id N) error {
	if id <= 0 {
		return invalid(argument, errNotPositive)
	}
	return nil
}

// checkTexts rejects an empty list, and a list with a text that is empty or cannot be sent.
func checkTexts(argument string, texts []string) error {
	if len(texts) == 0 {
		return invalid(argument, errEmpty)
	}
	for _, text := range texts {
		if err := rest.CheckText(text); err != nil {
			return &wire.ArgumentError{Argument: argument, Reason: err}
		}
	}
	return nil
}

// checkUTF8 returns an error for a request with text that is not UTF-8. The encoder of records inside a request would
// replace it.
func checkUTF8(request any) error {
	if path, valid := wire.ValidText(request); !valid {
		return invalid(path, errUTF8)
	}
	return nil
}

const errUTF8 = wire.Reason("must be valid UTF-8")
