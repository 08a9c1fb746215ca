package scan

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"souk/artifact/scan/advisory"
)

// sshdFile says whether a file belongs to the configuration of sshd.
func sshdFile(name string) bool {
	return name == sshdMain || strings.HasPrefix(name, "etc/ssh/") && path.Ext(name) == ".conf"
}

const (
	sshdMain     = "etc/ssh/sshd_config"
	maxSettings  = 1000 // of a file
	maxInclusion = 16   // files within files, as sshd has it
)

// setting is a line of sshd's configuration.
type setting struct {
	Key   string // lower case
	Value string
	Match bool // it holds for some connections only
}

// readSshd reads the settings that a scan asks for.
//
// sshd_config(5).
func readSshd(content []byte) []setting {
	var (
		all   []setting
		match bool
	)
	for line := range bytes.Lines(content) {
		if len(all) == maxSettings {
			break
		}
		key, value, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(string(line), "\t", " ")), " ")
		if k, v, ok := strings.Cut(key, "="); ok {
			key, value = k, v+" "+value
		}
		value = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(value), "="))
		value, _, _ = strings.Cut(value, " #")
		value = plain([]byte(strings.Trim(strings.TrimSpace(value), `"`)))
		switch key = strings.ToLower(key); key {
		case "match":
			match = true
		case "passwordauthentication", "permitrootlogin", "include":
			all = append(all, setting{Key: key, Value: value, Match: match})
		}
	}
	return all
}

// logins says how sshd lets people in, by its files: what an image without
// sshd_config does not have it does not run.
func logins(files map[string][]setting) []Finding {
	if _, ok := files[sshdMain]; !ok {
		return nil
	}
	var all []placed
	include(files, sshdMain, 0, &all)
	var found []Finding
	judge := func(check Check, code, key string, bad func(string) bool, unset, text string) {
		decided := false
		for _, s := range all {
			if s.Key != key || decided && !s.Match {
				continue // the first value of a setting is the one that counts
			}
			decided = decided || !s.Match
			if bad(strings.ToLower(s.Value)) {
				where := ""
				if s.Match {
					where = " for some connections (Match)"
				}
				found = append(found, Finding{Check: check, Code: code, Path: s.path, Severity: advisory.High, Message: fmt.Sprintf(text, "/"+s.path+" says \""+s.Value+"\""+where)})
			}
		}
		if !decided && unset != "" {
			found = append(found, Finding{Check: check, Code: code, Path: sshdMain, Severity: advisory.High, Message: fmt.Sprintf(text, unset)})
		}
	}
	judge(SSHPasswordLogin, "SSH_PASSWORD_LOGIN", "passwordauthentication", func(v string) bool { return v != "no" },
		"/"+sshdMain+" says nothing, and sshd's default is yes", "sshd takes passwords: %s. Set PasswordAuthentication no.")
	judge(SSHRootLogin, "SSH_ROOT_LOGIN", "permitrootlogin", func(v string) bool { return v == "yes" },
		"", "sshd lets root log in by password: %s. Set PermitRootLogin no.")
	return found
}

// placed is a setting with its file.
type placed struct {
	setting
	path string
}

// include collects the settings of a file in the order in which sshd reads them.
func include(files map[string][]setting, name string, depth int, all *[]placed) {
	if depth > maxInclusion || len(*all) > maxSettings {
		return
	}
	for _, s := range files[name] {
		if s.Key != "include" {
			*all = append(*all, placed{s, name})
			continue
		}
		for pattern := range strings.FieldsSeq(s.Value) {
			if !strings.HasPrefix(pattern, "/") {
				pattern = "/etc/ssh/" + pattern
			}
			var matched []string
			for other := range files {
				if ok, err := path.Match(pattern[1:], other); err == nil && ok {
					matched = append(matched, other)
				}
			}
			slices.Sort(matched)
			for _, m := range matched {
				include(files, m, depth+1, all)
			}
		}
	}
}
