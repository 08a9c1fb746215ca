package organization

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"souk/access/iam"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// Temporary credentials are not stored. All that a session is lies sealed in
// its token, which every node opens with the key file and which is worth
// nothing without the secret that lies in it. Only the role is looked up: with
// it, or a policy of it, gone or changed, the session goes or changes too.

// Session is a role that somebody has assumed, with its credentials.
type Session struct {
	Key     Key    // ASIA and 16 letters and digits, and its secret
	Token   string // what goes with each request
	Expires time.Time
	ID      string // AROA...:NAME
	ARN     string // arn:aws:sts::ACCOUNT:assumed-role/ROLE/NAME
	// Packed is how much of the room for policies and tags is used, in percent.
	Packed         int
	SourceIdentity string
}

// NewSession says which session is to be made.
type NewSession struct {
	Role           Role          // as Role returned it
	Name           string        // 2 to 64 letters, digits and characters of _+=,.@-
	Duration       time.Duration // 15 minutes to the role's longest; 0 is an hour
	Policy         string        // a session policy of at most 2,048 characters; "" for none
	PolicyARNs     []string      // managed policies as session policies, at most 10
	Tags           map[string]string
	SourceIdentity string
	Chained        bool // a session makes it: it lasts an hour at most
}

// MaxToken is how long a session token may be, in characters.
const MaxToken = 8192

// Bounds of sessions (STS API Reference, AssumeRole).
const (
	shortestSession = 15 * time.Minute
	usualSession    = time.Hour
	longestChained  = time.Hour
	maxPolicyText   = 2048 // characters of a session policy
	maxPolicyARNs   = 10
	maxPacked       = 2048 // bytes of policies and tags, packed
)

// sessionPurpose is the keyring's purpose for session tokens, which are bound
// to the id of their access key.
const sessionPurpose = "session token"

