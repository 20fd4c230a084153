package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/driftsdk/drift/examples/archive/store"
)

// forget is the command forget.
func forget(ctx context.Context, c *invocation) error {
	yes := c.flags.Bool("yes", false, "do not ask")
	if err := c.parse(); err != nil {
		return err
	}
	if len(c.args) != 1 || !strings.Contains(c.args[0], "@") {
		return errors.New("usage: archive forget [flags] EMAIL")
	}
	if _, err := os.Stat(c.dir); err != nil {
		return store.ErrNoArchive
	}
	held, err := lock(c.dir)
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, c.dir)
	if err != nil {
		return errors.Join(err, held.Close())
	}
	return errors.Join(forgetIn(ctx, c, s, c.args[0], *yes), s.Close(), held.Close())
}

// errNotConfirmed reports that nothing was deleted.
var errNotConfirmed = errors.New("nothing was deleted")

func forgetIn(ctx context.Context, c *invocation, s *store.Store, email string, yes bool) error {
	contacts, err := s.ContactsByEmail(ctx, email)
	if err != nil {
		return err
	}
	if !yes && !confirmed(c.stderr, len(contacts)) {
		return errNotConfirmed
	}
	unread, err := s.CountDue(ctx, "contacts")
	if err != nil {
		return err
	}
	result, err := s.Forget(ctx, email)
	if result == nil {
		return err
	}
	noted := s.Write(ctx, func(tx *store.Tx) error {
		now := time.Now()
		id, err := tx.BeginRun("forget", now)
		if err != nil {
			return err
		}
		return tx.EndRun(store.Run{ID: id, EndedAt: time.Now(), Summary: "done"})
	})
	printErr := c.print(result, func(w io.Writer) { printForgotten(w, result, unread) })
	if err == nil && (len(result.Mentions) > 0 || unread > 0) {
		err = errListed
	}
	return errors.Join(err, noted, printErr)
}

// confirmed asks on the terminal.
func confirmed(w io.Writer, contacts int) bool {
	fmt.Fprintf(w, "%d contacts have this address. Delete them with all their conversations, for good? [y/N] ", contacts)
	answer, _ := bufio.NewReader(os.Stdin).ReadString('\n') // no answer is no
	return strings.EqualFold(strings.TrimSpace(answer), "y")
}

func printForgotten(w io.Writer, r *store.Forgotten, unread int) {
	fmt.Fprintf(w, "deleted: %d contacts, %d conversations, %d messages, %d files, %d meetings, %d oddities\n",
		len(r.Contacts), r.Conversations, r.Messages, r.Files, r.Meetings, r.Oddities)
	for _, mention := range r.Mentions {
		fmt.Fprintf(w, "%s has the address in it and was kept\n", mention)
	}
	if unread > 0 {
		fmt.Fprintf(w, "%d contacts are not archived yet, so their addresses are unknown: "+
			"run archive sync, then forget again\n", unread)
	}
	fmt.Fprintln(w, "A later sync does not bring the person back. "+
		"Backups, exports and the service itself still have what they had.")
}
