package scan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/artifact/scan/assessment"
	"souk/catalog/change"
)

// KindReport is the kind of blobs that reports are.
const KindReport = "scanreports"

// Entry is one finding in a report: a JSON array of them. The first two members
// are those that AWS Marketplace documents; clients ignore what they don't know.
type Entry struct {
	ErrorCode    string
	ErrorMessage string
	Check        Check
	Outcome      Outcome
	Severity     string
	Reason       string   `json:",omitzero"` // of the operator's exception
	Package      string   `json:",omitzero"`
	Source       string   `json:",omitzero"` // the source package
	Version      string   `json:",omitzero"`
	FixedVersion string   `json:",omitzero"`
	AdvisoryId   string   `json:",omitzero"`
	Aliases      []string `json:",omitzero"`
	Layer        string   `json:",omitzero"`
	Path         string   `json:",omitzero"`
	Platform     string   `json:",omitzero"`
}

// entries are the findings as the report has them. What could not be looked up
// stands there too: it is not clean.
func entries(judged []Judged, missing []string) []Entry {
	all := make([]Entry, 0, len(judged)+len(missing))
	for _, j := range judged {
		e := Entry{
			ErrorCode: j.Code, ErrorMessage: j.Message, Check: j.Check, Outcome: j.Outcome, Severity: j.Severity.String(), Reason: j.Reason,
			Package: j.Package, Source: j.Source, Version: j.Version, FixedVersion: j.Fixed, AdvisoryId: j.Advisory, Aliases: j.Aliases, Layer: j.Layer, Path: j.Path, Platform: j.Platform,
		}
		switch j.Outcome {
		case Warned:
			e.ErrorMessage = "Warning: " + e.ErrorMessage
		case Excepted:
			e.ErrorMessage = "Exception (" + j.Reason + "): " + e.ErrorMessage
		}
		all = append(all, e)
	}
	for _, m := range missing {
		all = append(all, Entry{ErrorCode: notScanned, ErrorMessage: "Warning: not scanned: " + m + ".", Check: PackageVulnerabilities, Outcome: Warned, Severity: "UNKNOWN"})
	}
	return all
}

// notScanned is the code of what was not looked at.
const notScanned = "PACKAGES_NOT_SCANNED"

// maxErrors is how many errors of one control an assessment shows; the report has all.
const maxErrors = 100

// controls are the results by check.
func controls(checks []Check, judged []Judged, missing []string, checked bool, image string, ami string) []assessment.Control {
	var all []assessment.Control
	for _, c := range checks {
		control := assessment.Control{ID: string(c), Result: assessment.Pass}
		n, excepted := 0, false
		for _, j := range judged {
			if j.Check != c {
				continue
			}
			n++
			switch j.Outcome {
			case Refused:
				control.Result = assessment.Fail
			case Excepted:
				excepted = true
			}
			if n <= maxErrors {
				control.Errors = append(control.Errors, errorOf(j, image, ami))
			}
		}
		if n > maxErrors {
			control.Errors = append(control.Errors, assessment.Error{Code: "MORE_FINDINGS", Message: fmt.Sprintf("There are %d more findings of this control.", n-maxErrors)})
		}
		if c == PackageVulnerabilities {
			for _, m := range missing {
				control.Errors = append(control.Errors, assessment.Error{Code: notScanned, Message: "Not scanned: " + m + "."})
			}
			if control.Result == assessment.Pass && !checked {
				control.Result = assessment.NotExecuted
			}
		}
		if control.Result == assessment.Pass && excepted {
			control.Result = assessment.ExemptionPass
		}
		all = append(all, control)
	}
	return all
}

