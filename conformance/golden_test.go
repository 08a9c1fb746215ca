package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/document"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"github.com/google/go-cmp/cmp"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// sample is an answer with which the SDK tests itself.
type sample struct {
	status      string
	contentType string
	body        map[string]any
}

func readSample(t *testing.T, name string) sample {
	t.Helper()
	b, err := os.ReadFile("testdata/sdk/" + name + ".snap")
	must(t, err)
	head, body, _ := strings.Cut(string(b), "\n\n")
	status, headers, _ := strings.Cut(head, "\n")
	s := sample{status: strings.TrimSpace(status)}
	for line := range strings.SplitSeq(headers, "\n") {
		if value, ok := strings.CutPrefix(line, "Content-Type: "); ok {
			s.contentType = strings.TrimSpace(value)
		}
	}
	must(t, json.Unmarshal([]byte(body), &s.body))
	return s
}

// keeping is an HTTP client that keeps the body of the last answer.
type keeping struct{ body []byte }

// RoundTrip implements http.RoundTripper.
func (k *keeping) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	k.body, err = io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	err = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(k.body))
	return resp, err
}

// TestSDKReadsEveryMember calls the six actions with the SDK. What it decoded
// is what was sent, member for member: nothing is lost for being misspelled or
// of another type. And no member is sent that the SDK's own samples lack.
func TestSDKReadsEveryMember(t *testing.T) {
	t.Parallel()
	server := souktest.Start(t, souktest.Options{})
	logos := souktest.ServeLogos(t)
	kept := &keeping{}
	c := server.Root(t).Config
	c.HTTP = &http.Client{Transport: kept}
	s := seller.New(c)
	ctx := t.Context()

	compare := func(action string, out any, err error) {
		t.Helper()
		must(t, err)
		var sent map[string]any
		must(t, json.Unmarshal(kept.body, &sent))
		if diff := cmp.Diff(withoutNulls(sent), decoded(t, out)); diff != "" {
			t.Errorf("%s: what was sent (-) and what the SDK reads (+) differ:\n%s", action, diff)
		}
		known, got := map[string]bool{}, map[string]bool{}
		members(readSample(t, action+".response").body, "", known)
		members(sent, "", got)
		for name := range got {
			if !known[name] {
				t.Errorf("%s: the member %s is not in the SDK's sample", action, name)
			}
		}
	}

	product, err := s.Limited(ctx, "Golden", "golden")
	must(t, err)
	started, err := s.Catalog.StartChangeSet(ctx, &marketplacecatalog.StartChangeSetInput{
		Catalog: aws.String(seller.Catalog), ChangeSetName: aws.String("Golden"),
		ChangeSet: []types.Change{seller.Named("Wrong", seller.Change("AddRepositories", product, seller.Repositories("golden", "UPPER")))},
	})
	compare("StartChangeSet", started, err)
	failed, err := s.Wait(ctx, aws.ToString(started.ChangeSetId))
	compare("DescribeChangeSet", failed, err)
	entity, err := s.Entity(ctx, product)
	compare("DescribeEntity", entity, err)
	entities, err := s.Catalog.ListEntities(ctx, &marketplacecatalog.ListEntitiesInput{
		Catalog: aws.String(seller.Catalog), EntityType: aws.String("ContainerProduct"), MaxResults: aws.Int32(1),
	})
	compare("ListEntities", entities, err)
	sets, err := s.Catalog.ListChangeSets(ctx, &marketplacecatalog.ListChangeSetsInput{Catalog: aws.String(seller.Catalog), MaxResults: aws.Int32(1)})
	compare("ListChangeSets", sets, err)
	slow := slowly(t, s, logos, product, "golden")
	cancelled, err := s.Catalog.CancelChangeSet(ctx, &marketplacecatalog.CancelChangeSetInput{Catalog: aws.String(seller.Catalog), ChangeSetId: &slow})
	compare("CancelChangeSet", cancelled, err)
}

