package ec2_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"souk/access/organization"
)

// machine is an image of one layer with an os-release and the files given.
func machine(t *testing.T, files ...string) v1.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range append([]string{"etc/os-release"}, files...) {
		const body = "ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"13\"\nPRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\n"
		if err := w.WriteHeader(&tar.Header{Name: f, Mode: 0o644, Size: int64(len(body))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }, tarball.WithCompressedCaching)
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	img, err = mutate.ConfigFile(img, config)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// push pushes an image to where the caller's images go, and returns its place.
func (m *market) push(t *testing.T, key organization.Key, img v1.Image) string {
	t.Helper()
	a := m.ask(t, key, "GetImageRepository")
	if a.status != 200 {
		t.Fatalf("GetImageRepository: %s", a.body)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	at := a.all("repositoryUri")[0] + "@" + digest.String()
	ref, err := name.ParseReference(at, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	err = remote.Write(ref, img, remote.WithContext(t.Context()), remote.WithAuth(&authn.Basic{Username: key.ID, Password: key.Secret}))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// register makes an AMI and returns its id.
func (m *market) register(t *testing.T, key organization.Key, at, name, more string) string {
	t.Helper()
	a := m.ask(t, key, "RegisterImage&ImageLocation="+url.QueryEscape(at)+"&Name="+url.QueryEscape(name)+more)
	if a.status != 200 || len(a.all("imageId")) != 1 {
		t.Fatalf("registering %s: %d %s", name, a.status, a.body)
	}
	return a.all("imageId")[0]
}

// other makes an account and returns its id and the key of its root user.
func (m *market) other(t *testing.T, name string) (string, organization.Key) {
	t.Helper()
	account, err := m.organization.CreateAccount(t.Context(), organization.NewAccount{Name: name, Namespace: name})
	if err != nil {
		t.Fatal(err)
	}
	key, err := m.organization.CreateKey(t.Context(), account.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	return account.ID, key
}

func TestAnImageFromPushToEnd(t *testing.T) {
	t.Parallel()
	m := open(t)
	at := m.push(t, m.root, machine(t))
	dry := m.ask(t, m.root, "RegisterImage&DryRun=true&Name=web&ImageLocation="+url.QueryEscape(at))
	wantError(t, "a dry run", dry, 412, "DryRunOperation")
	id := m.register(t, m.root, at, "web 1.0", "&Description=The+web&EnaSupport=true&Architecture=x86_64&VirtualizationType=hvm&RootDeviceName=/dev/xvda&ProductCode.1=abc123")
	wantError(t, "a name again", m.ask(t, m.root, "RegisterImage&Name=web+1.0&ImageLocation="+url.QueryEscape(at)), 400, "InvalidAMIName.Duplicate")

	a := m.ask(t, m.root, "DescribeImages&Owner.1=self")
	for element, want := range map[string]string{
		"imageId": id, "imageLocation": at, "imageState": "available", "imageOwnerId": "123456789012", "isPublic": "false", "architecture": "x86_64",
		"imageType": "machine", "platformDetails": "Debian GNU/Linux 13", "name": "web 1.0", "description": "The web", "rootDeviceType": "ebs",
		"rootDeviceName": "/dev/xvda", "virtualizationType": "hvm", "hypervisor": "xen", "enaSupport": "true", "productCode": "abc123",
		"deviceName": "/dev/xvda", "volumeSize": "1",
	} {
		got := a.all(element)
		if len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: got %q, want %q", element, got, want)
		}
	}
	if a := m.ask(t, m.root, "DescribeImageAttribute&ImageId="+id+"&Attribute=description"); !slices.Equal(a.all("value"), []string{"The web"}) {
		t.Errorf("description: %s", a.body)
	}
	if a := m.ask(t, m.root, "ModifyImageAttribute&ImageId="+id+"&Description.Value=New"); a.status != 200 || !slices.Equal(a.all("return"), []string{"true"}) {
		t.Errorf("modifying: %s", a.body)
	}
	if got := m.ask(t, m.root, "DescribeImages&ImageId.1="+id).all("description"); !slices.Equal(got, []string{"New"}) {
		t.Errorf("description: %q", got)
	}
	m.usedBy = "version 2.0 of prod-aaaaaaaaaaaaa"
	used := m.ask(t, m.root, "DeregisterImage&ImageId="+id)
	wantError(t, "an image in use", used, 400, "OperationNotPermitted")
	if !strings.Contains(used.body, ">"+id) || !strings.Contains(used.body, m.usedBy) {
		t.Errorf("it does not say what is used, and by what: %s", used.body)
	}
	m.usedBy = ""
	if a := m.ask(t, m.root, "DeregisterImage&ImageId="+id); a.status != 200 {
		t.Errorf("deregistering: %s", a.body)
	}
	wantError(t, "an image that is gone", m.ask(t, m.root, "DescribeImages&ImageId.1="+id), 400, "InvalidAMIID.NotFound")
	if a := m.ask(t, m.root, "DescribeImages"); a.status != 200 || !strings.Contains(a.body, "<imagesSet></imagesSet>") {
		t.Errorf("an empty list: %s", a.body)
	}
}

func TestWhoSeesAnImage(t *testing.T) {
	t.Parallel()
	m := open(t)
	seller, sellerKey := m.other(t, "acme")
	buyer, buyerKey := m.other(t, "buyer")
	id := m.register(t, sellerKey, m.push(t, sellerKey, machine(t)), "acme query", "")

	sees := func(want bool, form string) {
		t.Helper()
		if got := slices.Contains(m.ask(t, buyerKey, "DescribeImages"+form).all("imageId"), id); got != want {
			t.Errorf("%q: sees %v, want %v", form, got, want)
		}
	}
	permit := func(form string) {
		t.Helper()
		if a := m.ask(t, sellerKey, "ModifyImageAttribute&ImageId="+id+form); a.status != 200 {
			t.Errorf("%s: %s", form, a.body)
		}
	}
	sees(false, "")
	wantError(t, "of a stranger", m.ask(t, buyerKey, "DescribeImages&ImageId.1="+id), 400, "InvalidAMIID.NotFound")
	wantError(t, "modified by a stranger", m.ask(t, buyerKey, "ModifyImageAttribute&ImageId="+id+"&Description.Value=x"), 400, "InvalidAMIID.NotFound")
	permit("&LaunchPermission.Add.1.UserId=" + buyer)
	sees(true, "")
	sees(true, "&ImageId.1="+id)
	sees(true, "&ExecutableBy.1=self")
	sees(false, "&ExecutableBy.1=all")
	sees(false, "&Owner.1=self")
	sees(false, "&Owner.1=amazon")
	sees(false, "&Owner.1=aws-marketplace")
	sees(true, "&Owner.1="+seller)
	wantError(t, "modified by who may use it", m.ask(t, buyerKey, "ModifyImageAttribute&ImageId="+id+"&Description.Value=x"), 400, "AuthFailure")
	wantError(t, "removed by who may use it", m.ask(t, buyerKey, "DeregisterImage&ImageId="+id), 400, "AuthFailure")
	wantError(t, "permissions shown to who may use it", m.ask(t, buyerKey, "DescribeImageAttribute&Attribute=launchPermission&ImageId="+id), 400, "AuthFailure")
	if a := m.ask(t, sellerKey, "DescribeImageAttribute&Attribute=launchPermission&ImageId="+id); !slices.Equal(a.all("userId"), []string{buyer}) {
		t.Errorf("permissions: %s", a.body)
	}
	permit("&LaunchPermission.Remove.1.UserId=" + buyer)
	sees(false, "")
	permit("&Attribute=launchPermission&OperationType=add&UserGroup.1=all") // the older form
	sees(true, "")
	sees(true, "&ExecutableBy.1=all")
	sees(true, "&Filter.1.Name=is-public&Filter.1.Value.1=true")
	if a := m.ask(t, sellerKey, "DescribeImageAttribute&Attribute=launchPermission&ImageId="+id); !slices.Equal(a.all("group"), []string{"all"}) {
		t.Errorf("permissions: %s", a.body)
	}
	permit("&LaunchPermission.Remove.1.Group=all")
	sees(false, "")
}

func TestFiltersAndPagesOfImages(t *testing.T) {
	t.Parallel()
	m := open(t)
	at := m.push(t, m.root, machine(t))
	ids := map[string]string{}
	for n := range 7 {
		name := fmt.Sprintf("web %d", n)
		more := ""
		if n == 3 {
			more = "&EnaSupport=true&RootDeviceType=instance-store&VirtualizationType=paravirtual"
		}
		ids[name] = m.register(t, m.root, at, name, more)
	}
	for form, want := range map[string]int{
		"&Filter.1.Name=name&Filter.1.Value.1=web*":                                                  7,
		"&Filter.1.Name=name&Filter.1.Value.1=web+1&Filter.1.Value.2=web+2":                          2,
		"&Filter.1.Name=name&Filter.1.Value.1=web+?&Filter.2.Name=ena-support&Filter.2.Value.1=true": 1,
		"&Filter.1.Name=architecture&Filter.1.Value.1=arm64":                                         0,
		"&Filter.1.Name=virtualization-type&Filter.1.Value.1=hvm":                                    6,
		"&Filter.1.Name=root-device-type&Filter.1.Value.1=instance-store":                            1,
		"&Filter.1.Name=state&Filter.1.Value.1=available":                                            7,
		"&Filter.1.Name=hypervisor&Filter.1.Value.1=xen":                                             7,
		"&Filter.1.Name=tag:team&Filter.1.Value.1=web":                                               0,
		"&Filter.1.Name=root-device-name&Filter.1.Value.1=/dev/sda1":                                 0,
		"&Filter.1.Name=block-device-mapping.volume-type&Filter.1.Value.1=gp3":                       6,
		"&IncludeDeprecated=true":                                                                    7,
	} {
		if a := m.ask(t, m.root, "DescribeImages"+form); a.status != 200 || len(a.all("imageId")) != want {
			t.Errorf("%s: %d images, want %d: %s", form, len(a.all("imageId")), want, a.body)
		}
	}
	first := m.ask(t, m.root, "DescribeImages&MaxResults=5")
	if len(first.all("imageId")) != 5 || len(first.all("nextToken")) != 1 {
		t.Fatalf("a page: %s", first.body)
	}
	rest := m.ask(t, m.root, "DescribeImages&MaxResults=5&NextToken="+url.QueryEscape(first.all("nextToken")[0]))
	if all := append(first.all("imageId"), rest.all("imageId")...); len(all) != 7 || !slices.IsSorted(all) {
		t.Errorf("both pages: %v", all)
	}
	wantError(t, "no filter", m.ask(t, m.root, "DescribeImages&Filter.1.Name=colour&Filter.1.Value.1=red"), 400, "InvalidParameterValue")
	wantError(t, "a token of nobody", m.ask(t, m.root, "DescribeImages&NextToken=abc"), 400, "InvalidNextToken")
	wantError(t, "a broken id", m.ask(t, m.root, "DescribeImages&ImageId.1=web"), 400, "InvalidAMIID.Malformed")
	wantError(t, "an unknown id", m.ask(t, m.root, "DescribeImages&ImageId.1=ami-0123456789abcdef0"), 400, "InvalidAMIID.NotFound")
	wantError(t, "an owner that is none", m.ask(t, m.root, "DescribeImages&Owner.1=me"), 400, "InvalidParameterValue")
}

func TestWhatIsNoImageIsNotRegistered(t *testing.T) {
	t.Parallel()
	m := open(t)
	at := m.push(t, m.root, machine(t))
	place := "&ImageLocation=" + url.QueryEscape(at)
	digest := at[strings.Index(at, "@"):]
	for what, c := range map[string]struct{ form, code string }{
		"no name":                      {place, "MissingParameter"},
		"no place":                     {"&Name=web", "MissingParameter"},
		"a bucket":                     {"&Name=web&ImageLocation=bucket/image.manifest.xml", "InvalidManifest"},
		"a tag":                        {"&Name=web&ImageLocation=" + url.QueryEscape(strings.Replace(at, digest, ":1.0", 1)), "InvalidManifest"},
		"a digest that is not there":   {"&Name=web&ImageLocation=" + url.QueryEscape(strings.Replace(at, digest, "@sha256:"+strings.Repeat("0", 64), 1)), "InvalidManifest"},
		"another repository":           {"&Name=web&ImageLocation=" + url.QueryEscape(strings.Replace(at, "/ami@", "/web@", 1)), "InvalidParameterValue"},
		"a short name":                 {place + "&Name=ab", "InvalidParameterValue"},
		"a name with a percent sign":   {place + "&Name=100%25", "InvalidParameterValue"},
		"another root device":          {place + "&Name=web&RootDeviceName=/dev/sdb", "InvalidParameterValue"},
		"a virtualization of nobody":   {place + "&Name=web&VirtualizationType=qemu", "InvalidParameterValue"},
		"snapshots":                    {place + "&Name=web&BlockDeviceMapping.1.Ebs.SnapshotId=snap-1", "UnsupportedOperation"},
		"tags":                         {place + "&Name=web&TagSpecification.1.ResourceType=image", "UnsupportedOperation"},
		"the image of another machine": {place + "&Name=web&Architecture=arm64", "InvalidManifest"},
		"a hostile entry":              {"&Name=web&ImageLocation=" + url.QueryEscape(m.push(t, m.root, machine(t, "../../etc/passwd"))), "InvalidManifest"},
	} {
		wantError(t, what, m.ask(t, m.root, "RegisterImage"+c.form), 400, c.code)
	}
	if a := m.ask(t, m.root, "DescribeImages"); len(a.all("imageId")) != 0 {
		t.Errorf("there are images: %s", a.body)
	}
}

func TestModificationsThatAreRefused(t *testing.T) {
	t.Parallel()
	m := open(t)
	id := m.register(t, m.root, m.push(t, m.root, machine(t)), "web", "")
	for what, c := range map[string]struct{ form, code string }{
		"nothing to change":       {"", "InvalidParameterCombination"},
		"two at a time":           {"&Description.Value=x&LaunchPermission.Add.1.Group=all", "InvalidParameterCombination"},
		"a group of nobody":       {"&LaunchPermission.Add.1.Group=friends", "InvalidParameterValue"},
		"an account that is none": {"&LaunchPermission.Add.1.UserId=42", "InvalidParameterValue"},
		"an organization":         {"&LaunchPermission.Add.1.OrganizationArn=arn:aws:organizations::123456789012:organization/o-123", "UnsupportedOperation"},
		"an empty permission":     {"&LaunchPermission.Add.1.Who=me", "InvalidParameterCombination"},
		"another attribute":       {"&Attribute=kernel&Value=aki-1", "InvalidParameterValue"},
		"product codes":           {"&ProductCode.1=abc", "UnsupportedOperation"},
	} {
		wantError(t, what, m.ask(t, m.root, "ModifyImageAttribute&ImageId="+id+c.form), 400, c.code)
	}
	wantError(t, "no id", m.ask(t, m.root, "ModifyImageAttribute&Description.Value=x"), 400, "MissingParameter")
	wantError(t, "no attribute", m.ask(t, m.root, "DescribeImageAttribute&ImageId="+id), 400, "MissingParameter")
	wantError(t, "block devices", m.ask(t, m.root, "DescribeImageAttribute&Attribute=blockDeviceMapping&ImageId="+id), 400, "AuthFailure")
}

// TestPolicies: each action asks for its own name, on the image that it is about.
func TestPolicies(t *testing.T) {
	t.Parallel()
	m := open(t)
	id := m.register(t, m.root, m.push(t, m.root, machine(t)), "web", "")
	const account = "123456789012"
	if _, err := m.organization.CreateUser(t.Context(), account, "ci"); err != nil {
		t.Fatal(err)
	}
	key, err := m.organization.CreateKey(t.Context(), account, "ci")
	if err != nil {
		t.Fatal(err)
	}
	denied := m.ask(t, key, "DescribeImages")
	wantError(t, "without a policy", denied, 403, "UnauthorizedOperation")
	if !strings.Contains(denied.body, "ec2:DescribeImages") {
		t.Errorf("it does not name the action: %s", denied.body)
	}
	err = m.organization.PutPolicy(t.Context(), account, "ci", organization.Policy{Name: "p", Document: `{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"},
		{"Effect": "Allow", "Action": "ec2:ModifyImageAttribute", "Resource": "arn:aws:ec2:us-east-1::image/` + id + `"}]}`})
	if err != nil {
		t.Fatal(err)
	}
	if a := m.ask(t, key, "DescribeImages"); a.status != 200 {
		t.Errorf("allowed: %s", a.body)
	}
	wantError(t, "a dry run that is allowed", m.ask(t, key, "DescribeRegions&DryRun=true"), 412, "DryRunOperation")
	wantError(t, "a dry run that is not", m.ask(t, key, "DeregisterImage&DryRun=true&ImageId="+id), 403, "UnauthorizedOperation")
	wantError(t, "registering", m.ask(t, key, "GetImageRepository"), 403, "UnauthorizedOperation")
	if a := m.ask(t, key, "ModifyImageAttribute&ImageId="+id+"&LaunchPermission.Add.1.Group=all"); a.status != 200 {
		t.Errorf("its own image: %s", a.body)
	}
	wantError(t, "another image", m.ask(t, key, "ModifyImageAttribute&ImageId=ami-0123456789abcdef0&LaunchPermission.Add.1.Group=all"), 403, "UnauthorizedOperation")
}

// TestAnImporter: the two actions that the manual names suffice for an import.
func TestAnImporter(t *testing.T) {
	t.Parallel()
	m := open(t)
	account, _ := m.other(t, "acme")
	if _, err := m.organization.CreateUser(t.Context(), account, "ci"); err != nil {
		t.Fatal(err)
	}
	key, err := m.organization.CreateKey(t.Context(), account, "ci")
	if err != nil {
		t.Fatal(err)
	}
	err = m.organization.PutPolicy(t.Context(), account, "ci", organization.Policy{Name: "importer", Document: `{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": "ec2:RegisterImage", "Resource": "arn:aws:ec2:us-east-1::image/*"},
		{"Effect": "Allow", "Action": "ecr:PutImage", "Resource": "arn:aws:ecr:us-east-1:` + account + `:repository/acme/ami"}]}`})
	if err != nil {
		t.Fatal(err)
	}
	id := m.register(t, key, m.push(t, key, machine(t)), "web", "")
	wantError(t, "more than importing", m.ask(t, key, "DeregisterImage&ImageId="+id), 403, "UnauthorizedOperation")
}
