package image

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"souk/artifact/images"
	"souk/storage/store"
	"souk/storage/store/audit"
)

// Doctor says what is wrong with the images: each that is being made is work or
// its builder's, each that is AVAILABLE has its tag, its icons and whole layers, and
// each export under way holds the name of its AMI; and that no tag holds bytes for
// nobody (souk gc removes those). Layers that the registry hasn't got are no fault:
// their owner may delete them. It may run while images come and go: what is found
// wrong is looked at again.
func (r *Images) Doctor(ctx context.Context) ([]string, error) {
	wrong, err := audit.Documents(ctx, r.config.Store, map[string]audit.Look{Kind: r.wrong, KindTask: r.wrongTask})
	if err != nil {
		return nil, fmt.Errorf("verifying the AppStream images: %w", err)
	}
	var findings []string
	for _, w := range wrong {
		findings = append(findings, w.String())
	}
	err = r.config.AMIs.AppStreamRepositories(ctx, func(repository string) error {
		stray, err := r.config.AMIs.StrayTags(ctx, repository, r.Lost)
		if err == nil && len(stray) > 0 {
			findings = append(findings, fmt.Sprintf("repository %s: images are held by tags that nobody has: %s (souk gc removes them)", repository, strings.Join(stray, ", ")))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("verifying the AppStream images: %w", err)
	}
	slices.Sort(findings)
	return findings, nil
}

// wrong says what is wrong with an image, "" if nothing is.
func (r *Images) wrong(ctx context.Context, d store.Document) (string, error) {
	i, err := decode(d, "", "")
	if err != nil {
		return "it can't be read: " + err.Error(), nil
	}
	switch {
	case i.Key() != d.Key || !formOfID.MatchString(i.ID) || i.Owner == "":
		return "it lacks its id, its owner, or its place", nil
	case !slices.Contains(States(), i.State):
		return fmt.Sprintf("it is %q, which is no state", i.State), nil
	case working(i.State) && d.Due.IsZero():
		return fmt.Sprintf("it is %s and nobody will go on with it", i.State), nil
	case i.State == Available && !d.Due.IsZero():
		return "it is work, and AVAILABLE", nil
	case i.State == Available && i.Place == (images.Place{}):
		return "it is AVAILABLE and has no bytes", nil
	case i.State != Available && i.State != Failed && i.State != Deleting && i.Origin == nil:
		return fmt.Sprintf("it is %s, and what it is made from is not known", i.State), nil
	case i.State == Failed && i.Reason == nil:
		return "it is FAILED for no reason", nil
	case i.State != Available && len(i.Shared) > 0 && i.State != Deleting:
		return fmt.Sprintf("it is %s and shared", i.State), nil
	case i.State != Available:
		return "", nil
	}
	for _, a := range i.Applications {
		if a.IconBlob == "" {
			continue
		}
		there, err := r.config.Blobs.Has(ctx, KindIcons, a.IconBlob)
		if err != nil {
			return "", err
		}
		if !there {
			return fmt.Sprintf("the icon of its application %s is gone", a.Name), nil
		}
	}
	held, err := r.config.AMIs.HasTag(ctx, i.Place, i.ID)
	if err != nil {
		return "", err
	}
	if !held {
		return fmt.Sprintf("its bytes %s are held by no tag", i.Place), nil
	}
	_, err = r.config.AMIs.Images(ctx, i.Place.Repository, i.Place.Digest)
	if errors.Is(err, images.ErrNoImage) {
		return "", nil // its owner has deleted it
	}
	if err == nil {
		err = r.config.AMIs.Whole(ctx, i.Place)
	}
	if errors.Is(err, images.ErrNoImage) || errors.Is(err, images.ErrBadImage) {
		return fmt.Sprintf("its bytes %s are not whole: %v", i.Place, err), nil
	}
	return "", err
}

// wrongTask says what is wrong with an export task, "" if nothing is.
func (r *Images) wrongTask(ctx context.Context, d store.Document) (string, error) {
	t, err := decodeTask(d)
	if err != nil {
		return "it can't be read: " + err.Error(), nil
	}
	if t.ID != d.ID || t.Account == "" || t.AMI == "" {
		return "it lacks its id, its account, or its AMI", nil
	}
	holds, err := r.config.AMIs.Holds(ctx, t.Account, t.AMIName, d.Key)
	if err != nil {
		return "", err
	}
	switch {
	case d.Due.IsZero():
		return fmt.Sprintf("it is %s, and no work: nobody will go on with it", t.State), nil
	case t.State == Exporting && !holds:
		return fmt.Sprintf("it is EXPORTING and does not hold the name %q", t.AMIName), nil
	case t.State != Exporting && holds:
		return fmt.Sprintf("it is %s and holds the name %q still", t.State, t.AMIName), nil
	}
	return "", nil
}

// Tidy removes icons of images that are there no more: those of a crash while an
// image was begun or deleted. Young ones may be those of an image on its way.
func (r *Images) Tidy(ctx context.Context) error {
	return r.config.Blobs.Each(ctx, KindIcons, func(name string, kept time.Time) error {
		id, _, _ := strings.Cut(name, ".")
		if r.config.Now().Sub(kept) < 24*time.Hour {
			return nil
		}
		there, err := r.there(ctx, id)
		if there || err != nil {
			return err
		}
		return r.config.Blobs.Delete(ctx, KindIcons, name)
	})
}
