package document

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// asTool makes the test binary the process in a machine that runs Tool.
const asTool = "SOUK_TEST_AS_COMPONENT_TOOL"

func TestMain(m *testing.M) {
	if os.Getenv(asTool) != "" {
		os.Exit(Tool(context.Background(), nil, os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// ended is what a run of Tool came to.
type ended struct {
	code     int
	out, err string
}

// runTool runs Tool in a process of its own, as an agent does.
func runTool(t *testing.T, input []byte, env ...string) ended {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), asTool+"=1"), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &errs
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatal(err)
	}
	return ended{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

func runJob(t *testing.T, job Job, env ...string) ended {
	t.Helper()
	input, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	return runTool(t, input, env...)
}

// expected is a line of a sample in testdata/run: # WHAT REST. The WHATs are
//
//	phases       those that the job asks for
//	exit         the exit code
//	out, no      a line of the output, or in neither output
//	contains     a piece of the output
//	err, last    a piece of the error output, of its last line
//	file, mode,  what a file has: NAME = VALUE
//	link, gone
//
// $DIR is the folder that the document's parameter Dir names.
var expected = regexp.MustCompile(`(?m)^# ([a-z]+) (.*)$`)

func TestDocumentsAreRun(t *testing.T) {
	t.Parallel()
	for name, data := range samples(t, "run") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			// Numbers of seconds that no other run sleeps.
			long := strconv.FormatInt(1_000_000+time.Now().UnixNano()%1_000_000_000, 10)
			job := Job{
				Document: data, Name: "sample", Files: "/files",
				Parameters: map[string]string{
					"Dir": dir, "Owner": strconv.Itoa(os.Getuid()), "Group": strconv.Itoa(os.Getgid()), "Long": long, "Unknown": "is ignored",
				},
			}
			want := expected.FindAllStringSubmatch(string(data), -1)
			for _, w := range want {
				if w[1] == "phases" {
					job.Phases = strings.Split(w[2], ",")
				}
			}
			got := runJob(t, job)
			for _, w := range want {
				if wrong := check(got, dir, w[1], strings.ReplaceAll(w[2], "$DIR", dir)); wrong != "" {
					t.Errorf("%s: %s", w[0], wrong)
				}
			}
			if t.Failed() {
				t.Logf("exit code %d, output:\n%.5000s\nerror output:\n%.5000s", got.code, got.out, got.err)
			}
			if left := sleeping(t, long+"2"); len(left) > 0 {
				t.Errorf("processes are left: %q", left)
			}
		})
	}
}

// check returns what is not as expected.
func check(got ended, dir, what, rest string) string {
	name, value, _ := strings.Cut(rest, " = ")
	path := filepath.Join(dir, name)
	switch what {
	case "phases":
	case "exit":
		if strconv.Itoa(got.code) != rest {
			return fmt.Sprintf("got exit code %d", got.code)
		}
	case "out":
		if !strings.Contains("\n"+got.out, "\n"+rest+"\n") {
			return "no such line"
		}
	case "no":
		if strings.Contains(got.out, rest+"\n") || strings.Contains(got.err, rest+"\n") {
			return "there is such a line"
		}
	case "contains":
		if !strings.Contains(got.out, rest) {
			return "missing"
		}
	case "err":
		if !strings.Contains(got.err, rest) {
			return "missing"
		}
	case "last":
		lines := strings.Split(strings.TrimSuffix(got.err, "\n"), "\n")
		if !strings.HasPrefix(lines[len(lines)-1], rest) {
			return "the last line is " + lines[len(lines)-1]
		}
	case "file":
		data, err := os.ReadFile(path)
		if quoted, bad := strconv.Unquote(value); err != nil || bad != nil || string(data) != quoted {
			return fmt.Sprintf("got %q, %v", data, err)
		}
	case "mode":
		info, err := os.Stat(path)
		if err != nil || info.Mode().String() != value {
			return fmt.Sprintf("got %v, %v", info, err)
		}
	case "link":
		if target, err := os.Readlink(path); err != nil || target != value {
			return fmt.Sprintf("got %s, %v", target, err)
		}
	case "gone":
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Sprintf("it is there, %v", err)
		}
	default:
		return "the sample expects something unknown"
	}
	return ""
}

