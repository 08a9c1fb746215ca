package registry

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"souk/access/iam"
)

// tokenUser is the user name that goes with a log-in token, as in Amazon ECR.
const tokenUser = "AWS"

// tokenLife is how long a log-in token is good ("The authorization token is
// valid for 12 hours", Amazon ECR API Reference, GetAuthorizationToken).
const tokenLife = 12 * time.Hour

// tokenPurpose separates log-in tokens from all else that the keyring seals.
const tokenPurpose = "registry-login"

// maxPassword bounds a password, in characters: a log-in token has a session
// token in it.
const maxPassword = 16 << 10

// token is what is sealed in a log-in token.
type token struct {
	Key     string // the access key that asked for it
	Session []byte `json:",omitempty"` // its session token, if it is of a session
	Expires int64  // seconds since 1970
}

// Token makes a log-in token for an access key: the password of the user AWS.
// It is worth what the key is worth: when the key is deactivated or deleted, or
// the session is over whose token is given, so is the log-in token.
func (r *Registry) Token(accessKeyID, session string) (password string, expires time.Time, err error) {
	expires = r.config.Now().Add(tokenLife).UTC().Truncate(time.Second)
	plain, err := json.Marshal(token{Key: accessKeyID, Session: []byte(session), Expires: expires.Unix()})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("making a log-in token for key %s: %w", accessKeyID, err)
	}
	sealed := r.config.Keyring.Seal(tokenPurpose, plain, nil)
	return base64.RawURLEncoding.EncodeToString(sealed), expires, nil
}

// authenticate says who sent a request: by access key and secret, or by a
// log-in token. ok is false for all who can't prove it, whatever the reason.
func (r *Registry) authenticate(req *http.Request) (key string, p *iam.Principal, ok bool, err error) {
	user, password, ok := req.BasicAuth()
	if !ok || user == "" || len(user) > 128 || len(password) > maxPassword {
		return "", nil, false, nil
	}
	ctx := req.Context()
	if user == tokenUser {
		key, session, ok := r.openToken(password)
		if !ok {
			return "", nil, false, nil
		}
		_, p, ok, err = r.credential(ctx, key, session)
		return key, p, ok, err
	}
	// The key of a session is worth nothing here: there is no place for its
	// token. Its owner asks for a log-in token.
	secret, p, ok, err := r.credential(ctx, user, "")
	if err != nil || !ok {
		return "", nil, false, err
	}
	// Hashed first, so that not even the length shows in the time it takes.
	want, got := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(password))
	if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return "", nil, false, nil
	}
	return user, p, true, nil
}

func (r *Registry) credential(ctx context.Context, key, session string) (string, *iam.Principal, bool, error) {
	secret, p, ok, err := r.config.Credentials(ctx, key, session)
	if errors.Is(err, iam.ErrExpiredToken) {
		return "", nil, false, nil
	}
	if err != nil {
		return "", nil, false, fmt.Errorf("finding access key %s: %w", key, err)
	}
	if !ok || p == nil || secret == "" {
		return "", nil, false, nil
	}
	return secret, p, true, nil
}

func (r *Registry) openToken(password string) (key, session string, ok bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(password)
	if err != nil {
		return "", "", false
	}
	plain, err := r.config.Keyring.Open(tokenPurpose, sealed, nil)
	if err != nil {
		return "", "", false
	}
	var t token
	err = json.Unmarshal(plain, &t)
	if err != nil || !r.config.Now().Before(time.Unix(t.Expires, 0)) {
		return "", "", false
	}
	return t.Key, string(t.Session), true
}
