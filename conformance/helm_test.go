package conformance

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	helm "helm.sh/helm/v3/pkg/registry"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// TestHelmPushAndPull uses Helm's own registry client, as helm login, helm push
// and helm pull do: the chart comes back as it was, and is good for a version.
func TestHelmPushAndPull(t *testing.T) {
	t.Parallel()
	server := souktest.Start(t, souktest.Options{})
	account := server.Account(t, "helm", "helm")
	s := account.Seller(server)
	ctx := t.Context()
	product, err := s.Limited(ctx, "Helm", "app", "chart")
	must(t, err)
	image, err := seller.Image("what the chart runs")
	must(t, err)
	must(t, s.Push(ctx, "helm/app", "1.0", image))

	packed := packChart(t, s.Host()+"/helm/app:1.0")
	client, err := helm.NewClient(
		helm.ClientOptPlainHTTP(), helm.ClientOptWriter(io.Discard),
		helm.ClientOptCredentialsFile(filepath.Join(t.TempDir(), "registry.json")))
	must(t, err)
	err = client.Login(s.Host(), helm.LoginOptPlainText(true), helm.LoginOptBasicAuth(account.Key.AccessKeyID, "wrong"))
	if err == nil {
		t.Error("helm login with a wrong password: no error")
	}
	must(t, client.Login(s.Host(), helm.LoginOptPlainText(true), helm.LoginOptBasicAuth(account.Key.AccessKeyID, account.Key.SecretAccessKey)))
	ref := s.Host() + "/helm/chart:1.2.3"
	pushed, err := client.Push(packed, ref)
	must(t, err)
	pulled, err := client.Pull(ref)
	must(t, err)
	if pulled.Manifest.Digest != pushed.Manifest.Digest || !bytes.Equal(pulled.Chart.Data, packed) {
		t.Errorf("pulled %s, %d bytes, want %s, %d bytes", pulled.Manifest.Digest, len(pulled.Chart.Data), pushed.Manifest.Digest, len(packed))
	}
	loaded, err := loader.LoadArchive(bytes.NewReader(pulled.Chart.Data))
	must(t, err)
	if loaded.Name() != "chart" || loaded.Metadata.Version != "1.2.3" {
		t.Errorf("pulled the chart %s %s", loaded.Name(), loaded.Metadata.Version)
	}
	_, err = client.Push(packed, s.Host()+"/helm/nowhere/chart:1.2.3")
	if err == nil {
		t.Error("helm push to a repository that nobody made: no error")
	}

	_, err = s.Do(ctx, seller.Change("AddDeliveryOptions", product, seller.JSON(map[string]any{
		"Version": map[string]any{"VersionTitle": "1.2.3", "ReleaseNotes": "First."},
		"DeliveryOptions": []any{map[string]any{"DeliveryOptionTitle": "Chart", "Details": map[string]any{"HelmDeliveryOptionDetails": map[string]any{
			"CompatibleServices": []string{"EKS"}, "ContainerImages": []string{s.Host() + "/helm/app:1.0"}, "HelmChartUri": ref,
			"Description": "A chart.", "UsageInstructions": "helm install it.",
			"OverrideParameters": []any{map[string]any{"Key": "replicas", "DefaultValue": "2"}},
		}}}},
	})))
	must(t, err)
}

// packChart is what helm package makes of a small chart.
func packChart(t *testing.T, image string) []byte {
	t.Helper()
	folder := t.TempDir()
	archive, err := chartutil.Save(&chart.Chart{
		Metadata: &chart.Metadata{APIVersion: chart.APIVersionV2, Name: "chart", Version: "1.2.3"},
		Raw:      []*chart.File{{Name: "values.yaml", Data: []byte("replicas: 1\n")}},
		Values:   map[string]any{"replicas": 1},
		Templates: []*chart.File{{Name: "templates/pod.yaml", Data: []byte(
			"apiVersion: v1\nkind: Pod\nmetadata: {name: \"{{ .Release.Name }}-{{ .Values.replicas }}\"}\nspec:\n  containers: [{name: app, image: " + image + "}]\n")}},
	}, folder)
	must(t, err)
	b, err := os.ReadFile(archive)
	must(t, err)
	return b
}
