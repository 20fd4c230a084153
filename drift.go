// Package drift is a client for the Drift conversational-marketing API: conversations, messages, contacts, notes, tags,
// meetings, companies and the Driftbot, 34 operations in all.
//
//	client, err := drift.NewClient(
//		drift.WithToken(os.Getenv("DRIFT_TOKEN")),
//		drift.WithPlan(drift.PlanProfessional),
//	)
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//
//	conversation, err := client.Conversations.Get(ctx, 42)
//	if errors.Is(err, drift.ErrNotFound) {
//		return nil
//	}
//
// A [Client] is safe for concurrent use. Its services are interfaces. Every method takes a context, which ends every
// wait, and [CallOption] values such as [WithTimeout]. Requests and ids are values, records are pointers.
//
// Package [github.com/driftsdk/drift/classic] has the API that Drift documents, and calls through a Client of this
// package.
//
// # Fields
//
// Zero fields of a request are not sent. The fields of an update are [Optional]: the zero value leaves a field
// unchanged, [Set] sets it, and [Null] clears it. Instants are time.Time in UTC, and durations are time.Duration in
// whole minutes. Records keep unknown fields in Extra, enums keep unknown values, and every record survives a round
// trip through encoding/json unchanged.
//
// # Lists
//
// List returns one [Page]. All returns a sequence that reads page by page:
//
//	vips := drift.ContactListOptions{Tags: []string{"vip"}}
//	for contact, err := range client.Contacts.All(ctx, vips) {
//		if err != nil {
//			return err // a *RecordError, or a *PageError, whose Cursor resumes the list
//		}
//		…
//	}
//
// If a record does not decode, All yields a [*RecordError] in its place; continue the loop to get the other records.
// List returns the page together with these errors, and [RecordErrors] returns them one by one. A sequence holds one
// page at a time, and ranging over it again starts over. [Collect] reads it into a slice. For endpoints without a
// method, use [ListOf] and [Paginate].
//
// # Errors
//
// Errors have types, and match sentinels under errors.Is:
//
//   - [*ValidationError]: the client rejected the call before sending it.
//   - [*APIError]: the service answered with an error.
//   - [*RateLimitError], [*QuotaError]: a limit stopped the call.
//   - [*TransportError]: the call got no usable answer.
//   - [*DecodeError]: the answer's JSON does not fit.
//   - [*RecordError]: one record of a list does not decode.
//   - [*AmbiguousError]: a write failed but may have been applied. It wraps one of the others.
//
// The text of an error says what failed and what to do. It contains no path, query, token or body. [KindOf] returns the
// kind of an error for a metric, and [ErrorAttr] its attribute for a log.
//
// # Retries
//
// A call makes at most three attempts, plus one with a new token. The delays between them are random, and their upper
// bound doubles from 500 ms to 20 s. A call never outlasts its context.
//
//   - Nothing was sent: the client retries every call, unless the host does not exist or its certificate is bad.
//   - The request was sent, but the answer is missing or broke off: the client retries GET and DELETE. POST, PATCH and
//     PUT fail with an [*AmbiguousError].
//   - 408, 500, 502, 503, 504: the same.
//   - 429: the client retries every call after Retry-After. If that is more than 60 s or past the deadline, the call
//     fails at once with a [*RateLimitError].
//   - 401, or 403 of type authentication_error: the client retries once if the token source has another token.
//   - Everything else: the client does not retry.
//
// [WithIdempotent] makes a POST or PATCH retryable, [WithoutRetry] turns retries off, and [WithRetryPolicy] changes the
// numbers. A retried DELETE that gets a 404 of the API has succeeded. A retry budget per client limits the extra load
// on a service that is failing.
//
// # Limits
//
// At most 100 attempts go out in any 60 seconds, as the service counts them: an attempt's slot is free again a minute
// after its answer. A 429, or a 503 with Retry-After, pauses every call of the client for that time. With [WithPlan],
// the client rejects calls beyond the plan's monthly number without sending them. Both limits count every attempt.
//
// # The wire
//
// Drift's catalogue lists operations and parameters, but no bodies, units or paging. This package fills the gaps with
// the conventions of Drift's documented classic API, and accepts plausible alternatives in answers:
//
//   - Names are snake_case; answers may use camelCase. Objects and lists are under "data", or bare.
//   - Instants are milliseconds; answers may use RFC 3339. Meeting durations are minutes. Ids are numbers or numeric
//     strings.
//   - Lists take the parameters limit (1 to 100) and next. The next cursor is in pagination.next, or in the query of
//     links.next.
//   - A list in a query repeats its key. Custom attributes in a query are custom_attributes[key]=value.
//   - matchEmail takes the address in the query parameter email, and answers 404 if no contact has it.
//   - 402, or a 403 or 429 whose type or code contains "quota", means that the month's calls are used up.
//   - X-Request-Id, if present, identifies a request.
//
// These are assumptions: the service is being wound down, and this package has never been run against it.
//
// # Operations
//
//   - [ConversationsService.Get]: GET v2/conversations/{conversationId}
//   - [ConversationsService.Create]: POST v2/conversations
//   - [ConversationsService.CreateFromScratch]: POST v2/conversations/create
//   - [ConversationsService.Update]: PATCH v2/conversations/{conversationId}
//   - [ConversationsService.Delete]: DELETE v2/conversations/{conversationId}
//   - [ConversationsService.List], [ConversationsService.All]: GET v2/conversations
//   - [ConversationsService.ListByStatus], [ConversationsService.AllByStatus]: GET v2/conversations/status/{status}
//   - [MessagesService.Get]: GET v2/conversations/{conversationId}/messages/{messageId}
//   - [MessagesService.Create]: POST v2/conversations/{conversationId}/messages
//   - [MessagesService.Update]: PATCH v2/conversations/{conversationId}/messages/{messageId}
//   - [ContactsService.Get]: GET v2/contacts/{contactId}
//   - [ContactsService.Create]: POST v2/contacts
//   - [ContactsService.UpsertByEmail]: POST v2/contacts/raw
//   - [ContactsService.Update]: PATCH v2/contacts/{contactId}
//   - [ContactsService.Delete]: DELETE v2/contacts/{contactId}
//   - [ContactsService.List], [ContactsService.All]: GET v2/contacts
//   - [ContactsService.MatchEmail]: GET v2/contacts/match-email
//   - [NotesService.Get]: GET v2/conversations/{conversationId}/timeline/notes/{noteId}
//   - [NotesService.Create]: POST v2/conversations/{conversationId}/timeline/notes
//   - [NotesService.Update]: PATCH v2/conversations/{conversationId}/timeline/notes/{noteId}
//   - [TagsService.Get]: GET v2/tags/{tagId}
//   - [TagsService.Create]: POST v2/tags
//   - [TagsService.Update]: PATCH v2/tags/{tagId}
//   - [TagsService.Delete]: DELETE v2/tags/{tagId}
//   - [CompaniesService.ListPeople], [CompaniesService.AllPeople]: GET v2/companies/{companyId}/people
//   - [CompaniesService.ListTeams], [CompaniesService.AllTeams]: GET v2/companies/{companyId}/teams
//   - [MeetingsService.Get]: GET v2/meetings/{meetingId}
//   - [MeetingsService.Create]: POST v2/meetings
//   - [MeetingsService.Update]: PATCH v2/meetings/{meetingId}
//   - [MeetingsService.Delete]: DELETE v2/meetings/{meetingId}
//   - [MeetingsService.List], [MeetingsService.All]: GET v2/meetings
//   - [MeetingsService.AddParticipant]: POST v2/meetings/{meetingId}/participants
//   - [DriftbotService.UpdateMessage]: PATCH v2/conversations/{conversationId}/driftbot
//   - [DriftbotService.Trigger]: POST v2/conversations/{conversationId}/driftbot/trigger
package drift

