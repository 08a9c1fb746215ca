package conformance

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// disturbances is a scenario with a rule for each thing that can happen, each
// of change sets of another name.
const disturbances = `rules:
  - {name: too many calls, match: {action: DescribeEntity}, times: 2, throttle: true}
  - {name: a lost answer, match: {changeSetName: lost}, times: 1, drop: true}
  - {name: a scan that fails, match: {changeSetName: scanned, changeType: UpdateInformation, title: "Acme *"}, times: 1, fail: {code: SCAN_ERROR, message: "https://example.com/report.json"}}
  - {name: a fault, match: {changeSetName: faulty}, serverFault: true}
  - {name: a review, match: {changeSetName: reviewed}, review: true}
  - {name: a slow one, match: {changeSetName: slow}, holdApplying: 24h}
`

// scenarioFile writes a scenario to a file.
func scenarioFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scenario.yaml")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// wantReady compares what /readyz says.
func wantReady(t *testing.T, server *souktest.Server, want string) {
	t.Helper()
	a, err := server.Root(t).Raw(t.Context(), http.MethodGet, "/readyz", "")
	must(t, err)
	if a.Status != http.StatusOK || a.Body != want {
		t.Errorf("/readyz is %d %q, want 200 %q", a.Status, a.Body, want)
	}
}

// TestScenario puts rules in force by the command, meets each of them through
// the API, and ends them.
func TestScenario(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		ctx, s := t.Context(), server.Root(t)
		product, err := s.Draft(ctx, "Acme one")
		must(t, err)
		// update starts a set of a name, each with a token of its own.
		update := func(name, product string) (string, error) {
			out, err := s.Catalog.StartChangeSet(ctx, &marketplacecatalog.StartChangeSetInput{
				Catalog: aws.String(seller.Catalog), ChangeSetName: &name, ClientRequestToken: aws.String("token-of-" + strings.ReplaceAll(name, " ", "-")),
				ChangeSet: []types.Change{seller.Change("UpdateInformation", product, seller.JSON(map[string]string{"ProductTitle": "Acme " + name}))},
			})
			if err != nil {
				return "", err
			}
			return aws.ToString(out.ChangeSetId), nil
		}
		ends := func(id string, err error, want types.ChangeStatus) *marketplacecatalog.DescribeChangeSetOutput {
			t.Helper()
			must(t, err)
			set, err := s.Wait(ctx, id)
			must(t, err)
			if set.Status != want {
				t.Fatalf("the change set is %s, want %s: %s", set.Status, want, seller.Refusals(set))
			}
			return set
		}

		if shown := server.Must(t, "scenario", "show"); shown != "no scenario is on\n" {
			t.Errorf("souk scenario show prints %q", shown)
		}
		wantReady(t, server, "ready\n")
		server.Must(t, "scenario", "apply", scenarioFile(t, disturbances))
		on := "ready\na scenario is on, rules: 6 (souk scenario show)\n"
		wantReady(t, server, on)

		for n := range 2 {
			if _, err = s.Entity(ctx, product); seller.Code(err) != "ThrottlingException" {
				t.Errorf("call %d that a rule throttles: %v", n+1, err)
			}
		}
		if _, err = s.Entity(ctx, product); err != nil {
			t.Errorf("the call behind those that are throttled: %v", err)
		}

		if id, err := update("lost", product); err == nil || seller.Code(err) != "" {
			t.Errorf("the call whose connection is cut answers %q, %v", id, err)
		}
		id, err := update("lost", product)
		ends(id, err, types.ChangeStatusSucceeded)
		list, err := s.Catalog.ListChangeSets(ctx, &marketplacecatalog.ListChangeSetsInput{
			Catalog: aws.String(seller.Catalog), FilterList: []types.Filter{{Name: aws.String("ChangeSetName"), ValueList: []string{"lost"}}},
		})
		must(t, err)
		if len(list.ChangeSetSummaryList) != 1 || aws.ToString(list.ChangeSetSummaryList[0].ChangeSetId) != id {
			t.Errorf("the call was made twice with the same token; its change sets are %s", seller.JSON(list.ChangeSetSummaryList))
		}

		id, err = update("scanned", product)
		set := ends(id, err, types.ChangeStatusFailed)
		if got := seller.Refusals(set); set.FailureCode != types.FailureCodeClientError || !strings.Contains(got, "SCAN_ERROR") || !strings.Contains(got, "https://example.com/report.json") {
			t.Errorf("what a rule fails has %s: %s", set.FailureCode, got)
		}
		id, err = update("faulty", product)
		if set = ends(id, err, types.ChangeStatusFailed); set.FailureCode != types.FailureCodeServerFault {
			t.Errorf("what a rule faults has %s", set.FailureCode)
		}

		reviewed, err := update("reviewed", product)
		must(t, err)
		if _, err = update("behind", product); seller.Code(err) != "ResourceInUseException" {
			t.Errorf("a change of a product under review: %v", err)
		}
		other, err := s.Draft(ctx, "Acme two")
		must(t, err)
		slow, err := update("slow", other)
		must(t, err)
		_, err = s.WaitFor(ctx, slow, func(status types.ChangeStatus) bool { return status == types.ChangeStatusApplying })
		must(t, err)
		if _, err = update("behind", other); seller.Code(err) != "ResourceInUseException" {
			t.Errorf("a change of a product that is applied slowly: %v", err)
		}

		// A restart changes nothing.
		must(t, server.Stop())
		must(t, server.Run())
		s = server.Root(t)
		wantReady(t, server, on)
		shown := strings.Split(server.Must(t, "scenario", "show"), "\n")
		for _, want := range []struct {
			rule, does string
			acted      int
		}{
			{"too many calls", "throttles", 2}, {"a lost answer", "drops the connection after the commit", 1}, {"a scan that fails", "fails with SCAN_ERROR", 1},
			{"a fault", "fails with SERVER_FAULT", 1}, {"a review", "keeps it under review", 1}, {"a slow one", "holds APPLYING for 24h0m0s", 1},
		} {
			found := false
			for _, line := range shown {
				found = found || strings.HasPrefix(line, want.rule) && strings.Contains(line, want.does) && strings.HasSuffix(strings.TrimSpace(line), fmt.Sprint(want.acted))
			}
			if !found {
				t.Errorf("souk scenario show does not say that %q %s and acted %d times:\n%s", want.rule, want.does, want.acted, strings.Join(shown, "\n"))
			}
		}
		if set, err = s.Describe(ctx, reviewed); err != nil || set.Status != types.ChangeStatusPreparing {
			t.Errorf("the set under review: %v, %v", set, err)
		}
		server.Must(t, "scenario", "release", reviewed)
		ends(reviewed, nil, types.ChangeStatusSucceeded)
		if _, err = server.Command("scenario", "release", reviewed); err == nil || !strings.Contains(err.Error(), "is not under review: it is SUCCEEDED") {
			t.Errorf("releasing a set that has ended: %v", err)
		}

		server.Must(t, "scenario", "off")
		wantReady(t, server, "ready\n")
		if shown := server.Must(t, "scenario", "show"); shown != "no scenario is on\n" {
			t.Errorf("behind souk scenario off, show prints %q", shown)
		}
		for _, name := range []string{"faulty again", "reviewed again"} {
			id, err = update(name, product)
			ends(id, err, types.ChangeStatusSucceeded)
		}
	})
}

