package classicmock

import (
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/driftmock"
)

// Mocks are the mocks in a client of [NewClient], under the names of the client's fields.
type Mocks struct {
	Contacts      *MockContactsService
	Users         *MockUsersService
	Meetings      *MockMeetingsService
	Conversations *MockConversationsService
	Messages      *MockMessagesService
	Attachments   *MockAttachmentsService
	Accounts      *MockAccountsService
	Playbooks     *MockPlaybooksService
	Teams         *MockTeamsService
	App           *MockAppService
	GDPR          *MockGDPRService
	SCIM          *MockSCIMService
	Reports       *MockReportsService
}

// NewClient returns a client whose services are all mocks, and the mocks themselves, on which you set expectations.
// They are checked when the test ends. The client sends nothing.
func NewClient(t driftmock.TestingT) (*classic.Client, *Mocks) {
	m := &Mocks{
		Contacts:      NewMockContactsService(t),
		Users:         NewMockUsersService(t),
		Meetings:      NewMockMeetingsService(t),
		Conversations: NewMockConversationsService(t),
		Messages:      NewMockMessagesService(t),
		Attachments:   NewMockAttachmentsService(t),
		Accounts:      NewMockAccountsService(t),
		Playbooks:     NewMockPlaybooksService(t),
		Teams:         NewMockTeamsService(t),
		App:           NewMockAppService(t),
		GDPR:          NewMockGDPRService(t),
		SCIM:          NewMockSCIMService(t),
		Reports:       NewMockReportsService(t),
	}
	return &classic.Client{
		Contacts:      m.Contacts,
		Users:         m.Users,
		Meetings:      m.Meetings,
		Conversations: m.Conversations,
		Messages:      m.Messages,
		Attachments:   m.Attachments,
		Accounts:      m.Accounts,
		Playbooks:     m.Playbooks,
		Teams:         m.Teams,
		App:           m.App,
		GDPR:          m.GDPR,
		SCIM:          m.SCIM,
		Reports:       m.Reports,
	}, m
}
