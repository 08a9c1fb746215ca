package trail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"souk/access/iam"
	"souk/access/keyring"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
	"souk/storage/worktest"
)

const account = "123456789012"

// market is a trail on a store of its own, with a clock that tests set.
type market struct {
	*Trail
	store store.Store // with the records of calls
	bare  store.Store
	now   atomic.Int64 // nanoseconds
}

func newMarket(t testing.TB, change func(*Config)) *market {
	t.Helper()
	engine := sqlitetest.Open(t)
	m := &market{bare: engine, store: Store(engine)}
	m.now.Store(time.Now().UnixNano())
	c := Config{
		Store: engine, Owner: "node", Tokens: keyring.New([32]byte{1}),
		Clock:    func() time.Time { return time.Unix(0, m.now.Load()).UTC() },
		Accounts: func(context.Context) ([]string, error) { return []string{account, "210987654321"}, nil },
	}
	if change != nil {
		change(&c)
	}
	var err error
	m.Trail, err = New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *market) later(d time.Duration) { m.now.Add(int64(d)) }

type input struct {
	Catalog    string
	EntityType string
	MaxResults *int
	Empty      string
}

// call is a call of user Nikki at the market's time.
func (m *market) call(name string, readOnly bool) Call {
	most := 20
	return Call{
		Principal:   &iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/Nikki", ID: "AIDAEXAMPLE", Name: "Nikki"},
		AccessKeyID: "AKIAEXAMPLE", Region: "us-east-1", RequestID: "request-" + name, SourceIP: netip.MustParseAddr("127.0.0.1"), UserAgent: "tests/1",
		Time: m.Trail.cfg.Clock(), Source: "marketplacecatalog.amazonaws.com", Name: name, ReadOnly: readOnly,
		Input: &input{Catalog: "AWSMarketplace", EntityType: "EntityProduct", MaxResults: &most},
	}
}

// write is a call that writes one document.
func (m *market) write(t *testing.T, name string, o Outcome) *Entry {
	t.Helper()
	e := m.Begin(m.call(name, false))
	ctx := e.Context(t.Context())
	if err := m.store.Commit(ctx, put(e.id, 0)); err != nil {
		t.Fatal(err)
	}
	if err := e.End(ctx, o); err != nil {
		t.Fatal(err)
	}
	return e
}

func put(id string, was int64) store.Batch {
	return store.Batch{Put: []store.Write{{Was: was, Document: store.Document{Key: store.Key{Kind: "thing", ID: id}, Body: []byte("x")}}}}
}

