// Package notify keeps topics, those who subscribed to them, and the messages
// that are on their way: Amazon SNS for HTTP and HTTPS endpoints. A message
// that was published is a document, and so is each of its deliveries, until
// its endpoint has taken it or it is a dead letter: a node that dies loses
// none, and an endpoint may get one twice.
//
// How requests arrive is the business of service/sns; where an endpoint may be
// is that of egress/fetch.
//
// Documents:
//
//	topic              a topic, with the counts of its subscriptions
//	topicsubscription  an endpoint of a topic; due when it is given up unconfirmed
//	topicendpoint      makes an endpoint unique in its topic
//	topicmessage       was published; is work until all its deliveries are written
//	topicdelivery      a message for one subscription; is work until it is taken
//	topicdeadletter    a delivery that was given up; due when it is forgotten
//	changesettopic     the topic that an account chose for its change sets' ends
//	topicsigner        the key that signs messages, sealed, and its certificate
package notify

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"souk/gateway/apierror"
	"souk/storage/store"
	"souk/storage/work"
)

// The kinds of documents.
const (
	kindTopic        = "topic"
	kindSubscription = "topicsubscription"
	kindEndpoint     = "topicendpoint"
	kindMessage      = "topicmessage"
	kindDelivery     = "topicdelivery"
	kindDeadLetter   = "topicdeadletter"
	kindChoice       = "changesettopic"
	kindSigner       = "topicsigner"
)

// What an account, a topic and a subscription may have unless Config says
// otherwise.
const (
	DefaultTopics        = 1000   // of an account in a region
	DefaultSubscriptions = 1000   // of a topic, those not confirmed included
	DefaultWaiting       = 10_000 // deliveries that wait for one subscription
	DefaultDeadLetters   = 10_000 // of an account
)

const (
	// confirmTime is how long a subscription may be confirmed: "Confirmation
	// tokens are valid for two days."
	confirmTime = 48 * time.Hour
	// deadTime is how long a dead letter is kept: the longest time of a queue of AWS.
	deadTime = 14 * 24 * time.Hour
	// pageSize is how many topics or subscriptions a list returns at once.
	pageSize = 100
	// maxRounds is how often a write is tried against others.
	maxRounds = 100
)

// Sealer seals what must not be read or forged (access/keyring.Ring).
type Sealer interface {
	Seal(purpose string, plain, bound []byte) []byte
	Open(purpose string, sealed, bound []byte) ([]byte, error)
}

// Poster sends a body to an endpoint and returns the status of its answer
// (egress/fetch.Fetcher). An error that is fetch.ErrRefused says that it may
// never be sent there; any other, that nobody answered.
type Poster interface {
	Post(ctx context.Context, address string, header http.Header, body []byte, timeout time.Duration) (status int, err error)
}

// Config is what a Notify is made of. Store, Keys and URL are required.
type Config struct {
	Store  store.Store
	Keys   Sealer
	Poster Poster // nil where nothing is delivered: Run is not called
	// Guard, if set, is what a commit that holds something sealed expects: that
	// the key by which Keys seals is still the one.
	Guard func(ctx context.Context) (store.Expectation, error)
	// URL is the market's own, without a slash at the end: that of certificates
	// and of the links in messages.
	URL   string
	Owner string // names this node, new at each start

	Topics        int // 0: DefaultTopics
	Subscriptions int // 0: DefaultSubscriptions
	Waiting       int // 0: DefaultWaiting
	DeadLetters   int // 0: DefaultDeadLetters
	// PerHost is how many deliveries this node has under way to one host. 0: 8
	PerHost int
	// Timeout is how long an endpoint may take to answer. 0: 15 s, as SNS has it.
	Timeout time.Duration

	Clock func() time.Time // nil: time.Now
	Log   *slog.Logger     // nil: slog.Default()
}

// Notify keeps topics and delivers messages. Make it with New; its methods may
// be called from any goroutine, on any number of nodes that share a store.
type Notify struct {
	cfg     Config
	store   store.Store
	hosts   hosts
	choices atomic.Pointer[map[string]string] // topic by account

	signing sync.Mutex
	signer  *signer // guarded by signing; nil until it was needed

	messages, deliveries, unconfirmed, dead *work.Runner
}

