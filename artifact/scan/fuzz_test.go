package scan

import (
	"bytes"
	"context"
	"encoding/gob"
	"io"
	"testing"
	"time"

	"souk/artifact/archive"
)

// FuzzLayer reads layers of any bytes: plain, so that the archive's inside is
// reached, and as they come.
func FuzzLayer(f *testing.F) {
	sigs, err := newSignatures([]Signature{{Name: "x", SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{}, "")
	f.Add([]byte{0x1f, 0x8b}, ".wh..wh..opq")
	f.Add(make([]byte, 1024), "a/b/.wh.c")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		open := func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
		c, err := readLayer(t.Context(), open, archive.Limits{Entries: 1000, Bytes: 8 << 20, File: 4 << 20}, sigs)
		if err != nil {
			t.Fatalf("no stream failed: %v", err)
		}
		newCover(c).hides(way(name))
		var body bytes.Buffer
		if err := gob.NewEncoder(&body).Encode(c); err != nil {
			t.Fatalf("what was learned can't be kept: %v", err)
		}
	})
}

// FuzzFile reads files of any bytes in the places where they mean something.
func FuzzFile(f *testing.F) {
	f.Add("etc/shadow", []byte("root::1:\n:::\nx:$6$a$b:"))
	f.Add("etc/ssh/sshd_config", []byte("Include *\nMatch all\nPasswordAuthentication \"yes\"\nPermitRootLogin=yes"))
	f.Add("root/.ssh/authorized_keys", []byte("#\n\nssh-rsa A"))
	f.Add("opt/x.json", []byte(`"-----BEGIN PRIVATE KEY-----\nAAAA`))
	f.Add("x", []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIE"))
	f.Add("root/.aws/credentials", []byte("aws_secret_access_key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		for _, found := range secrets(name, b) {
			if found.Check == "" || found.Code == "" || found.Message == "" || found.Path != name {
				t.Errorf("a finding lacks a part: %+v", found)
			}
		}
		logins(map[string][]setting{sshdMain: readSshd(b), "etc/ssh/sshd_config.d/a.conf": readSshd(b)})
	})
}

// FuzzPolicy reads policies of any bytes.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte("packages: {refuse: HIGH, unfixed: refuse}\nchecks: {Malware: warn}\nexceptions: [{check: Malware, path: a*, reason: r, until: 2027-01-01}]\nmalware: [{name: a, text: aaaaaaaa}]"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		p, err := ParsePolicy(b)
		if err == nil {
			p.Judge([]Finding{{Check: Malware, Path: "abc"}, {Check: PackageVulnerabilities, Advisory: "A"}}, time.Unix(0, 0))
		}
	})
}
