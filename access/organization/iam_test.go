package organization_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"souk/access/iam"
	"souk/access/organization"
)

const (
	trustAccount = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sts:AssumeRole"}}`
	sellerAccess = "arn:aws:iam::aws:policy/AWSMarketplaceSellerFullAccess"
)

func holder(kind organization.HolderKind, name string) organization.Holder {
	return organization.Holder{Kind: kind, Account: account, Name: name}
}

// may says what the owner of a key may do, as this node sees it.
func may(t testing.TB, o *organization.Organization, key organization.Key) bool {
	t.Helper()
	_, p, ok, err := o.Lookup(t.Context(), key.ID)
	if err != nil {
		t.Fatal(err)
	}
	return ok && decide(p)
}

func TestPermissionsOfGroupsAndManagedPoliciesHoldInTime(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	here, there := m.started(), m.node()
	ctx := t.Context()
	mustUser(t, here, account, "ci")
	key := mustKey(t, here, account, "ci")
	user, team := holder(organization.OfUser, "ci"), holder(organization.OfGroup, "Team")
	var arn string
	do := func(err error) error { return err }
	for _, step := range []struct {
		name string
		do   func() error
		want bool
	}{
		{"a user without policies", func() error { return nil }, false},
		{"a group that allows", func() error {
			_, err := here.CreateGroup(ctx, account, "Team", "/x/")
			return first(err, here.PutInline(ctx, team, organization.Policy{Name: "p", Document: allowAll}))
		}, false},
		{"a member of it", func() error { return here.AddMember(ctx, account, "team", "ci") }, true},
		{"again", func() error { return here.AddMember(ctx, account, "Team", "CI") }, true},
		{"a managed policy that denies", func() error {
			p, err := here.CreateManagedPolicy(ctx, organization.NewManagedPolicy{Account: account, Name: "no", Path: "/x/y/", Document: denyAll})
			arn = p.ARN()
			return first(err, here.Attach(ctx, user, arn))
		}, false},
		{"its second version allows", func() error {
			return do(second(here.CreatePolicyVersion(ctx, account, arn, allowAll, true)))
		}, true},
		{"not a member any more", func() error { return here.RemoveMember(ctx, account, "Team", "ci") }, true},
		{"detached", func() error { return here.Detach(ctx, user, arn) }, false},
		{"attached to the group", func() error {
			return first(here.DeleteInline(ctx, team, "p"), here.Attach(ctx, team, arn))
		}, false},
		{"a member once more", func() error { return here.AddMember(ctx, account, "Team", "ci") }, true},
		{"the first version again", func() error { return here.SetDefaultVersion(ctx, account, arn, "v1") }, false},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := may(t, here, key); got != step.want {
			t.Errorf("%s: here %v", step.name, got)
		}
		m.pass(promised - time.Millisecond)
		if got := may(t, there, key); got != step.want {
			t.Errorf("%s: there, in time, %v", step.name, got)
		}
	}
	wantSound(t, here)
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func second[T any](_ T, err error) error { return err }

func TestNothingIsDeletedThatIsInUse(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	o := m.started()
	ctx := t.Context()
	mustUser(t, o, account, "ci")
	group, err := o.CreateGroup(ctx, account, "team", "")
	if err != nil || group.ARN() != "arn:aws:iam::"+account+":group/team" || !strings.HasPrefix(group.ID, "AGPA") {
		t.Fatalf("group: %+v, %v", group, err)
	}
	role, err := o.CreateRole(ctx, organization.NewRole{Account: account, Name: "ingest", Path: "/service/", Trust: trustAccount})
	if err != nil || role.ARN() != "arn:aws:iam::"+account+":role/service/ingest" || role.MaxSession != 3600 || !strings.HasPrefix(role.ID, "AROA") {
		t.Fatalf("role: %+v, %v", role, err)
	}
	policy, err := o.CreateManagedPolicy(ctx, organization.NewManagedPolicy{Account: account, Name: "p", Document: allowAll})
	if err != nil || policy.Default != "v1" {
		t.Fatalf("policy: %+v, %v", policy, err)
	}
	arn := policy.ARN()
	if err := o.AddMember(ctx, account, "team", "ci"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "a group with a member", o.DeleteGroup(ctx, account, "team"), "DeleteConflict")
	wantCode(t, "a user of a group", o.DeleteUser(ctx, account, "ci", false), "DeleteConflict")
	for _, h := range []organization.Holder{holder(organization.OfUser, "ci"), holder(organization.OfGroup, "team"), holder(organization.OfRole, "ingest")} {
		if err := first(o.Attach(ctx, h, arn), o.Attach(ctx, h, arn)); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "a policy of a "+h.Kind.String(), o.DeleteManagedPolicy(ctx, account, arn), "DeleteConflict")
		names, err := o.Attachments(ctx, account, arn, h.Kind, organization.Page{})
		if err != nil || len(names.Items) != 1 || names.Items[0].Name != h.Name || names.Next != "" {
			t.Errorf("attachments: %+v, %v", names, err)
		}
		if h.Kind == organization.OfRole {
			wantCode(t, "a role with a policy", o.DeleteRole(ctx, account, "ingest"), "DeleteConflict")
		}
		if err := o.Detach(ctx, h, arn); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "detached twice", o.Detach(ctx, h, arn), "NoSuchEntity")
	}
	if _, err := o.CreatePolicyVersion(ctx, account, arn, denyAll, false); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "a policy of two versions", o.DeleteManagedPolicy(ctx, account, arn), "DeleteConflict")
	wantCode(t, "the default version", o.DeletePolicyVersion(ctx, account, arn, "v1"), "DeleteConflict")
	wantCode(t, "a version that is not there", o.DeletePolicyVersion(ctx, account, arn, "v7"), "NoSuchEntity")
	err = first(o.DeletePolicyVersion(ctx, account, arn, "v2"), o.DeleteManagedPolicy(ctx, account, arn), o.DeleteRole(ctx, account, "ingest"),
		o.RemoveMember(ctx, account, "team", "ci"), o.DeleteGroup(ctx, account, "team"), o.DeleteUser(ctx, account, "ci", false))
	if err != nil {
		t.Fatal(err)
	}
	wantSound(t, o)
}

