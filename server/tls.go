package server

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificate serves a TLS certificate and reads it again when its files have
// changed, so that renewing one needs no restart.
type certificate struct {
	certFile, keyFile string

	mu      sync.Mutex // guards what follows
	current *tls.Certificate
	changed [2]time.Time // modification times of the files that current was read from
	looked  time.Time
}

// loadCertificate reads the files once, so that a mistake shows at the start.
func loadCertificate(certFile, keyFile string) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	_, err := c.get(time.Now())
	if err != nil {
		return nil, err
	}
	return c, nil
}

// certificates has the certificate that is to be served at a time: a
// *certificate of files, or an *authority that makes its own.
type certificates interface {
	get(now time.Time) (*tls.Certificate, error)
}

// tlsConfig returns the settings of a listener: TLS 1.2 and later.
func tlsConfig(c certificates) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.get(time.Now())
		},
	}
}

// get returns the certificate, and looks at its files at most once a minute. A
// new one that can't be read leaves the old one in place: the next look tries again.
func (c *certificate) get(now time.Time) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && now.Sub(c.looked) < time.Minute {
		return c.current, nil
	}
	c.looked = now
	next, changed, err := c.read()
	if err != nil && c.current == nil {
		return nil, err
	}
	if err == nil && next != nil {
		c.current, c.changed = next, changed
	}
	return c.current, nil
}

// read reads the files if they changed; nil if they did not.
func (c *certificate) read() (*tls.Certificate, [2]time.Time, error) {
	var changed [2]time.Time
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return nil, changed, fmt.Errorf("reading TLS certificate: %w", err)
		}
		changed[i] = info.ModTime()
	}
	if c.current != nil && changed == c.changed {
		return nil, changed, nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return nil, changed, fmt.Errorf("reading TLS certificate %s: %w", c.certFile, err)
	}
	return &pair, changed, nil
}
