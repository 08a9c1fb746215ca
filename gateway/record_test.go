package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"souk/access/trail"
	"souk/gateway"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
)

// recorded is a gateway whose calls are recorded, on a store of its own.
func recorded(t *testing.T, change func(*gateway.Config)) (*gateway.Gateway, *trail.Trail, store.Store) {
	t.Helper()
	s := sqlitetest.Open(t)
	tr, err := trail.New(trail.Config{Store: s, Owner: "node", Clock: func() time.Time { return now.Add(time.Second) }})
	if err != nil {
		t.Fatal(err)
	}
	c := config()
	c.Trail = tr
	if change != nil {
		change(&c)
	}
	return newGateway(t, c), tr, s
}

// records are the account's, the newest first.
func records(t *testing.T, tr *trail.Trail) []*trail.Record {
	t.Helper()
	all, _, err := tr.Lookup(t.Context(), trail.Query{Account: account, Most: 50})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const recordedBody = `{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"CreateProduct","Entity":{"Type":"ContainerProduct@1.0","Identifier":"prod-1"},"Details":"{}"}]}`

func TestEachCallIsRecordedWithWhatCameOfIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request
		change func(*gateway.Config)
		action string // "": no record
		code   string
		output string
	}{
		"a read":              {request: request{target: "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-1"}, action: "DescribeEntity"},
		"a write":             {request: request{method: "POST", target: "/StartChangeSet", body: recordedBody}, action: "StartChangeSet", output: `{"changeSetId":"2de11mwkeagfwj07225x1h5a5","changes":1}`},
		"a refusal":           {request: request{target: "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-none"}, action: "DescribeEntity", code: "ResourceNotFoundException"},
		"a denial":            {request: request{method: "POST", target: "/StartChangeSet", body: recordedBody, key: "AKIDANN"}, action: "StartChangeSet", code: "AccessDeniedException"},
		"wrong input":         {request: request{target: "/DescribeEntity?catalog=1&entityId=prod-1"}, action: "DescribeEntity", code: "ValidationException"},
		"input that is none":  {request: request{method: "POST", target: "/StartChangeSet", body: "{"}, action: "StartChangeSet", code: "SerializationException"},
		"a failure":           {request: request{target: "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-broken"}, action: "DescribeEntity", code: "InternalServiceException"},
		"a panic":             {request: request{target: "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-panics"}, action: "DescribeEntity", code: "InternalServiceException"},
		"an unknown key":      {request: request{target: "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-1", key: "AKIDNOBODY"}},
		"no signature":        {request: request{target: "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-1", unsigned: true}},
		"no known operation":  {request: request{target: "/DescribeNothing"}},
		"a rate that is used": {request: request{target: "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-1"}, change: func(c *gateway.Config) { c.Limiter = never{} }, action: "DescribeEntity", code: "ThrottlingException"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, tr, _ := recorded(t, c.change)
			a := send(t, g, c.request)
			all := records(t, tr)
			if c.action == "" {
				if len(all) != 0 {
					t.Errorf("it is recorded: %s", all[0].JSON())
				}
				return
			}
			if len(all) != 1 {
				t.Fatalf("status %d, %d records, want 1", a.status, len(all))
			}
			r := all[0]
			if r.Name != c.action || r.Code != c.code || r.Output != c.output || r.Request != a.header.Get("X-Amzn-Requestid") {
				t.Errorf("the record is %s", r.JSON())
			}
			if strings.Contains(string(r.JSON()), "inner text") {
				t.Errorf("the record tells what the client must not know: %s", r.JSON())
			}
		})
	}
}

// never lets nobody through.
type never struct{}

func (never) Allow(context.Context, string, string, string) bool { return false }

func TestACallThatIsCutOffIsRecorded(t *testing.T) {
	t.Parallel()
	g, tr, _ := recorded(t, func(c *gateway.Config) {
		c.Disturb = func(context.Context, gateway.Outcome) (gateway.Disturbance, error) {
			return gateway.Disturbance{Drop: true}, nil
		}
	})
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("the connection is not cut: %v", p)
			}
		}()
		g.ServeHTTP(httptest.NewRecorder(), request{method: "POST", target: "/StartChangeSet", body: recordedBody}.build(t))
	}()
	if all := records(t, tr); len(all) != 1 || all[0].Output == "" {
		t.Errorf("records are %v", all)
	}
}

// broken is a store that takes no writes.
type broken struct{ store.Store }

func (broken) Commit(context.Context, store.Batch) error { return errors.New("the disk is full") }

func TestAWriteThatCannotBeRecordedIsNotAnsweredAsDone(t *testing.T) {
	t.Parallel()
	_, _, s := recorded(t, nil)
	tr, err := trail.New(trail.Config{Store: broken{s}, Owner: "node"})
	if err != nil {
		t.Fatal(err)
	}
	c := config()
	c.Trail = tr
	a := send(t, newGateway(t, c), request{method: "POST", target: "/StartChangeSet", body: recordedBody})
	if a.status != http.StatusInternalServerError || a.code != "InternalServiceException" {
		t.Errorf("status %d: %s", a.status, a.body)
	}
}
