package marketplaceimagebuild

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"souk/artifact/build"
)

// Model is the description of the service that `aws configure add-model` takes
// (service-2.json of botocore). It is made of the operations that the gateway
// serves and of the structs that their requests and answers are read and written
// with, so what it says is what is there.
func Model() ([]byte, error) {
	m := model{shapes: map[string]any{}}
	operations := map[string]any{}
	for _, a := range (&service{}).actions() {
		input, err := m.shape(reflect.TypeOf(a.operation.Input()).Elem(), "")
		if err != nil {
			return nil, err
		}
		output, err := m.shape(reflect.TypeOf(a.output), "")
		if err != nil {
			return nil, err
		}
		var refused []any
		for _, name := range a.errors {
			refused = append(refused, ref{Shape: name})
		}
		operations[a.operation.Name] = map[string]any{
			"name": a.operation.Name, "http": map[string]any{"method": "POST", "requestUri": "/"},
			"input": ref{Shape: input}, "output": ref{Shape: output}, "errors": refused, "documentation": paragraph(a.doc),
		}
	}
	for _, e := range exceptions {
		shape := map[string]any{
			"type": "structure", "members": map[string]any{"Message": ref{Shape: "String"}}, "documentation": paragraph(e.doc), "exception": true,
		}
		if e.status >= 500 {
			shape["fault"] = true
		}
		m.shapes[e.name] = shape
	}
	text, err := json.MarshalIndent(map[string]any{
		"version": "2.0",
		"metadata": map[string]any{
			"apiVersion": apiVersion, "endpointPrefix": "imagebuild.marketplace", "jsonVersion": "1.1", "protocol": "json",
			"serviceAbbreviation": "Marketplace Image Build", "serviceFullName": "AWS Marketplace Image Build Service", "serviceId": "Marketplace Image Build",
			"signatureVersion": "v4", "signingName": signingName, "targetPrefix": targetPrefix, "uid": "marketplaceimagebuild-" + apiVersion,
		},
		"operations": operations, "shapes": m.shapes,
		"documentation": "<fullname>AWS Marketplace Image Build Service</fullname> <p>Installs listed products on machine images, and tells how that goes.</p>",
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the model: %w", err)
	}
	return append(text, '\n'), nil
}

// ref names a shape.
type ref struct {
	Shape            string `json:"shape"`
	Documentation    string `json:"documentation,omitempty"`
	IdempotencyToken bool   `json:"idempotencyToken,omitempty"`
}

// scalars are the types of members that have a name of their own.
var scalars = map[reflect.Type]struct {
	name  string
	shape map[string]any
}{
	reflect.TypeFor[string]():     {"String", map[string]any{"type": "string"}},
	reflect.TypeFor[DateTime]():   {"DateTime", map[string]any{"type": "timestamp"}},
	reflect.TypeFor[NextToken]():  {"NextToken", map[string]any{"type": "string", "min": 1, "max": 1024}},
	reflect.TypeFor[MaxResults](): {"MaxResults", map[string]any{"type": "integer", "min": 0, "max": build.MostResults}},
	reflect.TypeFor[BuildStatus](): {"BuildStatus", map[string]any{"type": "string",
		"enum": build.Statuses()}},
	reflect.TypeFor[ErrorCode](): {"ErrorCode", map[string]any{"type": "string",
		"enum": build.Codes(),
		"documentation": "<ul> <li> <p>SSMAgentNotFound - The agent of the machine that was made of the image did not answer.</p> </li>" +
			" <li> <p>InstallFailed - The installation timed out, ran out of memory or disk, or exited with a non-zero value.</p> </li> </ul>"}},
}

// documented says what structs are.
var documented = map[string]string{
	"Build":                 "A build.",
	"DescribeBuildsRequest": "Which builds are to be shown.",
	"DescribeBuildsResult":  "A page of builds.",
	"DestinationImage":      "The image that a build makes.",
	"ErrorDetail":           "Why a build did not succeed.",
	"Filter":                "A filter of builds.",
	"Product":               "A product that is installed.",
	"SourceImage":           "The image on which is installed.",
	"StartBuildRequest":     "What is to be built.",
	"StartBuildResult":      "The build that was started.",
}

// model gathers shapes by their names.
type model struct{ shapes map[string]any }

// shape adds a type to the model and returns its name there. of is the name of
// the struct that has a member of that type, for errors.
func (m *model) shape(t reflect.Type, of string) (string, error) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s, ok := scalars[t]; ok {
		m.shapes[s.name] = s.shape
		return s.name, nil
	}
	switch t.Kind() {
	case reflect.Slice:
		member, err := m.shape(t.Elem(), of)
		if err != nil {
			return "", err
		}
		m.shapes[member+"List"] = map[string]any{"type": "list", "member": ref{Shape: member}}
		return member + "List", nil
	case reflect.Struct:
		return t.Name(), m.structure(t)
	}
	return "", fmt.Errorf("making the model: %s has a member of type %v, for which there is no shape", of, t)
}

// structure adds a struct.
func (m *model) structure(t reflect.Type) error {
	if m.shapes[t.Name()] != nil {
		return nil
	}
	doc, ok := documented[t.Name()]
	if !ok {
		return fmt.Errorf("making the model: nothing is said of %s", t.Name())
	}
	members := map[string]any{}
	var required []string
	for f := range fields(t) {
		shape, err := m.shape(f.Type, t.Name())
		if err != nil {
			return err
		}
		_, token := f.Tag.Lookup("idempotent")
		r := ref{Shape: shape, Documentation: paragraph(f.Tag.Get("doc")), IdempotencyToken: token}
		if r.Documentation == "" && documented[shape] == "" {
			return fmt.Errorf("making the model: nothing is said of %s.%s", t.Name(), f.Name)
		}
		members[f.Name] = r
		if _, needed := f.Tag.Lookup("required"); needed {
			required = append(required, f.Name)
		}
	}
	shape := map[string]any{"type": "structure", "members": members, "documentation": paragraph(doc)}
	if required != nil {
		shape["required"] = required
	}
	m.shapes[t.Name()] = shape
	return nil
}

// fields are those of a struct.
func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	var all []reflect.StructField
	for i := range t.NumField() {
		all = append(all, t.Field(i))
	}
	return slices.Values(all)
}

// paragraph is a text as models have it.
func paragraph(text string) string {
	if text == "" || strings.HasPrefix(text, "<") {
		return text
	}
	return "<p>" + text + "</p>"
}
