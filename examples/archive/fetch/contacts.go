package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/examples/archive/store"
)

const contactsGet = "classic.contacts.get"

// contacts reads the contacts of the conversations and meetings: the API has no list of contacts.
func (f *Fetcher) contacts(ctx context.Context) error {
	if !f.wants("contacts") {
		return nil
	}
	s := f.contactsStage()
	for {
		if goOn, err := f.nextContacts(ctx, s); err != nil || !goOn {
			if err != nil {
				return err
			}
			return f.run(ctx, s)
		}
	}
}

func (f *Fetcher) contactsStage() *stage {
	return &stage{kind: "contacts", operation: contactsGet, scope: scopeContacts, subject: contactSubject, read: f.contact}
}

func contactSubject(id int64) string { return fmt.Sprintf("contact %d", id) }

func (f *Fetcher) contact(ctx context.Context, d store.Due) error {
	c, raw, dropped, err := record(ctx, f, d.ID, contactID, func(ctx context.Context, o drift.CallOption) error {
		_, err := f.api.Contacts.Get(ctx, drift.ContactID(d.ID), o)
		return err
	})
	if err != nil {
		return err
	}
	return f.write(ctx, func(tx *store.Tx) error { return putContact(tx, d, c, raw, dropped) })
}

func putContact(tx *store.Tx, d store.Due, c *classic.Contact, raw json.RawMessage, dropped []string) error {
	if err := tx.ClearOddities(contactsGet, contactSubject(d.ID)); err != nil {
		return err
	}
	if dropped != nil {
		if err := putOddities(tx, []store.Oddity{{Operation: contactsGet, Subject: contactSubject(d.ID),
			Error: notDecoded(dropped), Raw: raw, ContactID: d.ID}}); err != nil {
			return err
		}
	}
	return tx.PutContact(store.Contact{
		ID: d.ID, Email: c.Email(), Name: c.Name(), CreatedAt: c.CreatedAt, Raw: raw,
	}, d.UpdatedAt)
}

// record makes a call that returns the record with an id. It decodes as much of the record as possible.
func record[T any](
	ctx context.Context, f *Fetcher, id int64, idOf func(*T) int64, call func(context.Context, drift.CallOption) error,
) (*T, json.RawMessage, []string, error) {
	var response drift.Response
	err := f.try(ctx, func(ctx context.Context) error { return call(ctx, drift.WithResponse(&response)) })
	var decodeErr *drift.DecodeError
	if err != nil && !errors.As(err, &decodeErr) {
		return nil, nil, nil, err
	}
	raw := inside(response.Body, "data")
	decoded, dropped, decodingErr := decode(raw, idOf)
	if decodingErr == nil && idOf(decoded) != id {
		decodingErr = errOtherRecord
	}
	if decodingErr != nil {
		return nil, nil, nil, &brokenError{fmt.Errorf("%w: %w", errShape, decodingErr), response.Body}
	}
	return decoded, raw, dropped, nil
}

// At most this many contacts are asked for at once.
const contactsPerCall = 20

// nextContacts asks for many contacts in one call. No page documents that (confidence C). So the archive notes whether
// it works at the first try. It reports whether to go on like this; otherwise the contacts are read one by one.
func (f *Fetcher) nextContacts(ctx context.Context, s *stage) (goOn bool, err error) {
	works, err := f.store.Meta(ctx, "contacts_batch")
	if err != nil || works == "no" || s.isDenied {
		return false, err
	}
	if s.total == 0 {
		if s.total, err = f.store.CountDue(ctx, s.kind); err != nil {
			return false, err
		}
	}
	due, err := f.store.Due(ctx, s.kind, contactsPerCall)
	if err != nil || len(due) < 2 {
		return false, err
	}
	found, err := f.contactBatch(ctx, due)
	if err != nil && !isOwn(err) {
		return false, err
	}
	if works == "" && len(found) > 0 {
		works = "yes"
	}
	if err != nil || works == "" {
		works, found = "no", nil
	}
	return works == "yes", f.putBatch(ctx, s, due, found, works)
}

// contactBatch returns the contacts that it finds. A contact that was not asked for means that the service understands
// the query in another way.
func (f *Fetcher) contactBatch(ctx context.Context, due []store.Due) (map[int64]json.RawMessage, error) {
	query := url.Values{"idType": {"drift"}}
	asked := map[int64]bool{}
	for _, d := range due {
		query.Add("id", strconv.FormatInt(d.ID, 10))
		asked[d.ID] = true
	}
	var body []byte
	if err := f.try(ctx, func(ctx context.Context) error {
		return f.client.Do(ctx, drift.Request{Name: "archive.contacts.list", Path: "contacts", Query: query}, &body)
	}); err != nil {
		return nil, err
	}
	raws, err := list(body, "data")
	if err != nil {
		return nil, err
	}
	found := map[int64]json.RawMessage{}
	for _, raw := range raws {
		id, err := strconv.ParseInt(idOf(raw, "id"), 10, 64)
		if err != nil || !asked[id] {
			return nil, errShape
		}
		found[id] = raw
	}
	return found, nil
}

// putBatch stores the contacts of a batch, and reads those that were not in it one by one.
func (f *Fetcher) putBatch(
	ctx context.Context, s *stage, due []store.Due, found map[int64]json.RawMessage, works string,
) error {
	err := f.write(ctx, func(tx *store.Tx) error {
		for _, d := range due {
			if c, dropped, err := decode(found[d.ID], contactID); err == nil {
				if err := putContact(tx, d, c, found[d.ID], dropped); err != nil {
					return err
				}
			} else {
				delete(found, d.ID)
			}
		}
		return tx.SetMeta("contacts_batch", works)
	})
	for _, d := range due {
		if err != nil || works == "no" || s.isDenied {
			return err
		}
		if found[d.ID] == nil {
			err = f.one(ctx, s, d)
		} else {
			f.report(s.kind, s.advance(), s.total)
		}
	}
	return err
}
