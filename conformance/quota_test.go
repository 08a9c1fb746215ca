package conformance

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// TestRatesOfTwoServersAreOne changes a rate while two servers on one database
// run, and uses it up at one of them: then the other refuses, too.
func TestRatesOfTwoServersAreOne(t *testing.T) {
	t.Parallel()
	shared := t.TempDir()
	o := souktest.Options{
		Database: freshPostgres(t), Blobs: filepath.Join(shared, "blobs"), KeyFile: filepath.Join(shared, "key"),
		Quotas: true,
	}
	first := souktest.Start(t, o)
	second := souktest.Start(t, o)
	one := first.Root(t)
	key, err := first.RootKey()
	must(t, err)
	other := key.Seller(second)

	ask := func(s *seller.Seller) int {
		t.Helper()
		a, err := s.Raw(t.Context(), http.MethodGet, "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-nobody", "")
		must(t, err)
		return a.Status
	}
	until := func(s *seller.Seller, want int) {
		t.Helper()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for ask(s) != want {
			select {
			case <-tick.C:
			case <-t.Context().Done():
				t.Fatalf("never got %d", want)
			}
		}
	}
	const operation = "marketplacecatalog.DescribeEntity"
	first.Must(t, "quota", "set", operation, "0.001") // one in a quarter of an hour
	if got := ask(one); got != http.StatusNotFound {
		t.Errorf("the first request: got %d, want 404: it is within the rate", got)
	}
	until(one, http.StatusTooManyRequests)
	until(other, http.StatusTooManyRequests)
	if got := first.Must(t, "quota", "list"); !strings.Contains(got, operation) || !strings.Contains(got, "0.001 per second") {
		t.Errorf("souk quota list: got\n%s", got)
	}
	first.Must(t, "quota", "set", operation, "unlimited")
	until(one, http.StatusNotFound)
	until(other, http.StatusNotFound)
	first.Must(t, "quota", "reset", operation)

	// Of every service with documented rates, by the name that its operation has.
	list := first.Must(t, "quota", "list")
	for _, name := range []string{"marketplacediscovery.SearchListings", "marketplacediscovery.GetProduct", "cloudtrail.LookupEvents", "sns.ListTopics"} {
		if !strings.Contains(list, name) {
			t.Errorf("souk quota list lacks %s:\n%s", name, list)
		}
		first.Must(t, "quota", "set", name, "3")
		first.Must(t, "quota", "reset", name)
	}

	for _, c := range []struct{ name, want string }{
		{"quota set marketplacecatalog.DescribeEntitis 5", "there is no such quota"},
		{"quota set marketplacecatalog.DescribeEntity -5", "-5"},
		{"quota set --account 999999999999 marketplacecatalog.DescribeEntity 5", "999999999999"},
	} {
		out, err := first.Command(strings.Fields(c.name)...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("souk %s: got %v, %s; want %q", c.name, err, out, c.want)
		}
	}
}
