package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"souk/artifact/appstream/session"
	"souk/artifact/machine"
)

// studio is a market with a public image from which image builders are made.
type studio struct {
	*shop
	deb []byte // the package that is installed
}

// Names in the studio.
const (
	studioImage = "bench-base"
	studioType  = "stream.standard.small"
)

// newStudio starts a market, imports the base, and makes an image builder once, so
// that the layers are warm.
func (b *bench) newStudio(ctx context.Context, base string) (*studio, error) {
	var deb bytes.Buffer
	err := writeDeb(&deb)
	if err != nil {
		return nil, err
	}
	m, err := b.newMarket("imagebuilders", "")
	if err != nil {
		return nil, err
	}
	opened, err := m.open()
	if err != nil {
		return nil, err
	}
	s := &studio{opened, deb.Bytes()}
	_, err = importImage(ctx, s.root, base, studioImage, "--public", "--appstream", "public")
	if err == nil {
		_, err = s.create(ctx, "warm")
	}
	if err == nil {
		err = s.change(ctx, "DeleteImageBuilder", "warm", gone)
	}
	if err == nil {
		err = s.rest(ctx)
	}
	return s, err
}

// ask calls an operation of AppStream; out may be nil.
func (s *studio) ask(ctx context.Context, operation string, in, out any) error {
	return s.call(ctx, "appstream", "POST", "/", "PhotonAdminProxyService."+operation, in, out)
}

// shownBuilder is what DescribeImageBuilders shows.
type shownBuilder struct {
	Name, State       string
	StateChangeReason struct{ Message string }
}

// all shows the image builders, or those of some names.
func (s *studio) all(ctx context.Context, names ...string) (all []shownBuilder, err error) {
	in := map[string]any{}
	if len(names) > 0 {
		in["Names"] = names
	}
	for {
		var page struct {
			ImageBuilders []shownBuilder
			NextToken     string
		}
		err = s.ask(ctx, "DescribeImageBuilders", in, &page)
		all = append(all, page.ImageBuilders...)
		if err != nil || page.NextToken == "" {
			return all, err
		}
		in["NextToken"] = page.NextToken
	}
}

// States of image builders and images; gone is that of what is not there.
const (
	running   = "RUNNING"
	stopped   = "STOPPED"
	failed    = "FAILED"
	available = "AVAILABLE"
	gone      = "gone"
)

// looking is the pause between two looks at an image builder or an image.
const looking = 2 * time.Millisecond

// reach waits until image builders, those of some names or all, are in a state. One
// that is FAILED, or STOPPED where it is to run, is a failure.
func (s *studio) reach(ctx context.Context, state string, names ...string) error {
	return until(ctx, looking, func() (bool, error) {
		shown, err := s.all(ctx, names...)
		if state == gone && notFound(err) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if len(shown) == 0 && state != gone {
			return false, fmt.Errorf("there are no image builders, want %s ones", state)
		}
		there := 0
		for _, is := range shown {
			if is.State == failed || is.State == stopped && state == running {
				return false, fmt.Errorf("image builder %s is %s: %s", is.Name, is.State, is.StateChangeReason.Message)
			}
			if is.State == state {
				there++
			}
		}
		return there == len(shown), nil
	})
}

// begin asks for an image builder.
func (s *studio) begin(ctx context.Context, name string) error {
	return s.ask(ctx, "CreateImageBuilder", map[string]any{
		"Name": name, "InstanceType": studioType, "ImageName": studioImage, "EnableDefaultInternetAccess": false,
	}, nil)
}

// create makes an image builder, from the request until it is RUNNING.
func (s *studio) create(ctx context.Context, name string) (time.Duration, error) {
	began := time.Now()
	err := s.begin(ctx, name)
	if err == nil {
		err = s.reach(ctx, running, name)
	}
	return time.Since(began), err
}

// change has an image builder stopped, started or deleted, until it is in the state
// that comes of it.
func (s *studio) change(ctx context.Context, operation, name, state string) error {
	err := s.ask(ctx, operation, map[string]any{"Name": name}, nil)
	if err == nil {
		err = s.reach(ctx, state, name)
	}
	return err
}

// stopAndStart stops an image builder and starts it again, each until its state.
func (s *studio) stopAndStart(ctx context.Context, name string) (time.Duration, error) {
	began := time.Now()
	err := s.change(ctx, "StopImageBuilder", name, stopped)
	if err == nil {
		err = s.change(ctx, "StartImageBuilder", name, running)
	}
	return time.Since(began), err
}

// exec runs a program in an image builder, as souk exec does, from the question for
// a session until its end.
func (s *studio) exec(ctx context.Context, name string, in io.Reader, args ...string) (time.Duration, error) {
	began := time.Now()
	var opened struct{ URL, Ticket string }
	err := s.ask(ctx, "OpenImageBuilderSession", map[string]any{"Name": name, "Kind": session.Command, "Program": args[0]}, &opened)
	if err != nil {
		return 0, err
	}
	conn, err := session.Dial(ctx, nil, opened.URL, opened.Ticket)
	if err != nil {
		return 0, err
	}
	var said strings.Builder
	exit, err := session.Run(ctx, conn, session.Start{Args: args}, session.Streams{In: in, Out: &said, Err: &said})
	took := time.Since(began)
	if err == nil && exit != (machine.Exit{}) {
		err = fmt.Errorf("%s in image builder %s ended with %d\n%s", strings.Join(args, " "), name, exit.Code, said.String())
	}
	return took, err
}

// install installs the package in an image builder.
func (s *studio) install(ctx context.Context, name string) error {
	_, err := s.exec(ctx, name, bytes.NewReader(s.deb), "sh", "-c", "cat >/root/tool.deb && dpkg -i /root/tool.deb && rm /root/tool.deb && sync")
	return err
}

// image makes an image of an image builder, from the command inside until it is
// AVAILABLE, and deletes it.
func (s *studio) image(ctx context.Context, name, image string) (time.Duration, error) {
	began := time.Now()
	_, err := s.exec(ctx, name, nil, "image-assistant", "create-image", "--name", image)
	if err != nil {
		return 0, err
	}
	err = until(ctx, looking, func() (bool, error) {
		var page struct {
			Images []struct {
				State             string
				StateChangeReason struct{ Message string }
			}
		}
		err := s.ask(ctx, "DescribeImages", map[string]any{"Names": []string{image}}, &page)
		if err != nil {
			return false, err
		}
		if len(page.Images) != 1 {
			return false, fmt.Errorf("%d images are shown as %s", len(page.Images), image)
		}
		is := page.Images[0]
		if is.State == failed {
			return false, fmt.Errorf("image %s is %s: %s", image, is.State, is.StateChangeReason.Message)
		}
		return is.State == available, nil
	})
	took := time.Since(began)
	if err == nil {
		err = s.reach(ctx, stopped, name) // as it is after that
	}
	if err == nil {
		err = s.ask(ctx, "DeleteImage", map[string]any{"Name": image}, nil)
	}
	return took, err
}
