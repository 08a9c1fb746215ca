package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/png" // decodes the logo
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"souk/server"
)

// DemoCommand shows a market at work.
type DemoCommand struct {
	Exit bool   `env:"-" help:"End after the last step: status 0 only if every step came out as it should."`
	Base string `env:"-" placeholder:"FILE" help:"Archive of a root file system of Debian on which a product is installed, or the word busybox (default: mmdebstrap makes one, else busybox)."`
	// Compute is as in server.Compute.
	Compute string `env:"-" enum:"auto,sandbox,none" default:"auto" placeholder:"auto|sandbox|none" help:"What runs installers: auto, sandbox or none (default auto)."`
}

// Run starts a market in a temporary folder, tells the story, and serves on
// until it is interrupted.
func (d *DemoCommand) Run(app *App) (err error) {
	// Who reads us may leave (souk demo | head): that ends the demo, after which
	// the folder is removed as always.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE) // a write fails then, and the process goes on
	defer signal.Stop(pipe)
	reading, leave := context.WithCancelCause(app.Ctx)
	defer leave(nil)
	out := &audience{out: app.Out, leave: leave}

	dir, err := os.MkdirTemp("", "souk-demo-")
	if err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	logo, err := demoLogo()
	if err != nil {
		return err
	}
	pictures, err := servePicture(logo)
	if err != nil {
		return err
	}
	defer pictures.close()

	market, err := server.New(app.Ctx, server.Config{
		Place:      server.Place{Data: filepath.Join(dir, "souk-data")},
		Listen:     "127.0.0.1:0",
		FetchAllow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},

		ChartCommand: renderer(),
		Drain:        time.Second, // what would be done yet is removed with all the rest
		Compute:      server.Compute{Compute: d.Compute, MachineProgram: true},
	})
	if err != nil {
		return fmt.Errorf("starting the market: %w", err)
	}
	serving, stop := context.WithCancel(context.WithoutCancel(app.Ctx))
	ended := make(chan error, 1)
	go func() { ended <- market.Run(serving) }()
	// The server drains before the folder goes. If it has ended by itself, that is why
	// a step has failed.
	defer func() {
		stop()
		why := <-ended
		if why != nil {
			err = errors.Join(err, fmt.Errorf("the market ended: %w", why))
		}
	}()

	tell := &teller{out: out, terminal: app.Terminal}
	began := time.Now()
	fmt.Fprintf(out, "%s\n\nA market is open at %s, in %s. Each step below is what you would type,\nand the market's answer. The AWS commands are said by the AWS SDK, as the AWS CLI says them.\n",
		tell.styled(bold, "Souk: a software marketplace that speaks AWS Marketplace's APIs"), market.URL(), dir)
	root, err := server.ReadCredentials(filepath.Join(dir, "souk-data"))
	if err != nil {
		return err
	}
	s := &story{
		tell: tell, host: strings.TrimPrefix(market.URL(), "http://"), logo: pictures.url,
		root:   newShopper(tell, "the root user of the market", market.URL(), root.AccessKeyID, root.SecretAccessKey, ""),
		market: server.Place{Data: filepath.Join(dir, "souk-data")},
		base:   d.Base,
		machines: func(ctx context.Context) error {
			_, err := market.Machines(ctx)
			return err
		},
	}
	err = s.tellAll(reading)
	if errors.Is(context.Cause(reading), errLeft) {
		return errFindings // nobody would read more
	}
	if app.Ctx.Err() != nil {
		return errors.New("the demo was interrupted")
	}
	if err != nil {
		tell.bad("%v", err)
		return fmt.Errorf("the demo did not come out as it should: %w", err)
	}
	fmt.Fprintf(out, "\n%s\n", tell.styled(bold, fmt.Sprintf("Every step came out as it should, in %.1f seconds.", time.Since(began).Seconds())))
	if d.Exit {
		return nil
	}
	fmt.Fprintf(out, whatNext, market.URL(), s.acme.id, s.acme.key, s.product, s.host, s.digest)
	select {
	case <-reading.Done():
		return nil
	case why := <-ended:
		ended <- why
		return errors.New("nobody has ended the market")
	}
}

const whatNext = `
The market is still open. In another shell, as the seller:

   export AWS_ENDPOINT_URL=%[1]s AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
   export AWS_ACCESS_KEY_ID=%[2]s
   export AWS_SECRET_ACCESS_KEY=%[3]s

   aws marketplace-catalog describe-entity --catalog AWSMarketplace \
       --entity-id %[4]s --endpoint-url %[1]s --region us-east-1
   docker login %[5]s --username $AWS_ACCESS_KEY_ID --password-stdin <<< "$AWS_SECRET_ACCESS_KEY"
   docker run %[5]s/acme/query@%[6]s

For a market that stays: souk serve, and souk help. Ctrl-C ends this one and removes it.
`

// errLeft is why a demo ends that nobody reads.
var errLeft = errors.New("nobody reads the demo")

// audience is what the demo is printed to. It ends the demo when that is closed.
type audience struct {
	out   io.Writer
	leave context.CancelCauseFunc
}

// Write implements io.Writer.
func (a *audience) Write(b []byte) (int, error) {
	n, err := a.out.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		a.leave(errLeft)
	}
	return n, err
}

// picture is a loopback server of one picture: where the seller keeps her logo.
type picture struct {
	url    string
	server *http.Server
}

func servePicture(content []byte) (*picture, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serving the logo: %w", err)
	}
	p := &picture{
		url: "http://" + l.Addr().String() + "/logo.png",
		server: &http.Server{
			ReadHeaderTimeout: 5 * time.Second,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "image/png")
				w.Write(content) // a client that has gone is no concern of ours
			}),
		},
	}
	go p.server.Serve(l) // ends with close
	return p, nil
}

func (p *picture) close() { p.server.Close() }

// fetchPicture looks whether a URL serves a picture.
func fetchPicture(ctx context.Context, url string) error {
	b, err := fetch(ctx, url)
	if err != nil {
		return err
	}
	_, _, err = image.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("%s is no picture: %w", url, err)
	}
	return nil
}

// fetch reads what a URL of the market serves, 10 MiB of it at most.
func fetch(ctx context.Context, url string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("reading %s: %s", url, response.Status)
	}
	b, err := io.ReadAll(io.LimitReader(response.Body, 10<<20))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", url, err)
	}
	return b, nil
}
