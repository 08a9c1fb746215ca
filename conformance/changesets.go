package conformance

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/document"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/conformance/seller"
)

// changeSets checks the life of a change set.
func changeSets() []Check {
	return []Check{
		{"change-set/succeeds", "A change set goes to SUCCEEDED with its times, ARN, name, and both forms of Details.", setSucceeds},
		{"change-set/fails", "A wrong change fails the set, with the documented code and text, and changes nothing.", setFails},
		{"change-set/all-or-nothing", "If one change of a set is wrong, none is made.", setAllOrNothing},
		{"change-set/same-token", "The same token and request give the same change set again; another request is refused.", sameToken},
		{"change-set/same-token-at-once", "Ten requests with one token at once make one change set.", sameTokenAtOnce},
		{"change-set/validate", "Intent VALIDATE finds what is wrong and applies nothing.", validate},
		{"change-set/revision", "A revision that is not the latest is refused with the latest in the message.", staleRevision},
		{"change-set/same-type-twice", "The same change type twice on one entity is refused.", sameTypeTwice},
		{"change-set/cancel-ended", "A change set that has ended can't be cancelled.", cancelEnded},
	}
}

var (
	setID   = regexp.MustCompile(`^[a-z0-9]{25}$`)
	setTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
)

func setSucceeds(ctx context.Context, v *Visit) error {
	account, err := v.Account(ctx)
	if err != nil {
		return err
	}
	title := "Succeeds " + v.Unique
	out, err := v.Catalog.StartChangeSet(ctx, &marketplacecatalog.StartChangeSetInput{
		Catalog: aws.String(seller.Catalog),
		ChangeSet: []types.Change{{
			ChangeType:      aws.String("CreateProduct"),
			ChangeName:      aws.String("Create"),
			Entity:          &types.Entity{Type: aws.String(seller.ContainerProduct)},
			DetailsDocument: document.NewLazyDocument(map[string]any{"ProductTitle": title}),
		}},
	})
	if err != nil {
		return fmt.Errorf("StartChangeSet: %w", err)
	}
	id := aws.ToString(out.ChangeSetId)
	v.Want(setID.MatchString(id), "ChangeSetId is %q, want 25 lower-case letters and digits", id)
	arn := "arn:aws:aws-marketplace:us-east-1:" + account + ":AWSMarketplace/ChangeSet/" + id
	v.Want(aws.ToString(out.ChangeSetArn) == arn, "ChangeSetArn is %q, want %q", aws.ToString(out.ChangeSetArn), arn)
	set, err := v.Wait(ctx, id)
	if err != nil {
		return err
	}
	v.Want(set.Status == types.ChangeStatusSucceeded, "Status is %s, want SUCCEEDED: %s", set.Status, seller.Refusals(set))
	v.Want(aws.ToString(set.ChangeSetName) == "Submitted by "+account, "ChangeSetName is %q, want %q", aws.ToString(set.ChangeSetName), "Submitted by "+account)
	v.Want(set.Intent == types.IntentApply, "Intent is %q, want APPLY", set.Intent)
	v.Want(set.FailureCode == "" && set.FailureDescription == nil, "it has a FailureCode: %s", seller.Refusals(set))
	for what, at := range map[string]*string{"StartTime": set.StartTime, "EndTime": set.EndTime} {
		v.Want(setTime.MatchString(aws.ToString(at)), "%s is %q, want YYYY-MM-DDThh:mm:ssZ", what, aws.ToString(at))
	}
	if len(set.ChangeSet) != 1 {
		return fmt.Errorf("the change set shows %d changes, want 1", len(set.ChangeSet))
	}
	c := set.ChangeSet[0]
	v.Want(aws.ToString(c.ChangeName) == "Create", "ChangeName is %q, want Create", aws.ToString(c.ChangeName))
	v.Want(aws.ToString(c.Entity.Type) == seller.ContainerProduct, "Entity.Type is %q", aws.ToString(c.Entity.Type))
	v.Want(strings.HasSuffix(aws.ToString(c.Entity.Identifier), "@1"), "Entity.Identifier is %q, want revision 1 of the new product", aws.ToString(c.Entity.Identifier))
	v.Want(strings.Contains(aws.ToString(c.Details), title), "Details are %q, want what was sent", aws.ToString(c.Details))
	var sent struct{ ProductTitle string }
	if c.DetailsDocument == nil {
		v.Want(false, "DetailsDocument is missing")
	} else if err := c.DetailsDocument.UnmarshalSmithyDocument(&sent); err != nil || sent.ProductTitle != title {
		v.Want(false, "DetailsDocument is %+v (%v), want what was sent", sent, err)
	}
	p, err := v.Product(ctx, seller.EntityID(c))
	if err != nil {
		return fmt.Errorf("DescribeEntity of the new product: %w", err)
	}
	v.Want(p.Description.ProductTitle == title && p.Description.Visibility == "Draft", "the new product is %q, %s, want %q, Draft", p.Description.ProductTitle, p.Description.Visibility, title)
	return nil
}

