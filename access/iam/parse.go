package iam

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// ParsePolicy parses an identity policy. It is strict: what the grammar does
// not know is refused, so that a misspelt element never widens a permission.
// Its errors are *DocumentError.
//
// IAM User Guide, "Grammar of the IAM JSON policy language".
func ParsePolicy(document []byte) (*Policy, error) {
	if err := checkSize(document); err != nil {
		return nil, err
	}
	return parse(document, ofIdentity)
}

// holder is what a policy belongs to: it decides which elements a statement has.
type holder uint8

const (
	ofIdentity holder = iota // no Principal
	ofResource               // Principal and Resource
	ofRole                   // a role's trust policy: Principal, no Resource
)

func parse(document []byte, of holder) (*Policy, error) {
	r := &reader{dec: jsontext.NewDecoder(bytes.NewReader(document)), of: of}
	p := &Policy{Version: Version2008}
	var given bool
	err := r.object("the policy", func(name string) error {
		switch name {
		case "Version":
			v, err := r.text("Version")
			if err == nil && v != Version2008 && v != Version2012 {
				err = syntax("Version must be %s or %s, not %q.", Version2012, Version2008, v)
			}
			p.Version = v
			return err
		case "Id":
			v, err := r.text("Id")
			p.ID = v
			return err
		case "Statement":
			given = true
			return r.statements(p)
		default:
			return syntax("The policy has an unknown element %q.", name)
		}
	})
	if err != nil {
		return nil, err
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, syntax("There is more behind the policy's closing brace.")
	}
	if !given || len(p.Statements) == 0 {
		return nil, syntax("The policy has no Statement.")
	}
	// Only now, since Version may stand behind the statements.
	sids := map[string]bool{}
	for i := range p.Statements {
		s := &p.Statements[i]
		if s.Sid != "" && sids[s.Sid] {
			return nil, malformed("Statement IDs (SID) in a single policy must be unique.")
		}
		sids[s.Sid] = true
		if err := s.compile(p.Version == Version2012); err != nil {
			return nil, err
		}
	}
	p.index()
	return p, nil
}

func checkSize(document []byte) error {
	if len(document) > maxDocument {
		return &DocumentError{Code: "LimitExceeded", Message: "The policy document is longer than 131072 bytes."}
	}
	if len(bytes.TrimSpace(document)) == 0 {
		return syntax("The policy is empty.")
	}
	n := 0
	for len(document) > 0 {
		r, size := utf8.DecodeRune(document)
		document = document[size:]
		switch {
		case r == '\t' || r == '\n' || r == '\r' || r == ' ':
		case r < ' ' || r > 0xff || r == utf8.RuneError:
			return malformed("The specified value for policyDocument is invalid. It must contain only printable ASCII characters.")
		default:
			n++
		}
	}
	if n > MaxPolicySize {
		return &DocumentError{Code: "LimitExceeded", Message: "Cannot exceed quota for PolicySize: 6144"}
	}
	return nil
}

// reader walks the tokens of a document and spells what is wrong with them.
type reader struct {
	of  holder
	dec *jsontext.Decoder
}

// token reads the next token. The JSON library refuses repeated names and bad
// UTF-8 by itself.
func (r *reader) token() (jsontext.Token, error) {
	t, err := r.dec.ReadToken()
	if err == nil {
		return t, nil
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return t, syntax("An element stands twice at %s.", where(r.dec.StackPointer()))
	}
	var wrong *jsontext.SyntacticError
	if !errors.As(err, &wrong) || errors.Is(err, io.ErrUnexpectedEOF) {
		return t, malformed("This policy contains invalid Json. It ends before it is complete.")
	}
	return t, malformed("This policy contains invalid Json. Byte %d: %v.", wrong.ByteOffset+1, wrong.Err)
}

func where(p jsontext.Pointer) string {
	if p == "" {
		return "the top"
	}
	return string(p)
}

// object calls member for each member's name; member reads the value.
func (r *reader) object(what string, member func(name string) error) error {
	t, err := r.token()
	if err != nil {
		return err
	}
	if t.Kind() != '{' {
		return syntax("Expected %s to be a JSON object.", what)
	}
	for {
		t, err := r.token()
		if err != nil {
			return err
		}
		if t.Kind() == '}' {
			return nil
		}
		if err := member(t.String()); err != nil {
			return err
		}
	}
}

// text reads a string.
func (r *reader) text(what string) (string, error) {
	t, err := r.token()
	if err != nil {
		return "", err
	}
	if t.Kind() != '"' {
		return "", syntax("%s must be a string.", what)
	}
	return t.String(), nil
}

