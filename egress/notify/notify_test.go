package notify

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"souk/access/keyring"
	"souk/egress/fetch"
	"souk/gateway/apierror"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
	"souk/storage/worktest"
)

func TestMessagesFromSubscribingToEnding(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"1", "2"} {
		t.Run("signature version "+version, func(t *testing.T) {
			t.Parallel()
			n := newNotify(t, sqlitetest.Open(t), nil)
			worktest.Run(t, n.Run)
			address, got := endpoint(t, nil)
			ctx := t.Context()
			topic := must[string](t)(n.CreateTopic(ctx, account, region, "ends", map[string]string{SignatureVersion: version}))
			s := must[*Subscription](t)(n.Subscribe(ctx, topic, "http", address, nil))
			asked := next(t, got)
			if h := asked.header; h.Get("x-amz-sns-message-type") != SubscriptionConfirmation || h.Get("x-amz-sns-topic-arn") != topic ||
				h.Get("x-amz-sns-message-id") != asked.wire.MessageId || h.Get("x-amz-sns-subscription-arn") != "" || h.Get("Content-Type") != "text/plain; charset=UTF-8" {
				t.Errorf("header of the confirmation: %v", h)
			}
			if asked.wire.SignatureVersion != version || !verified(t, n, asked.wire, confirmationFields...) {
				t.Errorf("the signature of the confirmation is wrong: %s", asked.body)
			}
			if _, err := n.Confirm(ctx, topic, asked.wire.Token[:95]+"x", false, false); !apierror.Is(err, "InvalidParameter") {
				t.Errorf("a wrong token: %v", err)
			}
			must[string](t)(n.Confirm(ctx, topic, asked.wire.Token, false, false))
			must[string](t)(n.Confirm(ctx, topic, asked.wire.Token, false, false)) // once more is as good
			healthy(t, n)

			id := must[string](t)(n.Publish(ctx, Publication{
				Topic: topic, Message: "line\n\"quoted\" <&> ü", Subject: "A subject", Attributes: map[string]Attribute{"n": {"Number", "1.5"}},
			}))
			message := next(t, got)
			if m := message.wire; m.MessageId != id || m.Type != Notification || m.Message != "line\n\"quoted\" <&> ü" || m.Subject != "A subject" ||
				m.MessageAttributes["n"] != (Attribute{"Number", "1.5"}) || message.header.Get("x-amz-sns-subscription-arn") != s.ARN {
				t.Errorf("got %v %s", message.header, message.body)
			}
			if !verified(t, n, message.wire, notificationFields...) {
				t.Errorf("the signature is wrong: %s", message.body)
			}
			for name, tamper := range map[string]func(*wire){
				"message": func(m *wire) { m.Message += "x" }, "subject": func(m *wire) { m.Subject = "B" }, "time": func(m *wire) { m.Timestamp = "2020-01-01T00:00:00.000Z" },
				"topic": func(m *wire) { m.TopicArn += "x" }, "id": func(m *wire) { m.MessageId = NewID() },
			} {
				m := message.wire
				tamper(&m)
				if verified(t, n, m, notificationFields...) {
					t.Errorf("another %s has the same signature", name)
				}
			}
			// Without a subject the string to sign has none.
			must[string](t)(n.Publish(ctx, Publication{Topic: topic, Message: "bare"}))
			if bare := next(t, got); !verified(t, n, bare.wire, "Message", "MessageId", "Timestamp", "TopicArn", "Type") || strings.Contains(string(bare.body), "Subject") {
				t.Errorf("without a subject: %s", bare.body)
			}

			// By the link the endpoint leaves, is told, and comes back.
			if err := n.UnsubscribeByLink(ctx, s.ARN); err != nil {
				t.Fatal(err)
			}
			left := next(t, got)
			if left.wire.Type != UnsubscribeConfirmation || !verified(t, n, left.wire, confirmationFields...) {
				t.Errorf("got %s", left.body)
			}
			all, _, err := n.SubscriptionsByTopic(ctx, topic, "")
			if err != nil || len(all) != 0 {
				t.Errorf("after leaving the list has %v, %v", all, err)
			}
			must[string](t)(n.Confirm(ctx, topic, left.wire.Token, false, false))
			must[string](t)(n.Publish(ctx, Publication{Topic: topic, Message: "again"}))
			if again := next(t, got); again.wire.Message != "again" {
				t.Errorf("got %s", again.body)
			}
			healthy(t, n)
			if err := n.Unsubscribe(ctx, s.ARN); err != nil {
				t.Fatal(err)
			}
			if err := n.Unsubscribe(ctx, s.ARN); !apierror.Is(err, "NotFound") {
				t.Errorf("twice: %v", err)
			}
			healthy(t, n)
		})
	}
}