// errorOf shows a finding with what it is about.
func errorOf(j Judged, image, ami string) assessment.Error {
	e := assessment.Error{Code: j.Code, Message: j.Message}
	switch j.Outcome {
	case Warned:
		e.Message = "Warning: " + e.Message
	case Excepted:
		e.Message = "Exception (" + j.Reason + "): " + e.Message
	}
	for _, s := range []assessment.Scope{
		{Name: "AMI_ID", Value: ami}, {Name: "IMAGE", Value: image}, {Name: "PLATFORM", Value: j.Platform}, {Name: "LAYER", Value: j.Layer}, {Name: "FILE_PATH", Value: strings.ToValidUTF8(j.Path, "?")},
		{Name: "PACKAGE_NAME", Value: j.Package}, {Name: "PACKAGE_VERSION", Value: j.Version}, {Name: "FIXED_VERSION", Value: j.Fixed}, {Name: "ADVISORY_ID", Value: j.Advisory},
	} {
		if s.Value != "" {
			e.Scope = append(e.Scope, s)
		}
	}
	return e
}

// maxWords is how many findings a Scan names.
const maxWords = 20

// conclude judges what was found, keeps report and assessment, and says what
// the scan came to.
func (s *Scanner) conclude(ctx context.Context, target change.ScanTarget, framework string, digest, ami string, all []found, now time.Time) (change.Scan, error) {
	var (
		findings []Finding
		missing  []string
		checked  = true
	)
	for _, f := range all {
		findings = append(findings, f.findings...)
		missing = append(missing, f.missing...)
		checked = checked && f.checked
	}
	slices.Sort(missing)
	missing = slices.Compact(missing)
	judged := s.config.Policy.Judge(findings, now)
	checks := amiChecks
	if framework == assessment.ContainerSecurity {
		checks = containerChecks
	}
	a := assessment.Assessment{
		Summary: assessment.Summary{
			ID: assessmentID(target, digest), Account: target.Seller.Account, ChangeSet: target.ChangeSet, Entity: target.EntityID,
			Framework: framework, DeliveryOption: target.DeliveryOption, Result: assessment.Pass, Created: now, Expires: now.Add(assessment.Keeping),
		},
		Subject: target.Subject, Image: digest,
		Controls: controls(checks, judged, missing, checked, digest, ami),
	}
	var words []string
	for _, j := range judged {
		if j.Outcome != Refused {
			continue
		}
		a.Result = assessment.Fail
		if w := j.Words(); len(words) < maxWords && !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	if len(judged)+len(missing) > 0 {
		text, err := json.Marshal(entries(judged, missing), jsontext.AllowInvalidUTF8(true))
		if err != nil {
			return change.Scan{}, fmt.Errorf("encoding the report of %s: %w", digest, err)
		}
		name := reportName(a.ID)
		err = s.config.Reports.PutBytes(ctx, KindReport, name, text)
		if err != nil {
			return change.Scan{}, fmt.Errorf("keeping the report of %s: %w", digest, err)
		}
		a.Report, err = s.config.Reports.URL(KindReport, name, a.Expires)
		if err != nil {
			return change.Scan{}, fmt.Errorf("naming the report of %s: %w", digest, err)
		}
	}
	err := s.config.Assessments.Keep(ctx, a)
	if err != nil {
		return change.Scan{}, err
	}
	scan := change.Scan{Assessment: a.ID, Findings: words}
	if len(words) > 0 {
		scan.Report = a.Report
	}
	return scan, nil
}

// assessmentID is the same for a scan that is done again, so that a probe that
// is tried twice leaves one assessment.
func assessmentID(t change.ScanTarget, digest string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{t.Seller.Account, t.ChangeSet, t.EntityID, t.Subject, digest}, "\x00")))
	return "assessment-" + hex.EncodeToString(sum[:])[:26]
}

func reportName(assessment string) string { return assessment + ".json" }

// assessmentOf is the assessment that a report is of.
func assessmentOf(report string) (id string, ok bool) { return strings.CutSuffix(report, ".json") }

// Forget removes the report of an assessment; it is assessment.Config's Forget.
func Forget(reports Reports) func(context.Context, assessment.Assessment) error {
	return func(ctx context.Context, a assessment.Assessment) error {
		return reports.Delete(ctx, KindReport, reportName(a.ID))
	}
}
