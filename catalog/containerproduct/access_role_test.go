package containerproduct_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"souk/catalog/change"
	"souk/catalog/product/producttest"
)

// trusted has roles by ARN, with the repository that each may read.
type trusted map[string]string

var errRoles = errors.New("no roles today")

func (r trusted) May(_ context.Context, _ change.Seller, arn, action, resource string) (there, allowed bool, err error) {
	if r == nil {
		return false, false, errRoles
	}
	repository, there := r[arn]
	return there, action == "ecr:BatchGetImage" && resource == repository, nil
}

func TestARoleMustBeThereAndReadEveryImage(t *testing.T) {
	t.Parallel()
	const role = "arn:aws:iam::111122223333:role/x/reader"
	a, b := host+"/"+namespace+"/a:1", host+"/"+namespace+"/b:1" // stocked takes a URI as its repository
	own := "arn:aws:ecr:us-east-1:" + seller.Account + ":repository/"
	for name, c := range map[string]struct {
		roles   change.Roles
		images  string
		refused bool
		failed  bool
	}{
		"a role that may read the image":        {trusted{role: own + a}, `"` + a + `"`, false, false},
		"a role that may not read the other":    {trusted{role: own + a}, `"` + a + `","` + b + `"`, true, false},
		"a role that may read something else":   {trusted{role: own + b}, `"` + a + `"`, true, false},
		"a role that is not there":              {trusted{}, `"` + a + `"`, true, false},
		"a market without roles":                {nil, `"` + a + `"`, true, false},
		"a market that can't look at its roles": {trusted(nil), `"` + a + `"`, false, true},
	} {
		i := family.Given(t, "limited")
		decoded, refusals := i.Refusals("AddDeliveryOptions", fmt.Appendf(nil, `{"Version":{"VersionTitle":"9","ReleaseNotes":"x"},"DeliveryOptions":[{"DeliveryOptionTitle":"o","Details":
			{"EcrDeliveryOptionDetails":{"AccessRoleArn":%q,"ContainerImages":[%s],"CompatibleServices":["EKS"],"Description":"d","UsageInstructions":"u"}}}]}`, role, c.images))
		if len(refusals) > 0 {
			t.Fatalf("%s: refused before the world is asked: %+v", name, refusals)
		}
		checks := &change.Checks{Seller: seller, Entity: i.Entity, ChangeSet: "set", World: change.World{Images: &stocked{}, Entities: producttest.Offers{}, Roles: c.roles}}
		err := decoded.Probe(t.Context(), i.State, checks)
		if errors.Is(err, errRoles) != c.failed {
			t.Errorf("%s: %v", name, err)
		}
		got := len(checks.Refusals()) == 1 && checks.Refusals()[0].ErrorCode == "IMAGE_INACCESSIBLE"
		if got != c.refused {
			t.Errorf("%s: refused with %+v", name, checks.Refusals())
		}
	}
}
