package assistant

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// What goes through a door is one request and one answer, each a line of JSON.

// Bounds of what goes through a door.
const (
	mostRequest = 24 << 20 // bytes: fifty applications with the largest icons, in base64
	mostTokens  = 10_000   // of a request: those with all tags and metadata
	mostAnswer  = 64 << 10
	mostWait    = 5 * time.Minute  // for the answer
	mostSilence = 30 * time.Second // until a request is there, and to take the answer
	mostLinger  = 2 * time.Second  // for the machine to tell its user
)

// ask sends a request to the host and returns its answer. The caller closes the
// connection once it has told its user: until then the host leaves the machine be.
func ask(ctx context.Context, knock Knock, r Request) (a Answer, hold io.Closer, err error) {
	ctx, end := context.WithTimeout(ctx, mostWait)
	defer end()
	conn, err := knock(ctx)
	if err != nil {
		return Answer{}, nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	a, err = exchange(conn, r)
	if err != nil {
		conn.Close()
		return Answer{}, nil, err
	}
	return a, conn, nil
}

// exchange sends a request and reads the answer.
func exchange(conn net.Conn, r Request) (Answer, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return Answer{}, fmt.Errorf("encoding the request: %w", err)
	}
	// The host may have answered and gone before it has read all.
	_, failed := conn.Write(append(line, '\n'))
	line, err = readLine(conn, mostAnswer)
	if err != nil {
		return Answer{}, fmt.Errorf("asking the machine's host: %w", errors.Join(failed, err))
	}
	var a Answer
	err = json.Unmarshal(line, &a)
	if err != nil {
		return Answer{}, fmt.Errorf("reading what the machine's host answered: %w", err)
	}
	return a, nil
}

// errTooLong says that a line does not end.
var errTooLong = errors.New("it is too long")

// readLine reads a line of at most a number of bytes.
func readLine(r io.Reader, most int64) ([]byte, error) {
	limited := &io.LimitedReader{R: r, N: most + 1}
	line, err := bufio.NewReader(limited).ReadBytes('\n')
	if err == nil {
		return line, nil
	}
	if limited.N == 0 {
		return nil, errTooLong
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return nil, err
}

// parseRequest reads a request that a machine has sent.
func parseRequest(line []byte) (Request, error) {
	if !few(line) {
		return Request{}, refuse("The request has too many members")
	}
	var r Request
	err := json.Unmarshal(line, &r, json.RejectUnknownMembers(true))
	if err != nil {
		return Request{}, refuse("The request is not understood")
	}
	err = r.check()
	if err != nil {
		return Request{}, err
	}
	if r.Operation != CreateImage {
		return Request{Operation: r.Operation}, nil
	}
	for i := range r.Applications {
		a := &r.Applications[i]
		a.Icon, err = takeIcon(a.Icon)
		if err != nil {
			return Request{}, refuse("Invalid icon (absolute-icon-path)")
		}
	}
	return r, nil
}

// few says whether a text of JSON has no more in it than a request may have. Read as
// one, "{}," of three bytes is an application of many more.
func few(line []byte) bool {
	d := jsontext.NewDecoder(bytes.NewBuffer(line))
	for range mostTokens {
		_, err := d.ReadToken()
		if err != nil {
			return true // its end; who reads it as a request says what is wrong
		}
	}
	return false
}

// Serve is the host's end of one connection through the door of a machine: it
// reads a request, has it done, answers, and closes the connection. Whatever comes
// in is bounded in size and time. The error is for the log alone: the machine has
// been told, or has gone.
//
// A handler that wants the machine stopped has it done when Answered says so: else
// nobody inside would see the answer.
func Serve(ctx context.Context, conn net.Conn, do Handler) error {
	defer conn.Close()
	ctx, end := context.WithTimeout(ctx, mostWait)
	defer end()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	r, err := receive(conn)
	if is, ok := err.(refusal); ok {
		return send(conn, Answer{Refused, is.Error()})
	}
	if err != nil {
		return fmt.Errorf("reading what a machine asks for: %w", err)
	}
	answered := make(chan struct{})
	defer close(answered)
	a := do(context.WithValue(ctx, answeredKey{}, (<-chan struct{})(answered)), r)
	a.Message = strings.ToValidUTF8(a.Message, "?")
	err = send(conn, a)
	if err != nil {
		return fmt.Errorf("answering a machine that asked for %s: %w", r.Operation, err)
	}
	// The machine closes its end when it has told its user, or soon enough.
	err = conn.SetReadDeadline(time.Now().Add(mostLinger))
	if err == nil {
		_, _ = conn.Read(make([]byte, 1))
	}
	return nil
}

type answeredKey struct{}

// Answered is closed when the machine has what a handler, which was given ctx, has
// answered, and at the latest some seconds after the handler has returned. It is
// nil for the context of anybody else.
func Answered(ctx context.Context) <-chan struct{} {
	answered, _ := ctx.Value(answeredKey{}).(<-chan struct{})
	return answered
}

func receive(conn net.Conn) (Request, error) {
	err := conn.SetReadDeadline(time.Now().Add(mostSilence))
	if err != nil {
		return Request{}, err
	}
	line, err := readLine(conn, mostRequest)
	if errors.Is(err, errTooLong) {
		return Request{}, refuse("The request is too long")
	}
	if err != nil {
		return Request{}, err
	}
	return parseRequest(line)
}

func send(conn net.Conn, a Answer) error {
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	err = conn.SetWriteDeadline(time.Now().Add(mostSilence))
	if err != nil {
		return err
	}
	_, err = conn.Write(append(line, '\n'))
	return err
}
