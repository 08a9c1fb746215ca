package organization_test

import (
	"testing"

	"souk/access/organization"
)

// Policies tell the services by their sessions' names: no service's is another's.
func TestServicesHaveSessionsOfTheirOwnName(t *testing.T) {
	t.Parallel()
	o := newMarket(t).started()
	ctx := t.Context()
	const arn = "arn:aws:iam::" + account + ":role/both"
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":["assets.marketplace.amazonaws.com","appstream.amazonaws.com"]},"Action":"sts:AssumeRole"}}`
	_, err := o.CreateRole(ctx, organization.NewRole{Account: account, Name: "both", Trust: trust})
	read := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:DescribeImages","Resource":"*","Condition":{"StringLike":{"aws:userid":"*:appstream"}}}}`
	if err := first(err, o.PutInline(ctx, holder(organization.OfRole, "both"), organization.Policy{Name: "p", Document: read})); err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string]bool{"assets.marketplace.amazonaws.com": false, "appstream.amazonaws.com": true} {
		there, allowed, err := o.RoleAllows(ctx, account, arn, service, "ec2:DescribeImages", "*")
		if err != nil || !there || allowed != want {
			t.Errorf("%s: %v, %v, %v, want %v", service, there, allowed, err, want)
		}
	}
}

func TestWhatARoleAllowsAService(t *testing.T) {
	t.Parallel()
	o := newMarket(t).started()
	ctx := t.Context()
	const service = "assets.marketplace.amazonaws.com"
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}}`
	read := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:BatchGetImage","Resource":"arn:aws:ecr:*:*:repository/acme/*"}}`
	for name, trusted := range map[string]string{"ingest": trust, "people": trustAccount} {
		_, err := o.CreateRole(ctx, organization.NewRole{Account: account, Name: name, Path: "/m/", Trust: trusted})
		if err := first(err, o.PutInline(ctx, holder(organization.OfRole, name), organization.Policy{Name: "p", Document: read})); err != nil {
			t.Fatal(err)
		}
	}
	const arn, app = "arn:aws:iam::" + account + ":role/m/ingest", "arn:aws:ecr:us-east-1:" + account + ":repository/acme/app"
	for name, c := range map[string]struct {
		account, arn, service, resource string
		there, allowed                  bool
	}{
		"a resource that its policy names": {account, arn, service, app, true, true},
		"another resource":                 {account, arn, service, "arn:aws:ecr:us-east-1:" + account + ":repository/other", true, false},
		"a service that it does not trust": {account, arn, "ec2.amazonaws.com", app, true, false},
		"a role that trusts people":        {account, "arn:aws:iam::" + account + ":role/m/people", service, app, true, false},
		"a role by another path":           {account, "arn:aws:iam::" + account + ":role/ingest", service, app, false, false},
		"a role of another account":        {"444455556666", arn, service, app, false, false},
		"a role that is not there":         {account, arn + "2", service, app, false, false},
		"what is no ARN":                   {account, "ingest", service, app, false, false},
		"an empty text":                    {account, "", service, app, false, false},
		"an ARN with a blank in the name":  {account, arn + " x", service, app, false, false},
		"an account that is no account":    {"", arn, service, app, false, false},
	} {
		there, allowed, err := o.RoleAllows(ctx, c.account, c.arn, c.service, "ecr:BatchGetImage", c.resource)
		if err != nil || there != c.there || allowed != c.allowed {
			t.Errorf("%s: %v, %v, %v", name, there, allowed, err)
		}
	}
}
