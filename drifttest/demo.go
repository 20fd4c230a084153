package drifttest

import (
	"fmt"
	"strings"
	"time"
)

const (
	demoCompany       = "acme.example"
	demoConversations = 60
)

// demo builds the demo account. All values derive from running numbers, so it is the same in every run.
type demo struct {
	*store
	start time.Time
}

func (st *store) seedDemo() {
	d := demo{store: st, start: time.Date(2026, time.January, 5, 9, 0, 0, 0, time.UTC)}
	d.seedPeople()
	d.seedTeams()
	d.seedTags()
	d.seedContacts()
	for i := range demoConversations {
		d.seedConversation(i)
	}
	d.seedMeetings()
	d.seedUsers()
	d.seedAccounts()
	d.seedPlaybooks()
	d.seedAttachments()
}

func (d demo) at(hours int) int64 {
	return d.start.Add(time.Duration(hours) * time.Hour).UnixMilli()
}

func (d demo) seedPeople() {
	titles := []string{"Head of Support", "Support Agent", "Support Agent", "Account Executive", "Account Executive",
		"Engineer"}
	names := []string{"Ada Byron", "Ben Okafor", "Chloe Martin", "Dev Patel", "Elif Kaya", "Finn Larsen"}
	for i, name := range names {
		first, last, _ := strings.Cut(name, " ")
		d.people.put(object{
			"company_id": demoCompany,
			"name":       name,
			"first_name": first,
			"last_name":  last,
			"email":      strings.ToLower(first) + "@" + demoCompany,
			"phone":      fmt.Sprintf("+1 555 01%02d", i),
			"title":      titles[i],
		})
	}
}

func (d demo) seedTeams() {
	for i, name := range []string{"Support", "Sales"} {
		members := [][]int64{{1, 2, 3, 6}, {4, 5}}[i]
		d.teams.put(object{
			"company_id":             demoCompany,
			"org_id":                 orgID,
			"workspace_id":           "6f1d7c52-2b0e-4a53-9d0b-6b8f3f0c2a11",
			"name":                   name,
			"members":                members,
			"owner":                  members[0],
			"status":                 "ENABLED",
			"main":                   i == 0,
			"auto_offline":           true,
			"team_availability_mode": "ALWAYS_ONLINE",
			"response_timer_enabled": false,
			"team_csat_enabled":      i == 0,
			"updated_at":             d.at(i),
		})
	}
}

func (d demo) seedTags() {
	colors := []string{"#d4af37", "#2e86c1", "#27ae60", "#c0392b"}
	for i, name := range demoTags() {
		d.tags.put(object{
			"name":        name,
			"color":       colors[i],
			"description": "Conversations about: " + name,
			"enabled":     true,
			"created_at":  d.at(i),
			"updated_at":  d.at(i),
		})
	}
}

func demoTags() []string { return []string{"vip", "trial", "billing", "bug"} }

func (d demo) seedContacts() {
	first := []string{"Grace", "Hugo", "Ines", "Jonas", "Kira", "Liam", "Mona", "Noah", "Olga", "Paul"}
	last := []string{"Abbott", "Brandt", "Costa"}
	plans := []string{"free", "pro", "enterprise"}
	for i := range len(first) * len(last) {
		name := first[i%len(first)] + " " + last[i/len(first)]
		address := strings.ToLower(strings.ReplaceAll(name, " ", "."))
		d.contacts.put(object{
			"email":             fmt.Sprintf("%s@customer%02d.example", address, i+1),
			"assigned_user_id":  int64(i%5 + 1),
			"labels":            []string{[]string{"cold", "warm", "hot"}[i%3]},
			"tags":              []string{demoTags()[i%4]},
			"users":             []int64{int64(i%5 + 1)},
			"custom_attributes": map[string]any{"plan": plans[i%3], "seats": int64(i%7*5 + 1)},
			"attributes":        map[string]any{"name": name},
			"created_at":        d.at(i),
			"updated_at":        d.at(i),
		})
	}
}

