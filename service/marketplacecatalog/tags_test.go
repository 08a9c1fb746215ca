package marketplacecatalog_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	catalog "github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"souk/access/organization"
)

func tag(key, value string) types.Tag {
	return types.Tag{Key: aws.String(key), Value: aws.String(value)}
}

func entityARN(account, id string) *string {
	return aws.String("arn:aws:aws-marketplace:us-east-1:" + account + ":AWSMarketplace/ContainerProduct/" + id)
}

// tags are the tags of a resource, as "key=value ...".
func (m *market) tags(arn *string) string {
	m.t.Helper()
	out, err := m.ListTagsForResource(m.t.Context(), &catalog.ListTagsForResourceInput{ResourceArn: arn})
	if err != nil {
		m.t.Fatal(err)
	}
	if *out.ResourceArn != *arn {
		m.t.Errorf("ResourceArn is %s, want %s", *out.ResourceArn, *arn)
	}
	var all []string
	for _, t := range out.Tags {
		all = append(all, *t.Key+"="+*t.Value)
	}
	return strings.Join(all, " ")
}

func TestTagsOfEntitiesAndChangeSets(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	create := edit("CreateProduct", "", `{"ProductTitle":"a"}`)
	create.EntityTags = []types.Tag{tag("team", "blue"), tag("cost", "")}
	out, err := m.StartChangeSet(ctx, &catalog.StartChangeSetInput{
		Catalog: aws.String("AWSMarketplace"), ChangeSet: []types.Change{create}, ChangeSetTags: []types.Tag{tag("run", "7")},
	})
	if err != nil {
		t.Fatal(err)
	}
	id, _, _ := strings.Cut(*m.ended(out.ChangeSetId).ChangeSet[0].Entity.Identifier, "@")
	if got := m.tags(out.ChangeSetArn); got != "run=7" {
		t.Errorf("the set has %q", got)
	}
	arn := entityARN(account, id)
	if got := m.tags(arn); got != "cost= team=blue" {
		t.Errorf("the entity has %q", got)
	}
	if _, err := m.TagResource(ctx, &catalog.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{tag("team", "red"), tag("x", "1")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.UntagResource(ctx, &catalog.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"cost", "nothing"}}); err != nil {
		t.Fatal(err)
	}
	if got := m.tags(arn); got != "team=red x=1" {
		t.Errorf("the entity has %q", got)
	}
	described, err := m.DescribeEntity(ctx, &catalog.DescribeEntityInput{Catalog: aws.String("AWSMarketplace"), EntityId: aws.String(id)})
	if err != nil || !strings.HasSuffix(*described.EntityIdentifier, "@1") {
		t.Errorf("a tag made a revision: %v, %v", described, err)
	}

	var many []types.Tag
	for i := range 49 {
		many = append(many, tag(fmt.Sprintf("k%d", i), ""))
	}
	_, err = m.TagResource(ctx, &catalog.TagResourceInput{ResourceArn: arn, Tags: many})
	refused(t, err, 422, "ValidationException", "It would have 51")
	_, err = m.TagResource(ctx, &catalog.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{tag("a", ""), tag("a", "")}})
	refused(t, err, 422, "ValidationException", "more than once")
	_, err = m.TagResource(ctx, &catalog.TagResourceInput{ResourceArn: entityARN(account, "prod-none"), Tags: many})
	refused(t, err, 404, "ResourceNotFoundException", "prod-none")
	_, err = m.TagResource(ctx, &catalog.TagResourceInput{ResourceArn: entityARN("111122223333", id), Tags: many})
	refused(t, err, 404, "ResourceNotFoundException", id)
	_, err = m.TagResource(ctx, &catalog.TagResourceInput{ResourceArn: aws.String("arn:aws:s3:::bucket"), Tags: many})
	refused(t, err, 422, "ValidationException", "is not the ARN")
	_, err = m.TagResource(ctx, &catalog.TagResourceInput{ResourceArn: aws.String(strings.Replace(*arn, "ContainerProduct", "AmiProduct", 1)), Tags: many})
	refused(t, err, 404, "ResourceNotFoundException", id)
}

