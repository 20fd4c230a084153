package drifttest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A contact of the classic API is one open map. The store keeps Drift's own keys in "attributes" and all others in
// "custom_attributes", where v2 has them.
const ownAttributes = "alias avatarUrl display_name employment_name employment_role employment_title externalId " +
	"first_name last_name linkedin_handle name phone socialProfiles"

// classicContact shows a contact of the store as the classic API does. A contact without an external id has null, and
// two keys differ only in their case, as in the service.
func (st *store) classicContact(contact object) object {
	attributes := contactAttributes(contact)
	if _, ok := attributes["externalId"]; !ok {
		attributes["externalId"] = nil
	}
	attributes["tags"] = st.classicTags(contact.texts("tags"))
	attributes["events"] = object{}
	attributes["_END_USER_VERSION"] = 4
	attributes["_end_user_version"] = 17899
	attributes["start_date"] = contact["created_at"]
	attributes["last_active"] = contact["updated_at"]
	return object{"id": contact["id"], "createdAt": contact["created_at"], "attributes": attributes}
}

func (st *store) classicContacts(contacts []object, limit int64) []object {
	shown := []object{}
	for _, contact := range contacts {
		if limit > 0 && len(shown) == int(limit) {
			break
		}
		shown = append(shown, st.classicContact(contact))
	}
	return shown
}

func (st *store) classicGetContact(c *call) (any, error) {
	contact, err := st.contacts.get(c.id("contactId"))
	if err != nil {
		return nil, err
	}
	return st.classicContact(contact), nil
}

// classicCreateContact refuses an address that is taken, unless the contact brings an external id, which must be free.
func (st *store) classicCreateContact(c *call) (any, error) {
	given, err := c.attributes()
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if given[name] == nil {
			return nil, withCode("CONTACT-4", invalid("attributes", "must not have a null value"))
		}
	}
	email, _ := given["email"].(string)
	if email == "" {
		return nil, withCode("CONTACT-7", invalid("attributes", "must have an email"))
	}
	externalID, identified := given["externalId"]
	switch {
	case identified && len(st.withExternalID(externalID)) > 0:
		return nil, conflict("There is a contact with this externalId")
	case !identified && st.findContact(email) != nil:
		return nil, conflict("There is a contact with this email")
	}
	fields, err := contactFields(given, nil)
	if err != nil {
		return nil, err
	}
	return st.classicContact(st.addContact(fields, c.now)), nil
}

func (c *call) attributes() (map[string]any, error) {
	given, _ := c.params["attributes"].(map[string]any)
	if len(given) == 0 {
		return nil, withCode("CONTACT-8", invalid("attributes", "must not be empty"))
	}
	return given, nil
}

// contactFields splits the open map into the fields of the store. A key that the contact has stays where it is.
func contactFields(given map[string]any, contact object) (object, error) {
	own, _ := contact["attributes"].(map[string]any)
	fields := object{}
	for name, value := range given {
		_, isOwn := own[name]
		switch {
		case name == "email":
			if text, ok := value.(string); value != nil && (!ok || text == "") {
				return nil, withCode("CONTACT-4", invalid("attributes", "must have a string as the email"))
			}
			fields["email"] = value
		case name == "tags":
			if _, ok := kindTags.check(value); !ok {
				return nil, withCode("CONTACT-9", invalid("attributes", "must have "+string(kindTags)+" as the tags"))
			}
			fields["tags"] = storedList(value.([]any))
		case isOwn || slices.Contains(strings.Fields(ownAttributes), name):
			fields.addValue("attributes", name, value)
		default:
			fields.addValue("custom_attributes", name, value)
		}
	}
	return fields, nil
}

func (o object) addValue(field, name string, value any) {
	members, _ := o[field].(map[string]any)
	if members == nil {
		members = map[string]any{}
		o[field] = members
	}
	members[name] = value
}

func (st *store) classicContactsByEmail(c *call) (any, error) {
	var found []object
	for _, contact := range st.contacts.records {
		if strings.EqualFold(contact.text("email"), c.params.text("email")) {
			found = append(found, contact)
		}
	}
	return st.classicContacts(found, c.params.integer("limit")), nil
}

func (st *store) classicContactsByExternalID(c *call) (any, error) {
	var found []object
	for _, id := range c.params.texts("id") {
		found = append(found, st.withExternalID(id)...)
	}
	return st.classicContacts(found, c.params.integer("limit")), nil
}

func (st *store) withExternalID(id any) []object {
	var found []object
	for _, contact := range st.contacts.records {
		if have := contactAttributes(contact)["externalId"]; have != nil && fmt.Sprint(have) == fmt.Sprint(id) {
			found = append(found, contact)
		}
	}
	return found
}

func (st *store) classicUpdateContact(c *call) (any, error) {
	contact, err := st.contacts.get(c.id("contactId"))
	if err != nil {
		return nil, err
	}
	return st.classicChangeContact(c, contact)
}

