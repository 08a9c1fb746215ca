package appstream

import (
	"context"
	"testing"

	"souk/access/iam"
	"souk/artifact/appstream/resource"
	"souk/gateway"
	"souk/gateway/apierror"
)

// shelf keeps the tags of resources by ACCOUNT/REGION/NAME.
type shelf map[string]resource.Tags

func (s shelf) Tags(_ context.Context, account, region, name string) (resource.Tags, error) {
	tags, ok := s[account+"/"+region+"/"+name]
	if !ok {
		return nil, resource.NotFound("image", name, account)
	}
	return tags, nil
}

func (s shelf) Tag(ctx context.Context, account, region, name string, tags resource.Tags) error {
	old, err := s.Tags(ctx, account, region, name)
	if err == nil {
		s[account+"/"+region+"/"+name], err = old.Merge(tags)
	}
	return err
}

func (s shelf) Untag(ctx context.Context, account, region, name string, keys []string) error {
	old, err := s.Tags(ctx, account, region, name)
	if err == nil {
		s[account+"/"+region+"/"+name] = old.Without(keys)
	}
	return err
}

func TestTagsGoToWhoKeepsThem(t *testing.T) {
	t.Parallel()
	tagged := Tagged{"image": shelf{"111122223333/us-east-1/one": nil}, "image-builder": shelf{"111122223333/us-east-1/one": {"a": "1"}}}
	s := &service{Config{Tags: tagged}}
	caller := &gateway.Caller{Principal: &iam.Principal{Account: "111122223333"}, Region: "us-east-1"}
	const arn = "arn:aws:appstream:us-east-1:111122223333:"
	_, err := s.tagResource().operation.Call(t.Context(), caller, &TagResourceRequest{arn + "image/one", map[string]string{"b": "2", "c": ""}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.untagResource().operation.Call(t.Context(), caller, &UntagResourceRequest{arn + "image/one", []string{"b", "gone"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]map[string]string{"image/one": {"c": ""}, "image-builder/one": {"a": "1"}} {
		out, err := s.listTagsForResource().operation.Call(t.Context(), caller, &ListTagsForResourceRequest{arn + name})
		if err != nil {
			t.Fatal(err)
		}
		got := out.(*ListTagsForResourceResponse).Tags
		if len(got) != len(want) || got["c"] != want["c"] || got["a"] != want["a"] {
			t.Errorf("%s has %v, want %v", name, got, want)
		}
		a, _ := resource.ParseARN(arn + name)
		of, err := tagged.Of(t.Context(), a)
		if err != nil || len(of) != len(want) {
			t.Errorf("%s has %v for policies: %v", name, of, err)
		}
	}
}

// Whatever is not the caller's is nowhere.
func TestTagsOfOthers(t *testing.T) {
	t.Parallel()
	tagged := Tagged{"image": shelf{"999988887777/us-east-1/one": nil, "111122223333/eu-west-1/one": nil, "/us-east-1/one": nil}}
	s := &service{Config{Tags: tagged}}
	caller := &gateway.Caller{Principal: &iam.Principal{Account: "111122223333"}, Region: "us-east-1"}
	for name, arn := range map[string]string{
		"another account": "arn:aws:appstream:us-east-1:999988887777:image/one",
		"another region":  "arn:aws:appstream:eu-west-1:111122223333:image/one",
		"a public image":  "arn:aws:appstream:us-east-1::image/one",
		"no image":        "arn:aws:appstream:us-east-1:111122223333:image/two",
		"another type":    "arn:aws:appstream:us-east-1:111122223333:fleet/one",
		"another service": "arn:aws:ec2:us-east-1:111122223333:image/one",
	} {
		_, listed := s.listTagsForResource().operation.Call(t.Context(), caller, &ListTagsForResourceRequest{arn})
		_, tagging := s.tagResource().operation.Call(t.Context(), caller, &TagResourceRequest{arn, map[string]string{"a": "b"}})
		_, untagging := s.untagResource().operation.Call(t.Context(), caller, &UntagResourceRequest{arn, []string{"a"}})
		for _, err := range []error{listed, tagging, untagging} {
			if !apierror.Is(err, "ResourceNotFoundException") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	none := resource.ARN{Region: "us-east-1", Account: "111122223333", Type: resource.TypeImage, Name: "two"}
	if tags, err := tagged.Of(t.Context(), none); err != nil || len(tags) != 0 {
		t.Errorf("what is not there has tags %v: %v", tags, err)
	}
}