func TestPermissionsByTags(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	id := m.made("a")
	blue := m.user("blue", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["aws-marketplace:DescribeEntity","aws-marketplace:StartChangeSet"],"Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"blue"}}},
		{"Effect":"Allow","Action":["aws-marketplace:StartChangeSet","aws-marketplace:TagResource"],"Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"blue"}}}]}`)
	describe := func() error {
		_, err := blue.DescribeEntity(ctx, &catalog.DescribeEntityInput{Catalog: aws.String("AWSMarketplace"), EntityId: aws.String(id)})
		return err
	}
	refused(t, describe(), 403, "AccessDeniedException", "DescribeEntity")
	if _, err := m.TagResource(ctx, &catalog.TagResourceInput{ResourceArn: entityARN(account, id), Tags: []types.Tag{tag("Team", "blue")}}); err != nil {
		t.Fatal(err)
	}
	if err := describe(); err != nil {
		t.Errorf("a tagged entity is not described: %v", err)
	}
	begin := func(entity, set string) error {
		create := edit("CreateProduct", "", `{}`)
		in := &catalog.StartChangeSetInput{Catalog: aws.String("AWSMarketplace")}
		if entity != "" {
			create.EntityTags = []types.Tag{tag("team", entity)}
		}
		if set != "" {
			in.ChangeSetTags = []types.Tag{tag("team", set)}
		}
		in.ChangeSet = []types.Change{create}
		_, err := blue.StartChangeSet(ctx, in)
		return err
	}
	for _, c := range []struct {
		entity, set string
		allowed     bool
	}{{"blue", "blue", true}, {"blue", "", true}, {"red", "blue", false}, {"blue", "red", false}, {"", "", false}} {
		if err := begin(c.entity, c.set); (err == nil) != c.allowed {
			t.Errorf("entity %q, set %q: %v", c.entity, c.set, err)
		}
	}
}

func TestEntitiesThatAPolicyShares(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	id := m.made("a")
	other, err := m.org.CreateAccount(ctx, organization.NewAccount{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	key, err := m.org.CreateKey(ctx, other.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	buyer := m.as(key)
	arn := entityARN(account, id)
	describe := func() error {
		_, err := buyer.DescribeEntity(ctx, &catalog.DescribeEntityInput{Catalog: aws.String("AWSMarketplace"), EntityId: aws.String(id)})
		return err
	}
	refused(t, describe(), 404, "ResourceNotFoundException", id)
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + other.ID + `"},"Action":"aws-marketplace:DescribeEntity","Resource":"` + *arn + `"}]}`
	_, err = m.GetResourcePolicy(ctx, &catalog.GetResourcePolicyInput{ResourceArn: arn})
	refused(t, err, 404, "ResourceNotFoundException", "has no resource policy")
	if _, err := m.PutResourcePolicy(ctx, &catalog.PutResourcePolicyInput{ResourceArn: arn, Policy: aws.String(policy)}); err != nil {
		t.Fatal(err)
	}
	got, err := m.GetResourcePolicy(ctx, &catalog.GetResourcePolicyInput{ResourceArn: arn})
	if err != nil || *got.Policy != policy {
		t.Errorf("policy is %v, %v", got, err)
	}
	for _, list := range []struct {
		client *catalog.Client
		what   types.OwnershipType
		want   int
	}{{m.Client, types.OwnershipTypeSelf, 1}, {m.Client, types.OwnershipTypeShared, 0}, {buyer, types.OwnershipTypeSelf, 0}, {buyer, types.OwnershipTypeShared, 1}} {
		got, err := list.client.ListEntities(ctx, &catalog.ListEntitiesInput{Catalog: aws.String("AWSMarketplace"), EntityType: aws.String("ContainerProduct"), OwnershipType: list.what})
		if err != nil || len(got.EntitySummaryList) != list.want || list.want == 1 && *got.EntitySummaryList[0].EntityArn != *arn {
			t.Errorf("%s: got %+v, %v", list.what, got, err)
		}
	}
	if err := describe(); err != nil {
		t.Errorf("a shared entity is not described: %v", err)
	}
	if _, err := start(buyer, edit("UpdateInformation", id, `{"ProductTitle":"mine"}`)); err == nil {
		t.Error("a shared entity can be changed")
	}
	_, err = m.PutResourcePolicy(ctx, &catalog.PutResourcePolicyInput{ResourceArn: arn, Policy: aws.String(`{"Statement":[]}`)})
	refused(t, err, 422, "ValidationException", "Policy is not valid.")
	for wrong, says := range map[string]string{
		strings.Replace(policy, "DescribeEntity", "DescribeEntty", 1): "the action 'aws-marketplace:DescribeEntty' is none of an entity",
		strings.Replace(policy, id, "prod-other", 1):                  "/prod-other' is not the entity '" + *arn + "'",
	} {
		_, err = m.PutResourcePolicy(ctx, &catalog.PutResourcePolicyInput{ResourceArn: arn, Policy: aws.String(wrong)})
		refused(t, err, 422, "ValidationException", says)
	}
	if _, err := m.DeleteResourcePolicy(ctx, &catalog.DeleteResourcePolicyInput{ResourceArn: arn}); err != nil {
		t.Fatal(err)
	}
	refused(t, describe(), 404, "ResourceNotFoundException", id)
	_, err = m.DeleteResourcePolicy(ctx, &catalog.DeleteResourcePolicyInput{ResourceArn: arn})
	refused(t, err, 404, "ResourceNotFoundException", "has no resource policy")
}

func TestBatchDescribeEntities(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	market := aws.String("AWSMarketplace")
	a, b := m.made("a"), m.made("b")
	in := &catalog.BatchDescribeEntitiesInput{EntityRequestList: []types.EntityRequest{
		{Catalog: market, EntityId: aws.String(a)}, {Catalog: market, EntityId: aws.String("prod-none")},
		{Catalog: market, EntityId: aws.String(b)}, {Catalog: market, EntityId: aws.String(a)},
	}}
	out, err := m.BatchDescribeEntities(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.EntityDetails) != 2 || len(out.Errors) != 1 || *out.Errors["prod-none"].ErrorCode != "ResourceNotFoundException" || out.Errors["prod-none"].ErrorMessage == nil {
		t.Fatalf("answered %+v, %+v", out.EntityDetails, out.Errors)
	}
	for _, id := range []string{a, b} {
		single, err := m.DescribeEntity(ctx, &catalog.DescribeEntityInput{Catalog: market, EntityId: aws.String(id)})
		if err != nil {
			t.Fatal(err)
		}
		got := out.EntityDetails[id]
		var one, many any
		if err := single.DetailsDocument.UnmarshalSmithyDocument(&one); err != nil {
			t.Fatal(err)
		}
		if err := got.DetailsDocument.UnmarshalSmithyDocument(&many); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(one, many); diff != "" || *got.EntityArn != *single.EntityArn || *got.EntityIdentifier != *single.EntityIdentifier ||
			*got.EntityType != *single.EntityType || *got.LastModifiedDate != *single.LastModifiedDate {
			t.Errorf("%s alone is %+v, among others %+v\n%s", id, single, got, diff)
		}
	}
	only := m.user("only", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"aws-marketplace:DescribeEntity","Resource":"`+*entityARN(account, a)+`"}}`)
	_, err = only.BatchDescribeEntities(ctx, in)
	refused(t, err, 403, "AccessDeniedException", "DescribeEntity")
}

func TestRefusalsNameTheirFields(t *testing.T) {
	t.Parallel()
	m := open(t)
	id := m.made("a")
	for name, c := range map[string]struct {
		change types.Change
		want   types.ValidationExceptionField
	}{
		"a change type that is no word": {edit("no type", id, `{}`), types.ValidationExceptionField{
			Field: aws.String("changeSet.1.member.changeType"), Reason: types.ValidationExceptionReasonFieldValidationFailed}},
		"details of a wrong type": {edit("UpdateInformation", id, `{"ProductTitle":3}`), types.ValidationExceptionField{
			Field: aws.String("changeSet.1.member.details"), Reason: types.ValidationExceptionReasonFieldValidationFailed,
			ChangeType: aws.String("UpdateInformation"), EntityType: aws.String("ContainerProduct@1.0"), EntityId: aws.String(id)}},
	} {
		_, err := start(m.Client, c.change)
		var refused *types.ValidationException
		if !errors.As(err, &refused) || len(refused.ValidationExceptionFieldList) != 1 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := refused.ValidationExceptionFieldList[0]
		if aws.ToString(got.Message) == "" {
			t.Errorf("%s: no message", name)
		}
		got.Message = nil
		if diff := cmp.Diff(c.want, got, cmpopts.IgnoreUnexported(types.ValidationExceptionField{})); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}
