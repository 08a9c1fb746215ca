package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"golang.org/x/sync/errgroup"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// slowly starts a change set whose probe waits for a logo, and returns when the
// logo is being fetched: the set is PREPARING until the logo is released.
func slowly(t *testing.T, s *seller.Seller, logos *souktest.Logos, product, name string) (id string) {
	t.Helper()
	id, err := s.Start(t.Context(), seller.Change("UpdateInformation", product, seller.JSON(map[string]string{"LogoUrl": logos.Slow(name), "ShortDescription": name})))
	must(t, err)
	select {
	case <-logos.Asked(name):
	case <-time.After(2 * time.Minute):
		t.Fatalf("change set %s did not fetch the logo", id)
	}
	return id
}

func cancelSet(t *testing.T, s *seller.Seller, id string) error {
	t.Helper()
	out, err := s.Catalog.CancelChangeSet(t.Context(), &marketplacecatalog.CancelChangeSetInput{Catalog: aws.String(seller.Catalog), ChangeSetId: &id})
	if err == nil && (aws.ToString(out.ChangeSetId) != id || aws.ToString(out.ChangeSetArn) == "") {
		t.Errorf("CancelChangeSet answers %+v, want id and ARN of %s", out, id)
	}
	return err
}

// withLogos starts a server whose first seller has a product in Limited, and
// logos beside it.
func withLogos(t *testing.T, o souktest.Options) (s *seller.Seller, logos *souktest.Logos, product string) {
	t.Helper()
	logos = souktest.ServeLogos(t)
	s = souktest.Start(t, o).Root(t)
	product, err := s.Limited(t.Context(), "Sample product")
	must(t, err)
	return s, logos, product
}

// TestLocksOfOverlappingSets: what may start while another set is PREPARING on
// the same product, and the exact text where it may not.
func TestLocksOfOverlappingSets(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		ctx := t.Context()
		s, logos, product := withLogos(t, o)
		first := slowly(t, s, logos, product, "first")

		_, err := s.Start(ctx, seller.Change("UpdateInformation", product, `{"ShortDescription":"Second."}`))
		var inUse *types.ResourceInUseException
		if !errors.As(err, &inUse) {
			t.Fatalf("the same change type while PREPARING: got %v, want ResourceInUseException", err)
		}
		want := fmt.Sprintf("Requested change set has entities locked by change sets - entity: '%s'  change sets: %s", product, first)
		if inUse.ErrorMessage() != want {
			t.Errorf("got message  %q\nwant message %q", inUse.ErrorMessage(), want)
		}
		// Another type may start, and ends while the first still prepares.
		_, err = s.Do(ctx, seller.Change("AddRepositories", product, seller.Repositories("beside")))
		must(t, err)
		set, err := s.Describe(ctx, first)
		must(t, err)
		if set.Status != types.ChangeStatusPreparing {
			t.Errorf("the first set is %s, want PREPARING", set.Status)
		}
		// The one that waited applies to what is there by then.
		logos.Release("first")
		set, err = s.Wait(ctx, first)
		must(t, err)
		if set.Status != types.ChangeStatusSucceeded {
			t.Fatalf("the first set is %s: %s", set.Status, seller.Refusals(set))
		}
		p, err := s.Product(ctx, product)
		must(t, err)
		if len(p.Repositories) != 1 || p.Description.ShortDescription != "first" || p.PromotionalResources.LogoUrl == "" {
			t.Errorf("the product shows %+v, want the effect of both sets", p)
		}
		_, err = s.Do(ctx, seller.Change("UpdateInformation", product, `{"ShortDescription":"Second."}`))
		must(t, err)
		e, err := s.Entity(ctx, product)
		must(t, err)
		if got := aws.ToString(e.EntityIdentifier); got != product+"@4" {
			t.Errorf("the entity is %s, want revision 4", got)
		}
	})
}

