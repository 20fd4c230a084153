package drifttest

import "net/http"

// classicOperations are the operations of the classic API, in the order of its table. The token endpoint, the last one
// there, is among the endpoints.
var classicOperations = [...]operation{
	{
		name: "classic.contacts.create", method: http.MethodPost, path: "contacts",
		body:   "attributes",
		handle: (*store).classicCreateContact,
	},
	{
		name: "classic.contacts.get", method: http.MethodGet, path: "contacts/{contactId}",
		handle: (*store).classicGetContact,
	},
	{
		name: "classic.contacts.listByEmail", method: http.MethodGet, path: "contacts",
		query:  "email limit",
		rules:  addressRules,
		handle: (*store).classicContactsByEmail,
	},
	{
		name: "classic.contacts.listByExternalId", method: http.MethodGet, path: "contacts", needs: "idType",
		query:  "id idType limit",
		rules:  rules{required: []string{"id"}},
		handle: (*store).classicContactsByExternalID,
	},
	{
		name: "classic.contacts.update", method: http.MethodPatch, path: "contacts/{contactId}",
		body:   "attributes",
		handle: (*store).classicUpdateContact,
	},
	{
		name: "classic.contacts.updateByExternalId", method: http.MethodPatch, path: "contacts/normalize",
		query: "id idType", body: "attributes",
		kinds:  map[string]kind{"id": kindAddress},
		rules:  rules{required: []string{"id", "idType"}},
		handle: (*store).classicUpdateContactByExternalID,
	},
	{
		name: "classic.contacts.delete", method: http.MethodDelete, path: "contacts/{contactId}",
		handle: (*store).classicDeleteContact,
	},
	{
		name: "classic.contacts.unsubscribe", method: http.MethodPost, path: "emails/unsubscribe",
		body:   "[email]",
		kinds:  map[string]kind{"body": kindAddresses},
		handle: (*store).classicUnsubscribe,
	},
	{
		name: "classic.contacts.createTimelineEvent", method: http.MethodPost, path: "contacts/timeline",
		body:   "contactId createdAt event externalId",
		rules:  rules{required: []string{"event"}},
		handle: (*store).classicCreateTimelineEvent,
	},
	{
		name: "classic.contacts.listAttributes", method: http.MethodGet, path: "contacts/attributes",
		handle: (*store).classicListAttributes,
	},
	{
		name: "classic.contacts.listTags", method: http.MethodGet, path: "contacts/{contactId}/tags",
		handle: (*store).classicListTags,
	},
	{
		name: "classic.contacts.addTags", method: http.MethodPost, path: "contacts/{contactId}/tags",
		body:   "[{color name}]",
		kinds:  map[string]kind{"body": kindTags},
		handle: (*store).classicAddTags,
	},
	{
		name: "classic.contacts.removeTag", method: http.MethodDelete, path: "contacts/{contactId}/tags/{tagName}",
		handle: (*store).classicRemoveTag,
	},
	{
		name: "classic.contacts.removeTags", method: http.MethodPost, path: "contacts/{contactId}/tags/delete/_bulk",
		body:   "[name]",
		kinds:  map[string]kind{"body": kindNames},
		handle: (*store).classicRemoveTags,
	},
	{
		name: "classic.users.list", method: http.MethodGet, path: "users/list",
		handle: (*store).classicListUsers,
	},
	{
		name: "classic.users.get", method: http.MethodGet, path: "users/{userId}",
		handle: (*store).classicGetUser,
	},
	{
		name: "classic.users.getMany", method: http.MethodGet, path: "users",
		query:  "userId",
		kinds:  map[string]kind{"userId": kindUserIDs},
		rules:  rules{required: []string{"userId"}},
		handle: (*store).classicGetUsers,
	},
	{
		name: "classic.users.update", method: http.MethodPatch, path: "users/update",
		query: "userId", body: "alias availability avatarUrl email locale name phone",
		rules:  rules{required: []string{"userId"}},
		handle: (*store).classicUpdateUser,
	},
	{
		name: "classic.meetings.list", method: http.MethodGet, path: "users/meetings/org",
		query:  "limit max_start_time min_start_time",
		kinds:  map[string]kind{"limit": kindMeetingPage},
		handle: (*store).classicListMeetings,
	},
	{
		name: "classic.conversations.list", method: http.MethodGet, path: "conversations/list",
		query:  "limit page_token statusId",
		handle: (*store).classicListConversations,
	},
	{
		name: "classic.conversations.get", method: http.MethodGet, path: "conversations/{conversationId}",
		handle: (*store).classicGetConversation,
	},
	{
		name: "classic.conversations.create", method: http.MethodPost, path: "conversations/new",
		body:   "email message.attributes message.body",
		rules:  rules{required: []string{"email", "message"}},
		handle: (*store).classicCreateConversation,
	},
	{
		name: "classic.conversations.stats", method: http.MethodGet, path: "conversations/stats",
		handle: (*store).classicStats,
	},
	{
		name: "classic.conversations.getTranscript", method: http.MethodGet,
		path: "conversations/{conversationId}/transcript",
		raw:  true, handle: (*store).classicTranscript,
	},
	{
		name: "classic.conversations.getJSONTranscript", method: http.MethodGet,
		path:   "conversations/{conversationId}/json_transcript",
		handle: (*store).classicJSONTranscript,
	},
	{
		name: "classic.messages.list", method: http.MethodGet, path: "conversations/{conversationId}/messages",
		query:  "next",
		handle: (*store).classicListMessages,
	},
	{
		name: "classic.messages.create", method: http.MethodPost, path: "conversations/{conversationId}/messages",
		body:   "body buttons editType editedMessageId type userId",
		kinds:  map[string]kind{"body": kindText},
		rules:  rules{required: []string{"type"}},
		handle: (*store).classicCreateMessage,
	},
	{
		name: "classic.attachments.download", method: http.MethodGet, path: "attachments/{attachmentId}/data",
		raw: true, handle: (*store).classicDownload,
	},
	{
		name: "classic.accounts.create", method: http.MethodPost, path: "accounts/create",
		body:   "customProperties domain name ownerId targeted",
		rules:  rules{required: []string{"ownerId"}},
		handle: (*store).classicCreateAccount,
	},
	{
		name: "classic.accounts.get", method: http.MethodGet, path: "accounts/{accountId}",
		handle: (*store).classicGetAccount,
	},
	{
		name: "classic.accounts.list", method: http.MethodGet, path: "accounts",
		query:  "index size",
		kinds:  map[string]kind{"size": kindAccountPage},
		handle: (*store).classicListAccounts,
	},
	{
		name: "classic.accounts.update", method: http.MethodPatch, path: "accounts/update",
		body:   "accountId customProperties domain name ownerId targeted",
		rules:  rules{required: []string{"accountId", "ownerId"}},
		handle: (*store).classicUpdateAccount,
	},
	{
		name: "classic.accounts.delete", method: http.MethodDelete, path: "accounts/{accountId}",
		handle: (*store).classicDeleteAccount,
	},
	{
		name: "classic.playbooks.list", method: http.MethodGet, path: "playbooks/list",
		handle: (*store).classicListPlaybooks,
	},
	{
		name: "classic.playbooks.listLandingPages", method: http.MethodGet, path: "playbooks/clp",
		handle: (*store).classicListLandingPages,
	},
	{
		name: "classic.teams.list", method: http.MethodGet, path: "teams/org",
		handle: (*store).classicListTeams,
	},
	{
		name: "classic.teams.listByUser", method: http.MethodGet, path: "teams/users/{userId}",
		handle: (*store).classicListTeams,
	},
	{
		name: uninstall, method: http.MethodPost, path: "app/uninstall",
		query: "clientId clientSecret",
		rules: rules{required: []string{"clientId", "clientSecret"}},
		serve: (*Server).uninstall,
	},
	{
		name: tokenInfo, method: http.MethodPost, path: "app/token_info",
		body:  "access_token",
		rules: rules{required: []string{"access_token"}},
		serve: (*Server).tokenInfo,
	},
	{
		name: "classic.gdpr.retrieve", method: http.MethodPost, path: "gdpr/retrieve",
		body:   "email",
		rules:  addressRules,
		handle: (*store).classicRetrieve,
	},
	{
		name: "classic.gdpr.delete", method: http.MethodPost, path: "gdpr/delete",
		body:   "email",
		rules:  addressRules,
		handle: (*store).classicErase,
	},
	{
		name: "classic.scim.listUsers", method: http.MethodGet, path: "scim/Users",
		query:  "count filter startIndex",
		handle: (*store).scimList,
	},
	{
		name: "classic.scim.getUser", method: http.MethodGet, path: "scim/Users/{scimUserId}",
		handle: (*store).scimGet,
	},
	{
		name: "classic.scim.createUser", method: http.MethodPost, path: "scim/Users",
		body:   "active displayName emails locale name phoneNumbers roles schemas userName",
		kinds:  scimKinds,
		rules:  scimRules,
		handle: (*store).scimCreate,
	},
	{
		name: "classic.scim.replaceUser", method: http.MethodPut, path: "scim/Users/{scimUserId}",
		body:   "active displayName emails locale name phoneNumbers roles schemas userName",
		kinds:  scimKinds,
		rules:  scimRules,
		handle: (*store).scimReplace,
	},
	{
		name: "classic.scim.updateUser", method: http.MethodPatch, path: "scim/Users/{scimUserId}",
		body:   "active displayName emails isActive locale name phoneNumbers roles schemas userName",
		kinds:  scimKinds,
		handle: (*store).scimUpdate,
	},
	{
		name: "classic.scim.deleteUser", method: http.MethodDelete, path: "scim/Users/{scimUserId}",
		handle: (*store).scimDelete,
	},
	{
		name: "classic.reports.conversations", method: http.MethodPost, path: "reports/conversations",
		body:   "filters.operation filters.property filters.values metrics",
		kinds:  map[string]kind{"metrics": kindTexts},
		rules:  rules{required: []string{"metrics"}},
		handle: (*store).classicReport,
	},
	{
		name: "classic.reports.conversationSummary", method: http.MethodPost, path: "reports/conversation-summary",
		body:   "filters.operation filters.property filters.values metrics.property metrics.type",
		kinds:  map[string]kind{"metrics": kindAggregates},
		rules:  rules{required: []string{"metrics"}},
		handle: (*store).classicSummary,
	},
}

// These operations carry secrets outside of the Authorization header.
const (
	tokenInfo = "classic.app.tokenInfo"
	uninstall = "classic.app.uninstall"
)

var (
	scimKinds = map[string]kind{"name": kindPersonName}
	scimRules = rules{required: []string{"displayName", "userName"}}
)
