package marketplacecatalog_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	catalog "github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/document"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"souk/access/keyring"
	"souk/access/organization"
	"souk/artifact/scan/assessment"
	"souk/catalog/change"
	"souk/catalog/changeset"
	"souk/gateway"
	"souk/service/marketplacecatalog"
	"souk/storage/store/sqlite/sqlitetest"
	"souk/storage/worktest"
)

const account = "123456789012"

// product is the state of the entities of these tests.
type product struct{ Title, Visibility string }

type createProduct struct{ ProductTitle string }

func (d *createProduct) Check(*product, *change.Checks)       {}
func (d *createProduct) Apply(p *product, _ *change.Applying) { p.Title = d.ProductTitle }

type updateInformation struct{ ProductTitle string }

func (d *updateInformation) Check(p *product, c *change.Checks) {
	c.Refuse(d.ProductTitle == p.Title, "NO_CHANGE_FOUND", "Provide a title other than [x].", p.Title)
}
func (d *updateInformation) Apply(p *product, _ *change.Applying) { p.Title = d.ProductTitle }

// wait never finds what it looks for.
type wait struct{}

func (*wait) Check(*product, *change.Checks)   {}
func (*wait) Apply(*product, *change.Applying) {}
func (*wait) Probe(ctx context.Context, _ *product, _ *change.Checks) error {
	<-ctx.Done()
	return ctx.Err()
}

var productType = &change.EntityType{
	Name: "ContainerProduct", Version: "1.0",
	Types: []change.Type{
		change.Of[product, createProduct](change.Type{Name: "CreateProduct", Creates: true}),
		change.Of[product, updateInformation](change.Type{Name: "UpdateInformation"}),
		change.Of[product, wait](change.Type{Name: "Wait"}),
	},
	New:      func() any { return &product{Visibility: "Draft"} },
	NewID:    func(ids *change.IDs) string { return ids.New("prod-", 13) },
	List:     func(s any) change.Listing { return change.Listing{Name: s.(*product).Title, Visibility: "Draft"} },
	Describe: func(s any, _ change.Entity) any { return map[string]any{"Description": s} },
}

// sharedType is one whose entities all accounts share.
var sharedType = &change.EntityType{
	Name: "Experience", Version: "1.0", Shared: true,
	Types: []change.Type{
		change.Of[product, createProduct](change.Type{Name: "CreateExperience", Creates: true}),
		change.Of[product, updateInformation](change.Type{Name: "UpdateExperience"}),
	},
	New:      func() any { return &product{Visibility: "Limited"} },
	NewID:    func(ids *change.IDs) string { return ids.New("exp-", 13) },
	List:     func(s any) change.Listing { return change.Listing{Name: s.(*product).Title, Visibility: "Limited"} },
	Describe: func(s any, _ change.Entity) any { return map[string]any{"Description": s} },
}

// market is a server with this one service.
type market struct {
	*catalog.Client
	t   *testing.T
	url string
	org *organization.Organization

	assessments *assessment.Store
	root        organization.Key
}

func open(t *testing.T) *market {
	t.Helper()
	s := sqlitetest.Open(t)
	ring := keyring.New([32]byte{1})
	e, err := changeset.New(changeset.Config{Store: s, Types: []*change.EntityType{productType, offerType, sharedType}, Keys: ring, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	worktest.Run(t, e.Run)
	o := organization.New(organization.Config{Store: s, Keyring: ring})
	assessments := assessment.New(assessment.Config{Store: s, Keyring: ring})
	m := &market{t: t, org: o, root: o.NewKey(), assessments: assessments}
	if _, err := o.Bootstrap(t.Context(), "", m.root); err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{Services: []*gateway.Service{marketplacecatalog.Service(e, assessments)}, Credentials: o})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	m.url = server.URL
	m.Client = m.as(m.root)
	return m
}

func (m *market) as(k organization.Key) *catalog.Client {
	return catalog.New(catalog.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(m.url), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(k.ID, k.Secret, ""),
	})
}

// user makes a user with a policy.
func (m *market) user(name, policy string) *catalog.Client {
	m.t.Helper()
	ctx := m.t.Context()
	if _, err := m.org.CreateUser(ctx, account, name); err != nil {
		m.t.Fatal(err)
	}
	if err := m.org.PutPolicy(ctx, account, name, organization.Policy{Name: "p", Document: policy}); err != nil {
		m.t.Fatal(err)
	}
	k, err := m.org.CreateKey(ctx, account, name)
	if err != nil {
		m.t.Fatal(err)
	}
	return m.as(k)
}

