package organizations_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/smithy-go"

	"souk/access/keyring"
	"souk/access/organization"
	"souk/gateway"
	"souk/service/organizations"
	"souk/storage/store/sqlite/sqlitetest"
	"souk/storage/worktest"
)

// market is a gateway with this one service, and the organisation behind it.
type market struct {
	url  string
	o    *organization.Organization
	root *sdk.Client // of the management account
}

const management = "123456789012"

func start(t *testing.T) market {
	t.Helper()
	engine := sqlitetest.Open(t)
	o := organization.New(organization.Config{Store: engine, Keyring: keyring.New([32]byte{1})})
	key := o.NewKey()
	if _, err := o.Bootstrap(t.Context(), "", key); err != nil {
		t.Fatal(err)
	}
	worktest.Run(t, func(ctx context.Context) error { return o.Run(ctx, "node", slog.New(slog.DiscardHandler)) })
	g, err := gateway.New(gateway.Config{Services: []*gateway.Service{organizations.Service(o)}, Credentials: o})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	m := market{url: server.URL, o: o}
	m.root = m.client(key)
	return m
}

func (m market) client(k organization.Key) *sdk.Client {
	return sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(m.url), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(k.ID, k.Secret, ""),
	})
}

// account makes an account through the API and waits until it is there.
func (m market) account(t *testing.T, name, email string) *types.CreateAccountStatus {
	t.Helper()
	asked, err := m.root.CreateAccount(t.Context(), &sdk.CreateAccountInput{AccountName: &name, Email: &email})
	if err != nil {
		t.Fatal(err)
	}
	return m.ended(t, asked.CreateAccountStatus.Id)
}

// ended waits until a request to make an account has ended.
func (m market) ended(t *testing.T, request *string) *types.CreateAccountStatus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		out, err := m.root.DescribeCreateAccountStatus(ctx, &sdk.DescribeCreateAccountStatusInput{CreateAccountRequestId: request})
		if err != nil {
			t.Fatal(err)
		}
		if out.CreateAccountStatus.State != types.CreateAccountStateInProgress {
			return out.CreateAccountStatus
		}
	}
}

