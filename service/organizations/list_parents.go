package organizations

import (
	"context"
	"strings"

	"souk/access/organization"
	"souk/gateway"
	"souk/gateway/apierror"
)

// ListParentsInput names an account or a unit.
type ListParentsInput struct {
	ChildId    string  `required:"" len:"0,100" pattern:"^(\\d{12})|(ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$"`
	NextToken  *string `len:"0,100000"`
	MaxResults *int    `range:"1,20"`
}

// Parent is where an account or unit is.
type Parent struct {
	Id   string
	Type string // ROOT or ORGANIZATIONAL_UNIT
}

// ListParentsOutput is the one parent.
type ListParentsOutput struct {
	Parents   []Parent
	NextToken string `json:",omitzero"`
}

// listParents says where an account or a unit is: in one parent.
//
// AWS Organizations API Reference, "ListParents".
func (s *service) listParents() gateway.Operation {
	return gateway.Op(gateway.Def[ListParentsInput, *ListParentsOutput]{
		Name: "ListParents", ReadOnly: true,
		Authorize: about(s, "ListParents", func(in *ListParentsInput) []string { return []string{in.ChildId} }),
		Call: managed(s, func(ctx context.Context, info organization.Info, in *ListParentsInput) (*ListParentsOutput, error) {
			if err := single(in.NextToken); err != nil {
				return nil, err
			}
			id, err := s.parentOf(ctx, in.ChildId)
			if err != nil {
				return nil, err
			}
			parent := Parent{Id: id, Type: "ORGANIZATIONAL_UNIT"}
			if id == "" || id == info.Root() {
				parent = Parent{Id: info.Root(), Type: "ROOT"}
			}
			return &ListParentsOutput{Parents: []Parent{parent}}, nil
		}),
	})
}

// parentOf is the id of what a unit or account is in; "" for the root.
func (s *service) parentOf(ctx context.Context, child string) (string, error) {
	var (
		parent string
		err    error
	)
	if strings.HasPrefix(child, "ou-") {
		var u organization.Unit
		u, err = s.organization.Unit(ctx, child)
		parent = u.Parent
	} else {
		var a organization.Account
		a, err = s.organization.Account(ctx, child)
		parent = a.Parent
	}
	if apierror.Is(err, "OrganizationalUnitNotFoundException") || apierror.Is(err, "NoSuchEntity") || apierror.Is(err, "ValidationError") {
		return "", apierror.New("ChildNotFoundException", "You specified an organizational unit or account that doesn't exist.")
	}
	return parent, err
}
