package conformance

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/rogpeppe/go-internal/testscript"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// TestAWSCommandLine runs scripts of the real aws and skopeo commands against
// the real binary. They use what old and new releases of the AWS CLI know:
// Debian's has no DetailsDocument, and none that ignores AWS_ENDPOINT_URL must
// reach the real AWS, so every command names the endpoint.
func TestAWSCommandLine(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"aws", "skopeo"} {
		_, err := exec.LookPath(program)
		if err != nil {
			t.Fatalf("%s is needed (make setup installs it): %v", program, err)
		}
	}
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		// Most of what a command line sees doesn't depend on the database.
		p := testscript.Params{Dir: "testdata/awscli"}
		if o.Database != "" {
			p = testscript.Params{Files: []string{"testdata/awscli/machine.txtar"}}
		}
		server := souktest.Start(t, o)
		account := server.Account(t, "command line", "cli")
		s := account.Seller(server)
		logos := souktest.ServeLogos(t)
		p.Setup = func(e *testscript.Env) error { return setupScript(e, s, account, logos) }
		p.Cmds = map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"keep":     keepOutput,
			"await":    func(ts *testscript.TestScript, neg bool, args []string) { awaitSet(ts, s, args) },
			"operator": func(ts *testscript.TestScript, neg bool, args []string) { operate(ts, server, args) },
			"assessed": func(ts *testscript.TestScript, neg bool, args []string) { assessed(ts, s, args) },
			"fetch":    fetch,
		}
		t.Run("scripts", func(t *testing.T) { testscript.Run(t, p) })
	})
}

// setupScript gives a script its variables and an image to push. Nothing of the
// person who runs the tests is seen: neither ~/.aws nor any login.
func setupScript(e *testscript.Env, s *seller.Seller, account souktest.Account, logos *souktest.Logos) error {
	home := filepath.Join(e.WorkDir, "home")
	err := os.Mkdir(home, 0o700)
	if err != nil {
		return err
	}
	line, err := souktest.KeepAWS(home)
	if err != nil {
		return err
	}
	e.Defer(line.Close)
	for _, v := range line.Env {
		name, value, _ := strings.Cut(v, "=")
		e.Setenv(name, value)
	}
	binary, err := souktest.Binary("")
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"SOUK":              binary,
		"AWS_ACCESS_KEY_ID": account.Key.AccessKeyID, "AWS_SECRET_ACCESS_KEY": account.Key.SecretAccessKey,
		"REGISTRY_AUTH_FILE": filepath.Join(home, "auth.json"),
		"LOGOS":              logos.URL, "URL": s.URL, "REGISTRY": s.Host(), "ACCOUNT": account.ID,
		"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
	} {
		e.Setenv(name, value)
	}
	image, err := seller.Image("pushed by skopeo", "in two layers")
	if err != nil {
		return err
	}
	folder, err := layout.Write(filepath.Join(e.WorkDir, "image"), empty.Index)
	if err != nil {
		return err
	}
	return folder.AppendImage(image, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "1.0"}))
}

// keepOutput is the script command "keep NAME": it keeps what the last command
// printed in a variable.
func keepOutput(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: keep NAME")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// awaitSet is the script command "await ID STATUS": it waits until a change set
// has ended.
func awaitSet(ts *testscript.TestScript, s *seller.Seller, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: await ID STATUS")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	set, err := s.Wait(ctx, args[0])
	ts.Check(err)
	if string(set.Status) != args[1] {
		ts.Fatalf("change set %s is %s, want %s: %s", args[0], set.Status, args[1], seller.Refusals(set))
	}
}

// assessed is the script command "assessed ID RESULT": a change set has one
// assessment, of this result, and it can be described. The AWS CLI of the day
// has no command for it, the SDK has.
func assessed(ts *testscript.TestScript, s *seller.Seller, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: assessed ID RESULT")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	list, err := s.Catalog.ListAssessments(ctx, &marketplacecatalog.ListAssessmentsInput{
		Catalog: aws.String(seller.Catalog), FrameworkId: aws.String("AMISecurity"),
		AssessmentTargetFilter: &types.AssessmentTargetFilter{ChangeSetId: &args[0]},
	})
	ts.Check(err)
	if len(list.AssessmentSummaryList) != 1 || string(list.AssessmentSummaryList[0].AssessmentResult) != args[1] {
		ts.Fatalf("the assessments of %s are %s, want one %s", args[0], seller.JSON(list.AssessmentSummaryList), args[1])
	}
	shown, err := s.Catalog.DescribeAssessment(ctx, &marketplacecatalog.DescribeAssessmentInput{
		Catalog: aws.String(seller.Catalog), AssessmentIdentifier: list.AssessmentSummaryList[0].AssessmentArn,
	})
	ts.Check(err)
	if string(shown.AssessmentResult) != args[1] || len(shown.ControlAssessments) == 0 {
		ts.Fatalf("the assessment of %s is %s with %d controls, want %s", args[0], shown.AssessmentResult, len(shown.ControlAssessments), args[1])
	}
}

// operate is the script command "operator ARGS...": it runs a command of souk on
// the server's market, as those do who may read its folder.
func operate(ts *testscript.TestScript, server *souktest.Server, args []string) {
	out, err := server.Command(args...)
	ts.Check(err)
	_, err = io.WriteString(ts.Stdout(), out)
	ts.Check(err)
}

// fetch is the script command "fetch URL": it prints what lies there, as a
// browser gets it.
func fetch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fetch URL")
	}
	answer, err := http.Get(args[0])
	ts.Check(err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		ts.Fatalf("%s has status %s", args[0], answer.Status)
	}
	_, err = io.Copy(ts.Stdout(), answer.Body)
	ts.Check(err)
}
