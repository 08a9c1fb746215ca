package rpcv2cbor_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	smithycbor "github.com/aws/smithy-go/encoding/cbor"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"souk/access/iam"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/awsjson"
	"souk/gateway/rpcv2cbor"
)

// members has one member of each kind, as the protocol tests name them.
type members struct {
	Byte     *int8         `json:"byteValue,omitzero"`
	Double   *float64      `json:"doubleValue,omitzero"`
	False    *bool         `json:"falseBooleanValue,omitzero"`
	Float    *float32      `json:"floatValue,omitzero"`
	Integer  *int32        `json:"integerValue,omitzero"`
	Long     *int64        `json:"longValue,omitzero"`
	Short    *int16        `json:"shortValue,omitzero"`
	String   *string       `json:"stringValue,omitzero"`
	True     *bool         `json:"trueBooleanValue,omitzero"`
	Blob     []byte        `json:"blobValue,omitzero"`
	DateTime *awsjson.Time `json:"datetime,omitzero"`

	Strings    []string            `json:"stringList,omitzero"`
	Set        []string            `json:"stringSet,omitzero"`
	Integers   []int               `json:"integerList,omitzero"`
	Booleans   []bool              `json:"booleanList,omitzero"`
	Times      []awsjson.Time      `json:"timestampList,omitzero"`
	Enums      []string            `json:"enumList,omitzero"`
	IntEnums   []int               `json:"intEnumList,omitzero"`
	Nested     [][]string          `json:"nestedStringList,omitzero"`
	Structures []member            `json:"structureList,omitzero"`
	Blobs      [][]byte            `json:"blobList,omitzero"`
	Map        map[string]member   `json:"map,omitzero"`
	Tags       map[string]string   `json:"Tags,omitzero"`
	Deep       map[string][]member `json:"deep,omitzero"`
}

type member struct {
	A string        `json:"a,omitzero"`
	B string        `json:"b,omitzero"`
	C *awsjson.Time `json:"c,omitzero"`
	D []byte        `json:"d,omitzero"`
	E *member       `json:"e,omitzero"`
}

// bound is the protocol as an operation with those members has it.
func bound(t testing.TB) gateway.Codec {
	t.Helper()
	op := gateway.Op(gateway.Def[members, *members]{
		Name:      "Try",
		Authorize: func(context.Context, *gateway.Caller, *members) ([]iam.Question, error) { return nil, nil },
		Call:      func(_ context.Context, _ *gateway.Caller, in *members) (*members, error) { return in, nil },
	})
	c, err := rpcv2cbor.Protocol{}.Bind(nil, &op)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func request(body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/service/Try/operation/Try", bytes.NewReader(body))
	r.Header.Set("smithy-protocol", "rpc-v2-cbor")
	r.Header.Set("Content-Type", "application/cbor")
	return r
}

// rows reads a table of the protocol tests.
func rows(t *testing.T, name string) [][]string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for line := range strings.Lines(string(text)) {
		if row := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); !strings.HasPrefix(line, "#") {
			all = append(all, row)
		}
	}
	return all
}

func TestBodiesOfTheProtocolTests(t *testing.T) {
	t.Parallel()
	c := bound(t)
	for _, row := range rows(t, "requests.tsv") {
		t.Run(row[0], func(t *testing.T) {
			t.Parallel()
			body, err := base64.StdEncoding.DecodeString(row[1])
			if err != nil {
				t.Fatal(err)
			}
			var got, want members
			if err := json.Unmarshal([]byte(row[2]), &want); err != nil {
				t.Fatal(err)
			}
			if err := c.Decode(request(body), body, &got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error("members (-wanted +read):\n", d)
			}
		})
	}
}

func TestAnswersOfTheProtocolTests(t *testing.T) {
	t.Parallel()
	c := bound(t)
	for _, row := range rows(t, "answers.tsv") {
		t.Run(row[0], func(t *testing.T) {
			t.Parallel()
			var given members
			if err := json.Unmarshal([]byte(row[2]), &given); err != nil {
				t.Fatal(err)
			}
			want, err := base64.StdEncoding.DecodeString(row[1])
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			if err := c.Encode(w, "", &given); err != nil {
				t.Fatal(err)
			}
			// The order of members is free.
			if d := cmp.Diff(read(t, want), read(t, w.Body.Bytes())); d != "" {
				t.Error("the answer (-wanted +written):\n", d)
			}
			h := w.Header()
			if h.Get("smithy-protocol") != "rpc-v2-cbor" || h.Get("Content-Type") != "application/cbor" || h.Get("Content-Length") == "" || w.Code != 200 {
				t.Errorf("status %d, header %v", w.Code, h)
			}
		})
	}
}

