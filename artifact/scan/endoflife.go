package scan

import (
	_ "embed"
	"fmt"
	"strings"
	"time"

	"souk/artifact/scan/advisory"
	"souk/artifact/scan/inventory"
)

// releasesTable has a line for each release of a distribution: its ID and
// VERSION_ID as os-release has them, and the last day on which its makers mend
// it for everybody. Its first lines say where that stands and when it was read.
//
//go:embed releases.tsv
var releasesTable string

// endOfSupport returns the last day of a release; ok is false for those that
// the table does not know.
func endOfSupport(r inventory.Release) (end time.Time, ok bool) {
	for line := range strings.Lines(releasesTable) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if strings.HasPrefix(line, "#") || len(fields) != 3 || fields[0] != r.ID {
			continue
		}
		if fields[1] != r.Version && !strings.HasPrefix(r.Version, fields[1]+".") {
			continue
		}
		end, err := time.Parse(time.DateOnly, fields[2])
		return end, err == nil
	}
	return time.Time{}, false
}

// outdated finds a release whose support has ended.
func outdated(r inventory.Release, path string, now time.Time) []Finding {
	end, ok := endOfSupport(r)
	if !ok || now.Before(end.AddDate(0, 0, 1)) {
		return nil
	}
	return []Finding{{Check: EndOfLife, Code: "END_OF_LIFE", Path: path, Severity: advisory.High,
		Message: fmt.Sprintf("%s has had no security fixes since %s. Build on a newer release.", plain([]byte(r.String())), end.Format(time.DateOnly))}}
}
