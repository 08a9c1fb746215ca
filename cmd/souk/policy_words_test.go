package main

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPolicyWordsAreThoseOfTheServices: souk policy check knows what the services
// ask policies for, and nothing else.
func TestPolicyWordsAreThoseOfTheServices(t *testing.T) {
	t.Parallel()
	var (
		root   = os.DirFS("../..")
		word   = regexp.MustCompile(`"((?:aws-marketplace|ec2|ecr|sts|aws|catalog):\w+)"`)
		bare   = regexp.MustCompile(`\baction\("(\w+)"\)`)
		source strings.Builder
	)
	for _, room := range []string{"service", "artifact/registry", "gateway", "access"} {
		err := fs.WalkDir(root, room, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := fs.ReadFile(root, path)
			source.Write(text)
			return err
		})
		if err != nil {
			t.Fatalf("reading %s: %v", room, err)
		}
	}
	known := slices.Concat(actions, conditionKeys)
	for _, m := range word.FindAllStringSubmatch(source.String(), -1) {
		if !contains(known, m[1]) {
			t.Errorf("policy_words.go lacks %s", m[1])
		}
	}
	for _, m := range bare.FindAllStringSubmatch(source.String(), -1) {
		if !contains(known, "aws-marketplace:"+m[1]) {
			t.Errorf("policy_words.go lacks aws-marketplace:%s", m[1])
		}
	}
	// The operations of these services ask for the action of their own name.
	operation := regexp.MustCompile(`gateway\.Def\[[^{]+\{\s+Name:\s+"(\w+)"`)
	for _, service := range []string{"iam", "organizations", "sns"} {
		files, err := fs.Glob(root, "service/"+service+"/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("the operations of %s: %v, %v", service, files, err)
		}
		for _, name := range files {
			text, err := fs.ReadFile(root, name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range operation.FindAllStringSubmatch(string(text), -1) {
				if !contains(known, service+":"+m[1]) {
					t.Errorf("policy_words.go lacks %s:%s", service, m[1])
				}
			}
		}
	}
	all := strings.ToLower(source.String())
	for _, k := range known {
		k = strings.ToLower(k)
		_, name, _ := strings.Cut(k, ":")
		if !strings.Contains(all, `"`+k+`"`) && !strings.Contains(all, `"`+name+`"`) {
			t.Errorf("policy_words.go has %s, of which no service knows", k)
		}
	}
}
