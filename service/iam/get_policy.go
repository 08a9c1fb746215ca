package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// GetPolicyInput names a managed policy.
type GetPolicyInput struct {
	PolicyArn string `required:"" len:"20,2048"`
}

// GetPolicyOutput is the policy.
type GetPolicyOutput struct{ Policy Policy }

// getPolicy shows a managed policy.
//
// IAM API Reference, "GetPolicy".
func (s *service) getPolicy() gateway.Operation {
	return gateway.Op(gateway.Def[GetPolicyInput, *GetPolicyOutput]{
		Name: "GetPolicy", ReadOnly: true,
		Authorize: ask("GetPolicy", func(_ string, in *GetPolicyInput) string { return in.PolicyArn }),
		Call: func(ctx context.Context, c *gateway.Caller, in *GetPolicyInput) (*GetPolicyOutput, error) {
			p, err := s.organization.ManagedPolicy(ctx, c.Principal.Account, in.PolicyArn)
			if err != nil {
				return nil, err
			}
			n, err := s.attachments(ctx, c.Principal.Account, in.PolicyArn)
			if err != nil {
				return nil, err
			}
			out := &GetPolicyOutput{shownPolicy(p, n)}
			out.Policy.Description, out.Policy.Tags = p.Description, shownTags(p.Tags)
			return out, nil
		},
	})
}

func shownPolicy(p organization.ManagedPolicy, attachments int) Policy {
	return Policy{
		PolicyName: p.Name, PolicyId: p.ID, Arn: p.ARN(), Path: p.Path, DefaultVersionId: p.Default, AttachmentCount: attachments,
		IsAttachable: true, CreateDate: date(p.Created), UpdateDate: date(p.Updated),
	}
}

// attachments counts the users, groups and roles of an account that have a policy.
func (s *service) attachments(ctx context.Context, account, arn string) (int, error) {
	n := 0
	for _, kind := range []organization.HolderKind{organization.OfUser, organization.OfGroup, organization.OfRole} {
		for p := (organization.Page{Limit: 1000}); ; {
			page, err := s.organization.Attachments(ctx, account, arn, kind, p)
			if err != nil {
				return 0, err
			}
			n += len(page.Items)
			if page.Next == "" {
				break
			}
			p.After = page.Next
		}
	}
	return n, nil
}