// read is CBOR as another reader understands it.
func read(t testing.TB, body []byte) smithycbor.Value {
	t.Helper()
	v, err := smithycbor.Decode(body)
	if err != nil {
		t.Fatalf("%x: %v", body, err)
	}
	return v
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	c := bound(t)
	text := func(s string) smithycbor.Value { return smithycbor.String(s) }
	in := func(name string, v smithycbor.Value) []byte { return smithycbor.Encode(smithycbor.Map{name: v}) }
	deep := append(append([]byte("\xa1\x61x"), bytes.Repeat([]byte{0x81}, 70)...), 0)
	for name, tt := range map[string]struct {
		body []byte
		want string
	}{
		"number for a text":             {in("stringValue", smithycbor.Uint(1)), "NUMBER_VALUE can not be converted to a String at '/stringValue'."},
		"text for a number":             {in("integerValue", text("1")), "STRING_VALUE can not be converted to an Integer at '/integerValue'."},
		"number too large":              {in("integerValue", smithycbor.Uint(1<<40)), "NUMBER_VALUE can not be converted to an Integer at '/integerValue'."},
		"number of more than 64 bits":   {[]byte("\xa1\x69longValue\x3b\xff\xff\xff\xff\xff\xff\xff\xff"), "NUMBER_VALUE can not be converted to an Integer at '/longValue'."},
		"fraction for a whole number":   {in("integerValue", smithycbor.Float64(1)), "FLOAT_VALUE can not be converted to an Integer at '/integerValue'."},
		"text for a list":               {in("stringList", text("a")), "STRING_VALUE can not be converted to a List at '/stringList'."},
		"list for a text":               {in("stringValue", smithycbor.List{}), "START_ARRAY can not be converted to a String at '/stringValue'."},
		"map for a list":                {in("stringList", smithycbor.Map{}), "START_OBJECT can not be converted to a List at '/stringList'."},
		"bytes for a text":              {in("stringValue", smithycbor.Slice("a")), "BYTES_VALUE can not be converted to a String at '/stringValue'."},
		"text for bytes":                {in("blobValue", text("YQ==")), "STRING_VALUE can not be converted to a Blob at '/blobValue'."},
		"list for bytes":                {in("blobValue", smithycbor.List{smithycbor.Uint(1)}), "START_ARRAY can not be converted to a Blob at '/blobValue'."},
		"map for bytes":                 {in("blobValue", smithycbor.Map{}), "START_OBJECT can not be converted to a Blob at '/blobValue'."},
		"truth for bytes":               {in("blobValue", smithycbor.Bool(true)), "BOOLEAN_VALUE can not be converted to a Blob at '/blobValue'."},
		"number without tag for a time": {in("datetime", smithycbor.Uint(1)), "NUMBER_VALUE can not be converted to a Timestamp at '/datetime'."},
		"text for a time":               {in("datetime", text("2026")), "STRING_VALUE can not be converted to a Timestamp at '/datetime'."},
		"other tag for a time":          {in("datetime", &smithycbor.Tag{ID: 0, Value: text("2026-01-01T00:00:00Z")}), "TAGGED_VALUE can not be converted to a Timestamp at '/datetime'."},
		"text with the tag of a time":   {in("datetime", &smithycbor.Tag{ID: 1, Value: text("2026")}), "A timestamp must be a number of seconds since 1970, at '/datetime'."},
		"time that is no number":        {[]byte("\xa1\x68datetime\xc1\xf9\x7e\x00"), "FLOAT_VALUE can not be converted to a Timestamp at '/datetime'."},
		"time far away":                 {in("datetime", &smithycbor.Tag{ID: 1, Value: smithycbor.Uint(1 << 60)}), "A timestamp must be a number of seconds since 1970, at '/datetime'."},
		"time for a number":             {in("integerValue", &smithycbor.Tag{ID: 1, Value: smithycbor.Uint(1)}), "TAGGED_VALUE can not be converted to an Integer at '/integerValue'."},
		"in a list of structures":       {in("structureList", smithycbor.List{smithycbor.Map{}, smithycbor.Map{"d": text("")}}), "STRING_VALUE can not be converted to a Blob at '/structureList/1/d'."},
		"in a map of structures":        {in("map", smithycbor.Map{"a/b": smithycbor.Map{"e": smithycbor.Map{"c": smithycbor.Bool(true)}}}), "BOOLEAN_VALUE can not be converted to a Timestamp at '/map/a~1b/e/c'."},
		"not a number":                  {[]byte("\xa1\x6bdoubleValue\xf9\x7e\x00"), "FLOAT_VALUE can not be converted to a Float at '/doubleValue'."},
		"infinity":                      {[]byte("\xa1\x6bdoubleValue\xfa\x7f\x80\x00\x00"), "FLOAT_VALUE can not be converted to a Float at '/doubleValue'."},
		"list at the top":               {smithycbor.Encode(smithycbor.List{}), "START_ARRAY can not be converted to a Structure."},
		"member twice":                  {[]byte("\xa2\x64Tags\xa0\x64Tags\xa0"), "The member '/Tags' is given more than once."},
		"unknown member twice":          {[]byte("\xa2\x61x\x01\x61x\x01"), "The member '/x' is given more than once."},
		"tag twice":                     {[]byte("\xa1\x64Tags\xa2\x61x\x61a\x61x\x61b"), "The member '/Tags/x' is given more than once."},
		"nothing but a beginning":       {[]byte{0xa1}, "The request body is no valid CBOR: it ends too early at byte 1."},
		"half a number":                 {[]byte("\xa1\x61x\x19\x01"), "The request body is no valid CBOR: it ends too early at byte 3."},
		"half a text":                   {[]byte("\xa1\x61x\x63ab"), "The request body is no valid CBOR: it ends too early at byte 4."},
		"text of 16 exabytes":           {[]byte("\xa1\x61x\x7b\xff\xff\xff\xff\xff\xff\xff\xff"), "The request body is no valid CBOR: it ends too early at byte 12."},
		"list of 16 exabytes":           {[]byte("\xa1\x61x\x9b\xff\xff\xff\xff\xff\xff\xff\xff"), "The request body is no valid CBOR: it ends too early at byte 12."},
		"list without an end":           {[]byte("\xa1\x61x\x9f"), "The request body is no valid CBOR: it ends too early at byte 4."},
		"end of nothing":                {[]byte("\xa1\x61x\xff"), "The request body is no valid CBOR: a simple value is not known at byte 4."},
		"map that ends behind a name":   {[]byte("\xbf\x61x\xff"), "The request body is no valid CBOR: a simple value is not known at byte 4."},
		"reserved beginning":            {[]byte("\xa1\x61x\x1c"), "The request body is no valid CBOR: an item has a beginning that is reserved at byte 3."},
		"tag of indefinite length":      {[]byte("\xa1\x61x\xdf"), "The request body is no valid CBOR: an item has a beginning that is reserved at byte 3."},
		"simple value":                  {[]byte("\xa1\x61x\xf0"), "The request body is no valid CBOR: a simple value is not known at byte 4."},
		"simple value of two bytes":     {[]byte("\xa1\x61x\xf8\xff"), "The request body is no valid CBOR: a simple value is not known at byte 5."},
		"name that is a number":         {[]byte("\xa1\x01\x01"), "The request body is no valid CBOR: a name in a map is no text at byte 2."},
		"name that is bytes":            {[]byte("\xa1\x41x\x01"), "The request body is no valid CBOR: a name in a map is no text at byte 2."},
		"bytes within a text":           {[]byte("\xa1\x61x\x7f\x41a\xff"), "The request body is no valid CBOR: a piece of a string is none at byte 5."},
		"pieces within a piece":         {[]byte("\xa1\x61x\x7f\x7f\xff\xff"), "The request body is no valid CBOR: a piece of a string is none at byte 5."},
		"text that is no UTF-8":         {[]byte("\xa1\x61x\x61\xff"), "The request body is no valid CBOR: a text is no UTF-8 at byte 4."},
		"name that is no UTF-8":         {[]byte("\xa1\x61\xff\x01"), "The request body is no valid CBOR: a text is no UTF-8 at byte 2."},
		"character in two pieces":       {[]byte("\xa1\x61x\x7f\x61\xc3\x61\xa4\xff"), "The request body is no valid CBOR: a text is no UTF-8 at byte 5."},
		"bytes behind the end":          {[]byte("\xa0\x00"), "The request body is no valid CBOR: bytes follow after its end at byte 1."},
		"JSON":                          {[]byte("{}"), "The request body is no valid CBOR: it ends too early at byte 0."},
		"too deep":                      {deep, "The request body is nested deeper than 64 levels."},
		"too many values":               {append([]byte("\xa1\x61x\x9a\x00\x03\x0d\x40"), make([]byte, 200_000)...), "The request body has more than 200000 values."},
		"tags too deep":                 {append(append([]byte("\xa1\x61x"), bytes.Repeat([]byte{0xc1}, 70)...), 0), "The request body is nested deeper than 64 levels."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var e *apierror.Error
			if err := c.Decode(request(tt.body), tt.body, new(members)); !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if e.Code != "SerializationException" || e.Status != 400 || e.Message != tt.want {
				t.Errorf("got  %d %s: %s\nwant %s", e.Status, e.Code, e.Message, tt.want)
			}
		})
	}
}

