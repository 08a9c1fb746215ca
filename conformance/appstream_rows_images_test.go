package conformance

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// This file is the states of AppStream images, and what the operations answer in them.

// images goes through all states of images, and the reasons why they fail.
func (l *life) images(friend *life) {
	t := l.t
	imported := func(called string, pairs ...any) string {
		return in(append([]any{"Name", called, "SourceAmiId", l.ami, "IamRoleArn", l.role}, pairs...)...)
	}
	l.ask("CreateImportedImage", imported("kept"), nil)
	l.available("kept")
	failed := func(called string) {
		t.Helper()
		until(t, called+" FAILED", func() bool { return l.image(called).State == "FAILED" })
	}
	// A program that is not there, and a file that is none of an image.
	l.ask("CreateImportedImage", imported("broken", "AppCatalogConfig", []any{map[string]string{"Name": "Absent", "AbsoluteAppPath": "/opt/absent"}}), nil)
	failed("broken")
	l.runs("worker", "kept")
	l.inside("worker", "sh", "-c", "echo >/root/.wh.none; image-assistant create-image --name odd")
	failed("odd")
	l.settles("worker")

	l.ask("UpdateImagePermissions", in("Name", "kept", "SharedAccountId", friend.account.ID, "ImagePermissions", map[string]bool{"allowImageBuilder": true}), nil)
	var page struct{ Images []appImage }
	friend.ask("DescribeImages", in("Type", "SHARED"), &page)
	if len(page.Images) != 1 || page.Images[0].Name != "kept" {
		t.Fatalf("what is shared is %+v", page)
	}
	l.saw("Image.Visibility", page.Images[0].Visibility)
	l.ask("DeleteImagePermissions", in("Name", "kept", "SharedAccountId", friend.account.ID), nil)
	l.image(baseImage)

	stop := l.watching()
	l.meanwhile("Image.State", []string{"CREATING", "IMPORTING", "VALIDATING", "COPYING", "DELETING", "PENDING"}, func(n int) {
		made, copied := fmt.Sprint("made-", n), fmt.Sprint("copied-", n)
		l.ask("CreateImportedImage", imported(made), nil)
		l.ask("CopyImage", in("SourceImageName", "kept", "DestinationImageName", copied, "DestinationRegion", "us-east-1"), nil)
		for _, called := range []string{made, copied} {
			l.available(called)
			l.ask("DeleteImage", in("Name", called), nil)
		}
		if !l.has("Image.State", "PENDING") {
			called := fmt.Sprint("pending-", n)
			l.runs(called, "kept")
			l.inside(called, "image-assistant", "create-image", "--name", called)
			l.ends(called)
		}
	})
	for operation, states := range map[string][]string{
		"CreateImageBuilder": {"COPYING"}, "CopyImage": {"COPYING"}, "CreateExportImageTask": {"COPYING"}, "DeleteImagePermissions": {"COPYING"}, "DeleteImage": {"COPYING"},
	} {
		l.meanwhile(refusedIn+operation, states, func(n int) {
			called := fmt.Sprintf("poked-%s-%d", operation, n)
			l.ask("CopyImage", in("SourceImageName", "kept", "DestinationImageName", called, "DestinationRegion", "us-east-1"), nil)
			l.pokeImage(called)
			until(t, called+" gone", func() bool {
				_, err := l.do(t, "DeleteImage", in("Name", called))
				var is *refusal
				return errors.As(err, &is) && is.Code == notFound
			})
		})
	}
	stop()

	// The owner removes the image's bytes from the registry.
	l.ask("StartImageBuilder", in("Name", "worker"), nil)
	l.reaches("worker", "RUNNING", "PENDING")
	l.removeLayers()
	l.ask("CopyImage", in("SourceImageName", "kept", "DestinationImageName", "hollow", "DestinationRegion", "us-east-1"), nil)
	failed("hollow")
	l.ask("CreateImageBuilder", builderInput("baseless", "kept"), nil)
	l.reaches("baseless", "FAILED", "PENDING")
	l.inside("worker", "sh", "-c", "rm /root/.wh.none; image-assistant create-image --name orphan")
	failed("orphan")
	l.ends("worker")
	l.ends("baseless")
}

// removeLayers deletes all that the account has in the repository of its AppStream
// images.
func (l *life) removeLayers() {
	t := l.t
	ami := l.souk("image", "repository") // HOST/NAMESPACE/ami
	repository, err := name.NewRepository(path.Dir(ami)+"/appstream", name.Insecure)
	must(t, err)
	options := l.s.Remote(t.Context())
	tags, err := remote.List(repository, options...)
	must(t, err)
	if len(tags) == 0 {
		t.Fatalf("%s has no images", repository)
	}
	gone := map[string]bool{}
	for _, tag := range tags {
		d, err := remote.Head(repository.Tag(tag), options...)
		if err != nil {
			continue // of an image that went with another tag
		}
		gone[d.Digest.String()] = true
	}
	for digest := range gone {
		must(t, remote.Delete(repository.Digest(digest), options...))
	}
}

// imageRules are the exceptions by which operations refuse an image that is in a
// state which they are not for, and inputs that are refused for something else, or
// do nothing, where the state is right.
var imageRules = map[string]struct {
	exception string
	input     func(l *life, image string) string
	otherwise []string // exceptions in the state AVAILABLE
}{
	"CreateImageBuilder": {notAvailable, func(_ *life, image string) string {
		return builderInput("never", image, "InstanceType", "stream.graphics-pro.4xlarge")
	}, []string{incompatible}},
	"CopyImage": {notAvailable, func(_ *life, image string) string {
		return in("SourceImageName", image, "DestinationImageName", "kept", "DestinationRegion", "us-east-1")
	}, []string{alreadyExists}},
	"CreateExportImageTask": {notAvailable, func(l *life, image string) string {
		return in("ImageName", image, "AmiName", "never", "IamRoleArn", l.role+"-that-is-not")
	}, []string{invalidRole}},
	"DeleteImagePermissions": {notAvailable, func(_ *life, image string) string {
		return in("Name", image, "SharedAccountId", "900000000001")
	}, nil},
	"DeleteImage": {notPermitted, func(_ *life, image string) string { return in("Name", image) }, nil},
}

// pokeImage sends all operations on an image at once, as poke does.
func (l *life) pokeImage(image string) {
	l.t.Helper()
	var all sync.WaitGroup
	for operation, rule := range imageRules {
		all.Go(func() {
			_, err := l.do(l.t, operation, rule.input(l, image))
			var is *refusal
			if err == nil || errors.As(err, &is) && (is.Code == notFound || is.Code == concurrent || slices.Contains(rule.otherwise, is.Code)) {
				return
			}
			if is == nil {
				l.t.Errorf("%s %s: %v", operation, image, err)
				return
			}
			_, rest, _ := strings.Cut(is.Message, "The image "+image+" is ")
			state, _, _ := strings.Cut(rest, ".")
			if is.Code != rule.exception || state == "" || state == "AVAILABLE" {
				l.t.Errorf("%s of one that is %q is refused by %v, want %s", operation, state, is, rule.exception)
			}
			l.saw(refusedIn+operation, state)
		})
	}
	all.Wait()
}
