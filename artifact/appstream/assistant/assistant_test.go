package assistant

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
)

// inside is a machine's file system, and a host behind its door.
type inside struct {
	t *testing.T
	command
	asked []Request // what the host was asked for
}

// newInside makes a machine with a program, whose host answers everything.
func newInside(t *testing.T, answer Answer) *inside {
	t.Helper()
	m := &inside{t: t}
	m.command = command{root: t.TempDir(), administrator: true, knock: func(context.Context) (net.Conn, error) {
		in, host := net.Pipe()
		go func() {
			err := Serve(context.Background(), host, func(_ context.Context, r Request) Answer {
				m.asked = append(m.asked, r)
				return answer
			})
			if err != nil {
				t.Errorf("serving a door: %v", err)
			}
		}()
		return in, nil
	}}
	m.file("/opt/app/run me.sh", "#!/bin/sh\n", 0o755)
	m.file("/opt/app/data", "data", 0o644)
	return m
}

func (m *inside) file(name, content string, mode os.FileMode) {
	m.t.Helper()
	path := m.path(name)
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), mode), os.Chmod(path, mode))
	if err != nil {
		m.t.Fatal(err)
	}
}

// runs runs the command and returns what it prints.
func (m *inside) runs(code int, args ...string) string {
	m.t.Helper()
	var out bytes.Buffer
	got := m.run(m.t.Context(), args, &out)
	if got != code {
		m.t.Errorf("image-assistant %q ended with %d, not %d: %s", args, got, code, out.String())
	}
	return out.String()
}

// says runs the command and compares what it prints.
func (m *inside) says(code int, want string, args ...string) {
	m.t.Helper()
	if got := m.runs(code, args...); got != want+"\n" {
		m.t.Errorf("image-assistant %q printed %s, not %s", args, got, want)
	}
}

// The guide's texts, letter for letter.
const (
	success       = `{"status": 0, "message": "Success"}`
	administrator = `{"status": 1, "message": "Administrator privileges are required to perform this operation"}`
	tooMany       = `{"status": 1, "message": "Unable to add more than 50 apps to the catalog."}`
	notUnique     = `{"status": 1, "message": "Name is not unique"}`
	noFile        = `{"status": 1, "message": "File not found (absolute-app-path)"}`
	noWorking     = `{"status": 1, "message": "Directory not found (working-directory)"}`
	notFound      = `{"status": 1, "message": "App not found"}`
	imageExists   = `{"status": 1, "message": "An image with the given name already exists"}`
	badTags       = `{"status": 1, "message": "Invalid value (tags)"}`
)

func refused(message string) string { return fmt.Sprintf(`{"status": 1, "message": %q}`, message) }

func TestApplications(t *testing.T) {
	t.Parallel()
	m := newInside(t, Success)
	m.says(0, `{"status": 0, "message": "Success", "applications": []}`, "list-applications")
	m.says(0, success, "add-application", "--name", "one", "--absolute-app-path", "/opt/app/run me.sh")
	m.says(0, success, "add-application", "--name=two", "--absolute-app-path=/opt/app/run me.sh", "--display-name", "Two <2>", "--launch-parameters", "--verbose -x \"a b\"",
		"--working-directory", "/opt/app", "--metadata", "team", "blue")
	m.says(1, notUnique, "add-application", "--name", "one", "--absolute-app-path", "/opt/app/run me.sh")
	m.says(0, success, "update-application", "--name", "one", "--launch-parameters", "-v")
	m.says(0, `{"status": 0, "message": "Success", "applications": [`+
		`{"name":"one","absolute-app-path":"/opt/app/run me.sh","display-name":"run_me","launch-parameters":"-v"},`+
		`{"name":"two","absolute-app-path":"/opt/app/run me.sh","display-name":"Two <2>","working-directory":"/opt/app","launch-parameters":"--verbose -x \"a b\"","metadata":{"team":"blue"}}]}`,
		"list-applications")
	m.says(0, success, "validate")
	m.says(0, success, "remove-application", "--name", "one")
	m.says(1, notFound, "remove-application", "--name", "one")
	m.says(1, notFound, "update-application", "--name", "one", "--display-name", "One")
	is, err := os.Stat(filepath.Join(m.path(catalogueFolder), catalogueFile))
	if err != nil || is.Mode() != 0o600 {
		t.Errorf("the catalogue has the mode %v: %v", is.Mode(), err)
	}
	left, err := os.ReadDir(m.path(catalogueFolder))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the catalogue there are %v: %v", left, err)
	}
}

