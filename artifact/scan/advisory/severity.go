package advisory

import (
	"fmt"
	"strings"

	cvss2 "github.com/pandatix/go-cvss/20"
	cvss30 "github.com/pandatix/go-cvss/30"
	cvss31 "github.com/pandatix/go-cvss/31"
	cvss4 "github.com/pandatix/go-cvss/40"
)

// Severity is how grave a vulnerability is, in the words of CVSS.
type Severity int

// Severities, the least grave first. Unknown: its advisory does not say.
const (
	Unknown Severity = iota
	None
	Low
	Medium
	High
	Critical
)

var severities = []string{"UNKNOWN", "NONE", "LOW", "MEDIUM", "HIGH", "CRITICAL"}

func (s Severity) String() string { return severities[s] }

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler: it takes the words of
// String, in any case.
func (s *Severity) UnmarshalText(text []byte) error {
	for i, word := range severities {
		if strings.EqualFold(word, string(text)) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no severity: it is one of %s", text, strings.Join(severities, ", "))
}

// severityOf reads what databases write: the words of CVSS, GitHub's MODERATE,
// Debian's urgencies ("high**", "unimportant"), Ubuntu's "negligible".
func severityOf(word string) Severity {
	switch strings.ToLower(strings.Trim(word, "* ")) {
	case "critical":
		return Critical
	case "high":
		return High
	case "medium", "moderate":
		return Medium
	case "low", "unimportant", "negligible":
		return Low
	}
	return Unknown
}

// ofVector rates a CVSS vector of any version by its base score; Unknown if it
// is none.
//
// CVSS v4.0 specification, "Qualitative Severity Rating Scale"; the same in 3.x,
// and applied to 2.0 as the NVD does, which has no CRITICAL there.
func ofVector(vector string) Severity {
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		if v, err := cvss4.ParseVector(vector); err == nil {
			return ofScore(v.Score())
		}
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		if v, err := cvss31.ParseVector(vector); err == nil {
			return ofScore(v.BaseScore())
		}
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		if v, err := cvss30.ParseVector(vector); err == nil {
			return ofScore(v.BaseScore())
		}
	default:
		if v, err := cvss2.ParseVector(strings.TrimPrefix(vector, "CVSS:2.0/")); err == nil {
			return min(ofScore(v.BaseScore()), High)
		}
	}
	return Unknown
}

func ofScore(score float64) Severity {
	switch {
	case score >= 9:
		return Critical
	case score >= 7:
		return High
	case score >= 4:
		return Medium
	case score > 0:
		return Low
	}
	return None
}