// decoded is an output of the SDK as JSON has it: exported fields that are set,
// by their names, which are the names of the members.
func decoded(t *testing.T, v any) any {
	t.Helper()
	if d, ok := v.(document.Interface); ok {
		var into any
		must(t, d.UnmarshalSmithyDocument(&into))
		b, err := json.Marshal(into)
		must(t, err)
		var plain any
		must(t, json.Unmarshal(b, &plain))
		return withoutNulls(plain)
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Pointer:
		return decoded(t, r.Elem().Interface())
	case reflect.Struct:
		m := map[string]any{}
		for i := range r.NumField() {
			f := r.Type().Field(i)
			if !f.IsExported() || f.Name == "ResultMetadata" || r.Field(i).IsZero() {
				continue
			}
			m[f.Name] = decoded(t, r.Field(i).Interface())
		}
		return m
	case reflect.Slice:
		list := make([]any, 0, r.Len())
		for i := range r.Len() {
			list = append(list, decoded(t, r.Index(i).Interface()))
		}
		return list
	case reflect.String:
		return r.String()
	}
	return fmt.Sprint(v)
}

// withoutNulls leaves out members that are null: the SDK reads them as absent.
func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for name, value := range v {
			if value != nil {
				m[name] = withoutNulls(value)
			}
		}
		return m
	case []any:
		list := make([]any, 0, len(v))
		for _, element := range v {
			list = append(list, withoutNulls(element))
		}
		return list
	}
	return v
}

// TestErrorsAreThoseOfTheSDK compares errors with the SDK's samples: status,
// content type and members.
func TestErrorsAreThoseOfTheSDK(t *testing.T) {
	t.Parallel()
	server := souktest.Start(t, souktest.Options{Quotas: true, Flags: []string{"--open-change-sets", "1"}})
	logos := souktest.ServeLogos(t)
	s := server.Root(t)
	ctx := t.Context()
	product, err := patient(s).Draft(ctx, "Errors")
	must(t, err)
	user := server.User(t, s, "nobody")
	_ = slowly(t, patient(s), logos, product, "errors")
	change := func(details string) string {
		return seller.JSON(map[string]any{"Catalog": seller.Catalog, "ChangeSet": []any{map[string]any{
			"ChangeType": "UpdateInformation", "Entity": map[string]string{"Type": seller.ContainerProduct, "Identifier": product}, "Details": details,
		}}})
	}
	for _, c := range []struct {
		code         string
		as           *seller.Seller
		method, path string
		body         string
	}{
		{"ValidationException", s, "POST", "/ListEntities", `{"Catalog":"AWSMarketplace"}`},
		{"ResourceNotFoundException", s, "GET", "/DescribeChangeSet?catalog=AWSMarketplace&changeSetId=none", ""},
		{"AccessDeniedException", user, "POST", "/ListEntities", `{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct"}`},
		{"ResourceInUseException", s, "POST", "/StartChangeSet", change(`{"Sku":"1"}`)},
		{"ServiceQuotaExceededException", s, "POST", "/StartChangeSet", `{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"CreateProduct","Entity":{"Type":"ContainerProduct@1.0"},"Details":"{}"}]}`},
		{"ThrottlingException", s, "POST", "/ListChangeSets", `{"Catalog":"AWSMarketplace"}`},
	} {
		want := readSample(t, c.code+".error")
		var a seller.Answer
		for tries := 0; ; tries++ {
			a, err = c.as.Raw(ctx, c.method, c.path, c.body)
			must(t, err)
			if c.code == "ThrottlingException" && a.Status == 200 && tries < 100 {
				continue // until the rate is used up
			}
			if c.code == "ThrottlingException" || a.Status != 429 || tries > 1000 {
				break
			}
		}
		if fmt.Sprint(a.Status) != want.status || a.Header.Get("Content-Type") != want.contentType {
			t.Errorf("%s: got %d, %s, want %s, %s: %s", c.code, a.Status, a.Header.Get("Content-Type"), want.status, want.contentType, a.Body)
		}
		var sent map[string]any
		must(t, json.Unmarshal([]byte(a.Body), &sent))
		if sent["__type"] != c.code {
			t.Errorf("%s: got __type %v", c.code, sent["__type"])
		}
		for name := range sent {
			if _, known := want.body[name]; !known {
				t.Errorf("%s: the member %s is not in the SDK's sample", c.code, name)
			}
		}
	}
	logos.Release("errors")
}
