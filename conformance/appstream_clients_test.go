package conformance

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/appstream"
	"github.com/aws/smithy-go"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// This file makes one thing of all clients of AppStream, so that one suite runs
// with each: the AWS CLI, the SDKs for Go and JavaScript, and requests in either
// protocol that the tests write themselves.

// refusal is what a client says of an operation that was refused.
type refusal struct{ Code, Message string }

func (r *refusal) Error() string { return r.Code + ": " + r.Message }

// studio is a client of AppStream with the keys of an account. do sends one
// operation, whose input is JSON with the model's names, and returns its output
// as JSON. Its error is a *refusal if the service refused.
type studio interface {
	do(t *testing.T, operation, input string) (output string, err error)
}

// studios are all clients, by name. Each gets the keys of a seller.
var studios = map[string]func(t *testing.T, s *seller.Seller, region string) studio{
	"AWS CLI":                           newCommandStudio,
	"SDK for Go":                        newGoStudio,
	"SDK for JavaScript":                newJavaScriptStudio,
	"AWS CLI in rpc-v2-cbor":            newCommandStudioInCBOR,
	"SDK for JavaScript in rpc-v2-cbor": newJavaScriptStudioInCBOR,
	"JSON 1.1":                          func(_ *testing.T, s *seller.Seller, region string) studio { return &wireStudio{s: s, region: region} },
	"rpc-v2-cbor": func(_ *testing.T, s *seller.Seller, region string) studio {
		return &wireStudio{s: s, region: region, cbor: true}
	},
}

// photon is the name of the service on the wire.
const photon = "PhotonAdminProxyService"

// wireStudio writes requests itself.
type wireStudio struct {
	s      *seller.Seller
	region string
	cbor   bool
}

// request makes a signed request.
func (w *wireStudio) request(ctx context.Context, operation, input string) (*http.Request, error) {
	path, body := "/", input
	if w.cbor {
		path = "/service/" + photon + "/operation/" + operation
		cbor, err := toCBOR(input)
		if err != nil {
			return nil, err
		}
		body = string(cbor)
	}
	r, err := w.s.Request(ctx, http.MethodPost, path, body)
	if err != nil {
		return nil, err
	}
	if w.cbor {
		r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
		r.Header.Set("Content-Type", "application/cbor")
		r.Header.Set("Accept", "application/cbor")
	} else {
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", photon+"."+operation)
	}
	return r, w.s.SignIn(r, body, "appstream", w.region, time.Now())
}

func (w *wireStudio) do(t *testing.T, operation, input string) (string, error) {
	t.Helper()
	r, err := w.request(t.Context(), operation, input)
	must(t, err)
	answer, err := w.s.Send(r)
	must(t, err)
	text := answer.Body
	if w.cbor {
		if got := answer.Header.Get("Content-Type"); got != "application/cbor" || answer.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" {
			t.Fatalf("%s answers %d with %s, %s: %q", operation, answer.Status, got, answer.Header.Get("Smithy-Protocol"), text)
		}
		text = fromCBOR(t, text)
	}
	if answer.Status == http.StatusOK {
		return text, nil
	}
	var said struct {
		Type     string `json:"__type"`
		Message  string
		Message2 string `json:"message"`
	}
	must(t, json.Unmarshal([]byte(text), &said))
	_, code, found := strings.Cut(said.Type, "#")
	if !found {
		code = said.Type
	}
	if want, known := statusOf(code); known && answer.Status != want {
		t.Errorf("%s is refused by %s with status %d, want %d", operation, code, answer.Status, want)
	}
	// In CBOR both are there, for clients that look at one of them.
	return "", &refusal{code, cmp.Or(said.Message, said.Message2)}
}

// statusOf is the status of an exception of AppStream's model, and of those of every
// service; others are known of no model.
func statusOf(code string) (status int, known bool) {
	switch code {
	case notFound:
		return http.StatusNotFound, true
	case dryRun:
		return http.StatusPreconditionFailed, true
	case concurrent, incompatible, combination, invalidRole, limitExceeded, notPermitted, alreadyExists, inUse, notAvailable, requestLimit,
		"AccessDeniedException", "ValidationException", "SerializationException", "ThrottlingException":
		return http.StatusBadRequest, true
	}
	return 0, false
}

// goStudio is the SDK for Go: its methods by their names.
type goStudio struct{ client *appstream.Client }

func newGoStudio(_ *testing.T, s *seller.Seller, region string) studio {
	return &goStudio{appstream.New(appstream.Options{
		Region: region, BaseEndpoint: &s.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, ""),
	})}
}

