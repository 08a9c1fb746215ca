package image

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"souk/artifact/appstream/resource"
	"souk/artifact/archive/archivetest"
	"souk/artifact/images"
	"souk/gateway/apierror"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
	"souk/storage/worktest"
)

func TestImportedImageHasWhatItsAMIHas(t *testing.T) {
	t.Parallel()
	h := here(t, nil)
	a := h.ami(owner, "base", base, func(r *images.Registration) { r.ProductCodes = []string{"abc123"} })
	q := request(a, "first")
	q.DisplayName, q.Description, q.Tags = "First", "the first", resource.Tags{"team": "one"}
	q.Try, q.Instance = true, "stream.standard.small"
	q.Catalog = []CatalogItem{{Name: "app", DisplayName: "App", AppPath: "/usr/bin/app", IconPath: "/opt/app/icon.png", WorkingDirectory: "/opt/app", LaunchParameters: "-x"}}
	i := h.imports(q)
	if i.State != Available || i.Reason != nil {
		t.Fatalf("it is %s: %+v", i.State, i.Reason)
	}
	if i.ARN != "arn:aws:appstream:us-east-1:111111111111:image/first" || i.Platform != "UBUNTU_PRO_2404" || i.Type != Custom || i.Visibility != Private {
		t.Errorf("it is %+v", i)
	}
	if i.Place.Repository != "ns-111111111111/appstream" || i.Place.Digest != a.Digest || i.Size != a.Size || !i.BaseReleased.Equal(a.Created) {
		t.Errorf("its bytes are %+v", i)
	}
	if len(i.Codes) != 1 || i.Codes[0] != "abc123" || i.Tags["team"] != "one" {
		t.Errorf("its codes are %q, its tags %v", i.Codes, i.Tags)
	}
	if len(i.Applications) != 1 || i.Applications[0].LaunchPath != "/usr/bin/app" || !i.Applications[0].Enabled {
		t.Fatalf("its applications are %+v", i.Applications)
	}
	at, err := h.IconURL(i.Applications[0])
	if err != nil {
		t.Fatal(err)
	}
	got, err := http.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	icon, err := io.ReadAll(got.Body)
	if err != nil || string(icon) != picture {
		t.Errorf("its icon is %q, %v", icon, err)
	}
	if version, latest := h.LatestAgent(i); version != "06-01-2026" || !latest {
		t.Errorf("its agent is %q, the latest: %v", version, latest)
	}
	h.healthy()
}

func TestImportThatIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	h := here(t, func(c *Config) { c.Limits = func(string) Limits { return Limits{Images: 1} } })
	a := h.ami(owner, "base", base)
	paravirtual := h.ami(owner, "paravirtual", base, func(r *images.Registration) { r.VirtualizationType = images.Paravirtual })
	foreign := h.ami(other, "foreign", base)
	for _, c := range []struct {
		name, want, text string
		edit             func(*ImportRequest)
		deny             string
	}{
		{"a public image of a member", "OperationNotPermittedException", "management account", func(q *ImportRequest) { q.Public = true }, ""},
		{"an AMI that is not there", "ResourceNotFoundException", "does not exist", func(q *ImportRequest) { q.AMI = "ami-00000000000000000" }, ""},
		{"an AMI of another", "ResourceNotFoundException", "does not exist", func(q *ImportRequest) { q.AMI = foreign.ID }, ""},
		{"a paravirtual AMI", "IncompatibleImageException", "paravirtual", func(q *ImportRequest) { q.AMI = paravirtual.ID }, ""},
		{"a role that is not there", "InvalidRoleException", "encountered an error because your IAM role", func(q *ImportRequest) { q.Role = "arn:aws:iam::111111111111:role/none" }, ""},
		{"a role of another", "InvalidRoleException", "encountered an error because your IAM role", func(q *ImportRequest) { q.Role = "arn:aws:iam::222222222222:role/images" }, ""},
		{"a role that may not read", "InvalidRoleException", "ec2:DescribeImages", func(*ImportRequest) {}, "ec2:DescribeImages"},
		{"a role that may not share", "InvalidRoleException", "ec2:ModifyImageAttribute", func(*ImportRequest) {}, "ec2:ModifyImageAttribute"},
		{"an instance type that is not offered", "OperationNotPermittedException", "not offered", func(q *ImportRequest) { q.Instance = "big.metal" }, ""},
		{"an application twice", "OperationNotPermittedException", "twice", func(q *ImportRequest) {
			q.Catalog = []CatalogItem{{Name: "a", AppPath: "/a"}, {Name: "a", AppPath: "/b"}}
		}, ""},
		{"a path that is not absolute", "OperationNotPermittedException", "not absolute", func(q *ImportRequest) { q.Catalog = []CatalogItem{{Name: "a", AppPath: "a"}} }, ""},
		{"an application with very long parameters", "LimitExceededException", "65536 bytes together", func(q *ImportRequest) {
			q.Catalog = []CatalogItem{{Name: "a", AppPath: "/a", LaunchParameters: strings.Repeat("x", 1<<16)}}
		}, ""},
		{"a tag that is reserved", "ValidationException", "aws:x", func(q *ImportRequest) { q.Tags = resource.Tags{"aws:x": "y"} }, ""},
		{"a dry run", "DryRunOperationException", "nothing was made", func(q *ImportRequest) { q.DryRun = true }, ""},
	} {
		q := request(a, "x")
		c.edit(&q)
		h.deny(c.deny)
		_, err := h.Import(t.Context(), q)
		t.Run(c.name, func(t *testing.T) { refused(t, err, c.want, c.text) })
	}
	h.deny("")
	h.imports(request(a, "first"))
	_, err := h.Import(t.Context(), request(a, "first"))
	refused(t, err, "ResourceAlreadyExistsException", "first")
	_, err = h.Import(t.Context(), request(a, "second"))
	refused(t, err, "LimitExceededException", "1")
	page, err := h.List(t.Context(), Query{Account: owner, Region: region})
	if err != nil || len(page.Images) != 1 {
		t.Errorf("there are %v, %v", page.Images, err)
	}
	h.healthy()
}

func TestImportThatFails(t *testing.T) {
	t.Parallel()
	h := here(t, nil)
	a := h.ami(owner, "base", base)
	for _, c := range []struct {
		name, text string
		item       CatalogItem
		boots      error
	}{
		{"no-file", "there is no file /opt/none", CatalogItem{Name: "app", AppPath: "/opt/none"}, nil},
		{"no-program", "nobody may run /opt/app/text", CatalogItem{Name: "app", AppPath: "/opt/app/text"}, nil},
		{"no-icon", "there is no icon", CatalogItem{Name: "app", AppPath: "/opt/app/run", IconPath: "/none.png"}, nil},
		{"text-for-icon", "no PNG", CatalogItem{Name: "app", AppPath: "/opt/app/run", IconPath: "/opt/app/text"}, nil},
		{"huge-icon", "1024 by 1024 pixels", CatalogItem{Name: "app", AppPath: "/opt/app/run", IconPath: "/opt/app/huge.png"}, nil},
		{"no-folder", "there is no directory", CatalogItem{Name: "app", AppPath: "/opt/app/run", WorkingDirectory: "/opt/app/run"}, nil},
		{"no-manifest", "there is no manifest", CatalogItem{Name: "app", AppPath: "/opt/app/run", ManifestPath: "/opt"}, nil},
		{"no-machine", "nothing answers", CatalogItem{Name: "app", AppPath: "/opt/app/run"}, &Unbootable{"nothing answers"}},
	} {
		h.mu.Lock()
		h.boots = c.boots
		h.mu.Unlock()
		q := request(a, c.name)
		q.Catalog = []CatalogItem{c.item}
		i := h.imports(q)
		if i.State != Failed || i.Reason == nil || i.Reason.Code != ImportFailure || !strings.Contains(i.Reason.Message, c.text) {
			t.Errorf("%s: it is %s: %+v", c.name, i.State, i.Reason)
		}
		if i.Place != (images.Place{}) || len(i.Errors) != 1 || i.Errors[0].Code != "VALIDATION_ERROR" {
			t.Errorf("%s: it has bytes %s and errors %+v", c.name, i.Place, i.Errors)
		}
		if _, err := h.Delete(t.Context(), owner, region, c.name); err != nil {
			t.Errorf("%s: deleting it: %v", c.name, err)
		}
	}
	h.healthy()
}

