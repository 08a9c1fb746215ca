package iam

import (
	"errors"
	"slices"
	"testing"
)

const sharing = `{"Version":"2012-10-17","Statement":[
	{"Sid":"team","Effect":"Allow","Principal":{"AWS":["111122223333","arn:aws:iam::444455556666:root","arn:aws:iam::777788889999:user/ann"]},
	 "Action":"aws-marketplace:DescribeEntity","Resource":"arn:aws:aws-marketplace:us-east-1:123456789012:AWSMarketplace/AmiProduct/prod-1"},
	{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111122223333:user/eve"},"Action":"*","Resource":"*"}]}`

func TestAResourcesPolicyIsForWhomItNames(t *testing.T) {
	t.Parallel()
	policy, err := ParseResourcePolicy([]byte(sharing))
	if err != nil {
		t.Fatal(err)
	}
	q := Question{Action: "aws-marketplace:DescribeEntity", Resource: "arn:aws:aws-marketplace:us-east-1:123456789012:AWSMarketplace/AmiProduct/prod-1"}
	for _, c := range []struct {
		name, account, arn string
		q                  Question
		want               Decision
	}{
		{"root of an account that is named by its id", "111122223333", "arn:aws:iam::111122223333:root", q, Decision{Allowed: true}},
		{"a user of an account that is named by its root", "444455556666", "arn:aws:iam::444455556666:user/bob", q, Decision{Allowed: true}},
		{"a user who is named", "777788889999", "arn:aws:iam::777788889999:user/ann", q, Decision{Allowed: true}},
		{"another user of that account", "777788889999", "arn:aws:iam::777788889999:user/bob", q, Decision{}},
		{"a user who is denied although the account is allowed", "111122223333", "arn:aws:iam::111122223333:user/eve", q, Decision{Explicit: true}},
		{"an account that is not named", "123123123123", "arn:aws:iam::123123123123:root", q, Decision{}},
		{"another action", "111122223333", "arn:aws:iam::111122223333:root", Question{Action: "aws-marketplace:TagResource", Resource: q.Resource}, Decision{}},
	} {
		c.want.By = ResourceBased
		if got := DecideResource(policy, &Principal{Account: c.account, ARN: c.arn}, c.q); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	if got := policy.Grantees(); !slices.Equal(got, []string{"111122223333", "444455556666", "777788889999"}) {
		t.Errorf("grantees are %q", got)
	}
	if d := DecideResource(nil, &Principal{Account: "111122223333"}, q); d.Allowed {
		t.Error("no policy allows something")
	}
}

func TestPoliciesThatNoResourceMayHave(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"without a principal":             `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`,
		"with a principal that is a word": `{"Statement":{"Effect":"Allow","Principal":"me","Action":"*","Resource":"*"}}`,
		"with an account of 11 digits":    `{"Statement":{"Effect":"Allow","Principal":{"AWS":"11112222333"},"Action":"*","Resource":"*"}}`,
		"with the ARN of no user":         `{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/"},"Action":"*","Resource":"*"}}`,
		"with a service":                  `{"Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"*","Resource":"*"}}`,
		"with NotPrincipal":               `{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":"*"},"Action":"*","Resource":"*"}}`,
		"that is no JSON":                 `{`,
	} {
		_, err := ParseResourcePolicy([]byte(document))
		var refused *DocumentError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParsePolicy([]byte(sharing)); err == nil {
		t.Error("an identity policy may name principals")
	}
}

func TestOnlyWhoHasAConditionLooksAtItsKey(t *testing.T) {
	t.Parallel()
	policy, err := ParsePolicy([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/Team":"a"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	p := &Principal{Policies: []*Policy{policy}}
	if !p.Looks("aws:resourcetag/") || p.Looks("aws:requesttag/") || (&Principal{Root: true, Policies: p.Policies}).Looks("aws:resourcetag/") {
		t.Error("Looks does not say what the policies look at")
	}
}
