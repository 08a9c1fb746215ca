package conformance

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"github.com/aws/smithy-go/middleware"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// trailEvent is a record of a call, as far as tests look at it.
type trailEvent struct {
	EventID          string
	EventName        string
	RequestID        string
	ErrorCode        string
	ReadOnly         bool
	ResponseElements map[string]any
	UserIdentity     struct{ Type, Arn, AccessKeyID string }
}

// lookupEvents returns all events of a seller's account that a lookup finds.
func lookupEvents(ctx context.Context, s *seller.Seller, attributes string) ([]trailEvent, error) {
	var all []trailEvent
	token := ""
	for {
		body := fmt.Sprintf(`{"LookupAttributes":[%s]%s}`, attributes, token)
		r, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/", strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents")
		if err := s.SignFor(r, body, "cloudtrail", time.Now()); err != nil {
			return nil, err
		}
		a, err := s.Send(r)
		if err != nil {
			return nil, err
		}
		if a.Status != http.StatusOK {
			return nil, fmt.Errorf("LookupEvents: status %d: %s", a.Status, a.Body)
		}
		var page struct {
			Events    []struct{ CloudTrailEvent string }
			NextToken string
		}
		if err := json.Unmarshal([]byte(a.Body), &page); err != nil {
			return nil, fmt.Errorf("LookupEvents: %w", err)
		}
		for _, e := range page.Events {
			var event trailEvent
			if err := json.Unmarshal([]byte(e.CloudTrailEvent), &event); err != nil {
				return nil, fmt.Errorf("LookupEvents: %w in %s", err, e.CloudTrailEvent)
			}
			all = append(all, event)
		}
		if page.NextToken == "" {
			return all, nil
		}
		token = fmt.Sprintf(`,"NextToken":%q`, page.NextToken)
	}
}

// requestOf is the id of the request that was answered.
func requestOf(m middleware.Metadata) string {
	id, _ := awsmiddleware.GetRequestIDMetadata(m)
	return id
}

// answers are what writers were told.
type answers struct {
	mu     sync.Mutex
	sets   map[string]string // change set by request id
	pushes map[string]bool   // uploads of layers that were begun, by request id
}

// push begins the upload of a layer, and notes it if it was answered.
func (a *answers) push(ctx context.Context, s *seller.Seller, repository string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v2/"+repository+"/blobs/uploads/", nil)
	if err != nil {
		return err
	}
	r.SetBasicAuth(s.AccessKeyID, s.SecretAccessKey)
	out, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil // the server was killed
	}
	defer out.Body.Close()
	if out.StatusCode != http.StatusAccepted {
		return fmt.Errorf("beginning an upload: %s", out.Status)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pushes == nil {
		a.pushes = map[string]bool{}
	}
	a.pushes[out.Header.Get("X-Amzn-Requestid")] = true
	return nil
}

// pushed says which of the uploads has no record.
func (a *answers) pushed(ctx context.Context, s *seller.Seller) error {
	events, err := lookupEvents(ctx, s, `{"AttributeKey":"EventName","AttributeValue":"InitiateLayerUpload"}`)
	if err != nil {
		return err
	}
	for _, e := range events {
		delete(a.pushes, e.RequestID)
	}
	if len(a.pushes) > 0 {
		return fmt.Errorf("%d uploads were begun and have no record: %v", len(a.pushes), a.pushes)
	}
	return nil
}

// note writes down an answer.
func (a *answers) note(out *marketplacecatalog.StartChangeSetOutput) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sets == nil {
		a.sets = map[string]string{}
	}
	a.sets[requestOf(out.ResultMetadata)] = aws.ToString(out.ChangeSetId)
}

