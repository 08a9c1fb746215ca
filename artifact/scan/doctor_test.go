package scan_test

import (
	"slices"
	"testing"
	"time"

	"souk/artifact/scan"
	"souk/artifact/scan/assessment"
	"souk/artifact/scan/scantest"
	"souk/storage/store"
)

// TestDoctorAndTidy: what scans leave is right; what a crash or a hand leaves is
// told, and reports without an assessment go.
func TestDoctorAndTidy(t *testing.T) {
	t.Parallel()
	r, ctx := open(t, nil, ""), t.Context()
	r.now = time.Now() // files have the machine's time
	scanned := scantest.Scan(t, r, "AMI", r.images.Add(scantest.Image(scantest.Layer(scantest.File{Name: "root/.ssh/authorized_keys", Content: "ssh-ed25519 AAAA builder\n"}))))
	expect := func(want ...string) {
		t.Helper()
		got, err := r.Doctor(ctx)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("the doctor says %q, %v, want %q", got, err, want)
		}
	}
	expect()

	if err := r.blobs.PutBytes(ctx, scan.KindReport, "assessment-lost.json", []byte("[]")); err != nil {
		t.Fatal(err)
	}
	expect() // a scan may be about to keep its assessment
	r.now = r.now.Add(2 * time.Hour)
	expect("report assessment-lost.json: it has no assessment; `souk gc` removes it")
	if n, err := r.Tidy(ctx); err != nil || n != 1 {
		t.Errorf("tidied %d, %v, want 1", n, err)
	}
	expect()

	if err := r.blobs.Delete(ctx, scan.KindReport, scanned.Assessment+".json"); err != nil {
		t.Fatal(err)
	}
	expect("assessment " + scanned.Assessment + ": its report is gone")
	for _, k := range []store.Key{{Kind: assessment.Kind, ID: "assessment-broken"}, {Kind: scan.KindLayer, ID: "sha256:broken"}} {
		err := r.store.Commit(ctx, store.Batch{Put: []store.Write{{Was: store.Any, Document: store.Document{Key: k, Body: []byte("{")}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.Doctor(ctx)
	if err != nil || len(got) != 3 {
		t.Errorf("the doctor says %q, %v, want 3 findings", got, err)
	}
}
