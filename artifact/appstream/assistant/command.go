package assistant

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"souk/artifact/machine/agent"
)

// Tool is the command image-assistant: an agent.Tool.
//
// AppStream 2.0 Administration Guide, "Image Assistant CLI Operations for
// Creating and Managing Your AppStream 2.0 Image".
func Tool(ctx context.Context, args []string, _ io.Reader, out, _ io.Writer) int {
	return command{knock: agent.Knock, administrator: os.Geteuid() == 0}.run(ctx, args, out)
}

// command is one run of the command.
type command struct {
	root          string // of the file system; "" is /
	knock         Knock
	administrator bool
}

// refusal is an error whose text is the message of an Answer with status 1.
type refusal string

func (r refusal) Error() string { return string(r) }

// refuse makes a refusal.
func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

// result is what an operation prints: its answer, and the member of list-applications
// or of validate.
type result struct {
	Answer
	name   string // of the member; "" for none
	member any
	hold   io.Closer // what is closed when it has been printed; nil for nothing
}

// operation is one of the command's.
type operation struct {
	name    string
	about   string
	options []option
	run     func(c command, ctx context.Context, given options) (result, error)
}

// operations are all of them, in the order of the guide. Those that Linux does not
// have are named, for who looks for them.
func operations() []operation {
	name := option{name: "name", value: "<value>", required: true, about: "A unique name for the application: at most 256 characters, none of them white space."}
	application := []option{
		{name: "absolute-app-path", value: "<value>", required: true, about: "The absolute path of the program or script of the application."},
		{name: "display-name", value: "<value>", about: "The name that users see: at most 256 characters. Else it is made of the program's file name."},
		{name: "absolute-icon-path", value: "<value>", about: "The absolute path of the icon: a .png, .jpg or .bmp of at most 256 x 256 pixels. Else there is one for all."},
		{name: "working-directory", value: "<value>", about: "The directory in which the application is launched."},
		{name: "launch-parameters", value: "<value>", about: "What the application is given when it is launched."},
		{name: "absolute-manifest-path", value: "<value>", about: "The absolute path of a text file with the absolute path of a file on each line, all of which must be there."},
		{name: "metadata", value: `"key" "value" ...`, many: true, about: "What else is to be known of the application."},
	}
	optional := slices.Clone(application)
	for i := range optional {
		optional[i].required = false
	}
	return []operation{
		{"help", "Lists the operations.", nil, nil},
		{"add-application", "Adds an application to the catalog of the image.", append([]option{name}, application...), command.addApplication},
		{"update-application", "Changes what is given of an application of the catalog; the rest stays.", append([]option{name}, optional...), command.updateApplication},
		{"remove-application", "Removes an application from the catalog. Its files stay.", []option{{name: "name", value: "<value>", required: true, about: "The name of the application."}}, command.removeApplication},
		{"list-applications", "Lists the applications of the catalog.", nil, command.listApplications},
		{"validate", "Looks whether all that the catalog names is there.", nil, command.validate},
		{"create-image", "Makes an image of this image builder, which is stopped for it.", []option{
			{name: "name", value: "<value>", required: true, about: "The name of the image: at most 100 letters, digits, underscores, hyphens and periods; it does not begin with aws, appstream or amazon."},
			{name: "description", value: "<value>", about: "At most 256 characters."},
			{name: "display-name", value: "<value>", about: "The name that users see: at most 256 characters."},
			{name: "enable-dynamic-app-catalog", about: "Not offered here: programs of a session can't change the catalog."},
			{name: "no-enable-dynamic-app-catalog", about: "This is the default."},
			{name: "use-latest-agent-version", about: "The image always has the latest agent."},
			{name: "no-use-latest-agent-version", about: "The image keeps the agent that it was made with. This is the default."},
			{name: "tags", value: `"key" "value" ...`, many: true, about: "The tags of the image, also as key=value."},
			{name: "dry-run", about: "Everything is checked, and no image made."},
		}, command.createImage},
	}
}

// elsewhere are operations of Windows alone, as the guide says.
var elsewhere = []string{"update-default-profile", "reset-user-profile"}

// run does what the arguments say, and returns the exit code.
func (c command) run(ctx context.Context, args []string, out io.Writer) int {
	if len(args) == 0 || slices.Contains([]string{"help", "--help", "-h"}, args[0]) {
		return printed(out, overview())
	}
	if slices.Contains(elsewhere, args[0]) {
		return report(out, result{}, refuse("%s is not supported by the Linux image assistant CLI tool", args[0]))
	}
	all := operations()
	n := slices.IndexFunc(all, func(o operation) bool { return o.name == args[0] })
	if n < 0 {
		return report(out, result{}, refuse("Unknown operation: %s (image-assistant help lists them)", args[0]))
	}
	o := all[n]
	if slices.Contains(args[1:], "--help") || slices.Contains(args[1:], "-h") {
		return printed(out, o.help())
	}
	given, err := parse(o.options, args[1:])
	if err != nil {
		return report(out, result{}, err)
	}
	if !c.administrator {
		return report(out, result{}, refuse("Administrator privileges are required to perform this operation"))
	}
	r, err := o.run(c, ctx, given)
	code := report(out, r, err)
	if r.hold != nil {
		r.hold.Close()
	}
	return code
}

// printed writes a help text.
func printed(out io.Writer, text string) int {
	_, err := io.WriteString(out, text)
	if err != nil {
		return Unexpected
	}
	return OK
}

// report prints what came of an operation, as the guide has it, with a blank
// behind each colon and comma of the first two members. It returns the exit code.
func report(out io.Writer, r result, err error) int {
	if err != nil {
		r = result{Answer: Answer{Status: Unexpected, Message: err.Error()}}
		if _, ok := err.(refusal); ok {
			r.Status = Refused
		}
	}
	line := fmt.Sprintf(`{"status": %d, "message": %s`, r.Status, inJSON(r.Message))
	if r.name != "" {
		line += fmt.Sprintf(`, %s: %s`, inJSON(r.name), inJSON(r.member))
	}
	_, err = io.WriteString(out, line+"}\n")
	if err != nil {
		return Unexpected
	}
	return r.Status
}

// inJSON is a value as JSON, with < and > as they are.
func inJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	if err != nil {
		return `""` // of no type that is printed here
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// overview is the text of help.
func overview() string {
	var b strings.Builder
	b.WriteString("image-assistant OPERATION [OPTIONS]\n\nThe operations; OPERATION --help says more of one:\n")
	for _, o := range operations() {
		fmt.Fprintf(&b, "\n%s\n    %s\n", o.synopsis(), o.about)
	}
	return b.String()
}

// help is the text of --help.
func (o operation) help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n", o.about, o.synopsis())
	for _, p := range o.options {
		fmt.Fprintf(&b, "\n--%s\n    %s\n", p.name, p.about)
	}
	return b.String()
}

// synopsis is how an operation is called.
func (o operation) synopsis() string {
	words := []string{o.name}
	for _, p := range o.options {
		word := "--" + p.name
		if p.value != "" {
			word += " " + p.value
		}
		if !p.required {
			word = "[" + word + "]"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}
