package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"souk/artifact/appstream/session"
	"souk/artifact/machine"
)

// studio is a market with a public image from which image builders are made.
type studio struct {
	*builder
	deb []byte // the package that is installed
}

// Names in the studio.
const (
	studioImage = "bench-base"
	studioType  = "stream.standard.small"
)

// newStudio starts a market, imports the base, and makes an image builder once, so
// that the layers are warm.
func (b *bench) newStudio(ctx context.Context, base string) (_ *studio, err error) {
	folder := filepath.Join(b.folder, "imagebuilders")
	err = os.Mkdir(folder, 0o700)
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	m, err := newMarket(folder, "")
	if err != nil {
		return nil, err
	}
	_, err = m.start()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Stop())
		}
	}()
	root, err := m.root()
	if err != nil {
		return nil, err
	}
	s := &studio{builder: &builder{market: m, root: root}}
	var deb bytes.Buffer
	err = writeDeb(&deb)
	if err != nil {
		return nil, err
	}
	s.deb = deb.Bytes()
	_, err = clientCommand(ctx, root, "image", "import", base, "--name", studioImage, "--arch", architecture(), "--public", "--appstream", "public")
	if err == nil {
		_, err = s.create(ctx, "warm")
	}
	if err == nil {
		_, err = s.remove(ctx, "warm")
	}
	if err == nil {
		err = s.rest(ctx)
	}
	return s, err
}

// ask calls an operation of AppStream.
func (s *studio) ask(ctx context.Context, operation string, in, out any) error {
	return s.call(ctx, "appstream", "POST", "/", "PhotonAdminProxyService."+operation, in, out)
}

// looking is the pause between two looks at an image builder.
const looking = 2 * time.Millisecond

// until looks until what is looked for has come.
func until(ctx context.Context, look func() (bool, error)) error {
	tick := time.NewTicker(looking)
	defer tick.Stop()
	for {
		there, err := look()
		if there || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// shownBuilder is what DescribeImageBuilders shows.
type shownBuilder struct {
	Name, State       string
	StateChangeReason struct{ Code, Message string }
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

// reaches waits until an image builder is in a state. FAILED, and STOPPED where that
// is not awaited, are failures.
func (s *studio) reaches(ctx context.Context, name, state string) error {
	return until(ctx, func() (bool, error) {
		shown, err := s.all(ctx, name)
		if err != nil {
			return false, err
		}
		is := shown[0]
		if is.State != state && (is.State == "FAILED" || is.State == "STOPPED") {
			return false, fmt.Errorf("image builder %s is %s: %s", name, is.State, is.StateChangeReason.Message)
		}
		return is.State == state, nil
	})
}

// create makes an image builder, from the request until it is RUNNING.
func (s *studio) create(ctx context.Context, name string) (time.Duration, error) {
	began := time.Now()
	err := s.begin(ctx, name)
	if err == nil {
		err = s.reaches(ctx, name, "RUNNING")
	}
	return time.Since(began), err
}

// begin asks for an image builder.
func (s *studio) begin(ctx context.Context, name string) error {
	return s.ask(ctx, "CreateImageBuilder", map[string]any{
		"Name": name, "InstanceType": studioType, "ImageName": studioImage, "EnableDefaultInternetAccess": false,
	}, &struct{}{})
}

// change has an image builder stopped or started, until it is in the state that
// comes of it.
func (s *studio) change(ctx context.Context, operation, name, state string) error {
	err := s.ask(ctx, operation, map[string]any{"Name": name}, &struct{}{})
	if err != nil {
		return err
	}
	return until(ctx, func() (bool, error) {
		shown, err := s.all(ctx, name)
		if err == nil && shown[0].State == "FAILED" {
			err = fmt.Errorf("image builder %s is FAILED after %s: %s", name, operation, shown[0].StateChangeReason.Message)
		}
		return err == nil && shown[0].State == state, err
	})
}

// stopAndStart stops an image builder and starts it again, each until its state.
func (s *studio) stopAndStart(ctx context.Context, name string) (time.Duration, error) {
	began := time.Now()
	err := s.change(ctx, "StopImageBuilder", name, "STOPPED")
	if err == nil {
		err = s.change(ctx, "StartImageBuilder", name, "RUNNING")
	}
	return time.Since(began), err
}

// gone says that an image builder, or an image, is no more.
func gone(err error) bool {
	return err != nil && strings.Contains(err.Error(), "ResourceNotFoundException")
}

// remove deletes an image builder until it is gone.
func (s *studio) remove(ctx context.Context, name string) (time.Duration, error) {
	began := time.Now()
	err := s.ask(ctx, "DeleteImageBuilder", map[string]any{"Name": name}, &struct{}{})
	if err != nil {
		return 0, err
	}
	err = until(ctx, func() (bool, error) {
		_, err := s.all(ctx, name)
		if gone(err) {
			return true, nil
		}
		return false, err
	})
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
	err = until(ctx, func() (bool, error) {
		var page struct {
			Images []struct {
				State             string
				StateChangeReason struct{ Code, Message string }
			}
		}
		err := s.ask(ctx, "DescribeImages", map[string]any{"Names": []string{image}}, &page)
		if err == nil && page.Images[0].State == "FAILED" {
			err = fmt.Errorf("image %s is FAILED: %s", image, page.Images[0].StateChangeReason.Message)
		}
		return err == nil && page.Images[0].State == "AVAILABLE", err
	})
	took := time.Since(began)
	if err == nil {
		err = s.change(ctx, "StopImageBuilder", name, "STOPPED") // it is, or is about to be
	}
	if err == nil {
		err = s.ask(ctx, "DeleteImage", map[string]any{"Name": image}, &struct{}{})
	}
	return took, err
}