func TestApplicationsThatAreRefused(t *testing.T) {
	t.Parallel()
	m := newInside(t, Success)
	m.file("/opt/app/manifest", "/opt/app/data\n\n/opt/app/gone\n", 0o644)
	m.file("/opt/app/icon.gif", "GIF89a", 0o644)
	m.file("/opt/app/broken.png", "no picture", 0o644)
	m.file("/opt/app/large.png", string(picture(t, "png", 257, 1)), 0o644)
	long := strings.Repeat("a", 257)
	add := func(more ...string) []string {
		return append([]string{"add-application", "--name", "one", "--absolute-app-path", "/opt/app/run me.sh"}, more...)
	}
	for name, c := range map[string]struct {
		want string
		args []string
	}{
		"no name":               {refused("Missing value (name)"), []string{"add-application", "--absolute-app-path", "/opt/app/data"}},
		"no program":            {refused("Missing value (absolute-app-path)"), []string{"add-application", "--name", "one"}},
		"value missing":         {refused("Missing value (name)"), []string{"add-application", "--name"}},
		"unknown option":        {refused("Unknown option: --names (--help lists them)"), add("--names", "x")},
		"no option":             {refused("Unknown option: x (--help lists them)"), add("x")},
		"given twice":           {refused("--name was given twice"), add("--name", "x")},
		"white space in a name": {refused("Invalid value (name)"), []string{"add-application", "--name", "a b", "--absolute-app-path", "/opt/app/run me.sh"}},
		"long name":             {refused("Invalid value (name)"), []string{"add-application", "--name", long, "--absolute-app-path", "/opt/app/run me.sh"}},
		"program is relative":   {refused("Invalid value (absolute-app-path)"), []string{"add-application", "--name", "one", "--absolute-app-path", "run me.sh"}},
		"program is missing":    {noFile, []string{"add-application", "--name", "one", "--absolute-app-path", "/opt/app/gone"}},
		"program below a file":  {noFile, []string{"add-application", "--name", "one", "--absolute-app-path", "/opt/app/data/x"}},
		"program is a folder":   {noFile, []string{"add-application", "--name", "one", "--absolute-app-path", "/opt/app"}},
		"program is data":       {refused("File not executable (absolute-app-path)"), []string{"add-application", "--name", "one", "--absolute-app-path", "/opt/app/data"}},
		"long display name":     {refused("Invalid value (display-name)"), add("--display-name", long)},
		"bell in parameters":    {refused("Invalid value (launch-parameters)"), add("--launch-parameters", "\a")},
		"no such directory":     {noWorking, add("--working-directory", "/opt/gone")},
		"directory is a file":   {noWorking, add("--working-directory", "/opt/app/data")},
		"no such icon":          {refused("File not found (absolute-icon-path)"), add("--absolute-icon-path", "/opt/app/gone.png")},
		"icon of another form":  {refused("Unsupported file extension (absolute-icon-path): .jpg, .png and .bmp are supported"), add("--absolute-icon-path", "/opt/app/icon.gif")},
		"icon is no picture":    {refused("Invalid icon (absolute-icon-path)"), add("--absolute-icon-path", "/opt/app/broken.png")},
		"icon is a folder":      {refused("Invalid icon (absolute-icon-path)"), add("--absolute-icon-path", "/opt/app")},
		"icon too large":        {refused("The icon is larger than 256 x 256 pixels (absolute-icon-path)"), add("--absolute-icon-path", "/opt/app/large.png")},
		"no such manifest":      {refused("Optimization-manifest not found: /opt/app/gone"), add("--absolute-manifest-path", "/opt/app/gone")},
		"manifest names nobody": {refused("File not found: /opt/app/gone"), add("--absolute-manifest-path", "/opt/app/manifest")},
		"metadata without end":  {refused("Invalid value (metadata)"), add("--metadata", "a")},
		"metadata of nothing":   {refused("Missing value (metadata)"), add("--metadata")},
		"metadata twice":        {refused("Invalid value (metadata)"), add("--metadata", "a", "1", "a", "2")},
		"unknown operation":     {refused("Unknown operation: install (image-assistant help lists them)"), []string{"install"}},
		"operation of Windows":  {refused("reset-user-profile is not supported by the Linux image assistant CLI tool"), []string{"reset-user-profile"}},
	} {
		t.Run(name, func(t *testing.T) {
			sub := *m
			sub.t = t
			sub.says(1, c.want, c.args...)
		})
	}
	m.says(0, `{"status": 0, "message": "Success", "applications": []}`, "list-applications")
}

