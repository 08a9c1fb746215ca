package marketplacecatalog_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	catalog "github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"github.com/aws/smithy-go"

	"souk/access/organization"
)

func TestAnEntitysPolicyHoldsForTheOwnersUsersToo(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	id := m.made("a")
	arn := entityARN(account, id)
	other, err := m.org.CreateAccount(ctx, organization.NewAccount{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	all := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"aws-marketplace:*","Resource":"*"}}`
	client := func(account, name, policy string) *catalog.Client {
		t.Helper()
		if _, err := m.org.CreateUser(ctx, account, name); err != nil {
			t.Fatal(err)
		}
		if policy != "" {
			if err := m.org.PutPolicy(ctx, account, name, organization.Policy{Name: "p", Document: policy}); err != nil {
				t.Fatal(err)
			}
		}
		key, err := m.org.CreateKey(ctx, account, name)
		if err != nil {
			t.Fatal(err)
		}
		return m.as(key)
	}
	clients := map[string]*catalog.Client{
		"root": m.Client, "able": client(account, "able", all), "bare": client(account, "bare", ""),
		"stranger": client(other.ID, "stranger", all), "bare stranger": client(other.ID, "bare", ""),
	}
	statement := func(effect, who string) string {
		return `{"Version":"2012-10-17","Statement":{"Effect":"` + effect + `","Principal":{"AWS":` + who + `},"Action":"aws-marketplace:DescribeEntity","Resource":"` + *arn + `"}}`
	}
	bare := `"arn:aws:iam::` + account + `:user/bare"`
	for _, c := range []struct {
		policy string
		want   map[string]string // code by client; "" is success
	}{
		{"", map[string]string{"root": "", "able": "", "bare": "AccessDeniedException", "stranger": "ResourceNotFoundException", "bare stranger": "AccessDeniedException"}},
		{statement("Allow", bare), map[string]string{"root": "", "able": "", "bare": "", "stranger": "ResourceNotFoundException"}},
		{statement("Allow", `"`+account+`"`), map[string]string{"able": "", "bare": "AccessDeniedException"}},
		{statement("Deny", `"`+account+`"`), map[string]string{"root": "AccessDeniedException", "able": "AccessDeniedException", "bare": "AccessDeniedException"}},
		{statement("Allow", `"`+other.ID+`"`), map[string]string{"able": "", "bare": "AccessDeniedException", "stranger": "", "bare stranger": "AccessDeniedException"}},
		{statement("Allow", `"*"`), map[string]string{"bare": "", "stranger": "", "bare stranger": "AccessDeniedException"}},
	} {
		if c.policy != "" {
			if _, err := m.PutResourcePolicy(ctx, &catalog.PutResourcePolicyInput{ResourceArn: arn, Policy: aws.String(c.policy)}); err != nil {
				t.Fatal(err)
			}
		}
		for who, code := range c.want {
			_, err := clients[who].DescribeEntity(ctx, &catalog.DescribeEntityInput{Catalog: aws.String("AWSMarketplace"), EntityId: aws.String(id)})
			if got := errorCode(err); got != code {
				t.Errorf("%s with the policy %q: got %q, want %q (%v)", who, c.policy, got, code, err)
			}
		}
	}
	got, err := m.ListEntities(ctx, &catalog.ListEntitiesInput{Catalog: aws.String("AWSMarketplace"), EntityType: aws.String("ContainerProduct"), OwnershipType: types.OwnershipTypeShared})
	if err != nil || len(got.EntitySummaryList) != 0 {
		t.Errorf("shared with its own account: %+v, %v", got, err)
	}
	if _, err := m.DeleteResourcePolicy(ctx, &catalog.DeleteResourcePolicyInput{ResourceArn: arn}); err != nil {
		t.Errorf("root can't take a policy away: %v", err)
	}
}

func TestAnEntitysPolicyLooksAtItsTags(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	id := m.made("a")
	arn := entityARN(account, id)
	policy := `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"aws-marketplace:DescribeEntity","Resource":"` + *arn + `",
		"Condition":{"StringEquals":{"aws:ResourceTag/state":"closed"}}}}`
	if _, err := m.PutResourcePolicy(ctx, &catalog.PutResourcePolicyInput{ResourceArn: arn, Policy: aws.String(policy)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ state, code string }{{"open", ""}, {"closed", "AccessDeniedException"}} {
		_, err := m.TagResource(ctx, &catalog.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("State"), Value: aws.String(c.state)}}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.DescribeEntity(ctx, &catalog.DescribeEntityInput{Catalog: aws.String("AWSMarketplace"), EntityId: aws.String(id)})
		if got := errorCode(err); got != c.code {
			t.Errorf("%s: got %v, want %q", c.state, err, c.code)
		}
	}
}

// TestWhatAllAccountsShareIsStillItsOwners: policies that keep to their own
// account do not reach it, and its owner's policy may close it to others, their
// root users too.
func TestWhatAllAccountsShareIsStillItsOwners(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	change := func(changeType, id string) types.Change {
		c := edit(changeType, id, `{"ProductTitle":"`+rand.Text()+`"}`)
		c.Entity.Type = aws.String("Experience@1.0")
		return c
	}
	out, err := start(m.Client, change("CreateExperience", ""))
	if err != nil {
		t.Fatal(err)
	}
	id, _, _ := strings.Cut(*m.ended(out.ChangeSetId).ChangeSet[0].Entity.Identifier, "@")
	other, err := m.org.CreateAccount(ctx, organization.NewAccount{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	client := func(user, condition string) *catalog.Client {
		t.Helper()
		if user != "" {
			if _, err := m.org.CreateUser(ctx, other.ID, user); err != nil {
				t.Fatal(err)
			}
			policy := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"aws-marketplace:*","Resource":"*"` + condition + `}}`
			if err := m.org.PutPolicy(ctx, other.ID, user, organization.Policy{Name: "p", Document: policy}); err != nil {
				t.Fatal(err)
			}
		}
		key, err := m.org.CreateKey(ctx, other.ID, user)
		if err != nil {
			t.Fatal(err)
		}
		return m.as(key)
	}
	try := func(what string, c *catalog.Client, code string) {
		t.Helper()
		out, err := start(c, change("UpdateExperience", id))
		if got := errorCode(err); got != code {
			t.Errorf("%s changes it: got %v, want %q", what, err, code)
		}
		if err == nil {
			m.ended(out.ChangeSetId)
		}
		_, err = c.DescribeEntity(ctx, &catalog.DescribeEntityInput{Catalog: aws.String("AWSMarketplace"), EntityId: &id})
		if got := errorCode(err); got != code {
			t.Errorf("%s looks at it: got %v, want %q", what, err, code)
		}
	}
	root, able := client("", ""), client("able", "")
	try("a root user", root, "")
	try("a user", able, "")
	try("who keeps to its own account", client("own", `,"Condition":{"StringEquals":{"aws:ResourceAccount":"${aws:PrincipalAccount}"}}`), "AccessDeniedException")

	arn := strings.Replace(*entityARN(account, id), "ContainerProduct", "Experience", 1)
	_, err = m.PutResourcePolicy(ctx, &catalog.PutResourcePolicyInput{ResourceArn: &arn, Policy: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":["aws-marketplace:StartChangeSet","aws-marketplace:DescribeEntity"],"Resource":"` + arn + `",
		"Condition":{"StringNotEquals":{"aws:PrincipalAccount":"` + account + `"}}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	try("a root user, against the owner's policy,", root, "AccessDeniedException")
	try("a user, against the owner's policy,", able, "AccessDeniedException")
	try("the owner", m.Client, "")
}

func errorCode(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}