func (g *goStudio) do(t *testing.T, operation, input string) (string, error) {
	t.Helper()
	method := reflect.ValueOf(g.client).MethodByName(operation)
	if !method.IsValid() {
		t.Fatalf("the SDK for Go has no %s", operation)
	}
	in := reflect.New(method.Type().In(1).Elem())
	d := json.NewDecoder(strings.NewReader(input))
	d.DisallowUnknownFields()
	must(t, d.Decode(in.Interface()))
	results := method.Call([]reflect.Value{reflect.ValueOf(t.Context()), in})
	if err, _ := results[1].Interface().(error); err != nil {
		var refused smithy.APIError
		if errors.As(err, &refused) {
			return "", &refusal{refused.ErrorCode(), refused.ErrorMessage()}
		}
		t.Fatalf("%s by the SDK for Go: %v", operation, err)
	}
	out, err := json.Marshal(results[0].Interface())
	must(t, err)
	return string(out), nil
}

// javaScriptStudio is the SDK for JavaScript in a process of node, which takes a
// line for each operation.
type javaScriptStudio struct {
	in  io.Writer
	out *bufio.Scanner
}

func newJavaScriptStudio(t *testing.T, s *seller.Seller, region string) studio {
	t.Helper()
	return startJavaScriptStudio(t, s, region, "")
}

// startJavaScriptStudio starts it with a protocol; "" leaves the choice to the SDK.
func startJavaScriptStudio(t *testing.T, s *seller.Seller, region, protocol string) studio {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, "node", "appstream.mjs")
	command.Dir = "javascript"
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NODE_NO_WARNINGS=1"}
	var problem bytes.Buffer
	command.Stderr = &problem
	in, err := command.StdinPipe()
	must(t, err)
	out, err := command.StdoutPipe()
	must(t, err)
	must(t, command.Start())
	t.Cleanup(func() {
		in.Close()
		_ = command.Wait()
		end()
		if problem.Len() > 0 {
			t.Logf("node: %s", problem.String())
		}
	})
	j := &javaScriptStudio{in, bufio.NewScanner(out)}
	j.out.Buffer(nil, 8<<20)
	must(t, json.NewEncoder(in).Encode(map[string]any{
		"endpoint": s.URL, "region": region, "maxAttempts": 1, "protocol": protocol,
		"credentials": map[string]string{"accessKeyId": s.AccessKeyID, "secretAccessKey": s.SecretAccessKey},
	}))
	return j
}

func (j *javaScriptStudio) do(t *testing.T, operation, input string) (string, error) {
	t.Helper()
	must(t, json.NewEncoder(j.in).Encode(map[string]any{"operation": operation, "input": json.RawMessage(input)}))
	if !j.out.Scan() {
		t.Fatalf("%s by the SDK for JavaScript: node has ended: %v", operation, j.out.Err())
	}
	var answer struct {
		Output  json.RawMessage
		Refused *refusal
		Problem string
	}
	must(t, json.Unmarshal(j.out.Bytes(), &answer))
	switch {
	case answer.Refused != nil:
		return "", answer.Refused
	case answer.Problem != "":
		t.Fatalf("%s by the SDK for JavaScript: %s", operation, answer.Problem)
	}
	return string(answer.Output), nil
}

// commandStudio is the AWS CLI.
type commandStudio struct {
	s      *seller.Seller
	line   *souktest.AWS
	region string
}

func newCommandStudio(t *testing.T, s *seller.Seller, region string) studio {
	return &commandStudio{s, souktest.NewAWS(t, t.TempDir()), region}
}

func (c *commandStudio) do(t *testing.T, operation, input string) (string, error) {
	t.Helper()
	command := c.line.Command(t.Context(), "--endpoint-url", c.s.URL, "--region", c.region, "--output", "json", "appstream", kebab(operation), "--cli-input-json", input)
	command.Env = append(command.Env, "AWS_MAX_ATTEMPTS=1", "AWS_ACCESS_KEY_ID="+c.s.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+c.s.SecretAccessKey)
	var o, e bytes.Buffer
	command.Stdout, command.Stderr = &o, &e
	if command.Run() == nil {
		if o.Len() == 0 {
			return "{}", nil
		}
		return o.String(), nil
	}
	// An error occurred (Code) when calling the Name operation: words
	_, rest, ok := strings.Cut(e.String(), "An error occurred (")
	code, message, found := strings.Cut(rest, ")")
	if !ok || !found {
		t.Fatalf("aws appstream %s: %s", kebab(operation), e.String())
	}
	_, message, _ = strings.Cut(message, "operation: ")
	return "", &refusal{code, strings.TrimSpace(message)}
}

// kebab is an operation's name as the AWS CLI spells it.
func kebab(operation string) string {
	var b strings.Builder
	for i, c := range operation {
		if c >= 'A' && c <= 'Z' {
			if i > 0 {
				b.WriteByte('-')
			}
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}
