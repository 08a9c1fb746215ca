package spec

import (
	"encoding/json"
	"slices"
	"testing"
	"testing/fstest"
)

func TestTablesAreRead(t *testing.T) {
	t.Parallel()
	table, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	statuses := []string{Live, Mended, Today, "superseded"}
	for i, row := range table.Rows {
		if row.Entity == "" || row.ChangeType == "" || row.Code == "" && row.Status != "superseded" || row.Message == "" || !slices.Contains(statuses, row.Status) {
			t.Errorf("row %d is %+v", i, row)
		}
	}
	for _, later := range table.Later() {
		same := later
		same.Note = ""
		if !slices.ContainsFunc(table.Rows, func(r Row) bool { r.Note = ""; return r == same }) {
			t.Errorf("later.tsv has a row that no table has: %+v", later)
		}
		if later.Note == "" {
			t.Errorf("later.tsv says not why %s comes later", later.Code)
		}
	}
	if rows := table.Binding("ContainerProduct", "RestrictDeliveryOptions"); len(rows) != 6 {
		t.Errorf("RestrictDeliveryOptions of containers has %d rows, want the page's 6", len(rows))
	}
}

func TestARowBindsOnce(t *testing.T) {
	t.Parallel()
	table, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	type rule struct{ entity, changeType, code, message string }
	seen := map[rule]bool{}
	for _, row := range table.Rows {
		if row.Status == "superseded" {
			continue
		}
		r := rule{row.Entity, row.ChangeType, row.Code, row.Message}
		if seen[r] {
			t.Errorf("%+v stands in the tables twice", r)
		}
		seen[r] = true
	}
}

func TestTablesWithALostColumnAreRefused(t *testing.T) {
	t.Parallel()
	if _, err := parse("1\t2\t3\t4\t5\t6\t7\n1\t2\t3\t4\t5\t6\n"); err == nil {
		t.Error("a row of six columns was read")
	}
}

func TestExpandWritesGeneratorsAndPlaceholdersOut(t *testing.T) {
	t.Parallel()
	got, err := Expand(json.RawMessage(`{"a":{"$repeat":["xy",2]},"b":[{"$list":["${registry}/${n}",2]},{"$list":[{"k":["${n}",true]},2]},"${option:A b}","${AWSMP_LICENSE_SECRET}"],"n":1.50,"z":null}`),
		map[string]string{"registry": "host:1", "option:A b": "id"})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"a":"xyxy","b":[["host:1/1","host:1/2"],[{"k":["1",true]},{"k":["2",true]}],"id","${AWSMP_LICENSE_SECRET}"],"n":1.50,"z":null}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSamplesWithUnknownMembersAreRefused(t *testing.T) {
	t.Parallel()
	for _, content := range []string{`{"Givn":"draft"}`, `{`} {
		if samples, err := ReadSamples(fstest.MapFS{"ReleaseProduct/A-1.json": {Data: []byte(content)}}); err == nil {
			t.Errorf("%s is read as %+v", content, samples)
		}
	}
}
