// Command archive copies the conversations, messages, contacts and files of a Drift account into a folder: one SQLite
// database, and the files. Run it again to bring the folder up to date. It resumes where it was stopped, stays within
// the calls of a minute and of a month, and lists whatever it cannot read.
//
//	archive                 without DRIFT_TOKEN: a demonstration with an in-memory server
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
	"syscall"

	"github.com/driftsdk/drift"
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
}

// invocation is a command with its flags.
type invocation struct {
	flags          *flag.FlagSet
	dir            string
	asJSON         bool
	stdout, stderr io.Writer
	args           []string // of the command, flags included; then what follows the flags
}

// parse reads the flags.
func (c *invocation) parse() error {
	if err := c.flags.Parse(c.args); err != nil {
		return err
	}
	c.args = c.flags.Args()
	return nil
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
	if len(args) == 0 {
		if os.Getenv("DRIFT_TOKEN") != "" {
			usage(stderr)
			return exitError
		}
		args = []string{"demo"}
	}
	all := append(slices.Clip(commands), command{"demo", "", "", demo})
	i := slices.IndexFunc(all, func(c command) bool { return c.name == args[0] })
	if i < 0 {
		usage(stderr)
		if slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
			return exitOK
		}
		return exitError
	}
	c := &invocation{flags: flag.NewFlagSet("archive "+args[0], flag.ContinueOnError), stdout: stdout, stderr: stderr,
		args: args[1:]}
	c.flags.SetOutput(stderr)
	c.flags.Usage = func() {
		fmt.Fprintf(stderr, "usage: archive %s [flags] %s\n\n%s\n\n", all[i].name, all[i].arguments, all[i].does)
		c.flags.PrintDefaults()
	}
	c.flags.StringVar(&c.dir, "dir", "drift-archive", "the `folder` of the archive")
	c.flags.BoolVar(&c.asJSON, "json", false, "print the result as JSON")
	err := all[i].run(ctx, c)
	if err != nil && !errors.Is(err, flag.ErrHelp) && !errors.Is(err, errListed) {
		fmt.Fprintln(stderr, explained(ctx, err))
	}
	return status(err)
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "usage: archive COMMAND [flags]")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-14s %s\n", c.name+" "+c.arguments, c.does)
	}
	fmt.Fprintln(w, "\nDRIFT_TOKEN is the access token. Without it and without a command, archive is a demonstration.")
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
func explained(ctx context.Context, err error) string {
	switch {
	case ctx.Err() != nil:
		return "stopped; run the same command to resume"
	case errors.Is(err, drift.ErrUnauthorized):
		return "the service rejects the token in DRIFT_TOKEN: " + err.Error()
	}
	return err.Error()
}
