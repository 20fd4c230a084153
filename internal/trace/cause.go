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

// Text describes an error without quoting it, because its own text may contain a URL, a token or a body.
func Text(err error) string {
	for _, known := range []error{ErrBroken, fs.ErrClosed, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection closed unexpectedly"
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

// IsPermanent reports whether retries cannot help, because the host does not exist or its certificate is not valid.
func IsPermanent(err error) bool {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &certificate)
}