// New makes a Notify. It starts nothing: see Run.
func New(cfg Config) (*Notify, error) {
	if cfg.Store == nil || cfg.Keys == nil || cfg.URL == "" {
		return nil, errors.New("topics: Store, Keys and URL are required")
	}
	for _, limit := range []struct {
		value     *int
		otherwise int
	}{
		{&cfg.Topics, DefaultTopics}, {&cfg.Subscriptions, DefaultSubscriptions},
		{&cfg.Waiting, DefaultWaiting}, {&cfg.DeadLetters, DefaultDeadLetters}, {&cfg.PerHost, 8},
	} {
		if *limit.value <= 0 {
			*limit.value = limit.otherwise
		}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 15 * time.Second
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	n := &Notify{cfg: cfg, store: cfg.Store, hosts: hosts{most: cfg.PerHost, all: map[string]*host{}}}
	n.choices.Store(&map[string]string{})
	worker := func(kind string, do func(context.Context, *work.Task), poll time.Duration) *work.Runner {
		return work.New(work.Config{
			Store: cfg.Store, Kind: kind, Owner: cfg.Owner, Do: do, Log: cfg.Log,
			Lease: 10 * time.Second, Slots: 32, Most: 256, Poll: poll,
		})
	}
	n.messages = worker(kindMessage, n.spread, 0)
	n.deliveries = worker(kindDelivery, n.deliver, 0)
	n.unconfirmed = worker(kindSubscription, n.expire, 30*time.Second)
	n.dead = worker(kindDeadLetter, n.forget, 30*time.Second)
	return n, nil
}

// Run delivers messages until ctx ends, then lets the deliveries under way end
// and returns nil.
func (n *Notify) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range []*work.Runner{n.messages, n.deliveries, n.unconfirmed, n.dead} {
		g.Go(func() error { return r.Run(ctx) })
	}
	g.Go(func() error { return n.watchChoices(ctx) })
	return g.Wait()
}

// now is the time that documents and messages show: UTC, to the millisecond.
func (n *Notify) now() time.Time { return n.cfg.Clock().UTC().Truncate(time.Millisecond) }

// NewID makes a random UUID.
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return uuid(b)
}

// uuid makes a UUID of version 4 of 16 bytes.
func uuid(b [16]byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// invalid refuses a parameter in SNS's words.
func invalid(format string, args ...any) error {
	return apierror.New("InvalidParameter", "Invalid parameter: "+format, args...)
}

// arn is a topic's ARN in its parts.
type arn struct{ Region, Account, Name string }

func (a arn) String() string { return "arn:aws:sns:" + a.Region + ":" + a.Account + ":" + a.Name }

// parseTopic reads a topic's ARN.
func parseTopic(text string) (arn, bool) {
	p := strings.Split(text, ":")
	if len(p) != 6 || p[0] != "arn" || p[1] != "aws" || p[2] != "sns" || p[3] == "" || p[4] == "" || !topicName().MatchString(p[5]) {
		return arn{}, false
	}
	return arn{p[3], p[4], p[5]}, true
}

// TopicOf is the ARN of the topic of a subscription's ARN, and its region and
// account; ok is false if that is none.
func TopicOf(subscription string) (topic, region, account string, ok bool) {
	i := strings.LastIndexByte(subscription, ':')
	if i < 0 || len(subscription)-i-1 != 36 {
		return "", "", "", false
	}
	a, ok := parseTopic(subscription[:i])
	return subscription[:i], a.Region, a.Account, ok
}

// Place is the region and the account of a topic's ARN; ok is false if it is none.
func Place(topic string) (region, account string, ok bool) {
	a, ok := parseTopic(topic)
	return a.Region, a.Account, ok
}

const tokenPurpose = "token of a list of topics"

// sealPosition makes the token of the next page.
func (n *Notify) sealPosition(bound string, page store.Page) string {
	if !page.More {
		return ""
	}
	sealed := n.cfg.Keys.Seal(tokenPurpose, []byte(page.Next.Sort+"\x00"+page.Next.ID), []byte(bound))
	return base64.RawURLEncoding.EncodeToString(sealed)
}

func (n *Notify) openPosition(bound, token string) (store.Position, error) {
	if token == "" {
		return store.Position{}, nil
	}
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	var plain []byte
	if err == nil {
		plain, err = n.cfg.Keys.Open(tokenPurpose, sealed, []byte(bound))
	}
	if err != nil {
		return store.Position{}, invalid("NextToken")
	}
	sort, id, _ := strings.Cut(string(plain), "\x00")
	return store.Position{Sort: sort, ID: id}, nil
}

// list returns a page of an index, and the token of the next one.
func (n *Notify) list(ctx context.Context, kind, index, partition, token string) (store.Page, string, error) {
	bound := kind + "\x00" + index + "\x00" + partition
	after, err := n.openPosition(bound, token)
	if err != nil {
		return store.Page{}, "", err
	}
	page, err := n.store.List(ctx, store.Query{Kind: kind, Index: index, Partition: partition, After: after, Limit: pageSize})
	if err != nil {
		return page, "", fmt.Errorf("listing %s %s: %w", kind, partition, err)
	}
	return page, n.sealPosition(bound, page), nil
}

// rounds tries a write again as long as others come first.
func rounds(what string, try func() error) error {
	for range maxRounds {
		err := try()
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("%s: it changes too often", what)
}
