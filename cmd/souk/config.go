package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// configFile reads settings from the YAML file of --config. A key is a flag of
// serve; other commands read the keys that they have. Flags win over the
// environment, the environment over the file.
type configFile struct {
	values map[string]any // nil until a file was named and read
	read   bool
	// err is why the file can't be used. It is kept for run, since kong would
	// blame the flag for which it asked first.
	err error
}

// Validate implements kong.Resolver. What the file says is looked at when it is read.
func (c *configFile) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver: the value of a flag that the command line
// does not give.
func (c *configFile) Resolve(line *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if flag.Name == "config" || flag.Name == "help" {
		return nil, nil
	}
	if !c.read {
		c.read = true
		c.err = c.load(line)
	}
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	value, ok := c.values[flag.Name]
	if !ok {
		return nil, nil
	}
	switch v := value.(type) {
	case []any:
		parts := make([]string, len(v))
		for i, part := range v {
			parts[i] = fmt.Sprint(part)
		}
		return strings.Join(parts, ","), nil
	case bool:
		if flag.IsBool() {
			return v, nil
		}
		// YAML reads a bare on or off as a truth; the setting means the word.
		if v {
			return "on", nil
		}
		return "off", nil
	case map[string]any, nil:
		return nil, fmt.Errorf("%s of the configuration file has no single value", flag.Name)
	default:
		return fmt.Sprint(v), nil
	}
}

// load reads the file that --config or SOUK_CONFIG names, if any.
func (c *configFile) load(line *kong.Context) error {
	name := ""
	for _, flag := range line.Flags() {
		if flag.Name == "config" {
			name, _ = line.FlagValue(flag).(string)
		}
	}
	if name == "" {
		return nil
	}
	b, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no configuration file %s", name)
	}
	if err != nil {
		return fmt.Errorf("reading configuration file: %w", err)
	}
	var values map[string]any
	err = yaml.Unmarshal(b, &values)
	if err != nil {
		return fmt.Errorf("reading configuration file %s: %w", name, err)
	}
	var known []string
	for _, node := range line.Model.Children {
		if node.Name == "serve" {
			for _, flag := range node.Flags {
				known = append(known, flag.Name)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(known, key) || key == "config" {
			return fmt.Errorf("configuration file %s has the unknown key %q: correct or remove it; keys are the flags of `souk serve --help`, without their dashes", name, key)
		}
	}
	c.values = values
	return nil
}
