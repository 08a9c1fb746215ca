package ec2query

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"souk/gateway"
	"souk/gateway/apierror"
)

type filter struct {
	Name   string   `query:"Name"`
	Values []string `query:"Value"`
}

type describeInput struct {
	ImageIDs []string `query:"ImageId"`
	Filters  []filter `query:"Filter"`
	Max      *int     `query:"MaxResults"`
}

type describeOutput struct {
	Images Set[string] `xml:"imagesSet"`
	Next   string      `xml:"nextToken,omitempty"`
}

func bound(t *testing.T) gateway.Codec {
	t.Helper()
	c, err := Protocol{}.Bind(
		&gateway.Service{Namespace: "http://ec2.amazonaws.com/doc/2016-11-15/"},
		&gateway.Operation{Name: "DescribeImages", Input: func() any { return new(describeInput) }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestDecode: lists as EC2's requests have them.
//
// Amazon EC2 API Reference, "DescribeImages", Examples.
func TestDecode(t *testing.T) {
	t.Parallel()
	form := "Action=DescribeImages&Version=2016-11-15&ImageId.2=ami-b&ImageId.1=ami-a&Filter.1.Name=is-public&Filter.1.Value.1=true" +
		"&Filter.2.Name=architecture&Filter.2.Value.1=x86_64&Filter.2.Value.2=arm64&MaxResults=5"
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	var in describeInput
	if err := bound(t).Decode(r, []byte(form), &in); err != nil {
		t.Fatal(err)
	}
	if strings.Join(in.ImageIDs, " ") != "ami-a ami-b" || len(in.Filters) != 2 || in.Filters[1].Name != "architecture" || len(in.Filters[1].Values) != 2 || in.Max == nil || *in.Max != 5 {
		t.Errorf("got %+v", in)
	}
}

// TestEncode: the request's id stands first, an empty list is there, nothing is around the members.
func TestEncode(t *testing.T) {
	t.Parallel()
	for want, out := range map[string]any{
		`<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r-1</requestId><imagesSet><item>a &amp; b</item><item>c</item></imagesSet><nextToken>n</nextToken></DescribeImagesResponse>`: &describeOutput{Images: Set[string]{[]string{"a & b", "c"}}, Next: "n"},
		`<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r-1</requestId><imagesSet></imagesSet></DescribeImagesResponse>`:                                                             &describeOutput{},
		`<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r-1</requestId><return>true</return></DescribeImagesResponse>`:                                                               gateway.Raw("<return>true</return>"),
	} {
		w := httptest.NewRecorder()
		if err := bound(t).Encode(w, "r-1", out); err != nil {
			t.Fatal(err)
		}
		if got := w.Body.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestError: the form of errors, and EC2's one code for credentials.
func TestError(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*apierror.Error{
		`400 <Response><Errors><Error><Code>InvalidAMIID.NotFound</Code><Message>The image id &#39;[ami-1]&#39; does not exist</Message></Error></Errors><RequestID>r-1</RequestID></Response>`:                   {Code: "InvalidAMIID.NotFound", Message: "The image id '[ami-1]' does not exist", Status: 400},
		`401 <Response><Errors><Error><Code>AuthFailure</Code><Message>AWS was not able to validate the provided access credentials: no such key</Message></Error></Errors><RequestID>r-1</RequestID></Response>`: {Code: "InvalidClientTokenId", Message: "no such key", Status: 403},
		`403 <Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation. User: x</Message></Error></Errors><RequestID>r-1</RequestID></Response>`:       {Code: "UnauthorizedOperation", Message: "User: x", Status: 403},
	} {
		w := httptest.NewRecorder()
		Protocol{}.Error(nil, w, "r-1", e)
		if got := strconv.Itoa(w.Code) + " " + w.Body.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// FuzzDecode: no form makes the protocol panic.
func FuzzDecode(f *testing.F) {
	for _, form := range []string{
		"ImageId.1=a&Filter.1.Name=x&Filter.1.Value.1=y", "ImageId=a", "ImageId.0=a&ImageId.-1=b", "Filter.1=x&Filter.1.Name=y",
		"MaxResults=many", "ImageId.1=a&ImageId.1=b", "%zz=1", "Filter.1.Value.99999999999999999999=z",
	} {
		f.Add(form)
	}
	f.Fuzz(func(t *testing.T, form string) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		var in describeInput
		_ = (&codec{}).Decode(r, []byte(form), &in)
	})
}
