package assistant

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"
)

// catalogueFolder has the catalogue, on the machine's own disk: an image made of
// the machine has it, and who makes a builder of that image finds it.
const catalogueFolder = "/var/lib/appstream"

// catalogueFile is the catalogue's name in its folder.
const catalogueFile = "applications.json"

// entry is an application in the catalogue. Its members are named as the options
// of add-application.
type entry struct {
	Name             string            `json:"name"`
	AppPath          string            `json:"absolute-app-path"`
	DisplayName      string            `json:"display-name"`
	IconPath         string            `json:"absolute-icon-path,omitzero"`
	WorkingDirectory string            `json:"working-directory,omitzero"`
	LaunchParameters string            `json:"launch-parameters,omitzero"`
	ManifestPath     string            `json:"absolute-manifest-path,omitzero"`
	Metadata         map[string]string `json:"metadata,omitzero"`
}

// catalogue is the file.
type catalogue struct {
	Applications []entry `json:"applications"`
}

// find returns the place of an application, -1 if there is none of that name.
func (c *catalogue) find(name string) int {
	return slices.IndexFunc(c.Applications, func(e entry) bool { return e.Name == name })
}

// mostCatalogue bounds the file: fifty applications with the longest texts.
const mostCatalogue = 4 << 20

// path is where a file of the machine is.
func (c command) path(name string) string { return filepath.Join(c.root, name) }

// read reads the catalogue. It may be an image's whose maker was anybody.
func (c command) read() (*catalogue, error) {
	name := filepath.Join(c.path(catalogueFolder), catalogueFile)
	text, err := readFile(name, mostCatalogue)
	if errors.Is(err, fs.ErrNotExist) {
		return &catalogue{Applications: []entry{}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the application catalog: %w", err)
	}
	return parseCatalogue(text)
}

// parseCatalogue reads a catalogue and checks the form of all that stands in it.
func parseCatalogue(text []byte) (*catalogue, error) {
	all := &catalogue{}
	err := json.Unmarshal(text, all, json.RejectUnknownMembers(true))
	if err != nil {
		return nil, fmt.Errorf("reading the application catalog: %w", err)
	}
	if len(all.Applications) > mostApplications {
		return nil, fmt.Errorf("reading the application catalog: it has %d applications, and may have %d", len(all.Applications), mostApplications)
	}
	for i, e := range all.Applications {
		err := e.check()
		if err != nil {
			return nil, fmt.Errorf("reading the application catalog: application %d: %w", i+1, err)
		}
		if all.find(e.Name) != i {
			return nil, fmt.Errorf("reading the application catalog: application %d: Name is not unique", i+1)
		}
	}
	return all, nil
}

// readFile reads a file of at most a number of bytes. What is no file (a pipe, a
// device) is none.
func readFile(name string, most int64) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	is, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !is.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", name)
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > most {
		return nil, fmt.Errorf("%s has more than %d bytes", name, most)
	}
	return text, nil
}

// change reads the catalogue, has it changed, and writes it; of two at a time one
// waits for the other.
func (c command) change(do func(*catalogue) error) error {
	folder := c.path(catalogueFolder)
	err := os.MkdirAll(folder, 0o755)
	if err != nil {
		return fmt.Errorf("making the folder of the application catalog: %w", err)
	}
	held, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("opening the folder of the application catalog: %w", err)
	}
	defer held.Close() // and lets the next one go on
	for {
		err = unix.Flock(int(held.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("waiting for the application catalog: %w", err)
	}
	all, err := c.read()
	if err != nil {
		return err
	}
	err = do(all)
	if err != nil {
		return err
	}
	text, err := json.Marshal(all, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("encoding the application catalog: %w", err)
	}
	err = replace(held, filepath.Join(folder, catalogueFile), text)
	if err != nil {
		return fmt.Errorf("writing the application catalog: %w", err)
	}
	return nil
}

// replace puts a text in the place of a file: all of it or nothing, also when the
// machine loses its power.
func replace(folder *os.File, name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return folder.Sync()
}
