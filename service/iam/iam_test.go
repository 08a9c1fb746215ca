package iam_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"souk/access/keyring"
	"souk/access/organization"
	"souk/gateway"
	"souk/service/iam"
	"souk/storage/store/sqlite/sqlitetest"
)

const account = "123456789012"

const everything = `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}`

// market is a gateway with this one service, and the organisation behind it.
type market struct {
	*sdk.Client // of the management account's root user
	url         string
	o           *organization.Organization
}

func start(t *testing.T) market {
	t.Helper()
	engine := sqlitetest.Open(t)
	ring := keyring.New([32]byte{1})
	o := organization.New(organization.Config{Store: engine, Keyring: ring})
	key := o.NewKey()
	if _, err := o.Bootstrap(t.Context(), account, key); err != nil {
		t.Fatal(err)
	}
	service, err := iam.Service(iam.Config{Organization: o, Keyring: ring})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{Services: []*gateway.Service{service}, Credentials: o})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	m := market{url: server.URL, o: o}
	m.Client = m.client(key.ID, key.Secret)
	return m
}

func (m market) client(id, secret string) *sdk.Client {
	return sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(m.url), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	})
}

// user makes a user with an access key, and is what the user sees.
func (m market) user(t *testing.T, name string) *sdk.Client {
	t.Helper()
	ok(t)(m.CreateUser(t.Context(), &sdk.CreateUserInput{UserName: &name}))
	key := must(m.CreateAccessKey(t.Context(), &sdk.CreateAccessKeyInput{UserName: &name}))
	return m.client(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey)
}

