package marketplacecatalog

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"souk/access/iam"
)

// passedTo is the service that gets the roles of change sets: it reads images,
// AMIs and components by them.
//
// AWS Marketplace Seller Guide, "Giving AWS Marketplace access to your AMI".
const passedTo = "assets.marketplace.amazonaws.com"

// roleMember is the member of details that names a role.
const roleMember = "AccessRoleArn"

// passed are the roles that a change gives to the marketplace, wherever in its
// details they stand, each once. What is no ARN is left to the change type,
// which refuses it; so is what is no JSON.
func (c *Change) passed() []string {
	details := []byte(c.DetailsDocument)
	if c.Details != nil {
		details = []byte(*c.Details)
	}
	// Most details name no role. A name may be spelt with escapes.
	if !bytes.Contains(details, []byte(roleMember)) && !bytes.Contains(details, []byte(`\u`)) {
		return nil
	}
	var roles []string
	d := jsontext.NewDecoder(bytes.NewReader(details), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		t, err := d.ReadToken()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return nil
			}
			return roles
		}
		if kind, n := d.StackIndex(d.StackDepth()); kind != jsontext.KindBeginObject || n%2 == 0 || t.Kind() != jsontext.KindString || t.String() != roleMember {
			continue // no name of a member, or another's
		}
		if d.PeekKind() != jsontext.KindString {
			continue
		}
		t, err = d.ReadToken()
		if err != nil {
			return nil
		}
		if role := t.String(); strings.HasPrefix(role, "arn:") && !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
}

// passQuestions asks whether a change's roles may be given to the marketplace.
//
// IAM User Guide, "Grant a user permissions to pass a role to an AWS service".
func (c *Change) passQuestions() []iam.Question {
	var questions []iam.Question
	for _, role := range c.passed() {
		questions = append(questions, iam.Question{
			Action: "iam:PassRole", Resource: role, Context: iam.Context{"iam:passedtoservice": {passedTo}},
		})
	}
	return questions
}