func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestAnOrganisationOfThreeAccounts(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	described, err := m.root.DescribeOrganization(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	org := described.Organization
	if !regexp.MustCompile(`^o-[a-z0-9]{10,32}$`).MatchString(*org.Id) || *org.MasterAccountId != management ||
		*org.Arn != "arn:aws:organizations::"+management+":organization/"+*org.Id ||
		*org.MasterAccountArn != "arn:aws:organizations::"+management+":account/"+*org.Id+"/"+management || org.FeatureSet != types.OrganizationFeatureSetAll {
		t.Errorf("organisation %+v", org)
	}
	roots, err := m.root.ListRoots(ctx, nil)
	if err != nil || len(roots.Roots) != 1 {
		t.Fatal(roots, err)
	}
	root := *roots.Roots[0].Id
	if !regexp.MustCompile(`^r-[0-9a-z]{4,32}$`).MatchString(root) || *roots.Roots[0].Arn != "arn:aws:organizations::"+management+":root/"+*org.Id+"/"+root {
		t.Errorf("root %+v", roots.Roots[0])
	}

	acme, bravo := m.account(t, "Acme", "acme@example.com"), m.account(t, "Bravo", "bravo@example.com")
	if acme.State != types.CreateAccountStateSucceeded || bravo.State != types.CreateAccountStateSucceeded || acme.CompletedTimestamp == nil {
		t.Fatalf("%+v %+v", acme, bravo)
	}
	if taken := m.account(t, "Acme", "Acme@example.com"); taken.State != types.CreateAccountStateFailed || taken.FailureReason != types.CreateAccountFailureReasonEmailAlreadyExists {
		t.Errorf("%+v", taken)
	}
	statuses, err := m.root.ListCreateAccountStatus(ctx, &sdk.ListCreateAccountStatusInput{States: []types.CreateAccountState{types.CreateAccountStateSucceeded}})
	if err != nil || len(statuses.CreateAccountStatuses) != 2 {
		t.Errorf("%+v, %v", statuses, err)
	}

	made, err := m.root.CreateOrganizationalUnit(ctx, &sdk.CreateOrganizationalUnitInput{ParentId: &root, Name: aws.String("Buyers")})
	if err != nil {
		t.Fatal(err)
	}
	ou := made.OrganizationalUnit
	if !regexp.MustCompile(`^ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}$`).MatchString(*ou.Id) || *ou.Path != *org.Id+"/"+root+"/"+*ou.Id+"/" ||
		*ou.Arn != "arn:aws:organizations::"+management+":ou/"+*org.Id+"/"+*ou.Id {
		t.Errorf("unit %+v", ou)
	}
	if _, err := m.root.MoveAccount(ctx, &sdk.MoveAccountInput{AccountId: acme.AccountId, SourceParentId: &root, DestinationParentId: ou.Id}); err != nil {
		t.Fatal(err)
	}
	parents, err := m.root.ListParents(ctx, &sdk.ListParentsInput{ChildId: acme.AccountId})
	if err != nil || len(parents.Parents) != 1 || *parents.Parents[0].Id != *ou.Id || parents.Parents[0].Type != types.ParentTypeOrganizationalUnit {
		t.Errorf("%+v, %v", parents, err)
	}
	parents, err = m.root.ListParents(ctx, &sdk.ListParentsInput{ChildId: ou.Id})
	if err != nil || *parents.Parents[0].Id != root || parents.Parents[0].Type != types.ParentTypeRoot {
		t.Errorf("%+v, %v", parents, err)
	}
	shown, err := m.root.DescribeAccount(ctx, &sdk.DescribeAccountInput{AccountId: acme.AccountId})
	if err != nil || *shown.Account.Email != "acme@example.com" || *shown.Account.Name != "Acme" || shown.Account.Status != types.AccountStatusActive ||
		!slices.Equal(shown.Account.Paths, []string{*ou.Path + *acme.AccountId + "/"}) {
		t.Errorf("%+v, %v", shown, err)
	}
	for _, c := range []struct {
		parent string
		kind   types.ChildType
		want   []string
	}{
		{root, types.ChildTypeAccount, []string{management, *bravo.AccountId}},
		{root, types.ChildTypeOrganizationalUnit, []string{*ou.Id}},
		{*ou.Id, types.ChildTypeAccount, []string{*acme.AccountId}},
		{*ou.Id, types.ChildTypeOrganizationalUnit, nil},
	} {
		children, err := m.root.ListChildren(ctx, &sdk.ListChildrenInput{ParentId: &c.parent, ChildType: c.kind})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, child := range children.Children {
			got = append(got, *child.Id)
		}
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s of %s: %v, want %v", c.kind, c.parent, got, c.want)
		}
	}
	var pages, all int
	for p := sdk.NewListAccountsPaginator(m.root, &sdk.ListAccountsInput{MaxResults: aws.Int32(2)}); p.HasMorePages(); pages++ {
		page, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		all += len(page.Accounts)
	}
	if pages != 2 || all != 3 {
		t.Errorf("%d pages with %d accounts", pages, all)
	}
	inUnit, err := m.root.ListAccountsForParent(ctx, &sdk.ListAccountsForParentInput{ParentId: ou.Id})
	if err != nil || len(inUnit.Accounts) != 1 || *inUnit.Accounts[0].Id != *acme.AccountId {
		t.Errorf("%+v, %v", inUnit, err)
	}
	_, err = m.root.DeleteOrganizationalUnit(ctx, &sdk.DeleteOrganizationalUnitInput{OrganizationalUnitId: ou.Id})
	if code(err) != "OrganizationalUnitNotEmptyException" {
		t.Error(err)
	}
	renamed, err := m.root.UpdateOrganizationalUnit(ctx, &sdk.UpdateOrganizationalUnitInput{OrganizationalUnitId: ou.Id, Name: aws.String("Customers")})
	if err != nil || *renamed.OrganizationalUnit.Name != "Customers" {
		t.Error(renamed, err)
	}
	units, err := m.root.ListOrganizationalUnitsForParent(ctx, &sdk.ListOrganizationalUnitsForParentInput{ParentId: &root})
	if err != nil || len(units.OrganizationalUnits) != 1 || *units.OrganizationalUnits[0].Name != "Customers" {
		t.Error(units, err)
	}
	if _, err := m.root.MoveAccount(ctx, &sdk.MoveAccountInput{AccountId: acme.AccountId, SourceParentId: ou.Id, DestinationParentId: &root}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.root.DeleteOrganizationalUnit(ctx, &sdk.DeleteOrganizationalUnitInput{OrganizationalUnitId: ou.Id}); err != nil {
		t.Error(err)
	}
	_, err = m.root.DescribeOrganizationalUnit(ctx, &sdk.DescribeOrganizationalUnitInput{OrganizationalUnitId: ou.Id})
	if code(err) != "OrganizationalUnitNotFoundException" {
		t.Error(err)
	}
}

func tag(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }

func TestTagsOfAccountsUnitsAndTheRoot(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	roots, err := m.root.ListRoots(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	root := roots.Roots[0].Id
	made, err := m.root.CreateOrganizationalUnit(ctx, &sdk.CreateOrganizationalUnitInput{ParentId: root, Name: aws.String("x"), Tags: []types.Tag{tag("a", "1"), tag("b", "2")}})
	if err != nil {
		t.Fatal(err)
	}
	unit := made.OrganizationalUnit.Id
	wantTags := func(id *string, want string) {
		t.Helper()
		out, err := m.root.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceId: id})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, tag := range out.Tags {
			got += *tag.Key + "=" + *tag.Value + " "
		}
		if got != want {
			t.Errorf("tags of %s: %q, want %q", *id, got, want)
		}
	}
	wantTags(unit, "a=1 b=2 ")
	for _, id := range []*string{unit, root, aws.String(management)} {
		if _, err := m.root.TagResource(ctx, &sdk.TagResourceInput{ResourceId: id, Tags: []types.Tag{tag("a", "3"), tag("c", "")}}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.root.UntagResource(ctx, &sdk.UntagResourceInput{ResourceId: id, TagKeys: []string{"b"}}); err != nil {
			t.Fatal(err)
		}
		wantTags(id, "a=3 c= ")
	}
	if _, err := m.root.DeleteOrganizationalUnit(ctx, &sdk.DeleteOrganizationalUnitInput{OrganizationalUnitId: unit}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.root.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceId: unit}); code(err) != "TargetNotFoundException" {
		t.Error(err)
	}
	asked, err := m.root.CreateAccount(ctx, &sdk.CreateAccountInput{AccountName: aws.String("Acme"), Email: aws.String("acme@example.com"), Tags: []types.Tag{tag("team", "x")}})
	if err != nil {
		t.Fatal(err)
	}
	wantTags(m.ended(t, asked.CreateAccountStatus.Id).AccountId, "team=x ")
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	roots, err := m.root.ListRoots(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	root := roots.Roots[0].Id
	nothing := aws.String("ou-aaaa-bbbbbbbb")
	for name, c := range map[string]struct {
		call   func() error
		code   string
		reason types.InvalidInputExceptionReason
	}{
		"a second organisation": {func() error { _, err := m.root.CreateOrganization(ctx, nil); return err }, "AlreadyInOrganizationException", ""},
		"unknown account": {func() error {
			_, err := m.root.DescribeAccount(ctx, &sdk.DescribeAccountInput{AccountId: aws.String("210987654321")})
			return err
		}, "AccountNotFoundException", ""},
		"reserved account": {func() error {
			_, err := m.root.DescribeAccount(ctx, &sdk.DescribeAccountInput{AccountId: aws.String(organization.ReservedAccount)})
			return err
		}, "AccountNotFoundException", ""},
		"unknown parent": {func() error {
			_, err := m.root.CreateOrganizationalUnit(ctx, &sdk.CreateOrganizationalUnitInput{ParentId: nothing, Name: aws.String("x")})
			return err
		}, "ParentNotFoundException", ""},
		"unknown child": {func() error { _, err := m.root.ListParents(ctx, &sdk.ListParentsInput{ChildId: nothing}); return err }, "ChildNotFoundException", ""},
		"unknown request": {func() error {
			_, err := m.root.DescribeCreateAccountStatus(ctx, &sdk.DescribeCreateAccountStatusInput{CreateAccountRequestId: aws.String("car-00000000")})
			return err
		}, "CreateAccountStatusNotFoundException", ""},
		"token that nobody gave": {func() error {
			_, err := m.root.ListAccounts(ctx, &sdk.ListAccountsInput{NextToken: aws.String("xyz")})
			return err
		}, "InvalidInputException", types.InvalidInputExceptionReasonInvalidPaginationToken},
		"a tag key given twice": {func() error {
			_, err := m.root.CreateOrganizationalUnit(ctx, &sdk.CreateOrganizationalUnitInput{ParentId: root, Name: aws.String("x"), Tags: []types.Tag{tag("a", "b"), tag("a", "c")}})
			return err
		}, "InvalidInputException", types.InvalidInputExceptionReasonDuplicateTagKey},
		"a tag key that is reserved": {func() error {
			_, err := m.root.TagResource(ctx, &sdk.TagResourceInput{ResourceId: root, Tags: []types.Tag{tag("aws:x", "b")}})
			return err
		}, "InvalidInputException", types.InvalidInputExceptionReasonInvalidSystemTagsParameter},
		"tags of nothing": {func() error {
			_, err := m.root.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceId: nothing})
			return err
		}, "TargetNotFoundException", ""},
		"id of another form": {func() error {
			_, err := m.root.DescribeOrganizationalUnit(ctx, &sdk.DescribeOrganizationalUnitInput{OrganizationalUnitId: aws.String("unit")})
			return err
		}, "InvalidInputException", ""},
		"no e-mail address": {func() error {
			_, err := m.root.CreateAccount(ctx, &sdk.CreateAccountInput{AccountName: aws.String("x"), Email: aws.String("nobody")})
			return err
		}, "InvalidInputException", ""},
		"an address that Souk gives": {func() error {
			_, err := m.root.CreateAccount(ctx, &sdk.CreateAccountInput{AccountName: aws.String("x"), Email: aws.String("account-1@souk.invalid")})
			return err
		}, "InvalidInputException", types.InvalidInputExceptionReasonInvalidPattern},
	} {
		err := c.call()
		if code(err) != c.code {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
		var invalid *types.InvalidInputException
		if c.reason != "" && (!errors.As(err, &invalid) || invalid.Reason != c.reason) {
			t.Errorf("%s: got %v, want the reason %s", name, err, c.reason)
		}
	}
}

