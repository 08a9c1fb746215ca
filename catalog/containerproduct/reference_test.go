package containerproduct

import (
	"strings"
	"testing"
)

func TestParseReferenceReadsImageURIs(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("0", 64)
	for uri, want := range map[string]reference{
		"709825985650.dkr.ecr.us-east-1.amazonaws.com/sellername/reponame1:1.1": {Repository: "sellername/reponame1", Tag: "1.1"},
		"127.0.0.1:8470/seller/app:1.0":                                         {Repository: "seller/app", Tag: "1.0"},
		"localhost:8470/seller/tools/app:v1":                                    {Repository: "seller/tools/app", Tag: "v1"},
		"localhost/seller/app":                                                  {Repository: "seller/app"},
		"[::1]:8470/seller/app:1":                                               {Repository: "seller/app", Tag: "1"},
		"souk.example.com/seller/app@" + digest:                                 {Repository: "seller/app", Digest: digest},
		"souk.example.com/seller/app:1.0@" + digest:                             {Repository: "seller/app", Tag: "1.0", Digest: digest},
		"souk:8470/seller/app:1":                                                {Repository: "seller/app", Tag: "1"},
	} {
		if got, ok := parseReference(uri); !ok || got != want {
			t.Errorf("parseReference(%q) = %+v, %t, want %+v", uri, got, ok, want)
		}
	}
}

func TestParseReferenceRefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"", "app", "app:1.0", "seller/app:1.0", "https://souk.example.com/seller/app:1.0", "souk.example.com/Seller/app:1.0",
		"souk.example.com/seller/app:", "souk.example.com/seller/app:1 0", "souk.example.com/seller//app:1", "souk.example.com/seller/app@sha256:12",
		"souk.example.com/", " souk.example.com/seller/app:1", "souk.example.com/seller/app:1\n",
	} {
		if got, ok := parseReference(uri); ok {
			t.Errorf("parseReference(%q) = %+v, want none", uri, got)
		}
	}
}

func TestReferencesThatFloatAreToldFromFixedOnes(t *testing.T) {
	t.Parallel()
	digest := "@sha256:" + strings.Repeat("0", 64)
	for uri, want := range map[string]bool{
		"localhost/a/b": true, "localhost/a/b:latest": true, "localhost/a/b:1": false, "localhost/a/b" + digest: false, "localhost/a/b:latest" + digest: false,
	} {
		ref, _ := parseReference(uri)
		if got := ref.floating(); got != want {
			t.Errorf("%s floats: %t, want %t", uri, got, want)
		}
	}
}

func TestOverrideKeysAreLookedUpInTheChartsValues(t *testing.T) {
	t.Parallel()
	values := map[string]any{
		"image":  map[string]any{"tag": "1.0"},
		"secret": "", "nothing": nil, "annotations": map[string]any{}, "hosts": []any{"a"},
		"a.b": map[string]any{"c": 1},
	}
	for key, want := range map[string]bool{
		"image": true, "image.tag": true, "secret": true, "nothing.at.all": true, "annotations.any": true,
		"hosts[0]": true, "hosts[0].name": true, `"a.b".c`: true,
		"image.pullPolicy": false, "absent": false, "secret.name": false, "image.tag.more": false, `"a.b".d`: false,
	} {
		if got := hasValue(values, key); got != want {
			t.Errorf("hasValue(%q) = %t, want %t", key, got, want)
		}
	}
	if hasValue(nil, "any") {
		t.Error("a chart without values has a value")
	}
}
