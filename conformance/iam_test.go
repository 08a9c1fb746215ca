package conformance

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/conformance/seller"
	"souk/conformance/souktest"
	"souk/spec/examples"
)

// allowed says whether a call was allowed; any other refusal fails the test.
func allowed(t *testing.T, err error) bool {
	t.Helper()
	var denied *types.AccessDeniedException
	switch {
	case err == nil:
		return true
	case errors.As(err, &denied):
		return false
	}
	t.Fatalf("neither allowed nor denied: %v", err)
	return false
}

// policy is a policy of one statement beside one that allows to look at change sets.
func policy(statements ...string) string {
	look := `{"Effect":"Allow","Action":["aws-marketplace:DescribeChangeSet","aws-marketplace:DescribeEntity"],"Resource":"*"}`
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(append(statements, look), ",") + `]}`
}

// TestPoliciesOnChangeTypesAndEntities: a change set is allowed only if every
// change in it is (Catalog API Reference, "Condition keys" and "Specifying
// resources in policy").
func TestPoliciesOnChangeTypesAndEntities(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		root := server.Root(t)
		ctx := t.Context()
		account, err := root.Account(ctx)
		must(t, err)
		one, err := root.Draft(ctx, "One")
		must(t, err)
		two, err := root.Draft(ctx, "Two")
		must(t, err)
		arn := func(id string) string {
			return "arn:aws:aws-marketplace:us-east-1:" + account + ":AWSMarketplace/ContainerProduct/" + id
		}
		update := func(id string) types.Change { return seller.Change("UpdateInformation", id, `{"Sku":"x"}`) }
		repository := func(id, name string) types.Change {
			return seller.Change("AddRepositories", id, seller.Repositories(name))
		}
		create := seller.Change("CreateProduct", "", "{}")
		byType := `{"Effect":"Allow","Action":"aws-marketplace:StartChangeSet","Resource":"*","Condition":{"StringEquals":{"catalog:ChangeType":["UpdateInformation","CreateProduct"]}}}`
		byEntity := `{"Effect":"Allow","Action":"aws-marketplace:StartChangeSet","Resource":["` + arn(one) + `"]}`
		everything := `{"Effect":"Allow","Action":"aws-marketplace:*","Resource":"*"}`
		noRepositories := `{"Effect":"Deny","Action":"aws-marketplace:StartChangeSet","Resource":"*","Condition":{"StringEquals":{"catalog:ChangeType":"AddRepositories"}}}`
		creating := `{"Effect":"Allow","Action":"aws-marketplace:StartChangeSet","Resource":"` + arn("*") + `"}`
		for i, c := range []struct {
			name, policy string
			changes      []types.Change
			want         bool
		}{
			{"no policy", "", []types.Change{update(one)}, false},
			{"a change type that is allowed", policy(byType), []types.Change{update(one)}, true},
			{"a change type that is not", policy(byType), []types.Change{repository(one, "a")}, false},
			{"one of each", policy(byType), []types.Change{update(one), repository(one, "b")}, false},
			{"two that are allowed", policy(byType), []types.Change{update(one), update(two)}, true},
			{"the entity that is named", policy(byEntity), []types.Change{update(one), repository(one, "c")}, true},
			{"another entity", policy(byEntity), []types.Change{update(two)}, false},
			{"both entities", policy(byEntity), []types.Change{update(one), update(two)}, false},
			{"creating, where only an entity is named", policy(byEntity), []types.Change{create}, false},
			{"creating, where all of its type are", policy(creating), []types.Change{create}, true},
			{"an explicit deny beside an allow", policy(everything, noRepositories), []types.Change{repository(two, "d")}, false},
			{"what the deny leaves", policy(everything, noRepositories), []types.Change{update(two)}, true},
			{"one denied among allowed", policy(everything, noRepositories), []types.Change{update(two), repository(two, "e")}, false},
		} {
			t.Run(c.name, func(t *testing.T) {
				name := "user" + string(rune('a'+i))
				user := server.User(t, root, name)
				if c.policy != "" {
					server.Allow(t, root, name, "test", c.policy)
				}
				id, err := user.Start(t.Context(), c.changes...)
				if got := allowed(t, err); got != c.want {
					t.Errorf("allowed is %v, want %v (%v)", got, c.want, err)
				}
				if err == nil {
					_, err = root.Wait(t.Context(), id)
					must(t, err)
				}
			})
		}
	})
}