// TestWhoMayCall: a member account learns of its organisation and nothing else;
// a user of the management account needs the permission.
func TestWhoMayCall(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	a, err := m.o.CreateAccount(ctx, organization.NewAccount{Name: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	key, err := m.o.CreateKey(ctx, a.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	member := m.client(key)
	if _, err := member.DescribeOrganization(ctx, nil); err != nil {
		t.Error(err)
	}
	if _, err := member.CreateOrganization(ctx, nil); code(err) != "AlreadyInOrganizationException" {
		t.Error(err)
	}
	if _, err := member.ListAccounts(ctx, nil); code(err) != "AccessDeniedException" {
		t.Error(err)
	}
	_, err = member.CreateAccount(ctx, &sdk.CreateAccountInput{AccountName: aws.String("x"), Email: aws.String("x@example.com")})
	if code(err) != "AccessDeniedException" {
		t.Error(err)
	}

	info, err := m.o.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	u, err := m.o.CreateUnit(ctx, info.Root(), "Buyers", nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := m.o.CreateUnit(ctx, info.Root(), "Others", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.o.CreateUser(ctx, management, "admin"); err != nil {
		t.Fatal(err)
	}
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": map[string]any{
		"Effect": "Allow", "Action": "organizations:MoveAccount",
		"Resource": []string{info.AccountARN(a.ID), info.RootARN(), info.UnitARN(u.ID)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.o.PutPolicy(ctx, management, "admin", organization.Policy{Name: "move", Document: string(policy)}); err != nil {
		t.Fatal(err)
	}
	key, err = m.o.CreateKey(ctx, management, "admin")
	if err != nil {
		t.Fatal(err)
	}
	admin := m.client(key)
	move := func(to string) error {
		_, err := admin.MoveAccount(ctx, &sdk.MoveAccountInput{AccountId: &a.ID, SourceParentId: aws.String(info.Root()), DestinationParentId: &to})
		return err
	}
	if err := move(other.ID); code(err) != "AccessDeniedException" || !strings.Contains(err.Error(), info.UnitARN(other.ID)) {
		t.Errorf("a move to a unit that the policy does not name: %v", err)
	}
	if err := move(u.ID); err != nil {
		t.Error(err)
	}
	if _, err := admin.ListRoots(ctx, nil); code(err) != "AccessDeniedException" {
		t.Error(err)
	}
}

func TestAnAccountIsClosed(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	acme := *m.account(t, "Acme", "acme@example.com").AccountId
	k, err := m.o.CreateKey(ctx, acme, "")
	if err != nil {
		t.Fatal(err)
	}
	member := m.client(k)
	if _, err := member.CloseAccount(ctx, &sdk.CloseAccountInput{AccountId: &acme}); code(err) != "AccessDeniedException" {
		t.Errorf("by a member: %v", err)
	}
	var limit *types.ConstraintViolationException
	if _, err := m.root.CloseAccount(ctx, &sdk.CloseAccountInput{AccountId: aws.String(management)}); !errors.As(err, &limit) || limit.Reason != types.ConstraintViolationExceptionReasonCannotCloseManagementAccount {
		t.Errorf("the management account: %v", err)
	}
	if _, err := m.root.CloseAccount(ctx, &sdk.CloseAccountInput{AccountId: aws.String("999999999999")}); code(err) != "AccountNotFoundException" {
		t.Errorf("no account: %v", err)
	}
	if _, err := m.root.CloseAccount(ctx, &sdk.CloseAccountInput{AccountId: &acme}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.root.CloseAccount(ctx, &sdk.CloseAccountInput{AccountId: &acme}); code(err) != "AccountAlreadyClosedException" {
		t.Errorf("closed twice: %v", err)
	}
	shown, err := m.root.DescribeAccount(ctx, &sdk.DescribeAccountInput{AccountId: &acme})
	if err != nil || shown.Account.Status != types.AccountStatusSuspended || shown.Account.State != types.AccountStateClosed {
		t.Errorf("shown as %+v, %v", shown.Account, err)
	}
	if _, err := member.DescribeOrganization(ctx, nil); code(err) != "UnrecognizedClientException" {
		t.Errorf("by its root user: %v", err)
	}
	// What is not offered says which action it was.
	for name, err := range map[string]error{
		"LeaveOrganization":             second(m.root.LeaveOrganization(ctx, nil)),
		"RemoveAccountFromOrganization": second(m.root.RemoveAccountFromOrganization(ctx, &sdk.RemoveAccountFromOrganizationInput{AccountId: &acme})),
	} {
		if code(err) != "UnknownOperationException" || !strings.Contains(err.Error(), "operation "+name+" is not recognized") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestCloudTrailIsTrustedByTheManagementAccountAlone(t *testing.T) {
	t.Parallel()
	m := start(t)
	ctx := t.Context()
	acme := *m.account(t, "Acme", "acme@example.com").AccountId
	k, err := m.o.CreateKey(ctx, acme, "")
	if err != nil {
		t.Fatal(err)
	}
	trail := &sdk.EnableAWSServiceAccessInput{ServicePrincipal: aws.String("cloudtrail.amazonaws.com")}
	if _, err := m.client(k).EnableAWSServiceAccess(ctx, trail); code(err) != "AccessDeniedException" {
		t.Errorf("by a member: %v", err)
	}
	if _, err := m.root.EnableAWSServiceAccess(ctx, &sdk.EnableAWSServiceAccessInput{ServicePrincipal: aws.String("coffee.amazonaws.com")}); code(err) != "InvalidInputException" || !strings.Contains(err.Error(), "UNRECOGNIZED_SERVICE_PRINCIPAL") && !strings.Contains(err.Error(), "isn't recognized") {
		t.Errorf("an unknown service: %v", err)
	}
	overseen := func(account string, want ...string) {
		t.Helper()
		got, err := m.o.Overseen(ctx, account)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s oversees %v, %v; want %v", account, got, err, want)
		}
	}
	overseen(management)
	for range 2 {
		if _, err := m.root.EnableAWSServiceAccess(ctx, trail); err != nil {
			t.Fatal(err)
		}
	}
	listed, err := m.root.ListAWSServiceAccessForOrganization(ctx, nil)
	if err != nil || len(listed.EnabledServicePrincipals) != 1 || *listed.EnabledServicePrincipals[0].ServicePrincipal != *trail.ServicePrincipal || listed.EnabledServicePrincipals[0].DateEnabled.IsZero() {
		t.Errorf("listed %+v, %v", listed, err)
	}
	overseen(management, acme)
	overseen(acme)
	for range 2 {
		if _, err := m.root.DisableAWSServiceAccess(ctx, &sdk.DisableAWSServiceAccessInput{ServicePrincipal: trail.ServicePrincipal}); err != nil {
			t.Fatal(err)
		}
	}
	overseen(management)
}