// TestCancelWhilePreparing: also while a probe is slow, and only then.
func TestCancelWhilePreparing(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		ctx := t.Context()
		s, logos, product := withLogos(t, o)
		id := slowly(t, s, logos, product, "cancel")
		must(t, cancelSet(t, s, id))
		set, err := s.Wait(ctx, id)
		must(t, err)
		if set.Status != types.ChangeStatusCancelled || set.EndTime == nil || set.FailureCode != "" {
			t.Errorf("the set is %s, ended %v, %q, want CANCELLED with an end and no failure", set.Status, set.EndTime, set.FailureCode)
		}
		// The lock is gone, nothing was changed.
		_, err = s.Do(ctx, seller.Change("UpdateInformation", product, `{"Sku":"after"}`))
		must(t, err)
		p, err := s.Product(ctx, product)
		must(t, err)
		if p.Description.ShortDescription == "cancel" || p.PromotionalResources.LogoUrl != "" {
			t.Errorf("the cancelled set had an effect: %+v", p)
		}
		err = cancelSet(t, s, id)
		var invalid *types.ValidationException
		if !errors.As(err, &invalid) {
			t.Errorf("cancelling twice: got %v, want ValidationException", err)
		}
		for status, want := range map[string]int{"CANCELLED": 1, "CANCELED": 1, "PREPARING": 0} {
			out, err := s.Catalog.ListChangeSets(ctx, &marketplacecatalog.ListChangeSetsInput{
				Catalog: aws.String(seller.Catalog), FilterList: []types.Filter{filter("Status", status)},
			})
			must(t, err)
			if len(out.ChangeSetSummaryList) != want {
				t.Errorf("ListChangeSets with Status %s: got %d, want %d", status, len(out.ChangeSetSummaryList), want)
			}
		}
	})
}

// TestOpenSetsOfAnAccount: the bound of change sets that are under way.
func TestOpenSetsOfAnAccount(t *testing.T) {
	t.Parallel()
	logos := souktest.ServeLogos(t)
	server := souktest.Start(t, souktest.Options{Quotas: true, Flags: []string{"--open-change-sets", "2"}})
	s := patient(server.Root(t))
	ctx := t.Context()
	first, err := s.Draft(ctx, "First")
	must(t, err)
	second, err := s.Draft(ctx, "Second")
	must(t, err)
	one := slowly(t, s, logos, first, "one")
	_ = slowly(t, s, logos, second, "two")
	_, err = s.Start(ctx, seller.Change("CreateProduct", "", "{}"))
	var quota *types.ServiceQuotaExceededException
	if !errors.As(err, &quota) {
		t.Fatalf("the third open set: got %v, want ServiceQuotaExceededException", err)
	}
	must(t, cancelSet(t, s, one))
	_, err = s.Do(ctx, seller.Change("CreateProduct", "", "{}"))
	must(t, err)
	// Another account has a bound of its own.
	other := server.Account(t, "other", "").Seller(server)
	_, err = patient(other).Do(ctx, seller.Change("CreateProduct", "", "{}"))
	must(t, err)
	logos.Release("two")
}

// patient tries throttled calls again.
func patient(s *seller.Seller) *seller.Seller {
	c := s.Config
	c.Retries = 10
	return seller.New(c)
}

// TestRatesOfAnAccount: more calls than an account may make in a second are
// throttled, per action; another account is not.
func TestRatesOfAnAccount(t *testing.T) {
	t.Parallel()
	server := souktest.Start(t, souktest.Options{Quotas: true})
	s := server.Root(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var throttled atomic.Int32
	var calls errgroup.Group
	for range 60 { // at once; 5 a second are allowed
		calls.Go(func() error {
			_, err := s.Catalog.ListChangeSets(ctx, &marketplacecatalog.ListChangeSetsInput{Catalog: aws.String(seller.Catalog)})
			var e *types.ThrottlingException
			if errors.As(err, &e) {
				throttled.Add(1)
				return nil
			}
			return err
		})
	}
	must(t, calls.Wait())
	if throttled.Load() == 0 {
		t.Error("60 calls at once, and none was throttled")
	}
	_, err := s.Catalog.ListEntities(ctx, &marketplacecatalog.ListEntitiesInput{Catalog: aws.String(seller.Catalog), EntityType: aws.String("ContainerProduct")})
	if err != nil {
		t.Errorf("another action: %v", err)
	}
	other := server.Account(t, "other", "").Seller(server)
	_, err = other.Catalog.ListChangeSets(ctx, &marketplacecatalog.ListChangeSetsInput{Catalog: aws.String(seller.Catalog)})
	if err != nil {
		t.Errorf("another account: %v", err)
	}
	a, err := s.Raw(ctx, "POST", "/ListChangeSets", `{"Catalog":"AWSMarketplace"}`)
	for err == nil && a.Status == 200 && ctx.Err() == nil {
		a, err = s.Raw(ctx, "POST", "/ListChangeSets", `{"Catalog":"AWSMarketplace"}`)
	}
	must(t, err)
	if a.Status != 429 {
		t.Errorf("throttled with status %d, want 429: %s", a.Status, a.Body)
	}
}
