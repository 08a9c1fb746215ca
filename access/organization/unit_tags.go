package organization

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"souk/gateway/apierror"
	"souk/storage/store"
)

// tagsDocument is what is stored of the tags of an account, a unit or the
// root, by its id. What has none has no document.
type tagsDocument struct{ Tags map[string]string }

func tagsKey(id string) store.Key { return store.Key{Kind: kindTags, ID: id} }

// writeTags are the writes that give something new its tags.
func writeTags(id string, tags map[string]string) []store.Write {
	if len(tags) == 0 {
		return nil
	}
	return []store.Write{{Document: document(tagsKey(id), nil, tagsDocument{tags})}}
}

// checkUnitTags refuses tags that AWS Organizations does not take.
func checkUnitTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return violates("MAX_TAG_LIMIT_EXCEEDED", "You have exceeded the allowed number of tags: %d.", maxTags)
	}
	for key := range tags {
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			e := apierror.New("InvalidInputException", "You specified a tag key that begins with aws:, which is reserved.")
			e.Fields = map[string]any{"Reason": "INVALID_SYSTEM_TAGS_PARAMETER"}
			return e
		}
	}
	return nil
}

// Tags returns the tags of an account, a unit or the root, or
// TargetNotFoundException.
func (o *Organization) Tags(ctx context.Context, id string) (map[string]string, error) {
	if _, err := o.taggable(ctx, id); err != nil {
		return nil, err
	}
	d, _, err := o.tags(ctx, id)
	return d.Tags, err
}

// Retag sets some tags of an account, a unit or the root and removes others,
// or is TargetNotFoundException.
func (o *Organization) Retag(ctx context.Context, id string, set map[string]string, remove []string) error {
	return retry(func() error {
		there, err := o.taggable(ctx, id)
		if err != nil {
			return err
		}
		d, revision, err := o.tags(ctx, id)
		if err != nil {
			return err
		}
		d.Tags = retagged(d.Tags, set, remove)
		if err := checkUnitTags(d.Tags); err != nil {
			return err
		}
		err = o.store.Commit(ctx, store.Batch{
			Expect: there,
			Put:    []store.Write{{Was: revision, Document: document(tagsKey(id), nil, d)}},
		})
		if err != nil {
			return fmt.Errorf("tagging %s: %w", id, err)
		}
		return nil
	})
}

func (o *Organization) tags(ctx context.Context, id string) (tagsDocument, int64, error) {
	var d tagsDocument
	revision, err := o.get(ctx, tagsKey(id), &d)
	if errors.Is(err, store.ErrNotFound) {
		return d, 0, nil
	}
	if err != nil {
		return d, 0, fmt.Errorf("reading the tags of %s: %w", id, err)
	}
	return d, revision, nil
}

// taggable returns what a batch relies on that writes tags: that a unit is
// still there. Accounts and the root never go.
func (o *Organization) taggable(ctx context.Context, id string) ([]store.Expectation, error) {
	missing := apierror.New("TargetNotFoundException", "You specified a target that doesn't exist.")
	if accountIDs.MatchString(id) {
		there, err := o.Contains(ctx, id)
		if err == nil && !there {
			err = missing
		}
		return nil, err
	}
	p, err := o.parent(ctx, id, missing)
	return p.expect, err
}
