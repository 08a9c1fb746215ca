package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"souk/access/iam"
	"souk/access/keyring"
	"souk/access/trail"
	"souk/catalog/change"
	"souk/catalog/changeset"
	"souk/catalog/containerproduct"
	"souk/gateway"
	"souk/service/marketplacecatalog"
	"souk/storage/store"
	"souk/storage/store/sqlite"
)

// The catalogue is filled, and the bare store is measured, with the very
// documents and index entries that the engine writes: the engine is run once
// over a store that keeps the batches, and these are copied with other ids,
// titles and times of the same length.

// account owns everything that the bench makes: the market's first account.
const account = "123456789012"

// recorder is a store that keeps the batches which passed through it.
type recorder struct {
	store.Store
	mu      sync.Mutex
	batches []store.Batch // guarded by mu
}

var _ store.Store = (*recorder)(nil)

// Commit implements store.Store.
func (r *recorder) Commit(ctx context.Context, b store.Batch) error {
	err := r.Store.Commit(ctx, b)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches = append(r.batches, b)
	return nil
}

// templates are what is copied.
type templates struct {
	start  store.Batch // of a StartChangeSet with one CreateProduct
	entity store.Write // of a released product with all its information

	startIDs []string // what is unique in start: the ids of the set, its token, its product
}

const (
	templateTitle = "Bench product 0000000000"
	templateTime  = "2026-01-02T03:04:05.123456Z" // as index entries and documents have it
)

