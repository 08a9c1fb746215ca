package advisory

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// Imported says what an import did.
type Imported struct {
	Files      int      // OSV files that were read
	Records    int      // advisories, each counted for each package that it concerns
	Withdrawn  int      // of them, those that are no more
	Skipped    int      // packages of ecosystems that no scan knows
	Ecosystems []string // that were loaded
}

// Bounds of an import.
const (
	maxFiles = 2_000_000
	maxTotal = 16 << 30 // bytes of all files
)

// Import loads all OSV files (*.json) of a folder, of the folders below it, or
// of a ZIP archive as osv.dev has them. What is loaded already stays, but what
// the files have anew takes its place, and what they withdraw goes. A file that
// can't be read ends the import before anything is kept.
func (x *Index) Import(ctx context.Context, source string) (Imported, error) {
	x.importing.Lock()
	defer x.importing.Unlock()
	var (
		done     Imported
		packages = map[string]map[string][]Record{} // by ecosystem and package
		modified = map[string]time.Time{}
		total    int64
	)
	err := eachFile(source, func(name string, open func() (io.ReadCloser, error)) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		text, err := readFile(open)
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		records, changed, skipped, err := Parse(text)
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		done.Files++
		done.Skipped += skipped
		total += int64(len(text))
		if done.Files > maxFiles || total > maxTotal {
			return fmt.Errorf("%s has more than %d files or %d bytes", source, maxFiles, int64(maxTotal))
		}
		for _, r := range records {
			done.Records++
			if r.Withdrawn {
				done.Withdrawn++
			}
			if packages[r.Ecosystem] == nil {
				packages[r.Ecosystem] = map[string][]Record{}
			}
			packages[r.Ecosystem][r.Package] = append(packages[r.Ecosystem][r.Package], r)
			if changed.After(modified[r.Ecosystem]) {
				modified[r.Ecosystem] = changed
			}
		}
		return nil
	})
	if err != nil {
		return Imported{}, fmt.Errorf("importing advisories: %w", err)
	}
	if done.Files == 0 {
		return Imported{}, fmt.Errorf("importing advisories: %s has no file whose name ends in .json", source)
	}
	for name := range packages {
		done.Ecosystems = append(done.Ecosystems, name)
	}
	slices.Sort(done.Ecosystems)
	for _, name := range done.Ecosystems {
		err := x.keep(ctx, name, packages[name], modified[name])
		if err != nil {
			return Imported{}, err
		}
	}
	return done, nil
}

// eachFile calls f for every OSV file of a folder or a ZIP archive.
func eachFile(source string, f func(name string, open func() (io.ReadCloser, error)) error) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		z, err := zip.OpenReader(source)
		if err != nil {
			return fmt.Errorf("opening %s, which is neither a folder nor a ZIP archive: %w", source, err)
		}
		defer z.Close()
		for _, entry := range z.File {
			if entry.Mode().IsRegular() && wanted(entry.Name) {
				if err := f(entry.Name, entry.Open); err != nil {
					return err
				}
			}
		}
		return nil
	}
	root, err := os.OpenRoot(source) // links lead nowhere outside
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !wanted(name) {
			return err
		}
		return f(name, func() (io.ReadCloser, error) { return root.Open(name) })
	})
}

func wanted(name string) bool {
	return path.Ext(name) == ".json" && !strings.HasPrefix(path.Base(name), ".")
}

// readFile reads a file up to a bound.
func readFile(open func() (io.ReadCloser, error)) ([]byte, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("it has more than %d bytes", maxFile)
	}
	return text, nil
}
