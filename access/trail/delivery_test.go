package trail

import (
	"compress/gzip"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"souk/storage/worktest"
)

func TestWhatIsLeftIsDeliveredWhenTheServerStops(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := newMarket(t, func(c *Config) { c.Delivery = Delivery{Dir: dir, Every: time.Hour} })
	stop := worktest.Run(t, m.Run)
	m.write(t, "TagResource", Outcome{})
	for _, o := range []Outcome{{}, {Code: "AccessDeniedException", Message: "no"}} {
		if err := m.Record(t.Context(), m.call("ListEntities", true), o); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	found := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			return err
		}
		var content struct{ Records []struct{ EventName string } }
		if err := json.NewDecoder(z).Decode(&content); err != nil {
			return err
		}
		for _, r := range content.Records {
			found[r.EventName]++
		}
		return nil
	})
	if err != nil || found["TagResource"] != 1 || found["ListEntities"] != 2 {
		t.Errorf("delivered %v, %v; want a write and two reads", found, err)
	}
}