// sleeping returns the processes that sleep for that many seconds.
func sleeping(t *testing.T, seconds string) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err == nil && strings.HasPrefix(string(line), "sleep\x00"+seconds) {
			found = append(found, path)
		}
	}
	return found
}

func TestJobsThatCanNotBeRun(t *testing.T) {
	t.Parallel()
	job := func(document string) []byte {
		input, err := json.Marshal(Job{Document: []byte(document), Name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		return input
	}
	for name, c := range map[string]struct {
		input []byte
		want  string
	}{
		"no JSON":                     {[]byte("name: x"), "souk: refused: reading the job: "},
		"nothing":                     {nil, "souk: refused: reading the job: EOF"},
		"a member that is not known":  {[]byte(`{"Documents": ""}`), "unknown field"},
		"a faulty document":           {job("phases: []\nx: 1"), "souk: refused: line 2, column 1: there is no member [x] here"},
		"a parameter without a value": {job("schemaVersion: 1.0\nparameters: [Needed: {type: string}]\nphases: [{name: build, steps: [{name: A, action: ExecuteBash, inputs: {commands: [x]}}]}]"), "souk: refused: parameter [Needed] has no value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := runTool(t, c.input)
			if got.code != ExitRefused || !strings.Contains(got.err, c.want) || got.out != "" {
				t.Errorf("got exit code %d, output %q, error output %q; want %q", got.code, got.out, got.err, c.want)
			}
		})
	}
}

func TestAComponentWithoutFilesThatRefersToThem(t *testing.T) {
	t.Parallel()
	got := runJob(t, Job{Document: []byte("schemaVersion: 1.0\nphases: [{name: build, steps: [{name: A, action: ExecuteBash, inputs: {commands: ['ls {{ souk.files }}']}}]}]")})
	if got.code != ExitFailed || !strings.Contains(got.err, "the component has no files") {
		t.Errorf("got %+v", got)
	}
}

func TestAnImageWithoutBashHasItsCommandsRunBySh(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := &work{out: &lineWriter{w: &out}}
	for range 2 {
		if shell, err := w.shell("/no/such/bash"); shell != "/bin/sh" || err != nil {
			t.Errorf("got %s, %v", shell, err)
		}
	}
	if want := "souk: the image has no bash; /bin/sh runs the commands\n"; out.String() != want {
		t.Errorf("got %q", out.String())
	}
}

// TestComparisons has the examples of toe-comparison-operators, retyped, and
// what lies between them.
func TestComparisons(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		operator, operand, other string
		want                     bool
	}{
		{"stringIsEmpty", "", "", true},
		{"stringIsEmpty", " ", "", false},
		{"stringIsEmpty", "Hello.", "", false},
		{"stringIsWhitespace", "   ", "", true},
		{"stringIsWhitespace", "", "", false},
		{"stringIsWhitespace", " Hello?", "", false},
		{"stringEquals", "Testing, testing...", "Testing, testing...", true},
		{"stringEquals", "Testing, testing...", "Hello again.", false},
		{"stringEquals", "Testing, testing...", "TESTING, TESTING....", false},
		{"stringEquals", "Testing, testing...", "   Testing, testing...", false},
		{"stringEquals", "Testing, testing...", "TESTING, TESTING...", false},
		{"stringLessThan", "b", "a", true},
		{"stringLessThan", "B", "a", true},
		{"stringLessThan", "a", "0", true},
		{"stringLessThan", "0", "a", false},
		{"stringLessThanEquals", "a", "a", true},
		{"stringLessThanEquals", "A", "a", true},
		{"stringLessThanEquals", "b", "a", true},
		{"stringLessThanEquals", "a", "0", true},
		{"stringLessThanEquals", "0", "a", false},
		{"stringGreaterThan", "a", "A", false},
		{"stringGreaterThan", "a", "b", true},
		{"stringGreaterThan", "0", "a", true},
		{"stringGreaterThan", "a", "0", false},
		{"stringGreaterThanEquals", "A", "a", true},
		{"stringGreaterThanEquals", "a", "b", true},
		{"stringGreaterThanEquals", "0", "a", true},
		{"stringGreaterThanEquals", "a", "0", false},
		{"patternMatches", "^[a-z]+$", "ThisIsValue", true},
		{"patternMatches", "^[a-z]+$", "ab1", false},
		{"numberEquals", "1", "1", true},
		{"numberEquals", "5.0", "5.0", true},
		{"numberEquals", "-1", "-1", true},
		{"numberEquals", "1", "1.0", true},
		{"numberEquals", "1", "1.01", false},
		{"numberEquals", "10", "a10", false},
		{"numberEquals", "9007199254740993", "9007199254740992", false},
		{"numberEquals", "100", "1e2", true},
		{"numberEquals", "1", "1e999", false},
		{"numberEquals", "0x10", "16", false},
		{"numberEquals", "inf", "inf", false},
		{"numberEquals", "1", " 1", false},
		{"numberLessThan", "2", "1", true},
		{"numberLessThan", "2", "1.9", true},
		{"numberLessThan", "2", "2", false},
		{"numberLessThan", "10", "9", true},
		{"numberLessThanEquals", "2", "1", true},
		{"numberLessThanEquals", "2", "2", true},
		{"numberLessThanEquals", "2", "2.1", false},
		{"numberGreaterThan", "1", "2", true},
		{"numberGreaterThan", "1", "1.1", true},
		{"numberGreaterThan", "1", "1", false},
		{"numberGreaterThanEquals", "1", "2", true},
		{"numberGreaterThanEquals", "1", "1", true},
		{"numberGreaterThanEquals", "1", "0.8", false},
		{"binaryExists", "sh", "", true},
		{"binaryExists", "no-binary-has-this-name", "", false},
		{"fileExists", file, "", true},
		{"fileExists", dir, "", false},
		{"folderExists", dir, "", true},
		{"folderExists", file, "", false},
		{"fileMD5Equals", "b1946ac92492d2347c6235b4d2611184", file, true},
		{"fileMD5Equals", "B1946AC92492D2347C6235B4D2611184", file, true},
		{"fileMD5Equals", "00", file, false},
		{"fileSHA1Equals", "f572d396fae9206628714fb2ce00f72e94f2258f", file, true},
		{"fileSHA256Equals", "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", file, true},
		{"fileSHA256Equals", "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", file + "x", false},
		{"fileSHA512Equals", "e7c22b994c59d9cf2b48e549b1e24666636045930d3da7c1acb299d1c3b7f931f94aae41edda2c2b207a36e10f8bcb8d45223e54878f5b316e7ce3b6bc019629", file, true},
	} {
		if got, err := compare(c.operator, c.operand, c.other); err != nil || got != c.want {
			t.Errorf("%s [%s] with [%s]: got %v, %v, want %v", c.operator, c.operand, c.other, got, err, c.want)
		}
	}
	for operator := range comparisons {
		if _, err := compare(operator, "", ""); err != nil {
			t.Errorf("%s is not evaluated: %v", operator, err)
		}
	}
}

func TestPatternsOfNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"*", ".hidden", true}, {"a", "a", true}, {"a", "ab", false},
		{"*log", "a.log", true}, {"*log", "log.a", false}, {"a*", "ba", false}, {"a*b*c", "a-b-b-c", true},
		{"a*b*c", "acb", false}, {"[a]", "a", false}, {"[a]", "[a]", true}, {"?", "x", false}, {"**", "x", true}, {"a*a", "a", false},
	} {
		if got := wild(c.pattern, c.name); got != c.want {
			t.Errorf("[%s] and [%s]: got %v", c.pattern, c.name, got)
		}
	}
}
