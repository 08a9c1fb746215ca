package sts

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
	"souk/gateway/apierror"
)

// AssumeRoleInput says which role is to be assumed, and how the session is to be.
type AssumeRoleInput struct {
	RoleArn         string   `required:"" len:"20,2048"`
	RoleSessionName string   `required:"" len:"2,64" pattern:"[\\w+=,.@-]*"`
	DurationSeconds *int     `range:"900,43200"`
	Policy          *string  `len:"1,2048"`
	PolicyArns      []Policy `size:"0,10"`
	ExternalId      *string  `len:"2,1224" pattern:"[\\w+=,.@:\\/-]*"`
	SourceIdentity  *string  `len:"2,64" pattern:"[\\w+=,.@-]*"`
	Tags            []Tag    `size:"0,50"`

	// These are refused: see unsupported.
	TransitiveTagKeys []string
	SerialNumber      *string
	TokenCode         *string
	ProvidedContexts  []ProvidedContext

	role *organization.Role // what Authorize found; nil if there is none
}

// Policy names a managed policy.
type Policy struct {
	Arn *string `query:"arn" len:"20,2048"`
}

// Tag is a tag of a session.
type Tag struct {
	Key   string  `required:"" len:"1,128"`
	Value *string `required:"" len:"0,256"`
}

// ProvidedContext is what an identity provider says of a user.
type ProvidedContext struct {
	ProviderArn      *string
	ContextAssertion *string
}

// AssumeRoleOutput has the credentials of the session.
type AssumeRoleOutput struct {
	Credentials      Credentials
	AssumedRoleUser  AssumedRoleUser
	PackedPolicySize *int    `xml:",omitempty"` // percent
	SourceIdentity   *string `xml:",omitempty"`

	// What today's clients read in the place of PackedPolicySize.
	SessionTokenSize        int // bytes
	SessionTokenUtilization int // percent of the longest token
}

// Credentials are temporary credentials.
type Credentials struct {
	AccessKeyId     string
	SecretAccessKey string
	SessionToken    string
	Expiration      string // ISO 8601
}

// AssumedRoleUser names the session.
type AssumedRoleUser struct {
	AssumedRoleId string
	Arn           string
}

// roleARN is the form of a role's ARN.
var roleARN = regexp.MustCompile(`^arn:aws:iam::([0-9]{12}):role/(?:[!-~]*/)?([\w+=,.@-]{1,64})$`)

// assumeRole gives temporary credentials of a role to whom its trust policy
// allows it; who is of another account needs its own account's leave, too.
//
// AWS Security Token Service API Reference, "AssumeRole".
func (s *service) assumeRole() gateway.Operation {
	return gateway.Op(gateway.Def[AssumeRoleInput, *AssumeRoleOutput]{
		Name: "AssumeRole",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *AssumeRoleInput) ([]iam.Question, error) {
			if err := in.unsupported(); err != nil {
				return nil, err
			}
			if c.Principal.Root {
				return nil, apierror.WithStatus(403, "AccessDenied", "Roles may not be assumed by root accounts.")
			}
			return s.questions(ctx, c, in)
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *AssumeRoleInput) (*AssumeRoleOutput, error) {
			n := organization.NewSession{
				Role: *in.role, Name: in.RoleSessionName, Policy: text(in.Policy), SourceIdentity: in.source(c),
				Tags: map[string]string{}, Chained: c.Principal.Role != "",
			}
			if in.DurationSeconds != nil {
				n.Duration = time.Duration(*in.DurationSeconds) * time.Second
			}
			for _, p := range in.PolicyArns {
				if p.Arn != nil {
					n.PolicyARNs = append(n.PolicyARNs, *p.Arn)
				}
			}
			for _, t := range in.Tags {
				n.Tags[t.Key] = text(t.Value)
			}
			session, err := s.organization.NewSession(ctx, n)
			if err != nil {
				return nil, err
			}
			out := &AssumeRoleOutput{
				Credentials: Credentials{
					AccessKeyId: session.Key.ID, SecretAccessKey: session.Key.Secret, SessionToken: session.Token,
					Expiration: session.Expires.UTC().Format(time.RFC3339),
				},
				AssumedRoleUser: AssumedRoleUser{AssumedRoleId: session.ID, Arn: session.ARN},

				SessionTokenSize:        len(session.Token),
				SessionTokenUtilization: (len(session.Token)*100 + organization.MaxToken - 1) / organization.MaxToken,
			}
			if session.Packed > 0 {
				out.PackedPolicySize = &session.Packed
			}
			if session.SourceIdentity != "" {
				out.SourceIdentity = &session.SourceIdentity
			}
			return out, nil
		},
	})
}

