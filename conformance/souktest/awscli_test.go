package souktest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// said is what a command printed and how it ended.
type said struct {
	Out, Problems string
	Code          int
}

func run(t *testing.T, c *exec.Cmd, dir, stdin string, env ...string) said {
	t.Helper()
	var out, problems bytes.Buffer
	c.Dir, c.Stdin, c.Stdout, c.Stderr = dir, strings.NewReader(stdin), &out, &problems
	c.Env = append(c.Env, env...)
	err := c.Run()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	return said{out.String(), problems.String(), c.ProcessState.ExitCode()}
}

// TestKeptAWSSaysWhatTheProgramSays: a command says the same and ends the same,
// whether the AWS CLI was kept for it or is started for it.
func TestKeptAWSSaysWhatTheProgramSays(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("aws")
	if err != nil {
		t.Fatal(err)
	}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), "GetCallerIdentity") {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `<ErrorResponse><Error><Code>Refused</Code><Message>`+strings.ReplaceAll(string(body), "&", " ")+`</Message></Error></ErrorResponse>`)
			return
		}
		key, _, _ := strings.Cut(r.Header.Get("Authorization"), "/")
		_, _ = io.WriteString(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><UserId>`+key+` é</UserId></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	t.Cleanup(service.Close)
	home := t.TempDir()
	a := NewAWS(t, home)
	if a.Path == program {
		t.Logf("%s is not a program of Python: it is not kept", program)
	}
	model := filepath.Join(home, "model.json")
	for file, text := range map[string]string{
		model: `{"version":"2.0","metadata":{"apiVersion":"2020-01-01","endpointPrefix":"added","protocol":"json","jsonVersion":"1.1","targetPrefix":"Added","serviceFullName":"Added","serviceId":"Added","signatureVersion":"v4","uid":"added-2020-01-01"},
			"operations":{"Ask":{"name":"Ask","http":{"method":"POST","requestUri":"/"},"input":{"shape":"In"}}},"shapes":{"In":{"type":"structure","required":["Word"],"members":{"Word":{"shape":"Text"}}},"Text":{"type":"string"}}}`,
		filepath.Join(home, "policy.json"): `{"Version":"2012-10-17"}`,
		filepath.Join(home, "config"):      "[profile other]\nregion = eu-west-1\noutput = text\n",
	} {
		err := os.WriteFile(file, []byte(text), 0o600)
		if err != nil {
			t.Fatal(err)
		}
	}
	endpoint := []string{"--endpoint-url", service.URL, "--region", "us-east-1"}
	for name, c := range map[string]struct {
		args  []string
		env   []string
		stdin string
		code  int
	}{
		"version":                      {args: []string{"--version"}},
		"answer":                       {args: append(endpoint, "sts", "get-caller-identity")},
		"answer by another key":        {args: append(endpoint, "sts", "get-caller-identity"), env: []string{"AWS_ACCESS_KEY_ID=AKIAOTHER"}},
		"query and output":             {args: append(endpoint, "sts", "get-caller-identity", "--query", "UserId", "--output", "text")},
		"profile of the home folder":   {args: []string{"configure", "get", "region"}, env: []string{"AWS_PROFILE=other"}},
		"output of a profile":          {args: append(endpoint, "sts", "get-caller-identity", "--profile", "other"), env: []string{"AWS_DEFAULT_OUTPUT="}, code: -1},
		"refusal":                      {args: append(endpoint, "sts", "get-session-token"), code: 254},
		"parameter of a file":          {args: append(endpoint, "iam", "put-user-policy", "--user-name", "ann", "--policy-name", "p", "--policy-document", "file://policy.json"), code: 254},
		"parameter of standard input":  {args: append(endpoint, "iam", "put-user-policy", "--user-name", "ann", "--policy-name", "p", "--policy-document", "file:///dev/stdin"), stdin: `{"of":"stdin"}`, code: 254},
		"no such profile":              {args: []string{"sts", "get-caller-identity"}, env: []string{"AWS_PROFILE=missing"}, code: -1},
		"no credentials":               {args: append(endpoint, "sts", "get-caller-identity"), env: []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="}, code: -1},
		"no such service":              {args: []string{"nosuch", "ask"}, code: 252},
		"no such operation":            {args: []string{"sts", "nosuch"}, code: 252},
		"required parameter missing":   {args: append(endpoint, "sts", "assume-role"), code: 252},
		"nobody listens":               {args: []string{"--endpoint-url", "http://127.0.0.1:1", "--region", "us-east-1", "sts", "get-caller-identity"}, env: []string{"AWS_MAX_ATTEMPTS=1"}, code: 255},
		"model that is not added yet":  {args: append(endpoint, "added", "ask", "--word", "x"), code: 252},
		"service with a large model":   {args: append(endpoint, "ec2", "describe-images"), code: 254},
		"service with an old protocol": {args: append(endpoint, "sns", "list-topics"), code: 254},
	} {
		t.Run(name, func(t *testing.T) {
			env := append([]string{"AWS_ACCESS_KEY_ID=AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY=secret", "TZ=UTC"}, c.env...)
			started := exec.CommandContext(t.Context(), program, c.args...)
			started.Env = append([]string(nil), a.Env...)
			want := run(t, started, home, c.stdin, env...)
			for range 2 { // the second finds what the first read
				kept := run(t, a.Command(t.Context(), c.args...), home, c.stdin, env...)
				if d := cmp.Diff(want, kept); d != "" {
					t.Errorf("started (-) and kept (+) differ:\n%s", d)
				}
			}
			if (want.Code == 0) != (c.code == 0) && c.code != -1 {
				t.Errorf("ended with %d: %s", want.Code, want.Problems)
			}
		})
	}

	// What one command writes the next one finds.
	added := run(t, a.Command(t.Context(), "configure", "add-model", "--service-model", "file://"+model, "--service-name", "added"), home, "")
	asked := run(t, a.Command(t.Context(), append(endpoint, "added", "ask", "--word", "x")...), home, "", "AWS_ACCESS_KEY_ID=AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY=secret")
	if added.Code != 0 || !strings.Contains(asked.Problems, "calling the Ask operation") {
		t.Errorf("adding a model: %+v; a command of it: %+v", added, asked)
	}
	a.Close()
	if log := a.Log(); log != "" {
		t.Errorf("what was kept printed %s", log)
	}
}

// TestInterpreters: only what Python runs is kept.
func TestInterpreters(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"#!/usr/bin/python3\nimport sys\n":                "/usr/bin/python3",
		"#! /opt/venv/bin/python3.11 -s\r\nimport sys\n":  "/opt/venv/bin/python3.11",
		"#!/bin/sh\n'''exec' /a/python \"$0\" \"$@\"\n''": "",
		"#!/usr/bin/env bash\n":                           "",
		"\x7fELF\x02\x01\x01":                             "",
		"":                                                "",
		"/usr/bin/python3\n":                              "",
		"#!" + strings.Repeat("/python", 1000) + "\nx":    "",
	} {
		path := filepath.Join(t.TempDir(), "aws")
		err := os.WriteFile(path, []byte(line), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if got := firstLine(path); got != want {
			t.Errorf("%.60q: python %.60q, want %q", line, got, want)
		}
	}
	if got := firstLine(filepath.Join(t.TempDir(), "missing")); got != "" {
		t.Errorf("a program that is not there is run by %q", got)
	}
}
