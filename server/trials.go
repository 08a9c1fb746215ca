package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"souk/artifact/component"
	"souk/artifact/images"
	"souk/artifact/installer"
	"souk/catalog/change"
)

// This file tries components before they are listed (change.Components, Try).

// What is kept of trials.
const (
	trialLogs   = "trials"            // kind of their logs among the blobs
	trialLog    = 16 << 20            // bytes of one
	trialTail   = 600                 // bytes of its end, for the seller's eyes at once
	keepingLogs = 60 * 24 * time.Hour // of trials that failed, as assessments are kept
)

// hostArchitecture is that of what the machines of this host can run, as AMIs name it.
func hostArchitecture() string {
	if runtime.GOARCH == "arm64" {
		return images.ARM64
	}
	return images.X8664
}

// tryComponent implements change.Components' Try: it runs all phases of a
// component on its base image in machines whose changes are thrown away. A market
// that has no machines, or no image to try it on, says so to the seller: waiting
// would not help.
func (m *market) tryComponent(ctx context.Context, t change.Trial) (change.Tried, error) {
	if m.installer == nil {
		return change.Tried{Failure: installer.ErrNoMachines.Error()}, nil
	}
	base, tried, err := m.baseOf(ctx, t)
	if err != nil || tried.Failure != "" || tried.Incompatible {
		return tried, err
	}
	name := t.ID + ".log"
	// Of a probe that was cut short.
	err = m.blobs.Delete(ctx, trialLogs, name)
	if err != nil {
		return tried, err
	}
	kept, err := m.blobs.AppendLog(trialLogs, name, trialLog)
	if err != nil {
		return tried, err
	}
	log := &ending{to: kept}
	_, err = m.installer.Run(ctx, installer.Job{
		ID: "trial-" + t.ID, Image: base, Stdout: log, Stderr: log, Trial: true,
		Components: []installer.Component{{
			Name: t.Component.Name, Document: []byte(t.Component.Document), Phases: t.Component.Phases, Files: m.filesOf(t.Component.Files),
		}},
	})
	closed := kept.Close()
	var failed *installer.Failure
	switch {
	case err == nil:
		tried.OK = true
		return tried, m.blobs.Delete(ctx, trialLogs, name)
	case errors.Is(err, installer.ErrNoMachines):
		tried.Failure = err.Error()
		return tried, m.blobs.Delete(ctx, trialLogs, name)
	case errors.As(err, &failed) && closed == nil:
		tried.Failure, tried.Log = failed.Message, log.end()
		tried.URL, err = m.blobs.URL(trialLogs, name, time.Now().Add(keepingLogs))
		return tried, err
	}
	return tried, errors.Join(fmt.Errorf("trying component %s: %w", t.Component.ARN, err), closed)
}

// filesOf unpacks the files of a component; nil if it has none.
func (m *market) filesOf(f change.ComponentFiles) func(ctx context.Context, folder string) error {
	if f.Digest == "" {
		return nil
	}
	return func(ctx context.Context, folder string) error {
		return m.components.Unpack(ctx, component.Files{Repository: f.Repository, Digest: f.Digest}, folder)
	}
}

// baseOf finds the image on which a component is tried. What Tried says then, if
// it has a Failure or is Incompatible, is the answer.
func (m *market) baseOf(ctx context.Context, t change.Trial) (images.Image, change.Tried, error) {
	repository, digest := images.PublishedRepository(t.EntityID), t.Base
	tried := change.Tried{Base: t.BasePlatform}
	if digest == "" {
		ami, err := m.publicBase(ctx, t)
		if err != nil {
			return images.Image{}, tried, err
		}
		if ami.ID == "" {
			tried.Failure = "there is no image to try it on: no version of the product has an AMI, and no public AMI of this market is " + strings.Join(t.Component.SupportedOSVersions, " or ")
			return images.Image{}, tried, nil
		}
		repository, digest, tried.Base = ami.Repository, ami.Digest, ami.Platform
	}
	if !component.Supports(t.Component.SupportedOSVersions, tried.Base) {
		tried.Incompatible = true
		return images.Image{}, tried, nil
	}
	all, err := m.images.Images(ctx, repository, digest)
	if err != nil {
		return images.Image{}, tried, fmt.Errorf("opening the base image %s of %s: %w", digest, t.EntityID, err)
	}
	if len(all) != 1 {
		return images.Image{}, tried, fmt.Errorf("opening the base image %s of %s: it is an index of %d images", digest, t.EntityID, len(all))
	}
	if all[0].Architecture != runtime.GOARCH {
		tried.Failure = fmt.Sprintf("the product's AMI is of architecture %s, and the machines of this market run %s", all[0].Architecture, runtime.GOARCH)
	}
	return all[0], tried, nil
}

// publicBase is the newest public AMI of a system that the component supports;
// the zero AMI if there is none.
func (m *market) publicBase(ctx context.Context, t change.Trial) (images.AMI, error) {
	page, err := m.images.List(ctx, images.Query{
		Account: t.Seller.Account, ExecutableUsers: []string{"all"},
		Filters: map[string][]string{"state": {images.StateAvailable}, "architecture": {hostArchitecture()}},
	})
	if err != nil {
		return images.AMI{}, fmt.Errorf("looking for a public AMI to try %s on: %w", t.Component.ARN, err)
	}
	fit := slices.DeleteFunc(page.Images, func(a images.AMI) bool {
		return a.Platform == "" || !component.Supports(t.Component.SupportedOSVersions, a.Platform)
	})
	if len(fit) == 0 {
		return images.AMI{}, nil
	}
	return slices.MaxFunc(fit, func(a, b images.AMI) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	}), nil
}

// tidyTrials removes the logs of trials whose URLs have expired.
func (m *market) tidyTrials(ctx context.Context) error {
	return m.blobs.Each(ctx, trialLogs, func(name string, kept time.Time) error {
		if time.Since(kept) <= keepingLogs {
			return nil
		}
		return m.blobs.Delete(ctx, trialLogs, name)
	})
}

// ending passes on what is written and remembers the end of it.
type ending struct {
	to io.Writer

	mu   sync.Mutex // guards last
	last []byte
}

func (e *ending) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last = append(e.last, p[max(0, len(p)-trialTail):]...)
	e.last = e.last[max(0, len(e.last)-trialTail):]
	return e.to.Write(p)
}

// end is the remembered text, from the beginning of a line on where there is one.
func (e *ending) end() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	text := strings.ToValidUTF8(string(e.last), "")
	if _, rest, ok := strings.Cut(text, "\n"); ok && len(e.last) == trialTail && strings.TrimSpace(rest) != "" {
		text = rest
	}
	return strings.TrimSpace(text)
}
