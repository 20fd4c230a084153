// Package drift is a client for the Drift conversational-marketing API: conversations, messages, contacts, notes, tags,
// meetings, companies and the Driftbot, 34 operations in all.
//
//	client, err := drift.NewClient(drift.WithToken(os.Getenv("DRIFT_TOKEN")), drift.WithPlan(drift.PlanProfessional))
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
// A [Client] is safe for concurrent use. Its services are interfaces; every method takes a context, which is obeyed in every
// wait, and [CallOption] values such as [WithTimeout]. Requests and ids are values, records are pointers.
//
// # Fields
//
// What is left zero in a request is not sent. Fields of an update are [Optional]: the zero value leaves a field alone, [Set]
// gives it a value, [Null] clears it. Instants are time.Time in UTC, durations time.Duration of whole minutes. A record keeps
// fields that it does not know in Extra, enums keep values that they do not know, and every record goes through
// encoding/json and back unchanged.
//
// # Lists
//
// List returns one [Page], All a sequence that reads page by page:
//
//	for contact, err := range client.Contacts.All(ctx, drift.ContactListOptions{Tags: []string{"vip"}}) {
//		if err != nil {
//			return err // a *PageError, whose Cursor is where to resume, or a *RecordError
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
// Errors are typed, and match sentinels by errors.Is: [*ValidationError] was refused before sending, [*APIError] is the
// service's answer, [*RateLimitError] and [*QuotaError] are limits, [*TransportError] is a call without a usable
// answer, [*DecodeError] is JSON that does not fit, [*RecordError] is one record of a list that does not decode. A
// write that may have been applied is an [*AmbiguousError] around one of them. No error text has a URL, a query, a
// token or a body in it.
//
// # Retries
//
// A call makes at most three attempts, and one more for a new token, with random delays that double from 500 ms to 20 s. It
// never outlasts its context.
//
//   - Nothing was sent: every call again, unless the name does not exist or the certificate is bad.
//   - Sent without an answer, or the answer broke off: GET and DELETE again; POST, PATCH and PUT not, an [*AmbiguousError] tells.
//   - 408, 500, 502, 503, 504: likewise.
//   - 429: every call again, after Retry-After; beyond 60 s or the deadline a [*RateLimitError] at once.
//   - 401, or 403 of type authentication_error: once more, if the token source has another token.
//   - Everything else: not again.
//
// [WithIdempotent] makes a POST or PATCH repeatable, [WithoutRetry] sends a call once, [WithRetryPolicy] changes the numbers. A DELETE that
// is repeated and meets 404 has succeeded. A budget per client keeps an outage from being tripled.
//
// # Limits
//
// No more than 100 attempts go out in any 60 seconds as the service counts them: a slot comes back a minute after its attempt
// was answered. A 429, and a 503 with a Retry-After, stops every caller of the client until then. [WithPlan] refuses calls beyond the month's
// number before they are sent. Both count every attempt.
//
// # The wire
//
// The product's catalogue names operations and parameters, and shows no bodies, units or paging. This package fills the gaps
// with the conventions of Drift's documented classic API, and accepts the plausible alternatives when it reads:
//
//   - Names are snake_case; answers may be camelCase. Objects and lists stand under "data", or bare.
//   - Instants are milliseconds, or RFC 3339 in answers. Meeting durations are minutes. Ids are numbers, or numeric strings.
//   - Lists take limit (1 to 100) and next, and answer with pagination.next or links.next, of which only the cursor is used.
//   - A list in a query repeats its key; custom attributes in a query are custom_attributes[key]=value.
//   - matchEmail takes the address as the query parameter email, and no such contact is a 404.
//   - 402, or a 403 or 429 whose type speaks of a quota, means that the month is used up.
//   - X-Request-Id, where there is one, names a request.
//
// These are assumptions: the service is being wound down, and no call of this package has been made against it.
package drift

import "github.com/driftsdk/drift/internal/rest"

// userAgent names the SDK to the service.
const userAgent = "drift-go"

// Operation is an operation of the API. Errors, logs, hooks and metrics name it by these labels.
type Operation struct {
	Name     string // such as "conversations.get"
	Method   string
	Template string // of the path below the base URL, such as "v2/conversations/{conversationId}"
}

// Operations returns the operations that the services of a [Client] serve, by service.
func Operations() []Operation {
	var operations []Operation
	for _, route := range []*rest.Route{
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
	} {
		operations = append(operations, Operation{route.Name, route.Method, route.Path})
	}
	return operations
}
