package sigv4

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"
)

const suiteSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

var suiteTime = time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)

// check parses and verifies as a server does, with the secret of the suite.
func check(v *Verifier, r *http.Request, now time.Time, body []byte) (*Auth, error) {
	a := new(Auth)
	err := v.Parse(r, now, a)
	if err == nil {
		err = v.Verify(r, a, suiteSecret, body, Signed)
	}
	return a, err
}

// reason returns why a request was refused, -1 if it was not.
func reason(t *testing.T, err error) Reason {
	t.Helper()
	if err == nil {
		return -1
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("the error %v is no *Error", err)
	}
	return e.Reason
}

func TestPublishedExamplesVerify(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"testdata/headers.txt", "testdata/presigned.txt"} {
		for name, raw := range examples(t, file) {
			t.Run(file+"/"+name, func(t *testing.T) {
				t.Parallel()
				r, body := read(t, raw)
				v := new(Verifier)
				if _, err := check(v, r, suiteTime, body); err != nil {
					t.Errorf("refused: %v\ncanonical query %q", err, new(scratch).appendQuery(nil, r.URL.RawQuery, true))
				}
				if _, err := check(v, r, suiteTime, body); err != nil {
					t.Errorf("refused with the key from the cache: %v", err)
				}
				if _, err := check(v, r, suiteTime, append(body, '!')); reason(t, err) != Mismatch {
					t.Errorf("with another body: got %v, want a mismatch", err)
				}
			})
		}
	}
}

// examples reads the requests of a file by name.
func examples(t *testing.T, file string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, block := range strings.Split(string(data), "\n== ")[1:] {
		name, raw, _ := strings.Cut(block, "\n")
		out[name] = strings.TrimRight(raw, "\n")
	}
	return out
}

// read turns an example into the request that a server would see.
func read(t *testing.T, raw string) (*http.Request, []byte) {
	t.Helper()
	head, body, _ := strings.Cut(raw, "\n\n")
	wire := strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wire)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, b
}

// signed returns a request as the SDK signs it and as a server reads it.
func signed(t interface{ Fatal(...any) }, method, target, body string, h http.Header, session string, presign bool) (*http.Request, []byte) {
	r, err := http.NewRequest(method, "http://127.0.0.1:8470"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range h {
		r.Header[k] = v
	}
	sum := sha256.Sum256([]byte(body))
	creds := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: suiteSecret, SessionToken: session}
	signer := v4.NewSigner()
	if presign {
		uri, headers, err := signer.PresignHTTP(context.Background(), creds, r, hex.EncodeToString(sum[:]), "aws-marketplace", "eu-west-1", suiteTime)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		r.URL, r.Header = u, headers
	} else if err := signer.SignHTTP(context.Background(), creds, r, hex.EncodeToString(sum[:]), "aws-marketplace", "eu-west-1", suiteTime); err != nil {
		t.Fatal(err)
	}
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got, b
}

// TestSDKSignedRequestsVerify compares with the SDK's own signer: what it signs
// is accepted, and any change afterwards is refused.
func TestSDKSignedRequestsVerify(t *testing.T) {
	t.Parallel()
	v := new(Verifier)
	rapid.Check(t, func(t *rapid.T) {
		method := rapid.SampledFrom([]string{"GET", "POST", "PATCH", "PUT", "DELETE"}).Draw(t, "method")
		segments := rapid.SliceOfN(rapid.StringMatching(`[a-zA-Z0-9 ._~%:@é/+-]{0,8}`), 0, 4).Draw(t, "path")
		path := "/"
		for i, s := range segments {
			if i > 0 {
				path += "/"
			}
			path += url.PathEscape(s)
		}
		values := url.Values{}
		for i, k := range rapid.SliceOfN(rapid.StringMatching(`[a-zA-Zé%& =+-]{0,6}`), 0, 5).Draw(t, "keys") {
			values.Add(k, rapid.String().Draw(t, fmt.Sprint("value", i)))
		}
		target := path
		presign := rapid.Bool().Draw(t, "presign")
		if presign {
			values.Set("X-Amz-Expires", "60")
		}
		if len(values) > 0 {
			target += "?" + values.Encode()
		}
		headers := http.Header{}
		if rapid.Bool().Draw(t, "content type") {
			headers.Set("Content-Type", rapid.SampledFrom([]string{"application/json", "text/plain;  charset=utf-8"}).Draw(t, "type"))
		}
		if rapid.Bool().Draw(t, "own header") {
			headers["X-Own"] = rapid.SliceOfN(rapid.StringMatching(`[ -~]{0,12}`), 1, 3).Draw(t, "own")
		}
		session := rapid.StringMatching(`([A-Za-z0-9+/=]{4,40})?`).Draw(t, "session")
		body := rapid.String().Draw(t, "body")
		r, b := signed(t, method, target, body, headers, session, presign)

		a, err := check(v, r, suiteTime, b)
		if err != nil {
			t.Fatalf("%s %s %v: refused: %v", method, r.RequestURI, r.Header, err)
		}
		if a.AccessKeyID != "AKIDEXAMPLE" || a.Region != "eu-west-1" || a.Service != "aws-marketplace" ||
			a.SessionToken != session || !a.Time.Equal(suiteTime) || a.Presigned != presign {
			t.Fatalf("read %+v", a)
		}
		switch rapid.IntRange(0, 4).Draw(t, "change") {
		case 0:
			r.Method = "OPTIONS"
		case 1:
			r.RequestURI = "/x" + r.RequestURI
		case 2:
			r.URL.RawQuery += "&x=y"
		case 3:
			r.Host = "elsewhere:8470"
		case 4:
			b = append(b, 'x')
		}
		if _, err := check(v, r, suiteTime, b); reason2(err) != Mismatch {
			t.Fatalf("a changed request: got %v, want a mismatch", err)
		}
	})
}

