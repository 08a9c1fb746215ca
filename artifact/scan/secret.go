package scan

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"souk/artifact/scan/advisory"
)

// secrets looks for secrets in a file. Its name is relative to the root.
func secrets(name string, content []byte) []Finding {
	var all []Finding
	add := func(check Check, code, format string, args ...any) {
		all = append(all, Finding{Check: check, Code: code, Path: name, Severity: advisory.Critical, Message: fmt.Sprintf(format, args...)})
	}
	base := path.Base(name)
	switch {
	case base == "authorized_keys" || base == "authorized_keys2":
		if n := authorized(content); n > 0 {
			add(AuthorizedKeys, "AUTHORIZED_KEY", "/%s lets in whoever has %s. Remove the file.", name, keysOf(n))
		}
	case name == "etc/shadow" || name == "etc/shadow-" || name == "etc/passwd" || name == "etc/passwd-":
		empty, set := passwords(content)
		if len(empty) > 0 {
			add(Passwords, "EMPTY_PASSWORD", "In /%s, these users log in without a password: %s. Lock them (usermod --lock).", name, strings.Join(empty, ", "))
		}
		if len(set) > 0 {
			add(Passwords, "PASSWORD", "In /%s, these users have a password: %s. Lock them (usermod --lock).", name, strings.Join(set, ", "))
		}
	}
	if documentation(name) {
		return all
	}
	if kind := privateKey(content); kind != "" {
		add(PrivateKeys, "PRIVATE_KEY", "/%s holds a private key (%s). Remove it; machines make their own when they start.", name, kind)
	}
	for _, what := range cloudKeys(name, content) {
		add(CloudKeys, "CLOUD_KEY", "/%s holds %s. Remove it and revoke it: who pulls the image has it.", name, what)
	}
	return all
}

// documentation says whether a file is read by people alone; such files show
// keys as examples.
func documentation(name string) bool {
	return strings.HasPrefix(name, "usr/share/doc/") || strings.HasPrefix(name, "usr/share/man/") || strings.HasPrefix(name, "usr/share/info/")
}

// keysOf says in words who gets in by n authorized keys.
func keysOf(n int) string {
	if n == 1 {
		return "its key"
	}
	return fmt.Sprintf("one of its %d keys", n)
}

// authorized counts the keys of an authorized_keys file.
func authorized(content []byte) (n int) {
	for line := range bytes.Lines(content) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' {
			n++
		}
	}
	return n
}

const maxNamed = 20 // users that a message names

// passwords reads the second field of shadow and passwd.
//
// shadow(5): an empty field lets in without a password; one that is no result
// of crypt(3), such as ! or *, lets nobody in by password.
func passwords(content []byte) (empty, set []string) {
	for line := range bytes.Lines(content) {
		user, rest, ok := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		field, _, ok2 := bytes.Cut(rest, []byte(":"))
		if !ok || !ok2 || len(user) == 0 || user[0] == '#' || user[0] == '+' || user[0] == '-' {
			continue
		}
		switch {
		case len(field) == 0:
			empty = append(empty, plain(user))
		case field[0] == '$' || len(field) >= 13 && field[0] != '!' && field[0] != '*':
			set = append(set, plain(user))
		}
	}
	return few(empty), few(set)
}

func few(names []string) []string {
	if len(names) > maxNamed {
		return append(names[:maxNamed], fmt.Sprintf("and %d more", len(names)-maxNamed))
	}
	return names
}

const maxPlain = 300 // bytes

// plain makes a text of a stranger's file fit for a message.
func plain(b []byte) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return '?'
		}
		return r
	}, string(b[:min(len(b), maxPlain)]))
	return s
}

var (
	beginMark  = []byte("-----BEGIN ")
	keyWords   = []byte("PRIVATE KEY")
	endOfBegin = []byte("-----")
)

// leastKey is how many characters of base64 the smallest private key has: one
// of Ed25519 has 64.
const leastKey = 60

// privateKey returns the type of the first private key in PEM form, "" if there
// is none: a mark with the key behind it, also in a JSON string. A mark alone
// stands in every program that reads keys.
//
// RFC 7468; PROTOCOL.key of OpenSSH; RFC 4880 6.2 for those of PGP.
func privateKey(content []byte) string {
	for {
		i := bytes.Index(content, beginMark)
		if i < 0 {
			return ""
		}
		content = content[i+len(beginMark):]
		label, body, ok := bytes.Cut(content[:min(len(content), 2000)], endOfBegin)
		if !ok || len(label) > 40 || !bytes.Contains(label, keyWords) {
			continue
		}
		if keyBody(body) {
			return plain(label)
		}
	}
}

// keyBody says whether enough base64 follows, behind headers such as Proc-Type.
func keyBody(body []byte) bool {
	n := 0
	for len(body) > 0 {
		c := body[0]
		switch {
		case c == '\\' && len(body) > 1 && (body[1] == 'n' || body[1] == 'r'):
			body = body[1:] // a line's end in a string
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '"' || c == '\'' || c == '+' && n == 0:
		case c == ':': // what was read is the name of a header: on with the next line
			_, rest, ok := bytes.Cut(body, []byte("\n"))
			if !ok {
				return false
			}
			n, body = 0, rest
			continue
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/' || c == '=' || c == '-' && n < leastKey/2:
			n++
			if n >= leastKey {
				return true
			}
		default:
			return false
		}
		body = body[1:]
	}
	return false
}

