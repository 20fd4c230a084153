package page

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/examples/archive/store"
)

// agent is a user who may have written messages.
type agent struct {
	ID   int64
	Name string
}

// agents are the names of users by id.
type agents map[int64]string

func readAgents(ctx context.Context, archive *store.Store) (agents, error) {
	records, err := archive.Records(ctx, "user")
	if err != nil {
		return nil, err
	}
	names := agents{}
	for _, record := range records {
		id, err := strconv.ParseInt(record.ID, 10, 64)
		if err != nil {
			continue // it wrote nothing: authors have numbers
		}
		var user struct{ Name, Alias, Email string }
		_ = json.Unmarshal(record.Raw, &user) // without a name it has its number
		if name := cmp.Or(strings.TrimSpace(user.Name), user.Alias, user.Email); name != "" {
			names[id] = name
		}
	}
	return names, nil
}

// name returns what an agent is called.
func (a agents) name(id int64) string { return cmp.Or(a[id], "Agent "+strconv.FormatInt(id, 10)) }

// list returns the agents by name. The chosen one is there even if the archive does not know it.
func (a agents) list(chosen int64) (list []agent) {
	for id, name := range a {
		list = append(list, agent{ID: id, Name: name})
	}
	if _, isKnown := a[chosen]; chosen != 0 && !isKnown {
		list = append(list, agent{ID: chosen, Name: a.name(chosen)})
	}
	slices.SortFunc(list, func(x, y agent) int { return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.ID, y.ID)) })
	return list
}

func contactName(id int64, name, email string) string {
	if id == 0 {
		return cmp.Or(name, email, "Unknown contact")
	}
	return cmp.Or(strings.TrimSpace(name), email, "Contact "+strconv.FormatInt(id, 10))
}

// fact is a line beside a record.
type fact struct{ Name, Value string }

// person is a contact as a page shows it.
type person struct {
	ID    int64
	Name  string
	Email string
	Facts []fact
	Raw   string
}

// readPerson returns the contact of a conversation. One that is not archived has only a number.
func readPerson(ctx context.Context, archive *store.Store, id int64) (person, error) {
	if id == 0 {
		return person{Name: contactName(0, "", "")}, nil
	}
	contact, err := archive.Contact(ctx, id)
	switch {
	case err == store.ErrNotFound:
		return person{Name: contactName(id, "", "")}, nil
	case err != nil:
		return person{}, err
	}
	return newPerson(contact), nil
}

func newPerson(contact *store.Contact) person {
	return person{
		ID: contact.ID, Name: contactName(contact.ID, contact.Name, contact.Email), Email: contact.Email,
		Facts: contactFacts(contact), Raw: pretty(contact.Raw),
	}
}

// contactFacts lists the attributes, those that everybody asks for first.
func contactFacts(contact *store.Contact) []fact {
	var record classic.Contact
	if err := json.Unmarshal(contact.Raw, &record); err != nil {
		return []fact{{"email", contact.Email}}
	}
	names := make([]string, 0, len(record.Attributes))
	for name, value := range record.Attributes {
		if factValue(value) != "" {
			names = append(names, name)
		}
	}
	first := []string{"name", "email", "phone", "title", "job_title", "company", "employment_name"}
	rank := func(name string) int {
		if i := slices.Index(first, name); i >= 0 {
			return i
		}
		return len(first)
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(x, y)) })
	facts := make([]fact, len(names))
	for i, name := range names {
		facts[i] = fact{name, factValue(record.Attributes[name])}
	}
	return facts
}

// factValue returns the text of a value, "" if it says nothing. A number that can only be milliseconds since 1970 has
// the instant beside it.
func factValue(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return strings.TrimSpace(value)
	case json.Number:
		if n, err := value.Int64(); err == nil && n > 1e12 && n < 3e12 {
			return time.UnixMilli(n).UTC().Format("2 Jan 2006, 15:04 MST") + " (" + value.String() + ")"
		}
		return value.String()
	case []any:
		if len(value) == 0 {
			return ""
		}
	case map[string]any:
		if len(value) == 0 {
			return ""
		}
	}
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(data)
}
