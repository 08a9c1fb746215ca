package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"souk/artifact/build"
)

func TestBuildsAreCountedByTheirEnds(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	tell := observeBuilds(r)
	for _, e := range []build.Event{
		{Step: build.Started, Status: build.InProgress},
		{Step: build.Taken, Status: build.InProgress},
		{Step: build.Ended, Status: build.Succeeded, Took: 20 * time.Second},
		{Step: build.Ended, Status: build.Failed, Code: "InstallFailed", Took: 2 * time.Second},
		{Step: build.Ended, Status: build.Failed, Code: "InstallFailed", Took: 3 * time.Second},
	} {
		tell(e)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			value := fmt.Sprint(m.GetCounter().GetValue())
			if h := m.GetHistogram(); h != nil {
				value = fmt.Sprintf("%d in %vs", h.GetSampleCount(), h.GetSampleSum())
			}
			got[family.GetName()+" "+strings.Join(labels, " ")] = value
		}
	}
	for name, want := range map[string]string{
		"souk_build_steps_total status=InProgress step=started": "1",
		"souk_build_steps_total status=InProgress step=taken":   "1",
		"souk_build_steps_total status=Succeeded step=ended":    "1",
		"souk_build_steps_total status=Failed step=ended":       "2",
		"souk_build_seconds code= status=Succeeded":             "1 in 20s",
		"souk_build_seconds code=InstallFailed status=Failed":   "2 in 5s",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q; all: %v", name, got[name], want, got)
		}
	}
}
