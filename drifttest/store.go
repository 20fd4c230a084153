package drifttest

import (
	"maps"
	"slices"
)

// object is a record, or the parameters of a call, by the API's names. Integers, ids and instants are int64, lists
// []string or []int64, open maps map[string]any with numbers as json.Number. A missing name is absent on the wire.
type object map[string]any

func (o object) integer(name string) int64    { value, _ := o[name].(int64); return value }
func (o object) text(name string) string      { value, _ := o[name].(string); return value }
func (o object) flag(name string) bool        { value, _ := o[name].(bool); return value }
func (o object) texts(name string) []string   { value, _ := o[name].([]string); return value }
func (o object) integers(name string) []int64 { value, _ := o[name].([]int64); return value }

// without returns a copy without these names.
func (o object) without(names ...string) object {
	rest := maps.Clone(o)
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

// merge changes a record as a PATCH does: null clears, custom attributes merge key by key, everything else is replaced.
func (o object) merge(changes object) {
	for name, value := range changes {
		switch value := value.(type) {
		case nil:
			delete(o, name)
		case map[string]any:
			o[name] = mergeMap(o[name], value)
		default:
			o[name] = value
		}
	}
}

func mergeMap(have any, changes map[string]any) map[string]any {
	merged := map[string]any{}
	if have, ok := have.(map[string]any); ok {
		maps.Copy(merged, have)
	}
	maps.Copy(merged, changes)
	maps.DeleteFunc(merged, func(_ string, value any) bool { return value == nil })
	return merged
}

// store is the account. Its methods are the operations; the server calls one at a time.
type store struct {
	conversations, messages, notes, contacts, tags, meetings, participants, people, teams collection

	// These kinds are in the classic API alone.
	users, accounts, playbooks, landingPages, attachments, timeline collection
	unsubscribed                                                    []string // addresses
	deprovisioned                                                   []string // user names that SCIM does not take again

	listeners []func(event string, data object) // of the webhooks
}

func newStore() *store {
	return &store{
		conversations: collection{name: "conversation"},
		messages:      collection{name: "message"},
		notes:         collection{name: "note"},
		contacts:      collection{name: "contact"},
		tags:          collection{name: "tag"},
		meetings:      collection{name: "meeting"},
		participants:  collection{name: "participant"},
		people:        collection{name: "person"},
		teams:         collection{name: "team"},
		users:         collection{name: "user"},
		accounts:      collection{name: "account"},
		playbooks:     collection{name: "playbook"},
		landingPages:  collection{name: "landing page"},
		attachments:   collection{name: "attachment"},
		timeline:      collection{name: "timeline event"},
	}
}

// collection keeps the records of one kind in the order of their ids.
type collection struct {
	name    string
	records []object
	lastID  int64
}

// put stores a record under its id, in place of any record with that id, or under the next free id if it has none.
func (c *collection) put(record object) object {
	if record.integer("id") == 0 {
		record["id"] = c.lastID + 1
	}
	id := record.integer("id")
	c.lastID = max(c.lastID, id)
	i, found := c.search(id)
	if found {
		c.records[i] = record
	} else {
		c.records = slices.Insert(c.records, i, record)
	}
	return record
}

// create adds a new record made of parameters. It skips nulls and keeps the caller's instants.
func (c *collection) create(params object, now int64) object {
	record := object{"created_at": now, "updated_at": now}
	record.merge(params)
	return c.put(record)
}

func (c *collection) get(id int64) (object, error) {
	i, found := c.search(id)
	if !found {
		return nil, notFound(c.name, id)
	}
	return c.records[i], nil
}

// getWithin returns a record that belongs to another one, whose id is in the given field.
func (c *collection) getWithin(owner string, ownerID, id int64) (object, error) {
	record, err := c.get(id)
	if err != nil || record.integer(owner) != ownerID {
		return nil, notFound(c.name, id)
	}
	return record, nil
}

func (c *collection) update(id int64, changes object, now int64) (object, error) {
	record, err := c.get(id)
	if err != nil {
		return nil, err
	}
	return record.update(changes, now), nil
}

func (o object) update(changes object, now int64) object {
	o.merge(changes)
	o["updated_at"] = now
	return o
}

func (c *collection) delete(id int64) error {
	i, found := c.search(id)
	if !found {
		return notFound(c.name, id)
	}
	c.records = slices.Delete(c.records, i, i+1)
	return nil
}

// within returns the records that belong to another one.
func (c *collection) within(owner string, ownerID int64) []object {
	var records []object
	for _, r := range c.records {
		if r.integer(owner) == ownerID {
			records = append(records, r)
		}
	}
	return records
}

func (c *collection) deleteWithin(owner string, ownerID int64) {
	c.records = slices.DeleteFunc(c.records, func(r object) bool { return r.integer(owner) == ownerID })
}

func (c *collection) search(id int64) (int, bool) {
	return slices.BinarySearchFunc(c.records, id, func(r object, id int64) int {
		return int(min(max(r.integer("id")-id, -1), 1))
	})
}
