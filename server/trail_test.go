package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"souk/access/iam"
	"souk/access/organization"
	"souk/access/trail"
	"souk/artifact/appstream/assistant"
	"souk/artifact/appstream/builder"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// secretNames are members that no record may show, whichever operation has
// them; tokens that only make a request once, or ask for a page, are none.
var (
	secretNames  = regexp.MustCompile(`(?i)secret|password|passphrase|token|private_?key`)
	harmlessName = regexp.MustCompile(`(?i)^(client(request)?token|nexttoken|secretid)$`)
)

// hush stands for a secret.
const hush = "HUSH-this-is-a-secret"

// filled gives every member of an input a value, secrets where names or tags say so.
func filled(v reflect.Value, secret bool, depth int) {
	if depth > 8 {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("plain")
		if secret {
			v.SetString(hush)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(v.Elem(), secret, depth+1)
	case reflect.Slice:
		switch {
		case v.Type() == reflect.TypeFor[jsontext.Value]():
			v.SetBytes([]byte(`{"Login":{"Password":"` + hush + `"}}`))
		case v.Type().Elem().Kind() == reflect.Uint8:
			if secret {
				v.SetBytes([]byte(hush))
			}
		default:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			filled(v.Index(0), secret, depth+1)
		}
	case reflect.Map:
		if v.Type().Key().Kind() == reflect.String && v.Type().Elem().Kind() == reflect.String {
			v.Set(reflect.MakeMap(v.Type()))
			v.SetMapIndex(reflect.ValueOf("apiToken").Convert(v.Type().Key()), reflect.ValueOf(hush).Convert(v.Type().Elem()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.IsExported() {
				_, declared := f.Tag.Lookup("sensitive")
				filled(v.Field(i), secret || declared || secretNames.MatchString(f.Name) && !harmlessName.MatchString(f.Name), depth+1)
			}
		}
	}
}

// TestEveryOperationIsRecordedWithoutItsSecrets fills the input of every
// operation of every service and looks at its record.
func TestEveryOperationIsRecordedWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Config{})
	services, err := s.market.services(s.url)
	if err != nil {
		t.Fatal(err)
	}
	sources := regexp.MustCompile(`^[a-z0-9-]+\.amazonaws\.com$`)
	reads := regexp.MustCompile(`^(BatchDescribe|BatchGet|Decode|Describe|Generate|Get|List|Lookup|Search|Simulate)`)
	writesAllTheSame := map[string]bool{"GetImageRepository": true} // it makes what is not there
	call := trail.Call{
		Principal:   &iam.Principal{Account: "210987654321", ARN: "arn:aws:iam::210987654321:root", ID: "210987654321", Root: true},
		AccessKeyID: "AKIAEXAMPLE", Region: "us-east-1", RequestID: "r", SourceIP: netip.MustParseAddr("127.0.0.1"),
	}
	want := map[string]bool{}
	for _, service := range services {
		if !sources.MatchString(service.EventSource) {
			t.Errorf("service %s: its event source is %q", service.Name, service.EventSource)
		}
		for i := range service.Operations {
			op := &service.Operations[i]
			if op.ReadOnly != reads.MatchString(op.Name) && !writesAllTheSame[op.Name] {
				t.Errorf("%s.%s: ReadOnly is %v", service.Name, op.Name, op.ReadOnly)
			}
			c := call
			c.Input = op.Input()
			filled(reflect.ValueOf(c.Input).Elem(), false, 0)
			c.Time, c.Source, c.Name, c.ReadOnly = time.Now(), service.EventSource, op.Name, op.ReadOnly
			// Nothing is known of answers but that they may hold the same.
			if err := s.market.trail.Begin(c).End(t.Context(), trail.Outcome{Output: c.Input}); err != nil {
				t.Fatal(err)
			}
			want[service.EventSource+op.Name] = true
		}
	}
	q := trail.Query{Account: call.Principal.Account, Most: 50}
	for {
		page, next, err := s.market.trail.Lookup(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			text := string(r.JSON())
			if !json.Valid([]byte(text)) {
				t.Errorf("%s: its record is no JSON: %s", r.Name, text)
			}
			if strings.Contains(text, hush) || strings.Contains(text, "SFVTSC10aGlz") {
				t.Errorf("%s: a secret is in its record: %s", r.Name, text)
			}
			delete(want, r.Source+r.Name)
		}
		if q.Token = next; next == "" {
			break
		}
	}
	if len(want) > 0 {
		t.Errorf("operations without a record: %v", want)
	}
}

// What programs in image builders ask their host for is on record in the builder's
// account, in the commit of what is made: the service asks, since a machine has no
// identity. What is refused and what is only tried is, too.
func TestWhatAMachineAsksForIsOnRecord(t *testing.T) {
	t.Parallel()
	s, stop := start(t, Config{Place: Place{Data: filepath.Join(t.TempDir(), "souk-data")}})
	ctx, m := t.Context(), s.market
	a, err := s.Organization().CreateAccount(ctx, organization.NewAccount{Name: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	const builderARN, imageARN = "arn:aws:appstream:us-east-1:111122223333:image-builder/one", "arn:aws:appstream:us-east-1:111122223333:image/made"
	key := store.Key{Kind: "test", ID: "made"}
	refusal := apierror.New("ResourceAlreadyExistsException", "It is there.")
	broken := errors.New("the disk has failed")
	for _, c := range []struct {
		request assistant.Request
		err     error
	}{
		{assistant.Request{Operation: assistant.CreateImage, Name: "made", Applications: []assistant.Application{{Name: "app"}}}, nil},
		{assistant.Request{Operation: assistant.CreateImage, Name: "made", DryRun: true}, nil},
		{assistant.Request{Operation: assistant.CreateImage, Name: "made"}, refusal},
		{assistant.Request{Operation: assistant.Reboot}, broken},
		{assistant.Request{Operation: assistant.PowerOff}, nil},
	} {
		asked := builder.Asked{Account: a.ID, Region: "us-east-1", Builder: "one", Resources: []string{builderARN, imageARN}, Request: c.request}
		err := m.recordAsked(ctx, asked, func(ctx context.Context) error {
			if c.err != nil || c.request.DryRun {
				return c.err
			}
			return m.store.Commit(ctx, store.Batch{Put: []store.Write{{Was: store.Any, Document: store.Document{Key: key, Body: []byte("{}")}}}})
		})
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.request.Operation, err, c.err)
		}
	}
	if err := m.trail.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	records, _, err := m.trail.Lookup(ctx, trail.Query{Account: a.ID, Most: 50, Attribute: trail.Username, Value: "appstream.amazonaws.com"})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, r := range slices.Backward(records) {
		told = append(told, strings.TrimSpace(r.Name+" "+r.Code))
		text := string(r.JSON())
		for _, want := range []string{
			`"userIdentity":{"type":"AWSService","invokedBy":"appstream.amazonaws.com"}`, `"eventSource":"appstream.amazonaws.com"`,
			`"imageBuilderName":"one"`, `"ARN":"` + builderARN + `"`,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("record %s lacks %s", text, want)
			}
		}
		if r.Name == "CreateImage" && (!strings.Contains(text, `"name":"made"`) || strings.Contains(text, `"dryRun":true`) != r.ReadOnly) {
			t.Errorf("record %s", text)
		}
	}
	want := "CreateImage, CreateImage, CreateImage ResourceAlreadyExistsException, RebootImageBuilder InternalFailure, StopImageBuilder"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("on record are %s; want %s", got, want)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