// texts reads a string or a list of strings; with scalars also numbers and
// Booleans, as the values of conditions may be written.
func (r *reader) texts(what string, scalars bool) ([]string, error) {
	one := func(t jsontext.Token) (string, error) {
		switch k := t.Kind(); {
		case k == '"', scalars && (k == '0' || k == 't' || k == 'f'):
			return t.String(), nil
		}
		return "", syntax("%s must be a string or a list of strings.", what)
	}
	t, err := r.token()
	if err != nil {
		return nil, err
	}
	if t.Kind() != '[' {
		s, err := one(t)
		if err != nil {
			return nil, err
		}
		return []string{s}, nil
	}
	list := []string{}
	for {
		t, err := r.token()
		if err != nil {
			return nil, err
		}
		if t.Kind() == ']' {
			return list, nil
		}
		s, err := one(t)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
}

// statements reads one statement or a list of them.
func (r *reader) statements(p *Policy) error {
	if r.dec.PeekKind() != '[' {
		return r.statement(p)
	}
	if _, err := r.token(); err != nil {
		return err
	}
	for r.dec.PeekKind() != ']' {
		if err := r.statement(p); err != nil {
			return err
		}
	}
	_, err := r.token()
	return err
}

func (r *reader) statement(p *Policy) error {
	var s Statement
	var effect bool
	err := r.object("a Statement", func(name string) (err error) {
		switch name {
		case "Sid":
			s.Sid, err = r.text("Sid")
			if err == nil && strings.ContainsFunc(s.Sid, func(c rune) bool { return !isAlphanumeric(c) }) {
				err = malformed("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*")
			}
		case "Effect":
			var v string
			v, err = r.text("Effect")
			effect, s.Effect = true, v == "Allow"
			if err == nil && v != "Allow" && v != "Deny" {
				err = syntax("Effect must be Allow or Deny, not %q.", v)
			}
		case "Action":
			s.Action, err = r.texts(name, false)
		case "NotAction":
			s.NotAction, err = r.texts(name, false)
		case "Resource":
			s.Resource, err = r.texts(name, false)
		case "NotResource":
			s.NotResource, err = r.texts(name, false)
		case "Condition":
			err = r.object("Condition", func(operator string) error {
				return r.object("the conditions of "+operator, func(key string) error {
					values, err := r.texts("The value of "+key, true)
					s.Condition = append(s.Condition, Condition{Operator: operator, Key: key, Values: values})
					return err
				})
			})
		case "Principal":
			if r.of == ofIdentity {
				return malformed("Policy document should not specify a principal.")
			}
			s.Principals, err = r.principals()
		case "NotPrincipal":
			err = malformed("Policy document should not specify a principal.")
			if r.of != ofIdentity {
				err = malformed("NotPrincipal is not supported: name those who are meant.")
			}
		default:
			err = syntax("A Statement has an unknown element %q.", name)
		}
		return err
	})
	if err != nil {
		return err
	}
	switch {
	case !effect:
		return syntax("A Statement has no Effect.")
	case r.of != ofIdentity && len(s.Principals) == 0:
		return malformed("Policy statement must contain principals.")
	case s.Action != nil && s.NotAction != nil:
		return syntax("A Statement has both Action and NotAction.")
	case s.Resource != nil && s.NotResource != nil:
		return syntax("A Statement has both Resource and NotResource.")
	case len(s.Action)+len(s.NotAction) == 0:
		return malformed("Policy statement must contain actions.")
	case r.of == ofRole && s.Resource != nil:
		return malformed("Has prohibited field Resource")
	case r.of == ofRole && s.NotResource != nil:
		return malformed("Has prohibited field NotResource")
	case r.of == ofRole:
		s.resources = []pattern{{shape: everything}}
	case len(s.Resource)+len(s.NotResource) == 0:
		return malformed("Policy statement must contain resources.")
	}
	p.Statements = append(p.Statements, s)
	return nil
}

// compile makes the matchers of a statement. Variables are replaced in
// policies of the newer version only.
func (s *Statement) compile(variables bool) error {
	for _, a := range slices.Concat(s.Action, s.NotAction) {
		if err := checkAction(a); err != nil {
			return err
		}
		m, err := compile(a, pattern{fold: true}, wildcards)
		if err != nil {
			return err
		}
		s.actions = append(s.actions, m)
	}
	for _, a := range slices.Concat(s.Resource, s.NotResource) {
		if err := checkResource(a, variables); err != nil {
			return err
		}
		m, err := compile(a, pattern{variables: variables}, resourceARN)
		if err != nil {
			return err
		}
		s.resources = append(s.resources, m)
	}
	for _, c := range s.Condition {
		t, err := compileCondition(c, variables)
		if err != nil {
			return err
		}
		s.conditions = append(s.conditions, t)
	}
	return nil
}

func checkAction(a string) error {
	if a == "*" {
		return nil
	}
	vendor, name, colon := strings.Cut(a, ":")
	switch {
	case !colon:
		return malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
	case strings.Contains(name, ":"):
		return malformed("Actions/Condition can contain only one colon.")
	case vendor != "*" && (vendor == "" || strings.ContainsFunc(vendor, func(c rune) bool {
		return !isAlphanumeric(c) && c != '-' && c != '.'
	})):
		return malformed("Vendor %s is not valid", vendor)
	case name == "" || strings.ContainsFunc(name, func(c rune) bool {
		return !isAlphanumeric(c) && !strings.ContainsRune("*?-_.", c)
	}):
		return syntax("%q is not the name of an action.", a)
	}
	return nil
}

// checkResource refuses what is no ARN pattern. A pattern with fewer than six
// parts is taken as it is; it then must end in a wildcard to match anything.
func checkResource(a string, variables bool) error {
	if a == "*" {
		return nil
	}
	parts := strings.SplitN(a, ":", 6)
	if parts[0] != "arn" || len(parts) < 2 {
		return malformed("Resource %s must be in ARN format or \"*\".", a)
	}
	if p := parts[1]; p != "*" && p != "aws" && p != "aws-cn" && p != "aws-us-gov" {
		return malformed("Partition \"%s\" is not valid for resource \"%s\".", p, a)
	}
	if len(parts) < 3 || parts[2] == "" || strings.ContainsAny(parts[2], "*?$") {
		return malformed("Resource vendor must be fully qualified and cannot contain regexes.")
	}
	if len(parts) < 6 && !strings.HasSuffix(a, "*") {
		return malformed("Resource %s must be in ARN format or \"*\".", a)
	}
	if variables && strings.Contains(strings.Join(parts[:min(5, len(parts))], ":"), "${") {
		return syntax("Resource %s has a policy variable before the fifth colon.", a)
	}
	return nil
}

func isAlphanumeric(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
