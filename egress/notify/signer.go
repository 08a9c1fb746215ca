package notify

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"

	"souk/storage/store"
)

// CertificatePath is what the path of the certificate's address begins with.
const CertificatePath = "/SimpleNotificationService-"

const signerPurpose = "key that signs messages of topics"

// AtRest is what this room has sealed in the store, for who changes the key:
// one document, the text that is sealed in it, without bound data, and the
// document with another text in its place.
type AtRest struct {
	Kind, ID, Purpose string
	Text              func(store.Document) ([]byte, error)
	With              func(d store.Document, text []byte) (store.Document, error)
}

// SealedAtRest returns what is sealed: the key that signs messages.
func SealedAtRest() AtRest {
	return AtRest{
		Kind: kindSigner, ID: signerKey.ID, Purpose: signerPurpose,
		Text: func(d store.Document) ([]byte, error) {
			body, err := decodeSigner(d)
			return body.Key, err
		},
		With: func(d store.Document, text []byte) (store.Document, error) {
			body, err := decodeSigner(d)
			if err != nil {
				return d, err
			}
			body.Key = text
			d.Body, err = json.Marshal(body)
			return d, err
		},
	}
}

// certificateTime is how long the certificate is valid.
const certificateTime = 20 * 365 * 24 * time.Hour

// signer signs messages. All nodes have the same.
type signer struct {
	key         *rsa.PrivateKey
	certificate []byte // PEM
	name        string // of the certificate, from its digest
}

// signerBody is its document.
type signerBody struct {
	Key         []byte // sealed, PKCS #8
	Certificate []byte // DER
}

var signerKey = store.Key{Kind: kindSigner, ID: "messages"}

// sign returns the signer; the first who asks makes it.
func (n *Notify) sign(ctx context.Context) (*signer, error) {
	n.signing.Lock()
	defer n.signing.Unlock()
	if n.signer != nil {
		return n.signer, nil
	}
	for {
		d, err := n.store.Get(ctx, signerKey)
		if err == nil {
			n.signer, err = n.openSigner(d)
			return n.signer, err
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("reading the key of messages: %w", err)
		}
		var b store.Batch
		if n.cfg.Guard != nil {
			guard, err := n.cfg.Guard(ctx)
			if err != nil {
				return nil, err
			}
			b.Expect = append(b.Expect, guard)
		}
		body, err := n.newSigner()
		if err != nil {
			return nil, fmt.Errorf("making the key of messages: %w", err)
		}
		b.Put = []store.Write{{Document: store.Document{Key: signerKey, Body: body}}}
		err = n.store.Commit(ctx, b)
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return nil, fmt.Errorf("storing the key of messages: %w", err)
		}
	}
}

func decodeSigner(d store.Document) (body signerBody, err error) {
	if err = json.Unmarshal(d.Body, &body); err != nil {
		err = fmt.Errorf("decoding the key of messages: %w", err)
	}
	return body, err
}

func (n *Notify) newSigner() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	name := "souk"
	if u, err := url.Parse(n.cfg.URL); err == nil && u.Hostname() != "" {
		name = u.Hostname()
	}
	now := n.now()
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes([]byte(NewID())[:16]),
		Subject:      pkix.Name{Organization: []string{"Souk"}, CommonName: name},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.Add(certificateTime),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return json.Marshal(signerBody{n.cfg.Keys.Seal(signerPurpose, der, nil), certificate})
}

func (n *Notify) openSigner(d store.Document) (*signer, error) {
	body, err := decodeSigner(d)
	if err != nil {
		return nil, err
	}
	der, err := n.cfg.Keys.Open(signerPurpose, body.Key, nil)
	if err != nil {
		return nil, fmt.Errorf("opening the key of messages: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("reading the key of messages: %w", err)
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("reading the key of messages: it is a %T", key)
	}
	sum := sha256.Sum256(body.Certificate)
	return &signer{
		key: private, name: hex.EncodeToString(sum[:16]),
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: body.Certificate}),
	}, nil
}

// signature signs a text: SHA1withRSA for version 1, SHA256withRSA for 2.
func (s *signer) signature(version, text string) (string, error) {
	hash, sum := crypto.SHA1, []byte(nil)
	if version == "2" {
		hash = crypto.SHA256
		all := sha256.Sum256([]byte(text))
		sum = all[:]
	} else {
		all := sha1.Sum([]byte(text))
		sum = all[:]
	}
	signed, err := rsa.SignPKCS1v15(rand.Reader, s.key, hash, sum)
	if err != nil {
		return "", fmt.Errorf("signing a message: %w", err)
	}
	return base64.StdEncoding.EncodeToString(signed), nil
}

// Certificate returns the certificate of the key that signs messages, PEM, if
// path is where it lies; nil if not.
func (n *Notify) Certificate(ctx context.Context, path string) ([]byte, error) {
	s, err := n.sign(ctx)
	if err != nil || path != CertificatePath+s.name+".pem" {
		return nil, err
	}
	return s.certificate, nil
}
