package drifttest

import (
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// operation is one call of the catalogue: its route, the parameters that it accepts, and its effect on the store. An
// endpoint that a test handles is an operation with only a name, method and path.
type operation struct {
	name       string
	method     string
	path       string // with {parameters}
	parameters string // as the catalogue lists them, separated by spaces; kindOf knows their types
	rules      rules
	handle     func(*store, *call) (any, error)

	// Of the classic API, in place of parameters.
	query, body string          // names as its table lists them, separated by spaces
	kinds       map[string]kind // of names that mean something else in another operation
	needs       string          // a query parameter that tells this operation from another one at the same path
	raw         bool            // the answer is not JSON

	serve func(*Server, *call) (any, error) // in place of handle, for what concerns tokens

	own http.HandlerFunc // of the test
}

var operations = [...]operation{
	{
		name: "conversations.get", method: http.MethodGet, path: "v2/conversations/{conversationId}",
		handle: (*store).getConversation,
	},
	{
		name: "conversations.create", method: http.MethodPost, path: "v2/conversations",
		parameters: "background_mode labels tags users",
		handle:     (*store).createConversation,
	},
	{
		name: "conversations.createFromScratch", method: http.MethodPost, path: "v2/conversations/create",
		parameters: "assigned_user_id background_mode custom_attributes email labels tags title",
		handle:     (*store).createFromScratch,
	},
	{
		name: "conversations.update", method: http.MethodPatch, path: "v2/conversations/{conversationId}",
		parameters: "assigned_user_id custom_attributes labels tags workflow_id",
		handle:     (*store).updateConversation,
	},
	{
		name: "conversations.delete", method: http.MethodDelete, path: "v2/conversations/{conversationId}",
		handle: (*store).deleteConversation,
	},
	{
		name: "conversations.list", method: http.MethodGet, path: "v2/conversations",
		parameters: "archived assigned_user_id created_at custom_attributes deleted direction email id integration " +
			"last_activity_at last_message_sent_at labels member_count participants reply_subject " +
			"resolved_at tags title updated_at workflow_id",
		handle: (*store).listConversations,
	},
	{
		name: "conversations.listByStatus", method: http.MethodGet, path: "v2/conversations/status/{status}",
		parameters: "archived status",
		handle:     (*store).listByStatus,
	},
	{
		name: "messages.get", method: http.MethodGet, path: "v2/conversations/{conversationId}/messages/{messageId}",
		handle: (*store).getMessage,
	},
	{
		name: "messages.create", method: http.MethodPost, path: "v2/conversations/{conversationId}/messages",
		parameters: "body client_message_id conversation_id labels use_custom_avatar",
		rules:      messageRules,
		handle:     (*store).createMessage,
	},
	{
		name: "messages.update", method: http.MethodPatch,
		path:       "v2/conversations/{conversationId}/messages/{messageId}",
		parameters: "body labels reply type",
		rules:      messageRules,
		handle:     (*store).updateMessage,
	},
	{
		name: "contacts.get", method: http.MethodGet, path: "v2/contacts/{contactId}",
		handle: (*store).getContact,
	},
	{
		name: "contacts.create", method: http.MethodPost, path: "v2/contacts",
		parameters: "background_mode labels tags users",
		handle:     (*store).createContact,
	},
	{
		name: "contacts.upsertByEmail", method: http.MethodPost, path: "v2/contacts/raw",
		parameters: "email",
		rules:      addressRules,
		handle:     (*store).upsertByEmail,
	},
	{
		name: "contacts.update", method: http.MethodPatch, path: "v2/contacts/{contactId}",
		parameters: "assigned_user_id background_mode custom_attributes email labels tags",
		handle:     (*store).updateContact,
	},
	{
		name: "contacts.delete", method: http.MethodDelete, path: "v2/contacts/{contactId}",
		handle: (*store).deleteContact,
	},
	{
		name: "contacts.list", method: http.MethodGet, path: "v2/contacts",
		parameters: "background_mode custom_attributes email labels search tags workflow_id",
		handle:     (*store).listContacts,
	},
	{
		name: "contacts.matchEmail", method: http.MethodGet, path: "v2/contacts/match-email",
		parameters: "email",
		rules:      addressRules,
		handle:     (*store).matchEmail,
	},
	{
		name: "notes.get", method: http.MethodGet, path: "v2/conversations/{conversationId}/timeline/notes/{noteId}",
		handle: (*store).getNote,
	},
	{
		name: "notes.create", method: http.MethodPost, path: "v2/conversations/{conversationId}/timeline/notes",
		parameters: "body client_created_at client_id created_at tags type user",
		rules:      noteRules,
		handle:     (*store).createNote,
	},
	{
		name: "notes.update", method: http.MethodPatch,
		path:       "v2/conversations/{conversationId}/timeline/notes/{noteId}",
		parameters: "body closed created_at labels tags type",
		rules:      noteRules,
		handle:     (*store).updateNote,
	},
	{
		name: "tags.get", method: http.MethodGet, path: "v2/tags/{tagId}",
		handle: (*store).getTag,
	},
	{
		name: "tags.create", method: http.MethodPost, path: "v2/tags",
		parameters: "background_mode color description enabled name",
		rules:      tagRules,
		handle:     (*store).createTag,
	},
	{
		name: "tags.update", method: http.MethodPatch, path: "v2/tags/{tagId}",
		parameters: "background_mode color description enabled name",
		rules:      tagRules,
		handle:     (*store).updateTag,
	},
	{
		name: "tags.delete", method: http.MethodDelete, path: "v2/tags/{tagId}",
		handle: (*store).deleteTag,
	},
	{
		name: "companies.listPeople", method: http.MethodGet, path: "v2/companies/{companyId}/people",
		parameters: "scope search",
		handle:     (*store).listPeople,
	},
	{
		name: "companies.listTeams", method: http.MethodGet, path: "v2/companies/{companyId}/teams",
		parameters: "scope search",
		handle:     (*store).listTeams,
	},
	{
		name: "meetings.get", method: http.MethodGet, path: "v2/meetings/{meetingId}",
		handle: (*store).getMeeting,
	},
	{
		name: "meetings.create", method: http.MethodPost, path: "v2/meetings",
		parameters: "conversation_id created_by duration start_at updated_by",
		rules:      meetingRules,
		handle:     (*store).createMeeting,
	},
	{
		name: "meetings.update", method: http.MethodPatch, path: "v2/meetings/{meetingId}",
		parameters: "conversation_id duration ended_at location notes participant_ids start_at subject updated_by",
		rules:      meetingRules,
		handle:     (*store).updateMeeting,
	},
	{
		name: "meetings.delete", method: http.MethodDelete, path: "v2/meetings/{meetingId}",
		handle: (*store).deleteMeeting,
	},
	{
		name: "meetings.list", method: http.MethodGet, path: "v2/meetings",
		parameters: "created_after created_before created_by direction duration ended_at event_type id in_progress " +
			"location notes participant_ids participants start_after start_before start_at subject " +
			"updated_by updated_since use_precise_filters",
		handle: (*store).listMeetings,
	},
	{
		name: "meetings.addParticipant", method: http.MethodPost, path: "v2/meetings/{meetingId}/participants",
		parameters: "email first_name last_name",
		rules:      participantRules,
		handle:     (*store).addParticipant,
	},
	{
		name: "driftbot.updateMessage", method: http.MethodPatch, path: "v2/conversations/{conversationId}/driftbot",
		parameters: "body labels",
		rules:      messageRules,
		handle:     (*store).updateBotMessage,
	},
	{
		name: "driftbot.trigger", method: http.MethodPost, path: "v2/conversations/{conversationId}/driftbot/trigger",
		parameters: "action_id conversation_id payload",
		rules:      interactionRules,
		handle:     (*store).trigger,
	},
}

const (
	authorizePath = "/authorize"
	tokenPath     = "/oauth2/token"
)

// endpoint is a path outside the API, for browsers and for OAuth. It needs no access token, and limits do not apply.
type endpoint struct {
	name   string
	method string
	path   string
	handle func(*Server, *exchange) answer
}

var endpoints = [...]endpoint{
	{name: "oauth.authorize", method: http.MethodGet, path: authorizePath, handle: (*Server).showAuthorize},
	{name: "oauth.authorize", method: http.MethodPost, path: authorizePath, handle: (*Server).decideAuthorize},
	{name: oauthToken, method: http.MethodPost, path: tokenPath, handle: (*Server).token},
}

const oauthToken = "oauth.token"

func findEndpoint(method, path string) *endpoint {
	for i := range endpoints {
		if e := &endpoints[i]; e.path == path && e.method == method {
			return e
		}
	}
	return nil
}

const classicPrefix = "classic."

func (o *operation) isClassic() bool { return strings.HasPrefix(o.name, classicPrefix) }

// accepts reports whether the catalogue lists the parameter. A parameter of the path is not repeated elsewhere.
func (o *operation) accepts(name string) bool {
	return slices.Contains(strings.Fields(o.parameters), name) && !strings.Contains(o.path, "{"+name+"}")
}

func (o *operation) lists() bool { return strings.Contains(o.name, ".list") }

func (o *operation) inQuery(name string) bool {
	switch {
	case o.isClassic():
		return slices.Contains(strings.Fields(o.query), name)
	case name == "limit" || name == "next":
		return o.lists()
	}
	return o.method == http.MethodGet && o.accepts(name)
}

// inBody reports whether a body may have the member. The classic table lists the members of its objects: the member
// message is message.body and message.attributes there.
func (o *operation) inBody(name string) bool {
	if !o.isClassic() {
		return o.accepts(name)
	}
	return slices.ContainsFunc(strings.Fields(o.body), func(listed string) bool {
		first, _, _ := strings.Cut(listed, ".")
		return first == name
	})
}

func (o *operation) takesBody() bool {
	if o.isClassic() {
		return o.body != ""
	}
	return o.method == http.MethodPost || o.method == http.MethodPatch
}

// takesNull reports whether null clears a field. That it clears one of a user is not known, so the server refuses it.
func (o *operation) takesNull() bool {
	return o.method == http.MethodPatch && o.name != "classic.users.update"
}

func (o *operation) kindOf(name string) kind {
	if k, ok := o.kinds[name]; ok {
		return k
	}
	if o.isClassic() {
		return classicKindOf(name)
	}
	return kindOf(name)
}

// allOperations yields the test's handlers, the latest first, and then the operations of both APIs. The caller holds
// s.mu.
func (s *Server) allOperations() iter.Seq[*operation] {
	return func(yield func(*operation) bool) {
		for _, o := range slices.Backward(s.own) {
			if !yield(o) {
				return
			}
		}
		for _, table := range [][]operation{operations[:], classicOperations[:]} {
			for i := range table {
				if !yield(&table[i]) {
					return
				}
			}
		}
	}
}

// findOperation returns the operation of a request and the values in its path. If two templates match, as for
// v2/contacts/match-email, the one with fewer parameters wins. In a tie it is the one that needs a query parameter, and
// then the first one. The caller holds s.mu.
func (s *Server) findOperation(r *http.Request) (*operation, map[string]string, error) {
	method, path, query := r.Method, r.URL.EscapedPath(), r.URL.Query()
	var (
		best    *operation
		values  map[string]string
		allowed []string
	)
	for o := range s.allOperations() {
		found, ok := o.match(path)
		if !ok || o.needs != "" && !query.Has(o.needs) {
			continue
		}
		allowed = append(allowed, o.method)
		if o.method == method && (best == nil || o.wildness() < best.wildness()) {
			best, values = o, found
		}
	}
	if best == nil {
		return nil, nil, noOperation(method, path, allowed)
	}
	return best, values, nil
}

// wildness is greater for a template that matches more requests.
func (o *operation) wildness() int {
	wildness := 2 * strings.Count(o.path, "{")
	if o.needs != "" {
		wildness--
	}
	return wildness
}

// match compares an escaped path with the template, segment by segment.
func (o *operation) match(path string) (map[string]string, bool) {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	template := strings.Split(o.path, "/")
	if len(segments) != len(template) {
		return nil, false
	}
	values := map[string]string{}
	for i, want := range template {
		segment, err := url.PathUnescape(segments[i])
		name, isParameter := strings.CutPrefix(want, "{")
		switch {
		case err != nil || segment == "":
			return nil, false
		case isParameter:
			values[strings.TrimSuffix(name, "}")] = segment
		case segment != want:
			return nil, false
		}
	}
	return values, true
}

func noOperation(method, path string, allowed []string) error {
	if len(allowed) == 0 {
		return notFound("operation at", path)
	}
	slices.Sort(allowed)
	return &failure{
		status:  http.StatusMethodNotAllowed,
		kind:    errorType(http.StatusMethodNotAllowed),
		message: "The path does not take " + method,
		header:  http.Header{"Allow": {strings.Join(slices.Compact(allowed), ", ")}},
	}
}
