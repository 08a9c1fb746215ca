package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"souk/gateway/sigv4"
)

// The floors are servers that do less than any server of this kind can: what
// Souk needs beyond them is Souk's own. They run as processes of their own, as
// Souk does, so that the client shares no runtime with them.
const (
	floorPlain  = "plain"  // net/http with a constant body
	floorSigned = "signed" // the same, and the signature of each request is verified
)

// serveFloor is the body of a floor's process. It prints its address and
// serves until it is killed.
func serveFloor(kind string, size int, accessKeyID, secret string) error {
	body := bytes.Repeat([]byte("x"), size)
	var verifier sigv4.Verifier
	handler := func(w http.ResponseWriter, r *http.Request) {
		if kind == floorSigned {
			sent, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			var auth sigv4.Auth
			err = verifier.Parse(r, time.Now(), &auth)
			if err == nil && auth.AccessKeyID != accessKeyID {
				err = fmt.Errorf("unknown key %s", auth.AccessKeyID)
			}
			if err == nil {
				err = verifier.Verify(r, &auth, secret, sent, sigv4.Signed)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusForbidden)
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = w.Write(body) // the client's connection: its own loss
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, http.HandlerFunc(handler))
}

// floor is a floor's process.
type floor struct {
	address string
	process *exec.Cmd
}

// startFloor starts this binary as a floor.
func startFloor(kind string, size int, accessKeyID, secret string) (*floor, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("starting the floor %s: %w", kind, err)
	}
	p := exec.Command(self, "-floor", kind, "-size", strconv.Itoa(size), "-key", accessKeyID)
	p.Env = append(os.Environ(), "BENCH_SECRET="+secret)
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the floor %s: %w", kind, err)
	}
	err = p.Start()
	if err != nil {
		return nil, fmt.Errorf("starting the floor %s: %w", kind, err)
	}
	f := &floor{process: p}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		f.stop()
		return nil, fmt.Errorf("starting the floor %s: it printed no address: %w", kind, err)
	}
	f.address = strings.TrimSpace(line)
	return f, nil
}

// stop ends the process.
func (f *floor) stop() {
	_ = f.process.Process.Kill() // it may have ended by itself
	_ = f.process.Wait()         // how it ended doesn't matter
}
