package trace

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/driftsdk/drift/internal/wire"
)

// Text says what is known to be harmless about an error. The error itself may quote a URL, a token or a body.
func Text(err error) string {
	for _, known := range []error{ErrBroken, fs.ErrClosed, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection broke off"
	}
	var reason wire.Reason
	var errno syscall.Errno
	var dns *net.DNSError
	var op *net.OpError
	var verification *tls.CertificateVerificationError
	switch {
	case errors.As(err, &reason):
		return reason.Error()
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &verification):
		return "the server's certificate is not trusted"
	case errors.As(err, &op):
		return op.Op + " " + op.Net + " failed"
	case IsTimeout(err):
		return "timeout"
	default:
		return typeName(err)
	}
}

// typeName names the type of an error, if that says anything.
func typeName(err error) string {
	name := fmt.Sprintf("%T", err)
	if err == nil || strings.HasPrefix(name, "*errors.") || strings.HasPrefix(name, "*fmt.") {
		return ""
	}
	return name
}

// IsTimeout reports whether an error says that it is a timeout.
func IsTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// IsPermanent reports whether an error comes back however often one tries: a name that does not exist, a certificate that
// does not fit.
func IsPermanent(err error) bool {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &certificate)
}