func setFails(ctx context.Context, v *Visit) error {
	product, err := v.Draft(ctx, "Fails "+v.Unique)
	if err != nil {
		return err
	}
	before, err := v.Entity(ctx, product)
	if err != nil {
		return err
	}
	id, err := v.Start(ctx, seller.Change("UpdateInformation", product, `{"Categories":["Bazaars"],"ShortDescription":"Trademark ™"}`))
	if err != nil {
		return fmt.Errorf("StartChangeSet: %w", err)
	}
	set, err := v.Wait(ctx, id)
	if err != nil {
		return err
	}
	v.Want(set.Status == types.ChangeStatusFailed && set.FailureCode == types.FailureCodeClientError,
		"the set is %s, %s, want FAILED, CLIENT_ERROR", set.Status, set.FailureCode)
	v.Want(aws.ToString(set.FailureDescription) == "Change set preparation has failed. For details see 'ErrorDetailList'.",
		"FailureDescription is %q", aws.ToString(set.FailureDescription))
	got := seller.Refusals(set)
	for _, want := range []string{
		"INVALID_CATEGORY_NAMES: Provide valid category names supported by AWS Marketplace.",
		"INVALID_SHORT_DESCRIPTION: Remove spaces before trademark symbol.",
	} {
		v.Want(strings.Contains(got, want), "the errors lack %q: %s", want, got)
	}
	after, err := v.Entity(ctx, product)
	if err != nil {
		return err
	}
	v.Want(aws.ToString(before.EntityIdentifier) == aws.ToString(after.EntityIdentifier), "the entity went from %s to %s",
		aws.ToString(before.EntityIdentifier), aws.ToString(after.EntityIdentifier))
	v.Want(aws.ToString(before.Details) == aws.ToString(after.Details), "the entity's Details changed")
	return nil
}

func setAllOrNothing(ctx context.Context, v *Visit) error {
	title := "Never seen " + v.Unique
	id, err := v.Start(ctx,
		seller.Named("Create", seller.Change("CreateProduct", "", seller.JSON(map[string]string{"ProductTitle": title}))),
		seller.Change("AddRepositories", "$Create.Entity.Identifier", `{"Repositories":[]}`))
	if err != nil {
		return fmt.Errorf("StartChangeSet: %w", err)
	}
	set, err := v.Wait(ctx, id)
	if err != nil {
		return err
	}
	v.Want(set.Status == types.ChangeStatusFailed, "the set is %s, want FAILED", set.Status)
	v.Want(strings.Contains(seller.Refusals(set), "MISSING_REPOSITORY_INFORMATION"), "the errors are %s", seller.Refusals(set))
	found, err := v.Catalog.ListEntities(ctx, &marketplacecatalog.ListEntitiesInput{
		Catalog: aws.String(seller.Catalog), EntityType: aws.String("ContainerProduct"),
		FilterList: []types.Filter{{Name: aws.String("Name"), ValueList: []string{title}}},
	})
	if err != nil {
		return fmt.Errorf("ListEntities: %w", err)
	}
	v.Want(len(found.EntitySummaryList) == 0, "the product was made: %d", len(found.EntitySummaryList))
	return nil
}

// withToken starts a CreateProduct set with a client request token.
func (v *Visit) withToken(ctx context.Context, token, title string) (string, error) {
	out, err := v.Catalog.StartChangeSet(ctx, &marketplacecatalog.StartChangeSetInput{
		Catalog: aws.String(seller.Catalog), ClientRequestToken: &token,
		ChangeSet: []types.Change{seller.Change("CreateProduct", "", seller.JSON(map[string]string{"ProductTitle": title}))},
	})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.ChangeSetId), nil
}

func sameToken(ctx context.Context, v *Visit) error {
	first, err := v.withToken(ctx, "token-"+v.Unique, "Token "+v.Unique)
	if err != nil {
		return fmt.Errorf("StartChangeSet: %w", err)
	}
	again, err := v.withToken(ctx, "token-"+v.Unique, "Token "+v.Unique)
	if err != nil {
		return fmt.Errorf("StartChangeSet with the same token: %w", err)
	}
	v.Want(first == again, "the same token gave %s, then %s", first, again)
	_, err = v.Wait(ctx, first)
	if err != nil {
		return err
	}
	again, err = v.withToken(ctx, "token-"+v.Unique, "Token "+v.Unique)
	if err != nil {
		return fmt.Errorf("StartChangeSet with the same token after the end: %w", err)
	}
	v.Want(first == again, "the same token gave %s, then, after its end, %s", first, again)
	_, err = v.withToken(ctx, "token-"+v.Unique, "Other "+v.Unique)
	v.WantError("the same token with another request", err, "ValidationException", "")
	return nil
}