func (d demo) seedConversation(i int) {
	contact := d.contacts.records[i*7%len(d.contacts.records)]
	titles := []string{"Invoice is missing a VAT number", "Export stops after a thousand rows", "Can we add ten seats?",
		"Password reset mail never arrives", "Question about the trial"}
	agent := int64(i%5 + 1)
	status := []string{"open", "closed", "pending", "open", "closed", "bulk_sent"}[i%6]
	opened := 40 + 7*i
	unassigned := i%12 == 0 && i > 0 // open, and without an answer of an agent
	conversation := d.conversations.put(object{
		"title":             titles[i%len(titles)],
		"status":            status,
		"email":             contact["email"],
		"contact_id":        contact["id"],
		"org_id":            orgID,
		"inbox_id":          int64(i%2 + 1),
		"assigned_user_id":  agent,
		"direction":         []string{"inbound", "outbound"}[i%6/5],
		"integration":       "widget",
		"labels":            []string{[]string{"cold", "warm", "hot"}[i%3]},
		"tags":              []string{demoTags()[i%4]},
		"custom_attributes": map[string]any{"priority": int64(i%3 + 1)},
		"participants":      []int64{agent},
		"member_count":      int64(1),
		"reply_subject":     "Re: " + titles[i%len(titles)],
		"archived":          i%12 == 1,
		"deleted":           false,
		"created_at":        d.at(opened),
	})
	if unassigned {
		delete(conversation, "assigned_user_id")
		conversation["participants"], conversation["member_count"] = []int64{}, int64(0)
	}
	d.seedMessages(i, conversation, contact, opened)
	if i%5 == 0 {
		d.seedNote(conversation, agent, opened+6)
	}
	if status == "closed" {
		conversation["resolved_at"] = d.at(opened + 6)
	}
}

// seedMessages writes two to five messages: the contact's, the bot's, then an agent and the contact in turn.
func (d demo) seedMessages(i int, conversation, contact object, opened int) {
	agent := map[string]any{"id": conversation["assigned_user_id"], "type": "user", "bot": false}
	customer := map[string]any{"id": contact["id"], "type": "contact", "bot": false}
	said := []struct {
		author map[string]any
		body   string
	}{
		{customer, "<p>Hello! " + conversation.text("title") + ".</p>"},
		{author(true), "<p>Thank you, somebody will be with you in a moment.</p>"},
		{agent, "<p>Hi, I am looking into it.</p>"},
		{customer, "<p>Great, thanks &amp; no hurry.</p>"},
		{agent, "<p>Done. Anything else?</p>"},
	}
	for n, s := range said[:2+i%4] {
		d.addMessage(conversation, object{"body": s.body}, s.author, d.at(opened+n))
	}
}

func (d demo) seedNote(conversation object, agent int64, hours int) {
	at := d.at(hours)
	d.notes.put(object{
		"conversation_id": conversation["id"],
		"body":            "Called back, all is well.",
		"type":            "call",
		"user":            agent,
		"tags":            conversation["tags"],
		"closed":          false,
		"created_at":      at,
		"updated_at":      at,
	})
}

func (d demo) seedMeetings() {
	for i, subject := range []string{"Kick-off", "Quarterly review", "Migration plan", "Renewal"} {
		conversation := d.conversations.records[i*9]
		meeting := d.meetings.put(object{
			"conversation_id": conversation["id"],
			"subject":         subject,
			"location":        "https://meet.acme.example/" + strings.ToLower(strings.ReplaceAll(subject, " ", "-")),
			"notes":           "Agenda follows.",
			"direction":       []string{"inbound", "outbound"}[i%2],
			"event_type":      "online",
			"duration":        int64(30 + 15*(i%2)),
			"start_at":        d.at(500 + 24*i),
			"created_by":      int64(4),
			"updated_by":      int64(4),
			"created_at":      d.at(450 + i),
			"updated_at":      d.at(450 + i),
		})
		d.seedParticipants(meeting, i)
	}
}