// ok fails the test where a call fails.
func ok(t *testing.T) func(any, error) {
	t.Helper()
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// refused fails the test where a call does not fail with a code and its status.
func refused(t *testing.T, what string, err error, code string, status int) {
	t.Helper()
	var e smithy.APIError
	var r *smithyhttp.ResponseError
	if !errors.As(err, &e) || e.ErrorCode() != code || !errors.As(err, &r) || r.HTTPStatusCode() != status {
		t.Errorf("%s: got %v, want %s with status %d", what, err, code, status)
	}
}

func TestAUserFromBirthToDeath(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	name := aws.String("Ada")
	made := must(m.CreateUser(ctx, &sdk.CreateUserInput{UserName: name, Path: aws.String("/eng/"), Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}}}))
	if *made.User.Arn != "arn:aws:iam::"+account+":user/eng/Ada" || !strings.HasPrefix(*made.User.UserId, "AIDA") || made.User.CreateDate == nil || len(made.User.Tags) != 1 {
		t.Errorf("%+v", made.User)
	}
	_, err := m.CreateUser(ctx, &sdk.CreateUserInput{UserName: aws.String("ADA")})
	refused(t, "a name that differs by case alone", err, "EntityAlreadyExists", 409)

	key := must(m.CreateAccessKey(ctx, &sdk.CreateAccessKeyInput{UserName: name})).AccessKey
	ada := m.client(*key.AccessKeyId, *key.SecretAccessKey)
	_, err = ada.GetUser(ctx, nil)
	refused(t, "a user without policies asks for itself", err, "AccessDenied", 403)
	ok(t)(m.PutUserPolicy(ctx, &sdk.PutUserPolicyInput{UserName: name, PolicyName: aws.String("self"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["iam:GetUser","iam:*AccessKey*"],"Resource":"arn:aws:iam::` + account + `:user/eng/${aws:username}"}}`)}))
	if self := must(ada.GetUser(ctx, nil)); *self.User.UserName != "Ada" {
		t.Errorf("%+v", self)
	}
	ok(t)(m.CreateUser(ctx, &sdk.CreateUserInput{UserName: aws.String("Bob")}))
	_, err = ada.GetUser(ctx, &sdk.GetUserInput{UserName: aws.String("Bob")})
	refused(t, "a user asks for another", err, "AccessDenied", 403)
	second := must(ada.CreateAccessKey(ctx, nil)).AccessKey
	_, err = ada.CreateAccessKey(ctx, nil)
	refused(t, "a third access key", err, "LimitExceeded", 409)
	ok(t)(ada.UpdateAccessKey(ctx, &sdk.UpdateAccessKeyInput{AccessKeyId: second.AccessKeyId, Status: types.StatusTypeInactive}))
	keys := must(m.ListAccessKeys(ctx, &sdk.ListAccessKeysInput{UserName: name})).AccessKeyMetadata
	if len(keys) != 2 || !slices.ContainsFunc(keys, func(k types.AccessKeyMetadata) bool {
		return *k.AccessKeyId == *second.AccessKeyId && k.Status == types.StatusTypeInactive && *k.UserName == "Ada"
	}) {
		t.Errorf("%+v", keys)
	}
	_, err = m.DeleteAccessKey(ctx, &sdk.DeleteAccessKeyInput{UserName: aws.String("Bob"), AccessKeyId: second.AccessKeyId})
	refused(t, "an access key of another user", err, "NoSuchEntity", 404)

	got := must(m.GetUserPolicy(ctx, &sdk.GetUserPolicyInput{UserName: name, PolicyName: aws.String("self")}))
	document := must(url.PathUnescape(*got.PolicyDocument))
	if !json.Valid([]byte(document)) || strings.ContainsAny(*got.PolicyDocument, `{" +`) {
		t.Errorf("policy document: %s", *got.PolicyDocument)
	}
	if list := must(m.ListUserPolicies(ctx, &sdk.ListUserPoliciesInput{UserName: name})); !slices.Equal(list.PolicyNames, []string{"self"}) || list.IsTruncated {
		t.Errorf("%+v", list)
	}
	ok(t)(m.UpdateUser(ctx, &sdk.UpdateUserInput{UserName: name, NewUserName: aws.String("Augusta"), NewPath: aws.String("/")}))
	name = aws.String("Augusta")
	if who := must(m.GetUser(ctx, &sdk.GetUserInput{UserName: name})); *who.User.UserId != *made.User.UserId || *who.User.Arn != "arn:aws:iam::"+account+":user/Augusta" {
		t.Errorf("%+v", who)
	}

	del := func() error { _, err := m.DeleteUser(ctx, &sdk.DeleteUserInput{UserName: name}); return err }
	refused(t, "a user with a policy", del(), "DeleteConflict", 409)
	ok(t)(m.DeleteUserPolicy(ctx, &sdk.DeleteUserPolicyInput{UserName: name, PolicyName: aws.String("self")}))
	refused(t, "a user with access keys", del(), "DeleteConflict", 409)
	for _, k := range keys {
		ok(t)(m.DeleteAccessKey(ctx, &sdk.DeleteAccessKeyInput{UserName: name, AccessKeyId: k.AccessKeyId}))
	}
	if err := del(); err != nil {
		t.Error(err)
	}
	refused(t, "a user that is gone", del(), "NoSuchEntity", 404)
}

func TestGroupsGiveWhatTheirPoliciesAllow(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	group, name := aws.String("Admins"), aws.String("ada")
	ada := m.user(t, *name)
	made := must(m.CreateGroup(ctx, &sdk.CreateGroupInput{GroupName: group, Path: aws.String("/x/")}))
	if *made.Group.Arn != "arn:aws:iam::"+account+":group/x/Admins" {
		t.Errorf("%+v", made.Group)
	}
	ok(t)(m.PutGroupPolicy(ctx, &sdk.PutGroupPolicyInput{GroupName: group, PolicyName: aws.String("all"), PolicyDocument: aws.String(everything)}))
	_, err := ada.ListUsers(ctx, nil)
	refused(t, "before she is in the group", err, "AccessDenied", 403)
	ok(t)(m.AddUserToGroup(ctx, &sdk.AddUserToGroupInput{GroupName: group, UserName: name}))
	ok(t)(ada.ListUsers(ctx, nil))
	if in := must(m.ListGroupsForUser(ctx, &sdk.ListGroupsForUserInput{UserName: name})).Groups; len(in) != 1 || *in[0].GroupName != "Admins" {
		t.Errorf("%+v", in)
	}
	if who := must(m.GetGroup(ctx, &sdk.GetGroupInput{GroupName: group})).Users; len(who) != 1 || *who[0].UserName != "ada" {
		t.Errorf("%+v", who)
	}
	if all := must(m.ListGroups(ctx, &sdk.ListGroupsInput{PathPrefix: aws.String("/x/")})).Groups; len(all) != 1 {
		t.Errorf("%+v", all)
	}
	if p := must(m.GetGroupPolicy(ctx, &sdk.GetGroupPolicyInput{GroupName: group, PolicyName: aws.String("all")})); must(url.PathUnescape(*p.PolicyDocument)) != everything {
		t.Errorf("%+v", p)
	}
	if p := must(m.ListGroupPolicies(ctx, &sdk.ListGroupPoliciesInput{GroupName: group})).PolicyNames; !slices.Equal(p, []string{"all"}) {
		t.Errorf("%+v", p)
	}
	_, err = m.DeleteGroup(ctx, &sdk.DeleteGroupInput{GroupName: group})
	refused(t, "a group with a policy", err, "DeleteConflict", 409)
	ok(t)(m.DeleteGroupPolicy(ctx, &sdk.DeleteGroupPolicyInput{GroupName: group, PolicyName: aws.String("all")}))
	_, err = m.DeleteGroup(ctx, &sdk.DeleteGroupInput{GroupName: group})
	refused(t, "a group with a user", err, "DeleteConflict", 409)
	ok(t)(m.RemoveUserFromGroup(ctx, &sdk.RemoveUserFromGroupInput{GroupName: group, UserName: name}))
	ok(t)(m.DeleteGroup(ctx, &sdk.DeleteGroupInput{GroupName: group}))
	_, err = m.AddUserToGroup(ctx, &sdk.AddUserToGroupInput{GroupName: group, UserName: name})
	refused(t, "a group that is gone", err, "NoSuchEntity", 404)
}

const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":"sts:AssumeRole"}]}`

func TestARoleAsProgramsThatKeepItWant(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	name := aws.String("deploy")
	made := must(m.CreateRole(ctx, &sdk.CreateRoleInput{
		RoleName: name, AssumeRolePolicyDocument: aws.String(trust), Description: aws.String("deploys"), MaxSessionDuration: aws.Int32(7200),
		Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b"), Value: aws.String("2")}},
	})).Role
	if *made.Arn != "arn:aws:iam::"+account+":role/deploy" || *made.MaxSessionDuration != 7200 || must(url.PathUnescape(*made.AssumeRolePolicyDocument)) != trust {
		t.Errorf("%+v", made)
	}
	_, err := m.CreateRole(ctx, &sdk.CreateRoleInput{RoleName: aws.String("x"), AssumeRolePolicyDocument: aws.String("{}")})
	refused(t, "an empty trust policy", err, "MalformedPolicyDocument", 400)
	_, err = m.CreateRole(ctx, &sdk.CreateRoleInput{RoleName: aws.String("x"), AssumeRolePolicyDocument: aws.String(trust), PermissionsBoundary: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")})
	refused(t, "a permissions boundary", err, "InvalidInput", 400)
	ok(t)(m.PutRolePolicy(ctx, &sdk.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("all"), PolicyDocument: aws.String(everything)}))
	if p := must(m.ListRolePolicies(ctx, &sdk.ListRolePoliciesInput{RoleName: name})).PolicyNames; !slices.Equal(p, []string{"all"}) {
		t.Errorf("%+v", p)
	}
	ok(t)(m.GetRolePolicy(ctx, &sdk.GetRolePolicyInput{RoleName: name, PolicyName: aws.String("all")}))
	if p := must(m.ListInstanceProfilesForRole(ctx, &sdk.ListInstanceProfilesForRoleInput{RoleName: name})); p.InstanceProfiles == nil && len(p.InstanceProfiles) != 0 {
		t.Errorf("%+v", p)
	}
	ok(t)(m.UpdateRole(ctx, &sdk.UpdateRoleInput{RoleName: name, Description: aws.String("builds"), MaxSessionDuration: aws.Int32(3600)}))
	other := strings.Replace(trust, ":root", ":user/ada", 1)
	ok(t)(m.UpdateAssumeRolePolicy(ctx, &sdk.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: &other}))
	ok(t)(m.TagRole(ctx, &sdk.TagRoleInput{RoleName: name, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("3")}}}))
	ok(t)(m.UntagRole(ctx, &sdk.UntagRoleInput{RoleName: name, TagKeys: []string{"b"}}))
	got := must(m.GetRole(ctx, &sdk.GetRoleInput{RoleName: name})).Role
	if *got.Description != "builds" || must(url.PathUnescape(*got.AssumeRolePolicyDocument)) != other || len(got.Tags) != 1 || *got.Tags[0].Value != "3" {
		t.Errorf("%+v", got)
	}
	if tags := must(m.ListRoleTags(ctx, &sdk.ListRoleTagsInput{RoleName: name})).Tags; len(tags) != 1 || *tags[0].Key != "a" {
		t.Errorf("%+v", tags)
	}
	if roles := must(m.ListRoles(ctx, nil)).Roles; len(roles) != 1 || *roles[0].RoleName != "deploy" {
		t.Errorf("%+v", roles)
	}
	_, err = m.DeleteRole(ctx, &sdk.DeleteRoleInput{RoleName: name})
	refused(t, "a role with a policy", err, "DeleteConflict", 409)
	ok(t)(m.DeleteRolePolicy(ctx, &sdk.DeleteRolePolicyInput{RoleName: name, PolicyName: aws.String("all")}))
	ok(t)(m.DeleteRole(ctx, &sdk.DeleteRoleInput{RoleName: name}))
	_, err = m.GetRole(ctx, &sdk.GetRoleInput{RoleName: name})
	refused(t, "a role that is gone", err, "NoSuchEntity", 404)
}

