package assistant

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image/png"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// told sends bytes through a door, and returns what comes back.
func told(t *testing.T, sent string, do Handler) string {
	t.Helper()
	in, host := net.Pipe()
	defer in.Close()
	served := make(chan error, 1)
	go func() { served <- Serve(t.Context(), host, do) }()
	go func() { _, _ = io.WriteString(in, sent) }()
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	in.Close()
	<-served
	return line
}

func TestHostileRequests(t *testing.T) {
	t.Parallel()
	nothing := func(context.Context, Request) Answer {
		t.Error("it was done")
		return Success
	}
	app := `{"Name":"a","DisplayName":"a","LaunchPath":"/a","Enabled":true,"Icon":"` + base64.StdEncoding.EncodeToString([]byte("no picture")) + `"}`
	for name, c := range map[string]struct{ sent, want string }{
		"no JSON":           {"hello", "The request is not understood"},
		"another member":    {`{"Operation":"reboot","Force":true}`, "The request is not understood"},
		"twice":             {`{"Operation":"reboot","Operation":"poweroff"}`, "The request is not understood"},
		"another operation": {`{"Operation":"delete"}`, "Unknown operation: delete"},
		"long operation":    {`{"Operation":"` + strings.Repeat("x", 100) + `"}`, "Unknown operation: " + strings.Repeat("x", 40) + "..."},
		"no name":           {`{"Operation":"create-image"}`, "Invalid value (name)"},
		"tags of AWS":       {`{"Operation":"create-image","Name":"x","Tags":{"aws:a":"b"}}`, "Invalid value (tags)"},
		"bad icon":          {`{"Operation":"create-image","Name":"x","Applications":[` + app + `]}`, "Invalid icon (absolute-icon-path)"},
		"relative path":     {`{"Operation":"create-image","Name":"x","Applications":[{"Name":"a","DisplayName":"a","LaunchPath":"a","Enabled":true}]}`, "Invalid value (absolute-app-path)"},
		"a million apps":    {`{"Operation":"create-image","Name":"x","Applications":[` + strings.Repeat("{},", 1_000_000) + `{}]}`, "The request has too many members"},
		"many elsewhere":    {`{"x":[` + strings.Repeat("0,", 20_000) + `0]}`, "The request has too many members"},
		"line in a name":    {`{"Operation":"create-image","Name":"x","DisplayName":"a\nb"}`, "Invalid value (display-name)"},
	} {
		t.Run(name, func(t *testing.T) {
			got := told(t, c.sent+"\n", nothing)
			if want := fmt.Sprintf("{\"status\":1,\"message\":%q}\n", c.want); got != want {
				t.Errorf("it was told %s, not %s", got, want)
			}
		})
	}
}

func TestTheLargestRequest(t *testing.T) {
	t.Parallel()
	all := map[string]string{}
	for i := range mostMetadata {
		all[fmt.Sprintf("key%d", i)] = "value"
	}
	r := Request{Operation: CreateImage, Name: "x", DisplayName: "x", Description: "x", Tags: all, UseLatestAgentVersion: true, DryRun: true}
	for i := range mostApplications {
		r.Applications = append(r.Applications, Application{
			Name: fmt.Sprint(i), DisplayName: "a", LaunchPath: "/a", LaunchParameters: "a", WorkingDirectory: "/a", Metadata: all, Icon: defaultIcon(), Enabled: true,
		})
	}
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseRequest(line)
	if err != nil || len(got.Applications) != mostApplications || len(got.Applications[mostApplications-1].Metadata) != mostMetadata {
		t.Errorf("%d applications, %v", len(got.Applications), err)
	}
}