func TestNobodyButRoot(t *testing.T) {
	t.Parallel()
	m := newInside(t, Success)
	m.administrator = false
	for _, args := range [][]string{
		{"add-application", "--name", "one", "--absolute-app-path", "/opt/app/run me.sh"}, {"update-application", "--name", "one"},
		{"remove-application", "--name", "one"}, {"list-applications"}, {"validate"}, {"create-image", "--name", "one"},
	} {
		m.says(1, administrator, args...)
	}
	if help := m.runs(0, "help"); !strings.Contains(help, "create-image --name <value>") {
		t.Errorf("help says %s", help)
	}
}

func TestFiftyApplications(t *testing.T) {
	t.Parallel()
	m := newInside(t, Success)
	for i := range 50 {
		m.says(0, success, "add-application", "--name", fmt.Sprint("app", i), "--absolute-app-path", "/opt/app/run me.sh")
	}
	m.says(1, tooMany, "add-application", "--name", "app50", "--absolute-app-path", "/opt/app/run me.sh")
	m.says(0, success, "create-image", "--name", "full")
	if n := len(m.asked[0].Applications); n != 50 {
		t.Errorf("the host has %d applications", n)
	}
}

// Two at a time do not lose what the other wrote.
func TestApplicationsAddedAtOnce(t *testing.T) {
	t.Parallel()
	m := newInside(t, Success)
	done := make(chan int)
	for i := range 10 {
		go func() {
			var out bytes.Buffer
			done <- m.run(t.Context(), []string{"add-application", "--name", fmt.Sprint("app", i), "--absolute-app-path", "/opt/app/run me.sh"}, &out)
		}()
	}
	for range 10 {
		if code := <-done; code != 0 {
			t.Errorf("one ended with %d", code)
		}
	}
	all, err := m.read()
	if err != nil || len(all.Applications) != 10 {
		t.Errorf("the catalogue has %d applications: %v", len(all.Applications), err)
	}
}

func TestValidateFindsWhatHasGone(t *testing.T) {
	t.Parallel()
	m := newInside(t, Success)
	m.says(0, success, "add-application", "--name", "one", "--absolute-app-path", "/opt/app/run me.sh")
	err := os.Remove(m.path("/opt/app/run me.sh"))
	if err != nil {
		t.Fatal(err)
	}
	m.says(1, `{"status": 1, "message": "The application catalog has errors", "errors": [{"name":"one","message":"File not found (absolute-app-path)"}]}`, "validate")
	m.says(1, refused("one: File not found (absolute-app-path)"), "create-image", "--name", "x")
	if len(m.asked) != 0 {
		t.Errorf("the host was asked %v", m.asked)
	}
}