func (m *market) lookup(t *testing.T, q Query) []*Record {
	t.Helper()
	if q.Account == "" {
		q.Account = account
	}
	if q.Most == 0 {
		q.Most = 50
	}
	var all []*Record
	for range 1000 {
		page, next, err := m.Lookup(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > q.Most {
			t.Fatalf("a page of %d has %d records", q.Most, len(page))
		}
		all = append(all, page...)
		if next == "" {
			return all
		}
		q.Token = next
	}
	t.Fatal("the pages do not end")
	return nil
}

func names(all []*Record) []string {
	var n []string
	for _, r := range all {
		n = append(n, r.Name)
	}
	return n
}

func (m *market) singles(t *testing.T) int {
	t.Helper()
	n := 0
	err := m.bare.(store.Walker).Walk(t.Context(), kindSingle, func(store.Document) error { n++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The example of the AWS Marketplace Catalog API Reference, "Understanding AWS
// Marketplace catalog log file entries", but for the version of the format.
func TestTheDocumentedExampleHasItsForm(t *testing.T) {
	t.Parallel()
	type sort struct{ SortBy, SortOrder string }
	type listEntities struct {
		Catalog    string
		EntityType string
		FilterList []string
		Sort       *sort
		MaxResults *int
	}
	most := 20
	r := Record{
		ID: newID(time.Date(2019, 10, 17, 21, 49, 23, 0, time.UTC)), Source: "marketplacecatalog.amazonaws.com", Name: "ListEntities",
		Region: "us-east-1", Account: "123456789010", Key: "ABCDEFGHJKLMNOP1234", ARN: "arn:aws:iam::123456789010:user/CloudTrailTestUser",
		Principal: "ABCDEFGHJKLMNOP12345", IP: "127.0.0.1", Agent: "PostmanRuntime/7.18.0", Request: "fEXAMPLE-cb3e-4e21-86fd-6b3EXAMPLEd1", ReadOnly: true,
		Input: elements(&listEntities{Catalog: "AWSMarketplace", EntityType: "EntityProduct", Sort: &sort{"LastUpdateTimeInMillis", "DESC"}, MaxResults: &most}),
	}
	got, want := map[string]any{}, map[string]any{}
	if err := json.Unmarshal(r.JSON(), &got); err != nil {
		t.Fatalf("%v in %s", err, r.JSON())
	}
	err := json.Unmarshal([]byte(`{
    "userIdentity": {
      "type": "IAMUser",
      "principalId": "ABCDEFGHJKLMNOP12345",
      "arn": "arn:aws:iam::123456789010:user/CloudTrailTestUser",
      "accountId": "123456789010",
      "accessKeyId": "ABCDEFGHJKLMNOP1234",
      "userName": "CloudTrailTestUser"
    },
    "eventTime": "2019-10-17T21:49:23Z",
    "eventSource": "marketplacecatalog.amazonaws.com",
    "eventName": "ListEntities",
    "awsRegion": "us-east-1",
    "sourceIPAddress": "127.0.0.1",
    "userAgent": "PostmanRuntime/7.18.0",
    "requestParameters": {
      "catalog": "AWSMarketplace",
      "entityType": "EntityProduct",
      "sort": {
        "sortBy": "LastUpdateTimeInMillis",
        "sortOrder": "DESC"
      },
      "maxResults": 20
    },
    "responseElements": null,
    "requestID": "fEXAMPLE-cb3e-4e21-86fd-6b3EXAMPLEd1",
    "readOnly": true,
    "eventType": "AwsApiCall",
    "recipientAccountId": "123456789010"
  }`), &want)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range want {
		if fmt.Sprint(got[name]) != fmt.Sprint(v) {
			t.Errorf("%s is %v, want %v", name, got[name], v)
		}
	}
	if got["eventVersion"] != eventVersion || got["eventID"] != r.ID || got["eventCategory"] != "Management" || got["managementEvent"] != true {
		t.Errorf("the members of today's format are wrong: %s", r.JSON())
	}
}

func TestWhoAskedIsToldOfRootUserAndSession(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ arn, id, user, want string }{
		{"arn:aws:iam::123456789012:root", "123456789012", "root", `{"type":"Root","principalId":"123456789012","arn":"arn:aws:iam::123456789012:root","accountId":"123456789012","accessKeyId":"K"}`},
		{"arn:aws:iam::123456789012:user/division/Bob", "AIDA1", "Bob", `{"type":"IAMUser","principalId":"AIDA1","arn":"arn:aws:iam::123456789012:user/division/Bob","accountId":"123456789012","accessKeyId":"K","userName":"Bob"}`},
		{"arn:aws:sts::123456789012:assumed-role/Seller/monday", "AROA1:monday", "monday", `{"type":"AssumedRole","principalId":"AROA1:monday","arn":"arn:aws:sts::123456789012:assumed-role/Seller/monday","accountId":"123456789012","accessKeyId":"K","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROA1","arn":"arn:aws:iam::123456789012:role/Seller","accountId":"123456789012","userName":"Seller"},"attributes":{"creationDate":"2026-11-22T05:00:00Z","mfaAuthenticated":"false"}}}`},
	} {
		r := Record{ARN: c.arn, Principal: c.id, Account: account, Key: "K", Session: "2026-11-22T05:00:00Z"}
		if got := string(r.identity(nil)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.arn, got, c.want)
		}
		if r.Username() != c.user {
			t.Errorf("%s: the user name is %q, want %q", c.arn, r.Username(), c.user)
		}
	}
}

func TestARecordIsInTheCommitOfItsWrite(t *testing.T) {
	t.Parallel()
	m := newMarket(t, nil)
	e := m.Begin(m.call("StartChangeSet", false))
	ctx := e.Context(t.Context())
	// A commit that is refused takes nothing along; the next one does.
	if err := m.store.Commit(ctx, put("a", 7)); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("a write of a revision that is not there: %v", err)
	}
	if n := m.singles(t); n != 0 {
		t.Fatalf("a refused commit left %d records", n)
	}
	Answer(ctx, &struct{ ChangeSetId string }{"set-1"}, "arn:aws:aws-marketplace:us-east-1:123456789012:AWSMarketplace/ChangeSet/set-1")
	if err := m.store.Commit(ctx, put("a", 0)); err != nil {
		t.Fatal(err)
	}
	d, err := m.bare.Get(t.Context(), store.Key{Kind: kindSingle, ID: e.id})
	if err != nil {
		t.Fatalf("after the commit, before the answer: %v", err)
	}
	if err := e.End(ctx, Outcome{Output: &struct{ ChangeSetId string }{"set-1"}}); err != nil {
		t.Fatal(err)
	}
	after, err := m.bare.Get(t.Context(), d.Key)
	if err != nil || after.Revision != 1 {
		t.Errorf("an answer that was announced is written again: revision %d, %v", after.Revision, err)
	}
	// What goes on behind the answer is no part of the call.
	if err := m.store.Commit(ctx, put("b", 0)); err != nil {
		t.Fatal(err)
	}
	if n := m.singles(t); n != 1 {
		t.Errorf("there are %d records of one call", n)
	}
	all := m.lookup(t, Query{Attribute: ResourceName, Value: "set-1"})
	if len(all) != 1 || all[0].Output != `{"changeSetId":"set-1"}` || all[0].Input != `{"catalog":"AWSMarketplace","entityType":"EntityProduct","maxResults":20}` {
		t.Errorf("it is not found by the set that it made: %+v", all)
	}
}

func TestAnAnswerThatWasNotAnnouncedCompletesTheRecord(t *testing.T) {
	t.Parallel()
	m := newMarket(t, nil)
	m.write(t, "CancelChangeSet", Outcome{Output: &struct{ ChangeSetId string }{"x"}})
	m.write(t, "TagResource", Outcome{})
	m.write(t, "PutResourcePolicy", Outcome{Code: "ValidationException", Message: "after its first commit"})
	e := m.Begin(m.call("UntagResource", false)) // it finds nothing to write
	if err := e.End(t.Context(), Outcome{}); err != nil {
		t.Fatal(err)
	}
	if n := m.singles(t); n != 4 {
		t.Errorf("%d records are durable, want 4", n)
	}
	got := map[string]*Record{}
	for _, r := range m.lookup(t, Query{}) {
		got[r.Name] = r
	}
	if len(got) != 4 || got["CancelChangeSet"].Output != `{"changeSetId":"x"}` || got["TagResource"].Output != "" || got["PutResourcePolicy"].Code != "ValidationException" {
		t.Errorf("records are %+v", got)
	}
}

// lost is a store whose commits are done and seem to fail.
type lost struct {
	store.Store
	lose bool
}

func (l *lost) Commit(ctx context.Context, b store.Batch) error {
	err := l.Store.Commit(ctx, b)
	if l.lose && err == nil {
		return errors.New("the connection broke")
	}
	return err
}

func TestACommitWhoseAnswerWasLostIsRecordedOnce(t *testing.T) {
	t.Parallel()
	m := newMarket(t, nil)
	l := &lost{Store: m.bare, lose: true}
	s := Store(l)
	e := m.Begin(m.call("StartChangeSet", false))
	ctx := e.Context(t.Context())
	if err := s.Commit(ctx, put("a", 0)); err == nil {
		t.Fatal("the answer was not lost")
	}
	l.lose = false
	if err := s.Commit(ctx, put("b", 0)); err != nil { // the handler goes on: with the record, whatever is stored
		t.Fatal(err)
	}
	if err := e.End(ctx, Outcome{Output: &struct{ Id string }{"b"}}); err != nil {
		t.Fatal(err)
	}
	if all := m.lookup(t, Query{}); len(all) != 1 || all[0].Output != `{"id":"b"}` {
		t.Errorf("records are %+v", all)
	}
}

func TestReadsAndRefusalsAreStoredByAFlush(t *testing.T) {
	t.Parallel()
	m := newMarket(t, nil)
	for range 3 {
		if err := m.Begin(m.call("DescribeEntity", true)).End(t.Context(), Outcome{Output: &input{Catalog: "never shown"}}); err != nil {
			t.Fatal(err)
		}
	}
	e := m.Begin(m.call("StartChangeSet", false))
	if err := e.End(t.Context(), Outcome{Code: "AccessDeniedException", Message: "no"}); err != nil {
		t.Fatal(err)
	}
	if n := m.singles(t); n != 0 {
		t.Errorf("%d of them are documents of their own", n)
	}
	all := m.lookup(t, Query{})
	if len(all) != 4 {
		t.Fatalf("%d records, want 4", len(all))
	}
	for _, r := range all {
		if r.ReadOnly && r.Output != "" {
			t.Errorf("the answer of a read is recorded: %s", r.Output)
		}
	}
	if m.buffer.bytes != 0 {
		t.Errorf("%d bytes count as not stored", m.buffer.bytes)
	}
}

func TestAFullBufferMakesCallsWait(t *testing.T) {
	t.Parallel()
	m := newMarket(t, func(c *Config) { c.Memory = 1 })
	end := func(ctx context.Context) error { return m.Begin(m.call("DescribeEntity", true)).End(ctx, Outcome{}) }
	if err := end(t.Context()); err != nil {
		t.Fatal(err)
	}
	given, stop := context.WithCancel(t.Context())
	stop()
	if err := end(given); !errors.Is(err, context.Canceled) {
		t.Errorf("a call whose time is over, while the buffer is full: %v", err)
	}
	done := make(chan error)
	go func() { done <- end(t.Context()) }()
	for { // until the call waits
		m.buffer.mu.Lock()
		waits := m.buffer.freed != nil
		m.buffer.mu.Unlock()
		if waits {
			break
		}
		runtime.Gosched()
	}
	if err := m.flush(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("a call that waited: %v", err)
	}
	if all := m.lookup(t, Query{}); len(all) != 2 {
		t.Errorf("%d records, want 2", len(all))
	}
}

func TestOfAFloodOfThrottledCallsSomeAreRecorded(t *testing.T) {
	t.Parallel()
	m := newMarket(t, nil)
	for range 3 * mostThrottled {
		if err := m.Begin(m.call("ListEntities", true)).End(t.Context(), Outcome{Code: "ThrottlingException", Throttled: true}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(m.lookup(t, Query{})); n != mostThrottled {
		t.Errorf("%d records, want %d", n, mostThrottled)
	}
}

func TestSingleRecordsArePackedWhenTheyHaveSettled(t *testing.T) {
	t.Parallel()
	m := newMarket(t, nil)
	var want []string
	for i := range 1203 {
		name := fmt.Sprintf("Write%04d", i)
		m.write(t, name, Outcome{})
		want = append(want, name)
		m.later(100 * time.Millisecond)
	}
	slices.Reverse(want)
	if err := m.packSingles(t.Context(), m.settledBefore()); err != nil {
		t.Fatal(err)
	}
	if n := m.singles(t); n < 890 || n > 910 {
		t.Errorf("%d records have not settled; they are packed 90 seconds after their call", n)
	}
	if got := names(m.lookup(t, Query{})); !slices.Equal(got, want) {
		t.Errorf("half packed, %d records are found, want %d, in the order of their calls", len(got), len(want))
	}
	m.later(settled + time.Second)
	m.search(t.Context())
	if err := m.packSingles(t.Context(), m.settledBefore()); err != nil {
		t.Fatal(err)
	}
	if n := m.singles(t); n != 0 {
		t.Errorf("%d records are left", n)
	}
	for _, most := range []int{50, 7, 1000} {
		if got := names(m.lookup(t, Query{Most: most})); !slices.Equal(got, want) {
			t.Errorf("packed, in pages of %d: %d records are found, want %d, in the order of their calls", most, len(got), len(want))
		}
	}
	if found, err := m.Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("the doctor finds %v, %v", found, err)
	}
}

func TestTwoNodesPackARecordOnce(t *testing.T) {
	t.Parallel()
	m := newMarket(t, nil)
	other, err := New(m.cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		m.write(t, fmt.Sprintf("Write%03d", i), Outcome{})
	}
	m.later(settled + time.Minute)
	other.search(t.Context())
	errs := make(chan error)
	for _, n := range []*Trail{m.Trail, other} {
		go func() { errs <- n.packSingles(context.Background(), n.settledBefore()) }()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := len(m.lookup(t, Query{})); n != 300 {
		t.Errorf("%d records, want 300", n)
	}
}

func TestOldRecordsAreSwept(t *testing.T) {
	t.Parallel()
	m := newMarket(t, func(c *Config) { c.Keep = time.Hour })
	m.later(-3 * time.Hour) // the database's own clock says what is old
	for i := range 100 {
		if err := m.Begin(m.call(fmt.Sprint(i), true)).End(t.Context(), Outcome{}); err != nil {
			t.Fatal(err)
		}
		m.later(time.Minute)
	}
	if n := len(m.lookup(t, Query{})); n != 60 {
		t.Errorf("%d records are of the last hour, want 60", n)
	}
	m.later(80 * time.Minute) // now
	if err := m.Begin(m.call("new", true)).End(t.Context(), Outcome{}); err != nil {
		t.Fatal(err)
	}
	if err := m.flush(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if err := m.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := m.bare.(store.Walker).Walk(t.Context(), kindPack, func(store.Document) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	if n != 1 {
		t.Errorf("%d packs are left, want the new one", n)
	}
}

func TestRunStoresWhatIsLeftWhenItEnds(t *testing.T) {
	t.Parallel()
	m := newMarket(t, nil)
	stop := worktest.Run(t, m.Run)
	if err := m.Begin(m.call("DescribeEntity", true)).End(t.Context(), Outcome{}); err != nil {
		t.Fatal(err)
	}
	stop()
	fresh, err := New(m.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if all, _, err := fresh.Lookup(t.Context(), Query{Account: account, Most: 5}); err != nil || len(all) != 1 {
		t.Errorf("%d records after the end, %v", len(all), err)
	}
}

// Others ask a store for what the engines offer beside store.Store, and do
// without what it lacks.
func TestStoreOffersWhatItsEngineOffers(t *testing.T) {
	t.Parallel()
	m := newMarket(t, nil)
	if _, ok := m.store.(store.Walker); !ok {
		t.Error("it can't be walked")
	}
	if _, ok := m.store.(store.Indexer); !ok {
		t.Error("its documents can't be given terms")
	}
}
