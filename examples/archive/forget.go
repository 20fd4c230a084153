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
	if len(c.args) != 1 {
		return errors.New("name one address: archive forget [flags] EMAIL")
	}
	email := strings.TrimSpace(c.args[0])
	if !strings.Contains(email, "@") {
		return fmt.Errorf("%.40q is not an address: archive forget [flags] EMAIL", email)
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
	return errors.Join(forgetIn(ctx, c, s, email, *yes), s.Close(), held.Close())
}

// errNotConfirmed reports that nothing was deleted.
var errNotConfirmed = errors.New("nothing was deleted: answer y, or add -yes")

func forgetIn(ctx context.Context, c *invocation, s *store.Store, email string, yes bool) error {
	contacts, err := s.ContactsByEmail(ctx, email)
	if err != nil {
		return err
	}
	if !yes && !confirmed(ctx, c.stderr, len(contacts)) {
		return errNotConfirmed
	}
	unread, err := s.CountLeft(ctx, "contacts")
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

// confirmed asks on the terminal. Ctrl-C is no.
func confirmed(ctx context.Context, w io.Writer, contacts int) bool {
	question := "No contact has this address. Delete the meetings and oddities that have it"
	if contacts > 0 {
		question = counted(contacts, "contact") + " with this address. Delete with all conversations"
	}
	fmt.Fprintf(w, "%s, for good? [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // nothing ends a read of a terminal but the process
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n') // no answer is no
		answer <- strings.TrimSpace(line)
	}()
	select {
	case line := <-answer:
		return strings.EqualFold(line, "y") || strings.EqualFold(line, "yes")
	case <-ctx.Done():
		fmt.Fprintln(w)
		return false
	}
}

func printForgotten(w io.Writer, r *store.Forgotten, unread int) {
	fmt.Fprintf(w, "deleted: %s, %s, %s, %s, %s, %s\n", counted(len(r.Contacts), "contact"),
		counted(r.Conversations, "conversation"), counted(r.Messages, "message"), counted(r.Files, "file"),
		counted(r.Meetings, "meeting"), counted(r.Oddities, "oddity"))
	for _, mention := range r.Mentions {
		fmt.Fprintf(w, "%s has the address in it and was kept\n", mention)
	}
	if unread > 0 {
		fmt.Fprintf(w, "Not archived yet, so not searched: %s. Run archive sync, then forget again.\n",
			counted(unread, "contact"))
	}
	if len(r.Contacts) == 0 {
		fmt.Fprintln(w, "No contact in the archive has this address.")
	} else {
		fmt.Fprintln(w, "A later sync does not bring the person back.")
	}
	fmt.Fprintln(w, "Backups, exports and the service itself still have what they had.")
}
