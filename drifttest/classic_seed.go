package drifttest

import (
	"bytes"
	"strconv"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
)

// AddUser adds a user of the organization. A user without an Availability is AVAILABLE, one without a Role a member. The
// rules for its ID and times are those of [Server.AddContact].
func (s *Server) AddUser(user classic.User) drift.UserID {
	s.t.Helper()
	record := s.toClassic(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	return drift.UserID(s.store.addUser(record, s.settings.clock().UnixMilli()).integer("id"))
}

// AddAccount adds an account, which is a company of the v2 API too. Without an AccountID it gets one that ends in its
// domain; another account with that id is replaced. Without an OwnerID it belongs to the first user. Zero times become
// the time of the server's clock.
func (s *Server) AddAccount(account classic.Account) classic.AccountID {
	s.t.Helper()
	record := s.toClassic(account)
	s.mu.Lock()
	defer s.mu.Unlock()
	return classic.AccountID(s.store.addAccount(record, s.settings.clock().UnixMilli()).text("accountId"))
}

// AddPlaybook adds an active playbook. The rules for its ID and times are those of [Server.AddContact].
func (s *Server) AddPlaybook(playbook classic.Playbook) drift.PlaybookID {
	s.t.Helper()
	record := s.toClassic(playbook)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.settings.clock().UnixMilli()
	added := object{"orgId": orgID, "meta": object{}, "createdAt": now, "updatedAt": now, "goals": []any{}}
	added.merge(record)
	return drift.PlaybookID(s.store.playbooks.put(added).integer("id"))
}

// AddLandingPage adds a conversational landing page.
func (s *Server) AddLandingPage(page classic.LandingPage) {
	s.t.Helper()
	record := s.toClassic(page)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.landingPages.put(record)
}

// AddAttachment adds a file and returns its attachment with an ID and a URL, for a message of [Server.AddMessage]:
//
//	invoice := srv.AddAttachment(drift.Attachment{FileName: "invoice.pdf"}, data)
//	srv.AddMessage(drift.Message{ConversationID: id, Attachments: []drift.Attachment{invoice}})
//
// An ID of 0 becomes the next free one. Without a MIMEType the file is served with the type that its data have.
func (s *Server) AddAttachment(attachment drift.Attachment, data []byte) drift.Attachment {
	s.t.Helper()
	record := s.toObject(attachment)
	record["data"] = bytes.Clone(data)
	s.mu.Lock()
	defer s.mu.Unlock()
	attachment.ID = s.store.attachments.put(record).integer("id")
	if attachment.URL == "" {
		attachment.URL = attachmentURL(attachment.ID)
	}
	return attachment
}

// attachmentURL is on the host of the service, as in its answers: a client downloads by id and not by URL.
func attachmentURL(id int64) string {
	return drift.DefaultBaseURL + "attachments/" + strconv.FormatInt(id, 10) + "/data"
}

// toClassic converts a record of package classic to one of the store, which keeps such records by the API's names.
func (s *Server) toClassic(record any) object {
	s.t.Helper()
	return s.convert(record, storedNumber)
}