func edit(changeType, id, details string) types.Change {
	c := types.Change{ChangeType: &changeType, Entity: &types.Entity{Type: aws.String("ContainerProduct@1.0")}, Details: &details}
	if id != "" {
		c.Entity.Identifier = &id
	}
	return c
}

func start(c *catalog.Client, changes ...types.Change) (*catalog.StartChangeSetOutput, error) {
	return c.StartChangeSet(context.Background(), &catalog.StartChangeSetInput{Catalog: aws.String("AWSMarketplace"), ChangeSet: changes})
}

// ended polls a set as clients do.
func (m *market) ended(id *string) *catalog.DescribeChangeSetOutput {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Minute)
	defer cancel()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for {
		d, err := m.DescribeChangeSet(ctx, &catalog.DescribeChangeSetInput{Catalog: aws.String("AWSMarketplace"), ChangeSetId: id})
		if err != nil {
			m.t.Fatal(err)
		}
		if d.EndTime != nil {
			return d
		}
		<-ticker.C
	}
}

func (m *market) made(title string) string {
	m.t.Helper()
	out, err := start(m.Client, edit("CreateProduct", "", `{"ProductTitle":"`+title+`"}`))
	if err != nil {
		m.t.Fatal(err)
	}
	id, _, _ := strings.Cut(*m.ended(out.ChangeSetId).ChangeSet[0].Entity.Identifier, "@")
	return id
}

func refused(t *testing.T, err error, status int, code, message string) {
	t.Helper()
	var e smithy.APIError
	var response interface{ HTTPStatusCode() int }
	if !errors.As(err, &e) || !errors.As(err, &response) {
		t.Fatalf("got %v, want %s", err, code)
	}
	if e.ErrorCode() != code || response.HTTPStatusCode() != status || !strings.Contains(e.ErrorMessage(), message) {
		t.Errorf("got %d %v, want %d %s with %q", response.HTTPStatusCode(), err, status, code, message)
	}
}

