package assistant

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a catalogue. The guide gives the first three.
const (
	mostApplications = 50
	mostName         = 256 // characters
	mostDisplayName  = 256 // characters
	mostText         = 2048
	mostPath         = 4096 // bytes
	mostMetadata     = 50   // entries, of keys and values of mostName characters
	mostManifest     = 1 << 20
)

// check says what is wrong with the form of an application.
func (e entry) check() error {
	switch {
	case !text(e.Name, mostName) || e.Name == "" || strings.ContainsFunc(e.Name, unicode.IsSpace):
		return refuse("Invalid value (name)")
	case !absolute(e.AppPath):
		return refuse("Invalid value (absolute-app-path)")
	case !text(e.DisplayName, mostDisplayName) || e.DisplayName == "":
		return refuse("Invalid value (display-name)")
	case e.IconPath != "" && !absolute(e.IconPath):
		return refuse("Invalid value (absolute-icon-path)")
	case e.WorkingDirectory != "" && !absolute(e.WorkingDirectory):
		return refuse("Invalid value (working-directory)")
	case !text(e.LaunchParameters, mostText):
		return refuse("Invalid value (launch-parameters)")
	case e.ManifestPath != "" && !absolute(e.ManifestPath):
		return refuse("Invalid value (absolute-manifest-path)")
	case !isMetadata(e.Metadata):
		return refuse("Invalid value (metadata)")
	}
	return nil
}

// text says whether a text of one line has at most a number of characters.
func text(s string, most int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && !strings.ContainsFunc(s, unicode.IsControl)
}

// absolute says whether a text is an absolute path.
func absolute(path string) bool {
	return len(path) <= mostPath && filepath.IsAbs(path) && text(path, mostPath)
}

func isMetadata(all map[string]string) bool {
	for key, value := range all {
		if key == "" || !text(key, mostName) || !text(value, mostName) {
			return false
		}
	}
	return len(all) <= mostMetadata
}

// Problems that a look at the machine's disk finds, in the words of the guide
// where it has some.
const (
	noApplication = "File not found (absolute-app-path)"
	noProgram     = "File not executable (absolute-app-path)"
	noDirectory   = "Directory not found (working-directory)"
	noIcon        = "File not found (absolute-icon-path)"
)

// look says which of the things that an application names are not there. Links
// are followed, within the machine.
func (c command) look(e entry) error {
	is, err := os.Stat(c.path(e.AppPath))
	switch {
	case missing(err) || err == nil && !is.Mode().IsRegular():
		return refuse(noApplication)
	case err != nil:
		return fmt.Errorf("looking for %s: %w", e.AppPath, err)
	case is.Mode().Perm()&0o111 == 0:
		return refuse(noProgram)
	}
	if e.WorkingDirectory != "" {
		is, err := os.Stat(c.path(e.WorkingDirectory))
		if missing(err) || err == nil && !is.IsDir() {
			return refuse(noDirectory)
		}
		if err != nil {
			return fmt.Errorf("looking for %s: %w", e.WorkingDirectory, err)
		}
	}
	_, err = c.icon(e)
	if err != nil {
		return err
	}
	return c.lookAtManifest(e.ManifestPath)
}

// missing says whether an error means that nothing is there.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || err != nil && strings.Contains(err.Error(), "not a directory")
}

// lookAtManifest says whether a manifest is there, and all files that it names.
func (c command) lookAtManifest(name string) error {
	if name == "" {
		return nil
	}
	content, err := readFile(c.path(name), mostManifest)
	if err != nil {
		return refuse("Optimization-manifest not found: %s", name)
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		file := strings.TrimSpace(lines.Text())
		if file == "" {
			continue
		}
		if !absolute(file) {
			return refuse("File not found: %s", strings.ToValidUTF8(file, "?"))
		}
		if _, err := os.Lstat(c.path(file)); err != nil {
			return refuse("File not found: %s", file)
		}
	}
	if lines.Err() != nil {
		return refuse("Optimization-manifest not found: %s", name)
	}
	return nil
}

// set puts what was given into an application.
func (e *entry) set(given options) error {
	for name, member := range map[string]*string{
		"absolute-app-path": &e.AppPath, "display-name": &e.DisplayName, "absolute-icon-path": &e.IconPath,
		"working-directory": &e.WorkingDirectory, "launch-parameters": &e.LaunchParameters, "absolute-manifest-path": &e.ManifestPath,
	} {
		if given.has(name) {
			*member = given.one(name)
		}
	}
	if given.has("metadata") {
		all, ok := pairs(given["metadata"])
		if !ok {
			return refuse("Invalid value (metadata)")
		}
		e.Metadata = maps.Clone(all)
	}
	if e.DisplayName == "" {
		e.DisplayName = derived(e.AppPath)
	}
	return e.check()
}

// derived is the display name of a program: its file name without the extension,
// with underscores in the place of spaces.
func derived(path string) string {
	name := filepath.Base(path)
	if cut := strings.TrimSuffix(name, filepath.Ext(name)); cut != "" {
		name = cut
	}
	return strings.ReplaceAll(name, " ", "_")
}

func (c command) addApplication(_ context.Context, given options) (result, error) {
	return c.changed(func(all *catalogue) error {
		e := entry{Name: given.one("name")}
		err := e.set(given)
		switch {
		case err != nil:
			return err
		case all.find(e.Name) >= 0:
			return refuse("Name is not unique")
		case len(all.Applications) >= mostApplications:
			return refuse("Unable to add more than %d apps to the catalog.", mostApplications)
		}
		err = c.look(e)
		if err != nil {
			return err
		}
		all.Applications = append(all.Applications, e)
		return nil
	})
}

func (c command) updateApplication(_ context.Context, given options) (result, error) {
	return c.changed(func(all *catalogue) error {
		n := all.find(given.one("name"))
		if n < 0 {
			return refuse("App not found")
		}
		err := all.Applications[n].set(given)
		if err != nil {
			return err
		}
		return c.look(all.Applications[n])
	})
}

func (c command) removeApplication(_ context.Context, given options) (result, error) {
	return c.changed(func(all *catalogue) error {
		n := all.find(given.one("name"))
		if n < 0 {
			return refuse("App not found")
		}
		all.Applications = append(all.Applications[:n], all.Applications[n+1:]...)
		return nil
	})
}

func (c command) changed(do func(*catalogue) error) (result, error) {
	err := c.change(do)
	if err != nil {
		return result{}, err
	}
	return result{Answer: Success}, nil
}

func (c command) listApplications(context.Context, options) (result, error) {
	all, err := c.read()
	if err != nil {
		return result{}, err
	}
	return result{Answer: Success, name: "applications", member: all.Applications}, nil
}

// problem is what validate finds.
type problem struct {
	Name    string `json:"name"` // of the application
	Message string `json:"message"`
}

// validate looks at all applications, and tells of each what is wrong first.
func (c command) validate(context.Context, options) (result, error) {
	all, err := c.read()
	if err != nil {
		return result{}, err
	}
	var found []problem
	for _, e := range all.Applications {
		err := c.look(e)
		if err != nil {
			found = append(found, problem{e.Name, err.Error()})
		}
	}
	if len(found) == 0 {
		return result{Answer: Success}, nil
	}
	return result{Answer: Answer{Refused, "The application catalog has errors"}, name: "errors", member: found}, nil
}