// TestOpenSSLVerifiesMessages follows AWS's page "Verifying the signature of an
// Amazon SNS message when using HTTP query-based requests".
func TestOpenSSLVerifiesMessages(t *testing.T) {
	t.Parallel()
	n := newNotify(t, sqlitetest.Open(t), nil)
	worktest.Run(t, n.Run)
	address, got := endpoint(t, nil)
	for version, digest := range map[string]string{"1": "-sha1", "2": "-sha256"} {
		topic := must[string](t)(n.CreateTopic(t.Context(), account, region, "v"+version, map[string]string{SignatureVersion: version}))
		must[*Subscription](t)(n.Subscribe(t.Context(), topic, "http", address, nil))
		m := next(t, got).wire
		dir := t.TempDir()
		u := must[*url.URL](t)(url.Parse(m.SigningCertURL))
		signature := must[[]byte](t)(base64.StdEncoding.DecodeString(m.Signature))
		text := "Message\n" + m.Message + "\nMessageId\n" + m.MessageId + "\nSubscribeURL\n" + m.SubscribeURL + "\nTimestamp\n" + m.Timestamp +
			"\nToken\n" + m.Token + "\nTopicArn\n" + m.TopicArn + "\nType\n" + m.Type + "\n"
		write(t, dir, map[string][]byte{"cert.pem": must[[]byte](t)(n.Certificate(t.Context(), u.Path)), "signature": signature, "text": []byte(text)})
		openssl := func(args ...string) []byte {
			t.Helper()
			c := exec.Command("openssl", args...)
			c.Dir = dir
			out, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("openssl %v: %v\n%s", args, err, out)
			}
			return out
		}
		write(t, dir, map[string][]byte{"key.pem": openssl("x509", "-pubkey", "-noout", "-in", "cert.pem")})
		if out := openssl("dgst", digest, "-verify", "key.pem", "-signature", "signature", "text"); !strings.Contains(string(out), "Verified OK") {
			t.Errorf("version %s: %s", version, out)
		}
	}
}

func TestDeadEndpointAndRedrive(t *testing.T) {
	t.Parallel()
	n := newNotify(t, sqlitetest.Open(t), nil)
	worktest.Run(t, n.Run)
	status := make(chan int, 100)
	address, got := endpoint(t, func(r request) int {
		if r.wire.Type != Notification {
			return http.StatusOK
		}
		return <-status
	})
	topic, subscription := subscribed(t, n, address, got, nil, map[string]string{DeliveryPolicy: `{"healthyRetryPolicy":{"numRetries":2,"numNoDelayRetries":2}}`})
	for range 3 {
		status <- http.StatusServiceUnavailable
	}
	id := must[string](t)(n.Publish(t.Context(), Publication{Topic: topic, Message: "to nobody"}))
	for range 3 {
		if r := next(t, got); r.wire.MessageId != id {
			t.Fatalf("got %s", r.body)
		}
	}
	var dead []DeadLetter
	eventually(t, "there is no dead letter", func() bool {
		dead = must[[]DeadLetter](t)(n.DeadLetters(t.Context(), Selection{Account: account}))
		return len(dead) == 1
	})
	if d := dead[0]; d.MessageID != id || d.Tries != 3 || d.Status != 503 || d.Endpoint != address || d.Subscription != subscription {
		t.Errorf("got %+v", d)
	}
	healthy(t, n)
	for _, other := range []Selection{{Account: "999999999999"}, {Account: account, Topic: "x"}, {Account: account, Subscription: "x"}, {Account: account, ID: "x"}} {
		if sent, err := n.Redrive(t.Context(), other); sent != 0 || err != nil {
			t.Errorf("%+v: %d, %v", other, sent, err)
		}
	}
	status <- http.StatusOK
	if sent, err := n.Redrive(t.Context(), Selection{Account: account, ID: dead[0].ID}); sent != 1 || err != nil {
		t.Errorf("redriving: %d, %v", sent, err)
	}
	if r := next(t, got); r.wire.MessageId != id || r.wire.Message != "to nobody" {
		t.Errorf("got %s", r.body)
	}
	if left := must[[]DeadLetter](t)(n.DeadLetters(t.Context(), Selection{Account: account})); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}

	// What won't get better is not tried again: 4xx, a redirect.
	for _, s := range []int{http.StatusForbidden, http.StatusFound} {
		status <- s
		must[string](t)(n.Publish(t.Context(), Publication{Topic: topic, Message: "once"}))
		next(t, got)
		eventually(t, "there is no dead letter", func() bool {
			return len(must[[]DeadLetter](t)(n.DeadLetters(t.Context(), Selection{Account: account}))) == 1
		})
		status <- http.StatusOK
		must[int](t)(n.Redrive(t.Context(), Selection{Account: account}))
		next(t, got)
	}
	healthy(t, n)
}

