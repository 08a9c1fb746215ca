package containerproduct

import (
	"context"
	"fmt"
	"regexp"
	"sync"

	"souk/catalog/change"
)

// roleARN is the form of a role's ARN (IAM User Guide, "IAM ARNs"). Its bound
// makes it dear: it is compiled when it is needed, not whenever the program starts.
var roleARN = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,576}$`)
})

// imageRole is a role by which images are to be read.
type imageRole struct {
	arn    string
	images []string // URIs
}

// roles are the roles that the options name.
func (r *AddDeliveryOptions) roles() []imageRole {
	var all []imageRole
	for _, option := range r.DeliveryOptions {
		common := option.Details.common()
		if common == nil || !common.AccessRoleArn.Given {
			continue
		}
		all = append(all, imageRole{common.AccessRoleArn.Value, common.ContainerImages.Value})
	}
	return all
}

// common are the fields that all kinds have; nil if none or several are given.
func (d *DeliveryOptionDetails) common() *CommonDeliveryOptionDetails {
	switch {
	case len(d.kinds()) != 1:
		return nil
	case d.EcrDeliveryOptionDetails != nil:
		return &d.EcrDeliveryOptionDetails.CommonDeliveryOptionDetails
	case d.HelmDeliveryOptionDetails != nil:
		return &d.HelmDeliveryOptionDetails.CommonDeliveryOptionDetails
	}
	return &d.EksAddOnDeliveryOptionDetails.CommonDeliveryOptionDetails
}

// checkRoles states what the page says of the form of roles.
func checkRoles(c *change.Checks, roles []imageRole) {
	var malformed []string
	for _, role := range roles {
		if !roleARN().MatchString(role.arn) {
			malformed = append(malformed, role.arn)
		}
	}
	c.Refuse(len(malformed) > 0, "INVALID_ARN", "Provide a valid ARN for image access.", change.In("AccessRoleArn", malformed...))
}

// probeRoles asks whether the roles are there and may read the images.
func probeRoles(ctx context.Context, c *change.Checks, roles []imageRole) error {
	var useless []string
	for _, role := range roles {
		readable, err := role.reads(ctx, c)
		if err != nil {
			return fmt.Errorf("asking for role %s of %s: %w", role.arn, c.Entity.ID, err)
		}
		if !readable {
			useless = append(useless, role.arn)
		}
	}
	c.Refuse(len(useless) > 0, "IMAGE_INACCESSIBLE", "Provide a valid ARN for image access.", change.In("AccessRoleArn", useless...))
	return nil
}

// reads says whether the role may read all its images. What is no image of
// this registry is another rule's.
func (r imageRole) reads(ctx context.Context, c *change.Checks) (bool, error) {
	if c.World.Roles == nil {
		return false, nil
	}
	for _, uri := range r.images {
		ref, ok := c.World.Images.Parse(uri)
		if !ok {
			continue
		}
		repository := "arn:aws:ecr:us-east-1:" + c.Seller.Account + ":repository/" + ref.Repository
		there, allowed, err := c.World.Roles.May(ctx, c.Seller, r.arn, "ecr:BatchGetImage", repository)
		if err != nil || !there || !allowed {
			return false, err
		}
	}
	return true, nil
}
