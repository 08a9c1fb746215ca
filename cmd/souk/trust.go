package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// trustBundle makes all that this process asks trust the authorities of a file
// (PEM) beside the system's: the market of souk serve --tls-auto, by the
// variable that the AWS CLI and the SDKs read. "" changes nothing.
//
// Unlike there the file is added to what the system trusts: souk image import
// speaks to other registries, too.
func trustBundle(file string) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading AWS_CA_BUNDLE: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a system without any
	}
	if !pool.AppendCertsFromPEM(text) {
		return fmt.Errorf("reading AWS_CA_BUNDLE: %s has no certificate in PEM", file)
	}
	for _, transport := range []http.RoundTripper{http.DefaultTransport, remote.DefaultTransport} {
		t, ok := transport.(*http.Transport)
		if !ok {
			return fmt.Errorf("trusting AWS_CA_BUNDLE: %T takes no authorities", transport)
		}
		if t.TLSClientConfig == nil {
			t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return nil
}