// makeTemplates runs the engine in a folder.
func makeTemplates(ctx context.Context, folder string) (*templates, error) {
	inner, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(folder, "template.db")})
	if err != nil {
		return nil, fmt.Errorf("opening the store of the templates: %w", err)
	}
	defer inner.Close()
	at, err := time.Parse(time.RFC3339Nano, templateTime)
	if err != nil {
		return nil, fmt.Errorf("reading the time of the templates: %w", err)
	}
	kept := &recorder{Store: inner}
	records, err := trail.New(trail.Config{Store: kept, Clock: func() time.Time { return at }})
	if err != nil {
		return nil, fmt.Errorf("making the trail of the templates: %w", err)
	}
	ended := make(chan changeset.Event, 2)
	engine, err := changeset.New(changeset.Config{
		Store: trail.Store(kept), Types: []*change.EntityType{containerproduct.EntityType("127.0.0.1:8470")},
		Keys: keyring.New([32]byte{}), Clock: func() time.Time { return at },
		OpenSets: func(string) int { return -1 }, // as --quota=off has it
		Observe: func(e changeset.Event) {
			if e.Step == changeset.Ended {
				ended <- e
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("making the engine of the templates: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	running := make(chan error, 1)
	go func() { running <- engine.Run(ctx) }()
	defer func() { stop(); <-running }()

	t := &templates{}
	err = startAsCalled(ctx, engine, records, at)
	if err == nil {
		err = succeeded(ctx, ended)
	}
	if err != nil {
		return nil, err
	}
	t.start = kept.batches[0]
	for _, w := range t.start.Put {
		switch w.Kind {
		case "changeset", "token", "trail":
			t.startIDs = append(t.startIDs, w.ID)
		}
	}
	product, ok := find(kept, "entity")
	if !ok {
		return nil, fmt.Errorf("making templates: no entity among %d batches", len(kept.batches))
	}
	t.startIDs = append(t.startIDs, product.ID)

	kept.batches = nil
	const created = "$Create.Entity.Identifier"
	err = finish(ctx, engine, "template-token-0000000002", []changeset.Change{
		{ChangeType: "CreateProduct", EntityType: "ContainerProduct@1.0", ChangeName: "Create", Details: new("{}")},
		{ChangeType: "UpdateInformation", EntityType: "ContainerProduct@1.0", Identifier: created, Details: new(information)},
		{ChangeType: "ReleaseProduct", EntityType: "ContainerProduct@1.0", Identifier: created, Details: new("{}")},
	}, ended)
	if err != nil {
		return nil, err
	}
	t.entity, ok = find(kept, "entity")
	if !ok {
		return nil, fmt.Errorf("making templates: no released entity among %d batches", len(kept.batches))
	}
	return t, nil
}

// createDetails is a CreateProduct document.
func createDetails(title string) string { return `{"ProductTitle":"` + title + `"}` }

// information is the UpdateInformation document of every loaded product.
const information = `{"ProductTitle":"` + templateTitle + `",
"ShortDescription":"A product that is there so that there are many.",
"LongDescription":"It fills the catalogue of a benchmark. Nobody needs it, nobody buys it, and everybody who lists the catalogue gets it on one of the pages.",
"Sku":"123example456","Highlights":["There are many like it"],"SearchKeywords":["bench","many"],
"SupportDescription":"Need help? Contact our experts at support@example.com",
"Categories":["Operating Systems","Network Infrastructure"]}`

// startAsCalled starts a change set as the API does, with the record of the call.
func startAsCalled(ctx context.Context, engine *changeset.Engine, records *trail.Trail, at time.Time) error {
	root := &iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":root", ID: account, Root: true}
	caller := &gateway.Caller{
		Principal: root, AccessKeyID: "AKIAIOSFODNN7EXAMPLE", Region: "us-east-1", RequestID: "0f1e2d3c-4b5a-4697-8877-665544332211",
		SourceIP: netip.MustParseAddr("127.0.0.1"), UserAgent: "bench", Time: at,
	}
	in := &marketplacecatalog.StartChangeSetInput{
		Catalog: "AWSMarketplace", ClientRequestToken: new("template-token-0000000001"),
		ChangeSet: []marketplacecatalog.Change{{
			ChangeType: "CreateProduct", Entity: &marketplacecatalog.Entity{Type: "ContainerProduct@1.0"}, Details: new(createDetails(templateTitle)),
		}},
	}
	api := marketplacecatalog.Service(engine, nil)
	i := slices.IndexFunc(api.Operations, func(o gateway.Operation) bool { return o.Name == "StartChangeSet" })
	entry := records.Begin(trail.Call{
		Principal: root, AccessKeyID: caller.AccessKeyID, Region: caller.Region, RequestID: caller.RequestID, SourceIP: caller.SourceIP,
		UserAgent: caller.UserAgent, Time: at, Source: api.EventSource, Name: "StartChangeSet", Input: in,
	})
	_, err := api.Operations[i].Call(entry.Context(ctx), caller, in)
	if err != nil {
		return fmt.Errorf("starting the change set of a template: %w", err)
	}
	return nil
}

// finish starts a change set and waits until it has succeeded.
func finish(ctx context.Context, engine *changeset.Engine, token string, changes []changeset.Change, ended <-chan changeset.Event) error {
	_, err := engine.Start(ctx, &changeset.Request{Account: account, Token: token, Changes: changes})
	if err != nil {
		return fmt.Errorf("starting the change set of a template: %w", err)
	}
	return succeeded(ctx, ended)
}

// succeeded waits until a change set has succeeded.
func succeeded(ctx context.Context, ended <-chan changeset.Event) error {
	select {
	case e := <-ended:
		if e.Status != changeset.Succeeded {
			return fmt.Errorf("the change set of a template is %s", e.Status)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(10 * time.Second):
		return errors.New("the change set of a template did not end")
	}
}

// find returns the last write of a kind.
func find(r *recorder, kind string) (store.Write, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.batches) - 1; i >= 0; i-- {
		for _, w := range r.batches[i].Put {
			if w.Kind == kind {
				return w, true
			}
		}
	}
	return store.Write{}, false
}

// replacer exchanges texts by others of the same length.
type replacer [][2]string

func (r replacer) text(s string) string {
	for _, pair := range r {
		s = string(bytes.ReplaceAll([]byte(s), []byte(pair[0]), []byte(pair[1])))
	}
	return s
}

func (r replacer) bytes(b []byte) []byte {
	for _, pair := range r {
		b = bytes.ReplaceAll(b, []byte(pair[0]), []byte(pair[1]))
	}
	return b
}

// write copies a write.
func (r replacer) write(w store.Write) store.Write {
	w.ID = r.text(w.ID)
	w.Summary, w.Body = r.bytes(w.Summary), r.bytes(w.Body)
	w.Index = slices.Clone(w.Index)
	for i := range w.Index {
		e := &w.Index[i]
		e.Partition, e.Sort, e.Cover = r.text(e.Partition), r.text(e.Sort), r.bytes(e.Cover)
	}
	return w
}

// another copies the batch of StartChangeSet with ids of its own.
func (t *templates) another(n int) store.Batch {
	r := replacer{{templateTitle, fmt.Sprintf("Bench product %010d", n)}}
	for _, id := range t.startIDs {
		r = append(r, [2]string{id, vary(id, n)})
	}
	b := t.start
	b.Put = make([]store.Write, len(t.start.Put))
	for i, w := range t.start.Put {
		b.Put[i] = r.write(w)
	}
	return b
}

// product copies the entity with an id, as the n-th of a catalogue.
func (t *templates) product(id string, n int) store.Write {
	at, _ := time.Parse(time.RFC3339Nano, templateTime) // makeTemplates parsed it
	r := replacer{
		{t.entity.ID, id},
		{templateTitle, productTitle(n)},
		{templateTime, at.Add(time.Duration(n) * 10 * time.Millisecond).Format("2006-01-02T15:04:05.000000Z")},
	}
	w := r.write(t.entity)
	w.Terms = changeset.TitleTerms(account, "ContainerProduct", productTitle(n))
	return w
}

// productID spreads the ids of the catalogue as random ones are spread.
func productID(n int) string {
	return fmt.Sprintf("prod-%013s", shuffled(n))
}

func productTitle(n int) string { return fmt.Sprintf("Bench product %010d", n) }

// shuffled is a number in base 36 with its low digits first, so that neighbours
// lie far apart.
func shuffled(n int) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
	x := uint64(n)*0x9E3779B97F4A7C15 | 1<<63 // odd factor: no two numbers meet
	var b [13]byte
	for i := range b {
		b[i] = digits[x%36]
		x /= 36
	}
	return string(b[:])
}

// vary changes the end of an id, length kept: ids begin with a time. That of a
// token is a hash, and another one is altogether another.
func vary(id string, n int) string {
	account, hash, ok := strings.Cut(id, "/")
	if ok {
		return fmt.Sprintf("%s/%x", account, sha256.Sum256([]byte(hash+strconv.Itoa(n))))
	}
	end := fmt.Sprintf("%09d", n)
	if len(id) <= len(end) {
		return id
	}
	return id[:len(id)-len(end)] + end
}