func TestEachRefusalHasTheCodeOfIAM(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	o := m.started()
	ctx := t.Context()
	mustUser(t, o, account, "ci")
	role := organization.NewRole{Account: account, Name: "r", Trust: trustAccount}
	if _, err := o.CreateRole(ctx, role); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*organization.NewRole)) error {
		n := role
		n.Name = "other"
		change(&n)
		return second(o.CreateRole(ctx, n))
	}
	policy, err := o.CreateManagedPolicy(ctx, organization.NewManagedPolicy{Account: account, Name: "p", Path: "/a/", Document: allowAll})
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, err := o.CreatePolicyVersion(ctx, account, policy.ARN(), allowAll, false); err != nil {
			t.Fatal(err)
		}
	}
	user := holder(organization.OfUser, "ci")
	big := `{"Statement":{"Effect":"Allow","Action":"a:b","Resource":"` + "arn:aws:s3:::" + strings.Repeat("x", 2000) + `"}}`
	for name, c := range map[string]struct {
		err  error
		code string
	}{
		"a role of a name in use":       {with(func(n *organization.NewRole) { n.Name = "R" }), "EntityAlreadyExists"},
		"a role's name with a blank":    {with(func(n *organization.NewRole) { n.Name = "a b" }), "ValidationError"},
		"a path without its last slash": {with(func(n *organization.NewRole) { n.Path = "/a" }), "ValidationError"},
		"a session of half an hour":     {with(func(n *organization.NewRole) { n.MaxSession = 1800 }), "ValidationError"},
		"a session of a day":            {with(func(n *organization.NewRole) { n.MaxSession = 86400 }), "ValidationError"},
		"a trust policy of users' form": {with(func(n *organization.NewRole) { n.Trust = allowAll }), "MalformedPolicyDocument"},
		"a trust policy with another action": {with(func(n *organization.NewRole) {
			n.Trust = strings.Replace(trustAccount, "sts:AssumeRole", "s3:GetObject", 1)
		}), "MalformedPolicyDocument"},
		"a tag of AWS":                        {with(func(n *organization.NewRole) { n.Tags = map[string]string{"aws:x": ""} }), "InvalidInput"},
		"a role of no account":                {with(func(n *organization.NewRole) { n.Account = "999999999999" }), "NoSuchEntity"},
		"a policy that is not there":          {o.Attach(ctx, user, "arn:aws:iam::"+account+":policy/none"), "NoSuchEntity"},
		"a policy of another path":            {o.Attach(ctx, user, "arn:aws:iam::"+account+":policy/p"), "NoSuchEntity"},
		"a policy of another account":         {o.Attach(ctx, user, "arn:aws:iam::999999999999:policy/p"), "NoSuchEntity"},
		"no ARN":                              {o.Attach(ctx, user, "p"), "NoSuchEntity"},
		"a user who is not there":             {o.Attach(ctx, holder(organization.OfUser, "none"), sellerAccess), "NoSuchEntity"},
		"a sixth version":                     {second(o.CreatePolicyVersion(ctx, account, policy.ARN(), allowAll, true)), "LimitExceeded"},
		"a policy of AWS is changed":          {second(o.CreatePolicyVersion(ctx, account, sellerAccess, allowAll, true)), "AccessDenied"},
		"a policy of a name in use":           {second(o.CreateManagedPolicy(ctx, organization.NewManagedPolicy{Account: account, Name: "P", Document: allowAll})), "EntityAlreadyExists"},
		"a policy that is no policy":          {second(o.CreateManagedPolicy(ctx, organization.NewManagedPolicy{Account: account, Name: "q", Document: "{}"})), "MalformedPolicyDocument"},
		"inline policies of a user, too long": {first(o.PutInline(ctx, user, organization.Policy{Name: "big", Document: big})), "LimitExceeded"},
		"an inline policy of a role":          {o.DeleteInline(ctx, holder(organization.OfRole, "r"), "none"), "NoSuchEntity"},
		"a member who is not there":           {o.AddMember(ctx, account, "none", "ci"), "NoSuchEntity"},
	} {
		wantCode(t, name, c.err, c.code)
	}
	for i := range 11 {
		p, err := o.CreateManagedPolicy(ctx, organization.NewManagedPolicy{Account: account, Name: fmt.Sprintf("n%d", i), Document: allowAll})
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Attach(ctx, user, p.ARN()); i < 10 && err != nil {
			t.Fatal(err)
		} else if i == 10 {
			wantCode(t, "an eleventh policy", err, "LimitExceeded")
		}
	}
	wantSound(t, o)
}