// picture is a picture without a pattern, that does not compress.
func picture(t *testing.T, form string, width, height int) []byte {
	t.Helper()
	p := image.NewNRGBA(image.Rect(0, 0, width, height))
	x := uint32(1)
	for i := range p.Pix {
		x = x*1664525 + 1013904223
		p.Pix[i] = byte(x >> 24)
	}
	var out bytes.Buffer
	var err error
	switch form {
	case "png":
		err = png.Encode(&out, p)
	case "jpg":
		err = jpeg.Encode(&out, p, nil)
	case "bmp":
		err = bmp.Encode(&out, p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestCreateImage(t *testing.T) {
	t.Parallel()
	m := newInside(t, Success)
	for _, form := range []string{"png", "jpg", "bmp"} {
		m.file("/opt/app/icon."+form, string(picture(t, form, 256, 256)), 0o644)
		m.says(0, success, "add-application", "--name", form, "--absolute-app-path", "/opt/app/run me.sh", "--absolute-icon-path", "/opt/app/icon."+form)
	}
	m.says(0, success, "add-application", "--name", "none", "--absolute-app-path", "/opt/app/run me.sh", "--metadata", "a=1", "b=2")
	m.says(0, success, "create-image", "--name", "my-image_1.0", "--description", "What it is", "--display-name", "My image",
		"--use-latest-agent-version", "--no-enable-dynamic-app-catalog", "--tags", "mykey", "my val", "mykey2", "", "--dry-run")
	r := m.asked[0]
	if r.Operation != CreateImage || r.Name != "my-image_1.0" || r.Description != "What it is" || r.DisplayName != "My image" ||
		!r.UseLatestAgentVersion || !r.DryRun || fmt.Sprint(r.Tags) != "map[mykey:my val mykey2:]" {
		t.Errorf("the host was asked %+v", r)
	}
	for _, a := range r.Applications {
		is, err := png.DecodeConfig(bytes.NewReader(a.Icon))
		size := 256
		if a.Name == "none" {
			size = 64
		}
		if err != nil || is.Width != size || len(a.Icon) > mostIcon {
			t.Errorf("%s has an icon of %d bytes, %d wide: %v", a.Name, len(a.Icon), is.Width, err)
		}
		if a.LaunchPath != "/opt/app/run me.sh" || a.DisplayName != "run_me" || !a.Enabled {
			t.Errorf("the host has %+v", a)
		}
	}
	if is := r.Applications[3].Metadata; is["a"] != "1" || is["b"] != "2" {
		t.Errorf("the metadata is %v", is)
	}
}

func TestImagesThatAreRefused(t *testing.T) {
	t.Parallel()
	m := newInside(t, Answer{Refused, ImageExists})
	for want, args := range map[string][]string{
		imageExists: {"--name", "there"},
		refused("enable-dynamic-app-catalog: the dynamic application framework is not offered here"): {"--name", "x", "--enable-dynamic-app-catalog"},
		badTags:                         {"--name", "x", "--tags", "odd"},
		refused("Missing value (name)"): {"--description", "x"},
		refused("Invalid value (name)"): {"--name", "a b"},
		refused("Invalid value (name): names that begin with amazon are reserved"):                  {"--name", "Amazon1"},
		refused("Invalid value (description)"):                                                      {"--name", "x", "--description", strings.Repeat("d", 257)},
		refused("Invalid value (display-name)"):                                                     {"--name", "x", "--display-name", strings.Repeat("d", 257)},
		refused("use-latest-agent-version and no-use-latest-agent-version can't be given together"): {"--name", "x", "--use-latest-agent-version", "--no-use-latest-agent-version"},
		refused("Invalid value (dry-run)"):                                                          {"--name", "x", "--dry-run=yes"},
	} {
		m.says(1, want, append([]string{"create-image"}, args...)...)
	}
	m.says(1, badTags, "create-image", "--name", "x", "--tags", "aws:x", "1")
	m.says(1, refused("Invalid value (name)"), "create-image", "--name", strings.Repeat("n", 101))
	if len(m.asked) != 1 {
		t.Errorf("the host was asked %d times", len(m.asked))
	}
}

func TestTheHostIsAway(t *testing.T) {
	t.Parallel()
	m := newInside(t, Success)
	m.knock = func(context.Context) (net.Conn, error) { return nil, errors.New("nobody opens") }
	m.says(255, `{"status": 255, "message": "nobody opens"}`, "create-image", "--name", "x")
	var out, errs bytes.Buffer
	if code := (power{Reboot, "", m.knock, true}).run(t.Context(), nil, &out, &errs); code != 1 || errs.String() != "reboot: nobody opens\n" {
		t.Errorf("reboot ended with %d: %s", code, errs.String())
	}
	m.knock = func(context.Context) (net.Conn, error) {
		in, host := net.Pipe()
		go func() {
			_, _ = readLine(host, mostRequest)
			host.Close()
		}()
		return in, nil
	}
	m.says(255, `{"status": 255, "message": "asking the machine's host: unexpected EOF"}`, "create-image", "--name", "x")
}

func TestPower(t *testing.T) {
	t.Parallel()
	m := newInside(t, Success)
	var out, errs bytes.Buffer
	for _, c := range []struct {
		power
		args []string
		code int
	}{
		{power{Reboot, "", m.knock, true}, nil, 0},
		{power{PowerOff, "", m.knock, true}, []string{"-f"}, 0},
		{power{PowerOff, "", m.knock, true}, []string{"now"}, 1},
		{power{PowerOff, "", m.knock, false}, nil, 1},
		{power{PowerOff, "", m.knock, false}, []string{"--help"}, 0},
	} {
		if code := c.run(t.Context(), c.args, &out, &errs); code != c.code {
			t.Errorf("%s %q ended with %d: %s", c.operation, c.args, code, errs.String())
		}
	}
	if len(m.asked) != 2 || m.asked[0].Operation != Reboot || m.asked[1].Operation != PowerOff {
		t.Errorf("the host was asked %+v", m.asked)
	}
	no := newInside(t, Answer{Refused, "It is not running."})
	errs.Reset()
	if code := (power{Reboot, "", no.knock, true}).run(t.Context(), nil, &out, &errs); code != 1 || errs.String() != "reboot: It is not running.\n" {
		t.Errorf("reboot ended with %d: %s", code, errs.String())
	}
}

func TestHelpOfEach(t *testing.T) {
	t.Parallel()
	m := newInside(t, Success)
	all := m.runs(0, "help")
	for _, o := range operations() {
		if !strings.Contains(all, "\n"+o.name) {
			t.Errorf("help does not say what %s is", o.name)
		}
		if o.run == nil {
			continue
		}
		text := m.runs(0, o.name, "--help")
		for _, p := range o.options {
			if !strings.Contains(text, "\n--"+p.name+"\n") {
				t.Errorf("the help of %s does not say what --%s is", o.name, p.name)
			}
		}
	}
	if m.runs(0) != all || m.runs(0, "--help") != all {
		t.Error("help can't be had by --help")
	}
}

// A catalogue that somebody else wrote.
func TestHostileCatalogues(t *testing.T) {
	t.Parallel()
	good := `{"name":"a","absolute-app-path":"/x","display-name":"a"}`
	for name, content := range map[string]string{
		"no JSON":       "applications",
		"unknown":       `{"applications":[],"more":1}`,
		"twice":         `{"applications":[` + good + `,` + good + `]}`,
		"relative":      `{"applications":[{"name":"a","absolute-app-path":"x","display-name":"a"}]}`,
		"fifty-one":     `{"applications":[` + strings.Repeat(good+",", 50) + good + `]}`,
		"duplicate key": `{"applications":[],"applications":[]}`,
		"without end":   strings.Repeat(" ", mostCatalogue+1),
	} {
		m := newInside(t, Success)
		m.file(filepath.Join(catalogueFolder, catalogueFile), content, 0o644)
		for _, args := range [][]string{{"list-applications"}, {"validate"}, {"create-image", "--name", "x"}, {"remove-application", "--name", "a"}} {
			got := m.runs(255, args...)
			if !json.Valid([]byte(got)) || !strings.Contains(got, "reading the application catalog") {
				t.Errorf("%s: %q printed %s", name, args, got)
			}
		}
	}
}

func TestTheDefaultIconIsAPicture(t *testing.T) {
	t.Parallel()
	p, err := png.Decode(bytes.NewReader(defaultIcon()))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, a := p.At(0, 0).RGBA(); a != 0 {
		t.Error("its corner is not clear")
	}
	if p.At(32, 15) == color.Color(color.NRGBA{}) {
		t.Error("it is empty")
	}
}
