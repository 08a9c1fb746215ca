package document

import (
	"context"
	"strings"
)

// action is what a step can do.
// https://docs.aws.amazon.com/imagebuilder/latest/userguide/toe-action-modules.html
type action struct {
	each     bool // inputs is a list of mappings, and do is called for each of them
	asserts  bool // inputs is a condition, and there is no do
	fields   []field
	together func(*value) string // says what is wrong with inputs beside one another
	output   string              // the name of the output, "" if there is none
	joined   bool                // the outputs of all inputs are one, in lines
	do       func(context.Context, *work, input) (string, error)
}

func (a *action) gives(output string) bool { return a.output != "" && a.output == output }

// field is a member of the inputs of an action.
type field struct {
	name     string
	kind     fieldKind
	required bool
	check    func(string) string // says what is wrong with a text without references
}

type fieldKind int

const (
	text  fieldKind = iota
	flag            // true or false
	texts           // a list
)

// input is what an action gets: its references replaced.
type input struct {
	texts map[string]string
	lists map[string][]string
}

// flag returns a member that is true or false.
func (in input) flag(name string, otherwise bool) bool {
	switch in.texts[name] {
	case "true":
		return true
	case "false":
		return false
	}
	return otherwise
}

// Fields that many actions have.
var (
	fieldPath        = field{name: "path", required: true, check: notEmpty}
	fieldSource      = field{name: "source", required: true, check: notEmpty}
	fieldDestination = field{name: "destination", required: true, check: notEmpty}
	fieldOverwrite   = field{name: "overwrite", kind: flag}
	fieldEncoding    = field{name: "encoding", check: isEncoding}
	fieldOwner       = field{name: "owner", check: notEmpty}
	fieldGroup       = field{name: "group", check: notEmpty}
	fieldMode        = field{name: "permissions", check: isMode}
	fieldRecursive   = field{name: "recursive", kind: flag}
)

// must is a field that has to be there.
func must(f field) field {
	f.required = true
	return f
}

// actions are those that can be used.
var actions = map[string]*action{
	"ExecuteBash":   {fields: []field{{name: "commands", kind: texts, required: true}}, output: "stdout", do: executeBash},
	"ExecuteBinary": {fields: []field{fieldPath, {name: "arguments", kind: texts}}, output: "stdout", do: executeBinary},
	"Assert":        {asserts: true},

	"WebDownload": {each: true, fields: []field{
		{name: "source", required: true, check: isURL}, fieldDestination, fieldOverwrite,
		{name: "checksum", check: notEmpty}, {name: "algorithm", check: isAlgorithm},
		{name: "ignoreCertificateErrors", kind: flag},
	}, together: downloadTogether, output: "destination", joined: true, do: webDownload},

	"CreateFile": {each: true, fields: []field{fieldPath, {name: "content"}, fieldEncoding, fieldOwner, fieldGroup, fieldMode, fieldOverwrite},
		do: createFile},
	"AppendFile":           {each: true, fields: []field{fieldPath, {name: "content"}, fieldEncoding}, do: appendFile},
	"ReadFile":             {each: true, fields: []field{fieldPath, fieldEncoding, {name: "printFileContent", kind: flag}}, output: "content", do: readFile},
	"SetFileEncoding":      {each: true, fields: []field{fieldPath, fieldEncoding}, do: setFileEncoding},
	"SetFileOwner":         {each: true, fields: []field{fieldPath, must(fieldOwner), fieldGroup}, do: setFileOwner},
	"SetFilePermissions":   {each: true, fields: []field{fieldPath, must(fieldMode)}, do: setFilePermissions},
	"CopyFile":             {each: true, fields: []field{fieldSource, fieldDestination, fieldOverwrite}, do: copyFile},
	"MoveFile":             {each: true, fields: []field{fieldSource, fieldDestination, fieldOverwrite}, do: moveFile},
	"DeleteFile":           {each: true, fields: []field{fieldPath}, do: deleteFile},
	"CreateSymlink":        {each: true, fields: []field{fieldPath, {name: "target", required: true, check: notEmpty}, {name: "force", kind: flag}}, do: createSymlink},
	"CreateFolder":         {each: true, fields: []field{fieldPath, fieldOwner, fieldGroup, fieldMode, fieldOverwrite}, do: createFolder},
	"CopyFolder":           {each: true, fields: []field{fieldSource, fieldDestination, fieldOverwrite}, do: copyFolder},
	"MoveFolder":           {each: true, fields: []field{fieldSource, fieldDestination, fieldOverwrite}, do: moveFolder},
	"DeleteFolder":         {each: true, fields: []field{fieldPath, {name: "force", kind: flag}}, do: deleteFolder},
	"ListFiles":            {each: true, fields: []field{fieldPath, {name: "fileNamePattern", check: isPattern}, fieldRecursive}, output: "files", do: listFiles},
	"SetFolderOwner":       {each: true, fields: []field{fieldPath, must(fieldOwner), fieldGroup, fieldRecursive}, do: setFolderOwner},
	"SetFolderPermissions": {each: true, fields: []field{fieldPath, must(fieldMode), fieldRecursive}, do: setFolderPermissions},
}

// refused are actions that AWS documents and that are not offered, with the
// reason.
var refused = map[string]string{
	"ExecuteDocument":   "a component runs one document; list several components instead",
	"ExecutePowerShell": "images are Linux; use ExecuteBash",
	"InstallMSI":        "images are Linux",
	"UninstallMSI":      "images are Linux",
	"SetRegistry":       "images are Linux",
	"Reboot":            "a machine that builds an image is not started again",
	"UpdateOS":          "it has no one meaning for all images; call the package manager with ExecuteBash",
	"S3Download":        "there is no Amazon S3 here; ship files with the component and find them in {{ souk.files }}, or use WebDownload",
	"S3Upload":          "there is no Amazon S3 here",
}

func notEmpty(s string) string {
	if strings.TrimSpace(s) == "" {
		return "must not be empty"
	}
	return ""
}
