package scan

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"souk/artifact/scan/advisory"
	"souk/artifact/scan/inventory"
)

// Image is what is scanned: a machine's root file system, or a container image
// for one platform.
type Image struct {
	Digest   string // of its manifest
	Platform string // such as linux/amd64; "" if it is for no certain one
	// User and Env are those of the config. AMIs have none.
	User string
	Env  []string
	// Layers, the lowest first.
	Layers []Layer
}

// Layer is a layer of an image.
type Layer struct {
	// Digest names the layer's content; results are kept by it.
	Digest string
	// Open opens the layer: a tar archive, plain or compressed by gzip, zstd or
	// bzip2. An error of it, or of reading, means that we failed.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// stock is the packages of one file of an image.
type stock struct {
	path     string
	layer    string
	manager  inventory.Manager
	packages []inventory.Package
}

// view is an image as it is when its layers lie on one another.
type view struct {
	findings []Finding
	stocks   []stock
	unread   []string // managers whose databases no scan reads
	release  inventory.Release
	at       string // path of os-release
}

// merge lays layers on one another. Secrets and malware count on every layer of
// a container image, since who pulls it has all layers; a machine boots the
// file system that they make together. all says which it is.
func merge(layers []Layer, read []*contents, all bool) view {
	var v view
	sshd := map[string][]setting{}
	at := map[string]string{} // layer by file of sshd
	covers := make([]cover, len(read))
	for i, c := range read {
		covers[i] = newCover(c)
	}
	for i, c := range read {
		for _, name := range slices.Sorted(maps.Keys(c.Files)) {
			f := c.Files[name]
			way := way(name)
			seen := !slices.ContainsFunc(covers[i+1:], func(above cover) bool { return above.hides(way) })
			if all || seen {
				for _, finding := range f.Findings {
					finding.Layer = layers[i].Digest
					if !seen && finding.Check == PackageVulnerabilities {
						continue // what is deleted runs nowhere
					}
					if !seen {
						finding.Message += " A later layer hides it, but whoever pulls the image has it."
					}
					v.findings = append(v.findings, finding)
				}
			}
			if !seen {
				continue
			}
			if f.Unread != "" && !slices.Contains(v.unread, f.Unread) {
				v.unread = append(v.unread, f.Unread)
			}
			if f.Manager != "" {
				v.stocks = append(v.stocks, stock{path: name, layer: layers[i].Digest, manager: f.Manager, packages: f.Packages})
			}
			if f.Release != nil && (v.at == "" || name == "etc/os-release") {
				v.release, v.at = *f.Release, name
			}
			if f.IsSshd {
				sshd[name], at[name] = f.Sshd, layers[i].Digest
			}
		}
		if c.Broken != "" {
			v.findings = append(v.findings, Finding{Check: Layers, Code: "BAD_LAYER", Severity: advisory.Critical, Layer: layers[i].Digest,
				Message: "A layer can't be read to its end, since it is no proper archive: " + c.Broken + "."})
		}
	}
	for _, f := range logins(sshd) {
		f.Layer = at[f.Path]
		v.findings = append(v.findings, f)
	}
	return v
}

// asked are the packages that are looked up together in one ecosystem.
type asked struct {
	ecosystem string
	packages  []advisory.Package
	of        []place
}

// place is a package's place among the stocks.
type place struct{ stock, pkg int }

// group sorts the packages of an image by ecosystem. Without a release that
// advisories know, those of a distribution have none: unknown names them.
func (v *view) group() (groups []asked, unknown bool) {
	at := map[string]int{}
	for i, s := range v.stocks {
		ecosystem := "Go"
		if s.manager != inventory.Go {
			ecosystem = v.release.Ecosystem()
		}
		if ecosystem == "" {
			unknown = true
			continue
		}
		g, ok := at[ecosystem]
		if !ok {
			g = len(groups)
			at[ecosystem] = g
			groups = append(groups, asked{ecosystem: ecosystem})
		}
		for j, p := range s.packages {
			name, version := p.Concerned()
			groups[g].packages = append(groups[g].packages, advisory.Package{Name: name, Version: version})
			groups[g].of = append(groups[g].of, place{i, j})
		}
	}
	return groups, unknown
}

// packageFindings looks the packages of an image up. missing says of which
// packages nothing can be said, since nothing is loaded: they are not clean.
func (s *Scanner) packageFindings(ctx context.Context, v *view) (found []Finding, missing []string, err error) {
	for _, manager := range v.unread {
		missing = append(missing, "the packages of "+manager+", whose database is not read")
	}
	if len(v.stocks)+len(v.unread) == 0 {
		missing = append(missing, "the image has neither packages of dpkg or apk nor Go programs")
	}
	groups, unknown := v.group()
	if unknown {
		missing = append(missing, fmt.Sprintf("the packages of %q, a release for which no advisories are known", plain([]byte(v.release.String()))))
	}
	for _, g := range groups {
		matches, loaded, err := s.config.Advisories.Find(ctx, g.ecosystem, g.packages)
		if err != nil {
			return nil, nil, err
		}
		if !loaded {
			missing = append(missing, fmt.Sprintf("%s of %s: no advisories of it are loaded", packages(len(g.packages)), plain([]byte(g.ecosystem))))
			continue
		}
		type once struct{ advisory, name, version, path string }
		done := map[once]bool{}
		for _, m := range matches {
			at := g.of[m.Package]
			in := v.stocks[at.stock]
			p := in.packages[at.pkg]
			source, _ := p.Concerned()
			key := once{m.ID, source, g.packages[m.Package].Version, in.path}
			if in.manager != inventory.Go && done[key] {
				continue // packages of one source are mended together
			}
			done[key] = true
			fix := "No version mends it yet."
			if m.Fixed != "" {
				fix = "Update it to " + plain([]byte(m.Fixed)) + "."
			}
			f := Finding{
				Check: PackageVulnerabilities, Code: "VULNERABLE_PACKAGE", Severity: m.Severity,
				Package: plain([]byte(p.Name)), Source: plain([]byte(source)), Version: plain([]byte(p.Version)), Fixed: m.Fixed, Advisory: m.ID, Aliases: m.Aliases,
				Layer: in.layer, Path: in.path,
			}
			f.Message = fmt.Sprintf("%s %s has %s (%s)%s. %s", f.Package, f.Version, m.ID, m.Severity, summary(m.Summary), fix)
			found = append(found, f)
		}
	}
	return found, missing, nil
}

// packages counts packages in words.
func packages(n int) string {
	if n == 1 {
		return "1 package"
	}
	return fmt.Sprintf("%d packages", n)
}

func summary(s string) string {
	if s = strings.Trim(plain([]byte(s)), " ."); s == "" {
		return ""
	}
	return ": " + s
}

// found is what a scan of one image found, before the operator's policy.
type found struct {
	findings []Finding
	// missing says what of the packages could not be looked up; checked says
	// that some were.
	missing []string
	checked bool
	release string
}

// image scans one image.
func (s *Scanner) image(ctx context.Context, i Image, container bool, now time.Time) (found, error) {
	read, err := s.layers(ctx, i.Layers)
	if err != nil {
		return found{}, fmt.Errorf("scanning %s: %w", i.Digest, err)
	}
	v := merge(i.Layers, read, container)
	f := found{findings: v.findings, release: v.release.String()}
	vulnerable, missing, err := s.packageFindings(ctx, &v)
	if err != nil {
		return found{}, fmt.Errorf("scanning %s: %w", i.Digest, err)
	}
	f.missing = missing
	unread := func(f Finding) bool { return f.Check == PackageVulnerabilities } // a database or a program was too large
	f.checked = len(missing) == 0 && !slices.ContainsFunc(v.findings, unread)
	f.findings = append(f.findings, vulnerable...)
	f.findings = append(f.findings, outdated(v.release, v.at, now)...)
	if container {
		f.findings = append(f.findings, environmentKeys(i.Env)...)
		user, _, _ := strings.Cut(i.User, ":")
		if user == "" || user == "root" || user == "0" {
			f.findings = append(f.findings, Finding{Check: RootUser, Code: "ROOT_USER", Severity: advisory.Medium,
				Message: "The container runs as root. Set USER to another user in its config."})
		}
	}
	for n := range f.findings {
		f.findings[n].Platform = i.Platform
	}
	return f, nil
}