func TestAProductFromStartToDescription(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	out, err := m.StartChangeSet(ctx, &catalog.StartChangeSetInput{
		Catalog: aws.String("AWSMarketplace"), ChangeSetName: aws.String("first"),
		ChangeSet: []types.Change{
			{ChangeType: aws.String("CreateProduct"), ChangeName: aws.String("New"), Entity: &types.Entity{Type: aws.String("ContainerProduct@1.0")},
				DetailsDocument: document.NewLazyDocument(map[string]any{"ProductTitle": "a <b> & \"c\""})},
			edit("UpdateInformation", "$New.Entity.Identifier", ` {"ProductTitle": "d"} `),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "arn:aws:aws-marketplace:us-east-1:123456789012:AWSMarketplace/ChangeSet/" + *out.ChangeSetId; *out.ChangeSetArn != want {
		t.Errorf("arn is %s, want %s", *out.ChangeSetArn, want)
	}
	d := m.ended(out.ChangeSetId)
	if d.Status != types.ChangeStatusSucceeded || d.FailureCode != "" || *d.ChangeSetName != "first" || d.Intent != types.IntentApply ||
		len(*d.StartTime) != 20 || len(*d.EndTime) != 20 {
		t.Errorf("described as %+v", d)
	}
	one, two := d.ChangeSet[0], d.ChangeSet[1]
	if *one.Details != `{"ProductTitle":"a <b> & \"c\""}` || *two.Details != ` {"ProductTitle": "d"} ` || one.ErrorDetailList == nil {
		t.Errorf("details are shown as %q and %q, errors as %v", *one.Details, *two.Details, one.ErrorDetailList)
	}
	var shown map[string]any
	if err := two.DetailsDocument.UnmarshalSmithyDocument(&shown); err != nil || shown["ProductTitle"] != "d" {
		t.Errorf("details document is %v (%v)", shown, err)
	}
	id, revision, _ := strings.Cut(*one.Entity.Identifier, "@")
	if revision != "1" || *two.Entity.Identifier != *one.Entity.Identifier {
		t.Errorf("identifiers are %s and %s", *one.Entity.Identifier, *two.Entity.Identifier)
	}
	for range 2 { // the second answer is a kept one
		e, err := m.DescribeEntity(ctx, &catalog.DescribeEntityInput{Catalog: aws.String("AWSMarketplace"), EntityId: &id})
		if err != nil {
			t.Fatal(err)
		}
		arn := "arn:aws:aws-marketplace:us-east-1:123456789012:AWSMarketplace/ContainerProduct/" + id
		if *e.EntityType != "ContainerProduct@1.0" || *e.EntityIdentifier != id+"@1" || *e.EntityArn != arn || len(*e.LastModifiedDate) != 20 {
			t.Errorf("described as %s %s %s %s", *e.EntityType, *e.EntityIdentifier, *e.EntityArn, *e.LastModifiedDate)
		}
		if want := `{"Description":{"Title":"d","Visibility":"Draft"}}`; *e.Details != want {
			t.Errorf("details are %s, want %s", *e.Details, want)
		}
		if err := e.DetailsDocument.UnmarshalSmithyDocument(&shown); err != nil || shown["Description"] == nil {
			t.Errorf("details document is %v (%v)", shown, err)
		}
	}
	if out, err = start(m.Client, edit("UpdateInformation", id+"@1", `{"ProductTitle":"e"}`)); err != nil {
		t.Fatal(err)
	}
	m.ended(out.ChangeSetId)
	e, err := m.DescribeEntity(ctx, &catalog.DescribeEntityInput{Catalog: aws.String("AWSMarketplace"), EntityId: &id})
	if err != nil || *e.EntityIdentifier != id+"@2" || !strings.Contains(*e.Details, `"e"`) {
		t.Errorf("after a change: %s, %s (%v)", *e.EntityIdentifier, *e.Details, err)
	}
	list, err := m.ListEntities(ctx, &catalog.ListEntitiesInput{Catalog: aws.String("AWSMarketplace"), EntityType: aws.String("ContainerProduct")})
	if err != nil || len(list.EntitySummaryList) != 1 || list.NextToken != nil {
		t.Fatalf("listed %+v (%v)", list, err)
	}
	if s := list.EntitySummaryList[0]; *s.Name != "e" || *s.EntityId != id || *s.EntityType != "ContainerProduct" || *s.Visibility != "Draft" ||
		len(*s.LastModifiedDate) != 20 || *s.EntityArn == "" || *s.ContainerProductSummary.ProductTitle != "e" {
		t.Errorf("listed as %+v", s)
	}
	sets, err := m.ListChangeSets(ctx, &catalog.ListChangeSetsInput{Catalog: aws.String("AWSMarketplace"), MaxResults: aws.Int32(1)})
	if err != nil || len(sets.ChangeSetSummaryList) != 1 || sets.NextToken == nil {
		t.Fatalf("listed %+v (%v)", sets, err)
	}
	if s := sets.ChangeSetSummaryList[0]; *s.ChangeSetId != *out.ChangeSetId || *s.ChangeSetName != "Submitted by "+account ||
		cmp.Diff(s.EntityIdList, []string{id}) != "" || s.Status != types.ChangeStatusSucceeded {
		t.Errorf("listed as %+v", s)
	}
	sets, err = m.ListChangeSets(ctx, &catalog.ListChangeSetsInput{Catalog: aws.String("AWSMarketplace"), MaxResults: aws.Int32(1), NextToken: sets.NextToken})
	if err != nil || len(sets.ChangeSetSummaryList) != 1 || *sets.ChangeSetSummaryList[0].ChangeSetName != "first" || sets.NextToken != nil {
		t.Errorf("second page is %+v (%v)", sets, err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	id := m.made("a")
	market := aws.String("AWSMarketplace")

	_, err := start(m.Client, edit("UpdateInformation", "prod-none", `{}`))
	refused(t, err, 404, "ResourceNotFoundException", "prod-none")
	_, err = start(m.Client, edit("UpdateInformation", id+"@2", `{}`))
	refused(t, err, 422, "ValidationException", id+"@1")
	_, err = start(m.Client, edit("UpdateInformation", id, `[]`))
	refused(t, err, 422, "ValidationException", "changeSet.1.member.details")
	_, err = start(m.Client, edit("UpdateInformation", id, `{"ProductTitle":3}`))
	refused(t, err, 422, "ValidationException", "Provided Details is not valid.")
	_, err = start(m.Client, edit("UpdateInformation", "$ x.Entity.Identifier", `{}`))
	refused(t, err, 422, "ValidationException", "identifier")

	slow, err := start(m.Client, edit("Wait", id, `{}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = start(m.Client, edit("UpdateInformation", id, `{"ProductTitle":"b"}`))
	refused(t, err, 423, "ResourceInUseException",
		"Requested change set has entities locked by change sets - entity: '"+id+"'  change sets: "+*slow.ChangeSetId)
	if _, err := m.CancelChangeSet(ctx, &catalog.CancelChangeSetInput{Catalog: market, ChangeSetId: slow.ChangeSetId}); err != nil {
		t.Fatal(err)
	}
	if d := m.ended(slow.ChangeSetId); d.Status != types.ChangeStatusCancelled {
		t.Errorf("cancelled set is %s", d.Status)
	}
	_, err = m.CancelChangeSet(ctx, &catalog.CancelChangeSetInput{Catalog: market, ChangeSetId: slow.ChangeSetId})
	refused(t, err, 422, "ValidationException", "CANCELLED")

	failed, err := start(m.Client, edit("UpdateInformation", id, `{"ProductTitle":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	d := m.ended(failed.ChangeSetId)
	if d.FailureCode != types.FailureCodeClientError || *d.ChangeSet[0].ErrorDetailList[0].ErrorCode != "NO_CHANGE_FOUND" ||
		*d.FailureDescription != "Change set preparation has failed. For details see 'ErrorDetailList'." {
		t.Errorf("failed set is %+v", d)
	}

	_, err = m.ListEntities(ctx, &catalog.ListEntitiesInput{Catalog: market, EntityType: aws.String("ServerProduct")})
	refused(t, err, 422, "ValidationException", "entity type")
	_, err = m.ListEntities(ctx, &catalog.ListEntitiesInput{Catalog: market, EntityType: aws.String("ContainerProduct@1.0")})
	refused(t, err, 422, "ValidationException", "entityType")
	_, err = m.ListEntities(ctx, &catalog.ListEntitiesInput{Catalog: aws.String("Other"), EntityType: aws.String("ContainerProduct")})
	refused(t, err, 422, "ValidationException", "Other")
	_, err = m.ListEntities(ctx, &catalog.ListEntitiesInput{Catalog: market, EntityType: aws.String("ContainerProduct"), NextToken: aws.String("abcd")})
	refused(t, err, 422, "ValidationException", "NextToken")
	_, err = m.TagResource(ctx, &catalog.TagResourceInput{ResourceArn: slow.ChangeSetArn, Tags: []types.Tag{}})
	refused(t, err, 422, "ValidationException", "tags")
	_, err = m.GetResourcePolicy(ctx, &catalog.GetResourcePolicyInput{ResourceArn: slow.ChangeSetArn})
	refused(t, err, 422, "ValidationException", "that of a change set")
	_, err = m.BatchDescribeEntities(ctx, &catalog.BatchDescribeEntitiesInput{EntityRequestList: []types.EntityRequest{{Catalog: market, EntityId: aws.String("a b")}}})
	refused(t, err, 422, "ValidationException", "entityId")
	_, err = m.DescribeEntity(ctx, &catalog.DescribeEntityInput{Catalog: market, EntityId: aws.String("prod-none")})
	refused(t, err, 404, "ResourceNotFoundException", "prod-none")
	_, err = m.DescribeChangeSet(ctx, &catalog.DescribeChangeSetInput{Catalog: market, ChangeSetId: aws.String("none")})
	refused(t, err, 404, "ResourceNotFoundException", "none")

	other, err := m.org.CreateAccount(ctx, organization.NewAccount{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	k, err := m.org.CreateKey(ctx, other.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.as(k).DescribeEntity(ctx, &catalog.DescribeEntityInput{Catalog: market, EntityId: &id})
	refused(t, err, 404, "ResourceNotFoundException", id)
	_, err = m.as(k).DescribeChangeSet(ctx, &catalog.DescribeChangeSetInput{Catalog: market, ChangeSetId: failed.ChangeSetId})
	refused(t, err, 404, "ResourceNotFoundException", *failed.ChangeSetId)
}

func TestPoliciesDecideEveryChange(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	mine, other := m.made("a"), m.made("b")
	market := aws.String("AWSMarketplace")
	u := m.user("ci", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"aws-marketplace:StartChangeSet","Resource":"arn:aws:aws-marketplace:us-east-1:123456789012:AWSMarketplace/ContainerProduct/`+mine+`",
		 "Condition":{"StringEquals":{"catalog:ChangeType":["UpdateInformation"]}}},
		{"Effect":"Allow","Action":"aws-marketplace:DescribeEntity","Resource":"arn:aws:aws-marketplace:us-east-1:123456789012:AWSMarketplace/ContainerProduct/`+mine+`"},
		{"Effect":"Allow","Action":"aws-marketplace:DescribeChangeSet","Resource":"arn:aws:aws-marketplace:us-east-1:123456789012:AWSMarketplace/ChangeSet/*"}]}`)
	out, err := start(u, edit("UpdateInformation", mine, `{"ProductTitle":"new"}`))
	if err != nil {
		t.Fatal(err)
	}
	m.ended(out.ChangeSetId)
	_, err = start(u, edit("UpdateInformation", other, `{"ProductTitle":"new"}`))
	refused(t, err, 403, "AccessDeniedException", "")
	_, err = start(u, edit("Wait", mine, `{}`))
	refused(t, err, 403, "AccessDeniedException", "")
	_, err = start(u, edit("UpdateInformation", mine, `{"ProductTitle":"x"}`), edit("UpdateInformation", other, `{"ProductTitle":"x"}`))
	refused(t, err, 403, "AccessDeniedException", "AWSMarketplace/ContainerProduct/"+other)
	_, err = start(u, edit("UpdateInformation", mine, `{"ProductTitle":"x"}`), edit("Wait", mine, `{}`))
	refused(t, err, 403, "AccessDeniedException", "AWSMarketplace/ContainerProduct/"+mine+" because no identity-based policy allows the aws-marketplace:StartChangeSet action (change type Wait)")
	// A reference leads to the entity that is really changed.
	named := edit("Wait", other, `{}`)
	named.ChangeName = aws.String("A")
	_, err = start(u, edit("UpdateInformation", "$A.Entity.Identifier", `{"ProductTitle":"x"}`), named)
	refused(t, err, 403, "AccessDeniedException", "")
	if _, err = u.DescribeEntity(ctx, &catalog.DescribeEntityInput{Catalog: market, EntityId: &mine}); err != nil {
		t.Error(err)
	}
	_, err = u.DescribeEntity(ctx, &catalog.DescribeEntityInput{Catalog: market, EntityId: &other})
	refused(t, err, 403, "AccessDeniedException", "")
	if _, err = u.DescribeChangeSet(ctx, &catalog.DescribeChangeSetInput{Catalog: market, ChangeSetId: out.ChangeSetId}); err != nil {
		t.Error(err)
	}
	_, err = u.CancelChangeSet(ctx, &catalog.CancelChangeSetInput{Catalog: market, ChangeSetId: out.ChangeSetId})
	refused(t, err, 403, "AccessDeniedException", "")
	_, err = u.ListEntities(ctx, &catalog.ListEntitiesInput{Catalog: market, EntityType: aws.String("ContainerProduct")})
	refused(t, err, 403, "AccessDeniedException", "")
}

// TestDescribeChangeSetByPost sends the form that the Catalog API Reference
// shows in "Change set status and errors", which no SDK sends.
func TestDescribeChangeSetByPost(t *testing.T) {
	t.Parallel()
	m := open(t)
	out, err := start(m.Client, edit("CreateProduct", "", `{}`))
	if err != nil {
		t.Fatal(err)
	}
	m.ended(out.ChangeSetId)
	body := `{"Catalog": "AWSMarketplace", "ChangeSetID": "` + *out.ChangeSetId + `"}`
	status, answer := m.post("/DescribeChangeSet", body)
	if status != 200 || !strings.Contains(answer, `"Status":"SUCCEEDED"`) || !strings.Contains(answer, `"ErrorDetailList":[]`) || strings.Contains(answer, "FailureCode") {
		t.Errorf("answered %d %s", status, answer)
	}
	status, answer = m.post("/StartChangeSet", `{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"CreateProduct","Entity":{"Type":"ContainerProduct@1.0"},"Details":"{}","EntityTags":[{"Key":"aws:k","Value":""}]}]}`)
	if status != 422 || !strings.Contains(answer, "reserved") {
		t.Errorf("answered %d %s", status, answer)
	}
	status, answer = m.post("/ListChangeSets", `{"Catalog":"AWSMarketplace","FilterList":[{"Name":"EntityId","ValueList":["none"]}]}`)
	if status != 200 || answer != `{"ChangeSetSummaryList":[]}` {
		t.Errorf("answered %d %s", status, answer)
	}
}

func (m *market) post(path, body string) (int, string) {
	m.t.Helper()
	r, err := http.NewRequest("POST", m.url+path, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	sum := sha256Hex(body)
	err = v4.NewSigner().SignHTTP(m.t.Context(), aws.Credentials{AccessKeyID: m.root.ID, SecretAccessKey: m.root.Secret}, r, sum, "aws-marketplace", "us-east-1", time.Now())
	if err != nil {
		m.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