func TestPublicImageIsSeenEverywhere(t *testing.T) {
	t.Parallel()
	h := here(t, nil)
	q := request(h.ami(market, "base", base), "Base")
	q.Public = true
	i := h.imports(q)
	if i.State != Available || i.Visibility != Public || i.Type != Native || i.ARN != "arn:aws:appstream:us-east-1::image/Base" {
		t.Fatalf("it is %+v", i)
	}
	got, err := h.Usable(t.Context(), other, "eu-west-1", "Base")
	if err != nil || got.ARN != "arn:aws:appstream:eu-west-1::image/Base" {
		t.Errorf("elsewhere it is %s, %v", got.ARN, err)
	}
	got, err = h.Usable(t.Context(), other, "eu-west-1", "arn:aws:appstream:eu-west-1::image/Base")
	if err != nil || got.ID != i.ID {
		t.Errorf("by its ARN it is %s, %v", got.ID, err)
	}
	_, err = h.Usable(t.Context(), other, "eu-west-1", "arn:aws:appstream:us-east-1::image/Base")
	refused(t, err, "ResourceNotFoundException", "does not exist")
	_, err = h.Delete(t.Context(), other, region, "Base")
	refused(t, err, "ResourceNotFoundException", "The image Base for account 222222222222 does not exist.")
	if _, err = h.Delete(t.Context(), market, "eu-west-1", "Base"); err != nil {
		t.Errorf("deleting it: %v", err)
	}
	h.healthy()
}

func TestBuilderMakesAnImage(t *testing.T) {
	t.Parallel()
	h := here(t, nil)
	first := h.image(owner, "first")
	i := h.begin(first, "second", func(b *Beginning) {
		b.Applications = []Application{{Name: "new", LaunchPath: "/opt/new", Enabled: true, Icon: []byte(picture), Metadata: map[string]string{"k": "v"}}}
		b.Tags = resource.Tags{"a": "b"}
	})
	if i.State != Pending || i.BaseARN != first.ARN {
		t.Errorf("it begins as %+v", i)
	}
	_, err := h.Usable(t.Context(), owner, region, "second")
	refused(t, err, "ResourceNotAvailableException", "The image second is PENDING. The image must be in an AVAILABLE state for this action to succeed.")
	_, err = h.Delete(t.Context(), owner, region, "second")
	refused(t, err, "OperationNotPermittedException", "PENDING")
	_, _, err = h.Begin(t.Context(), Beginning{Account: owner, Region: region, Name: "second", Base: first})
	refused(t, err, "ResourceAlreadyExistsException", "second")
	h.commit(h.Finish(t.Context(), i, h.layer(program("opt/new", "new"))))
	made, err := h.Usable(t.Context(), owner, region, "second")
	if err != nil {
		t.Fatal(err)
	}
	if got := h.files(made, "/opt/new", "/opt/app/run", "/opt/none"); got != "/opt/new /opt/app/run" {
		t.Errorf("it has %s", got)
	}
	if made.BaseARN != first.ARN || made.BuilderName != "builder" || made.Type != Custom || !made.BaseReleased.Equal(first.BaseReleased) || made.Size <= first.Size {
		t.Errorf("it is %+v", made)
	}
	_, err = h.Finish(t.Context(), i, nil)
	if err == nil || !strings.Contains(err.Error(), ErrSettled.Error()) {
		t.Errorf("finishing it twice: %v", err)
	}
	third := h.begin(first, "third")
	h.commit(h.Fail(t.Context(), third, Reason{BuilderNotAvailable, "the builder is gone"}))
	if got := h.ended(third); got.State != Failed || got.Reason.Code != BuilderNotAvailable {
		t.Errorf("it ended as %s, %+v", got.State, got.Reason)
	}
	h.healthy()
}

