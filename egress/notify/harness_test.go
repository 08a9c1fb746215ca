package notify

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"souk/access/keyring"
	"souk/egress/fetch"
	"souk/storage/store"
)

const account, region = "111122223333", "eu-west-1"

// newNotify makes a Notify on a store, which delivers to loopback.
func newNotify(t *testing.T, s store.Store, change func(*Config)) *Notify {
	t.Helper()
	c := Config{
		Store: s, Keys: keyring.New([32]byte{1}), URL: "https://souk.example", Owner: NewID(),
		Poster:  fetch.New(fetch.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}),
		Timeout: 2 * time.Second, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&c)
	}
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// request is what an endpoint was sent.
type request struct {
	header http.Header
	body   []byte
	wire   wire
}

// endpoint is a server that hands on what it is sent. answer, if not nil, is
// asked for the status of each.
func endpoint(t *testing.T, answer func(request) int) (address string, got chan request) {
	t.Helper()
	got = make(chan request, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in := request{header: r.Header}
		in.body, _ = io.ReadAll(r.Body)
		_ = json.Unmarshal(in.body, &in.wire) // raw messages are none
		status := http.StatusOK
		if answer != nil {
			status = answer(in)
		}
		w.WriteHeader(status)
		got <- in
	}))
	t.Cleanup(server.Close)
	return server.URL + "/in?x=1", got
}

// next waits for what an endpoint is sent.
func next(t *testing.T, got chan request) request {
	t.Helper()
	select {
	case r := <-got:
		return r
	case <-time.After(2 * time.Minute):
		t.Fatal("the endpoint got nothing")
		return request{}
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick, end := time.NewTicker(10*time.Millisecond), time.After(2*time.Minute)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal(what)
		}
	}
}

// waiting is how many deliveries wait for a subscription.
func waiting(t *testing.T, s store.Store, subscription string) int {
	t.Helper()
	page := must[store.Page](t)(s.List(t.Context(), store.Query{Kind: kindDelivery, Index: indexWaiting, Partition: subscription, Limit: 100}))
	return len(page.Documents)
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// subscribed makes a topic with one confirmed subscription.
func subscribed(t *testing.T, n *Notify, address string, got chan request, topic, attributes map[string]string) (arn, subscription string) {
	t.Helper()
	arn = must[string](t)(n.CreateTopic(t.Context(), account, region, "ends", topic))
	s := must[*Subscription](t)(n.Subscribe(t.Context(), arn, "http", address, attributes))
	confirmation := next(t, got)
	if confirmation.wire.Type != SubscriptionConfirmation {
		t.Fatalf("got %s, want a confirmation", confirmation.body)
	}
	subscription = must[string](t)(n.Confirm(t.Context(), arn, confirmation.wire.Token, false, false))
	if subscription != s.ARN {
		t.Fatalf("confirmed %s, want %s", subscription, s.ARN)
	}
	return arn, subscription
}

func healthy(t *testing.T, n *Notify) {
	t.Helper()
	for _, f := range must[[]string](t)(n.Verify(t.Context())) {
		t.Error(f)
	}
}

// verified checks a message's signature as the documentation says, with the
// certificate that it names.
func verified(t *testing.T, n *Notify, m wire, fields ...string) bool {
	t.Helper()
	u := must[*url.URL](t)(url.Parse(m.SigningCertURL))
	text := must[[]byte](t)(n.Certificate(t.Context(), u.Path))
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("%s is no PEM", text)
	}
	c := must[*x509.Certificate](t)(x509.ParseCertificate(block.Bytes))
	values := map[string]string{
		"Message": m.Message, "MessageId": m.MessageId, "Subject": m.Subject, "SubscribeURL": m.SubscribeURL,
		"Timestamp": m.Timestamp, "Token": m.Token, "TopicArn": m.TopicArn, "Type": m.Type,
	}
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(f + "\n" + values[f] + "\n")
	}
	hash, sum := crypto.SHA1, sha1.Sum([]byte(b.String()))
	digest := sum[:]
	if m.SignatureVersion == "2" {
		long := sha256.Sum256([]byte(b.String()))
		hash, digest = crypto.SHA256, long[:]
	}
	signature := must[[]byte](t)(base64.StdEncoding.DecodeString(m.Signature))
	return rsa.VerifyPKCS1v15(c.PublicKey.(*rsa.PublicKey), hash, digest, signature) == nil
}

var (
	confirmationFields = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	notificationFields = []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
)

// write writes files.
func write(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
