package appstream

import (
	"context"

	"souk/access/trail"
	"souk/artifact/appstream/directory"
	"souk/gateway"
)

// UpdateDirectoryConfigRequest says what of a configuration is to be another. What
// is left out stays.
type UpdateDirectoryConfigRequest struct {
	DirectoryName                        string   `required:""`
	OrganizationalUnitDistinguishedNames []string `memberlen:"0,2000"`
	ServiceAccountCredentials            *ServiceAccountCredentials
	CertificateBasedAuthProperties       *CertificateBasedAuthProperties
}

// UpdateDirectoryConfigResult is the configuration as it is now.
type UpdateDirectoryConfigResult struct{ DirectoryConfig DirectoryConfig }

// updateDirectoryConfig "updates the specified Directory Config object in
// AppStream 2.0".
//
// AppStream API Reference, "UpdateDirectoryConfig".
func (s *service) updateDirectoryConfig() action {
	return act(gateway.Def[UpdateDirectoryConfigRequest, *UpdateDirectoryConfigResult]{
		Name: "UpdateDirectoryConfig",
		Authorize: func(context.Context, *gateway.Caller, *UpdateDirectoryConfigRequest) ([]question, error) {
			return onAll("UpdateDirectoryConfig"), nil
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *UpdateDirectoryConfigRequest) (*UpdateDirectoryConfigResult, error) {
			d, err := s.Directories.Update(ctx, directory.Change{
				Account: c.Principal.Account, Region: c.Region, Name: in.DirectoryName, Units: in.OrganizationalUnitDistinguishedNames,
				Credentials: in.ServiceAccountCredentials.credentials(), Certificate: in.CertificateBasedAuthProperties.certificate(),
				Begins: func(d directory.Directory) { trail.Answer(ctx, &UpdateDirectoryConfigResult{shownDirectory(d)}) },
			})
			if err != nil {
				return nil, err
			}
			return &UpdateDirectoryConfigResult{shownDirectory(d)}, nil
		},
	})
}
