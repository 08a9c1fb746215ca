package appstream

import (
	"context"

	"souk/artifact/appstream/resource"
	"souk/gateway/apierror"
)

// Tags is what the operations on tags need: whatever has tags, by its ARN. Tagged
// does it.
type Tags interface {
	List(ctx context.Context, a resource.ARN) (resource.Tags, error)
	Tag(ctx context.Context, a resource.ARN, tags resource.Tags) error
	Untag(ctx context.Context, a resource.ARN, keys []string) error
	// Of is List for policies: what is not there has no tags.
	Of(ctx context.Context, a resource.ARN) (map[string]string, error)
}

// Keeper keeps the tags of resources of one type; the rooms of images and image
// builders do.
type Keeper interface {
	Tags(ctx context.Context, account, region, name string) (resource.Tags, error)
	Tag(ctx context.Context, account, region, name string, tags resource.Tags) error
	Untag(ctx context.Context, account, region, name string, keys []string) error
}

// Tagged has the keepers of tags by the type of resource.
type Tagged map[string]Keeper

// keeper finds the keeper of a resource.
func (t Tagged) keeper(a resource.ARN) (Keeper, error) {
	k, ok := t[a.Type]
	if !ok || a.Account == "" {
		return nil, noResource(a.String(), a.Account)
	}
	return k, nil
}

// List implements Tags.
func (t Tagged) List(ctx context.Context, a resource.ARN) (resource.Tags, error) {
	k, err := t.keeper(a)
	if err != nil {
		return nil, err
	}
	return k.Tags(ctx, a.Account, a.Region, a.Name)
}

// Tag implements Tags.
func (t Tagged) Tag(ctx context.Context, a resource.ARN, tags resource.Tags) error {
	k, err := t.keeper(a)
	if err != nil {
		return err
	}
	return k.Tag(ctx, a.Account, a.Region, a.Name, tags)
}

// Untag implements Tags.
func (t Tagged) Untag(ctx context.Context, a resource.ARN, keys []string) error {
	k, err := t.keeper(a)
	if err != nil {
		return err
	}
	return k.Untag(ctx, a.Account, a.Region, a.Name, keys)
}

// Of implements Tags.
func (t Tagged) Of(ctx context.Context, a resource.ARN) (map[string]string, error) {
	tags, err := t.List(ctx, a)
	if apierror.Is(err, resourceNotFound) {
		return nil, nil
	}
	return tags, err
}

// ofCaller reads an ARN in a request. Of what is another account's, or in another
// region, the caller is told what it is told of what is nowhere.
func ofCaller(arn, account, region string) (resource.ARN, error) {
	a, ok := resource.ParseARN(arn)
	if !ok || a.Account != account || a.Region != region {
		return resource.ARN{}, noResource(arn, account)
	}
	return a, nil
}

func noResource(arn, account string) error { return resource.NotFound("resource", arn, account) }