func TestOfImagesOfBuildersIsTold(t *testing.T) {
	t.Parallel()
	var told []Event
	h := open(t, sqlitetest.Open(t), func(c *Config) { c.Observe = func(e Event) { told = append(told, e) } })
	batch := store.Batch{Put: []store.Write{{Document: store.Document{Key: store.Key{Kind: "another", ID: "one"}}}}}
	for _, i := range []Image{
		{Owner: owner, Account: owner, Region: region, Name: "made", ID: "img-00000000000000001", State: Available},
		{Owner: owner, Account: owner, Region: region, Name: "failed", ID: "img-00000000000000002", State: Failed, Reason: &Reason{BuilderNotAvailable, "gone"}},
	} {
		d, err := i.document()
		if err != nil {
			t.Fatal(err)
		}
		batch.Put = append(batch.Put, store.Write{Document: d})
	}
	h.Committed(batch)
	want := []Event{{Image: "img-00000000000000001", State: "AVAILABLE"}, {Image: "img-00000000000000002", State: "FAILED", Code: BuilderNotAvailable}}
	if !slices.Equal(told, want) {
		t.Errorf("told is %+v, want %+v", told, want)
	}
}

func TestHostileLayerMakesNoImage(t *testing.T) {
	t.Parallel()
	h := here(t, nil)
	i := h.begin(h.image(owner, "first"), "second")
	_, err := h.Finish(t.Context(), i, h.layer(archivetest.File("../../etc/passwd", "x")))
	if err == nil || !strings.Contains(err.Error(), images.ErrBadImage.Error()) {
		t.Errorf("it was accepted: %v", err)
	}
	h.commit(h.Fail(t.Context(), i, Reason{InternalError, err.Error()}))
	page, err := h.List(t.Context(), Query{Account: owner, Region: region, Names: []string{"second"}})
	if err != nil || len(page.Images) != 1 || len(page.Images[0].Errors) != 1 || page.Images[0].Errors[0].Code != "INTERNAL_SERVICE_ERROR" {
		t.Errorf("it is %+v, %v", page.Images, err)
	}
	h.healthy()
}

func TestDryRunOfABuilderMakesNothing(t *testing.T) {
	t.Parallel()
	h := here(t, nil)
	_, batch, err := h.Begin(t.Context(), Beginning{Account: owner, Region: region, Name: "second", Base: h.image(owner, "first"), DryRun: true})
	if err != nil || len(batch.Put) > 0 {
		t.Errorf("it makes %v, %v", batch.Put, err)
	}
}

// Lists show the applications of all images of a page: an image whose applications
// have too much to say is none.
func TestApplicationsWithTooMuchMetadataMakeNoImage(t *testing.T) {
	t.Parallel()
	h := here(t, nil)
	q := Beginning{Account: owner, Region: region, Name: "second", Base: h.image(owner, "first"), DryRun: true}
	metadata := map[string]string{}
	for n := range 50 {
		metadata[fmt.Sprint(n)] = strings.Repeat("x", 256)
	}
	for n := range 4 {
		q.Applications = append(q.Applications, Application{Name: fmt.Sprint(n), LaunchPath: "/app", Metadata: metadata})
	}
	if _, _, err := h.Begin(t.Context(), q); err != nil {
		t.Error(err)
	}
	q.Applications = append(q.Applications, Application{Name: "one too many", LaunchPath: "/app", Metadata: metadata})
	_, _, err := h.Begin(t.Context(), q)
	refused(t, err, "LimitExceededException", "65536 bytes together")
}