// What never ends is given up when it is as long as nothing may be.
func TestAnEndlessRequest(t *testing.T) {
	t.Parallel()
	line, err := readLine(io.LimitReader(endless{}, 1<<30), 1<<20)
	if err != errTooLong || line != nil {
		t.Errorf("%d bytes were read: %v", len(line), err)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// A machine that goes before it has asked is no more than a line of the log.
func TestAMachineThatGoes(t *testing.T) {
	t.Parallel()
	in, host := net.Pipe()
	go func() {
		_, _ = io.WriteString(in, `{"Operation":`)
		in.Close()
	}()
	err := Serve(t.Context(), host, func(context.Context, Request) Answer {
		t.Error("it was done")
		return Success
	})
	if err == nil || !strings.Contains(err.Error(), "unexpected EOF") {
		t.Errorf("the error is %v", err)
	}
}

// Serve ends with its context, also while a machine says nothing.
func TestASilentMachine(t *testing.T) {
	t.Parallel()
	_, host := net.Pipe()
	ctx, end := context.WithCancel(t.Context())
	end()
	if Serve(ctx, host, nil) == nil {
		t.Error("silence is no request")
	}
}

// The handler learns when the machine has its answer.
func TestAnswered(t *testing.T) {
	t.Parallel()
	var answered <-chan struct{}
	got := told(t, `{"Operation":"poweroff","Name":"ignored"}`+"\n", func(ctx context.Context, r Request) Answer {
		answered = Answered(ctx)
		select {
		case <-answered:
			t.Error("it has been answered before")
		default:
		}
		if r.Name != "" || r.Operation != PowerOff {
			t.Errorf("the request is %+v", r)
		}
		return Answer{Refused, "No\xff"}
	})
	<-answered
	if got != `{"status":1,"message":"No?"}`+"\n" {
		t.Errorf("it was told %s", got)
	}
	if Answered(t.Context()) != nil {
		t.Error("somebody else has an answer")
	}
}

func FuzzRequests(f *testing.F) {
	f.Add([]byte(`{"Operation":"reboot"}`))
	f.Add([]byte(`{"Operation":"create-image","Name":"x","Tags":{"a":"b"},"Applications":[{"Name":"a","DisplayName":"a","LaunchPath":"/a","Enabled":true}]}`))
	f.Add([]byte(`{"Operation":"create-image","Name":"x","Applications":[{"Name":"a","DisplayName":"a","LaunchPath":"/a","Icon":"iVBORw0KGgo=","Enabled":true}]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseRequest(line)
		if err != nil {
			return
		}
		if again := r.check(); again != nil {
			t.Errorf("what was taken is refused: %v", again)
		}
		for _, a := range r.Applications {
			if is, err := png.DecodeConfig(bytes.NewReader(a.Icon)); err != nil || is.Width > mostPixels || is.Height > mostPixels {
				t.Errorf("the icon of %q is none", a.Name)
			}
		}
	})
}

func FuzzCatalogues(f *testing.F) {
	f.Add([]byte(`{"applications":[]}`))
	f.Add([]byte(`{"applications":[{"name":"a","absolute-app-path":"/x","display-name":"a","metadata":{"a":"b"}}]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		all, err := parseCatalogue(content)
		if err != nil {
			return
		}
		for i, e := range all.Applications {
			if all.find(e.Name) != i || e.check() != nil {
				t.Errorf("application %d was taken", i)
			}
		}
	})
}

func FuzzArguments(f *testing.F) {
	f.Add("add-application\x00--name\x00a\x00--absolute-app-path=/x\x00--metadata\x00a\x00b")
	f.Add("create-image\x00--name\x00a\x00--tags\x00a=b")
	f.Add("help")
	f.Fuzz(func(t *testing.T, joined string) {
		c := command{root: t.TempDir(), administrator: true, knock: func(context.Context) (net.Conn, error) { return nil, errNoIcon }}
		var out bytes.Buffer
		code := c.run(t.Context(), strings.Split(joined, "\x00"), &out)
		if code != OK && code != Refused && code != Unexpected {
			t.Errorf("it ended with %d", code)
		}
	})
}