// What was published by a node that died is delivered by the next one.
func TestMessagesOutliveTheirNode(t *testing.T) {
	t.Parallel()
	s := sqlitetest.Open(t)
	n := newNotify(t, s, nil)
	stop := worktest.Run(t, n.Run)
	address, got := endpoint(t, nil)
	topic, _ := subscribed(t, n, address, got, nil, nil)
	stop()
	id := must[string](t)(n.Publish(t.Context(), Publication{Topic: topic, Message: "stored"}))
	w, err := n.Outgoing(topic, "", "of another's commit", "x", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), store.Batch{Put: []store.Write{w}}); err != nil {
		t.Fatal(err)
	}
	healthy(t, n)
	worktest.Run(t, newNotify(t, s, nil).Run)
	ids := map[string]string{id: "stored", NameID("x"): "of another's commit"}
	for len(ids) > 0 {
		r := next(t, got)
		if want, ok := ids[r.wire.MessageId]; ok && r.wire.Message != want {
			t.Fatalf("got %s", r.body)
		}
		delete(ids, r.wire.MessageId)
	}
}

// One host that never answers holds up nobody else.
func TestSilentHostHoldsUpNobody(t *testing.T) {
	t.Parallel()
	n := newNotify(t, sqlitetest.Open(t), func(c *Config) { c.PerHost, c.Timeout = 2, time.Minute })
	worktest.Run(t, n.Run)
	release := make(chan struct{})
	silent, stuck := endpoint(t, func(r request) int {
		if r.wire.Type == Notification {
			<-release
		}
		return http.StatusOK
	})
	address, got := endpoint(t, nil)
	topic, _ := subscribed(t, n, silent, stuck, nil, nil)
	must[*Subscription](t)(n.Subscribe(t.Context(), topic, "http", address, nil))
	must[string](t)(n.Confirm(t.Context(), topic, next(t, got).wire.Token, false, false))
	const messages = 100
	for range messages {
		must[string](t)(n.Publish(t.Context(), Publication{Topic: topic, Message: "x"}))
	}
	for range messages {
		next(t, got)
	}
	close(release)
}

func TestRawDelivery(t *testing.T) {
	t.Parallel()
	n := newNotify(t, sqlitetest.Open(t), nil)
	worktest.Run(t, n.Run)
	address, got := endpoint(t, nil)
	topic, subscription := subscribed(t, n, address, got, nil, map[string]string{"RawMessageDelivery": "true"})
	must[string](t)(n.Publish(t.Context(), Publication{Topic: topic, Structure: "json", Message: `{"default":"whole","http":"{\"a\":1}","sqs":7}`}))
	if r := next(t, got); string(r.body) != `{"a":1}` || r.header.Get("x-amz-sns-rawdelivery") != "true" || r.header.Get("x-amz-sns-subscription-arn") != subscription {
		t.Errorf("got %v %s", r.header, r.body)
	}
	a := must[map[string]string](t)(n.SubscriptionAttributes(t.Context(), subscription))
	if a["RawMessageDelivery"] != "true" || a["PendingConfirmation"] != "false" || a["Endpoint"] != address {
		t.Errorf("attributes: %v", a)
	}
}

