package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// TestADiskTakesOfTheHostWhatIsWritten: its tables are not written before they are
// used, however large it is.
func TestADiskTakesOfTheHostWhatIsWritten(t *testing.T) {
	t.Parallel()
	mkfs, _ := findDiskPrograms()
	if mkfs == "" {
		t.Log("disks of this host are folders")
		return
	}
	for _, gib := range []int64{1, 8, 200} {
		for _, kept := range []bool{false, true} {
			t.Run(strconv.FormatInt(gib, 10)+" GiB, kept: "+strconv.FormatBool(kept), func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), diskFile)
				err := format(t.Context(), mkfs, path, gib<<30, kept)
				if err != nil {
					t.Fatal(err)
				}
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				st, ok := info.Sys().(*syscall.Stat_t)
				if !ok {
					t.Fatalf("what it takes is not known: %T", info.Sys())
				}
				if most := 1<<20 + gib<<14; info.Size() != gib<<30 || st.Blocks*512 > most {
					t.Errorf("%d bytes, of which %d are taken; want at most %d", info.Size(), st.Blocks*512, most)
				}
				if ok, err := clean(path); !ok || err != nil {
					t.Errorf("a new disk is not clean: %v", err)
				}
			})
		}
	}
}
