package agent

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/fstest"
	"time"

	"souk/artifact/machine"
	"souk/artifact/machine/frame"
)

// FuzzHost gives a host what an agent may never say. It must neither panic nor keep
// a program waiting.
func FuzzHost(f *testing.F) {
	hello := frame.Numbered.Append(nil, kindHello, 0, []byte{protocolVersion})
	f.Add(hello)
	f.Add(frame.Numbered.Append(bytes.Clone(hello), kindExit, 1, []byte(`{"code":3}`)))
	f.Add(frame.Numbered.Append(bytes.Clone(hello), kindExit, 1, []byte(`{"code":-1}`)))
	f.Add(frame.Numbered.Append(bytes.Clone(hello), kindData, 1, []byte{channelOut}, make([]byte, 1000)))
	f.Add(frame.Numbered.Append(bytes.Clone(hello), kindData, 1, []byte{9}))
	f.Add(frame.Numbered.Append(bytes.Clone(hello), frame.Window, 1, binary.BigEndian.AppendUint32(nil, 1)))
	f.Add(frame.Numbered.Append(bytes.Clone(hello), kindOpen, fromAgent|1, []byte{0}))
	f.Add(frame.Numbered.Append(frame.Numbered.Append(bytes.Clone(hello), kindOpen, fromAgent|1, []byte{1}), kindData, fromAgent|1, []byte{0}, []byte("GET")))
	f.Add([]byte("no frames at all, but enough text for a head"))
	f.Fuzz(func(t *testing.T, said []byte) {
		ours, theirs := net.Pipe()
		h := NewHost(HostConfig{Conn: ours, Proxy: func(c net.Conn) { c.Close() }, Door: func(c net.Conn) { _, _ = io.Copy(c, c); c.Close() }})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			// A program has been asked for when the rest is said.
			_, _ = h.Exec(context.Background(), machine.Cmd{Args: []string{"x"}, Stdout: io.Discard})
		}()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		_, _ = theirs.Write(said)
		theirs.Close()
		<-ended
		<-h.Done()
	})
}

func TestAnAgentThatIsSilentDoesNotHoldUpItsHost(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	h := NewHost(HostConfig{Conn: ours})
	defer h.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := h.Ready(ctx)
	if !errors.Is(err, machine.ErrNoAgent) {
		t.Errorf("ready: got %v", err)
	}
	why := errors.New("enough")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(why)
	_, err = h.Exec(ctx, machine.Cmd{Args: []string{"x"}})
	if !errors.Is(err, why) {
		t.Errorf("exec: got %v, want the context's cause", err)
	}
}

func TestMoreThanTheWindowEndsTheConnection(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	started := make(chan struct{})
	h := NewHost(HostConfig{Conn: ours, Prepare: func(uint32) (func(), func(), error) { close(started); return func() {}, func() {}, nil }})
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	held, release := io.Pipe()
	go func() {
		<-started
		_, _ = theirs.Write(frame.Numbered.Append(nil, kindHello, 0, []byte{protocolVersion}))
		for range 2*window/frame.Max + 2 {
			_, err := theirs.Write(frame.Numbered.Append(nil, kindData, 1, []byte{channelOut}, make([]byte, frame.Max-1)))
			if err != nil {
				break
			}
		}
		<-h.Done()
		held.Close()
	}()
	_, err := h.Exec(t.Context(), machine.Cmd{Args: []string{"x"}, Stdout: release}) // takes nothing
	if err == nil {
		t.Error("a program ended well")
	}
}

func FuzzLookupUser(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/sh\n", "root:x:0:\n", "root")
	f.Add("a:x:1:1::/:\n", "b:x:2:a,b\n", "a:b")
	f.Add("::::::\n", ":::\n", ":")
	f.Add("a:x:99999999999:1::/:\n", "", "1")
	f.Fuzz(func(t *testing.T, passwd, group, spec string) {
		root := fstest.MapFS{"etc/passwd": {Data: []byte(passwd)}, "etc/group": {Data: []byte(group)}}
		u, err := lookupUser(root, spec)
		if err == nil && len(u.groups) > 65 {
			t.Errorf("%d groups", len(u.groups))
		}
	})
}

// An agent that opens a number again has the connection that it opened last, and what
// served the first one ends without it.
func TestConnectionWithTheNumberOfOneThatWasClosed(t *testing.T) {
	t.Parallel()
	h := &Host{conns: map[uint32]*pipe{}}
	first, second := &pipe{}, &pipe{}
	h.conns[fromAgent|1] = second
	h.closeConn(fromAgent|1, first)
	if h.conns[fromAgent|1] != second {
		t.Error("the second connection was forgotten with the first")
	}
	h.closeConn(fromAgent|1, second)
	if len(h.conns) != 0 {
		t.Error("a connection that was closed is known still")
	}
}
