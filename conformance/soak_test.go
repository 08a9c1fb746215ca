package conformance

import (
	"testing"
	"time"

	"souk/conformance/malformed"
	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// TestMalformedRequests sends requests that are wrong in every way that a
// random generator finds: no answer blames the server, and the process lives
// and answers afterwards. make soak sends a million, on both databases.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	count := howMany(requestsFlag, 3000, 500_000)
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		root := server.Root(t)
		pid := server.PID()
		product, err := root.Draft(t.Context(), "Still here")
		must(t, err)
		seed := uint64(1)
		if soak() {
			seed = uint64(time.Now().UnixNano()) // a finding names its seeds
		}
		report, err := malformed.Soak{
			Address: root.Host(), Sign: malformed.SignWith(root.AccessKeyID, root.SecretAccessKey, nil),
			Seed: seed, Count: count,
		}.Run(t.Context())
		if err != nil {
			t.Fatalf("after %d requests: %v", report.Sent, err)
		}
		for status, n := range report.Statuses {
			if status >= 500 {
				t.Errorf("%d answers with status %d", n, status)
			}
		}
		if report.Answered < count/4 {
			t.Errorf("%d requests had %d answers", report.Sent, report.Answered)
		}
		select {
		case <-server.Ended():
			t.Fatal("the process ended")
		default:
		}
		_, err = root.Do(t.Context(), seller.Change("UpdateInformation", product, `{"Sku":"after"}`))
		must(t, err)
		if server.PID() != pid {
			t.Errorf("process %d became %d", pid, server.PID())
		}
		t.Logf("%d requests, answers: %v", report.Sent, report.Statuses)
	})
}
