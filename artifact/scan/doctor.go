package scan

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"slices"
	"time"

	"souk/artifact/scan/assessment"
	"souk/storage/store"
)

// leftover is how old a report without an assessment must be: younger ones may
// belong to a scan that is about to keep its assessment.
const leftover = time.Hour

// Doctor says what is wrong with what scans left: assessments that can't be read
// or whose report is gone, what is known of layers and can't be read, and
// reports that no assessment names, which a crash leaves and Tidy removes.
func (s *Scanner) Doctor(ctx context.Context) ([]string, error) {
	walker, ok := s.config.Store.(store.Walker)
	if !ok {
		return nil, errors.New("verifying scans: the store can't be walked")
	}
	reports, err := s.reports(ctx)
	if err != nil {
		return nil, fmt.Errorf("verifying scans: %w", err)
	}
	var findings []string
	wrong := func(format string, args ...any) { findings = append(findings, fmt.Sprintf(format, args...)) }
	now := s.config.Now()
	err = walker.Walk(ctx, assessment.Kind, func(d store.Document) error {
		a, err := assessment.Decode(d)
		if err != nil {
			wrong("assessment %s: it can't be read: %v", d.ID, err)
			return nil
		}
		name := reportName(a.ID)
		if _, there := reports[name]; a.Report != "" && !there && now.Before(a.Expires) {
			// It may have come after the reports were listed, or expired and gone.
			there, err := s.config.Reports.Has(ctx, KindReport, name)
			if err != nil {
				return err
			}
			if !there {
				wrong("assessment %s: its report is gone", a.ID)
			}
		}
		return nil
	})
	if err == nil {
		err = walker.Walk(ctx, KindLayer, func(d store.Document) error {
			if err := gob.NewDecoder(bytes.NewReader(d.Body)).Decode(&contents{}); err != nil {
				wrong("layer %s: what a scan learned of it can't be read: %v", d.ID, err)
			}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("verifying scans: %w", err)
	}
	for name, written := range reports {
		left, err := s.left(ctx, name, written)
		if err != nil {
			return nil, fmt.Errorf("verifying scans: %w", err)
		}
		if left {
			wrong("report %s: it has no assessment; `souk gc` removes it", name)
		}
	}
	slices.Sort(findings)
	return findings, nil
}

// Tidy removes reports that no assessment names, and says how many there were.
func (s *Scanner) Tidy(ctx context.Context) (n int, err error) {
	reports, err := s.reports(ctx)
	if err != nil {
		return 0, fmt.Errorf("removing reports without assessments: %w", err)
	}
	for name, written := range reports {
		left, err := s.left(ctx, name, written)
		if err == nil && left {
			n++
			err = s.config.Reports.Delete(ctx, KindReport, name)
		}
		if err != nil {
			return n, fmt.Errorf("removing report %s: %w", name, err)
		}
	}
	return n, nil
}

// left says whether a report was left without an assessment. One that expires
// goes after its report, so that a report that is still there has none.
func (s *Scanner) left(ctx context.Context, report string, written time.Time) (bool, error) {
	if s.config.Now().Sub(written) <= leftover {
		return false, nil
	}
	id, _ := assessmentOf(report)
	_, err := s.config.Store.Get(ctx, store.Key{Kind: assessment.Kind, ID: id})
	if err == nil {
		return false, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return false, fmt.Errorf("looking for assessment %s: %w", id, err)
	}
	return s.config.Reports.Has(ctx, KindReport, report)
}

// reports are the names of all reports, and when each was written.
func (s *Scanner) reports(ctx context.Context) (map[string]time.Time, error) {
	all := map[string]time.Time{}
	err := s.config.Reports.Each(ctx, KindReport, func(name string, written time.Time) error {
		if _, ok := assessmentOf(name); ok {
			all[name] = written
		}
		return nil
	})
	return all, err
}