func TestListsAreReadInPages(t *testing.T) {
	t.Parallel()
	o := newMarket(t).started()
	ctx := t.Context()
	for i := range 7 {
		n := organization.NewUser{Account: account, Name: fmt.Sprintf("User%d", i), Path: "/odd/"}
		if i%2 == 0 {
			n.Path = ""
		}
		if _, err := o.MakeUser(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		prefix string
		want   []string
	}{
		{"", []string{"User0", "User1", "User2", "User3", "User4", "User5", "User6"}},
		{"/odd/", []string{"User1", "User3", "User5"}},
		{"/other/", nil},
	} {
		var names []string
		p := organization.Page{Limit: 2, PathPrefix: c.prefix}
		for {
			page, err := o.UserPage(ctx, account, p)
			if err != nil || len(page.Items) > 2 {
				t.Fatalf("%d items, %v", len(page.Items), err)
			}
			for _, u := range page.Items {
				names = append(names, u.Name)
			}
			if p.After = page.Next; p.After == "" {
				break
			}
		}
		if !slices.Equal(names, c.want) {
			t.Errorf("below %q: %q", c.prefix, names)
		}
	}
}

func TestARenamedUserKeepsItsKeysPoliciesAndGroups(t *testing.T) {
	t.Parallel()
	o := newMarket(t).started()
	ctx := t.Context()
	mustUser(t, o, account, "ci")
	mustUser(t, o, account, "taken")
	key := mustKey(t, o, account, "ci")
	err := first(o.PutInline(ctx, holder(organization.OfUser, "ci"), organization.Policy{Name: "p", Document: allowAll}),
		second(o.CreateGroup(ctx, account, "team", "")), o.AddMember(ctx, account, "team", "ci"))
	if err != nil {
		t.Fatal(err)
	}
	taken, name, path := "Taken", "build", "/new/"
	_, err = o.UpdateUser(ctx, account, "ci", organization.UserUpdate{Name: &taken})
	wantCode(t, "a name in use", err, "EntityAlreadyExists")
	u, err := o.UpdateUser(ctx, account, "ci", organization.UserUpdate{Name: &name, Path: &path})
	if err != nil || u.ARN() != "arn:aws:iam::"+account+":user/new/build" {
		t.Fatalf("renamed: %+v, %v", u, err)
	}
	_, p, ok, err := o.Lookup(ctx, key.ID)
	if err != nil || !ok || p.Name != "build" || p.ARN != u.ARN() || !decide(p) {
		t.Errorf("its key: %+v, %v, %v", p, ok, err)
	}
	members, err := o.Members(ctx, account, "team", organization.Page{})
	if err != nil || len(members.Items) != 1 || members.Items[0].Name != "build" {
		t.Errorf("members: %+v, %v", members, err)
	}
	_, err = o.User(ctx, account, "ci")
	wantCode(t, "the old name", err, "NoSuchEntity")
	wantSound(t, o)
}

func TestARenamedGroupKeepsItsPoliciesAndMembers(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	o, there := m.started(), m.node()
	ctx := t.Context()
	mustUser(t, o, account, "ci")
	mustUser(t, o, account, "cd")
	key := mustKey(t, o, account, "ci")
	team := holder(organization.OfGroup, "team")
	err := first(second(o.CreateGroup(ctx, account, "team", "")), second(o.CreateGroup(ctx, account, "taken", "")), second(o.CreateGroup(ctx, account, "middle", "")),
		o.PutInline(ctx, team, organization.Policy{Name: "p", Document: allowAll}), o.Attach(ctx, team, sellerAccess),
		o.AddMember(ctx, account, "team", "ci"), o.AddMember(ctx, account, "middle", "ci"), o.AddMember(ctx, account, "team", "cd"))
	if err != nil {
		t.Fatal(err)
	}
	rename := func(was, name, path string) error {
		return o.UpdateGroup(ctx, account, was, organization.GroupUpdate{Name: &name, Path: &path})
	}
	wantCode(t, "a name in use", rename("team", "Taken", "/"), "EntityAlreadyExists")
	wantCode(t, "no name", rename("team", "a/b", "/"), "ValidationError")
	wantCode(t, "no group", rename("crew", "band", "/"), "NoSuchEntity")
	if !may(t, there, key) {
		t.Fatal("a member may not what its group allows")
	}
	// The second time by the case of its letters alone.
	if err := first(rename("team", "Zebra", "/new/"), rename("zebra", "ZEBRA", "/new/")); err != nil {
		t.Fatal(err)
	}
	g, err := o.Group(ctx, account, "zebra")
	if err != nil || g.ARN() != "arn:aws:iam::"+account+":group/new/ZEBRA" {
		t.Errorf("renamed: %+v, %v", g, err)
	}
	of, err := o.GroupsOf(ctx, account, "ci")
	if err != nil || len(of) != 2 || of[0].Name != "ZEBRA" || of[1].Name != "middle" {
		t.Errorf("groups of a member: %+v, %v", of, err)
	}
	in, err := o.Members(ctx, account, "Zebra", organization.Page{})
	if err != nil || len(in.Items) != 2 {
		t.Errorf("members: %+v, %v", in, err)
	}
	have, err := o.Attachments(ctx, account, sellerAccess, organization.OfGroup, organization.Page{})
	if err != nil || len(have.Items) != 1 || have.Items[0].Name != "ZEBRA" {
		t.Errorf("who has the policy: %+v, %v", have, err)
	}
	_, err = o.Group(ctx, account, "team")
	wantCode(t, "the old name", err, "NoSuchEntity")
	m.pass(promised)
	for node, o := range map[string]*organization.Organization{"here": o, "there": there} {
		if !may(t, o, key) {
			t.Errorf("%s: a member lost what its group allows", node)
		}
	}
	if err := o.RemoveMember(ctx, account, "zebra", "ci"); err != nil || may(t, o, key) {
		t.Errorf("one who left may still what the group allows, or %v", err)
	}
	wantSound(t, o)
}

func TestPoliciesOfAWSAreThere(t *testing.T) {
	t.Parallel()
	o := newMarket(t).started()
	var names []string
	for _, p := range o.AWSPolicies() {
		names = append(names, p.Name)
		v, err := o.PolicyVersion(t.Context(), account, p.ARN(), p.Default)
		if err != nil || !v.Default {
			t.Errorf("%s: %+v, %v", p.Name, v, err)
		}
		if _, err := iam.ParsePolicy([]byte(v.Document)); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if p.Description == "" || p.Created.IsZero() || p.Updated.IsZero() || len(p.ID) != 21 {
			t.Errorf("%s: %+v", p.Name, p)
		}
	}
	want := []string{"AWSMarketplaceAmiIngestion", "AWSMarketplaceFullAccess", "AWSMarketplaceImageBuildFullAccess", "AWSMarketplaceSellerFullAccess",
		"AWSMarketplaceSellerProductsReadOnly", "AWSPrivateMarketplaceAdminFullAccess", "AdministratorAccess"}
	if !slices.Equal(names, want) {
		t.Errorf("policies of AWS: %q", names)
	}
}
