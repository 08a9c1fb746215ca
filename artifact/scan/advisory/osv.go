package advisory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/artifact/scan/version"
)

// Advisory says which versions of one package have a vulnerability.
type Advisory struct {
	ID       string
	Aliases  []string `json:",omitzero"` // CVE ids and the like
	Summary  string   `json:",omitzero"`
	Severity Severity `json:",omitzero"`
	Ranges   []Range  `json:",omitzero"`
	Versions []string `json:",omitzero"` // where there are no ranges
}

// Range is a span of versions: Introduced <= v, v < Fixed, v <= Last. An empty
// string is no bound.
type Range struct {
	Introduced string `json:",omitzero"`
	Fixed      string `json:",omitzero"`
	Last       string `json:",omitzero"`
}

// Affects says whether a version is vulnerable, and in which version that is
// mended, "" if in none.
func (a *Advisory) Affects(v string, order version.Order) (fixed string, yes bool) {
	for _, r := range a.Ranges {
		if (r.Introduced == "" || order(v, r.Introduced) >= 0) && (r.Fixed == "" || order(v, r.Fixed) < 0) && (r.Last == "" || order(v, r.Last) <= 0) {
			return r.Fixed, true
		}
	}
	return "", slices.ContainsFunc(a.Versions, func(listed string) bool { return order(v, listed) == 0 })
}

// Record is what one OSV file says of one package.
type Record struct {
	Ecosystem string
	Package   string
	// Withdrawn: the advisory is no more; who kept it forgets it.
	Withdrawn bool
	Advisory
}

// Limits of an advisory's parts, so that one file can't fill a database.
const (
	maxFile     = 16 << 20 // bytes of one file
	maxAffected = 10_000
	maxSummary  = 300 // bytes that are kept
	maxRanges   = 1000
	maxVersions = 20_000
	maxAliases  = 50
	maxName     = 200 // bytes of an id, ecosystem or package
)

// The parts of an OSV file that are read.
//
// ossf.github.io/osv-schema, version 1.7.
type (
	osvFile struct {
		ID        string         `json:"id"`
		Modified  time.Time      `json:"modified"`
		Withdrawn time.Time      `json:"withdrawn"`
		Aliases   []string       `json:"aliases"`
		Upstream  []string       `json:"upstream"`
		Summary   string         `json:"summary"`
		Details   string         `json:"details"`
		Severity  []osvSeverity  `json:"severity"`
		Affected  []osvAffected  `json:"affected"`
		Specific  jsontext.Value `json:"database_specific"`
	}
	osvSeverity struct {
		Type  string `json:"type"`
		Score string `json:"score"`
	}
	osvAffected struct {
		Package struct {
			Ecosystem string `json:"ecosystem"`
			Name      string `json:"name"`
		} `json:"package"`
		Ranges   []osvRange     `json:"ranges"`
		Versions []string       `json:"versions"`
		Severity []osvSeverity  `json:"severity"`
		Specific jsontext.Value `json:"database_specific"`
		OfSystem jsontext.Value `json:"ecosystem_specific"`
	}
	osvRange struct {
		Type   string     `json:"type"`
		Events []osvEvent `json:"events"`
	}
	osvEvent struct {
		Introduced   string `json:"introduced"`
		Fixed        string `json:"fixed"`
		LastAffected string `json:"last_affected"`
	}
	// specific has what databases put where the schema leaves it to them.
	specific struct {
		Severity jsontext.Value `json:"severity"` // GitHub: a word
		Urgency  jsontext.Value `json:"urgency"`  // Debian: a word
	}
)

