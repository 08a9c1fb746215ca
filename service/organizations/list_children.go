package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// ListChildrenInput asks for a page of the ids of what is in a parent.
type ListChildrenInput struct {
	ParentId   string  `required:"" len:"0,100" pattern:"^(r-[0-9a-z]{4,32})|(ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$"`
	ChildType  string  `required:"" enum:"ACCOUNT,ORGANIZATIONAL_UNIT"`
	NextToken  *string `len:"0,100000"`
	MaxResults *int    `range:"1,20"`
}

// Child is an account or a unit in a parent.
type Child struct {
	Id   string
	Type string // ACCOUNT or ORGANIZATIONAL_UNIT
}

// ListChildrenOutput is a page of children.
type ListChildrenOutput struct {
	Children  []Child
	NextToken string `json:",omitzero"`
}

// listChildren lists the accounts, or the units, in the root or a unit itself.
//
// AWS Organizations API Reference, "ListChildren".
func (s *service) listChildren() gateway.Operation {
	return gateway.Op(gateway.Def[ListChildrenInput, *ListChildrenOutput]{
		Name: "ListChildren", ReadOnly: true,
		Authorize: about(s, "ListChildren", func(in *ListChildrenInput) []string { return []string{in.ParentId} }),
		Call: managed(s, func(ctx context.Context, _ organization.Info, in *ListChildrenInput) (*ListChildrenOutput, error) {
			out := &ListChildrenOutput{Children: []Child{}}
			p := page(in.MaxResults, in.NextToken)
			if in.ChildType == "ACCOUNT" {
				accounts, next, err := s.organization.AccountsIn(ctx, in.ParentId, p)
				for _, a := range accounts {
					out.Children = append(out.Children, Child{Id: a.ID, Type: in.ChildType})
				}
				out.NextToken = next
				return out, err
			}
			units, next, err := s.organization.UnitsIn(ctx, in.ParentId, p)
			for _, u := range units {
				out.Children = append(out.Children, Child{Id: u.ID, Type: in.ChildType})
			}
			out.NextToken = next
			return out, err
		}),
	})
}
