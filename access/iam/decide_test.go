package iam_test

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"souk/access/iam"
)

// decision is one line of a questions file.
type decision struct {
	want      string // allow, deny or explicit
	principal *iam.Principal
	question  iam.Question
	line      string
}

// readDecisions reads a file of testdata/decisions: a policy, and lines of
// "answer action resource key=value...".
func readDecisions(t testing.TB, path string) (document []byte, list []decision) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.Files) != 2 || len(archive.Comment) == 0 {
		t.Fatalf("%s must have its source, policy.json and questions", path)
	}
	document = archive.Files[0].Data
	lines := bufio.NewScanner(strings.NewReader(string(archive.Files[1].Data)))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		d := decision{
			want:      fields[0],
			line:      lines.Text(),
			principal: user("123456789012", "Richard"),
			question:  iam.Question{Action: fields[1], Resource: fields[2], Context: iam.Context{}},
		}
		for _, f := range fields[3:] {
			key, value, ok := strings.Cut(f, "=")
			if !ok {
				t.Fatalf("%s: %q is no key=value", path, f)
			}
			switch key = strings.ToLower(key); key {
			case "user":
				d.principal = user(d.principal.Account, value)
			case "account":
				d.principal = user(value, d.principal.Name)
			case "aws:tokenissuetime":
				d.principal.Issued = value
			default:
				if tag, ok := strings.CutPrefix(key, "aws:principaltag/"); ok {
					if d.principal.Tags == nil {
						d.principal.Tags = map[string]string{}
					}
					d.principal.Tags[tag] = value
					continue
				}
				d.question.Context[key] = append(d.question.Context[key], value)
			}
		}
		list = append(list, d)
	}
	return document, list
}

func user(account, name string) *iam.Principal {
	return &iam.Principal{
		Account: account, Name: name, ID: "AIDACKCEVSQ6C2EXAMPLE",
		ARN: "arn:aws:iam::" + account + ":user/" + name,
	}
}

func answer(d iam.Decision) string {
	switch {
	case d.Allowed && d.Explicit:
		return "allowed and denied"
	case d.Allowed:
		return "allow"
	case d.Explicit:
		return "explicit"
	}
	return "deny"
}

func mustParse(t testing.TB, document []byte) *iam.Policy {
	t.Helper()
	p, err := iam.ParsePolicy(document)
	if err != nil {
		t.Fatalf("parse policy: %v\n%s", err, document)
	}
	return p
}

func TestDecisionsOfTheDocumentation(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/decisions/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, path := range files {
		document, list := readDecisions(t, path)
		count += len(list)
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			policy := mustParse(t, document)
			for _, d := range list {
				d.principal.Policies = []*iam.Policy{policy}
				if got := answer(iam.Decide(d.principal, d.question)); got != d.want {
					t.Errorf("got %s: %s", got, d.line)
				}
			}
		})
	}
	if count < 120 {
		t.Errorf("only %d decisions", count)
	}
}

func TestMalformedPoliciesAreRefused(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile("testdata/malformed.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		name, message, ok := strings.Cut(f.Name, " | ")
		if !ok {
			t.Fatalf("%q has no message", f.Name)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := iam.ParsePolicy(f.Data)
			var refused *iam.DocumentError
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want it refused", err)
			}
			if refused.Code != "MalformedPolicyDocument" || !strings.Contains(refused.Message, message) {
				t.Errorf("got %v, want MalformedPolicyDocument with %q", err, message)
			}
		})
	}
}

func TestPolicySizeCountsNoWhiteSpace(t *testing.T) {
	t.Parallel()
	document := func(resource int) []byte {
		return []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::` +
			strings.Repeat("x", resource) + `"}}` + strings.Repeat(" \n", 10_000))
	}
	rest := len(strings.TrimSpace(string(document(0))))
	mustParse(t, document(iam.MaxPolicySize-rest))
	for name, d := range map[string][]byte{
		"one character more": document(iam.MaxPolicySize - rest + 1),
		"all white space":    slices.Concat(document(1), []byte(strings.Repeat(" ", 131072))),
	} {
		var refused *iam.DocumentError
		if _, err := iam.ParsePolicy(d); !errors.As(err, &refused) || refused.Code != "LimitExceeded" {
			t.Errorf("%s: got %v, want LimitExceeded", name, err)
		}
	}
}

func TestPrincipalWithoutPolicies(t *testing.T) {
	t.Parallel()
	q := iam.Question{Action: "aws-marketplace:StartChangeSet", Resource: "*"}
	for name, c := range map[string]struct {
		p    *iam.Principal
		want string
	}{
		"nobody":             {nil, "deny"},
		"user":               {user("123456789012", "Richard"), "deny"},
		"root of an account": {&iam.Principal{Account: "123456789012", Root: true}, "allow"},
	} {
		if got := answer(iam.Decide(c.p, q)); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	document, list := readDecisions(t, "testdata/decisions/catalog_roles.txt")
	p := user("123456789012", "Richard")
	p.Policies = []*iam.Policy{mustParse(t, document)}
	root := &iam.Principal{Account: "123456789012", Root: true}
	many := twenty(t)
	many.Policies = append(many.Policies, p.Policies...)
	for _, d := range list {
		if n := testing.AllocsPerRun(100, func() { iam.Decide(many, d.question) }); n != 0 {
			t.Errorf("%v allocations with 20 policies for %s", n, d.line)
		}
		if n := testing.AllocsPerRun(100, func() { iam.Decide(p, d.question) }); n != 0 {
			t.Errorf("%v allocations for %s", n, d.line)
		}
		if n := testing.AllocsPerRun(100, func() { iam.Decide(root, d.question) }); n != 0 {
			t.Errorf("%v allocations for root: %s", n, d.line)
		}
	}
}

func TestExplainNamesEveryPart(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("testdata/decisions/not_action_deny.txt")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(mustParse(t, txtar.Parse(document).Files[0].Data).Explain(), "\n")
	want := `Allow every action
  on every resource
Deny (DenyAllUsersNotUsingMFA) every action but iam:GetUser, iam:ListMFADevices
  on every resource
  if aws:MultiFactorAuthPresent BoolIfExists false`
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

// twenty is a principal with the policies of all files of testdata/decisions.
func twenty(t testing.TB) *iam.Principal {
	t.Helper()
	files, err := filepath.Glob("testdata/decisions/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	p := user("123456789012", "Richard")
	for _, path := range files[:20] {
		document, _ := readDecisions(t, path)
		p.Policies = append(p.Policies, mustParse(t, document))
	}
	return p
}

// BenchmarkDecide is of a user with 20 policies; the answer is that nothing
// allows what is asked, so that all of them are looked at.
func BenchmarkDecide(b *testing.B) {
	p := twenty(b)
	q := iam.Question{Action: "aws-marketplace:ListChangeSets", Resource: "*", Context: iam.Context{
		"aws:sourceip": {"203.0.113.7"}, "aws:multifactorauthpresent": {"true"},
	}}
	b.ReportAllocs()
	for b.Loop() {
		iam.Decide(p, q)
	}
}
