package appstream

import (
	"context"

	"souk/access/trail"
	"souk/artifact/appstream/directory"
	"souk/gateway"
)

// CreateDirectoryConfigRequest describes a directory.
type CreateDirectoryConfigRequest struct {
	DirectoryName                        string   `required:""`
	OrganizationalUnitDistinguishedNames []string `required:"" memberlen:"0,2000"`
	ServiceAccountCredentials            *ServiceAccountCredentials
	CertificateBasedAuthProperties       *CertificateBasedAuthProperties
}

// CreateDirectoryConfigResult is the configuration.
type CreateDirectoryConfigResult struct{ DirectoryConfig DirectoryConfig }

// createDirectoryConfig "creates a Directory Config object in AppStream 2.0. This
// object includes the configuration information required to join fleets and image
// builders to Microsoft Active Directory domains."
//
// AppStream API Reference, "CreateDirectoryConfig".
func (s *service) createDirectoryConfig() action {
	return act(gateway.Def[CreateDirectoryConfigRequest, *CreateDirectoryConfigResult]{
		Name: "CreateDirectoryConfig",
		Authorize: func(context.Context, *gateway.Caller, *CreateDirectoryConfigRequest) ([]question, error) {
			return onAll("CreateDirectoryConfig"), nil
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *CreateDirectoryConfigRequest) (*CreateDirectoryConfigResult, error) {
			d, err := s.Directories.Create(ctx, directory.Creation{
				Account: c.Principal.Account, Region: c.Region, Name: in.DirectoryName, Units: in.OrganizationalUnitDistinguishedNames,
				Credentials: in.ServiceAccountCredentials.credentials(), Certificate: in.CertificateBasedAuthProperties.certificate(),
				Begins: func(d directory.Directory) { trail.Answer(ctx, &CreateDirectoryConfigResult{shownDirectory(d)}) },
			})
			if err != nil {
				return nil, err
			}
			return &CreateDirectoryConfigResult{shownDirectory(d)}, nil
		},
	})
}
