package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"
)

// Files of a data folder for --tls-auto.
const (
	authorityFile = "tls-ca.key" // the authority's key and certificate (PEM), 0600
	// caFile is the authority's certificate alone, for clients to trust. It is
	// there only while the server that ran last had --tls-auto.
	caFile = "tls-ca.crt"
)

// How long the authority and a certificate live. A certificate is replaced when
// a third of its life is left.
const (
	authorityLife   = 10 * 365 * 24 * time.Hour
	certificateLife = 90 * 24 * time.Hour
	// past is how far back both are valid: for clients whose clock is slow.
	past = time.Hour
)

// authority is a certificate authority of this data folder alone, and the
// certificate of this server that it signed last. That one's key is never
// written down: each start makes another.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	hosts       []string // names and addresses

	mu      sync.Mutex
	current *tls.Certificate // guarded by mu; nil until it is needed
}

// openAuthority reads the authority of a data folder, or makes one if there is
// none or it has not a certificate's life left. made tells: clients must trust
// it anew.
func openAuthority(f *folder, hosts []string, now time.Time) (a *authority, made bool, err error) {
	a = &authority{hosts: hosts}
	text, err := os.ReadFile(f.path(authorityFile))
	if err == nil {
		err = a.parse(text)
		if err != nil {
			return nil, false, fmt.Errorf("reading the certificate authority %s: %w; remove the file to have a new one", f.path(authorityFile), err)
		}
		made = a.certificate.NotAfter.Before(now.Add(certificateLife))
	} else if errors.Is(err, fs.ErrNotExist) {
		made = true
	} else {
		return nil, false, fmt.Errorf("reading the certificate authority: %w", err)
	}
	if made {
		text, err = a.create(now)
		if err == nil {
			err = writeWhole(f.path(authorityFile), text, 0o600)
		}
		if err != nil {
			return nil, false, fmt.Errorf("making a certificate authority: %w", err)
		}
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
	err = writeWhole(f.path(caFile), public, 0o644)
	if err == nil {
		_, err = a.get(now) // so that a mistake shows at the start
	}
	if err != nil {
		return nil, false, fmt.Errorf("making a TLS certificate: %w", err)
	}
	return a, made, nil
}

// parse reads the text of authorityFile.
func (a *authority) parse(text []byte) error {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var err error
		switch block.Type {
		case "CERTIFICATE":
			a.certificate, err = x509.ParseCertificate(block.Bytes)
		case "PRIVATE KEY":
			var key any
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
			a.key, _ = key.(*ecdsa.PrivateKey)
		}
		if err != nil {
			return err
		}
	}
	if a.certificate == nil || a.key == nil || !a.certificate.IsCA || !a.key.PublicKey.Equal(a.certificate.PublicKey) {
		return errors.New("it has not an authority's key and certificate")
	}
	return nil
}

// create makes a new authority and returns the text of authorityFile.
func (a *authority) create(now time.Time) ([]byte, error) {
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serialNumber(),
		Subject:               pkix.Name{CommonName: "Souk of " + a.hosts[0] + ", " + now.UTC().Format(time.DateOnly)},
		NotBefore:             now.Add(-past),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // it signs servers, no other authorities
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	a.certificate, err = x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, err
	}
	return slices.Concat(
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	), nil
}

func serialNumber() *big.Int {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}

// get implements certificates: it signs another certificate before the last
// third of the current one's life begins.
func (a *authority) get(now time.Time) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current != nil && now.Add(certificateLife/3).Before(a.current.Leaf.NotAfter) {
		return a.current, nil
	}
	next, err := a.sign(now)
	if err != nil && a.current == nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	if err == nil {
		a.current = next
	}
	return a.current, nil
}

// sign makes a certificate of the server.
func (a *authority) sign(now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serialNumber(),
		Subject:      pkix.Name{CommonName: a.hosts[0]},
		NotBefore:    now.Add(-past),
		NotAfter:     now.Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range a.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.certificate.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// hosts are the names and addresses that the server's own certificate is for:
// those of PublicURL and Listen, and this machine's.
func (c Config) hosts() []string {
	var hosts []string
	add := func(host string) {
		ip := net.ParseIP(host)
		if host != "" && (ip == nil || !ip.IsUnspecified()) && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	if u, err := url.Parse(c.PublicURL); err == nil {
		add(u.Hostname())
	}
	if host, _, err := net.SplitHostPort(c.Listen); err == nil {
		add(host)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		add(host)
	}
	return hosts
}

// noAuthority removes the certificate that clients were to trust, where the
// server has no authority of its own (any more).
func noAuthority(f *folder) error {
	err := os.Remove(f.path(caFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s, which is not in use any more: %w", caFile, err)
	}
	return nil
}
