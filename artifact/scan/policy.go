package scan

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"souk/artifact/scan/advisory"
)

// Policy is what an operator decides: which findings refuse an image, and which
// only warn. Without one, secrets, malware, layers that are no proper archives,
// and vulnerabilities that are HIGH or CRITICAL and have a fix refuse; the rest
// warns.
type Policy struct {
	refuses    map[Check]bool
	severity   advisory.Severity // from which on vulnerable packages refuse
	never      bool              // they never refuse
	unfixed    bool              // they refuse also where no version mends them
	exceptions []exception
	signatures *signatures
}

// exception lets findings pass for a time. All that it names must hold.
type exception struct {
	Advisory string // an id or an alias
	Check    Check
	Package  string // or its source
	Path     string // with * and ?, relative to the root
	Reason   string
	Until    time.Time // its last day
}

// The file of a policy.
type (
	policyFile struct {
		Packages   packagesPolicy    `yaml:"packages"`
		Checks     map[Check]string  `yaml:"checks"`
		Exceptions []exceptionPolicy `yaml:"exceptions"`
		Malware    []malwarePolicy   `yaml:"malware"`
	}
	packagesPolicy struct {
		Refuse  string `yaml:"refuse"`
		Unfixed string `yaml:"unfixed"`
	}
	exceptionPolicy struct {
		Advisory string `yaml:"advisory"`
		Check    Check  `yaml:"check"`
		Package  string `yaml:"package"`
		Path     string `yaml:"path"`
		Reason   string `yaml:"reason"`
		Until    string `yaml:"until"`
	}
	malwarePolicy struct {
		Name   string `yaml:"name"`
		SHA256 string `yaml:"sha256"`
		Text   string `yaml:"text"`
		Hex    string `yaml:"hex"`
	}
)

const maxPolicy = 16 << 20 // bytes of a policy's file: lists of hashes are long

// DefaultPolicy is the policy of those who gave none.
func DefaultPolicy() *Policy {
	p, err := ParsePolicy(nil)
	if err != nil {
		panic("scan: the default policy: " + err.Error()) // it has no parts that could be wrong
	}
	return p
}

// ReadPolicy reads a policy from a YAML file.
func ReadPolicy(file string) (*Policy, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading the scan policy: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPolicy+1))
	if err != nil {
		return nil, fmt.Errorf("reading the scan policy: %w", err)
	}
	p, err := ParsePolicy(text)
	if err != nil {
		return nil, fmt.Errorf("reading the scan policy %s: %w", file, err)
	}
	return p, nil
}

// ParsePolicy reads a policy. Keys that nobody knows are refused, so that a
// slip of the pen does not let everything pass.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > maxPolicy {
		return nil, fmt.Errorf("it has more than %d bytes", maxPolicy)
	}
	var file policyFile
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("it has more than one document")
	}
	p := &Policy{severity: advisory.High, refuses: map[Check]bool{Malware: true, Layers: true}}
	for _, c := range secretChecks {
		p.refuses[c] = true
	}
	if err := p.packages(file.Packages); err != nil {
		return nil, err
	}
	for check, word := range file.Checks {
		refuses, err := refuseOrWarn("checks: "+string(check), word)
		if err != nil {
			return nil, err
		}
		if check == PackageVulnerabilities || !slices.Contains(containerChecks, check) {
			return nil, fmt.Errorf("checks: %q is none of %s", check, words(containerChecks[1:]))
		}
		p.refuses[check] = refuses
	}
	for n, e := range file.Exceptions {
		one, err := newException(e)
		if err != nil {
			return nil, fmt.Errorf("exception %d: %w", n+1, err)
		}
		p.exceptions = append(p.exceptions, one)
	}
	var own []Signature
	for n, m := range file.Malware {
		sig := Signature{Name: m.Name, SHA256: strings.ToLower(m.SHA256), Bytes: []byte(m.Text)}
		if m.Hex != "" {
			b, err := hex.DecodeString(m.Hex)
			if err != nil || m.Text != "" {
				return nil, fmt.Errorf("malware %d: hex has pairs of hexadecimal digits, and text is not given with it", n+1)
			}
			sig.Bytes = b
		}
		own = append(own, sig)
	}
	var err error
	p.signatures, err = newSignatures(own)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Policy) packages(file packagesPolicy) (err error) {
	switch {
	case file.Refuse == "never":
		p.never = true
	case file.Refuse != "":
		if err := p.severity.UnmarshalText([]byte(file.Refuse)); err != nil {
			return fmt.Errorf("packages: refuse: %w, or never", err)
		}
	}
	if file.Unfixed != "" {
		p.unfixed, err = refuseOrWarn("packages: unfixed", file.Unfixed)
	}
	return err
}

func refuseOrWarn(where, word string) (bool, error) {
	if word != "refuse" && word != "warn" {
		return false, fmt.Errorf("%s: %q is neither refuse nor warn", where, word)
	}
	return word == "refuse", nil
}

func words(checks []Check) string {
	var all []string
	for _, c := range checks {
		all = append(all, string(c))
	}
	return strings.Join(all, ", ")
}

func newException(e exceptionPolicy) (exception, error) {
	until, err := time.Parse(time.DateOnly, e.Until)
	switch {
	case err != nil:
		return exception{}, fmt.Errorf("until: %q is no day such as 2027-03-31; an exception has an end", e.Until)
	case strings.TrimSpace(e.Reason) == "":
		return exception{}, errors.New("it needs a reason")
	case e.Advisory == "" && e.Check == "":
		return exception{}, errors.New("it names neither an advisory nor a check")
	case e.Check != "" && !slices.Contains(containerChecks, e.Check):
		return exception{}, fmt.Errorf("check: %q is none of %s", e.Check, words(containerChecks))
	case e.Check == PackageVulnerabilities && e.Advisory == "" && e.Package == "":
		return exception{}, errors.New("it would let every vulnerability pass: name an advisory or a package")
	}
	if _, err := path.Match(e.Path, ""); err != nil {
		return exception{}, fmt.Errorf("path: %q is no pattern", e.Path)
	}
	return exception{Advisory: e.Advisory, Check: e.Check, Package: e.Package, Path: strings.TrimPrefix(e.Path, "/"), Reason: e.Reason, Until: until}, nil
}

func (e *exception) covers(f *Finding, now time.Time) bool {
	if !now.Before(e.Until.AddDate(0, 0, 1)) || e.Check != "" && e.Check != f.Check || e.Package != "" && e.Package != f.Package && e.Package != f.Source {
		return false
	}
	if e.Advisory != "" && e.Advisory != f.Advisory && !slices.Contains(f.Aliases, e.Advisory) {
		return false
	}
	if e.Path != "" {
		ok, err := path.Match(e.Path, f.Path)
		return err == nil && ok
	}
	return true
}

// Judge says what the policy makes of findings, the gravest first.
func (p *Policy) Judge(findings []Finding, now time.Time) []Judged {
	all := make([]Judged, 0, len(findings))
	for _, f := range findings {
		j := Judged{Finding: f, Outcome: Warned}
		if p.refuse(&f) {
			j.Outcome = Refused
		}
		for _, e := range p.exceptions {
			if e.covers(&f, now) {
				j.Outcome, j.Reason = Excepted, e.Reason
				break
			}
		}
		all = append(all, j)
	}
	slices.SortStableFunc(all, byGravity)
	return all
}

func (p *Policy) refuse(f *Finding) bool {
	if f.Check != PackageVulnerabilities {
		return p.refuses[f.Check]
	}
	return f.Advisory != "" && !p.never && f.Severity >= p.severity && (f.Fixed != "" || p.unfixed)
}
