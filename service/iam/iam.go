// Package iam is AWS Identity and Access Management: users and their access
// keys, groups, roles, and policies, inline and managed. Each is a thin caller of
// access/organization, which keeps them.
//
// It offers no passwords, certificates, MFA devices, instance profiles, identity
// providers or permissions boundaries, and it decides nothing: access/iam does.
package iam

import (
	"errors"

	"souk/access/organization"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/awsquery"
)

// Config says where identities are kept, and what seals markers of lists.
type Config struct {
	Organization *organization.Organization // required
	Keyring      Keyring                    // required
}

// Keyring seals what must not be forged: a keyring.Ring.
type Keyring interface {
	Seal(purpose string, plain, bound []byte) []byte
	Open(purpose string, sealed, bound []byte) ([]byte, error)
}

// service is what the operations share.
type service struct {
	organization *organization.Organization
	keyring      Keyring
}

// Service returns the service for the gateway.
//
// AWS Identity and Access Management API Reference, version 2010-05-08.
func Service(c Config) (*gateway.Service, error) {
	if c.Organization == nil || c.Keyring == nil {
		return nil, errors.New("service iam: Organization and Keyring are needed")
	}
	s := &service{organization: c.Organization, keyring: c.Keyring}
	return &gateway.Service{
		Name:         "iam",
		SigningNames: []string{"iam"},
		Protocol:     awsquery.Protocol{},
		APIVersion:   "2010-05-08",
		Namespace:    "https://iam.amazonaws.com/doc/2010-05-08/",
		EventSource:  "iam.amazonaws.com",
		Errors: map[string]int{
			"AccessDenied":            403,
			"ConcurrentModification":  409,
			"DeleteConflict":          409,
			"EntityAlreadyExists":     409,
			"InvalidInput":            400,
			"LimitExceeded":           409,
			"MalformedPolicyDocument": 400,
			"NoSuchEntity":            404,
			"ServiceFailure":          500,
			"Throttling":              400,
			"UnmodifiableEntity":      400,
			"ValidationError":         400,
		},
		Internal:   "ServiceFailure",
		Validation: "ValidationError",
		Denied:     "AccessDenied",
		Throttled:  "Throttling",
		Operations: s.operations(),
	}, nil
}

// noBoundary refuses a permissions boundary: who asks for one must not get an
// identity without it.
func noBoundary(arn *string) error {
	if arn != nil {
		return apierror.New("InvalidInput", "Permissions boundaries are not offered.")
	}
	return nil
}