import (
	"slices"

	"github.com/driftsdk/drift/internal/door"
	"github.com/driftsdk/drift/internal/rest"
)

// userAgent identifies the SDK to the service.
const userAgent = "drift-go"

// Operation is an operation of the API. Errors, logs, hooks and metrics use its fields as labels.
type Operation struct {
	Name     string // such as "conversations.get"
	Method   string
	Template string // path below the base URL, such as "v2/conversations/{conversationId}"
}

// Operations returns the operations of all services of a [Client], grouped by service. In a program that imports package
// classic, as drifttest does, the operations of that package follow; their names begin with "classic.".
func Operations() []Operation {
	var operations []Operation
	for _, route := range slices.Concat([]*rest.Route{
		&conversationsGet, &conversationsCreate, &conversationsCreateFromScratch, &conversationsUpdate,
		&conversationsDelete, &conversationsList, &conversationsListByStatus,
		&messagesGet, &messagesCreate, &messagesUpdate,
		&contactsGet, &contactsCreate, &contactsUpsertByEmail, &contactsUpdate, &contactsDelete, &contactsList,
		&contactsMatchEmail,
		&notesGet, &notesCreate, &notesUpdate,
		&tagsGet, &tagsCreate, &tagsUpdate, &tagsDelete,
		&companiesListPeople, &companiesListTeams,
		&meetingsGet, &meetingsCreate, &meetingsUpdate, &meetingsDelete, &meetingsList, &meetingsAddParticipant,
		&driftbotUpdateMessage, &driftbotTrigger,
	}, door.Routes) {
		operations = append(operations, Operation{route.Name, route.Method, route.Path})
	}
	return operations
}