func TestManagedPoliciesAndThoseWhoHaveThem(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	ada := m.user(t, "ada")
	arn := must(m.CreatePolicy(ctx, &sdk.CreatePolicyInput{PolicyName: aws.String("List"), Path: aws.String("/own/"), Description: aws.String("lists"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*"}}`)})).Policy.Arn
	if *arn != "arn:aws:iam::"+account+":policy/own/List" {
		t.Errorf("%s", *arn)
	}
	_, err := m.CreatePolicy(ctx, &sdk.CreatePolicyInput{PolicyName: aws.String("Bad"), PolicyDocument: aws.String(`{"Statement":[]`)})
	refused(t, "a document that is cut off", err, "MalformedPolicyDocument", 400)
	ok(t)(m.AttachUserPolicy(ctx, &sdk.AttachUserPolicyInput{UserName: aws.String("ada"), PolicyArn: arn}))
	ok(t)(ada.ListRoles(ctx, nil))
	_, err = ada.ListUsers(ctx, nil)
	refused(t, "what the policy does not allow", err, "AccessDenied", 403)
	v2 := must(m.CreatePolicyVersion(ctx, &sdk.CreatePolicyVersionInput{PolicyArn: arn, SetAsDefault: true, PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"}}`)})).PolicyVersion
	if *v2.VersionId != "v2" || !v2.IsDefaultVersion {
		t.Errorf("%+v", v2)
	}
	ok(t)(ada.ListUsers(ctx, nil))
	_, err = ada.ListRoles(ctx, nil)
	refused(t, "what the older version allowed", err, "AccessDenied", 403)
	ok(t)(m.SetDefaultPolicyVersion(ctx, &sdk.SetDefaultPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v1")}))
	ok(t)(ada.ListRoles(ctx, nil))
	var versions []string
	for p := sdk.NewListPolicyVersionsPaginator(m, &sdk.ListPolicyVersionsInput{PolicyArn: arn, MaxItems: aws.Int32(1)}); p.HasMorePages(); {
		for _, v := range must(p.NextPage(ctx)).Versions {
			versions = append(versions, *v.VersionId)
		}
	}
	if !slices.Equal(versions, []string{"v2", "v1"}) {
		t.Errorf("%v", versions)
	}
	if v := must(m.GetPolicyVersion(ctx, &sdk.GetPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v2")})).PolicyVersion; !strings.Contains(*v.Document, "iam%3AListUsers") {
		t.Errorf("%+v", v)
	}
	if p := must(m.GetPolicy(ctx, &sdk.GetPolicyInput{PolicyArn: arn})).Policy; *p.AttachmentCount != 1 || *p.DefaultVersionId != "v1" || *p.Description != "lists" || !p.IsAttachable {
		t.Errorf("%+v", p)
	}
	_, err = m.DeletePolicyVersion(ctx, &sdk.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v1")})
	refused(t, "the default version", err, "DeleteConflict", 409)
	_, err = m.DeletePolicy(ctx, &sdk.DeletePolicyInput{PolicyArn: arn})
	refused(t, "a policy with two versions", err, "DeleteConflict", 409)
	ok(t)(m.DeletePolicyVersion(ctx, &sdk.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v2")}))
	_, err = m.DeletePolicy(ctx, &sdk.DeletePolicyInput{PolicyArn: arn})
	refused(t, "a policy that a user has", err, "DeleteConflict", 409)

	// Whoever has it: a user, a group, two roles; in pages of one.
	ok(t)(m.CreateGroup(ctx, &sdk.CreateGroupInput{GroupName: aws.String("g")}))
	ok(t)(m.AttachGroupPolicy(ctx, &sdk.AttachGroupPolicyInput{GroupName: aws.String("g"), PolicyArn: arn}))
	for _, name := range []string{"r1", "r2"} {
		ok(t)(m.CreateRole(ctx, &sdk.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(trust)}))
		ok(t)(m.AttachRolePolicy(ctx, &sdk.AttachRolePolicyInput{RoleName: &name, PolicyArn: arn}))
	}
	var have []string
	for p := sdk.NewListEntitiesForPolicyPaginator(m, &sdk.ListEntitiesForPolicyInput{PolicyArn: arn, MaxItems: aws.Int32(1)}); p.HasMorePages(); {
		page := must(p.NextPage(ctx))
		for _, u := range page.PolicyUsers {
			have = append(have, *u.UserName)
		}
		for _, g := range page.PolicyGroups {
			have = append(have, *g.GroupName)
		}
		for _, r := range page.PolicyRoles {
			have = append(have, *r.RoleName)
		}
	}
	if !slices.Equal(have, []string{"ada", "g", "r1", "r2"}) {
		t.Errorf("%v", have)
	}
	if roles := must(m.ListEntitiesForPolicy(ctx, &sdk.ListEntitiesForPolicyInput{PolicyArn: arn, EntityFilter: types.EntityTypeRole})); len(roles.PolicyRoles) != 2 || len(roles.PolicyUsers) != 0 {
		t.Errorf("%+v", roles)
	}
	for _, c := range []struct {
		list []types.AttachedPolicy
	}{
		{must(m.ListAttachedUserPolicies(ctx, &sdk.ListAttachedUserPoliciesInput{UserName: aws.String("ada")})).AttachedPolicies},
		{must(m.ListAttachedGroupPolicies(ctx, &sdk.ListAttachedGroupPoliciesInput{GroupName: aws.String("g"), PathPrefix: aws.String("/own/")})).AttachedPolicies},
		{must(m.ListAttachedRolePolicies(ctx, &sdk.ListAttachedRolePoliciesInput{RoleName: aws.String("r1")})).AttachedPolicies},
	} {
		if len(c.list) != 1 || *c.list[0].PolicyArn != *arn || *c.list[0].PolicyName != "List" {
			t.Errorf("%+v", c.list)
		}
	}
	ok(t)(m.DetachUserPolicy(ctx, &sdk.DetachUserPolicyInput{UserName: aws.String("ada"), PolicyArn: arn}))
	ok(t)(m.DetachGroupPolicy(ctx, &sdk.DetachGroupPolicyInput{GroupName: aws.String("g"), PolicyArn: arn}))
	for _, name := range []string{"r1", "r2"} {
		ok(t)(m.DetachRolePolicy(ctx, &sdk.DetachRolePolicyInput{RoleName: &name, PolicyArn: arn}))
	}
	_, err = m.DetachRolePolicy(ctx, &sdk.DetachRolePolicyInput{RoleName: aws.String("r1"), PolicyArn: arn})
	refused(t, "a policy that the role does not have", err, "NoSuchEntity", 404)
	ok(t)(m.TagPolicy(ctx, &sdk.TagPolicyInput{PolicyArn: arn, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}}))
	ok(t)(m.UntagPolicy(ctx, &sdk.UntagPolicyInput{PolicyArn: arn, TagKeys: []string{"a"}}))
	if tags := must(m.ListPolicyTags(ctx, &sdk.ListPolicyTagsInput{PolicyArn: arn})).Tags; len(tags) != 0 {
		t.Errorf("%+v", tags)
	}
	ok(t)(m.DeletePolicy(ctx, &sdk.DeletePolicyInput{PolicyArn: arn}))
	_, err = m.AttachUserPolicy(ctx, &sdk.AttachUserPolicyInput{UserName: aws.String("ada"), PolicyArn: arn})
	refused(t, "a policy that is gone", err, "NoSuchEntity", 404)
}

func TestListsOfPoliciesGoThroughTheAccountsAndThenThoseOfAWS(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	for _, name := range []string{"a", "b", "c"} {
		ok(t)(m.CreatePolicy(ctx, &sdk.CreatePolicyInput{PolicyName: &name, PolicyDocument: aws.String(everything)}))
	}
	names := func(in sdk.ListPoliciesInput) (all []string) {
		for p := sdk.NewListPoliciesPaginator(m, &in); p.HasMorePages(); {
			for _, policy := range must(p.NextPage(ctx)).Policies {
				all = append(all, *policy.PolicyName)
			}
		}
		return all
	}
	whole := names(sdk.ListPoliciesInput{})
	if len(whole) < 8 || !slices.Equal(whole[:3], []string{"a", "b", "c"}) || !slices.Contains(whole, "AWSMarketplaceSellerFullAccess") {
		t.Errorf("%v", whole)
	}
	for max := range int32(5) {
		if paged := names(sdk.ListPoliciesInput{MaxItems: aws.Int32(max + 1)}); !slices.Equal(paged, whole) {
			t.Errorf("in pages of %d: %v", max+1, paged)
		}
	}
	if own := names(sdk.ListPoliciesInput{Scope: types.PolicyScopeTypeLocal, MaxItems: aws.Int32(3)}); !slices.Equal(own, whole[:3]) {
		t.Errorf("%v", own)
	}
	if theirs := names(sdk.ListPoliciesInput{Scope: types.PolicyScopeTypeAws, MaxItems: aws.Int32(2)}); !slices.Equal(theirs, whole[3:]) {
		t.Errorf("%v", theirs)
	}
	if had := names(sdk.ListPoliciesInput{OnlyAttached: true}); len(had) != 0 {
		t.Errorf("%v", had)
	}
}

func TestMarkersAreGoodForTheirListAndAccountAlone(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	for i := range 5 {
		ok(t)(m.CreateUser(ctx, &sdk.CreateUserInput{UserName: aws.String(fmt.Sprint("user", i)), Path: aws.String([]string{"/", "/x/"}[i%2])}))
	}
	page := must(m.ListUsers(ctx, &sdk.ListUsersInput{MaxItems: aws.Int32(2)}))
	if len(page.Users) != 2 || !page.IsTruncated {
		t.Fatalf("%+v", page)
	}
	_, err := m.ListRoles(ctx, &sdk.ListRolesInput{Marker: page.Marker})
	refused(t, "another list", err, "ValidationError", 400)
	_, err = m.ListUsers(ctx, &sdk.ListUsersInput{Marker: page.Marker, PathPrefix: aws.String("/x/")})
	refused(t, "another path", err, "ValidationError", 400)
	_, err = m.ListUsers(ctx, &sdk.ListUsersInput{Marker: aws.String("user1")})
	refused(t, "nobody's marker", err, "ValidationError", 400)
	a, err := m.o.CreateAccount(ctx, organization.NewAccount{Name: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	key, err := m.o.CreateKey(ctx, a.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.client(key.ID, key.Secret).ListUsers(ctx, &sdk.ListUsersInput{Marker: page.Marker})
	refused(t, "another account", err, "ValidationError", 400)
	if under := must(m.ListUsers(ctx, &sdk.ListUsersInput{PathPrefix: aws.String("/x/")})).Users; len(under) != 2 {
		t.Errorf("%+v", under)
	}
}

func TestTagsOfAUserAndWhoMayGiveThem(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	ada, name := m.user(t, "ada"), aws.String("ada")
	ok(t)(m.PutUserPolicy(ctx, &sdk.PutUserPolicyInput{UserName: name, PolicyName: aws.String("tag"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:TagUser","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}}}`)}))
	tag := func(key string) error {
		_, err := ada.TagUser(ctx, &sdk.TagUserInput{UserName: name, Tags: []types.Tag{{Key: &key, Value: aws.String("1")}}})
		return err
	}
	if err := tag("team"); err != nil {
		t.Error(err)
	}
	refused(t, "a key that the policy does not allow", tag("cost"), "AccessDenied", 403)
	_, err := m.TagUser(ctx, &sdk.TagUserInput{UserName: name, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("a"), Value: aws.String("2")}}})
	refused(t, "a key given twice", err, "InvalidInput", 400)
	if tags := must(m.ListUserTags(ctx, &sdk.ListUserTagsInput{UserName: name})).Tags; len(tags) != 1 || *tags[0].Key != "team" {
		t.Errorf("%+v", tags)
	}
	ok(t)(m.UntagUser(ctx, &sdk.UntagUserInput{UserName: name, TagKeys: []string{"team"}}))
	if u := must(m.GetUser(ctx, &sdk.GetUserInput{UserName: name})).User; len(u.Tags) != 0 {
		t.Errorf("%+v", u)
	}
}

// TestTagsAreNotGivenAtBirthByWhoMayNotGiveThem: policies go by tags.
func TestTagsAreNotGivenAtBirthByWhoMayNotGiveThem(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	ada := m.user(t, "ada")
	put := func(actions string) {
		t.Helper()
		ok(t)(m.PutUserPolicy(ctx, &sdk.PutUserPolicyInput{UserName: aws.String("ada"), PolicyName: aws.String("p"), PolicyDocument: aws.String(
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":[` + actions + `],"Resource":"*"}}`)}))
	}
	tags := []types.Tag{{Key: aws.String("team"), Value: aws.String("admins")}}
	births := map[string]func(name string, tags []types.Tag) error{
		"user": func(name string, tags []types.Tag) error {
			_, err := ada.CreateUser(ctx, &sdk.CreateUserInput{UserName: &name, Tags: tags})
			return err
		},
		"role": func(name string, tags []types.Tag) error {
			_, err := ada.CreateRole(ctx, &sdk.CreateRoleInput{RoleName: &name, Tags: tags, AssumeRolePolicyDocument: aws.String(
				`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sts:AssumeRole"}}`)})
			return err
		},
		"policy": func(name string, tags []types.Tag) error {
			_, err := ada.CreatePolicy(ctx, &sdk.CreatePolicyInput{PolicyName: &name, Tags: tags, PolicyDocument: aws.String(everything)})
			return err
		},
	}
	put(`"iam:Create*"`)
	for what, birth := range births {
		if err := birth("plain", nil); err != nil {
			t.Errorf("%s without tags: %v", what, err)
		}
		refused(t, what+" with tags", birth("tagged", tags), "AccessDenied", 403)
	}
	put(`"iam:Create*","iam:Tag*"`)
	for what, birth := range births {
		if err := birth("tagged", tags); err != nil {
			t.Errorf("%s with tags: %v", what, err)
		}
	}
}

// TestAUserGetsNoNameOrPathOfOthers: who changes a user needs leave for what it
// is and for what it becomes.
func TestAUserGetsNoNameOrPathOfOthers(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	ada, bob := m.user(t, "ada"), aws.String("bob")
	ok(t)(m.PutUserPolicy(ctx, &sdk.PutUserPolicyInput{UserName: aws.String("ada"), PolicyName: aws.String("p"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:UpdateUser","Resource":"arn:aws:iam::` + account + `:user/staff/*"}}`)}))
	ok(t)(m.CreateUser(ctx, &sdk.CreateUserInput{UserName: bob, Path: aws.String("/staff/")}))
	_, err := ada.UpdateUser(ctx, &sdk.UpdateUserInput{UserName: bob, NewPath: aws.String("/admins/")})
	refused(t, "a path of others", err, "AccessDenied", 403)
	_, err = ada.UpdateUser(ctx, &sdk.UpdateUserInput{UserName: bob, NewUserName: aws.String("root"), NewPath: aws.String("/")})
	refused(t, "a name at the root of paths", err, "AccessDenied", 403)
	_, err = ada.UpdateUser(ctx, &sdk.UpdateUserInput{UserName: aws.String("ada"), NewPath: aws.String("/staff/")})
	refused(t, "a user of another path", err, "AccessDenied", 403)
	ok(t)(ada.UpdateUser(ctx, &sdk.UpdateUserInput{UserName: bob, NewUserName: aws.String("robert"), NewPath: aws.String("/staff/sales/")}))
	if u := must(m.GetUser(ctx, &sdk.GetUserInput{UserName: aws.String("robert")})).User; *u.Arn != "arn:aws:iam::"+account+":user/staff/sales/robert" {
		t.Errorf("%s", *u.Arn)
	}
}

// A group that is renamed takes its members along; who may change groups of one
// path gives them no other.
func TestAGroupIsRenamed(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	ada, group := m.user(t, "ada"), aws.String("sellers")
	ok(t)(m.CreateGroup(ctx, &sdk.CreateGroupInput{GroupName: group, Path: aws.String("/staff/")}))
	ok(t)(m.AddUserToGroup(ctx, &sdk.AddUserToGroupInput{GroupName: group, UserName: aws.String("ada")}))
	ok(t)(m.PutGroupPolicy(ctx, &sdk.PutGroupPolicyInput{GroupName: group, PolicyName: aws.String("p"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["iam:UpdateGroup","iam:GetGroup"],"Resource":"arn:aws:iam::` + account + `:group/staff/*"}}`)}))
	_, err := ada.UpdateGroup(ctx, &sdk.UpdateGroupInput{GroupName: group, NewPath: aws.String("/admins/")})
	refused(t, "a path of others", err, "AccessDenied", 403)
	ok(t)(ada.UpdateGroup(ctx, &sdk.UpdateGroupInput{GroupName: group, NewGroupName: aws.String("vendors"), NewPath: aws.String("/staff/sales/")}))
	g := must(ada.GetGroup(ctx, &sdk.GetGroupInput{GroupName: aws.String("vendors")}))
	if *g.Group.Arn != "arn:aws:iam::"+account+":group/staff/sales/vendors" || len(g.Users) != 1 || *g.Users[0].UserName != "ada" {
		t.Errorf("%+v", g)
	}
	_, err = m.GetGroup(ctx, &sdk.GetGroupInput{GroupName: group})
	refused(t, "the old name", err, "NoSuchEntity", 404)
}

// TestWhoIsNamedByNobody: the caller, also a root user; nobody reaches
// identities of another account.
func TestWhoIsNamedByNobody(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	root := must(m.GetUser(ctx, nil)).User
	if *root.Arn != "arn:aws:iam::"+account+":root" || *root.UserId != account || root.UserName != nil {
		t.Errorf("%+v", root)
	}
	m.user(t, "ada")
	keys := must(m.ListAccessKeys(ctx, nil)).AccessKeyMetadata
	if len(keys) != 1 {
		t.Fatalf("the root user's keys: %+v", keys)
	}
	second := must(m.CreateAccessKey(ctx, nil)).AccessKey
	ok(t)(m.client(*second.AccessKeyId, *second.SecretAccessKey).GetUser(ctx, nil))
	// A root user can disable its own key.
	ok(t)(m.UpdateAccessKey(ctx, &sdk.UpdateAccessKeyInput{AccessKeyId: second.AccessKeyId, Status: types.StatusTypeInactive}))
	_, err := m.client(*second.AccessKeyId, *second.SecretAccessKey).GetUser(ctx, nil)
	refused(t, "a disabled key", err, "InvalidClientTokenId", 403)
	a, err := m.o.CreateAccount(ctx, organization.NewAccount{Name: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	key, err := m.o.CreateKey(ctx, a.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	acme := m.client(key.ID, key.Secret)
	_, err = acme.GetUser(ctx, &sdk.GetUserInput{UserName: aws.String("ada")})
	refused(t, "a user of another account", err, "NoSuchEntity", 404)
	_, err = acme.DeleteAccessKey(ctx, &sdk.DeleteAccessKeyInput{AccessKeyId: keys[0].AccessKeyId})
	refused(t, "an access key of another account", err, "NoSuchEntity", 404)
	if aliases := must(m.ListAccountAliases(ctx, nil)).AccountAliases; len(aliases) != 0 {
		t.Errorf("%v", aliases)
	}
}
