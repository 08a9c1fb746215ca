package trail

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSecretsAreNotInRecords(t *testing.T) {
	t.Parallel()
	type accessKey struct{ AccessKeyId, SecretAccessKey string }
	type in struct {
		UserName, Password string
		NewPassword        *string
		ClientRequestToken string
		NextToken          string
		Details            string
		Document           json.RawMessage
		Keys               []accessKey
		More               map[string]string
		PrivateKey         []byte
		Tokens             []string
	}
	s := "HUSH-secret"
	got := elements(&in{
		UserName: "Bob", Password: s, NewPassword: &s, ClientRequestToken: "once", NextToken: "page",
		Details: `{"title":"a","login":{"password":"HUSH-1","list":[{"ApiToken":"HUSH-2"}]}}`, Document: json.RawMessage(`{"ClientSecret":{"deep":["HUSH-3"]},"p\u0061ss\u0057ord":"HUSH-4","n":1}`),
		Keys: []accessKey{{"AKIA1", s}}, More: map[string]string{"db_password": s}, PrivateKey: []byte(s), Tokens: []string{s},
	})
	if strings.Contains(got, "HUSH") || strings.Contains(got, "SFVTSC") {
		t.Errorf("a secret is in %s", got)
	}
	for _, want := range []string{`"userName":"Bob"`, `"clientRequestToken":"once"`, `"nextToken":"page"`, `"accessKeyId":"AKIA1"`, hidden} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	if !json.Valid([]byte(got)) {
		t.Errorf("it is no JSON: %s", got)
	}
}

func TestWhatIsTooLongIsLeftOut(t *testing.T) {
	t.Parallel()
	got := elements(&input{Catalog: strings.Repeat("x", mostMember)})
	if len(got) > 200 || !strings.Contains(got, `"omitted":true`) {
		t.Errorf("it is %d bytes: %.100s", len(got), got)
	}
}
