// Package cli runs the examples as commands. It has what they share and what is not worth copying: flags, Ctrl-C and
// exit statuses.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/driftsdk/drift"
)

// StatusError is an error that ends the command with an exit status other than 1.
type StatusError struct {
	Status int
	Text   string
}

func (e *StatusError) Error() string { return e.Text }

// usageStatus is the status after wrong flags, as package flag has it.
const usageStatus = 2

// WrongUsage is the error of an example that was started with the wrong flags.
func WrongUsage(text string) error { return &StatusError{usageStatus, text} }

// AskToWrite is the error of an example that would write to an account but was started without -write. The arguments
// say what the example would do.
func AskToWrite(what ...string) error {
	return WrongUsage("With -write, this program does the following in the account of DRIFT_TOKEN:\n" +
		"  - " + strings.Join(what, "\n  - ") + "\nNothing has been sent.")
}

// WriteFlag defines -write.
func WriteFlag() *bool {
	return flag.Bool("write", false, "write to the account of DRIFT_TOKEN")
}

// Main is the main function of an example whose flags are defined. It prints about on -h, and calls start with a
// context that ends with Ctrl-C or SIGTERM. The exit status is 0 if start succeeds or was stopped, and otherwise 1 or
// that of a [*StatusError].
func Main(about string, start func(ctx context.Context, w io.Writer) error) {
	log.SetFlags(0)
	flag.CommandLine.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "%s\n\nFlags:\n", about)
		flag.PrintDefaults()
		fmt.Fprint(flag.CommandLine.Output(), "  -h\tprint this text\n")
	}
	flag.Parse()
	if flag.NArg() > 0 {
		log.Printf("%.40q is not a flag: -h lists the flags", flag.Arg(0))
		os.Exit(usageStatus)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(report(ctx, start(ctx, os.Stdout)))
}

// URL returns the URL of a listener for a client on this machine, to which 0.0.0.0 is not an address.
func URL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return "http://" + net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + addr.String()
}

// report prints how start has ended, and returns the exit status.
func report(ctx context.Context, err error) int {
	canceled := err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))
	stopped := canceled && ctx.Err() != nil
	if err != nil && (!stopped || errors.Is(err, drift.ErrAmbiguous)) { // a write may have been applied
		log.Print(explained(err))
	}
	if stopped {
		log.Print("Stopped.")
	}
	if stopped || err == nil {
		return 0
	}
	if status, ok := errors.AsType[*StatusError](err); ok {
		return status.Status
	}
	return 1
}

// explained returns what to do about an error of the machine, after the error.
func explained(err error) string {
	if errors.Is(err, syscall.EADDRINUSE) {
		return err.Error() + ": choose another port, -h lists the flags"
	}
	return err.Error()
}