func TestWhatIsAcceptedAllTheSame(t *testing.T) {
	t.Parallel()
	c := bound(t)
	for name, body := range map[string]string{
		"unknown members of every kind": "\xa4\x61a\xf9\x7e\x00\x61b\xd8\x2a\x41x\x61c\xf7\x61d\x82\xf6\xc1\x01",
		"null members":                  "\xa3\x68datetime\xf6\x69blobValue\xf6\x6astringList\xf7",
		"lengths longer than needed":    "\xbb\x00\x00\x00\x00\x00\x00\x00\x01\x78\x01x\x1b\x00\x00\x00\x00\x00\x00\x00\x01",
		"null":                          "\xf6",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got members
			if err := c.Decode(request([]byte(body)), []byte(body), &got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(members{}, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	c := bound(t)
	for name, tt := range map[string]struct {
		edit func(http.Header)
		want string
	}{
		"as they should be":      {func(http.Header) {}, ""},
		"type with a parameter":  {func(h http.Header) { h.Set("Content-Type", "Application/CBOR; x=y") }, ""},
		"no protocol":            {func(h http.Header) { h.Del("Smithy-Protocol") }, "SerializationException: The header smithy-protocol must be rpc-v2-cbor."},
		"another protocol":       {func(h http.Header) { h.Set("Smithy-Protocol", "rpc-v2-json") }, "SerializationException: The header smithy-protocol must be rpc-v2-cbor."},
		"target of JSON 1.1 too": {func(h http.Header) { h.Set("X-Amz-Target", "Try.Try") }, "SerializationException: A request in the protocol rpc-v2-cbor must not have the header X-Amz-Target."},
		"JSON":                   {func(h http.Header) { h.Set("Content-Type", "application/json") }, "UnsupportedMediaTypeException: The content type 'application/json' is not supported."},
		"no type":                {func(h http.Header) { h.Del("Content-Type") }, "UnsupportedMediaTypeException: The content type '' is not supported."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := []byte("\xa0")
			r := request(body)
			tt.edit(r.Header)
			got := ""
			if err := c.Decode(r, body, new(members)); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	r := request(nil)
	r.Header.Del("Content-Type")
	if err := c.Decode(r, nil, new(members)); err != nil {
		t.Errorf("no body and no type: %v", err)
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	rpcv2cbor.Protocol{Namespace: "com.amazonaws.appstream"}.Error(nil, w, "", &apierror.Error{
		Code: "ResourceNotFoundException", Message: "No \xff.", Status: 404, Fields: map[string]any{"Names": []string{"a"}, "When": awsjson.Time{Time: time.Unix(1, 0)}},
	})
	want := smithycbor.Map{
		"__type":  smithycbor.String("com.amazonaws.appstream#ResourceNotFoundException"),
		"Message": smithycbor.String("No \uFFFD."), "message": smithycbor.String("No \uFFFD."),
		"Names": smithycbor.List{smithycbor.String("a")},
		"When":  &smithycbor.Tag{ID: 1, Value: smithycbor.Float64(1)},
	}
	if d := cmp.Diff(smithycbor.Value(want), read(t, w.Body.Bytes())); d != "" || w.Code != 404 || w.Header().Get("X-Amzn-Errortype") != "ResourceNotFoundException" {
		t.Errorf("status %d (-want +got):\n%s", w.Code, d)
	}
}

func TestRawAndEmptyAnswers(t *testing.T) {
	t.Parallel()
	c := bound(t)
	for _, tt := range []struct {
		given any
		want  smithycbor.Value
	}{
		{gateway.Raw(`{"a":[1,-2,1.5,null,18446744073709551615,-9223372036854775808]}`), smithycbor.Map{"a": smithycbor.List{
			smithycbor.Uint(1), smithycbor.NegInt(2), smithycbor.Float64(1.5), &smithycbor.Nil{}, smithycbor.Uint(1<<64 - 1), smithycbor.NegInt(1 << 63),
		}}},
		{new(struct{}), smithycbor.Map{}},
		{(*members)(nil), smithycbor.Map{}},
		{nil, smithycbor.Map{}},
	} {
		w := httptest.NewRecorder()
		if err := c.Encode(w, "", tt.given); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tt.want, read(t, w.Body.Bytes())); d != "" {
			t.Errorf("%v (-want +got):\n%s", tt.given, d)
		}
	}
}

// TestAnswersCanBeRead: what is written is read again as it was, by our reader
// and by another one.
func TestAnswersCanBeRead(t *testing.T) {
	t.Parallel()
	c := bound(t)
	rapid.Check(t, func(t *rapid.T) {
		text, data := rapid.String(), rapid.SliceOfN(rapid.Byte(), 1, 300)
		given := members{
			Long:     new(rapid.Int64().Draw(t, "long")),
			Double:   new(rapid.Float64().Draw(t, "double")),
			String:   new(text.Draw(t, "string")),
			True:     new(rapid.Bool().Draw(t, "true")),
			Blob:     data.Draw(t, "blob"),
			DateTime: &awsjson.Time{Time: time.UnixMilli(rapid.Int64Range(-1e14, 1e14).Draw(t, "time")).UTC()},
			Tags:     rapid.MapOfN(text, text, 1, 30).Draw(t, "tags"),
			Blobs:    rapid.SliceOfN(data, 1, 30).Draw(t, "blobs"),
		}
		w := httptest.NewRecorder()
		if err := c.Encode(w, "", &given); err != nil {
			t.Fatal(err)
		}
		body := w.Body.Bytes()
		if _, err := smithycbor.Decode(body); err != nil {
			t.Fatal(err)
		}
		var got members
		if err := c.Decode(request(body), body, &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(given, got); d != "" {
			t.Fatal(d)
		}
	})
}

// FuzzDecode: no body does harm, and what is accepted is CBOR for another
// reader too.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"\xa0", "\xbf\xff", "\xa1\x68datetime\xc1\x01", "\xa1\x69blobValue\x5f\x41a\xff", "\xa1\x64Tags\xa1\x61a\x61b",
		"\xa1\x6dstructureList\x9f\xbf\x61a\x7f\x61x\xff\xff\xff", "\xa1\x61x\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00", "\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		f.Add([]byte(seed))
	}
	c := bound(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		var got members
		err := c.Decode(request(body), body, &got)
		var e *apierror.Error
		switch {
		case err != nil && !errors.As(err, &e):
			t.Fatalf("%x: %v is no error for the client", body, err)
		case err != nil:
			return
		case len(body) > 0:
			read(t, body)
		}
		w := httptest.NewRecorder()
		if err := c.Encode(w, "", &got); err != nil {
			t.Fatalf("%x: %v", body, err)
		}
		var again members
		if err := c.Decode(request(w.Body.Bytes()), w.Body.Bytes(), &again); err != nil {
			t.Fatalf("%x: its answer %x: %v", body, w.Body.Bytes(), err)
		}
		first, _ := json.Marshal(got, json.Deterministic(true))
		second, _ := json.Marshal(again, json.Deterministic(true))
		if !bytes.Equal(first, second) || !jsontext.Value(first).IsValid() {
			t.Fatalf("%s became %s", first, second)
		}
	})
}
