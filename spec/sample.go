package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Sample is a request that provokes one row of the tables: a file
// testdata/<ChangeType>/<Code>-<n>.json beside the entity's change types.
type Sample struct {
	Name       string `json:"-"` // the file, such as AddRepositories/INVALID_ECR_REPOSITORY_NAME-1.json
	ChangeType string `json:"-"`

	Given   string          // the starting state, one of the names in testdata/states.json
	Details json.RawMessage // may hold ${placeholders} and {"$repeat": ["x", 3]}
	Code    string          // "422": refused at once, the message is the exception's
	Message string          // with its holes filled; may hold ${placeholders}
	Note    string          // why this is wrong, where it is not plain to see
	Probe   bool            // found by asking the world (registry, logo), not by reading the request
}

// Setup is a starting state of samples: the change sets that lead to it, each a
// list of changes of one product.
type Setup struct {
	From    string // the state that it builds upon; "" is nothing
	Changes []SetupChange
}

// SetupChange is a change of a Setup, in a change set of its own.
type SetupChange struct {
	ChangeType string
	Details    json.RawMessage
}

// ReadSamples reads the samples below a testdata folder.
func ReadSamples(testdata fs.FS) ([]Sample, error) {
	names, err := fs.Glob(testdata, "*/*.json")
	if err != nil {
		return nil, fmt.Errorf("listing samples: %w", err)
	}
	var samples []Sample
	for _, name := range names {
		sample := Sample{Name: name, ChangeType: path.Dir(name)}
		if err := readJSON(testdata, name, &sample); err != nil {
			return nil, err
		}
		samples = append(samples, sample)
	}
	return samples, nil
}

// ReadSetups reads testdata/states.json, by name.
func ReadSetups(testdata fs.FS) (map[string]Setup, error) {
	setups := map[string]Setup{}
	if err := readJSON(testdata, "states.json", &setups); err != nil {
		return nil, err
	}
	return setups, nil
}

func readJSON(files fs.FS, name string, into any) error {
	content, err := fs.ReadFile(files, name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

// Expand writes a Details document out: {"$repeat": ["x", 3]} becomes "xxx",
// {"$list": ["x${n}", 3]} becomes ["x1", "x2", "x3"] (an object or a list in the
// place of "x${n}" likewise), and placeholders such as
// ${registry} get their values. Unknown ${...} stay as they are: Helm values
// of the documentation look like that.
func Expand(details json.RawMessage, placeholders map[string]string) (json.RawMessage, error) {
	var document any
	d := json.NewDecoder(bytes.NewReader(details))
	d.UseNumber()
	if err := d.Decode(&document); err != nil {
		return nil, fmt.Errorf("expanding details: %w", err)
	}
	expanded, err := json.Marshal(expand(document, placeholders))
	if err != nil {
		return nil, fmt.Errorf("expanding details: %w", err)
	}
	return expanded, nil
}

// ExpandText fills the placeholders of a message.
func ExpandText(text string, placeholders map[string]string) string {
	for name, value := range placeholders {
		text = strings.ReplaceAll(text, "${"+name+"}", value)
	}
	return text
}

func expand(value any, placeholders map[string]string) any {
	switch v := value.(type) {
	case string:
		return ExpandText(v, placeholders)
	case []any:
		for i := range v {
			v[i] = expand(v[i], placeholders)
		}
	case map[string]any:
		if template, n, ok := generator(v["$repeat"]); ok && len(v) == 1 {
			text, _ := template.(string)
			return strings.Repeat(ExpandText(text, placeholders), n)
		}
		if template, n, ok := generator(v["$list"]); ok && len(v) == 1 {
			list := make([]any, n)
			for i := range list {
				list[i] = expand(numbered(template, fmt.Sprint(i+1)), placeholders)
			}
			return list
		}
		for name := range v {
			v[name] = expand(v[name], placeholders)
		}
	}
	return value
}

// numbered copies a template with n in the place of ${n}.
func numbered(template any, n string) any {
	switch v := template.(type) {
	case string:
		return strings.ReplaceAll(v, "${n}", n)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = numbered(v[i], n)
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for name := range v {
			object[name] = numbered(v[name], n)
		}
		return object
	}
	return template
}

// generator reads the [template, n] of a generator.
func generator(value any) (template any, n int, ok bool) {
	pair, _ := value.([]any)
	if len(pair) != 2 {
		return nil, 0, false
	}
	number, isNumber := pair[1].(json.Number)
	if !isNumber {
		return nil, 0, false
	}
	count, err := number.Int64()
	return pair[0], int(count), err == nil && count >= 0
}
