package fetch

import (
	"context"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/examples/archive/store"
)

const conversationsGet = "classic.conversations.get"

// details reads the participants, tags and playbooks of conversations. They come last, because they cost a call for
// each conversation and the messages do not need them.
func (f *Fetcher) details(ctx context.Context) error {
	return f.run(ctx, &stage{kind: "details", operation: conversationsGet, scope: scopeConversations,
		subject: conversation, read: f.detail})
}

func (f *Fetcher) detail(ctx context.Context, d store.Due) error {
	_, raw, dropped, err := record(ctx, f, d.ID, conversationID, func(ctx context.Context, o drift.CallOption) error {
		_, err := f.api.Conversations.Get(ctx, drift.ConversationID(d.ID), o)
		return err
	})
	if err != nil {
		return err
	}
	return f.write(ctx, func(tx *store.Tx) error {
		if err := tx.ClearOddities(conversationsGet, conversation(d.ID)); err != nil {
			return err
		}
		if dropped != nil {
			contactID, err := tx.ContactOf("details", d.ID)
			if err != nil {
				return err
			}
			if err := putOddities(tx, []store.Oddity{{Operation: conversationsGet, Subject: conversation(d.ID),
				Error: notDecoded(dropped), Raw: raw, ContactID: contactID}}); err != nil {
				return err
			}
		}
		return tx.PutDetails(d, raw)
	})
}
