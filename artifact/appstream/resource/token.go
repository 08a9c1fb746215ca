package resource

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"souk/gateway/apierror"
)

// Sealer seals page tokens: access/keyring.Ring.
type Sealer interface {
	Seal(purpose string, plain, bound []byte) []byte
	Open(purpose string, sealed, bound []byte) ([]byte, error)
}

// Tokens are the page tokens of one list.
type Tokens struct {
	Keys    Sealer
	Purpose string // what list, such as "token of a list of images"
}

// mostToken bounds what is read as a token, in characters.
const mostToken = 2048

// Seal makes the token of a place in a list. The question that it is good for is
// bound: the account, the region, and all else that decides what the list has.
func (t Tokens) Seal(at string, question ...string) string {
	return base64.RawURLEncoding.EncodeToString(t.Keys.Seal(t.Purpose, []byte(at), bound(question)))
}

// Open returns the place of a token, "" of none. ValidationException for what is
// no token of the same question.
func (t Tokens) Open(token *string, question ...string) (at string, err error) {
	if token == nil || *token == "" {
		return "", nil
	}
	wrong := apierror.New("ValidationException", "The NextToken is not valid, or was returned for another request.")
	if len(*token) > mostToken {
		return "", wrong
	}
	sealed, err := base64.RawURLEncoding.DecodeString(*token)
	if err != nil {
		return "", wrong
	}
	plain, err := t.Keys.Open(t.Purpose, sealed, bound(question))
	if err != nil {
		return "", wrong
	}
	return string(plain), nil
}

func bound(question []string) []byte {
	h := sha256.New()
	for _, q := range question {
		fmt.Fprintf(h, "%d %s\n", len(q), q)
	}
	return h.Sum(nil)
}
