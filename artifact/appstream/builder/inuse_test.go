package builder

import (
	"testing"

	"souk/artifact/appstream/image"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
)

func TestInUseNamesABuilderOfTheImagesOwnAccountFirst(t *testing.T) {
	t.Parallel()
	b := &Builders{config: Config{Store: sqlitetest.Open(t)}}
	of := image.Image{ID: "img-00000000000000001", Account: "222222222222"}
	for n, c := range []struct{ account, want string }{
		{"", ""}, {"333333333333", "of 333333333333"}, {"111111111111", "of 111111111111"}, {"222222222222", "of 222222222222"},
	} {
		if c.account != "" {
			w, err := (&Builder{Account: c.account, Region: "us-east-1", Name: "b", ARN: "of " + c.account, Base: of}).write(0)
			if err == nil {
				err = b.config.Store.Commit(t.Context(), store.Batch{Put: []store.Write{w}})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		got, err := b.InUse(t.Context(), of)
		if err != nil || got != c.want {
			t.Errorf("after %d builders it is %q, %v; want %q", n, got, err, c.want)
		}
	}
}