func reason2(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return -1
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	const good = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
	const query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fservice%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-SignedHeaders=host&X-Amz-Expires=3600&X-Amz-Signature=" + emptyHash
	authorization := func(old, new string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", strings.Replace(good, old, new, 1)) }
	}
	presigned := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header = http.Header{}
			r.URL.RawQuery = strings.Replace(query, old, new, 1)
		}
	}
	header := func(k string, v ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[k] = v }
	}
	tests := []struct {
		name string
		edit func(*http.Request)
		at   time.Duration // the server's clock against the signature's time
		want Reason
		text string
	}{
		{"as signed", func(*http.Request) {}, 0, -1, ""},
		{"15 minutes late", func(*http.Request) {}, MaxSkew, -1, ""},
		{"15 minutes early", func(*http.Request) {}, -MaxSkew, -1, ""},
		{"later than 15 minutes", func(*http.Request) {}, MaxSkew + time.Second, Expired, "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T125101Z - 15 min.)"},
		{"earlier than 15 minutes", func(*http.Request) {}, -MaxSkew - time.Second, Expired, "Signature not yet current"},
		{"no signature", func(r *http.Request) { r.Header.Del("Authorization") }, 0, Missing, "Request is missing Authentication Token"},
		{"empty Authorization", header("Authorization", ""), 0, Incomplete, "algorithm"},
		{"Basic Authorization", header("Authorization", "Basic QUJD"), 0, Incomplete, "'Basic'"},
		{"SigV4A", authorization("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), 0, Incomplete, "algorithm"},
		{"Authorization twice", header("Authorization", good, good), 0, Incomplete, "more than once"},
		{"no parameters", header("Authorization", "AWS4-HMAC-SHA256"), 0, Incomplete, "requires 'Credential' parameter. Authorization header requires 'Signature'"},
		{"no signature parameter", authorization("Signature=", "Signatur="), 0, Incomplete, "unknown parameter"},
		{"empty signature", header("Authorization", good[:strings.Index(good, "5fa0")]), 0, Incomplete, "requires 'Signature'"},
		{"parameter without value", authorization("Credential=", "Credential "), 0, Incomplete, "missing equal-sign"},
		{"signature twice", header("Authorization", good+", Signature=00"), 0, Incomplete, "more than once"},
		{"credential of four parts", authorization("/service/", "/"), 0, Incomplete, "exactly 5 slash-delimited elements"},
		{"credential of six parts", authorization("/service/", "/service/more/"), 0, Incomplete, "exactly 5 slash-delimited elements"},
		{"credential without key", authorization("AKIDEXAMPLE", ""), 0, Incomplete, "exactly 5"},
		{"endless access key id", authorization("AKIDEXAMPLE", strings.Repeat("A", 10000)), 0, Incomplete, "exactly 5"},
		{"other terminator", authorization("aws4_request", "aws4_requesT"), 0, Mismatch, "valid terminator"},
		{"scope of another day", authorization("20150830", "20150829"), 0, Mismatch, "Date in Credential scope"},
		{"other region in the scope", authorization("us-east-1", "us-east-2"), 0, Mismatch, "does not match"},
		{"other key in the credential", authorization("AKIDEXAMPLE", "AKIDOTHER"), 0, -1, ""}, // the secret is the suite's
		{"other signature", authorization("5fa0", "5fa1"), 0, Mismatch, "does not match"},
		{"short signature", authorization("5fa0", ""), 0, Mismatch, "does not match"},
		{"upper-case signature", authorization("5fa0", "5FA0"), 0, Mismatch, "does not match"},
		{"host not signed", authorization("host;x-amz-date", "x-amz-date"), 0, Mismatch, "'Host' must be"},
		{"date not signed", authorization("host;x-amz-date", "host"), 0, Mismatch, "not signed: x-amz-date"},
		{"upper-case header list", authorization("host;x-amz-date", "Host;X-Amz-Date"), 0, Incomplete, "SignedHeaders"},
		{"empty name in the header list", authorization("host;x-amz-date", "host;;x-amz-date"), 0, Incomplete, "SignedHeaders"},
		{"unsigned x-amz header", header("X-Amz-Target", "Foo.Bar"), 0, Mismatch, "not signed: x-amz-target"},
		{"no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, 0, Incomplete, "existence of either"},
		{"date is no date", header("X-Amz-Date", "20150830T123600"), 0, Incomplete, "ISO-8601"},
		{"31st of June", header("X-Amz-Date", "20150631T123600Z"), 0, Incomplete, "ISO-8601"},
		{"letters in the date", header("X-Amz-Date", "2015083OT123600Z"), 0, Incomplete, "ISO-8601"},
		{"two dates", header("X-Amz-Date", "20150830T123600Z", "20150830T123600Z"), 0, Incomplete, "more than once"},
		{"hash of another body", header("X-Amz-Content-Sha256", strings.Repeat("0", 64)), 0, Mismatch, "not signed"},
		{"both ways", func(r *http.Request) { r.URL.RawQuery = query }, 0, Incomplete, "Only one authentication mechanism"},

		{"presigned by another key", presigned("", ""), 0, Mismatch, "does not match"},
		{"presigned, used after its life and 15 minutes", presigned("", ""), time.Hour + MaxSkew + time.Second, Expired, "Signature expired"},
		{"presigned, used within 15 minutes after its life", presigned("", ""), time.Hour + MaxSkew, Mismatch, "does not match"},
		{"presigned for more than a week", presigned("Expires=3600", "Expires=604801"), 0, Incomplete, "X-Amz-Expires"},
		{"presigned for no time", presigned("Expires=3600", "Expires=0"), 0, Incomplete, "X-Amz-Expires"},
		{"presigned for a negative time", presigned("Expires=3600", "Expires=-1"), 0, Incomplete, "X-Amz-Expires"},
		{"presigned for a huge time", presigned("Expires=3600", "Expires=99999999999999999999"), 0, Incomplete, "X-Amz-Expires"},
		{"presigned without date", presigned("X-Amz-Date", "X-Amz-Day"), 0, Incomplete, "'X-Amz-Date'"},
		{"presigned without signature", presigned("X-Amz-Signature", "X-Amz-Sig"), 0, Incomplete, "'X-Amz-Signature'"},
		{"presigned with another algorithm", presigned("SHA256", "SHA1"), 0, Incomplete, "algorithm"},
		{"presigned with a broken escape", presigned("AKIDEXAMPLE%2F", "%zz"), 0, Incomplete, "malformed"},
		{"presigned with two dates", presigned("X-Amz-Expires=3600", "X-Amz-Date=20150830T123600Z"), 0, Incomplete, "more than once"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "http://example.amazonaws.com/", nil)
			r.Header = http.Header{"X-Amz-Date": {"20150830T123600Z"}, "Authorization": {good}}
			tt.edit(r)
			_, err := check(new(Verifier), r, suiteTime.Add(tt.at), nil)
			if got := reason(t, err); got != tt.want {
				t.Fatalf("got reason %d (%v), want %d", got, err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %q, want it to contain %q", err, tt.text)
			}
		})
	}
}

func TestPayloadForms(t *testing.T) {
	t.Parallel()
	body := `{"Catalog":"AWSMarketplace"}`
	sum := sha256.Sum256([]byte(body))
	tests := []struct {
		name, declared string
		payload        Payload
		want           Reason
	}{
		{"the body's hash", hex.EncodeToString(sum[:]), Signed, -1},
		{"the hash of another body", emptyHash, Signed, Mismatch},
		{"unsigned where it must be signed", unsignedPayload, Signed, Mismatch},
		{"unsigned where it may be", unsignedPayload, MayBeUnsigned, -1},
		{"chunked", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", MayBeUnsigned, Mismatch},
		{"no hash at all", "none", Signed, Mismatch},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("POST", "http://127.0.0.1/StartChangeSet", strings.NewReader(body))
			r.Header.Set("X-Amz-Content-Sha256", tt.declared)
			err := v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: "A", SecretAccessKey: suiteSecret},
				r, tt.declared, "aws-marketplace", "us-east-1", suiteTime)
			if err != nil {
				t.Fatal(err)
			}
			var v Verifier
			var a Auth
			if err := v.Parse(r, suiteTime, &a); err != nil {
				t.Fatal(err)
			}
			if got := reason(t, v.Verify(r, &a, suiteSecret, []byte(body), tt.payload)); got != tt.want {
				t.Errorf("got reason %d, want %d", got, tt.want)
			}
		})
	}
}

