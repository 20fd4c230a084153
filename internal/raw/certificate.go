package raw

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"time"
)

// Certificate is the kind of certificate that [TLS] makes. It is self-signed, for the server's address, and clients of
// [Server.HTTPClient] trust it unless it is Untrusted.
type Certificate int

// The kinds of certificates.
const (
	Trusted Certificate = iota
	Untrusted
	Expired
	WrongHost // for another name
)

const certificateLife = 24 * time.Hour

// newTLS returns what the server uses and what its clients use.
func newTLS(set settings) (server, client *tls.Config, err error) {
	certificate, err := newCertificate(set.certificate)
	if err != nil {
		return nil, nil, err
	}
	roots := x509.NewCertPool()
	if set.certificate != Untrusted {
		roots.AddCert(certificate.Leaf)
	}
	server = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	client = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if set.http2 {
		server.NextProtos = []string{"h2"}
	}
	return server, client, nil
}

func newCertificate(kind Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "raw"},
		NotBefore:             now.Add(-certificateLife),
		NotAfter:              now.Add(certificateLife),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:                  true, // it vouches for itself
		BasicConstraintsValid: true,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	switch kind {
	case Expired:
		template.NotAfter = now.Add(-time.Hour)
	case WrongHost:
		template.IPAddresses, template.DNSNames = nil, []string{"elsewhere.invalid"}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