// recorded says which of the answers has no record, or a wrong one, and which
// call has two.
func (a *answers) recorded(ctx context.Context, s *seller.Seller) error {
	events, err := lookupEvents(ctx, s, `{"AttributeKey":"EventName","AttributeValue":"StartChangeSet"}`)
	if err != nil {
		return err
	}
	var wrong []error
	requests, ids := map[string]trailEvent{}, map[string]bool{}
	for _, e := range events {
		if _, known := requests[e.RequestID]; known || ids[e.EventID] {
			wrong = append(wrong, fmt.Errorf("request %s has two records, or event %s stands twice", e.RequestID, e.EventID))
		}
		requests[e.RequestID], ids[e.EventID] = e, true
	}
	for request, set := range a.sets {
		e, ok := requests[request]
		if !ok {
			wrong = append(wrong, fmt.Errorf("the answer to request %s, change set %s, has no record", request, set))
			continue
		}
		if got := e.ResponseElements["changeSetId"]; got != set {
			wrong = append(wrong, fmt.Errorf("the record of request %s says %v, its answer said %s", request, got, set))
		}
	}
	return errors.Join(wrong...)
}

// TestNoAnsweredWriteLacksItsRecord kills the server (kill -9) again and again
// under load. Each StartChangeSet that was answered has its record, with what
// was answered, and no call has two; so has each upload of a layer that was begun.
func TestNoAnsweredWriteLacksItsRecord(t *testing.T) {
	t.Parallel()
	kills := howMany(killsFlag, 5, 200)
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		door, told := &door{}, &answers{}
		product, err := server.Root(t).Limited(t.Context(), "Recorded", "recorded")
		must(t, err)
		shown, err := server.Root(t).Product(t.Context(), product)
		must(t, err)
		repository, err := shown.RepositoryPath("recorded")
		must(t, err)
		door.open(server.Root(t))
		stop := make(chan struct{})
		var working sync.WaitGroup
		for i := range 8 {
			working.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					s, err := door.through(t.Context())
					if err != nil {
						return
					}
					out, err := s.Catalog.StartChangeSet(t.Context(), &marketplacecatalog.StartChangeSetInput{
						Catalog: aws.String(seller.Catalog), ChangeSet: []types.Change{seller.Change("CreateProduct", "", fmt.Sprintf(`{"ProductTitle":"Recorded %d %d"}`, i, n))},
					})
					if err == nil {
						told.note(out)
					}
				}
			})
		}
		working.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				s, err := door.through(t.Context())
				if err == nil {
					err = told.push(t.Context(), s, repository)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
		for n := range kills {
			select {
			case <-time.After(time.Duration(150+50*n%200) * time.Millisecond):
			case <-t.Context().Done():
				t.Fatal(t.Context().Err())
			}
			door.close()
			must(t, server.Kill())
			must(t, server.Run())
			door.open(server.Root(t))
		}
		close(stop)
		working.Wait()
		if len(told.sets) < kills {
			t.Fatalf("only %d calls were answered under %d kills", len(told.sets), kills)
		}
		if err := told.recorded(t.Context(), server.Root(t)); err != nil {
			t.Errorf("after %d answers: %v", len(told.sets), err)
		}
		begun := len(told.pushes)
		if err := told.pushed(t.Context(), server.Root(t)); err != nil || begun == 0 {
			t.Errorf("after %d uploads that were begun: %v", begun, err)
		}
		must(t, server.Stop())
		out, err := server.Command("doctor")
		if err != nil {
			t.Errorf("souk doctor in the end: %v\n%s", err, out)
		}
		t.Logf("%d kills, %d answers, %d uploads", kills, len(told.sets), begun)
	})
}

// logFileNames is CloudTrail's own form of a log file's place.
//
// AWS CloudTrail User Guide, "CloudTrail log file name format".
var logFileNames = regexp.MustCompile(`^AWSLogs/(\d{12})/CloudTrail/us-east-1/\d{4}/\d\d/\d\d/(\d{12})_CloudTrail_us-east-1_\d{8}T\d{4}Z_[A-Z0-9]{16}\.json\.gz$`)

