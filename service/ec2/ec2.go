// Package ec2 is the small part of Amazon EC2 that a market of machine images
// needs: the AMIs themselves, and which regions and instance types there are.
// There are no instances, volumes or networks behind it.
package ec2

import (
	"context"
	"errors"

	"souk/access/iam"
	"souk/artifact/images"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/ec2query"
)

// Config says what the service answers from.
type Config struct {
	// Endpoint is the host of Souk's public URL, such as 127.0.0.1:8470: the
	// endpoint of every region, and the registry's host.
	Endpoint string
	Images   *images.Images
	// Repository returns the repository for the images of an account's AMIs,
	// NAMESPACE/NAME, and makes it if it is not there.
	Repository func(ctx context.Context, account string) (name string, err error)
	// Locate reads an image's place in the registry, HOST/NAMESPACE/NAME@DIGEST;
	// the digest is "" where the place has none. ok is false where it is none.
	Locate func(location string) (repository, digest string, ok bool)
}

// Service returns the service for the gateway.
//
// Amazon EC2 API Reference, version 2016-11-15.
func Service(c Config) (*gateway.Service, error) {
	if c.Endpoint == "" || c.Images == nil || c.Repository == nil || c.Locate == nil {
		return nil, errors.New("service ec2: Endpoint, Images, Repository and Locate are needed")
	}
	return &gateway.Service{
		Name:         "ec2",
		SigningNames: []string{"ec2"},
		Protocol:     ec2query.Protocol{},
		APIVersion:   "2016-11-15",
		Namespace:    "http://ec2.amazonaws.com/doc/2016-11-15/",
		EventSource:  "ec2.amazonaws.com",
		// Codes that are not here have status 400.
		Errors: map[string]int{
			"DryRunOperation":       412,
			"InternalError":         500,
			"RequestLimitExceeded":  503,
			"UnauthorizedOperation": 403,
		},
		Internal:   "InternalError",
		Validation: "InvalidParameterValue",
		Denied:     "UnauthorizedOperation",
		Throttled:  "RequestLimitExceeded",
		Operations: []gateway.Operation{
			deregisterImage(c),
			describeImageAttribute(c),
			describeImages(c),
			describeInstanceTypes(),
			describeRegions(c.Endpoint),
			getImageRepository(c),
			getInstanceTypesFromInstanceRequirements(),
			modifyImageAttribute(c),
			registerImage(c),
		},
	}, nil
}

// action declares an action; dry says whether an input asks for a dry run:
// "Checks whether you have the required permissions for the action, without
// actually making the request. If you have the required permissions, the error
// response is DryRunOperation. Otherwise, it is UnauthorizedOperation."
func action[In, Out any](d gateway.Def[In, Out], dry func(*In) bool) gateway.Operation {
	do := d.Call
	d.Call = func(ctx context.Context, c *gateway.Caller, in *In) (out Out, err error) {
		if dry(in) {
			return out, apierror.New("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
		}
		return do(ctx, c, in)
	}
	return gateway.Op(d)
}

// anywhere asks for an action that has no resources.
func anywhere[In any](name string) func(context.Context, *gateway.Caller, *In) ([]iam.Question, error) {
	return func(context.Context, *gateway.Caller, *In) ([]iam.Question, error) {
		return []iam.Question{{Action: "ec2:" + name, Resource: "*"}}, nil
	}
}

// required refuses an input that lacks a member.
func required(name string, given bool) error {
	if given {
		return nil
	}
	return apierror.New("MissingParameter", "The request must contain the parameter %s", name)
}

// wrong refuses the value of a parameter.
func wrong(format string, args ...any) error {
	return apierror.New("InvalidParameterValue", format, args...)
}