func TestInnerEndpointsAreNotReached(t *testing.T) {
	t.Parallel()
	n := newNotify(t, sqlitetest.Open(t), func(c *Config) { c.Poster = fetch.New(fetch.Config{}) })
	worktest.Run(t, n.Run)
	address, got := endpoint(t, nil)
	topic := must[string](t)(n.CreateTopic(t.Context(), account, region, "inner", nil))
	must[*Subscription](t)(n.Subscribe(t.Context(), topic, "http", address, nil))
	eventually(t, "there is no dead letter", func() bool {
		d := must[[]DeadLetter](t)(n.DeadLetters(t.Context(), Selection{Account: account, Topic: topic}))
		return len(d) == 1 && strings.Contains(d[0].Reason, "not public")
	})
	select {
	case r := <-got:
		t.Errorf("it was reached: %s", r.body)
	default:
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	n := newNotify(t, sqlitetest.Open(t), func(c *Config) {
		c.Topics, c.Subscriptions, c.Waiting, c.DeadLetters = 2, 2, 2, 1
	})
	ctx := t.Context()
	topic := must[string](t)(n.CreateTopic(ctx, account, region, "a", nil))
	must[string](t)(n.CreateTopic(ctx, account, region, "b", nil))
	must[string](t)(n.CreateTopic(ctx, account, region, "a", nil)) // it is there
	if _, err := n.CreateTopic(ctx, account, region, "c", nil); !apierror.Is(err, "TopicLimitExceeded") {
		t.Errorf("a third topic: %v", err)
	}
	must[string](t)(n.CreateTopic(ctx, account, "us-east-1", "c", nil)) // another region
	for _, e := range []string{"http://a.example", "http://b.example"} {
		must[*Subscription](t)(n.Subscribe(ctx, topic, "http", e, nil))
	}
	if _, err := n.Subscribe(ctx, topic, "http", "http://c.example", nil); !apierror.Is(err, "SubscriptionLimitExceeded") {
		t.Errorf("a third subscription: %v", err)
	}
	must[*Subscription](t)(n.Subscribe(ctx, topic, "http", "http://a.example", nil)) // asks once more
	if _, err := n.Subscribe(ctx, topic, "http", "http://a.example", nil); !apierror.Is(err, "SubscriptionLimitExceeded") {
		t.Errorf("a third confirmation for one endpoint: %v", err)
	}
	healthy(t, n)
}

// More than a subscription may have waiting become dead letters, and then are lost.
func TestTooManyWait(t *testing.T) {
	t.Parallel()
	s := sqlitetest.Open(t)
	n := newNotify(t, s, nil)
	stop := worktest.Run(t, n.Run)
	down, gotDown := endpoint(t, func(r request) int {
		if r.wire.Type == Notification {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	topic, subscription := subscribed(t, n, down, gotDown, nil, map[string]string{DeliveryPolicy: `{"healthyRetryPolicy":{"minDelayTarget":600,"maxDelayTarget":600,"numRetries":3}}`})
	stop()
	n = newNotify(t, s, func(c *Config) { c.Waiting, c.DeadLetters = 2, 1 })
	worktest.Run(t, n.Run)
	up, got := endpoint(t, nil)
	other := must[*Subscription](t)(n.Subscribe(t.Context(), topic, "http", up, nil))
	must[string](t)(n.Confirm(t.Context(), topic, next(t, got).wire.Token, false, false))
	for range 5 {
		// What was taken waits until that is written: else it counts with the next.
		eventually(t, "what was taken waits still", func() bool { return waiting(t, s, other.ARN) == 0 })
		must[string](t)(n.Publish(t.Context(), Publication{Topic: topic, Message: "x"}))
		next(t, got) // the other subscription gets them all
	}
	dead := must[[]DeadLetter](t)(n.DeadLetters(t.Context(), Selection{Account: account}))
	if len(dead) != 1 || dead[0].Subscription != subscription || !strings.Contains(dead[0].Reason, "too many") {
		t.Errorf("got %+v", dead)
	}
	healthy(t, n)
}

func TestChosenTopic(t *testing.T) {
	t.Parallel()
	s := sqlitetest.Open(t)
	n := newNotify(t, s, nil)
	ctx := t.Context()
	one := must[string](t)(n.CreateTopic(ctx, account, region, "one", map[string]string{ChangeSetEvents: "true"}))
	two := must[string](t)(n.CreateTopic(ctx, account, region, "two", nil))
	want := func(topic string) {
		t.Helper()
		other := newNotify(t, s, nil)
		if err := other.LoadChoices(ctx); err != nil {
			t.Fatal(err)
		}
		if a, b := n.ChangeSetTopic(account), other.ChangeSetTopic(account); a != topic || b != topic {
			t.Errorf("chosen: %q, on another node %q, want %q", a, b, topic)
		}
		for _, arn := range []string{one, two} {
			a, err := n.TopicAttributes(ctx, arn)
			if err == nil && (a[ChangeSetEvents] == "true") != (arn == topic) {
				t.Errorf("%s shows %s", arn, a[ChangeSetEvents])
			}
		}
		healthy(t, n)
	}
	want(one)
	set := func(arn, value string) {
		t.Helper()
		if err := n.SetTopicAttribute(ctx, arn, ChangeSetEvents, value); err != nil {
			t.Fatal(err)
		}
	}
	set(two, "true")
	want(two)
	set(one, "false") // it is not chosen: nothing changes
	want(two)
	set(two, "false")
	want("")
	set(two, "true")
	if err := n.DeleteTopic(ctx, two); err != nil {
		t.Fatal(err)
	}
	want("")
	if err := n.DeleteTopic(ctx, two); err != nil {
		t.Errorf("twice: %v", err)
	}
}

func TestDeletingATopicDeletesItsSubscriptions(t *testing.T) {
	t.Parallel()
	n := newNotify(t, sqlitetest.Open(t), nil)
	ctx := t.Context()
	topic := must[string](t)(n.CreateTopic(ctx, account, region, "t", nil))
	for i := range 250 {
		must[*Subscription](t)(n.Subscribe(ctx, topic, "https", "https://e.example/"+strings.Repeat("x", i), nil))
	}
	all, token, err := n.Subscriptions(ctx, account, region, "")
	if err != nil || len(all) != pageSize || token == "" {
		t.Fatalf("a page of %d, token %q, %v", len(all), token, err)
	}
	if _, _, err := n.Subscriptions(ctx, "999999999999", region, token); !apierror.Is(err, "InvalidParameter") {
		t.Errorf("another's token: %v", err)
	}
	second, token, err := n.Subscriptions(ctx, account, region, token)
	if err != nil || len(second) != pageSize || second[0].ARN <= all[pageSize-1].ARN {
		t.Errorf("second page: %d, %v", len(second), err)
	}
	if third, end, err := n.Subscriptions(ctx, account, region, token); err != nil || len(third) != 50 || end != "" {
		t.Errorf("third page: %d, %q, %v", len(third), end, err)
	}
	if err := n.DeleteTopic(ctx, topic); err != nil {
		t.Fatal(err)
	}
	if left, _, err := n.Subscriptions(ctx, account, region, ""); err != nil || len(left) != 0 {
		t.Errorf("left: %d, %v", len(left), err)
	}
	healthy(t, n)
}

func TestUnconfirmedSubscriptionsGo(t *testing.T) {
	t.Parallel()
	long := time.Now().Add(-49 * time.Hour)
	s := sqlitetest.Open(t)
	n := newNotify(t, s, func(c *Config) { c.Clock = func() time.Time { return long } })
	topic := must[string](t)(n.CreateTopic(t.Context(), account, region, "t", nil))
	sub := must[*Subscription](t)(n.Subscribe(t.Context(), topic, "https", "https://e.example", nil))
	late := newNotify(t, s, nil)
	if _, err := late.Confirm(t.Context(), topic, sub.token(), false, false); !apierror.Is(err, "InvalidParameter") {
		t.Errorf("confirming after two days: %v", err)
	}
	worktest.Run(t, late.Run)
	eventually(t, "it stays", func() bool {
		_, _, err := late.subscription(t.Context(), sub.ARN)
		return apierror.Is(err, "NotFound")
	})
	healthy(t, late)
}

func TestSignerIsOneOnAllNodes(t *testing.T) {
	t.Parallel()
	s := sqlitetest.Open(t)
	names := make(chan string, 2)
	for range 2 {
		n := newNotify(t, s, nil)
		go func() {
			key, err := n.sign(context.Background())
			if err != nil {
				names <- err.Error()
				return
			}
			names <- key.name
		}()
	}
	if a, b := <-names, <-names; a != b || len(a) != 32 {
		t.Errorf("signers %s and %s", a, b)
	}
	_, err := newNotify(t, s, func(c *Config) { c.Keys = keyring.New([32]byte{2}) }).sign(t.Context())
	if !errors.Is(err, keyring.ErrNotSealed) {
		t.Errorf("with another key: %v", err)
	}
	// Sealed anew by another key, it is the same.
	d := must[store.Document](t)(s.Get(t.Context(), signerKey))
	at, old, fresh := SealedAtRest(), keyring.New([32]byte{1}), keyring.New([32]byte{2})
	plain := must[[]byte](t)(old.Open(at.Purpose, must[[]byte](t)(at.Text(d)), nil))
	d = must[store.Document](t)(at.With(d, fresh.Seal(at.Purpose, plain, nil)))
	if _, err := newNotify(t, s, func(c *Config) { c.Keys = fresh }).openSigner(d); err != nil {
		t.Errorf("sealed anew: %v", err)
	}
}
