package trace

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/driftsdk/drift/internal/wire"
)

// Phase is what an attempt was doing when it failed. It completes a text such as "timed out while connecting".
type Phase string

// The phases of an attempt. It is not known how far a transport came that does not report to httptrace.
const (
	Unknown    Phase = ""
	Connecting Phase = "connecting"
	Waiting    Phase = "waiting for the answer"
	Reading    Phase = "reading the answer"
)

// Kind is the part of the network that failed.
type Kind string

// The kinds of failures of the network.
const (
	Lookup     Kind = "dns"
	Connect    Kind = "connect" // no connection was made, or it could not be secured
	Connection Kind = "connection"
	Timeout    Kind = "timeout"
	Other      Kind = "_OTHER"
)

// Failure describes an error without quoting it, because its own text may contain a URL, a token or a body.
type Failure struct {
	Kind Kind   // "": perhaps not an error of the network
	Text string // "": nothing is known
	Hint string // what to do about it; "": nothing in particular
}

// What to do about failures.
const (
	hintAddress = "check the host and port of the base URL"
	hintHost    = "check the host of the base URL, and the network of this machine"
	hintNetwork = "check the network of this machine"
	hintProxy   = "check HTTPS_PROXY and NO_PROXY, or the proxy of your http.Transport"
	hintRoots   = "install the system's root certificates, or add the authority to the TLS configuration of your " +
		"http.Transport"
	hintUnknown = "if the http.Transport is your own, TransportError.Unsafe has its error"
	hintClock   = "check the clock of this machine; if it is right, the server needs a new certificate"
)

// Describe describes an error of an attempt.
func Describe(err error, phase Phase) Failure {
	if err == nil {
		return Failure{}
	}
	for _, describe := range []func(error, Phase) Failure{
		knownFailure, proxyFailure, lookupFailure, timeoutFailure, secureFailure, socketFailure,
	} {
		if f := describe(err, phase); f.Text != "" {
			return f
		}
	}
	return Failure{Text: typeName(err), Hint: hintUnknown}
}

// knownFailure describes errors whose texts are safe.
func knownFailure(err error, _ Phase) Failure {
	var reason wire.Reason
	switch {
	case errors.Is(err, ErrBroken):
		return Failure{Kind: Connection, Text: ErrBroken.Error()}
	case errors.Is(err, ErrTwice):
		return Failure{Kind: Other, Text: string(ErrTwice)}
	case errors.As(err, &reason):
		return Failure{Text: reason.Error()}
	}
	for _, known := range []error{fs.ErrClosed, context.Canceled} {
		if errors.Is(err, known) {
			return Failure{Text: known.Error()}
		}
	}
	if wraps(err, context.DeadlineExceeded) {
		return Failure{Text: context.DeadlineExceeded.Error()}
	}
	return Failure{}
}

// wraps is errors.Is without the methods Is, by which the timers of net and net/http match context.DeadlineExceeded.
func wraps(err, target error) bool {
	if err == target {
		return true
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.ContainsFunc(several.Unwrap(), func(one error) bool { return wraps(one, target) })
	}
	inner := errors.Unwrap(err)
	return inner != nil && wraps(inner, target)
}

// proxyFailure describes a failure before the proxy has connected, which is not a failure of the service.
func proxyFailure(err error, phase Phase) Failure {
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "proxyconnect":
		text := "cannot connect to the proxy"
		if inner := Describe(op.Err, phase).Text; inner != "" {
			text += ": " + inner
		}
		return Failure{Connect, text, hintProxy}
	}
	status := statusOf(innermost(err)) // net/http returns the text of the proxy's status, and nothing else
	if status == http.StatusProxyAuthRequired || status != 0 && phase == Connecting {
		return RefusedByProxy(status)
	}
	return Failure{}
}

// statusOf returns the status with a text, or 0.
func statusOf(text string) int {
	for status := 300; status < 600 && text != ""; status++ {
		if text == http.StatusText(status) {
			return status
		}
	}
	return 0
}