var (
	sessionNames  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\w+=,.@-]{2,64}$`) }) // STS API Reference, AssumeRole, RoleSessionName
	sessionKeyIDs = regexp.MustCompile(`^ASIA[A-Z2-7]{16}$`)
)

// sessionClaims is what a token says.
type sessionClaims struct {
	Secret         string
	Account        string
	Role           string // name
	RoleID         string
	Name           string
	Issued         int64 // seconds since 1970
	Expires        int64
	SourceIdentity string `json:",omitempty"`
	Packed         []byte `json:",omitempty"` // sessionExtras
}

// sessionExtras are the parts of a session that may be long.
type sessionExtras struct {
	Policy     string            `json:",omitempty"`
	PolicyARNs []string          `json:",omitempty"`
	Tags       map[string]string `json:",omitempty"`
}

// NewSession makes a session of a role. Whether somebody may have one is for
// the caller to decide. Refusals have the codes of STS: ValidationError,
// MalformedPolicyDocument, PackedPolicyTooLarge.
//
// STS API Reference, AssumeRole.
func (o *Organization) NewSession(ctx context.Context, n NewSession) (Session, error) {
	if err := o.checkSession(ctx, &n); err != nil {
		return Session{}, err
	}
	extras := sessionExtras{Policy: n.Policy, PolicyARNs: n.PolicyARNs, Tags: n.Tags}
	packed, err := extras.pack()
	if err != nil {
		return Session{}, fmt.Errorf("packing the policies of a session of role %s: %w", n.Role.ARN(), err)
	}
	if len(packed) > maxPacked {
		return Session{}, refuse(400, "PackedPolicyTooLarge", "The packed policies and tags take %d%% of the room for them, more than 100%%.", len(packed)*100/maxPacked)
	}
	now := o.now().UTC().Truncate(time.Second)
	s := Session{
		Key:     Key{ID: "ASIA" + o.random(upperAlphabet, 16), Secret: o.random(secretAlphabet, 40)},
		Expires: now.Add(n.Duration), ID: n.Role.ID + ":" + n.Name, ARN: sessionARN(n.Role.Account, n.Role.Name, n.Name),
		Packed: (len(packed)*100 + maxPacked - 1) / maxPacked, SourceIdentity: n.SourceIdentity,
	}
	claims := sessionClaims{
		Secret: s.Key.Secret, Account: n.Role.Account, Role: n.Role.Name, RoleID: n.Role.ID, Name: n.Name,
		Issued: now.Unix(), Expires: s.Expires.Unix(), SourceIdentity: n.SourceIdentity, Packed: packed,
	}
	s.Token = base64.StdEncoding.EncodeToString(o.ring.Seal(sessionPurpose, encode(claims), []byte(s.Key.ID)))
	return s, nil
}

func sessionARN(account, role, name string) string {
	return "arn:aws:sts::" + account + ":assumed-role/" + role + "/" + name
}

// checkSession refuses what STS does, and sets what is left open.
func (o *Organization) checkSession(ctx context.Context, n *NewSession) error {
	if !sessionNames().MatchString(n.Name) {
		return refuse(400, "ValidationError", "%q is no name of a session: 2 to 64 letters, digits and characters of _+=,.@-", n.Name)
	}
	if n.SourceIdentity != "" && !sessionNames().MatchString(n.SourceIdentity) {
		return refuse(400, "ValidationError", "%q is no source identity: 2 to 64 letters, digits and characters of _+=,.@-", n.SourceIdentity)
	}
	if n.Duration == 0 {
		n.Duration = usualSession
	}
	switch {
	case n.Duration < shortestSession || n.Duration > longestMaxSession*time.Second:
		return refuse(400, "ValidationError", "DurationSeconds must be 900 to 43200.")
	case n.Duration > time.Duration(n.Role.MaxSession)*time.Second:
		return refuse(400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	case n.Chained && n.Duration > longestChained:
		return refuse(400, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	case len(n.PolicyARNs) > maxPolicyARNs:
		return refuse(400, "ValidationError", "A session can have up to %d managed policies.", maxPolicyARNs)
	}
	if n.Policy != "" {
		if len(n.Policy) > maxPolicyText {
			return refuse(400, "ValidationError", "The session policy is longer than %d characters.", maxPolicyText)
		}
		if _, err := iam.ParsePolicy([]byte(n.Policy)); err != nil {
			return malformed(err)
		}
	}
	for _, arn := range n.PolicyARNs {
		_, _, err := o.managed(ctx, n.Role.Account, arn)
		if apierror.Is(err, "NoSuchEntity") {
			return refuse(400, "MalformedPolicyDocument", "Policy %s does not exist in the account of the role or is not attachable.", arn)
		}
		if err != nil {
			return err
		}
	}
	return checkTags(n.Tags)
}

// pack compresses extras: none are no bytes.
func (x sessionExtras) pack() ([]byte, error) {
	if x.Policy == "" && len(x.PolicyARNs) == 0 && len(x.Tags) == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err == nil {
		_, err = w.Write(encode(x))
	}
	if err == nil {
		err = w.Close()
	}
	return b.Bytes(), err
}

// maxUnpacked bounds what is unpacked, in bytes: more than all documented
// bounds allow together.
const maxUnpacked = 64 << 10

func unpack(packed []byte) (x sessionExtras, err error) {
	if len(packed) == 0 {
		return x, nil
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxUnpacked))
	if err == nil {
		err = json.Unmarshal(text, &x)
	}
	return x, err
}

// openToken reads a token of an access key. ok is false if we did not make it,
// or not for this key.
func (o *Organization) openToken(id, token string) (c sessionClaims, ok bool) {
	if !sessionKeyIDs.MatchString(id) || len(token) > MaxToken {
		return c, false
	}
	sealed, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return c, false
	}
	plain, err := o.ring.Open(sessionPurpose, sealed, []byte(id))
	if err != nil {
		return c, false
	}
	return c, json.Unmarshal(plain, &c) == nil && c.Secret != ""
}

// isSession says whether an access key id is of temporary credentials.
func isSession(id string) bool { return strings.HasPrefix(id, "ASIA") }

// LookupSession is Lookup for any kind of access key: that of a session must
// come with its token, that of a user or root user with none. It is
// iam.ErrExpiredToken for a session that was one and is over.
func (o *Organization) LookupSession(ctx context.Context, accessKeyID, token string) (secret string, p *iam.Principal, ok bool, err error) {
	if !isSession(accessKeyID) {
		if token != "" {
			return "", nil, false, nil
		}
		return o.Lookup(ctx, accessKeyID)
	}
	if len(token) > MaxToken {
		return "", nil, false, nil
	}
	now := o.now()
	known, _, generation := o.keys.get(accessKeyID, now)
	if known != nil {
		if sum := sha256.Sum256([]byte(token)); subtle.ConstantTimeCompare(known.token[:], sum[:]) != 1 {
			known = nil // the token decides, not what is remembered
		}
	}
	doubts := o.keys.doubts.Load()
	if known != nil {
		if !now.Before(known.expires) {
			return "", nil, false, iam.ErrExpiredToken
		}
		if known.fresh(now, doubts, trust) || known.fresh(now, doubts, distrust) && !known.checking.CompareAndSwap(false, true) {
			return known.secret, known.principal, true, nil
		}
		defer known.checking.Store(false)
	}
	c, err := o.loadSession(ctx, accessKeyID, token, known)
	if err != nil || c == nil {
		return "", nil, false, err
	}
	c.checked.Store(now.UnixNano())
	c.doubts.Store(doubts)
	o.keys.put(accessKeyID, c, now, generation)
	return c.secret, c.principal, true, nil
}

// loadSession makes the credential of a token: nil if there is none, known
// itself if nothing has changed since.
func (o *Organization) loadSession(ctx context.Context, id, token string, known *credential) (*credential, error) {
	if known != nil {
		same, err := o.unchanged(ctx, known.sources)
		if err != nil {
			return nil, fmt.Errorf("looking for the role of session %s: %w", id, err)
		}
		if same {
			return known, nil
		}
	}
	claims, ok := o.openToken(id, token)
	if !ok {
		return nil, nil
	}
	c := &credential{secret: claims.Secret, token: sha256.Sum256([]byte(token)), expires: time.Unix(claims.Expires, 0)}
	if !o.now().Before(c.expires) {
		return nil, iam.ErrExpiredToken
	}
	var err error
	for range 3 { // a policy may go while we read
		c.sources = nil
		c.principal, err = o.sessionPrincipal(ctx, claims, &c.sources)
		if !errors.Is(err, store.ErrNotFound) {
			break
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil // the role is gone, or a policy that limits the session; or the account is closed
	}
	if err != nil {
		return nil, fmt.Errorf("looking for the role of session %s: %w", id, err)
	}
	return c, nil
}

// sessionPrincipal is a session, with the policies of its role and its own.
func (o *Organization) sessionPrincipal(ctx context.Context, c sessionClaims, from *sources) (*iam.Principal, error) {
	if _, err := o.opened(ctx, c.Account, from); err != nil {
		return nil, err
	}
	var r roleDocument
	if err := o.read(ctx, roleKey(c.Account, c.Role), &r, from); err != nil {
		return nil, err
	}
	if r.ID != c.RoleID {
		return nil, store.ErrNotFound // another role of that name
	}
	extras, err := unpack(c.Packed)
	if err != nil {
		return nil, fmt.Errorf("unpacking a session of role %s: %w", r.ARN(), err)
	}
	p := &iam.Principal{
		Account: c.Account, ARN: sessionARN(c.Account, r.Name, c.Name), ID: r.ID + ":" + c.Name, Role: r.ARN(),
		Issued: time.Unix(c.Issued, 0).UTC().Format(time.RFC3339), SourceIdentity: c.SourceIdentity,
	}
	p.Tags = tagsByKey(r.Tags, extras.Tags) // the session's win
	if err := o.give(ctx, p, c.Account, &r.grants, from); err != nil {
		return nil, err
	}
	if extras.Policy == "" && len(extras.PolicyARNs) == 0 {
		return p, o.join(ctx, p)
	}
	limits := grants{Attached: extras.PolicyARNs}
	if extras.Policy != "" {
		limits.Policies = []Policy{{Name: "the session's", Document: extras.Policy}}
	}
	limited := &iam.Principal{ARN: p.ARN}
	if err := o.give(ctx, limited, c.Account, &limits, from); err != nil {
		return nil, err
	}
	p.Session = limited.Policies
	return p, o.join(ctx, p)
}

// tagsByKey merges tags, the later ones winning, with their keys in lower case.
func tagsByKey(all ...map[string]string) map[string]string {
	merged := map[string]string{}
	for _, tags := range all {
		for k, v := range tags {
			merged[strings.ToLower(k)] = v
		}
	}
	return merged
}

// join tells a principal its organisation, which never changes.
func (o *Organization) join(ctx context.Context, p *iam.Principal) error {
	id, ok := o.id.Load().(string)
	if !ok {
		info, err := o.Info(ctx)
		if errors.Is(err, ErrNone) {
			return nil
		}
		if err != nil {
			return err
		}
		id = info.ID
		o.id.Store(id)
	}
	p.Organization = id
	return nil
}