// cloudKey is a kind of key that opens something far away.
type cloudKey struct {
	what string
	// files, if set, says in which files it is looked for; else in all where
	// keys are usual.
	files func(name string) bool
	// literal is in every key: what has it not is not searched. "" is no filter.
	literal string
	pattern *regexp.Regexp
}

func named(names ...string) func(string) bool {
	return func(name string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return name == n || strings.HasSuffix(name, "/"+n) })
	}
}

// cloudKeyKinds are compiled for the first scan, not whenever the program starts.
var cloudKeyKinds = sync.OnceValue(func() []cloudKey {
	return []cloudKey{
		{"a secret access key of AWS", named(".aws/credentials", ".aws/config"), "aws_secret_access_key", regexp.MustCompile(`(?i)aws_secret_access_key\s*=\s*[A-Za-z0-9/+]{40}`)},
		{"a token of GitHub", nil, "gh", regexp.MustCompile(`\bgh[pousr]_[A-Za-z0-9]{36,255}\b|\bgithub_pat_[A-Za-z0-9_]{60,}`)},
		{"a token of Slack", nil, "xox", regexp.MustCompile(`\bxox[abprs]-[0-9]{6,}-[A-Za-z0-9-]{10,}`)},
		{"an account key of Azure", nil, "AccountKey=", regexp.MustCompile(`AccountKey=[A-Za-z0-9+/]{86}==`)},
		{"a password of a registry", named(".docker/config.json", ".dockercfg"), `"auth"`, regexp.MustCompile(`"auth"\s*:\s*"[A-Za-z0-9+/=]{8,}"`)},
		{"a password for git", named(".git-credentials"), "://", regexp.MustCompile(`(?m)^https?://[^:/\s]+:[^@\s]+@`)},
		{"a password for a host", named(".netrc"), "password", regexp.MustCompile(`(?m)\bpassword\s+\S+`)},
		{"a token of a package registry", named(".npmrc"), "_authToken", regexp.MustCompile(`_authToken\s*=\s*[^\s$]{8,}`)},
	}
})

var (
	awsKeyID = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?:^|[^A-Za-z0-9])((?:AKIA|ASIA)[A-Z0-9]{16})(?:[^A-Za-z0-9]|$)`)
	})
	awsSecret = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)secret[^\n]{0,60}?(?:^|[^A-Za-z0-9/+])([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)`)
	})
)

// cloudKeys says which keys a file holds, where keys are usual.
func cloudKeys(name string, content []byte) (found []string) {
	usual := keysAreUsual(name)
	for _, k := range cloudKeyKinds() {
		if k.files == nil && !usual || k.files != nil && !k.files(name) {
			continue
		}
		if bytes.Contains(content, []byte(k.literal)) && k.pattern.Match(content) {
			found = append(found, k.what)
		}
	}
	if usual && len(found) == 0 {
		if what := awsKey(content); what != "" {
			found = append(found, what)
		}
	}
	return found
}

// awsKey looks for an access key id of AWS with its secret. An id alone opens
// nothing, and those of the documentation end in EXAMPLE.
func awsKey(content []byte) string {
	if !bytes.Contains(content, []byte("AKIA")) && !bytes.Contains(content, []byte("ASIA")) {
		return ""
	}
	for _, m := range awsKeyID().FindAllSubmatch(content, 100) {
		if id := string(m[1]); !strings.HasSuffix(id, "EXAMPLE") && awsSecret().Match(content) {
			return "the access key " + id[:4] + "..." + id[16:] + " of AWS with its secret"
		}
	}
	return ""
}

// keysAreUsual says whether people leave keys in such a file: histories,
// environments, settings and scripts, but not what packages install.
func keysAreUsual(name string) bool {
	for _, dir := range []string{"usr/lib/", "usr/share/", "lib/", "var/lib/dpkg/", "usr/local/go/", "usr/include/"} {
		if strings.HasPrefix(name, dir) {
			return false
		}
	}
	base := path.Base(name)
	if strings.HasPrefix(base, ".env") || strings.HasSuffix(base, "_history") || strings.HasPrefix(base, "user-data") {
		return true
	}
	switch base {
	case ".bashrc", ".profile", ".bash_profile", ".zshrc", "environment", "rc.local", "credentials", "config", ".s3cfg", ".boto", ".pypirc":
		return true
	}
	switch strings.ToLower(path.Ext(base)) {
	case ".env", ".tf", ".tfvars", ".tfstate", ".yaml", ".yml", ".json", ".ini", ".conf", ".cfg", ".properties", ".sh", ".py", ".rb", ".js", ".ts", ".php", ".toml", ".xml", ".txt", ".csv":
		return true
	}
	return false
}

// environmentKeys looks for keys in the environment of an image's config.
func environmentKeys(env []string) []Finding {
	text := []byte(strings.Join(env, "\n"))
	what := awsKey(text)
	if what == "" {
		for _, e := range env {
			name, value, _ := strings.Cut(e, "=")
			if strings.EqualFold(name, "AWS_SECRET_ACCESS_KEY") && len(value) == 40 {
				what = "a secret access key of AWS"
			}
		}
	}
	for _, k := range cloudKeyKinds() {
		if what == "" && k.files == nil && k.pattern.Match(text) {
			what = k.what
		}
	}
	if what == "" {
		return nil
	}
	return []Finding{{Check: CloudKeys, Code: "CLOUD_KEY", Severity: advisory.Critical,
		Message: "The environment in the image's config holds " + what + ". Remove it and revoke it: who pulls the image has it."}}
}