// seedParticipants invites one person of the company and one contact.
func (d demo) seedParticipants(meeting object, i int) {
	person, contact := d.people.records[3], d.contacts.records[i*9%len(d.contacts.records)]
	attributes, _ := contact["attributes"].(map[string]any)
	first, last, _ := strings.Cut(object(attributes).text("name"), " ")
	var invited []int64
	for _, p := range []object{
		{"email": person["email"], "first_name": person["first_name"], "last_name": person["last_name"]},
		{"email": contact["email"], "first_name": first, "last_name": last},
	} {
		p["meeting_id"] = meeting["id"]
		invited = append(invited, d.participants.put(p).integer("id"))
	}
	meeting["participant_ids"] = invited
}

// seedUsers makes the people of the company the users of the account, with the same ids, and adds the bot.
func (d demo) seedUsers() {
	roles := []string{"admin", "agent", "agent", "member", "member", "member"}
	for i, person := range d.people.records {
		user := pick(person, "id name email phone")
		user["alias"] = person["first_name"]
		user["role"] = roles[i]
		user["locale"] = "en-US"
		user["timeZone"] = "Europe/London"
		user["verified"] = true
		d.addUser(user, d.at(i))
	}
	d.addUser(object{"name": "Driftbot", "bot": true, "verified": true}, d.at(0))
}

// seedAccounts adds the demo company itself and more accounts than a page has by default.
func (d demo) seedAccounts() {
	d.ensureAccount(demoCompany, d.at(0))
	for i := range 12 {
		domain := fmt.Sprintf("customer%02d.example", i+1)
		d.addAccount(object{
			"accountId": fmt.Sprintf("%d_%s", 123450+i, domain),
			"ownerId":   int64(i%5 + 1),
			"name":      fmt.Sprintf("Customer %d", i+1),
			"domain":    domain,
			"targeted":  i%4 == 0,
			"customProperties": []any{
				map[string]any{"label": "Seats", "name": "seats", "type": "NUMBER", "value": int64(10 * (i + 1))},
			},
		}, d.at(i))
	}
}

func (d demo) seedPlaybooks() {
	for i, name := range []string{"Book a demo", "Welcome back", "Pricing page"} {
		playbook := d.playbooks.put(object{
			"name":            name,
			"orgId":           orgID,
			"meta":            object{},
			"createdAt":       d.at(i),
			"updatedAt":       d.at(10 + i),
			"createdAuthorId": int64(1),
			"updatedAuthorId": int64(i + 1),
			"interactionId":   int64(9001 + i),
			"reportType":      "BOOK_MORE_MEETINGS",
			"goals": []object{
				{"id": fmt.Sprintf("6f1d7c52-2b0e-4a53-9d0b-6b8f3f0c2b%02d", i), "message": "Meeting booked"},
			},
		})
		d.landingPages.put(object{
			"playbookId":     playbook["id"],
			"playbookName":   name,
			"landingPageUrl": "https://" + demoCompany + "/" + strings.ReplaceAll(strings.ToLower(name), " ", "-"),
		})
	}
}

// seedAttachments adds a file to the first message of two conversations.
func (d demo) seedAttachments() {
	for i, file := range []object{
		{"file_name": "invoice.txt", "mime_type": "text/plain", "data": []byte("Invoice 2026-001\nTotal: 120.00\n")},
		{"file_name": "rows.csv", "mime_type": "text/csv", "data": []byte("id,name\n1,Ada\n2,Ben\n")},
	} {
		id := d.attachments.put(file).integer("id")
		first := d.messages.within("conversation_id", int64(i+1))[0]
		first["attachments"] = []any{map[string]any{
			"id": id, "file_name": file["file_name"], "mime_type": file["mime_type"], "url": attachmentURL(id),
		}}
	}
}