// unsupported refuses what is not offered: a second factor, tags that pass on
// through a chain of roles, and what identity providers say.
func (in *AssumeRoleInput) unsupported() error {
	var name string
	switch {
	case in.SerialNumber != nil || in.TokenCode != nil:
		name = "SerialNumber and TokenCode (multi-factor authentication)"
	case len(in.TransitiveTagKeys) > 0:
		name = "TransitiveTagKeys"
	case len(in.ProvidedContexts) > 0:
		name = "ProvidedContexts"
	default:
		return nil
	}
	return apierror.WithStatus(400, "ValidationError", "%s can't be given: this market does not support it.", name)
}

// source is the source identity of the session. It passes on through a chain
// of roles: "you cannot change it".
func (in *AssumeRoleInput) source(c *gateway.Caller) string {
	if in.SourceIdentity == nil {
		return c.Principal.SourceIdentity
	}
	return *in.SourceIdentity
}

// questions are what must be allowed, by the caller's policies and by the
// role's trust policy. A role that is not there trusts nobody, so that who may
// not assume a role does not learn whether it is there. So it is with a role of an
// account that is closed.
func (s *service) questions(ctx context.Context, c *gateway.Caller, in *AssumeRoleInput) ([]iam.Question, error) {
	m := roleARN.FindStringSubmatch(in.RoleArn)
	if m == nil {
		return nil, apierror.WithStatus(400, "ValidationError", "%s is invalid", in.RoleArn)
	}
	account, name := m[1], m[2]
	q := iam.Question{Resource: in.RoleArn, Owner: account, Trust: true, Context: iam.Context{
		"sts:rolesessionname": {in.RoleSessionName},
	}}
	role, err := s.organization.Role(ctx, account, name)
	closed := false
	if err == nil {
		var of organization.Account
		of, err = s.organization.Account(ctx, account)
		closed = !of.Closed.IsZero()
	}
	switch {
	case apierror.Is(err, "NoSuchEntity") || closed || err == nil && role.ARN() != in.RoleArn:
	case err != nil:
		return nil, err
	default:
		in.role = &role
		if q.Policy, err = iam.ParseTrustPolicy([]byte(role.Trust)); err != nil {
			return nil, fmt.Errorf("reading the trust policy of role %s: %w", role.ARN(), err)
		}
		for k, v := range role.Tags {
			q.Context["aws:resourcetag/"+strings.ToLower(k)] = []string{v}
		}
	}
	if in.ExternalId != nil {
		q.Context["sts:externalid"] = []string{*in.ExternalId}
	}
	actions := []string{"AssumeRole"}
	if source := in.source(c); source != "" {
		if c.Principal.SourceIdentity != "" && source != c.Principal.SourceIdentity {
			return nil, apierror.WithStatus(403, "AccessDenied", "The source identity of a chain of roles can't be changed.")
		}
		q.Context["sts:sourceidentity"] = []string{source}
		actions = append(actions, "SetSourceIdentity")
	}
	if len(in.Tags) > 0 {
		for _, t := range in.Tags {
			key := "aws:requesttag/" + strings.ToLower(t.Key)
			if q.Context[key] != nil {
				return nil, apierror.WithStatus(400, "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
			}
			q.Context[key] = []string{text(t.Value)}
			q.Context["aws:tagkeys"] = append(q.Context["aws:tagkeys"], t.Key)
		}
		actions = append(actions, "TagSession")
	}
	var all []iam.Question
	for _, action := range actions {
		q.Action = "sts:" + action
		all = append(all, q)
	}
	return all, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
