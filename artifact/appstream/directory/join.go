package directory

import (
	"context"
	"regexp"
	"strings"

	"souk/artifact/appstream/resource"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// Join says what stands in the way of a machine that is to join a directory, in
// a unit of it, "" for any. Nothing: all that the configuration must have is
// there. The codes are those of the service, and the messages those of the guide.
//
// Administration Guide, "Troubleshooting Notification Codes", "Active Directory
// Domain Join".
func (d *Directories) Join(ctx context.Context, account, region, directory, unit string) ([]resource.Error, error) {
	obstacle := func(code, message string) []resource.Error {
		return []resource.Error{{Code: code, Message: message, Timestamp: d.config.Now().UTC()}}
	}
	if !isName(directory) {
		return obstacle("DOMAIN_JOIN_NERR_INVALID_WORKGROUP_NAME", "The specified workgroup name is not valid."), nil
	}
	s, _, err := d.get(ctx, account, region, directory)
	switch {
	case apierror.Is(err, "ResourceNotFoundException"):
		return obstacle("DOMAIN_JOIN_ERROR_NO_SUCH_DOMAIN", "The specified domain either does not exist or could not be contacted."), nil
	case err != nil:
		return nil, err
	case unit != "" && !strings.HasPrefix(strings.ToUpper(plain(unit)), "OU="):
		return obstacle("DOMAIN_JOIN_ERROR_FILE_NOT_FOUND", "The system cannot find the file specified."), nil
	case unit != "" && !hasUnit(s.Units, unit):
		return obstacle("DOMAIN_JOIN_ERROR_INVALID_PARAMETER", "A parameter is incorrect. The organizational unit is none of the directory configuration."), nil
	case s.User == "" || len(s.Password) == 0:
		return obstacle("DOMAIN_JOIN_ERROR_LOGON_FAILURE", "The username or password is incorrect."), nil
	}
	_, err = d.config.Keys.Open(purpose, s.Password, []byte(s.key().ID))
	if err != nil {
		return obstacle("DOMAIN_JOIN_INTERNAL_SERVICE_ERROR", "The password of the service account can't be read."), nil
	}
	return nil, nil
}

// separators are the characters between the parts of a distinguished name, with
// the blanks around them, which say nothing.
var separators = regexp.MustCompile(`\s*([,=])\s*`)

// plain is a distinguished name without blanks that say nothing.
func plain(unit string) string { return separators.ReplaceAllString(strings.TrimSpace(unit), "$1") }

// hasUnit says whether a unit is one of several. Directories do not tell capital
// letters from small ones.
func hasUnit(units []string, unit string) bool {
	for _, u := range units {
		if strings.EqualFold(plain(u), plain(unit)) {
			return true
		}
	}
	return false
}

// purpose is what passwords are sealed for.
const purpose = "password of a directory's service account"

// AtRest is what this room has sealed in the store, for who changes the key: the
// documents of a kind, all of which an index has; the text that is sealed in one
// (nil: none) with what it is bound to; and the document with another text in its
// place.
type AtRest struct {
	Kind, Index, Purpose string
	Text                 func(store.Document) (text, bound []byte, err error)
	With                 func(d store.Document, text []byte) (store.Document, error)
}

// SealedAtRest returns what is sealed: the passwords of service accounts.
func SealedAtRest() AtRest {
	return AtRest{
		Kind: Kind, Index: indexAll, Purpose: purpose,
		Text: func(d store.Document) ([]byte, []byte, error) {
			s, err := decode(d)
			return s.Password, []byte(d.ID), err
		},
		With: func(d store.Document, text []byte) (store.Document, error) {
			s, err := decode(d)
			if err != nil {
				return d, err
			}
			s.Password = text
			return s.document()
		},
	}
}