// Parse reads an OSV file. Packages of ecosystems whose versions can't be
// ordered here are left out; their number is skipped.
func Parse(text []byte) (records []Record, modified time.Time, skipped int, err error) {
	var f osvFile
	// Times are bound to be RFC 3339; names are as databases spell them.
	err = json.Unmarshal(text, &f, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, time.Time{}, 0, fmt.Errorf("it is no OSV file: %w", err)
	}
	if f.ID == "" || len(f.ID) > maxName {
		return nil, time.Time{}, 0, errors.New("it is no OSV file: it has no id")
	}
	if len(f.Affected) > maxAffected {
		return nil, time.Time{}, 0, fmt.Errorf("%s names %d packages, more than %d", f.ID, len(f.Affected), maxAffected)
	}
	aliases := slices.Concat(f.Aliases, f.Upstream)
	aliases = slices.DeleteFunc(aliases[:min(len(aliases), maxAliases)], func(s string) bool { return s == "" || len(s) > maxName })
	summary := f.Summary
	if summary == "" {
		summary, _, _ = strings.Cut(f.Details, "\n")
	}
	at := map[[2]string]int{}
	for _, a := range f.Affected {
		order := version.OrderOf(a.Package.Ecosystem)
		if order == nil || a.Package.Name == "" || len(a.Package.Name) > maxName || len(a.Package.Ecosystem) > maxName {
			skipped++
			continue
		}
		r := Record{Ecosystem: a.Package.Ecosystem, Package: a.Package.Name, Withdrawn: !f.Withdrawn.IsZero()}
		r.Advisory = Advisory{ID: f.ID, Aliases: aliases, Summary: clip(summary), Severity: severity(&f, &a)}
		for _, span := range a.Ranges {
			if span.Type != "GIT" {
				r.Ranges = append(r.Ranges, ranges(span.Events, order)...)
			}
		}
		if len(r.Ranges) == 0 {
			r.Versions = a.Versions
		}
		if len(r.Ranges) > maxRanges || len(r.Versions) > maxVersions {
			return nil, time.Time{}, 0, fmt.Errorf("%s has too many versions of %s", f.ID, r.Package)
		}
		// A package may stand there twice, each time with some of its ranges.
		key := [2]string{r.Ecosystem, r.Package}
		if i, ok := at[key]; ok {
			records[i].Ranges = append(records[i].Ranges, r.Ranges...)
			records[i].Versions = append(records[i].Versions, r.Versions...)
			records[i].Severity = max(records[i].Severity, r.Severity)
			continue
		}
		at[key] = len(records)
		records = append(records, r)
	}
	return records, f.Modified, skipped, nil
}

// clip cuts a text between two characters.
func clip(s string) string {
	if len(s) > maxSummary {
		s = s[:maxSummary-3] + "..."
	}
	return strings.ToValidUTF8(s, "")
}

// ranges turns events into spans: each introduction opens one, what comes next
// in the order of versions closes it.
func ranges(events []osvEvent, order version.Order) []Range {
	at := func(e osvEvent) string { return e.Introduced + e.Fixed + e.LastAffected }
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b osvEvent) int {
		switch {
		case (a.Introduced == "0") != (b.Introduced == "0"): // before all versions
			if a.Introduced == "0" {
				return -1
			}
			return 1
		case a.Introduced == "0":
			return 0
		}
		return order(at(a), at(b))
	})
	var (
		all  []Range
		open bool
	)
	for _, e := range events {
		switch {
		case e.Introduced != "" && !open:
			if e.Introduced == "0" {
				e.Introduced = ""
			}
			all, open = append(all, Range{Introduced: e.Introduced}), true
		case e.Fixed != "" && open:
			all[len(all)-1].Fixed, open = e.Fixed, false
		case e.LastAffected != "" && open:
			all[len(all)-1].Last, open = e.LastAffected, false
		}
	}
	return all
}

// severity is the gravest of what a file says: by vectors, else in words.
func severity(f *osvFile, a *osvAffected) Severity {
	worst := Unknown
	for _, s := range slices.Concat(a.Severity, f.Severity) {
		if strings.HasPrefix(s.Type, "CVSS_") {
			worst = max(worst, ofVector(s.Score))
		} else {
			worst = max(worst, severityOf(s.Score))
		}
	}
	if worst != Unknown {
		return worst
	}
	for _, raw := range []jsontext.Value{a.Specific, a.OfSystem, f.Specific} {
		var s specific
		if raw.Kind() != '{' || json.Unmarshal(raw, &s, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) != nil {
			continue
		}
		for _, value := range []jsontext.Value{s.Severity, s.Urgency} {
			var word string
			if value.Kind() == '"' && json.Unmarshal(value, &word) == nil {
				worst = max(worst, severityOf(word))
			}
		}
	}
	return worst
}
