package drifttest

import (
	"bytes"
	"strconv"

	"github.com/driftsdk/drift"
)

// AddUser adds a user of the organization. The user is a record of package classic, or any other value that encodes to
// the names of the classic API, such as map[string]any{"name": "Ada", "email": "ada@acme.example"}. The rules for its
// id and times are those of [Server.AddContact]. A name that a user does not have ends the test.
func (s *Server) AddUser(user any) drift.UserID {
	s.t.Helper()
	record := s.toClassic(user, "id orgId name alias email phone locale timeZone avatarUrl availability role verified "+
		"bot createdAt updatedAt")
	s.mu.Lock()
	defer s.mu.Unlock()
	return drift.UserID(s.store.addUser(record, s.settings.clock().UnixMilli()).integer("id"))
}

// AddAccount adds an account, which is a company of the v2 API too. Without an accountId it gets one that ends in its
// domain; another account with that id is replaced. The rules for the value are those of [Server.AddUser].
func (s *Server) AddAccount(account any) drift.CompanyID {
	s.t.Helper()
	record := s.toClassic(account, "accountId ownerId name domain deleted targeted createDateTime updateDateTime "+
		"customProperties")
	s.mu.Lock()
	defer s.mu.Unlock()
	return drift.CompanyID(s.store.addAccount(record, s.settings.clock().UnixMilli()).text("accountId"))
}

// AddPlaybook adds an active playbook. The rules for the value are those of [Server.AddUser].
func (s *Server) AddPlaybook(playbook any) drift.PlaybookID {
	s.t.Helper()
	record := s.toClassic(playbook, "id name orgId meta createdAt updatedAt createdAuthorId updatedAuthorId "+
		"interactionId reportType goals")
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.settings.clock().UnixMilli()
	added := object{"orgId": orgID, "meta": object{}, "createdAt": now, "updatedAt": now, "goals": []any{}}
	added.merge(record)
	return drift.PlaybookID(s.store.playbooks.put(added).integer("id"))
}

// AddLandingPage adds a landing page with its playbookId, playbookName and landingPageUrl. The rules for the value are
// those of [Server.AddUser].
func (s *Server) AddLandingPage(page any) {
	s.t.Helper()
	record := s.toClassic(page, "playbookId playbookName landingPageUrl")
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

// toClassic converts a value to a record by the names of the classic API, and refuses other names.
func (s *Server) toClassic(value any, names string) object {
	s.t.Helper()
	record := s.convert(value, storedNumber)
	known := pick(record, names)
	for name := range record {
		if _, ok := known[name]; !ok {
			s.t.Fatalf("drifttest: the record has no field %q", name)
			return object{}
		}
	}
	return known
}
