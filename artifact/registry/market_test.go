package registry

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"souk/access/iam"
	"souk/catalog/change"
	"souk/catalog/procurement"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
)

// The accounts of the tests, and what they own.
const (
	sellerAccount = "111111111111"
	otherAccount  = "222222222222"
	theRepository = "acme/web"
	theProduct    = "prod-aaaaaaaaaaaaa"
)

// key is an access key of the tests.
type key struct {
	id, secret string
	principal  *iam.Principal
}

// market is a registry with its surroundings: a real store, and keys and
// products that a test changes at will.
type market struct {
	t        *testing.T
	registry *Registry
	server   *httptest.Server
	store    store.Store
	ahead    atomic.Int64 // how far the registry's clock goes ahead, in nanoseconds

	mu     sync.Mutex
	keys   map[string]key
	public map[string]bool // products that everybody may obtain
}

func newMarket(t *testing.T, with ...func(*Config)) *market {
	t.Helper()
	m := &market{t: t, keys: map[string]key{}, public: map[string]bool{}}
	s := sqlitetest.Open(t)
	m.store = s

	// The URL must be known before the registry is, and the registry before it serves.
	var handler atomic.Pointer[http.Handler]
	m.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler.Load()).ServeHTTP(w, r) }))
	t.Cleanup(m.server.Close)
	own, err := url.Parse(m.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Root:        filepath.Join(t.TempDir(), "registry"),
		Store:       s,
		Credentials: m.credential,
		Decide:      iam.Decide,
		MayObtain:   m.mayObtain,
		PublicURL:   own,
		Keyring:     newRing(t),
		Log:         slog.New(slog.NewTextHandler(t.Output(), nil)),
		Now:         func() time.Time { return time.Now().Add(time.Duration(m.ahead.Load())) },
	}
	for _, f := range with {
		f(&c)
	}
	m.registry, err = New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.registry.Close(); err != nil {
			t.Error(err)
		}
	})
	h := m.registry.Handler()
	handler.Store(&h)
	m.put(KindRepository, theRepository, Repository{Account: sellerAccount, Product: theProduct})
	return m
}

func (m *market) credential(_ context.Context, id, _ string) (string, *iam.Principal, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.keys[id]
	return k.secret, k.principal, ok, nil
}

func (m *market) mayObtain(_ context.Context, account, product, _ string) (procurement.Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if account == sellerAccount && product == theProduct {
		return procurement.Answer{OK: true, Reason: "it is the seller's own product"}, nil
	}
	return procurement.Answer{OK: m.public[product]}, nil
}

// publish makes a product public.
func (m *market) publish(product string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.public[product] = true
}

// root makes a key of an account's root user.
func (m *market) root(account string) key {
	return m.key(&iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":root", ID: account, Root: true})
}

// user makes a key of a user with a policy; "" is none.
func (m *market) user(account, policy string) key {
	m.t.Helper()
	p := &iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/eve", ID: "AIDAEXAMPLE", Name: "eve"}
	if policy != "" {
		parsed, err := iam.ParsePolicy([]byte(policy))
		if err != nil {
			m.t.Fatal(err)
		}
		p.Policies = []*iam.Policy{parsed}
	}
	return m.key(p)
}

func (m *market) key(p *iam.Principal) key {
	k := key{id: "AKIA" + strings.ToUpper(rand.Text()[:16]), secret: rand.Text() + "/+=", principal: p}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys[k.id] = k
	return k
}

func (m *market) deactivate(k key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.keys, k.id)
}

// put writes a document, whatever was there.
func (m *market) put(kind, id string, body any) {
	m.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		m.t.Fatal(err)
	}
	err = m.store.Commit(context.Background(), store.Batch{Put: []store.Write{{
		Document: store.Document{Key: store.Key{Kind: kind, ID: id}, Body: b}, Was: store.Any,
	}}})
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *market) host() string { return strings.TrimPrefix(m.server.URL, "http://") }

// ref names NAMESPACE/NAME:TAG or NAMESPACE/NAME@DIGEST in the registry.
func (m *market) ref(s string) name.Reference {
	m.t.Helper()
	ref, err := name.ParseReference(m.host()+"/"+s, name.Insecure)
	if err != nil {
		m.t.Fatal(err)
	}
	return ref
}

func (k key) auth() remote.Option {
	return remote.WithAuth(&authn.Basic{Username: k.id, Password: k.secret})
}

// push pushes a new image of two layers as NAMESPACE/NAME:TAG.
func (m *market) push(k key, as string) v1.Image {
	m.t.Helper()
	img, err := random.Image(1024, 2)
	if err != nil {
		m.t.Fatal(err)
	}
	err = remote.Write(m.ref(as), img, k.auth())
	if err != nil {
		m.t.Fatalf("pushing %s: %v", as, err)
	}
	return img
}

func digestOf(t *testing.T, img interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// refused fails unless err is the registry's answer with this status.
func refused(t *testing.T, err error, status int, what string) {
	t.Helper()
	var e *transport.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: got %v, want status %d", what, err, status)
		return
	}
	if e.StatusCode != status {
		t.Errorf("%s: got %v, want status %d", what, err, status)
	}
}

// do sends a bare request and returns the answer with its body.
func (m *market) do(k *key, method, path, contentType, body string) (*http.Response, string) {
	m.t.Helper()
	req, err := http.NewRequestWithContext(m.t.Context(), method, m.server.URL, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	req.URL.Opaque = "//" + m.host() + path // sent letter for letter
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if k != nil {
		req.SetBasicAuth(k.id, k.secret)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return resp, b.String()
		}
	}
}

func (m *market) seller() change.Seller {
	return change.Seller{Account: sellerAccount, Namespace: "acme"}
}

func (m *market) image(s string) change.ImageRef {
	m.t.Helper()
	ref, ok := m.registry.Parse(Host + "/" + s)
	if !ok {
		m.t.Fatalf("%s is no reference", s)
	}
	return ref
}

// ring is a keyring with one key.
type ring struct {
	key  [32]byte
	aead cipher.AEAD
}

func newRing(t *testing.T) *ring {
	r := &ring{}
	rand.Read(r.key[:])
	block, err := aes.NewCipher(r.key[:])
	if err != nil {
		t.Fatal(err)
	}
	r.aead, err = cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *ring) Seal(purpose string, plain, bound []byte) []byte {
	return r.aead.Seal(nil, nil, plain, append([]byte(purpose), bound...))
}

func (r *ring) Open(purpose string, sealed, bound []byte) ([]byte, error) {
	return r.aead.Open(nil, nil, sealed, append([]byte(purpose), bound...))
}

func (r *ring) MAC(purpose string, data []byte) []byte {
	h := hmac.New(sha256.New, r.key[:])
	h.Write([]byte(purpose + "\x00"))
	h.Write(data)
	return h.Sum(nil)
}