// TestPoliciesOfTheDocumentation: the two policies that the pages show do what
// the pages say.
func TestPoliciesOfTheDocumentation(t *testing.T) {
	t.Parallel()
	server := souktest.Start(t, souktest.Options{})
	root := server.Root(t)
	product, err := root.Draft(t.Context(), "Documented")
	must(t, err)
	all, err := examples.All()
	must(t, err)
	seen := 0
	for _, e := range all {
		if e.Kind != examples.Policy {
			continue
		}
		seen++
		name := "documented" + string(rune('a'+seen))
		user := server.User(t, root, name)
		text := strings.NewReplacer(
			"ExampleChangeTypeName", "UpdateInformation",
			"AmiProduct/example1-abcd-1234-5ef6", "ContainerProduct/"+product,
		).Replace(e.Text())
		server.Allow(t, root, name, "documented", text)
		_, err := user.Start(t.Context(), seller.Change("UpdateInformation", product, `{"Sku":"`+name+`"}`))
		if !allowed(t, err) {
			t.Errorf("%s: what it allows is denied: %v", e.Name, err)
		}
		_, err = user.Start(t.Context(), seller.Change("CreateProduct", "", "{}"))
		if allowed(t, err) {
			t.Errorf("%s: what it doesn't allow is allowed", e.Name)
		}
		_, err = user.Catalog.ListChangeSets(t.Context(), &marketplacecatalog.ListChangeSetsInput{Catalog: aws.String(seller.Catalog)})
		if allowed(t, err) {
			t.Errorf("%s: ListChangeSets is allowed", e.Name)
		}
		// The next example's change must not meet this one's lock.
		sets, err := root.Catalog.ListChangeSets(t.Context(), &marketplacecatalog.ListChangeSetsInput{Catalog: aws.String(seller.Catalog)})
		must(t, err)
		for _, s := range sets.ChangeSetSummaryList {
			_, err = root.Wait(t.Context(), aws.ToString(s.ChangeSetId))
			must(t, err)
		}
	}
	if seen != 2 {
		t.Errorf("the pages show %d policies, want 2", seen)
	}
}

// TestOneAccountSeesNothingOfAnother, neither its entities nor its sets.
func TestOneAccountSeesNothingOfAnother(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		one, other := server.Account(t, "one", "").Seller(server), server.Account(t, "other", "").Seller(server)
		ctx := t.Context()
		product, err := one.Draft(ctx, "Mine")
		must(t, err)
		set, err := one.Do(ctx, seller.Change("UpdateInformation", product, `{"Sku":"mine"}`))
		must(t, err)
		_, err = other.Entity(ctx, product)
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) {
			t.Errorf("DescribeEntity of another's product: got %v, want ResourceNotFoundException", err)
		}
		_, err = other.Describe(ctx, aws.ToString(set.ChangeSetId))
		if !errors.As(err, &missing) {
			t.Errorf("DescribeChangeSet of another's set: got %v, want ResourceNotFoundException", err)
		}
		_, err = other.Start(ctx, seller.Change("UpdateInformation", product, `{"Sku":"theirs"}`))
		if !errors.As(err, &missing) {
			t.Errorf("a change of another's product: got %v, want ResourceNotFoundException", err)
		}
		err = cancelSet(t, other, aws.ToString(set.ChangeSetId))
		if !errors.As(err, &missing) {
			t.Errorf("cancelling another's set: got %v, want ResourceNotFoundException", err)
		}
		entities, err := other.Catalog.ListEntities(ctx, &marketplacecatalog.ListEntitiesInput{Catalog: aws.String(seller.Catalog), EntityType: aws.String("ContainerProduct")})
		must(t, err)
		sets, err := other.Catalog.ListChangeSets(ctx, &marketplacecatalog.ListChangeSetsInput{Catalog: aws.String(seller.Catalog)})
		must(t, err)
		if len(entities.EntitySummaryList)+len(sets.ChangeSetSummaryList) != 0 {
			t.Errorf("the other lists %d entities and %d sets", len(entities.EntitySummaryList), len(sets.ChangeSetSummaryList))
		}
		// One's page token is nothing to the other.
		_, err = one.Draft(ctx, "Second")
		must(t, err)
		page, err := one.Catalog.ListEntities(ctx, &marketplacecatalog.ListEntitiesInput{Catalog: aws.String(seller.Catalog), EntityType: aws.String("ContainerProduct"), MaxResults: aws.Int32(1)})
		must(t, err)
		_, err = other.Catalog.ListEntities(ctx, &marketplacecatalog.ListEntitiesInput{Catalog: aws.String(seller.Catalog), EntityType: aws.String("ContainerProduct"), MaxResults: aws.Int32(1), NextToken: page.NextToken})
		var invalid *types.ValidationException
		if !errors.As(err, &invalid) {
			t.Errorf("another's page token: got %v, want ValidationException", err)
		}
	})
}

// TestRevokedKeyStops within seconds, on every node.
func TestRevokedKeyStops(t *testing.T) {
	t.Parallel()
	server := souktest.Start(t, souktest.Options{})
	root := server.Root(t)
	account, err := root.Account(t.Context())
	must(t, err)
	user := server.User(t, root, "leaver")
	server.Allow(t, root, "leaver", "all", policy(`{"Effect":"Allow","Action":"aws-marketplace:*","Resource":"*"}`))
	list := func() error {
		_, err := user.Catalog.ListChangeSets(t.Context(), &marketplacecatalog.ListChangeSetsInput{Catalog: aws.String(seller.Catalog)})
		return err
	}
	must(t, list())
	server.Must(t, "key", "deactivate", "--account", account, user.AccessKeyID)
	within := time.NewTimer(2 * time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for seller.Code(list()) != "UnrecognizedClientException" {
		select {
		case <-tick.C:
		case <-within.C:
			t.Fatalf("the key still works: %v", list())
		}
	}
}
