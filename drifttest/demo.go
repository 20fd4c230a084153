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
