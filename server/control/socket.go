package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
)

// socketName is the socket's name in a data folder.
const socketName = "souk.sock"

// ErrNoServer says that no server listens on a data folder's socket.
var ErrNoServer = errors.New("no server runs on this data folder")

// Listen makes the socket of a data folder, mode 0600. The caller must hold the
// folder's lock: a socket that is there was left by a server that died, and is
// replaced. The socket has its mode before it has its name, so that nobody
// reaches it in between.
func Listen(dataDir string) (net.Listener, error) {
	name := filepath.Join(dataDir, socketName)
	fresh := name + ".new"
	err := os.Remove(fresh)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("making the control socket: %w", err)
	}
	l, err := inFolder(dataDir, socketName+".new", func(address string) (net.Listener, error) {
		return net.Listen("unix", address)
	})
	if err != nil {
		return nil, fmt.Errorf("making the control socket: %w", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // it would remove the name that it was made with
	err = os.Chmod(fresh, 0o600)
	if err == nil {
		err = os.Rename(fresh, name)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making the control socket: %w", err), l.Close())
	}
	return &listener{Listener: l, name: name}, nil
}

// listener removes its socket when it is closed.
type listener struct {
	net.Listener
	name string
}

func (l *listener) Close() error {
	err := os.Remove(l.name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.Listener.Close())
}

// maxAddress is how long the address of a socket may be: 108 bytes with a zero
// on Linux, 104 elsewhere.
const maxAddress = 100

// inFolder calls f with an address of a socket in a folder. Where the path is
// too long for an address, it goes by way of the open folder in /proc.
func inFolder[T any](dir, name string, f func(address string) (T, error)) (T, error) {
	address := filepath.Join(dir, name)
	if len(address) <= maxAddress {
		return f(address)
	}
	d, err := os.Open(dir)
	if err != nil {
		var none T
		return none, err
	}
	defer d.Close()
	return f(filepath.Join("/proc/self/fd", strconv.Itoa(int(d.Fd())), name))
}

// Serve answers on the socket with a server, whose handler is a Door, until ctx
// ends, then lets the calls under way end, for at most a few seconds. It closes
// the listener. What clients may take of the server is the server's to say.
func Serve(ctx context.Context, server *http.Server, l net.Listener) error {
	done := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		done <- errors.Join(server.Shutdown(last), server.Close())
	})
	err := server.Serve(l)
	if stop() { // it ended by itself
		return fmt.Errorf("serving the control socket: %w", errors.Join(err, l.Close()))
	}
	return <-done
}

// Client asks a running server.
type Client struct {
	http *http.Client
}

// Dial finds the server of a data folder. The error is ErrNoServer if there is none.
func Dial(ctx context.Context, dataDir string) (*Client, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return inFolder(dataDir, socketName, func(address string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", address)
		})
	}
	conn, err := dial(ctx, "", "")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNoServer
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to the server of %s: %w", dataDir, err)
	}
	conn.Close()
	return &Client{http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}, nil
}

// Call implements Caller.
func (c *Client) Call(ctx context.Context, name string, in, out any) error {
	text, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encoding the input of %s: %w", name, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://souk"+path+name, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("asking the server for %s: %w", name, err)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("asking the server for %s: %w", name, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("reading the server's answer to %s: %w", name, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("asking the server for %s: %s: %s", name, answer.Status, bytes.TrimSpace(body))
	}
	return decodeReply(name, body, out)
}