func (st *store) classicUpdateContactByExternalID(c *call) (any, error) {
	found := st.withExternalID(c.params.text("id"))
	if len(found) == 0 {
		return nil, notFound("contact with the external id", c.params.text("id"))
	}
	return st.classicChangeContact(c, found[0])
}

func (st *store) classicChangeContact(c *call, contact object) (any, error) {
	given, err := c.attributes()
	if err != nil {
		return nil, err
	}
	changes, err := contactFields(given, contact)
	if err != nil {
		return nil, err
	}
	return st.classicContact(st.changeContact(contact, changes, c.now)), nil
}

func (st *store) classicDeleteContact(c *call) (any, error) {
	return okay(http.StatusAccepted), st.contacts.delete(c.id("contactId"))
}

func (st *store) classicUnsubscribe(c *call) (any, error) {
	st.unsubscribed = append(st.unsubscribed, c.params.texts("body")...)
	return okay(http.StatusOK), nil
}

// classicCreateTimelineEvent answers with the event in lower case, as the service does.
func (st *store) classicCreateTimelineEvent(c *call) (any, error) {
	_, byID := c.params["contactId"]
	externalID, byExternalID := c.params["externalId"]
	if byID == byExternalID {
		return nil, invalid("contactId", "give either contactId or externalId")
	}
	contactID := c.params.integer("contactId")
	if found := st.withExternalID(externalID); len(found) > 0 {
		contactID = found[0].integer("id")
	}
	if _, err := st.contacts.get(contactID); err != nil {
		return nil, err
	}
	event := object{"createdAt": c.now, "attributes": object{}}
	event.merge(c.params)
	event["contactId"] = contactID
	event["event"] = strings.ToLower(c.params.text("event"))
	return showTimelineEvent(st.timeline.put(event)), nil
}

func showTimelineEvent(event object) object { return event.without("id") }

// classicListAttributes describes the keys that contacts have.
func (st *store) classicListAttributes(*call) (any, error) {
	types := map[string]string{"email": "STRING", "name": "STRING", "phone": "STRING", "externalId": "STRING"}
	for _, contact := range st.contacts.records {
		for name, value := range contactAttributes(contact) {
			types[name] = attributeType(value)
		}
	}
	properties := []object{}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		label := strings.ToUpper(name[:1]) + strings.ReplaceAll(name[1:], "_", " ")
		properties = append(properties, object{"name": name, "displayName": label, "type": types[name]})
	}
	return object{"properties": properties}, nil
}

func attributeType(value any) string {
	switch value.(type) {
	case bool:
		return "BOOLEAN"
	case json.Number, int64, float64:
		return "NUMERIC"
	}
	return "STRING"
}

// classicTags shows tags with the colors that the account gives them, without the #.
func (st *store) classicTags(names []string) []object {
	tags := []object{}
	for _, name := range names {
		tag := object{"name": name}
		for _, known := range st.tags.records {
			if color := known.text("color"); known.text("name") == name && color != "" {
				tag["color"] = strings.TrimPrefix(color, "#")
			}
		}
		tags = append(tags, tag)
	}
	return tags
}

func (st *store) classicListTags(c *call) (any, error) {
	contact, err := st.contacts.get(c.id("contactId"))
	return st.classicTags(contact.texts("tags")), err
}

// classicAddTags also adds tags that the account does not have.
func (st *store) classicAddTags(c *call) (any, error) {
	contact, err := st.contacts.get(c.id("contactId"))
	if err != nil {
		return nil, err
	}
	names := slices.Clone(contact.texts("tags"))
	for _, tag := range c.params.objects("body") {
		name := tag.text("name")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		known := func(r object) bool { return r.text("name") == name }
		if !slices.ContainsFunc(st.tags.records, known) {
			st.tags.create(tag.without(), c.now)
		}
	}
	st.changeContact(contact, object{"tags": names}, c.now)
	return st.classicTags(names), nil
}

func (st *store) classicRemoveTag(c *call) (any, error) {
	return st.removeTags(c, []string{c.path.text("tagName")})
}

func (st *store) classicRemoveTags(c *call) (any, error) {
	return st.removeTags(c, c.params.texts("body"))
}

func (st *store) removeTags(c *call, names []string) (any, error) {
	contact, err := st.contacts.get(c.id("contactId"))
	if err != nil {
		return nil, err
	}
	left := slices.Clone(contact.texts("tags"))
	for _, name := range names {
		if !slices.Contains(left, name) {
			return nil, withCode("CONTACT-9", invalid("tags", "the contact does not have every tag"))
		}
		left = slices.DeleteFunc(left, func(have string) bool { return have == name })
	}
	st.changeContact(contact, object{"tags": left}, c.now)
	return okay(http.StatusOK), nil
}
