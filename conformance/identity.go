package conformance

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"souk/conformance/seller"
)

// identity checks who is let in.
func identity() []Check {
	return []Check{
		{"identity/caller", "GetCallerIdentity names the account, the ARN and the id of the key's owner.", callerIdentity},
		{"identity/unknown-key", "A key that nobody has, a wrong secret and no signature at all are refused with 403.", badCredentials},
		{"identity/altered", "A request that was changed after it was signed, or signed at another time, is refused.", alteredRequests},
		{"identity/registry-token", "GetAuthorizationToken gives a user, a password and the registry's address.", registryToken},
	}
}

func callerIdentity(ctx context.Context, v *Visit) error {
	who, err := v.STS.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return fmt.Errorf("GetCallerIdentity: %w", err)
	}
	account := aws.ToString(who.Account)
	v.Want(len(account) == 12 && strings.Trim(account, "0123456789") == "", "Account is %q, want 12 digits", account)
	v.Want(strings.HasPrefix(aws.ToString(who.Arn), "arn:aws:iam::"+account+":"), "Arn is %q, want one of account %s", aws.ToString(who.Arn), account)
	v.Want(aws.ToString(who.UserId) != "", "UserId is empty")
	return nil
}

func badCredentials(ctx context.Context, v *Visit) error {
	const body = `{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct"}`
	for _, c := range []struct{ what, key, secret, code string }{
		{"unknown key", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "UnrecognizedClientException"},
		{"wrong secret", v.AccessKeyID, v.SecretAccessKey + "x", "InvalidSignatureException"},
	} {
		other := seller.New(seller.Config{URL: v.URL, Region: v.Region, AccessKeyID: c.key, SecretAccessKey: c.secret, HTTP: v.HTTP})
		a, err := other.Raw(ctx, "POST", "/ListEntities", body)
		if err != nil {
			return err
		}
		v.refused(c.what, a, http.StatusForbidden, c.code)
	}
	r, err := http.NewRequestWithContext(ctx, "POST", v.URL+"/ListEntities", strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	a, err := v.Send(r)
	if err != nil {
		return err
	}
	v.refused("no signature", a, http.StatusForbidden, "MissingAuthenticationTokenException")
	return nil
}

func alteredRequests(ctx context.Context, v *Visit) error {
	const body = `{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct"}`
	for _, c := range []struct {
		what  string
		after time.Duration // when the request was signed, from now
		alter func(r *http.Request)
	}{
		{"other path", 0, func(r *http.Request) { r.URL.Path = "/ListChangeSets" }},
		{"other query", 0, func(r *http.Request) { r.URL.RawQuery = "a=b" }},
		{"other date", 0, func(r *http.Request) {
			r.Header.Set("X-Amz-Date", time.Now().UTC().Add(time.Second).Format("20060102T150405Z"))
		}},
		{"signed 20 minutes ago", -20 * time.Minute, nil},
		{"signed in 20 minutes", 20 * time.Minute, nil},
	} {
		r, err := http.NewRequestWithContext(ctx, "POST", v.URL+"/ListEntities", strings.NewReader(body))
		if err != nil {
			return fmt.Errorf("making a request: %w", err)
		}
		r.Header.Set("Content-Type", "application/json")
		err = v.Sign(r, body, time.Now().Add(c.after))
		if err != nil {
			return err
		}
		if c.alter != nil {
			c.alter(r)
		}
		a, err := v.Send(r)
		if err != nil {
			return err
		}
		v.Want(a.Status == 403 || a.Status == 400, "%s: got status %d, want 403 or 400: %s", c.what, a.Status, a.Body)
	}
	r, err := v.Request(ctx, "POST", "/ListEntities", body)
	if err != nil {
		return err
	}
	other, err := http.NewRequestWithContext(ctx, "POST", r.URL.String(), strings.NewReader(strings.Replace(body, "Container", "Contained", 1)))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	other.Header = r.Header
	a, err := v.Send(other)
	if err != nil {
		return err
	}
	v.refused("other body", a, http.StatusForbidden, "InvalidSignatureException")
	return nil
}

func registryToken(ctx context.Context, v *Visit) error {
	out, err := v.ECR.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return fmt.Errorf("GetAuthorizationToken: %w", err)
	}
	if len(out.AuthorizationData) != 1 {
		return fmt.Errorf("GetAuthorizationToken: got %d tokens, want 1", len(out.AuthorizationData))
	}
	d := out.AuthorizationData[0]
	b, err := base64.StdEncoding.DecodeString(aws.ToString(d.AuthorizationToken))
	v.Want(err == nil, "the token is not base64: %v", err)
	user, password, _ := strings.Cut(string(b), ":")
	v.Want(user == "AWS" && password != "", "the token is for user %q with a password of %d bytes, want AWS and some", user, len(password))
	v.Want(d.ExpiresAt != nil && d.ExpiresAt.After(time.Now().Add(time.Hour)), "the token expires at %v, want 12 hours from now", d.ExpiresAt)
	v.Want(strings.HasPrefix(aws.ToString(d.ProxyEndpoint), "http"), "ProxyEndpoint is %q, want a URL", aws.ToString(d.ProxyEndpoint))
	return nil
}
