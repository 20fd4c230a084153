// Command archive copies the conversations, messages, contacts and files of a Drift account into a folder: one SQLite
// database, and the files. Run it again to bring the folder up to date. It resumes where it was stopped, stays within
// the calls of a minute and of a month, and lists whatever it cannot read.
//
//	archive demo            a demonstration with an in-memory server; also without a command and DRIFT_TOKEN
//	archive plan            what it takes: scopes, calls, hours, months
//	archive sync            bring the archive up to date
//	archive verify          prove that everything is there
//	archive status          what is there
//	archive serve           read it in a browser
//	archive export          write it as JSON Lines, CSV or HTML
//	archive forget EMAIL    delete a person
//
// The exit status is 0 if all is done, 75 if a limit stopped the command, 3 if it is done except for what it lists, and
// 1 after any other error.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/examples/archive/fetch"
	"github.com/driftsdk/drift/examples/archive/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// command is what the first argument names.
type command struct {
	name      string
	arguments string // after the flags
	does      string
	run       func(ctx context.Context, c *invocation) error
}

var commands = []command{
	{"plan", "", "estimate the calls, hours and months that a sync takes", plan},
	{"sync", "", "bring the archive up to date", syncArchive},
	{"verify", "", "check that the archive is intact and complete", verifyArchive},
	{"status", "", "show what the archive holds", showStatus},
	{"serve", "", "show the archive in a browser on this machine", serve},
	{"export", "", "write the archive, or a part of it, as JSON Lines, CSV or HTML", export},
	{"forget", "EMAIL", "delete a person from the archive for good", forget},
	{"demo", "", "archive an invented account into a temporary folder, and show it", demo},
}

// invocation is a command with its flags.
type invocation struct {
	command
	flags          *flag.FlagSet
	dir            string
	asJSON         bool
	stdout, stderr io.Writer
	args           []string // of the command, flags included; after parse without them
}

// parse reads the flags. They may stand before and after the argument.
func (c *invocation) parse() error {
	var args []string
	for rest := c.args; ; rest = rest[1:] {
		if err := c.flags.Parse(rest); errors.Is(err, flag.ErrHelp) {
			c.usage()
			return err
		} else if err != nil {
			return fmt.Errorf("%w: archive %s -h lists the flags", err, c.name)
		}
		if rest = c.flags.Args(); len(rest) == 0 {
			break
		}
		args = append(args, rest[0])
	}
	if c.arguments == "" && len(args) > 0 {
		return fmt.Errorf("%.40q is not a flag: archive %s -h lists the flags", args[0], c.name)
	}
	c.args = args
	return nil
}

func (c *invocation) usage() {
	fmt.Fprintf(c.stderr, "usage: %s\n\n%s\n\n", strings.TrimSpace("archive "+c.name+" [flags] "+c.arguments), c.does)
	c.flags.SetOutput(c.stderr)
	c.flags.PrintDefaults()
}

// print writes a result: as JSON if asked for, otherwise as text.
func (c *invocation) print(result any, text func(io.Writer)) error {
	if !c.asJSON {
		text(c.stdout)
		return nil
	}
	encoder := json.NewEncoder(c.stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(result)
}

// run runs a command and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	switch {
	case len(args) == 0 && os.Getenv("DRIFT_TOKEN") == "":
		args = []string{"demo"}
	case len(args) == 0:
		usage(stderr)
		return exitError
	case slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]):
		usage(stderr)
		return exitOK
	}
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == args[0] })
	if i < 0 && strings.HasPrefix(args[0], "-") {
		fmt.Fprintln(stderr, "flags come after the command: archive -h lists the commands")
		return exitError
	}
	if i < 0 {
		fmt.Fprintf(stderr, "%.40q is not a command: archive -h lists the commands\n", args[0])
		return exitError
	}
	c := &invocation{command: commands[i], stdout: stdout, stderr: stderr, args: args[1:]}
	c.flags = flag.NewFlagSet(c.name, flag.ContinueOnError)
	c.flags.SetOutput(io.Discard) // what is wrong is printed once, below
	if c.name != "demo" {
		c.flags.StringVar(&c.dir, "dir", "drift-archive", "the `folder` of the archive")
	}
	c.flags.BoolVar(&c.asJSON, "json", false, "print the result as JSON")
	err := c.command.run(ctx, c)
	if err != nil && !errors.Is(err, flag.ErrHelp) && !errors.Is(err, errListed) {
		fmt.Fprintln(stderr, c.explained(ctx, err))
	}
	return status(err)
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: archive COMMAND [flags]\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-14s %s\n", c.name+" "+c.arguments, c.does)
	}
	fmt.Fprint(w, `
archive COMMAND -h lists the flags of a command. plan, sync and verify call the
account of DRIFT_TOKEN, at DRIFT_BASE_URL if that is set; DRIFT_PLAN is the
default of -plan. The other commands need no token and no network.

The exit status is 0 if all is done, 3 if it is done except for what is listed,
75 if a limit stopped the command, and 1 after any other error.
`)
}

// The exit statuses.
const (
	exitOK     = 0
	exitError  = 1
	exitListed = 3
	exitLimit  = 75 // EX_TEMPFAIL
)

// errListed reports a command that is done except for what it has listed.
var errListed = errors.New("done, except for what is listed")

func status(err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, drift.ErrQuotaExceeded), errors.Is(err, drift.ErrRateLimited):
		return exitLimit
	case errors.Is(err, errListed):
		return exitListed
	}
	return exitError
}

// explained returns the text of an error, with what to do about it.
func (c *invocation) explained(ctx context.Context, err error) string {
	var database *sqlite.Error
	switch {
	case ctx.Err() != nil && (c.name == "sync" || c.name == "plan"):
		return "Stopped. Run the same command again to resume."
	case ctx.Err() != nil:
		return "Stopped."
	case errors.Is(err, store.ErrNoArchive):
		return fmt.Sprintf("there is no archive in %s: run archive sync first, or name another folder with -dir", c.dir)
	case errors.Is(err, drift.ErrUnauthorized):
		return "the service rejects the token in DRIFT_TOKEN: check that it is whole, and create a new one in Drift if it " +
			"was revoked\n" + err.Error()
	case fetch.IsElsewhere(err) && os.Getenv("DRIFT_BASE_URL") != "":
		return "the API is not at the URL in DRIFT_BASE_URL: check it\n" + err.Error()
	case errors.As(err, &database):
		return fmt.Sprintf("the archive in %s: %v%s", c.dir, err, databaseAdvice[database.Code()&0xff])
	}
	return err.Error()
}

// databaseAdvice says what to do about an error of SQLite, by its code.
var databaseAdvice = map[int]string{
	sqlite3.SQLITE_READONLY: "; this command needs a folder that it can write to",
	sqlite3.SQLITE_CORRUPT:  "; restore the folder from a backup",
	sqlite3.SQLITE_FULL:     "; make room on the disk, and run the same command again",
	sqlite3.SQLITE_CANTOPEN: "; this command needs a folder that it can write to",
	sqlite3.SQLITE_NOTADB:   "; restore the folder from a backup, or name another one with -dir",
}
