package ecr

import (
	"context"
	"encoding/base64"
	"fmt"

	"souk/access/iam"
	"souk/gateway"
	"souk/gateway/awsjson"
)

// GetAuthorizationTokenInput names registries; the token is good for all.
type GetAuthorizationTokenInput struct {
	RegistryIds []string `json:"registryIds,omitzero" size:"1,10" memberpattern:"^[0-9]{12}$"` // account ids; deprecated by AWS
}

// GetAuthorizationTokenOutput has one entry, or one for each registry that was named.
type GetAuthorizationTokenOutput struct {
	AuthorizationData []AuthorizationData `json:"authorizationData"`
}

// AuthorizationData is what docker login needs.
type AuthorizationData struct {
	AuthorizationToken string       `json:"authorizationToken"` // base64 of AWS:PASSWORD
	ExpiresAt          awsjson.Time `json:"expiresAt"`
	ProxyEndpoint      string       `json:"proxyEndpoint"` // URL of the registry
}

// getAuthorizationToken gives the caller a password for the registry: "The
// authorization token is valid for 12 hours", and only as long as the access
// key that asked for it is active. There is one registry, so the token is the
// same for every registry id. "ecr:GetAuthorizationToken" has no resources.
//
// Amazon ECR API Reference, "GetAuthorizationToken".
func getAuthorizationToken(c Config) gateway.Operation {
	return gateway.Op(gateway.Def[GetAuthorizationTokenInput, *GetAuthorizationTokenOutput]{
		Name:     "GetAuthorizationToken",
		ReadOnly: true,
		Authorize: func(context.Context, *gateway.Caller, *GetAuthorizationTokenInput) ([]iam.Question, error) {
			return []iam.Question{{Action: "ecr:GetAuthorizationToken", Resource: "*"}}, nil
		},
		Call: func(_ context.Context, caller *gateway.Caller, in *GetAuthorizationTokenInput) (*GetAuthorizationTokenOutput, error) {
			password, expires, err := c.Token(caller.AccessKeyID, caller.SessionToken)
			if err != nil {
				return nil, fmt.Errorf("answering GetAuthorizationToken: %w", err)
			}
			data := AuthorizationData{
				AuthorizationToken: base64.StdEncoding.EncodeToString([]byte("AWS:" + password)),
				ExpiresAt:          awsjson.Time{Time: expires},
				ProxyEndpoint:      c.ProxyEndpoint,
			}
			out := &GetAuthorizationTokenOutput{AuthorizationData: []AuthorizationData{data}}
			for len(out.AuthorizationData) < len(in.RegistryIds) {
				out.AuthorizationData = append(out.AuthorizationData, data)
			}
			return out, nil
		},
	})
}
