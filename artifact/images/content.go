package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"souk/artifact/registry"
	"souk/catalog/change"
	"souk/storage/store"
)

// This file is for those that keep images of their own beside the AMIs (AppStream):
// the bytes of an image, wherever it lies, go into a repository with one layer
// more or as they are, and a tag and its document hold them there.

// Place is where an image lies in the registry.
type Place struct {
	Repository string // NAMESPACE/NAME
	Digest     string // of its manifest, sha256:...
}

func (p Place) String() string { return p.Repository + "@" + p.Digest }

// Content is the bytes of an image and what they are.
type Content struct {
	Place
	Architecture string // x86_64 or arm64
	Platform     string // as an AMI's
	OS           OSRelease
	Size         int64 // bytes of its layers as they are stored
	Unpacked     int64 // bytes of its layers after decompression
}

// Content is the AMI's.
func (a AMI) Content() Content {
	return Content{Place{a.Repository, a.Digest}, a.Architecture, a.Platform, a.OS, a.Size, a.Unpacked}
}

// set makes the content the AMI's.
func (a *AMI) set(c Content) {
	a.Repository, a.Digest, a.Architecture, a.Platform, a.OS, a.Size, a.Unpacked = c.Repository, c.Digest, c.Architecture, c.Platform, c.OS, c.Size, c.Unpacked
}

// appStreamName is the last part of the repository of an account's AppStream images.
const appStreamName = "appstream"

// AppStreamRepository returns the repository that an account's AppStream images lie
// in, NAMESPACE/appstream. It is made when it is not there.
func (m *Images) AppStreamRepository(ctx context.Context, s change.Seller) (string, error) {
	return m.repository(ctx, s, appStreamName)
}

// Append puts an image into a repository with one layer more, or as it is if
// layer is nil, and returns what it is there. Doing it twice is no error. No tag
// holds it yet (Tag). by and at are for the image's history. Errors: ErrNoImage
// (of the base), ErrBadImage (the layer is refused, or what it makes of the image).
func (m *Images) Append(ctx context.Context, repository string, base Content, layer *LayerFile, by string, at time.Time) (Content, error) {
	made := base
	if layer == nil {
		err := m.link(ctx, repository, base.Place)
		made.Repository = repository
		return made, err
	}
	// Both at a time: of a layer that is refused a blob stays that no tag names.
	examined := make(chan error, 1)
	go func() { examined <- m.examine(ctx, &made, base, layer) }()
	digest, err := m.append(ctx, repository, base.Place, layer, by, at)
	if refused := <-examined; refused != nil {
		err = refused
	}
	if err != nil {
		return Content{}, err
	}
	made.Place = Place{repository, digest}
	return made, nil
}

// link puts an image into a repository as it is: its blobs are linked.
func (m *Images) link(ctx context.Context, repository string, from Place) error {
	mediaType, payload, err := m.config.Registry.Manifest(ctx, from.Repository, from.Digest)
	if err != nil {
		return noImage(err)
	}
	if repository == from.Repository {
		return nil
	}
	err = m.config.Registry.Put(ctx, repository, registry.Parcel{MediaType: mediaType, Manifest: payload, From: from.Repository})
	if err != nil {
		return noImage(err)
	}
	return nil
}

// Tag has a tag hold an image, and returns the write that says so: nobody can push
// the tag again while its document is there. Until it is committed the tag is
// souk gc's, if whoever is asked (registry.Sweep.Stale) says that it is lost.
func (m *Images) Tag(ctx context.Context, p Place, tag string) (store.Write, error) {
	err := m.config.Registry.Tag(ctx, p.Repository, tag, p.Digest)
	if err != nil {
		return store.Write{}, noImage(err)
	}
	return p.tagged(tag)
}

// tagged is the write of the document of a tag.
func (p Place) tagged(tag string) (store.Write, error) {
	body, err := json.Marshal(registry.Tag{Digest: p.Digest})
	if err != nil {
		return store.Write{}, fmt.Errorf("writing the tag %s of %s: %w", tag, p, err)
	}
	return store.Write{Document: store.Document{Key: p.tagKey(tag), Body: body}}, nil
}

// Untagged is the removal of the document of a tag. Untag comes after its commit.
func (p Place) Untagged(tag string) store.Removal {
	return store.Removal{Key: p.tagKey(tag), Was: store.Any}
}

func (p Place) tagKey(tag string) store.Key {
	return store.Key{Kind: registry.KindTag, ID: p.Repository + ":" + tag}
}

// HasTag says whether the document of a tag is there, and holds the image.
func (m *Images) HasTag(ctx context.Context, p Place, tag string) (bool, error) {
	d, err := m.config.Store.Get(ctx, p.tagKey(tag))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for the tag %s of %s: %w", tag, p, err)
	}
	var t registry.Tag
	err = json.Unmarshal(d.Body, &t)
	return err == nil && t.Digest == p.Digest, nil
}

// Untag takes a tag away; it is no error if it isn't there.
func (m *Images) Untag(ctx context.Context, p Place, tag string) error {
	return m.config.Registry.Untag(ctx, p.Repository, tag)
}

// Whole is nil if the registry has all layers of an image with the size that they
// had, else ErrNoImage or ErrBadImage.
func (m *Images) Whole(ctx context.Context, p Place) error {
	return amis{m}.readable(ctx, p)
}

// Only returns the one image of a place. Errors as those of Images; an index is ErrBadImage.
func (m *Images) Only(ctx context.Context, p Place) (Image, error) {
	all, err := m.Images(ctx, p.Repository, p.Digest)
	if err != nil {
		return Image{}, err
	}
	if len(all) != 1 {
		return Image{}, bad("%s is an index of %d images", p, len(all))
	}
	return all[0], nil
}

// StrayTags returns the tags of a repository that hold images for nobody: old
// enough, and lost, as lost says. For doctors.
func (m *Images) StrayTags(ctx context.Context, repository string, lost func(ctx context.Context, repository, tag string) (bool, error)) ([]string, error) {
	tags, err := m.config.Registry.Tags(ctx, repository)
	if err != nil {
		return nil, err
	}
	var stray []string
	for tag, written := range tags {
		if m.config.Now().Sub(written) < registry.Idle {
			continue // its record may be on its way
		}
		is, err := lost(ctx, repository, tag)
		if err != nil {
			return nil, err
		}
		if is {
			stray = append(stray, tag)
		}
	}
	slices.Sort(stray)
	return stray, nil
}

// AppStreamRepositories calls f for each repository of AppStream images.
func (m *Images) AppStreamRepositories(ctx context.Context, f func(repository string) error) error {
	walker, ok := m.config.Store.(store.Walker)
	if !ok {
		return errors.New("looking for the repositories of AppStream images: the store can't be walked")
	}
	return walker.Walk(ctx, registry.KindRepository, func(d store.Document) error {
		if _, name, _ := strings.Cut(d.ID, "/"); name != appStreamName {
			return nil
		}
		return f(d.ID)
	})
}

// AMI is what a machine image of the content would be, for a Derivation's Source: it
// has no id, name or owner.
func (c Content) AMI() AMI {
	a := AMI{VirtualizationType: HVM, RootDeviceType: EBS, EnaSupport: true, State: StateAvailable}
	a.set(c)
	return a
}