// TestScenarioWhereOthersReachTheServer: rules that would hit others are forced
// or refused, by the command and at the start.
func TestScenarioWhereOthersReachTheServer(t *testing.T) {
	t.Parallel()
	file := scenarioFile(t, disturbances)
	flags := []string{"--listen", "0.0.0.0:0", "--insecure"}
	const refusal = "others reach this server: whoever publishes there would meet the scenario"
	server := souktest.New(t, souktest.Options{Flags: append(flags, "--scenarios", file)})
	if err := server.Run(); err == nil || !strings.Contains(server.Log(), refusal) {
		t.Errorf("souk serve --scenarios starts (%v):\n%s", err, server.Log())
	}
	must(t, server.Stop())

	server = souktest.Start(t, souktest.Options{Flags: flags})
	if _, err := server.Command("scenario", "apply", file); err == nil || !strings.Contains(err.Error(), refusal) {
		t.Errorf("souk scenario apply: %v", err)
	}
	wantReady(t, server, "ready\n")
	server.Must(t, "scenario", "apply", "--force", file)
	wantReady(t, server, "ready\na scenario is on, rules: 6 (souk scenario show)\n")

	server = souktest.Start(t, souktest.Options{Flags: append(flags, "--scenarios", file, "--scenarios-force")})
	wantReady(t, server, "ready\na scenario is on, rules: 6 (souk scenario show)\n")
}

// TestScenariosOfTheManual: what docs/operating.md shows is taken as it stands.
func TestScenariosOfTheManual(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/operating.md")
	must(t, err)
	_, section, ok := strings.Cut(string(manual), "\n## Scenarios\n")
	section, _, _ = strings.Cut(section, "\n## ")
	shown := regexp.MustCompile("(?s)```yaml\n(rules:.*?)```").FindAllStringSubmatch(section, -1)
	if !ok || len(shown) != 4 {
		t.Fatalf("operating.md shows %d scenarios, want one and three recipes", len(shown))
	}
	server := souktest.Start(t, souktest.Options{})
	for _, s := range shown {
		server.Must(t, "scenario", "apply", scenarioFile(t, s[1]))
		wantReady(t, server, fmt.Sprintf("ready\na scenario is on, rules: %d (souk scenario show)\n", strings.Count(s[1], "\n  - ")))
	}
}
