package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"souk/access/organization"
	"souk/access/quota"
	"souk/artifact/appstream/image"
	"souk/artifact/appstream/instancetype"
	"souk/artifact/images"
	"souk/artifact/installer"
	"souk/artifact/machine"
)

// This file joins AppStream's images with the rooms that they know nothing of: whose
// repository is which, roles, products and who may obtain them, machines.

// ImageKeeping is what AppStream images may take.
type ImageKeeping struct {
	// AppStreamImages is how many AppStream images an account may have in a region
	// (LimitExceededException beyond). Default: 50.
	AppStreamImages int `name:"appstream-images" placeholder:"N" help:"AppStream images that an account may have in a region (default 50)."`
}

// filled returns the settings with their defaults.
func (k ImageKeeping) filled() ImageKeeping {
	k.AppStreamImages = cmp.Or(k.AppStreamImages, image.DefaultImages)
	return k
}

// numbers are the settings with what is allowed of them.
func (k ImageKeeping) numbers() []number {
	return []number{{"appstream-images", k.AppStreamImages, k.AppStreamImages < 1, "1 or more"}}
}

// imageKeeping is what a market has AppStream images with.
type imageKeeping struct {
	appImages  *image.Images
	appChanged func(image.Event) // observes them; nil: nobody does
}

// appRoles are the roles that are given with images.
type appRoles struct{ organization *organization.Organization }

// May implements image.Roles.
func (r appRoles) May(ctx context.Context, account, arn, action, resource string) (there, allowed bool, err error) {
	return r.organization.RoleAllows(ctx, account, arn, appStream, action, resource)
}

// joinAppImages makes the AppStream images. AMIs, blobs and machines are there
// already; the image builders are asked, and may be made later.
func (m *market) joinAppImages(config Config, node string) error {
	c := image.Config{
		Store: m.store, AMIs: m.images, Blobs: m.blobs, Keys: m.ring, Roles: appRoles{m.organization},
		Repository: func(ctx context.Context, account string) (string, error) {
			owner, err := m.seller(ctx, account)
			if err != nil {
				return "", err
			}
			return m.images.AppStreamRepository(ctx, owner)
		},
		Export: m.derive,
		Management: func(ctx context.Context) (string, error) {
			info, err := m.organization.Info(ctx)
			return info.Management, err
		},
		InUse: func(ctx context.Context, i image.Image) (string, error) {
			if m.builders == nil {
				return "", nil
			}
			return m.builders.InUse(ctx, i)
		},
		MayUse: func(ctx context.Context, account string, i image.Image) (string, error) {
			return m.mayUse(ctx, account, images.AMI{Owner: i.Owner, ProductCodes: i.Codes})
		},
		Instance: func(name string) bool {
			t, ok := instancetype.Lookup(name)
			return ok && !t.Graphics
		},
		Observe:      m.appChanged,
		AgentVersion: agentVersion(config), Architecture: hostArchitecture(),
		Limits: func(account string) image.Limits {
			if config.Quota == "off" {
				return image.Limits{Images: -1, Exports: -1}
			}
			return image.Limits{Images: m.quotas.Limit(account, quota.AppStreamImages, config.AppStreamImages)}
		},
		Node: node, History: config.History, Log: config.Log,
	}
	if m.compute != nil && m.compute.Provider != nil {
		c.Boots = m.bootsImage
	}
	var err error
	m.appImages, err = image.New(crashAppImages(c))
	return err
}

// tryPurpose begins the purpose of machines in which images are tried.
const tryPurpose = "try of image "

// cleanTries removes the machines of tries that an earlier process did not end.
func (m *market) cleanTries(ctx context.Context) error {
	if m.compute == nil || m.compute.Provider == nil {
		return nil
	}
	all, err := m.machines.List(ctx)
	for _, one := range all {
		if strings.HasPrefix(one.Purpose, tryPurpose) {
			err = errors.Join(err, m.machines.Delete(ctx, one.ID))
		}
	}
	if err != nil {
		return fmt.Errorf("removing machines in which images were tried: %w", err)
	}
	return nil
}

// bootsImage starts a machine of an image and removes it.
func (m *market) bootsImage(ctx context.Context, i image.Image, instance string) (err error) {
	only, err := m.images.Only(ctx, i.Place)
	if err != nil {
		return err
	}
	id := "try-" + i.ID
	defer func() {
		gone := m.machines.Delete(context.WithoutCancel(ctx), id)
		if err == nil && gone != nil {
			err = fmt.Errorf("deleting machine %s: %w", id, gone)
		}
	}()
	err = m.machines.Delete(ctx, id) // of a try that was cut short
	if err != nil {
		return fmt.Errorf("deleting machine %s: %w", id, err)
	}
	t, _ := instancetype.Lookup(instance)
	err = m.machines.Create(ctx, id, machine.Spec{Layers: only.Layers, Memory: t.Memory, CPU: t.CPU, Purpose: tryPurpose + i.Name})
	if err == nil {
		err = m.machines.Start(ctx, id)
	}
	switch {
	case errors.Is(err, machine.ErrBadImage), errors.Is(err, machine.ErrNoAgent):
		return &image.Unbootable{Reason: strings.TrimSuffix(err.Error(), ".") + "."}
	case errors.Is(err, machine.ErrUnsupported), errors.Is(err, installer.ErrNoMachines):
		if instance != "" {
			return &image.Unbootable{Reason: "this market can't run machines at present. Ask its operator."}
		}
		return nil // nobody can try; the layers were read
	case err != nil:
		return fmt.Errorf("starting machine %s: %w", id, err)
	}
	return m.machines.Stop(ctx, id)
}

// observeAppImages counts the changes of state of AppStream images and exports on
// this node.
func observeAppImages(r prometheus.Registerer) func(image.Event) {
	changes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "souk_appstream_image_changes_total",
		Help: "Changes of AppStream images (what: image) and export tasks (what: export) on this node, by the state after (none of one that was deleted) and the code of its reason.",
	}, []string{"what", "state", "code"})
	r.MustRegister(changes)
	return func(e image.Event) {
		what := "image"
		if e.Task {
			what = "export"
		}
		changes.WithLabelValues(what, e.State, e.Code).Inc()
	}
}

// appImageStates counts the market's AppStream images whenever somebody asks.
type appImageStates struct {
	images *image.Images
	states *prometheus.Desc
}

// measureAppImages says how many AppStream images are in each state.
func measureAppImages(r prometheus.Registerer, all *image.Images) {
	r.MustRegister(appImageStates{all, prometheus.NewDesc("souk_appstream_images", "AppStream images of the market by their state.", []string{"state"}, nil)})
}

// Describe implements prometheus.Collector.
func (s appImageStates) Describe(out chan<- *prometheus.Desc) { out <- s.states }

// Collect implements prometheus.Collector. Where the database does not answer in
// time nothing is told.
func (s appImageStates) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	count, err := s.images.Count(ctx)
	if err != nil {
		return
	}
	for _, state := range image.States() {
		out <- prometheus.MustNewConstMetric(s.states, prometheus.GaugeValue, float64(count[state]), string(state))
	}
}
