package main

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// configFile reads settings from the YAML file of --config. A key is a flag of
// serve; other commands read the keys that they have. Flags win over the
// environment, the environment over the file.
type configFile struct {
	name   string         // as --config or SOUK_CONFIG has it
	values map[string]any // nil until a file was named and read
	used   []string       // flags that have their value from the file
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
	c.used = append(c.used, flag.Name)
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
		return nil, errors.New("it has no single value")
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
	c.name, c.values = name, values
	return nil
}

// blame is the text of an error about a flag (--name: ...), which blames the
// file where that has the value.
func (c *configFile) blame(err error) string {
	text := err.Error()
	for _, name := range c.used {
		rest, ok := strings.CutPrefix(text, "--"+name)
		if ok && rest != "" && strings.ContainsRune(": =", rune(rest[0])) {
			return "configuration file " + c.name + ": " + name + rest
		}
	}
	return text
}

// unknownVariables lists what looks like a setting of ours in an environment and
// is none.
func unknownVariables(model *kong.Node, environ []string) []string {
	known := []string{
		"SOUK_BINARY", "SOUK_CRASH_AT", "SOUK_CRASH_IMAGES", "SOUK_SOAK", "SOUK_DEBIAN_BASE", "SOUK_TEST_POSTGRES", "SOUK_TEST_CRASHING_STORE", // of the tests
	}
	_ = kong.Visit(model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			known = append(known, flag.Envs...)
		}
		return next(nil)
	}) // the visitor has no errors
	var unknown []string
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		// Kubernetes sets these for a service that is called souk.
		others := strings.HasPrefix(name, "SOUK_SERVICE_") || strings.HasPrefix(name, "SOUK_PORT")
		if strings.HasPrefix(name, "SOUK_") && !others && !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// decodeNetwork decodes a network for kong.
func decodeNetwork(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	err := ctx.Scan.PopValueInto("network", &text)
	if err != nil {
		return err
	}
	network, err := netip.ParsePrefix(strings.TrimSpace(text))
	if err != nil {
		return fmt.Errorf("%q is no network, such as 10.0.0.0/8 or 192.0.2.1/32", text)
	}
	target.Set(reflect.ValueOf(network))
	return nil
}
