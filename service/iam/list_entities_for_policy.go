package iam

import (
	"context"
	"strings"

	"souk/access/organization"
	"souk/gateway"
)

// ListEntitiesForPolicyInput asks for a page of those who have a managed policy.
type ListEntitiesForPolicyInput struct {
	PolicyArn         string  `required:"" len:"20,2048"`
	EntityFilter      *string `enum:"User,Role,Group,LocalManagedPolicy,AWSManagedPolicy"`
	PathPrefix        *string `len:"1,512" pattern:"\\x2F[\\x21-\\x7F]*"`
	PolicyUsageFilter *string `enum:"PermissionsPolicy,PermissionsBoundary"`
	Marker            *string `len:"1,2048"`
	MaxItems          *int    `range:"1,1000"`
}

// ListEntitiesForPolicyOutput is a page of users, groups and roles.
type ListEntitiesForPolicyOutput struct {
	PolicyGroups Members[PolicyGroup]
	PolicyUsers  Members[PolicyUser]
	PolicyRoles  Members[PolicyRole]
	Truncation
}

// listEntitiesForPolicy lists who has a managed policy: users, then groups, then roles.
//
// IAM API Reference, "ListEntitiesForPolicy".
func (s *service) listEntitiesForPolicy() gateway.Operation {
	return gateway.Op(gateway.Def[ListEntitiesForPolicyInput, *ListEntitiesForPolicyOutput]{
		Name: "ListEntitiesForPolicy", ReadOnly: true,
		Authorize: ask("ListEntitiesForPolicy", func(_ string, in *ListEntitiesForPolicyInput) string { return in.PolicyArn }),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListEntitiesForPolicyInput) (*ListEntitiesForPolicyOutput, error) {
			r := request{name: "ListEntitiesForPolicy " + in.PolicyArn + value(in.EntityFilter), marker: in.Marker, max: in.MaxItems, prefix: in.PathPrefix}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			if _, err := s.organization.ManagedPolicy(ctx, c.Principal.Account, in.PolicyArn); err != nil {
				return nil, err
			}
			out := &ListEntitiesForPolicyOutput{}
			if value(in.PolicyUsageFilter) == "PermissionsBoundary" { // nobody has one
				return out, nil
			}
			next, err := s.entities(ctx, c.Principal.Account, in, p, out)
			out.Truncation = s.truncation(c, r, next)
			return out, err
		},
	})
}

// PolicyUser is a user who has a policy.
type PolicyUser struct {
	UserName string
	UserId   string
}

// PolicyGroup is a group that has a policy.
type PolicyGroup struct {
	GroupName string
	GroupId   string
}

// PolicyRole is a role that has a policy.
type PolicyRole struct {
	RoleName string
	RoleId   string
}

// entities puts a page of those who have a policy into out, and says where the
// next one begins: the kind, a colon, and the place among those of the kind.
func (s *service) entities(ctx context.Context, account string, in *ListEntitiesForPolicyInput, p organization.Page, out *ListEntitiesForPolicyOutput) (next string, err error) {
	from, after, _ := strings.Cut(p.After, ":")
	for _, kind := range []organization.HolderKind{organization.OfUser, organization.OfGroup, organization.OfRole} {
		if f := value(in.EntityFilter); f != "" && !strings.EqualFold(f, kind.String()) {
			continue
		}
		if from != "" && from != kind.String() {
			continue
		}
		from, p.After, after = "", after, ""
		page, err := s.organization.Attachments(ctx, account, in.PolicyArn, kind, p)
		if err != nil {
			return "", err
		}
		for _, e := range page.Items {
			switch kind {
			case organization.OfUser:
				out.PolicyUsers.Member = append(out.PolicyUsers.Member, PolicyUser{e.Name, e.ID})
			case organization.OfGroup:
				out.PolicyGroups.Member = append(out.PolicyGroups.Member, PolicyGroup{e.Name, e.ID})
			default:
				out.PolicyRoles.Member = append(out.PolicyRoles.Member, PolicyRole{e.Name, e.ID})
			}
		}
		if page.Next != "" {
			return kind.String() + ":" + page.Next, nil
		}
		p.Limit -= len(page.Items)
		if p.Limit == 0 && kind != organization.OfRole {
			return (kind + 1).String() + ":", nil
		}
	}
	return "", nil
}
