package appstream

import (
	"context"

	"souk/artifact/appstream/directory"
	"souk/gateway/awsjson"
)

// Directories is what the operations on directory configurations need of their
// room; *directory.Directories does it.
type Directories interface {
	Create(ctx context.Context, n directory.Creation) (directory.Directory, error)
	Update(ctx context.Context, c directory.Change) (directory.Directory, error)
	Delete(ctx context.Context, account, region, name string) error
	List(ctx context.Context, q directory.Query) (directory.Page, error)
}

// DirectoryConfig is a directory configuration.
//
// AppStream API Reference, "DirectoryConfig".
type DirectoryConfig struct {
	DirectoryName                        string
	OrganizationalUnitDistinguishedNames []string
	ServiceAccountCredentials            *ServiceAccount `json:",omitzero"`
	CreatedTime                          awsjson.Time
	CertificateBasedAuthProperties       *CertificateBasedAuthProperties `json:",omitzero"`
}

// ServiceAccount is what answers have of credentials: "although the response
// syntax in this topic includes the account password, this password is not
// returned in the actual response".
type ServiceAccount struct {
	AccountName string `sensitive:""`
}

// ServiceAccountCredentials are the credentials by which machines join a directory.
type ServiceAccountCredentials struct {
	AccountName     *string `required:"" sensitive:"" len:"1,"`
	AccountPassword *string `required:"" sensitive:"" len:"1,127"`
}

// credentials are those of a request, nil if it has none.
func (c *ServiceAccountCredentials) credentials() *directory.Credentials {
	if c == nil {
		return nil
	}
	return &directory.Credentials{User: *c.AccountName, Password: *c.AccountPassword}
}

// CertificateBasedAuthProperties say whether users are known by certificates.
type CertificateBasedAuthProperties struct {
	Status                  string `json:",omitzero" enum:"DISABLED,ENABLED,ENABLED_NO_DIRECTORY_LOGIN_FALLBACK"`
	CertificateAuthorityArn string `json:",omitzero" pattern:"^arn:aws(?:\\-cn|\\-iso\\-b|\\-iso|\\-us\\-gov)?:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.\\\\-]{0,1023}$"`
}

func (p *CertificateBasedAuthProperties) certificate() *directory.Certificate {
	if p == nil {
		return nil
	}
	return &directory.Certificate{Status: p.Status, Authority: p.CertificateAuthorityArn}
}

// shownDirectory is a configuration as its owner sees it.
func shownDirectory(d directory.Directory) DirectoryConfig {
	out := DirectoryConfig{
		DirectoryName: d.Name, OrganizationalUnitDistinguishedNames: d.Units, CreatedTime: awsjson.Time{Time: d.Created},
	}
	if d.User != "" {
		out.ServiceAccountCredentials = &ServiceAccount{d.User}
	}
	if d.Certificate != nil {
		out.CertificateBasedAuthProperties = &CertificateBasedAuthProperties{d.Certificate.Status, d.Certificate.Authority}
	}
	return out
}