func TestDateHeaderAlone(t *testing.T) {
	t.Parallel()
	r, body := read(t, examples(t, "testdata/headers.txt")["get-vanilla"])
	r.Header.Del("X-Amz-Date")
	r.Header.Set("Date", "Sun, 30 Aug 2015 12:36:00 GMT")
	a, err := check(new(Verifier), r, suiteTime, body)
	if reason(t, err) != Mismatch || !a.Time.Equal(suiteTime) {
		t.Errorf("got %v at %v, want the time to be read and the signature (of X-Amz-Date) refused", err, a.Time)
	}
}

func TestOldSecretIsRefusedAfterTheKeyWasCached(t *testing.T) {
	t.Parallel()
	r, body := read(t, examples(t, "testdata/headers.txt")["get-vanilla"])
	var v Verifier
	a, err := check(&v, r, suiteTime, body)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Verify(r, a, "another secret", body, Signed); reason(t, err) != Mismatch {
		t.Errorf("got %v, want a mismatch", err)
	}
}

func TestKeyCacheIsBounded(t *testing.T) {
	t.Parallel()
	var c keyCache
	for i := range maxKeys + 10 {
		a := &Auth{AccessKeyID: fmt.Sprint(i), scope: "20150830/r/s/aws4_request"}
		c.put(a, newSigningKey("s", "20150830", "r", "s"))
		if len(c.keys) > maxKeys {
			t.Fatalf("%d keys are kept, want at most %d", len(c.keys), maxKeys)
		}
	}
}

func FuzzAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", "20150830T123600Z")
	f.Add("AWS4-HMAC-SHA256 Credential=/////,SignedHeaders=;;,Signature=", "")
	f.Add("AWS4-HMAC-SHA256 =,=,=", "2015")
	f.Add("Basic QTpC", "Sun, 30 Aug 2015 12:36:00 GMT")
	v := new(Verifier)
	f.Fuzz(func(t *testing.T, authorization, date string) {
		r := httptest.NewRequest("GET", "http://example.amazonaws.com/", nil)
		r.Header = http.Header{"X-Amz-Date": {date}, "Authorization": {authorization}}
		_, err := check(v, r, suiteTime, nil)
		if err == nil && !strings.Contains(authorization, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31") {
			t.Errorf("%q was accepted", authorization)
		}
		reason(t, err)
	})
}

func FuzzPresigned(f *testing.F) {
	f.Add("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fservice%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-SignedHeaders=host&X-Amz-Expires=3600&X-Amz-Signature=00")
	f.Add("X-Amz-Signature=&&&=&%zz=%2&;")
	f.Add("a=b&X-Amz-Credential=%00")
	v := new(Verifier)
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "http://example.amazonaws.com/", nil)
		r.URL.RawQuery = query
		_, err := check(v, r, suiteTime, nil)
		reason(t, err)
		// Whatever the order of the parameters, what is signed is the same.
		parts := strings.Split(query, "&")
		for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
			parts[i], parts[j] = parts[j], parts[i]
		}
		a := new(scratch).appendQuery(nil, query, true)
		b := new(scratch).appendQuery(nil, strings.Join(parts, "&"), true)
		if !bytes.Equal(a, b) {
			t.Errorf("the canonical query %q depends on the order: %q", a, b)
		}
		if c := new(scratch).appendQuery(nil, query, false); isCanonicalQuery(query) && string(c) != query {
			t.Errorf("%q was taken for canonical", query)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	r, body := signed(b, "GET", "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-abcdefghijklm", "", http.Header{
		"User-Agent": {"aws-sdk-go-v2/1.47.7"}, "Amz-Sdk-Invocation-Id": {"2b1d7f3e-5a0e-4f1e-9d8a-0d6d5b0b8a11"},
		"Amz-Sdk-Request": {"attempt=1; max=3"},
	}, "", false)
	v := new(Verifier)
	var a Auth
	b.ReportAllocs()
	for b.Loop() {
		if err := v.Parse(r, suiteTime, &a); err != nil {
			b.Fatal(err)
		}
		if err := v.Verify(r, &a, suiteSecret, body, Signed); err != nil {
			b.Fatal(err)
		}
	}
}
