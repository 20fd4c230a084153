package drift

import "net/http"

// operation is an operation of the catalogue, an index into routes.
type operation int

const (
	conversationsGet operation = iota
	conversationsCreate
	conversationsCreateFromScratch
	conversationsUpdate
	conversationsDelete
	conversationsList
	conversationsListByStatus
	messagesGet
	messagesCreate
	messagesUpdate
	contactsGet
	contactsCreate
	contactsUpsertByEmail
	contactsUpdate
	contactsDelete
	contactsList
	contactsMatchEmail
	notesGet
	notesCreate
	notesUpdate
	tagsGet
	tagsCreate
	tagsUpdate
	tagsDelete
	companiesListPeople
	companiesListTeams
	meetingsGet
	meetingsCreate
	meetingsUpdate
	meetingsDelete
	meetingsList
	meetingsAddParticipant
	driftbotUpdateMessage
	driftbotTrigger
)

// route is how an operation is called. Errors, logs and hooks name it by name and path, never by the URL.
type route struct {
	name   string
	method string
	path   string // relative to the base URL, with {parameters}
}

var routes = [...]route{
	conversationsGet:               {"conversations.get", http.MethodGet, "v2/conversations/{conversationId}"},
	conversationsCreate:            {"conversations.create", http.MethodPost, "v2/conversations"},
	conversationsCreateFromScratch: {"conversations.createFromScratch", http.MethodPost, "v2/conversations/create"},
	conversationsUpdate:            {"conversations.update", http.MethodPatch, "v2/conversations/{conversationId}"},
	conversationsDelete:            {"conversations.delete", http.MethodDelete, "v2/conversations/{conversationId}"},
	conversationsList:              {"conversations.list", http.MethodGet, "v2/conversations"},
	conversationsListByStatus:      {"conversations.listByStatus", http.MethodGet, "v2/conversations/status/{status}"},
	messagesGet:                    {"messages.get", http.MethodGet, "v2/conversations/{conversationId}/messages/{messageId}"},
	messagesCreate:                 {"messages.create", http.MethodPost, "v2/conversations/{conversationId}/messages"},
	messagesUpdate:                 {"messages.update", http.MethodPatch, "v2/conversations/{conversationId}/messages/{messageId}"},
	contactsGet:                    {"contacts.get", http.MethodGet, "v2/contacts/{contactId}"},
	contactsCreate:                 {"contacts.create", http.MethodPost, "v2/contacts"},
	contactsUpsertByEmail:          {"contacts.upsertByEmail", http.MethodPost, "v2/contacts/raw"},
	contactsUpdate:                 {"contacts.update", http.MethodPatch, "v2/contacts/{contactId}"},
	contactsDelete:                 {"contacts.delete", http.MethodDelete, "v2/contacts/{contactId}"},
	contactsList:                   {"contacts.list", http.MethodGet, "v2/contacts"},
	contactsMatchEmail:             {"contacts.matchEmail", http.MethodGet, "v2/contacts/match-email"},
	notesGet:                       {"notes.get", http.MethodGet, "v2/conversations/{conversationId}/timeline/notes/{noteId}"},
	notesCreate:                    {"notes.create", http.MethodPost, "v2/conversations/{conversationId}/timeline/notes"},
	notesUpdate:                    {"notes.update", http.MethodPatch, "v2/conversations/{conversationId}/timeline/notes/{noteId}"},
	tagsGet:                        {"tags.get", http.MethodGet, "v2/tags/{tagId}"},
	tagsCreate:                     {"tags.create", http.MethodPost, "v2/tags"},
	tagsUpdate:                     {"tags.update", http.MethodPatch, "v2/tags/{tagId}"},
	tagsDelete:                     {"tags.delete", http.MethodDelete, "v2/tags/{tagId}"},
	companiesListPeople:            {"companies.listPeople", http.MethodGet, "v2/companies/{companyId}/people"},
	companiesListTeams:             {"companies.listTeams", http.MethodGet, "v2/companies/{companyId}/teams"},
	meetingsGet:                    {"meetings.get", http.MethodGet, "v2/meetings/{meetingId}"},
	meetingsCreate:                 {"meetings.create", http.MethodPost, "v2/meetings"},
	meetingsUpdate:                 {"meetings.update", http.MethodPatch, "v2/meetings/{meetingId}"},
	meetingsDelete:                 {"meetings.delete", http.MethodDelete, "v2/meetings/{meetingId}"},
	meetingsList:                   {"meetings.list", http.MethodGet, "v2/meetings"},
	meetingsAddParticipant:         {"meetings.addParticipant", http.MethodPost, "v2/meetings/{meetingId}/participants"},
	driftbotUpdateMessage:          {"driftbot.updateMessage", http.MethodPatch, "v2/conversations/{conversationId}/driftbot"},
	driftbotTrigger:                {"driftbot.trigger", http.MethodPost, "v2/conversations/{conversationId}/driftbot/trigger"},
}
