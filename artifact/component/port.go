package component

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"souk/catalog/change"
)

// Try installs a component on a base image in a machine; see change.Components.
type Try func(ctx context.Context, t change.Trial) (change.Tried, error)

// Port is the room as change types see it. try does what the room can't.
func (m *Components) Port(try Try) change.Components { return port{m, try} }

type port struct {
	*Components
	try Try
}

// Find implements change.Components. That the files can be unpacked was found
// out when the component was made.
func (p port) Find(ctx context.Context, s change.Seller, arn string) (change.Component, error) {
	parsed, ok := ParseARN(arn)
	if !ok {
		return change.Component{}, fmt.Errorf("%w: %s", change.ErrComponentNotFound, arn)
	}
	c, err := p.Get(ctx, s.Account, parsed)
	if errors.Is(err, ErrNotFound) {
		return change.Component{}, fmt.Errorf("%w: %s", change.ErrComponentNotFound, arn)
	}
	if err != nil {
		return change.Component{}, err
	}
	if !c.Files.None() {
		_, err := p.manifest(ctx, c.Files.Repository, c.Files.Digest)
		if errors.Is(err, ErrBadFiles) {
			return change.Component{}, fmt.Errorf("%w: %v", change.ErrComponentUnreadable, err)
		}
		if err != nil {
			return change.Component{}, err
		}
	}
	found := change.Component{
		ARN: c.ARN, Name: c.Name, Version: c.Version, Build: c.Build, Description: c.Description, Platform: c.Platform,
		SupportedOSVersions: c.SupportedOS, Document: c.Document, Phases: c.Phases,
		Files: change.ComponentFiles{Repository: c.Files.Repository, Digest: c.Files.Digest, Size: c.Files.Size},
	}
	for _, parameter := range c.Parameters {
		found.Parameters = append(found.Parameters, change.ComponentParameter{Name: parameter.Name, Default: parameter.Default, Description: parameter.Description})
	}
	return found, nil
}

// Publish implements change.Components.
func (p port) Publish(ctx context.Context, productID string, c change.Component) error {
	err := p.publish(ctx, productID, Files{Repository: c.Files.Repository, Digest: c.Files.Digest})
	if errors.Is(err, ErrBadFiles) {
		return fmt.Errorf("publishing component %s for %s: %w: %v", c.ARN, productID, change.ErrComponentUnreadable, err)
	}
	return err
}

// Try implements change.Components.
func (p port) Try(ctx context.Context, t change.Trial) (change.Tried, error) { return p.try(ctx, t) }

// Supports says whether a component with these supported systems runs on a
// platform, such as Debian GNU/Linux 13: "If the OS information is available, a
// prefix match is performed against the base image OS version". Debian 13 and
// Debian GNU/Linux are prefixes of it, and so is Debian; Ubuntu 22 is one of
// Ubuntu 22.04. A component without a list, and a platform that is not known, match.
//
// EC2 Image Builder API Reference, "CreateComponent".
func Supports(supported []string, platform string) bool {
	if len(supported) == 0 || platform == "" {
		return true
	}
	is := words(platform)
	for _, s := range supported {
		if prefix(words(s), is) {
			return true
		}
	}
	return false
}

// words are those of a system's name; GNU/Linux says nothing.
func words(system string) []string {
	var all []string
	for _, w := range strings.Fields(strings.ToLower(system)) {
		if w != "gnu/linux" {
			all = append(all, w)
		}
	}
	return all
}

// prefix says whether words begin others; the last one may end at a point or a hyphen.
func prefix(words, of []string) bool {
	if len(words) == 0 || len(words) > len(of) {
		return false
	}
	for i, w := range words {
		rest, ok := strings.CutPrefix(of[i], w)
		last := i == len(words)-1 && rest != "" && strings.ContainsRune(".-", rune(rest[0]))
		if !ok || rest != "" && !last {
			return false
		}
	}
	return true
}
