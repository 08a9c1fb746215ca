package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// TestCrashAtEveryCommit lets the server die at each write of a whole story in
// turn, from the very first start on: once before the write, once after it was
// kept and before anybody was told. After each death souk doctor finds nothing
// and the story, told again with the same tokens, ends as it should.
func TestCrashAtEveryCommit(t *testing.T) {
	t.Parallel()
	crashAtEach(t, tale{tell: story, writes: 10})
}

// tale is something that happens to a market, with a death at each of its writes.
type tale struct {
	// tell lets it happen and checks that it came to its end. Told again it goes
	// on where it was. It notes the answers that must have records.
	tell func(ctx context.Context, s *seller.Seller, told *answers) error
	// writes is how many writes it has at least: fewer deaths mean that the fault
	// does not come.
	writes int
	// before is what the market had seen before, if there is any: its first start
	// is no part of the tale then.
	before func(ctx context.Context, s *seller.Seller) error
	env    []string // further environment of the server
}

// crashAtEach tells a tale once for each write in it and each side of it, on
// both databases.
func crashAtEach(t *testing.T, what tale) {
	t.Helper()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		for _, side := range []string{"before", "after"} {
			t.Run(side, func(t *testing.T) {
				t.Parallel()
				deaths := 0
				// Several at a time: most of it is waiting for a dead owner's lease.
				const together = 6
				for first := 1; ; first += together {
					var died [together]bool
					t.Run("group", func(t *testing.T) {
						for i := range together {
							at := fmt.Sprintf("%d:%s", first+i, side)
							t.Run(at, func(t *testing.T) {
								t.Parallel()
								died[i] = what.crashAt(t, o, at)
							})
						}
					})
					for _, d := range died {
						if d {
							deaths++
						}
					}
					if deaths > 200 || t.Failed() {
						t.Fatalf("%d deaths", deaths)
					}
					if !died[together-1] {
						break // the tale has no more writes
					}
				}
				if deaths < what.writes {
					t.Errorf("the tale has %d writes, want %d or more: the fault doesn't come", deaths, what.writes)
				}
				t.Logf("died at each of %d writes", deaths)
			})
		}
	})
}

// crashAt tells the tale to a server that dies at a write. It returns false if
// the tale came to its end without a death.
func (w tale) crashAt(t *testing.T, o souktest.Options, at string) (died bool) {
	t.Helper()
	o.Tags = "crashpoints"
	o.Env = w.env
	if o.Database != "" {
		o.Database = freshPostgres(t)
	}
	o.Dir = t.TempDir()
	server := souktest.New(t, o)
	if w.before != nil {
		must(t, server.Run())
		must(t, w.before(t.Context(), server.Root(t)))
		must(t, server.Stop())
	}
	server.SetEnv(append(slices.Clone(w.env), "SOUK_CRASH_AT="+at)...)
	var deaths atomic.Int32
	revive := func(why error) {
		select {
		case <-server.Ended():
		case <-time.After(2 * time.Minute):
			t.Fatalf("%s: the server lives, and yet: %v\n%s", at, why, server.Log())
		}
		if deaths.Add(1) > 1 {
			t.Fatalf("%s: died twice: %v\n%s", at, why, server.Log())
		}
		out, err := server.Command("doctor")
		// Before its first start has ended there may be no market yet.
		if err != nil && !strings.Contains(err.Error(), "no organisation in this database yet") {
			t.Fatalf("%s: souk doctor: %v\n%s", at, err, out)
		}
		server.SetEnv(w.env...)
		err = server.Run()
		if err != nil {
			t.Fatalf("%s: starting again: %v\n%s", at, err, server.Log())
		}
	}
	err := server.Run()
	if err != nil {
		revive(err)
	}
	told := &answers{}
	for {
		err = w.tell(t.Context(), server.Root(t), told)
		if !lost(err) {
			break
		}
		revive(err)
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", at, err, server.Log())
	}
	err = told.recorded(t.Context(), server.Root(t))
	if err != nil && deaths.Load() == 0 { // it died of what is told here
		revive(err)
		err = told.recorded(t.Context(), server.Root(t))
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", at, err, server.Log())
	}
	must(t, server.Stop())
	out, err := server.Command("doctor")
	if err != nil {
		t.Fatalf("%s: souk doctor in the end: %v\n%s", at, err, out)
	}
	return deaths.Load() > 0
}

// story makes, changes and releases a product, and checks that each step had
// its effect once. Told again it goes on where it was. told takes the answers.
func story(ctx context.Context, s *seller.Seller, told *answers) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("the story took longer than two minutes"))
	defer cancel()
	product := ""
	for i, changes := range [][]types.Change{
		{seller.Change("CreateProduct", "", `{"ProductTitle":"Story"}`)},
		{
			seller.Change("UpdateInformation", "", seller.Information("Story")),
			seller.Change("AddRepositories", "", seller.Repositories("story-one", "story-two")),
		},
		{seller.Change("AddRepositories", "", seller.Repositories("story-one"))}, // taken: FAILED
		{seller.Change("ReleaseProduct", "", "{}")},
	} {
		for j := range changes {
			if product != "" {
				changes[j].Entity.Identifier = &product
			}
		}
		out, err := s.Catalog.StartChangeSet(ctx, &marketplacecatalog.StartChangeSetInput{
			Catalog: aws.String(seller.Catalog), ChangeSet: changes,
			ClientRequestToken: aws.String(fmt.Sprintf("story-%d", i)),
		})
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
		told.note(out)
		set, err := s.Wait(ctx, aws.ToString(out.ChangeSetId))
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
		want := types.ChangeStatusSucceeded
		if i == 2 {
			want = types.ChangeStatusFailed
		}
		if set.Status != want {
			return &endedWrong{fmt.Sprintf("step %d is %s, want %s: %s", i, set.Status, want, seller.Refusals(set))}
		}
		if product == "" {
			product = seller.EntityID(set.ChangeSet[0])
		}
	}
	e, err := s.Entity(ctx, product)
	if err != nil {
		return fmt.Errorf("the end: %w", err)
	}
	p, err := s.Product(ctx, product)
	if err != nil {
		return fmt.Errorf("the end: %w", err)
	}
	if got := aws.ToString(e.EntityIdentifier); got != product+"@3" || len(p.Repositories) != 2 || p.Description.Visibility != "Limited" {
		return &endedWrong{fmt.Sprintf("the end is %s with %d repositories, %s, want revision 3, 2, Limited", got, len(p.Repositories), p.Description.Visibility)}
	}
	sets, err := s.Catalog.ListChangeSets(ctx, &marketplacecatalog.ListChangeSetsInput{Catalog: aws.String(seller.Catalog)})
	if err != nil {
		return fmt.Errorf("the end: %w", err)
	}
	entities, err := s.Catalog.ListEntities(ctx, &marketplacecatalog.ListEntitiesInput{Catalog: aws.String(seller.Catalog), EntityType: aws.String("ContainerProduct")})
	if err != nil {
		return fmt.Errorf("the end: %w", err)
	}
	if len(sets.ChangeSetSummaryList) != 4 || len(entities.EntitySummaryList) != 1 {
		return &endedWrong{fmt.Sprintf("there are %d change sets and %d products, want 4 and 1", len(sets.ChangeSetSummaryList), len(entities.EntitySummaryList))}
	}
	return nil
}

// endedWrong is a story that came to another end than it should: no lost answer.
type endedWrong struct{ text string }

func (e *endedWrong) Error() string     { return e.text }
func (e *endedWrong) ErrorCode() string { return "EndedWrong" }