func sameTokenAtOnce(ctx context.Context, v *Visit) error {
	type answer struct {
		id  string
		err error
	}
	const n = 10
	answers := make(chan answer, n)
	for range n {
		go func() {
			id, err := v.withToken(ctx, "once-"+v.Unique, "Once "+v.Unique)
			answers <- answer{id, err}
		}()
	}
	ids := map[string]bool{}
	for range n {
		a := <-answers
		if a.err != nil {
			return fmt.Errorf("StartChangeSet: %w", a.err)
		}
		ids[a.id] = true
	}
	v.Want(len(ids) == 1, "%d change sets were made, want 1: %v", len(ids), ids)
	for id := range ids {
		_, err := v.Wait(ctx, id)
		if err != nil {
			return err
		}
	}
	found, err := v.Catalog.ListEntities(ctx, &marketplacecatalog.ListEntitiesInput{
		Catalog: aws.String(seller.Catalog), EntityType: aws.String("ContainerProduct"),
		FilterList: []types.Filter{{Name: aws.String("Name"), ValueList: []string{"Once " + v.Unique}}},
	})
	if err != nil {
		return fmt.Errorf("ListEntities: %w", err)
	}
	v.Want(len(found.EntitySummaryList) == 1, "%d products were made, want 1", len(found.EntitySummaryList))
	return nil
}

func validate(ctx context.Context, v *Visit) error {
	product, err := v.Draft(ctx, "Validate "+v.Unique)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		details string
		want    types.ChangeStatus
	}{
		{`{"ShortDescription":"Fine."}`, types.ChangeStatusSucceeded},
		{`{"Categories":["Bazaars"]}`, types.ChangeStatusFailed},
	} {
		out, err := v.Catalog.StartChangeSet(ctx, &marketplacecatalog.StartChangeSetInput{
			Catalog: aws.String(seller.Catalog), Intent: types.IntentValidate,
			ChangeSet: []types.Change{seller.Change("UpdateInformation", product, c.details)},
		})
		if err != nil {
			return fmt.Errorf("StartChangeSet: %w", err)
		}
		set, err := v.Wait(ctx, aws.ToString(out.ChangeSetId))
		if err != nil {
			return err
		}
		v.Want(set.Status == c.want, "%s: the set is %s, want %s: %s", c.details, set.Status, c.want, seller.Refusals(set))
		v.Want(set.Intent == types.IntentValidate, "Intent is %s, want VALIDATE", set.Intent)
	}
	out, err := v.Entity(ctx, product)
	if err != nil {
		return err
	}
	v.Want(aws.ToString(out.EntityIdentifier) == product+"@1", "the entity is %s, want revision 1", aws.ToString(out.EntityIdentifier))
	return nil
}

func staleRevision(ctx context.Context, v *Visit) error {
	product, err := v.Draft(ctx, "Revision "+v.Unique)
	if err != nil {
		return err
	}
	done, err := v.Do(ctx, seller.Change("UpdateInformation", product+"@1", `{"ShortDescription":"Second."}`))
	if err != nil {
		return fmt.Errorf("a change of the latest revision: %w", err)
	}
	v.Want(aws.ToString(done.ChangeSet[0].Entity.Identifier) != "", "the change shows no identifier")
	out, err := v.Entity(ctx, product)
	if err != nil {
		return err
	}
	v.Want(aws.ToString(out.EntityIdentifier) == product+"@2", "the entity is %s, want revision 2", aws.ToString(out.EntityIdentifier))
	_, err = v.Start(ctx, seller.Change("UpdateInformation", product+"@1", `{"ShortDescription":"Third."}`))
	v.WantError("a change of revision 1", err, "ValidationException", "2")
	_, err = v.Do(ctx, seller.Change("UpdateInformation", product+"@02", `{"ShortDescription":"Third."}`))
	v.Want(err == nil, "a change of revision 02, which is 2: %v", err)
	return nil
}

func sameTypeTwice(ctx context.Context, v *Visit) error {
	product, err := v.Draft(ctx, "Twice "+v.Unique)
	if err != nil {
		return err
	}
	_, err = v.Start(ctx,
		seller.Change("UpdateInformation", product, `{"ShortDescription":"One."}`),
		seller.Change("UpdateInformation", product+"@1", `{"LongDescription":"Two."}`))
	if err == nil {
		return fmt.Errorf("two UpdateInformation of %s in one set were accepted", product)
	}
	code := seller.Code(err)
	v.Want(code == "ResourceInUseException" || code == "ValidationException", "got %v", err)
	return nil
}

func cancelEnded(ctx context.Context, v *Visit) error {
	set, err := v.Do(ctx, seller.Change("CreateProduct", "", "{}"))
	if err != nil {
		return err
	}
	_, err = v.Catalog.CancelChangeSet(ctx, &marketplacecatalog.CancelChangeSetInput{
		Catalog: aws.String(seller.Catalog), ChangeSetId: set.ChangeSetId,
	})
	v.WantError("cancelling a change set that SUCCEEDED", err, "ValidationException", "")
	after, err := v.Describe(ctx, aws.ToString(set.ChangeSetId))
	if err != nil {
		return err
	}
	v.Want(after.Status == types.ChangeStatusSucceeded, "the set is %s afterwards", after.Status)
	started, err := time.Parse(time.RFC3339, aws.ToString(after.StartTime))
	v.Want(err == nil && time.Since(started) < time.Hour, "StartTime is %s", aws.ToString(after.StartTime))
	return nil
}