// RefusedByProxy describes the answer of a proxy that does not connect.
func RefusedByProxy(status int) Failure {
	if status == http.StatusProxyAuthRequired {
		return Failure{Connect, "the proxy requires a login", hintProxy}
	}
	answer := strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
	return Failure{Connect, "the proxy refused the connection (" + answer + ")", hintProxy}
}

func lookupFailure(err error, _ Phase) Failure {
	var dns *net.DNSError
	switch {
	case !errors.As(err, &dns):
		return Failure{}
	case dns.IsNotFound:
		return Failure{Lookup, "no such host", hintHost}
	case dns.IsTimeout:
		return Failure{Lookup, "timed out while looking up the host", hintNetwork}
	}
	return Failure{Lookup, "the host cannot be looked up", hintNetwork}
}

func timeoutFailure(err error, phase Phase) Failure {
	var dial *net.OpError
	switch {
	case !IsTimeout(err):
		return Failure{}
	case errors.As(err, &dial) && dial.Op == "dial":
		phase = Connecting
	}
	f := Failure{Kind: Timeout, Text: TimedOut(phase)}
	if phase == Connecting {
		f.Hint = hintAddress + ", and whether a firewall is in the way"
	}
	return f
}

// TimedOut says what took too long.
func TimedOut(phase Phase) string {
	if phase == Unknown {
		return "timed out"
	}
	return "timed out while " + string(phase)
}

// secureFailure describes a failure of TLS.
func secureFailure(err error, _ Phase) Failure {
	var verification *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &verification):
		return certificateFailure(verification.Err)
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &header):
		return Failure{Connect, "the server does not speak TLS", "check the scheme and port of the base URL"}
	case errors.As(err, &op) && op.Op == "remote error":
		return Failure{Connect, "the server refused the TLS handshake", "check the TLS configuration of your http.Transport"}
	}
	return Failure{}
}

func certificateFailure(err error) Failure {
	var authority x509.UnknownAuthorityError
	var roots x509.SystemRootsError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &authority), errors.As(err, &roots):
		return Failure{Connect, "the server's certificate is signed by an unknown authority", hintRoots}
	case errors.As(err, &host):
		return Failure{Connect, "the server's certificate is for another host", hintAddress}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && tooEarly(invalid.Cert):
		return Failure{Connect, "the server's certificate is not valid yet", hintClock}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return Failure{Connect, "the server's certificate has expired", hintClock}
	}
	return Failure{Connect, "the server's certificate is not valid", ""}
}

func tooEarly(certificate *x509.Certificate) bool {
	return certificate != nil && time.Now().Before(certificate.NotBefore)
}

// socketFailure describes a failure of a connection.
func socketFailure(err error, phase Phase) Failure {
	var errno syscall.Errno
	var op *net.OpError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return Failure{Connect, syscall.ECONNREFUSED.Error(), hintAddress}
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		errors.As(err, &errno)
		return Failure{Connect, errno.Error(), hintNetwork}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Failure{Kind: Connection, Text: while("the connection was reset", phase)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return Failure{Kind: Connection, Text: while("the connection closed unexpectedly", phase)}
	case strings.HasPrefix(innermost(err), malformed):
		return Failure{Connection, "the answer is not HTTP", "check the scheme and port of the base URL"}
	case errors.As(err, &op) && op.Op == "dial":
		return Failure{Connect, cmp.Or(errnoText(op), "cannot connect"), hintAddress}
	case errors.As(err, &errno):
		return Failure{Text: errno.Error()}
	}
	return Failure{}
}

func while(text string, phase Phase) string {
	if phase == Unknown {
		return text
	}
	return text + " while " + string(phase)
}

func errnoText(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return ""
}

// typeName returns the name of an error's type, or "" if the type is too general to say anything.
func typeName(err error) string {
	name := fmt.Sprintf("%T", err)
	if err == nil || strings.HasPrefix(name, "*errors.") || strings.HasPrefix(name, "*fmt.") {
		return ""
	}
	return name
}

// IsTimeout reports whether an error is a timeout.
func IsTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// IsPermanent reports whether retries cannot help, because the host does not exist, its certificate is not valid, or a
// middleware repeats requests.
func IsPermanent(err error) bool {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &certificate) || errors.Is(err, ErrTwice)
}
