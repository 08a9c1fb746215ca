package assistant

import (
	"context"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of create-image that the guide gives.
const (
	mostImageName   = 100
	mostDescription = 256
	mostTags        = 50
)

// imageNames is what the guide lets an image be named, and the API besides: it
// begins with a letter or digit.
var imageNames = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)

// reserved are what names of images do not begin with.
var reserved = []string{"aws", "appstream", "amazon"}

// createImage checks all that can be known in the machine, and asks the host for
// the rest.
func (c command) createImage(ctx context.Context, given options) (result, error) {
	for _, o := range []string{"enable-dynamic-app-catalog", "use-latest-agent-version"} {
		if given.has(o) && given.has("no-"+o) {
			return result{}, refuse("%s and no-%s can't be given together", o, o)
		}
	}
	if given.has("enable-dynamic-app-catalog") {
		return result{}, refuse("enable-dynamic-app-catalog: the dynamic application framework is not offered here")
	}
	tags, ok := pairs(given["tags"])
	if !ok {
		return result{}, refuse(InvalidTags)
	}
	r := Request{
		Operation: CreateImage, Name: given.one("name"), DisplayName: given.one("display-name"), Description: given.one("description"), Tags: tags,
		UseLatestAgentVersion: given.has("use-latest-agent-version"), DryRun: given.has("dry-run"),
	}
	all, err := c.read()
	if err != nil {
		return result{}, err
	}
	for _, e := range all.Applications {
		err := c.look(e)
		if err != nil {
			if is, ok := err.(refusal); ok {
				return result{}, refuse("%s: %s", e.Name, is)
			}
			return result{}, err
		}
		icon, err := c.icon(e)
		if err != nil {
			return result{}, err
		}
		r.Applications = append(r.Applications, Application{
			Name: e.Name, DisplayName: e.DisplayName, LaunchPath: e.AppPath, LaunchParameters: e.LaunchParameters,
			WorkingDirectory: e.WorkingDirectory, Metadata: e.Metadata, Icon: icon, Enabled: true,
		})
	}
	err = r.check()
	if err != nil {
		return result{}, err
	}
	a, hold, err := ask(ctx, c.knock, r)
	return result{Answer: a, hold: hold}, err
}

// check says what is wrong with the form of a request. It is asked at both ends.
func (r Request) check() error {
	switch r.Operation {
	case CreateImage:
	case Reboot, PowerOff:
		return nil
	default:
		return refuse("Unknown operation: %s", cut(string(r.Operation)))
	}
	if !imageNames.MatchString(r.Name) || len(r.Name) > mostImageName {
		return refuse("Invalid value (name)")
	}
	for _, prefix := range reserved {
		if strings.HasPrefix(strings.ToLower(r.Name), prefix) {
			return refuse("Invalid value (name): names that begin with %s are reserved", prefix)
		}
	}
	if !text(r.DisplayName, mostDisplayName) {
		return refuse("Invalid value (display-name)")
	}
	if !text(r.Description, mostDescription) {
		return refuse("Invalid value (description)")
	}
	if !areTags(r.Tags) {
		return refuse(InvalidTags)
	}
	if len(r.Applications) > mostApplications {
		return refuse("Unable to add more than %d apps to the catalog.", mostApplications)
	}
	names := map[string]bool{}
	for _, a := range r.Applications {
		e := entry{
			Name: a.Name, AppPath: a.LaunchPath, DisplayName: a.DisplayName, WorkingDirectory: a.WorkingDirectory,
			LaunchParameters: a.LaunchParameters, Metadata: a.Metadata,
		}
		err := e.check()
		if err != nil {
			return err
		}
		if names[a.Name] {
			return refuse("Name is not unique")
		}
		names[a.Name] = true
	}
	return nil
}

// cut shortens what is shown of a stranger's text.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if utf8.RuneCountInString(s) > 40 {
		s = string([]rune(s)[:40]) + "..."
	}
	return s
}

// areTags says whether tags have the form of AppStream's.
//
// AppStream API Reference, "TagResource".
func areTags(tags map[string]string) bool {
	for key, value := range tags {
		if key == "" || strings.HasPrefix(key, "aws:") || !ofTags(key, 128) || !ofTags(value, 256) {
			return false
		}
	}
	return len(tags) <= mostTags
}

func ofTags(s string, most int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.Is(unicode.Z, r) && !strings.ContainsRune(`_.:/=+\-@`, r)
	})
}