func TestCopyHasItsOwnLife(t *testing.T) {
	t.Parallel()
	h := here(t, nil)
	first := h.image(owner, "first")
	if err := h.Tag(t.Context(), owner, region, "first", resource.Tags{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	i, err := h.Copy(t.Context(), CopyRequest{Account: owner, Region: region, Source: "first", Name: "copy", To: "eu-west-1"})
	if err != nil || i.State != Copying {
		t.Fatalf("it begins as %s, %v", i.State, err)
	}
	got := h.ended(i)
	if got.State != Available || got.Place != first.Place || len(got.Tags) > 0 || got.Region != "eu-west-1" || got.ID == first.ID {
		t.Errorf("it is %+v", got)
	}
	if _, err := h.Delete(t.Context(), owner, region, "first"); err != nil {
		t.Fatal(err)
	}
	if got := h.files(got, "/opt/app/run"); got == "" {
		t.Error("the copy has lost its bytes with its source")
	}
	_, err = h.Copy(t.Context(), CopyRequest{Account: owner, Region: region, Source: "first", Name: "again", To: region})
	refused(t, err, "ResourceNotFoundException", "does not exist")
	_, err = h.Copy(t.Context(), CopyRequest{Account: owner, Region: "eu-west-1", Source: "copy", Name: "copy", To: "eu-west-1"})
	refused(t, err, "ResourceAlreadyExistsException", "copy")
	h.healthy()
}

// A source that is changed by others all the time is copied when it is left alone,
// and is not waited for without an end.
func TestCopyOfASourceThatChangesMeanwhile(t *testing.T) {
	t.Parallel()
	h := here(t, nil)
	h.image(owner, "first")
	changes := 0
	q := CopyRequest{Account: owner, Region: region, Source: "first", Name: "copy", To: region}
	most := copyTries
	q.Begins = func(Image) {
		if changes == most {
			return
		}
		changes++
		if err := h.Tag(t.Context(), owner, region, "first", resource.Tags{"change": fmt.Sprint(changes)}); err != nil {
			t.Error(err)
		}
	}
	_, err := h.Copy(t.Context(), q)
	refused(t, err, "ResourceNotAvailableException", "first is being changed")
	changes, most = 0, copyTries-1
	i, err := h.Copy(t.Context(), q)
	if err != nil || h.ended(i).State != Available || changes != most {
		t.Errorf("after %d changes: %+v, %v", changes, i, err)
	}
	h.healthy()
}

func TestCopyOfLostBytesFails(t *testing.T) {
	t.Parallel()
	h := here(t, nil)
	first := h.image(owner, "first")
	h.lose(first)
	i, err := h.Copy(t.Context(), CopyRequest{Account: owner, Region: region, Source: "first", Name: "copy", To: region})
	if err != nil {
		t.Fatal(err)
	}
	if got := h.ended(i); got.State != Failed || got.Reason.Code != CopyFailure {
		t.Errorf("it ended as %s, %+v", got.State, got.Reason)
	}
}

func TestSharing(t *testing.T) {
	t.Parallel()
	h := here(t, func(c *Config) {
		c.Limits = func(string) Limits { return Limits{Shared: 2} }
		c.MayUse = nil
	})
	i := h.image(owner, "first")
	ctx := t.Context()
	_, err := h.Usable(ctx, other, region, i.ARN)
	refused(t, err, "ResourceNotFoundException", "does not exist")
	if err := h.Share(ctx, owner, region, "first", other, Permissions{AllowFleet: true}); err != nil {
		t.Fatal(err)
	}
	_, err = h.Usable(ctx, other, region, i.ARN)
	refused(t, err, "ResourceNotAvailableException", "not for image builders")
	if err := h.Share(ctx, owner, region, "first", other, Permissions{AllowImageBuilder: true}); err != nil {
		t.Fatal(err)
	}
	got, err := h.Usable(ctx, other, region, i.ARN)
	if err != nil || got.Visibility != Shared {
		t.Errorf("it is %s for another, %v", got.Visibility, err)
	}
	page, err := h.List(ctx, Query{Account: other, Region: region, Type: Shared})
	if err != nil || len(page.Images) != 1 || page.Images[0].ID != i.ID {
		t.Errorf("another sees %+v, %v", page.Images, err)
	}
	if page, err = h.List(ctx, Query{Account: other, Region: "eu-west-1"}); err != nil || len(page.Images) != 0 {
		t.Errorf("another sees %+v elsewhere, %v", page.Images, err)
	}
	_, err = h.Delete(ctx, owner, region, "first")
	refused(t, err, "OperationNotPermittedException", "shared")
	_, err = h.Delete(ctx, other, region, "first")
	refused(t, err, "ResourceNotFoundException", "does not exist")
	if err := h.Share(ctx, owner, region, "first", "333333333333", Permissions{}); err != nil {
		t.Fatal(err)
	}
	refused(t, h.Share(ctx, owner, region, "first", "444444444444", Permissions{}), "LimitExceededException", "2")
	refused(t, h.Share(ctx, owner, region, "first", owner, Permissions{}), "ValidationException", "another account")
	refused(t, h.Share(ctx, other, region, "first", owner, Permissions{}), "ResourceNotFoundException", "does not exist")
	one := 1
	list, next, err := h.Permissions(ctx, PermissionsQuery{Account: owner, Region: region, Name: "first", MaxResults: &one})
	if err != nil || len(list) != 1 || list[0].Account != other || next == "" {
		t.Fatalf("it is shared with %+v, %q, %v", list, next, err)
	}
	list, next, err = h.Permissions(ctx, PermissionsQuery{Account: owner, Region: region, Name: "first", MaxResults: &one, NextToken: &next})
	if err != nil || len(list) != 1 || list[0].Account != "333333333333" || next != "" {
		t.Errorf("then with %+v, %q, %v", list, next, err)
	}
	list, _, err = h.Permissions(ctx, PermissionsQuery{Account: owner, Region: region, Name: "first", Accounts: []string{other, "555555555555"}})
	if err != nil || len(list) != 1 || !list[0].AllowImageBuilder {
		t.Errorf("of two it is shared with %+v, %v", list, err)
	}
	// A builder of another account keeps the bytes, not the image.
	h.mu.Lock()
	h.used[i.ID], h.by = true, "arn:aws:appstream:us-east-1:222222222222:image-builder/theirs"
	h.mu.Unlock()
	for _, account := range []string{other, "333333333333"} {
		if err := h.Unshare(ctx, owner, region, "first", account); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, h.Unshare(ctx, owner, region, "first", other), "ResourceNotFoundException", "not shared")
	if _, err := h.Delete(ctx, owner, region, "first"); err != nil {
		t.Fatal(err)
	}
	_, err = h.Usable(ctx, other, region, i.ARN)
	refused(t, err, "ResourceNotFoundException", "does not exist")
	if lost, err := h.Lost(ctx, i.Place.Repository, i.ID); lost || err != nil {
		t.Errorf("the bytes of a builder are lost: %v, %v", lost, err)
	}
	tags, err := h.below.Registry.Tags(ctx, i.Place.Repository)
	if _, ok := tags[i.ID]; !ok || err != nil {
		t.Errorf("nothing holds the bytes of a builder: %v, %v", tags, err)
	}
	h.mu.Lock()
	h.used = map[string]bool{}
	h.mu.Unlock()
	if lost, err := h.Lost(ctx, i.Place.Repository, i.ID); !lost || err != nil {
		t.Errorf("the bytes of nobody are not lost: %v, %v", lost, err)
	}
	h.healthy()
}

func TestImageOfAProductIsNotForThoseWhoMayNotObtainIt(t *testing.T) {
	t.Parallel()
	h := here(t, func(c *Config) {
		c.MayUse = func(_ context.Context, account string, _ Image) (string, error) {
			return "the product is not for " + account, nil
		}
	})
	i := h.imports(request(h.ami(owner, "base", base, func(r *images.Registration) { r.ProductCodes = []string{"abc"} }), "first"))
	if err := h.Share(t.Context(), owner, region, "first", other, Permissions{AllowImageBuilder: true}); err != nil {
		t.Fatal(err)
	}
	_, err := h.Usable(t.Context(), other, region, i.ARN)
	refused(t, err, "OperationNotPermittedException", "the product is not for 222222222222")
	if _, err := h.Usable(t.Context(), owner, region, "first"); err != nil {
		t.Errorf("its owner may not use it: %v", err)
	}
}

func TestDeletingAnImage(t *testing.T) {
	t.Parallel()
	h := here(t, nil)
	i := h.image(owner, "first")
	h.mu.Lock()
	h.used[i.ID] = true
	h.mu.Unlock()
	_, err := h.Delete(t.Context(), owner, region, "first")
	refused(t, err, "ResourceInUseException", "image-builder/one")
	if got, err := h.see(i); err != nil || got.State != Available {
		t.Errorf("it is %s, %v", got.State, err)
	}
	h.mu.Lock()
	h.used = map[string]bool{}
	h.mu.Unlock()
	got, err := h.Delete(t.Context(), owner, region, "first")
	if err != nil || got.State != Deleting {
		t.Errorf("it was %s, %v", got.State, err)
	}
	_, err = h.Delete(t.Context(), owner, region, "first")
	refused(t, err, "ResourceNotFoundException", "The image first for account 111111111111 does not exist.")
	tags, err := h.below.Registry.Tags(t.Context(), i.Place.Repository)
	if len(tags) > 0 || err != nil {
		t.Errorf("its tag is left: %v, %v", tags, err)
	}
	h.healthy()
}

func TestDeletingGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	h := here(t, nil)
	i := h.image(owner, "first")
	i.State = Deleting
	w, err := i.write()
	if err != nil {
		t.Fatal(err)
	}
	w.Due = h.runner.Now()
	h.commit(store.Batch{Put: []store.Write{w}}, nil)
	_, err = h.Delete(t.Context(), owner, region, "first")
	if !apierror.Is(err, "ConcurrentModificationException") && !apierror.Is(err, "ResourceNotFoundException") {
		t.Errorf("deleting it twice: %v", err)
	}
	worktest.Until(t, "it is gone", func() bool {
		_, err := h.see(i)
		return apierror.Is(err, "ResourceNotFoundException")
	})
	worktest.Until(t, "its tag is gone", func() bool {
		tags, err := h.below.Registry.Tags(t.Context(), i.Place.Repository)
		return err == nil && len(tags) == 0
	})
	h.healthy()
}

func TestListing(t *testing.T) {
	t.Parallel()
	h := here(t, nil)
	ctx := t.Context()
	a := h.ami(owner, "base", base)
	for _, name := range []string{"c", "a", "b"} {
		h.imports(request(a, name))
	}
	public := request(h.ami(market, "base", base), "b")
	public.Public = true
	h.imports(public)
	theirs := h.image(other, "theirs")
	if err := h.Share(ctx, other, region, "theirs", owner, Permissions{AllowImageBuilder: true}); err != nil {
		t.Fatal(err)
	}
	var got []string
	two := 2
	for q := (Query{Account: owner, Region: region, MaxResults: &two}); ; {
		page, err := h.List(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.Images {
			got = append(got, string(i.Visibility)+" "+i.Name)
		}
		if page.NextToken == "" {
			break
		}
		q.NextToken = &page.NextToken
		if _, err := h.List(ctx, Query{Account: other, Region: region, NextToken: q.NextToken}); !apierror.Is(err, "ValidationException") {
			t.Errorf("another's token: %v", err)
		}
	}
	if strings.Join(got, ", ") != "PRIVATE a, PRIVATE b, PRIVATE c, SHARED theirs, PUBLIC b" {
		t.Errorf("there are %s", strings.Join(got, ", "))
	}
	page, err := h.List(ctx, Query{Account: owner, Region: region, Names: []string{"b", "a"}})
	if err != nil || len(page.Images) != 3 {
		t.Errorf("by name there are %+v, %v", page.Images, err)
	}
	page, err = h.List(ctx, Query{Account: owner, Region: region, ARNs: []string{theirs.ARN}})
	if err != nil || len(page.Images) != 1 {
		t.Errorf("by ARN there are %+v, %v", page.Images, err)
	}
	_, err = h.List(ctx, Query{Account: owner, Region: region, Names: []string{"none"}})
	refused(t, err, "ResourceNotFoundException", "The image none for account 111111111111 does not exist.")
	_, err = h.List(ctx, Query{Account: owner, Region: region, Names: []string{"a"}, Type: Public})
	refused(t, err, "ResourceNotFoundException", "The image a ")
	_, err = h.List(ctx, Query{Account: owner, Region: region, Names: []string{"a"}, ARNs: []string{theirs.ARN}})
	refused(t, err, "InvalidParameterCombinationException", "together")
	counts, err := h.Count(ctx)
	if err != nil || counts[Available] != 5 {
		t.Errorf("of each state there are %v, %v", counts, err)
	}
}
