package raw_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/raw"
)

func TestCertificates(t *testing.T) {
	for certificate, want := range map[raw.Certificate]any{
		raw.Untrusted: new(x509.UnknownAuthorityError),
		raw.Expired:   new(x509.CertificateInvalidError),
		raw.WrongHost: new(x509.HostnameError),
	} {
		server := raw.Start(t, raw.TLS(certificate))
		server.Answer(good)
		res := ask(t, server.HTTPClient(), http.MethodGet, server.URL, "")
		require.ErrorAs(t, res.err, new(*tls.CertificateVerificationError))
		require.ErrorAs(t, res.err, want)
		assert.Empty(t, server.Requests())
		assert.Equal(t, 1, server.Connections())
	}
}
