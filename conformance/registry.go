package conformance

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"souk/conformance/seller"
)

// registry checks the OCI registry at /v2/.
func registry() []Check {
	return []Check{
		{"registry/anonymous", "Nobody reads or writes without logging in.", anonymousRegistry},
		{"registry/push-and-pull", "An image comes back as it was pushed, by key pair and by token.", pushAndPull},
		{"registry/unknown-repository", "A repository that AddRepositories did not make takes no image.", pushToUnknown},
		{"registry/pinned-tag", "A tag that a version names can't be pushed again.", pinnedTag},
	}
}

func anonymousRegistry(ctx context.Context, v *Visit) error {
	for _, path := range []string{"/v2/", "/v2/a/b/tags/list", "/v2/a/b/manifests/latest"} {
		r, err := http.NewRequestWithContext(ctx, "GET", v.URL+path, nil)
		if err != nil {
			return fmt.Errorf("making a request: %w", err)
		}
		a, err := v.Send(r)
		if err != nil {
			return err
		}
		v.Want(a.Status == http.StatusUnauthorized, "GET %s: got status %d, want 401", path, a.Status)
		v.Want(a.Header.Get("Www-Authenticate") != "", "GET %s: no WWW-Authenticate header", path)
	}
	return nil
}

// repository makes a product with one repository and returns its path.
func (v *Visit) repository(ctx context.Context, title string) (product, path string, err error) {
	repository := "repo-" + v.Unique
	product, err = v.Limited(ctx, title+" "+v.Unique, repository)
	if err != nil {
		return "", "", err
	}
	p, err := v.Product(ctx, product)
	if err != nil {
		return "", "", err
	}
	path, err = p.RepositoryPath(repository)
	return product, path, err
}

func pushAndPull(ctx context.Context, v *Visit) error {
	_, path, err := v.repository(ctx, "Push")
	if err != nil {
		return err
	}
	image, err := seller.Image("one", "two", v.Unique)
	if err != nil {
		return err
	}
	err = v.Push(ctx, path, "1.0", image)
	if err != nil {
		return err
	}
	want, err := image.Digest()
	if err != nil {
		return fmt.Errorf("computing the image's digest: %w", err)
	}
	token, err := v.ECR.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return fmt.Errorf("GetAuthorizationToken: %w", err)
	}
	b, err := base64.StdEncoding.DecodeString(aws.ToString(token.AuthorizationData[0].AuthorizationToken))
	if err != nil {
		return fmt.Errorf("reading the token: %w", err)
	}
	user, password, _ := strings.Cut(string(b), ":")
	ref, err := name.ParseReference(v.Host()+"/"+path+":1.0", name.Insecure)
	if err != nil {
		return fmt.Errorf("reading the reference: %w", err)
	}
	for what, auth := range map[string]authn.Authenticator{
		"key pair": &authn.Basic{Username: v.AccessKeyID, Password: v.SecretAccessKey},
		"token":    &authn.Basic{Username: user, Password: password},
	} {
		pulled, err := remote.Image(ref, remote.WithContext(ctx), remote.WithAuth(auth))
		if err != nil {
			v.Want(false, "pulling by %s: %v", what, err)
			continue
		}
		got, err := pulled.Digest()
		v.Want(err == nil && got == want, "pulled by %s: digest %s (%v), want %s", what, got, err, want)
		layers, err := pulled.Layers()
		v.Want(err == nil && len(layers) == 3, "pulled by %s: %d layers (%v), want 3", what, len(layers), err)
	}
	_, err = remote.Image(ref, remote.WithContext(ctx), remote.WithAuth(&authn.Basic{Username: v.AccessKeyID, Password: "wrong"}))
	v.Want(err != nil, "a wrong password pulled the image")
	return nil
}

func pushToUnknown(ctx context.Context, v *Visit) error {
	_, path, err := v.repository(ctx, "Unknown")
	if err != nil {
		return err
	}
	image, err := seller.Image("nothing")
	if err != nil {
		return err
	}
	namespace, _, _ := strings.Cut(path, "/")
	for _, to := range []string{namespace + "/other-" + v.Unique, "published/" + v.Unique, "somebody/" + v.Unique} {
		err = v.Push(ctx, to, "1.0", image)
		v.Want(err != nil, "%s took an image", to)
	}
	return nil
}

func pinnedTag(ctx context.Context, v *Visit) error {
	product, path, err := v.repository(ctx, "Pinned")
	if err != nil {
		return err
	}
	for i, text := range []string{"first", "second, before the version"} {
		image, err := seller.Image(text)
		if err != nil {
			return err
		}
		err = v.Push(ctx, path, "1.0", image)
		v.Want(err == nil, "push %d before a version names the tag: %v", i+1, err)
	}
	_, err = v.Do(ctx, seller.Change("AddDeliveryOptions", product, seller.Version("1.0", seller.DocumentedHost+"/"+path+":1.0")))
	if err != nil {
		return err
	}
	image, err := seller.Image("third, after the version")
	if err != nil {
		return err
	}
	err = v.Push(ctx, path, "1.0", image)
	v.Want(err != nil, "a tag that a version names was pushed again")
	err = v.Push(ctx, path, "1.1", image)
	v.Want(err == nil, "another tag: %v", err)
	return nil
}