// TestRecordsAreDelivered reads the log files of a server that dies between
// deliveries: every call is in one, reads and refusals, too.
func TestRecordsAreDelivered(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "logs")
		o.Flags = append(o.Flags, "--trail-delivery", dir, "--trail-interval", "100ms")
		server := souktest.Start(t, o)
		want := map[string]bool{}
		for round := range 3 {
			s := server.Root(t)
			for n := range 5 {
				out, err := s.Catalog.ListEntities(t.Context(), &marketplacecatalog.ListEntitiesInput{Catalog: aws.String(seller.Catalog), EntityType: aws.String("ContainerProduct")})
				if err != nil {
					t.Fatalf("round %d, call %d: %v", round, n, err)
				}
				want[requestOf(out.ResultMetadata)] = true
			}
			a, err := s.Raw(t.Context(), "GET", "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-none", "")
			if err != nil || a.Status == http.StatusOK {
				t.Fatalf("an entity that is not there: %d, %v", a.Status, err)
			}
			want[a.Header.Get("X-Amzn-Requestid")] = true
			// They are stored when a lookup has shown them; the server may die then.
			if _, err := lookupEvents(t.Context(), s, ""); err != nil {
				t.Fatal(err)
			}
			must(t, server.Kill())
			must(t, server.Run())
		}
		deadline := time.After(3 * time.Minute) // a delivery that died has a lease
		for {
			got, err := delivered(dir)
			if err != nil {
				t.Fatal(err)
			}
			missing := 0
			for id := range want {
				if !got[id] {
					missing++
				}
			}
			if missing == 0 {
				return
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-deadline:
				t.Fatalf("%d of %d calls are in no log file", missing, len(want))
			}
		}
	})
}

// TestAStopDeliversTheRest: a server that is asked to end (SIGTERM) leaves no
// call to the next start: reads, writes, refusals and pushes of the last moments
// are in log files when it is gone, long before their interval is over.
func TestAStopDeliversTheRest(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "logs")
		o.Flags = append(o.Flags, "--trail-delivery", dir, "--trail-interval", "1h")
		server := souktest.Start(t, o)
		s := server.Root(t)
		product, err := s.Limited(t.Context(), "Delivered", "delivered")
		must(t, err)
		shown, err := s.Product(t.Context(), product)
		must(t, err)
		repository, err := shown.RepositoryPath("delivered")
		must(t, err)
		want := map[string]string{} // what it was, by request id
		told := &answers{}
		must(t, told.push(t.Context(), s, repository))
		for id := range told.pushes {
			want[id] = "a push"
		}
		write, err := s.Catalog.StartChangeSet(t.Context(), &marketplacecatalog.StartChangeSetInput{
			Catalog: aws.String(seller.Catalog), ChangeSet: []types.Change{seller.Change("CreateProduct", "", `{"ProductTitle":"Late"}`)},
		})
		must(t, err)
		want[requestOf(write.ResultMetadata)] = "a write"
		refused, err := s.Raw(t.Context(), "GET", "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-none", "")
		must(t, err)
		want[refused.Header.Get("X-Amzn-Requestid")] = "a refusal"
		read, err := s.Catalog.ListEntities(t.Context(), &marketplacecatalog.ListEntitiesInput{Catalog: aws.String(seller.Catalog), EntityType: aws.String("ContainerProduct")})
		must(t, err)
		want[requestOf(read.ResultMetadata)] = "a read"
		must(t, server.Stop())
		got, err := delivered(dir)
		must(t, err)
		for id, what := range want {
			if !got[id] {
				t.Errorf("%s, request %s, is in no log file", what, id)
			}
		}
		if len(want) != 4 {
			t.Errorf("requests %v, want four", want)
		}
	})
}

// delivered returns the request ids in the log files of a folder.
func delivered(dir string) (map[string]bool, error) {
	all := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nothing yet, or a draft that has got its name
		}
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		m := logFileNames.FindStringSubmatch(filepath.ToSlash(name))
		if m == nil || m[1] != m[2] {
			return fmt.Errorf("the log file %s has no name of CloudTrail's", name)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm() != 0o600 {
			return fmt.Errorf("the log file %s has mode %v", name, info.Mode())
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			return fmt.Errorf("log file %s: %w", name, err)
		}
		var content struct{ Records []trailEvent }
		if err := json.NewDecoder(z).Decode(&content); err != nil {
			return fmt.Errorf("log file %s: %w", name, err)
		}
		for _, r := range content.Records {
			all[r.RequestID] = true
		}
		return nil
	})
	return all, err
}
