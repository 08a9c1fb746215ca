package conformance

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

var (
	killsFlag    = flag.Int("kills", 0, "tests that kill the server: kills on each database")
	requestsFlag = flag.Int("requests", 0, "TestMalformedRequests: requests to each database")
)

// soak says whether the long runs are asked for (make soak).
func soak() bool { return os.Getenv("SOUK_SOAK") != "" }

// howMany is a flag's number or, where it is not given, that of a short or a long run.
func howMany(given *int, short, long int) int {
	switch {
	case *given > 0:
		return *given
	case soak():
		return long
	}
	return short
}

// TestCrashAtRandom kills the server (kill -9) again and again while writers
// start and cancel change sets. After each kill souk doctor finds nothing; in
// the end every answered set exists and has ended, a token names the same set
// as before, and each set that succeeded had its effect exactly once.
func TestCrashAtRandom(t *testing.T) {
	t.Parallel()
	kills := howMany(killsFlag, 10, 500) // on each of the two databases
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		crashAtRandom(t, o, kills)
	})
}

func crashAtRandom(t *testing.T, o souktest.Options, kills int) {
	server := souktest.Start(t, o)
	door := &door{}
	door.open(server.Root(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	const writers = 12
	all := make([]*writer, writers)
	var working sync.WaitGroup
	stop := make(chan struct{})
	for i := range all {
		w := &writer{name: fmt.Sprintf("w%c", 'a'+i), door: door, stop: stop, random: rand.New(rand.NewPCG(uint64(i), 1))}
		all[i] = w
		working.Go(func() { w.work(ctx) })
	}
	random := rand.New(rand.NewPCG(7, 7))
	for n := range kills {
		select {
		case <-time.After(time.Duration(50+random.IntN(300)) * time.Millisecond):
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
		door.close()
		must(t, server.Kill())
		out, err := server.Command("doctor")
		if err != nil {
			t.Fatalf("souk doctor after kill %d: %v\n%s", n+1, err, out)
		}
		err = server.Run()
		if err != nil {
			t.Fatalf("starting souk after kill %d: %v", n+1, err)
		}
		door.open(server.Root(t))
	}
	close(stop)
	working.Wait()
	s := server.Root(t)
	total := 0
	for _, w := range all {
		if w.wrong != nil {
			t.Errorf("writer %s: %v", w.name, w.wrong)
			continue
		}
		w.verify(t, s)
		total += len(w.sets)
	}
	must(t, server.Stop())
	out, err := server.Command("doctor")
	if err != nil {
		t.Errorf("souk doctor in the end: %v\n%s", err, out)
	}
	if total < kills {
		t.Errorf("only %d change sets were answered under %d kills", total, kills)
	}
	t.Logf("%d kills, %d change sets", kills, total)
}

// door leads to the server that runs now; it is shut while there is none.
type door struct {
	mu sync.Mutex
	// inside is nil while the door is shut; opened is closed when it opens.
	inside *seller.Seller
	opened chan struct{}
}

func (d *door) open(s *seller.Seller) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside = s
	if d.opened != nil {
		close(d.opened)
		d.opened = nil
	}
}

func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside, d.opened = nil, make(chan struct{})
}

// through waits until the door is open and returns who is inside.
func (d *door) through(ctx context.Context) (*seller.Seller, error) {
	for {
		d.mu.Lock()
		s, opened := d.inside, d.opened
		d.mu.Unlock()
		if s != nil {
			return s, nil
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// writer starts change sets one after the other, in an account with others,
// and writes down what it was told.
type writer struct {
	name   string
	door   *door
	stop   <-chan struct{}
	random *rand.Rand

	product string // of its own
	sets    []*startedSet
	wrong   error // what must not happen
}

// startedSet is a change set that was answered.
type startedSet struct {
	id, token string
	request   marketplacecatalog.StartChangeSetInput
	kind      string // create, update, repository
	what      string // title, description or repository
	cancelled bool   // a CancelChangeSet was answered with success
}

func (w *writer) work(ctx context.Context) {
	for n := 0; ; n++ {
		select {
		case <-w.stop:
			if w.product != "" {
				return
			}
		default:
		}
		err := w.turn(ctx, n)
		if err != nil {
			w.wrong = err
			return
		}
	}
}

// turn starts one or two sets, cancels some, and waits for their end.
func (w *writer) turn(ctx context.Context, n int) error {
	if w.product == "" {
		set, err := w.start(ctx, n, "create", w.name+" first", seller.Change("CreateProduct", "", seller.JSON(map[string]string{"ProductTitle": w.name + " first"})))
		if err != nil {
			return err
		}
		status, err := w.await(ctx, set)
		if err != nil {
			return err
		}
		w.product = seller.EntityID(status.ChangeSet[0])
		return nil
	}
	what := fmt.Sprintf("%s %d", w.name, n)
	var started []*startedSet
	one := func(kind, what string, c types.Change) error {
		set, err := w.start(ctx, n, kind, what, c)
		started = append(started, set)
		return err
	}
	var err error
	switch w.random.IntN(3) {
	case 0:
		err = one("create", what, seller.Change("CreateProduct", "", seller.JSON(map[string]string{"ProductTitle": what})))
	case 1:
		err = one("update", what, seller.Change("UpdateInformation", w.product, seller.JSON(map[string]string{"ShortDescription": what})))
	case 2: // two at once on one product, as the page allows
		err = one("update", what, seller.Change("UpdateInformation", w.product, seller.JSON(map[string]string{"ShortDescription": what})))
		if err == nil && w.random.IntN(2) == 0 && w.repositories() < 40 {
			repository := fmt.Sprintf("%s-%d", w.name, n)
			err = one("repository", repository, seller.Change("AddRepositories", w.product, seller.Repositories(repository)))
			if seller.Code(err) == "ResourceInUseException" { // the first is APPLYING already
				started = started[:1]
				w.sets = w.sets[:len(w.sets)-1]
				err = nil
			}
		}
	}
	if err != nil {
		return err
	}
	if w.random.IntN(4) == 0 {
		err = w.cancel(ctx, started[0])
		if err != nil {
			return err
		}
	}
	for _, set := range started {
		_, err = w.await(ctx, set)
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) repositories() (n int) {
	for _, s := range w.sets {
		if s.kind == "repository" {
			n++
		}
	}
	return n
}

// lost says that an error may mean that the server died: no answer, or none
// that it meant.
func lost(err error) bool {
	code := seller.Code(err)
	return err != nil && (code == "" || code == "InternalServiceException" || code == "ServiceUnavailableException")
}

// start starts a set. A lost answer is asked for again with the same token.
func (w *writer) start(ctx context.Context, n int, kind, what string, c types.Change) (*startedSet, error) {
	token := fmt.Sprintf("%s-%d-%s", w.name, n, kind)
	set := &startedSet{token: token, kind: kind, what: what, request: marketplacecatalog.StartChangeSetInput{
		Catalog: aws.String(seller.Catalog), ClientRequestToken: &token, ChangeSet: []types.Change{c},
	}}
	err := w.again(ctx, func(s *seller.Seller) error {
		out, err := s.Catalog.StartChangeSet(ctx, &set.request)
		if err == nil {
			set.id = aws.ToString(out.ChangeSetId)
		}
		return err
	})
	w.sets = append(w.sets, set)
	if err != nil {
		return set, fmt.Errorf("starting %s: %w", token, err)
	}
	return set, nil
}

// again calls until the answer is not lost.
func (w *writer) again(ctx context.Context, call func(*seller.Seller) error) error {
	for {
		s, err := w.door.through(ctx)
		if err != nil {
			return err
		}
		err = call(s)
		if !lost(err) || ctx.Err() != nil {
			return err
		}
		if seller.Code(err) == "InternalServiceException" && w.door.same(s) {
			return fmt.Errorf("the living server says: %w", err)
		}
	}
}

// same says whether s is still who is inside.
func (d *door) same(s *seller.Seller) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inside == s
}

// cancel tries to cancel a set; it may be too late.
func (w *writer) cancel(ctx context.Context, set *startedSet) error {
	tried := 0
	err := w.again(ctx, func(s *seller.Seller) error {
		tried++
		_, err := s.Catalog.CancelChangeSet(ctx, &marketplacecatalog.CancelChangeSetInput{Catalog: aws.String(seller.Catalog), ChangeSetId: &set.id})
		return err
	})
	switch code := seller.Code(err); {
	case err == nil && tried == 1:
		set.cancelled = true
		return nil
	case err == nil, code == "ResourceInUseException", code == "ValidationException":
		return nil
	}
	return fmt.Errorf("cancelling %s: %w", set.id, err)
}

// await waits until a set has ended, over all deaths of the server.
func (w *writer) await(ctx context.Context, set *startedSet) (*marketplacecatalog.DescribeChangeSetOutput, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("it did not end within two minutes"))
	defer cancel()
	var out *marketplacecatalog.DescribeChangeSetOutput
	err := w.again(ctx, func(s *seller.Seller) (err error) {
		out, err = s.Wait(ctx, set.id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for %s (%s): %w", set.id, set.token, err)
	}
	if out.Status == types.ChangeStatusFailed {
		return nil, fmt.Errorf("change set %s (%s) FAILED: %s", set.id, set.token, seller.Refusals(out))
	}
	return out, nil
}

// verify compares what the writer was told with what is there.
func (w *writer) verify(t *testing.T, s *seller.Seller) {
	t.Helper()
	ctx := t.Context()
	revision, description := 1, ""
	var repositories []string
	for _, set := range w.sets {
		out, err := s.Describe(ctx, set.id)
		if err != nil {
			t.Errorf("answered set %s (%s): %v", set.id, set.token, err)
			continue
		}
		if !seller.Ended(out.Status) {
			t.Errorf("set %s (%s) is %s, want an end", set.id, set.token, out.Status)
		}
		if set.cancelled && out.Status != types.ChangeStatusCancelled {
			t.Errorf("set %s (%s) was cancelled and is %s", set.id, set.token, out.Status)
		}
		again, err := s.Catalog.StartChangeSet(ctx, &set.request)
		if err != nil || aws.ToString(again.ChangeSetId) != set.id {
			t.Errorf("token %s gave %s, and now %v, %v", set.token, set.id, again, err)
		}
		succeeded := out.Status == types.ChangeStatusSucceeded
		switch {
		case set.kind == "create":
			want := 0
			if succeeded {
				want = 1
			}
			found, err := s.Catalog.ListEntities(ctx, &marketplacecatalog.ListEntitiesInput{
				Catalog: aws.String(seller.Catalog), EntityType: aws.String("ContainerProduct"),
				FilterList: []types.Filter{filter("Name", set.what)},
			})
			if err != nil || len(found.EntitySummaryList) != want {
				t.Errorf("set %s (%s), %s: %d products with its title (%v), want %d", set.id, set.token, out.Status, len(found.EntitySummaryList), err, want)
			}
		case !succeeded:
		case set.kind == "update":
			revision++
			description = set.what
		case set.kind == "repository":
			revision++
			repositories = append(repositories, set.what)
		}
	}
	p, err := s.Product(ctx, w.product)
	if err != nil {
		t.Errorf("product %s: %v", w.product, err)
		return
	}
	if p.Description.ShortDescription != description {
		t.Errorf("product %s is described as %q, want %q", w.product, p.Description.ShortDescription, description)
	}
	var got []string
	for _, r := range p.Repositories {
		got = append(got, r.Url[strings.LastIndex(r.Url, "/")+1:])
	}
	slices.Sort(got)
	slices.Sort(repositories)
	if !slices.Equal(got, repositories) {
		t.Errorf("product %s has the repositories %v, want %v", w.product, got, repositories)
	}
	e, err := s.Entity(ctx, w.product)
	if want := fmt.Sprintf("%s@%d", w.product, revision); err != nil || aws.ToString(e.EntityIdentifier) != want {
		t.Errorf("product %s is %v (%v), want %s: one revision for each set that succeeded", w.product, e, err, want)
	}
}
