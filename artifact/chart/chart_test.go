package chart

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The test binary is its own renderer.
func TestMain(m *testing.M) {
	Child()
	os.Exit(m.Run())
}

func child(t *testing.T) Renderer {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Renderer{Command: []string{self, Argument}}
}

func pack(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, content := range files {
		err := w.WriteHeader(&tar.Header{Name: "web/" + name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg})
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(content))
	}
	err := errors.Join(w.Close(), z.Close())
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const meta = "apiVersion: v2\nname: web\nversion: 1.0.0\n"

// with is a good chart with some files more or else.
func with(files map[string]string) map[string]string {
	all := map[string]string{
		"Chart.yaml":             meta,
		"values.yaml":            "image: {repository: example.com/web, tag: '1.0'}\nsidecar: true\n",
		"templates/_helpers.tpl": `{{- define "web.image" -}}{{ .Values.image.repository }}:{{ .Values.image.tag }}{{- end }}`,
		"templates/web.yaml": `apiVersion: v1
kind: Pod
spec:
  initContainers: [{name: init, image: example.com/init:1}]
  containers:
  - {name: web, image: {{ include "web.image" . | quote }}}
  {{- if .Values.sidecar }}
  - {name: side, image: example.com/side:1}
  {{- end }}
---
apiVersion: example.com/v1
kind: Database
spec: {image: example.com/db:1, size: 3}
`,
		"templates/tests/probe.yaml": `apiVersion: v1
kind: Pod
metadata: {annotations: {"helm.sh/hook": test}}
spec: {containers: [{name: wget, image: busybox}]}
`,
		"templates/NOTES.txt": "image: not-this",
	}
	for name, content := range files {
		all[name] = content
	}
	return all
}

func TestChartTellsItsImagesAndValues(t *testing.T) {
	t.Parallel()
	want := Chart{
		Name: "web", Version: "1.0.0",
		Values: map[string]any{"image": map[string]any{"repository": "example.com/web", "tag": "1.0"}, "sidecar": true},
		Images: []string{"example.com/db:1", "example.com/init:1", "example.com/side:1", "example.com/web:1.0"},
	}
	archive := pack(t, with(nil))
	for what, r := range map[string]Renderer{"in this process": {}, "in a child": child(t)} {
		got, err := r.Load(t.Context(), archive)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", what, d)
		}
	}
}

func TestSubchartsCount(t *testing.T) {
	t.Parallel()
	files := with(map[string]string{
		"Chart.yaml":                      meta + "dependencies:\n- {name: cache, version: 1.0.0, repository: '', condition: cache.enabled}\n",
		"charts/cache/Chart.yaml":         "apiVersion: v2\nname: cache\nversion: 1.0.0\n",
		"charts/cache/values.yaml":        "image: example.com/cache:1\n",
		"charts/cache/templates/pod.yaml": "spec: {containers: [{image: {{ .Values.image }}}]}\n",
	})
	c, err := Renderer{}.Load(t.Context(), pack(t, files))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(c.Images, " "), "example.com/cache:1") {
		t.Errorf("images %v, want the subchart's too", c.Images)
	}
	if _, ok := c.Values["cache"].(map[string]any)["image"]; !ok {
		t.Errorf("values %v, want the subchart's under its name", c.Values)
	}
	files["values.yaml"] += "cache: {enabled: false}\n"
	c, err = Renderer{}.Load(t.Context(), pack(t, files))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.Join(c.Images, " "), "cache") {
		t.Errorf("images %v, want none of a subchart that is off", c.Images)
	}
}

func TestChartsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		archive []byte
		reason  string
	}{
		"not gzip":           {[]byte("hello"), "gzip"},
		"empty":              {nil, "gzip"},
		"cut off":            {pack(t, with(nil))[:300], "damaged"},
		"no Chart.yaml":      {pack(t, map[string]string{"values.yaml": ""}), "Chart.yaml"},
		"no version":         {pack(t, with(map[string]string{"Chart.yaml": "apiVersion: v2\nname: web\n"})), "version"},
		"a name with a path": {pack(t, with(map[string]string{"Chart.yaml": strings.Replace(meta, "web", "../web", 1)})), "name"},
		"library":            {pack(t, with(map[string]string{"Chart.yaml": meta + "type: library\n"})), "library"},
		"missing dependency": {pack(t, with(map[string]string{"Chart.yaml": meta + "dependencies: [{name: cache, version: 1.0.0}]\n"})), "cache"},
		"template syntax":    {pack(t, with(map[string]string{"templates/x.yaml": "{{ if }}"})), "x.yaml"},
		"unknown function":   {pack(t, with(map[string]string{"templates/x.yaml": "{{ nothing 1 }}"})), "nothing"},
		"required value":     {pack(t, with(map[string]string{"templates/x.yaml": `{{ required "give a key" .Values.key }}`})), "give a key"},
		"not YAML":           {pack(t, with(map[string]string{"templates/x.yaml": "a: b: c"})), "x.yaml"},
		"values not YAML":    {pack(t, with(map[string]string{"values.yaml": "a: b: c"})), "values.yaml"},
		"schema broken":      {pack(t, with(map[string]string{"values.schema.json": `{"required":["key"]}`})), "key"},
		"path in archive":    {pack(t, with(map[string]string{"../../etc/passwd": "x"})), ""},
		"unpacks to much":    {pack(t, with(map[string]string{"files/zeros": strings.Repeat("0", maxUnpacked+1)})), "unpacks"},
		"endless recursion":  {pack(t, with(map[string]string{"templates/x.yaml": `{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}`})), "error calling include"},
	} {
		_, err := child(t).Load(t.Context(), c.archive)
		var invalid *Invalid
		if !errors.As(err, &invalid) {
			t.Errorf("%s: %v, want *Invalid", what, err)
			continue
		}
		if !strings.Contains(invalid.Reason, c.reason) {
			t.Errorf("%s: reason %q, want %q in it", what, invalid.Reason, c.reason)
		}
	}
}

func TestChartsThatTakeTooMuch(t *testing.T) {
	t.Parallel()
	for what, template := range map[string]string{
		"memory by repetition": `{{ $x := repeat 100000000 "xxxxxxxxxx" }}{{ repeat 10 $x }}`,
		"memory by a range":    `{{ range until 2000000000 }}x{{ end }}`,
	} {
		_, err := child(t).Load(t.Context(), pack(t, with(map[string]string{"templates/x.yaml": template})))
		var invalid *Invalid
		if err == nil || !errors.As(err, &invalid) && !raceDetector {
			t.Errorf("%s: %v, want *Invalid", what, err)
		}
	}
}

func TestTemplatesSeeNothingOfOurs(t *testing.T) {
	t.Parallel()
	for _, function := range []string{`env "HOME"`, `expandenv "$HOME"`, `getHostByName "localhost"`, `lookup "v1" "Secret" "default" "x"`} {
		c, err := child(t).Load(t.Context(), pack(t, with(map[string]string{"templates/x.yaml": "image: 'v{{ " + function + " }}'"})))
		var invalid *Invalid
		if err != nil && !errors.As(err, &invalid) {
			t.Errorf("%s: %v", function, err)
		}
		for _, image := range c.Images {
			if strings.HasPrefix(image, "v") && image != "v" && image != "vmap[]" {
				t.Errorf("%s: a template got %q", function, image)
			}
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(pack(f, with(nil)))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		_, err := load(archive)
		var invalid *Invalid
		if err != nil && !errors.As(err, &invalid) {
			t.Errorf("%v, want *Invalid", err)
		}
	})
}
