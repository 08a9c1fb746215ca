package layer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"souk/artifact/layer"
)

func TestTreesOfStrangersAreRemoved(t *testing.T) {
	t.Parallel()
	for name, grow := range map[string]func(dir string) error{
		"deeper than there are descriptors": deep(5000),
		"names of all bytes": func(dir string) error {
			for b := 1; b < 256; b++ {
				if b == '/' || b == '.' {
					continue
				}
				err := os.WriteFile(filepath.Join(dir, string([]byte{byte(b)})), nil, 0)
				if err != nil {
					return err
				}
			}
			return os.Mkdir(filepath.Join(dir, strings.Repeat("\n", 255)), 0)
		},
		"directories that nobody may enter": func(dir string) error {
			err := os.MkdirAll(filepath.Join(dir, "a/b/c"), 0o700)
			for _, p := range []string{"a/b/c", "a/b", "a"} {
				if err == nil {
					err = os.Chmod(filepath.Join(dir, p), 0)
				}
			}
			return err
		},
		"more files than are listed at a time": func(dir string) error {
			for n := range 3000 {
				err := os.Symlink("/", filepath.Join(dir, strings.Repeat("x", n%200+1)+string(rune('a'+n/200))))
				if err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			dir := filepath.Join(parent, "tree")
			must(t, os.Mkdir(dir, 0o700))
			must(t, grow(dir))
			must(t, layer.Remove(dir))
			if all := folders(t, parent); len(all) > 0 {
				t.Errorf("%q stay", all)
			}
		})
	}
}

func TestWhatLinksLeadToIsNotRemoved(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	keep := filepath.Join(parent, "keep")
	must(t, os.MkdirAll(keep, 0o700))
	must(t, os.WriteFile(filepath.Join(keep, "f"), []byte("kept"), 0o600))
	dir := filepath.Join(parent, "tree")
	must(t, os.MkdirAll(filepath.Join(dir, "d"), 0o700))
	must(t, os.Symlink(keep, filepath.Join(dir, "d/link")))
	must(t, os.Symlink("../keep", filepath.Join(dir, "link")))
	must(t, os.Link(filepath.Join(keep, "f"), filepath.Join(dir, "hard")))
	must(t, layer.Remove(dir))
	must(t, os.Symlink(keep, dir)) // a link in the place of the tree
	must(t, layer.Remove(dir))
	must(t, layer.Remove(dir)) // there is nothing any more
	b, err := os.ReadFile(filepath.Join(keep, "f"))
	if err != nil || string(b) != "kept" || !isMissing(dir) {
		t.Errorf("%q, %v", b, err)
	}
}
