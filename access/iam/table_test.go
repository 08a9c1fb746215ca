package iam_test

import (
	"os"
	"strings"
	"testing"

	"souk/access/iam"
)

// policyFile parses a policy of testdata/policies: as a role's if its name
// begins with trust-, as a resource's if it begins with on-.
func policyFile(t testing.TB, name string) *iam.Policy {
	t.Helper()
	document, err := os.ReadFile("testdata/policies/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	parse := iam.ParsePolicy
	switch kind, _, _ := strings.Cut(name, "-"); kind {
	case "trust":
		parse = iam.ParseTrustPolicy
	case "on":
		parse = iam.ParseResourcePolicy
	}
	p, err := parse(document)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

// policies parses a list of names; "-" is none.
func policyFiles(t testing.TB, names string) (list []*iam.Policy) {
	t.Helper()
	if names == "-" {
		return nil
	}
	for name := range strings.SplitSeq(names, ",") {
		list = append(list, policyFile(t, name))
	}
	return list
}

// whom reads a principal: "root ACCOUNT", "user ACCOUNT NAME", "session ACCOUNT
// ROLE NAME", and then "org ID", "tag KEY=VALUE", "issued TIME", "source NAME".
func whom(t testing.TB, text string) *iam.Principal {
	t.Helper()
	f := strings.Fields(text)
	var p *iam.Principal
	switch {
	case f[0] == "root":
		p, f = &iam.Principal{Account: f[1], ARN: "arn:aws:iam::" + f[1] + ":root", ID: f[1], Root: true}, f[2:]
	case f[0] == "user":
		p, f = user(f[1], f[2]), f[3:]
	case f[0] == "session":
		p, f = &iam.Principal{
			Account: f[1], ARN: "arn:aws:sts::" + f[1] + ":assumed-role/" + f[2] + "/" + f[3], ID: "AROAEXAMPLE:" + f[3],
			Role: "arn:aws:iam::" + f[1] + ":role/" + f[2], Issued: "2026-07-01T12:00:00Z",
		}, f[4:]
	default:
		t.Fatalf("%q is no principal", text)
	}
	for ; len(f) > 1; f = f[2:] {
		switch f[0] {
		case "org":
			p.Organization = f[1]
		case "tag":
			key, value, _ := strings.Cut(f[1], "=")
			p.Tags = map[string]string{key: value}
		case "issued":
			p.Issued = f[1]
		case "source":
			p.SourceIdentity = f[1]
		default:
			t.Fatalf("%q says nothing about a principal", f[0])
		}
	}
	return p
}

func TestDecisionsAboutPrincipalsAndResources(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("testdata/decisions.tsv")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for line := range strings.Lines(string(table)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		count++
		f := strings.Split(line, "\t")
		if len(f) != 10 || len(f[9]) < 10 {
			t.Fatalf("%q has not its ten columns", line)
		}
		p := whom(t, f[1])
		p.Policies, p.Session = policyFiles(t, f[2]), policyFiles(t, f[3])
		q := iam.Question{Action: f[6], Resource: f[7], Context: iam.Context{}}
		if f[4] != "-" {
			q.Policy = policyFile(t, f[4])
			q.Trust = strings.HasPrefix(f[4], "trust-")
		}
		if f[5] != "-" {
			q.Owner = f[5]
		}
		if f[8] != "-" {
			for pair := range strings.FieldsSeq(f[8]) {
				key, value, _ := strings.Cut(pair, "=")
				key = strings.ToLower(key)
				q.Context[key] = append(q.Context[key], value)
			}
		}
		d := iam.Decide(p, q)
		if got := answer(d); got != f[0] {
			t.Errorf("got %s (%v): %s", got, d.By, line)
		}
	}
	if count < 110 {
		t.Errorf("only %d decisions", count)
	}
}

func TestTrustPoliciesThatNoRoleMayHave(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ document, message string }{
		"without a principal":     {`{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole"}}`, "must contain principals"},
		"with a resource":         {`{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}}`, "Has prohibited field Resource"},
		"with NotResource":        {`{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","NotResource":"*"}}`, "Has prohibited field NotResource"},
		"with an action of S3":    {`{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject"}}`, "may only specify STS AssumeRole actions"},
		"for federated users":     {`{"Statement":{"Effect":"Allow","Principal":{"Federated":"cognito-identity.amazonaws.com"},"Action":"sts:AssumeRole"}}`, "Federated"},
		"for a service elsewhere": {`{"Statement":{"Effect":"Allow","Principal":{"Service":"ec2.example.com"},"Action":"sts:AssumeRole"}}`, "Invalid principal"},
		"for a part of a name":    {`{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/a*"},"Action":"sts:AssumeRole"}}`, "Invalid principal"},
		"for half a session":      {`{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:sts::123456789012:assumed-role/a"},"Action":"sts:AssumeRole"}}`, "Invalid principal"},
		"that is too long":        {`{"Statement":{"Sid":"` + strings.Repeat("x", 2048) + `","Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}`, "2048"},
	} {
		if _, err := iam.ParseTrustPolicy([]byte(c.document)); err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v, want %q", name, err, c.message)
		}
	}
}

func FuzzParseTrustPolicy(f *testing.F) {
	files, err := os.ReadDir("testdata/policies")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		document, err := os.ReadFile("testdata/policies/" + file.Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(document)
	}
	p := whom(f, "session 123456789012 seller ann")
	f.Fuzz(func(t *testing.T, document []byte) {
		trust, err := iam.ParseTrustPolicy(document)
		if err != nil {
			return
		}
		for _, s := range trust.Statements {
			if len(s.Principals) == 0 || s.Resource != nil || s.NotResource != nil {
				t.Errorf("accepted %s", document)
			}
		}
		d := iam.Decide(p, iam.Question{Action: "sts:AssumeRole", Resource: "*", Policy: trust, Owner: "444455556666"})
		if d.Allowed {
			t.Errorf("a principal without policies is allowed across accounts by %s", document)
		}
	})
}
