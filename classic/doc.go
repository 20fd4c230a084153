// Package classic is a client for the API that Drift documents at devdocs.drift.com: contacts, users, meetings,
// conversations, messages, attachments, accounts, playbooks, teams, SCIM and reports, 49 operations in all. It calls
// through a [drift.Client], with the same token, limits, retries, hooks and errors.
//
//	client, err := drift.NewClient(drift.WithToken(os.Getenv("DRIFT_TOKEN")))
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	api := classic.New(client)
//
//	open := classic.ConversationListOptions{
//		Statuses: []classic.ConversationStatus{classic.ConversationStatusOpen},
//	}
//	for conversation, err := range api.Conversations.All(ctx, open) {
//		if err != nil {
//			return err
//		}
//		for message, err := range api.Messages.All(ctx, conversation.ID, classic.MessageListOptions{}) {
//			…
//		}
//	}
//
// # Which API
//
// Drift has two. Programs of today call this one: its paths have no version, its names are in camelCase, and Drift
// describes most of its answers. Package drift is the v2 catalogue, which names 34 operations without their bodies; it
// can change what this API cannot, such as the assignee and the labels of a conversation. Both speak of the same
// records, so their ids have the same types, and both take their calls from the same limits. A program may use both
// through one drift.Client.
//
// # Calls
//
// Everything in the documentation of package drift holds here: contexts, [drift.CallOption], views, [drift.Page],
// [drift.Collect], [drift.RecordError], [drift.PageError], [drift.Optional] and the errors. In errors, logs and hooks
// the operations have names such as "classic.contacts.get".
//
// Methods that return a list without pages return it whole. If some of its records do not decode, they return the
// others together with an error that [drift.RecordErrors] splits.
//
// A write whose fate is unknown is a [*drift.AmbiguousError]. The API takes no key of the writer's, so its ClientID is
// always empty. App.TokenInfo and the reports are sent by POST, but only read, and are retried like a GET.
//
// Tokens come from [drift.OAuthConfig], as for package drift.
//
// # Records
//
// encoding/json of a record gives the API's own names and units. Every record, and every object in one, keeps unknown
// members in Extra. Free maps, such as the attributes of a contact, keep every key as it is, with numbers as
// json.Number. Instants are time.Time in UTC. A missing member, null and the zero value are the same.
//
// A record that has an id is rejected without one, so that no foreign object passes for it. The answers to a timeline
// event and to the GDPR calls have none: any object is one of those, because an error would look as if the call had
// failed.
//
// # Operations
//
//   - [ContactsService.Create]: POST contacts
//   - [ContactsService.Get]: GET contacts/{contactId}
//   - [ContactsService.ListByEmail]: GET contacts
//   - [ContactsService.ListByExternalID]: GET contacts
//   - [ContactsService.Update]: PATCH contacts/{contactId}
//   - [ContactsService.UpdateByExternalID]: PATCH contacts/normalize
//   - [ContactsService.Delete]: DELETE contacts/{contactId}
//   - [ContactsService.Unsubscribe]: POST emails/unsubscribe
//   - [ContactsService.CreateTimelineEvent]: POST contacts/timeline
//   - [ContactsService.ListAttributes]: GET contacts/attributes
//   - [ContactsService.ListTags]: GET contacts/{contactId}/tags
//   - [ContactsService.AddTags]: POST contacts/{contactId}/tags
//   - [ContactsService.RemoveTag]: DELETE contacts/{contactId}/tags/{tagName}
//   - [ContactsService.RemoveTags]: POST contacts/{contactId}/tags/delete/_bulk
//   - [UsersService.List]: GET users/list
//   - [UsersService.Get]: GET users/{userId}
//   - [UsersService.GetMany]: GET users
//   - [UsersService.Update]: PATCH users/update
//   - [MeetingsService.List]: GET users/meetings/org
//   - [ConversationsService.List], [ConversationsService.All]: GET conversations/list
//   - [ConversationsService.Get]: GET conversations/{conversationId}
//   - [ConversationsService.Create]: POST conversations/new
//   - [ConversationsService.Stats]: GET conversations/stats
//   - [ConversationsService.GetTranscript]: GET conversations/{conversationId}/transcript
//   - [ConversationsService.GetJSONTranscript]: GET conversations/{conversationId}/json_transcript
//   - [MessagesService.List], [MessagesService.All]: GET conversations/{conversationId}/messages
//   - [MessagesService.Create]: POST conversations/{conversationId}/messages
//   - [AttachmentsService.Download]: GET attachments/{attachmentId}/data
//   - [AccountsService.Create]: POST accounts/create
//   - [AccountsService.Get]: GET accounts/{accountId}
//   - [AccountsService.List], [AccountsService.All]: GET accounts
//   - [AccountsService.Update]: PATCH accounts/update
//   - [AccountsService.Delete]: DELETE accounts/{accountId}
//   - [PlaybooksService.List]: GET playbooks/list
//   - [PlaybooksService.ListLandingPages]: GET playbooks/clp
//   - [TeamsService.List]: GET teams/org
//   - [TeamsService.ListByUser]: GET teams/users/{userId}
//   - [AppService.Uninstall]: POST app/uninstall
//   - [AppService.TokenInfo]: POST app/token_info
//   - [GDPRService.Retrieve]: POST gdpr/retrieve
//   - [GDPRService.Delete]: POST gdpr/delete
//   - [SCIMService.ListUsers], [SCIMService.AllUsers]: GET scim/Users
//   - [SCIMService.GetUser]: GET scim/Users/{scimUserId}
//   - [SCIMService.CreateUser]: POST scim/Users
//   - [SCIMService.ReplaceUser]: PUT scim/Users/{scimUserId}
//   - [SCIMService.UpdateUser]: PATCH scim/Users/{scimUserId}
//   - [SCIMService.DeleteUser]: DELETE scim/Users/{scimUserId}
//   - [ReportsService.Conversations]: POST reports/conversations
//   - [ReportsService.ConversationSummary]: POST reports/conversation-summary
//
// # Assumptions
//
// Nothing here was tried against the live service, which is being shut down. The operations come from Drift's own pages
// and from programs that ran against the service. Some facts rest on one secondary source only (confidence C):
//
//   - the shape of the answers to conversations.getJSONTranscript, contacts.addTags and gdpr.retrieve
//   - teams.listByUser, and the field teamCsatEnabled of a team
//   - at most 65 accounts and 1000 meetings in one answer; contacts.delete answers 202
//   - conversations.list pages by pagination.next if an answer has no links
//
// Some are inferences (confidence D):
//
//   - an account's id is that of the company in package drift
//   - of a list, the last message is the created one
//   - null clears an attribute of a contact
//   - "ok": false in an answer means that the call failed
//   - a bare NaN in a report means that there is no number
//   - texts and files are asked for with Accept: */*
//   - the scopes of teams, SCIM and reports
//
// Each stands in one place of the code. docs/wire-format.md has them all.
package classic
