package awsquery

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"souk/gateway/apierror"
)

type tag struct {
	Key   string
	Value *string
}

type input struct {
	Name    string `query:"RoleName"`
	Count   *int
	Big     int64
	Ratio   float64
	Fresh   bool
	Since   time.Time
	Tags    []tag
	Ids     []string `query:"Id"`
	Nested  struct{ Inner struct{ Name string } }
	Mapping map[string]string
}

func decode(t testing.TB, form string) (*input, error) {
	t.Helper()
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	in := new(input)
	return in, new(codec).Decode(r, []byte(form), in)
}

func TestDecode(t *testing.T) {
	t.Parallel()
	in, err := decode(t, "Action=X&RoleName=a+b%26&Count=3&Big=-9&Ratio=0.5&Fresh=true&Since=2026-03-01T12:00:00%2B01:00"+
		"&Tags.member.2.Key=second&Tags.member.1.Key=first&Tags.member.1.Value=&Id.10=ten&Id.9=nine&Nested.Inner.Name=deep"+
		"&Mapping.entry.1.key=k&Mapping.entry.1.value=v&Unknown.1.2=x")
	if err != nil {
		t.Fatal(err)
	}
	three, empty := 3, ""
	want := &input{
		Name: "a b&", Count: &three, Big: -9, Ratio: 0.5, Fresh: true, Since: time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC),
		Tags: []tag{{"first", &empty}, {"second", nil}}, Ids: []string{"nine", "ten"}, Mapping: map[string]string{"k": "v"},
	}
	want.Nested.Inner.Name = "deep"
	if diff := cmp.Diff(want, in); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestValuesOfAnotherType(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"Count=x", "Count=1.5", "Big=9223372036854775808", "Ratio=x", "Fresh=yes", "Since=yesterday", "Tags=x&Count="} {
		_, err := decode(t, form)
		if !apierror.Is(err, "MalformedInput") {
			t.Errorf("%s: got %v, want MalformedInput", form, err)
		}
	}
	if in, err := decode(t, "Id=x&Id.0=a&Id.-1=b&Id.x=c&Id.member=d"); err != nil || len(in.Ids) != 0 {
		t.Errorf("numbers that are none: got %v, %v", in.Ids, err)
	}
}

func FuzzForm(f *testing.F) {
	f.Add("Action=X&RoleName=a&Tags.member.1.Key=k")
	f.Add("Tags.member.1.Key=a&Tags.1.Key=b&Tags=&Tags.member=x")
	f.Add("Mapping.entry.1.key=&Mapping.entry.1=&Mapping.1.value=%ff")
	f.Add("....=&=&&Id.99999999999999999999=1")
	f.Fuzz(func(t *testing.T, form string) {
		in, err := decode(t, form)
		if err != nil && !apierror.Is(err, "MalformedInput") && !apierror.Is(err, "MalformedQueryString") {
			t.Errorf("the error %v is none of the protocol's", err)
		}
		if err == nil && len(in.Ids) > strings.Count(form, "&")+1 {
			t.Errorf("%d ids of %q", len(in.Ids), form)
		}
	})
}
