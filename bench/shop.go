package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// shop is a running market, and the seller with its first key, who asks it.
type shop struct {
	*market
	root *seller.Seller
}

// open starts the market.
func (m *market) open() (*shop, error) {
	_, err := m.start()
	if err != nil {
		return nil, err
	}
	root, err := m.root()
	if err != nil {
		return nil, err
	}
	return &shop{m, root}, nil
}

// refusal is an answer that is no success.
type refusal struct {
	call string
	seller.Answer
}

// Error implements error.
func (r *refusal) Error() string {
	return fmt.Sprintf("%s: status %d: %s", r.call, r.Status, r.Body)
}

// notFound says that what was asked for is not there.
func notFound(err error) bool {
	var no *refusal
	var body struct {
		Type string `json:"__type"`
	}
	return errors.As(err, &no) && json.Unmarshal([]byte(no.Body), &body) == nil && body.Type == "ResourceNotFoundException"
}

// call sends a signed request with a JSON body; target is the header
// X-Amz-Target, "" where the path says what is wanted. out is nil where only
// success matters. An answer that is none is a *refusal.
func (s *shop) call(ctx context.Context, service, method, path, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, s.root.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if target != "" {
		request.Header.Set("Content-Type", "application/x-amz-json-1.1")
		request.Header.Set("X-Amz-Target", target)
	}
	err = s.root.SignFor(request, string(body), service, time.Now())
	if err != nil {
		return err
	}
	answer, err := s.root.Send(request)
	if err != nil {
		return err
	}
	call := strings.TrimSpace(method + " " + path + " " + target)
	if answer.Status != http.StatusOK {
		return &refusal{call, answer}
	}
	if out == nil {
		return nil
	}
	err = json.Unmarshal([]byte(answer.Body), out)
	if err != nil {
		return fmt.Errorf("reading the answer to %s: %w", call, err)
	}
	return nil
}

// rest waits until the server does nothing any more: until what it does after an
// answer, such as the scan of a new image, is done.
func (s *shop) rest(ctx context.Context) error {
	const quiet = 3 // looks in a row at which it has done nothing
	before, still := time.Duration(-1), 0
	return until(ctx, 100*time.Millisecond, func() (bool, error) {
		used, err := cpu(s.PID())
		still++
		if used > before {
			before, still = used, 0
		}
		return still == quiet, err
	})
}

// until looks, and looks again after a pause, until what is looked for has come.
func until(ctx context.Context, pause time.Duration, look func() (bool, error)) error {
	tick := time.NewTicker(pause)
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

// clientCommand runs a command of souk as people do, with a key, and returns
// what it printed.
func clientCommand(ctx context.Context, as *seller.Seller, args ...string) (string, error) {
	binary, err := souktest.Binary("")
	if err != nil {
		return "", err
	}
	c := exec.CommandContext(ctx, binary, args...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // it removes what it has made
	c.WaitDelay = 10 * time.Second
	c.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+as.URL, "AWS_REGION="+as.Region, "AWS_ACCESS_KEY_ID="+as.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+as.SecretAccessKey, "AWS_SESSION_TOKEN=")
	var problems bytes.Buffer
	c.Stderr = &problems
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("souk %s: %w\n%s", strings.Join(args, " "), err, problems.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// importImage makes an AMI of a root file system, by the command that people use.
func importImage(ctx context.Context, as *seller.Seller, path, name string, options ...string) (ami string, err error) {
	return clientCommand(ctx, as, append([]string{"image", "import", path, "--name", name, "--arch", architecture()}, options...)...)
}
