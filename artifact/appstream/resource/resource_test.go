package resource

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"souk/gateway/apierror"
)

func TestARNs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]ARN{
		"arn:aws:appstream:us-east-1:111111111111:image/a.b-c_d":    {"us-east-1", "111111111111", TypeImage, "a.b-c_d"},
		"arn:aws:appstream:eu-west-1::image/Base":                   {"eu-west-1", "", TypeImage, "Base"},
		"arn:aws:appstream:us-east-1:111111111111:image-builder/b1": {"us-east-1", "111111111111", TypeImageBuilder, "b1"},
	} {
		got, ok := ParseARN(text)
		if !ok || got != want || got.String() != text {
			t.Errorf("%s is %+v, %v", text, got, ok)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "a name": "base", "another service": "arn:aws:ec2:us-east-1:111111111111:image/a", "an account that is none": "arn:aws:appstream:us-east-1:1:image/a",
		"no name": "arn:aws:appstream:us-east-1:111111111111:image/", "no type": "arn:aws:appstream:us-east-1:111111111111:/a", "no region": "arn:aws:appstream::111111111111:image/a",
		"a path for a name": "arn:aws:appstream:us-east-1:111111111111:image/a/b", "NUL in the region": "arn:aws:appstream:us\x00east:111111111111:image/a",
		"another partition": "arn:aws-cn:appstream:us-east-1:111111111111:image/a",
	} {
		if got, ok := ParseARN(text); ok {
			t.Errorf("%s: it is %+v", name, got)
		}
	}
}

func FuzzARN(f *testing.F) {
	f.Add("arn:aws:appstream:us-east-1:111111111111:image/a")
	f.Add("arn:aws:appstream:us-east-1::image-builder/a.b")
	f.Add("arn:aws:appstream:::/")
	f.Fuzz(func(t *testing.T, text string) {
		a, ok := ParseARN(text)
		if ok && a.String() != text {
			t.Errorf("%q became %q", text, a)
		}
		if ok && (!IsName(a.Name) || !IsRegion(a.Region)) {
			t.Errorf("%q has parts that can't be: %+v", text, a)
		}
	})
}

func TestTags(t *testing.T) {
	t.Parallel()
	many := Tags{}
	for n := range MostTags + 1 {
		many[fmt.Sprint(n)] = ""
	}
	for _, c := range []struct {
		name, want string
		tags       Tags
	}{
		{"none", "", nil},
		{"all characters", "", Tags{`Aé _.:/=+\-@1`: `é _.:/=+\-@1`}},
		{"an empty value", "", Tags{"a": ""}},
		{"an empty key", "ValidationException", Tags{"": "a"}},
		{"a long key", "ValidationException", Tags{strings.Repeat("a", 129): "a"}},
		{"a long value", "ValidationException", Tags{"a": strings.Repeat("é", 257)}},
		{"AWS's own", "ValidationException", Tags{"aws:a": "b"}},
		{"a character that is none of tags", "ValidationException", Tags{"a": "b;c"}},
		{"no UTF-8", "ValidationException", Tags{"a": "\xff"}},
		{"too many", "LimitExceededException", many},
	} {
		err := c.tags.Check()
		var refusal *apierror.Error
		if got := errors.As(err, &refusal); got != (c.want != "") || got && refusal.Code != c.want {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	merged, err := Tags{"a": "1", "b": "1"}.Merge(Tags{"b": "2", "c": "3"})
	if err != nil || len(merged) != 3 || merged["b"] != "2" {
		t.Errorf("merged they are %v, %v", merged, err)
	}
	if left := merged.Without([]string{"a", "none"}); len(left) != 2 || merged["a"] != "1" {
		t.Errorf("without one they are %v of %v", left, merged)
	}
}

// plainly seals by putting all into the token.
type plainly struct{}

func (plainly) Seal(purpose string, plain, bound []byte) []byte {
	return bytes.Join([][]byte{[]byte(purpose), bound, plain}, []byte{0})
}

func (plainly) Open(purpose string, sealed, bound []byte) ([]byte, error) {
	plain, ok := bytes.CutPrefix(sealed, bytes.Join([][]byte{[]byte(purpose), bound, nil}, []byte{0}))
	if !ok {
		return nil, errors.New("it is not what was sealed")
	}
	return plain, nil
}

func TestTokens(t *testing.T) {
	t.Parallel()
	tokens := Tokens{plainly{}, "token of a test"}
	token := tokens.Seal("here", "account", "region")
	if at, err := tokens.Open(&token, "account", "region"); err != nil || at != "here" {
		t.Errorf("it is %q, %v", at, err)
	}
	if at, err := tokens.Open(nil, "account"); err != nil || at != "" {
		t.Errorf("no token is %q, %v", at, err)
	}
	long := strings.Repeat("a", mostToken+4)
	broken := "%"
	for name, open := range map[string]func() (string, error){
		"another question": func() (string, error) { return tokens.Open(&token, "accountregion") },
		"another list":     func() (string, error) { return Tokens{plainly{}, "token"}.Open(&token, "account", "region") },
		"too long":         func() (string, error) { return tokens.Open(&long) },
		"no base64":        func() (string, error) { return tokens.Open(&broken) },
	} {
		if at, err := open(); !apierror.Is(err, "ValidationException") {
			t.Errorf("%s: it is %q, %v", name, at, err)
		}
	}
}
