package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"

	"souk/artifact/appstream/session"
)

// This file is what souk connect, souk exec and souk cp have in common: the way
// into the machine of an image builder.

// statusError ends the process with a status of its own. The text, if there is
// one, is printed as that of other errors.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("the program ended with status %d", e.status)
	}
	return e.err.Error()
}

func (e *statusError) Unwrap() error { return e.err }

// exitRefused is the status where souk itself could not run a program in an image
// builder, as docker has it: no usual program ends with it.
const exitRefused = 125

// openSession is what OpenImageBuilderSession is asked.
type openSession struct {
	Name    string
	Kind    session.Kind
	Program string `json:",omitempty"`
	User    string `json:",omitempty"`
}

// session begins a session in the machine of an image builder.
func (m *remoteMarket) session(ctx context.Context, in openSession) (io.ReadWriteCloser, error) {
	var opened struct{ URL, Ticket string }
	err := m.json(ctx, "appstream", "PhotonAdminProxyService.OpenImageBuilderSession", in, &opened)
	if err != nil {
		return nil, refusedSession(in.Name, err)
	}
	at, err := url.Parse(opened.URL)
	if err != nil {
		return nil, fmt.Errorf("the market says that sessions are at %q, which is no URL", opened.URL)
	}
	// The market is reached as it was for the question, whatever it is called.
	conn, err := session.Dial(ctx, nil, m.url.Scheme+"://"+m.url.Host+at.Path, opened.Ticket)
	if err != nil {
		return nil, sessionWords(err)
	}
	return conn, nil
}

// refusedSession says what to do where there is no session to be had.
func refusedSession(builder string, err error) error {
	next := ""
	switch code(err) {
	case "OperationNotPermittedException", "ResourceNotAvailableException":
		next = fmt.Sprintf("`aws appstream describe-image-builders --names %s` shows its state, and `aws appstream start-image-builder --name %s` starts one that is STOPPED", builder, builder)
	case "ResourceNotFoundException":
		next = "`aws appstream describe-image-builders` shows those of the account in this --region"
	case "AccessDeniedException":
		next = "A policy must allow appstream:CreateImageBuilderStreamingURL on the image builder"
	default:
		return err
	}
	var refused *refusedCall
	errors.As(err, &refused)
	return fmt.Errorf("%s. %s", strings.TrimSuffix(refused.message, "."), next)
}

// sessionWords are an error of a session as a line of ours: small at its beginning.
func sessionWords(err error) error {
	var dial *url.Error
	if errors.As(err, &dial) {
		return dial.Err
	}
	return err
}

// stops are the signals that end a program.
var stops = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}

// run has a program run in a session until its end. Signals that the process is
// sent are for that program: the first ends it, the second does not wait for that.
func (app *App) run(ctx context.Context, conn io.ReadWriteCloser, start session.Start, s session.Streams) (session.Exit, error) {
	came := make(chan os.Signal, 2)
	signal.Notify(came, stops...)
	defer signal.Stop(came)
	numbers, over := make(chan int), make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case <-over:
				return
			case sig := <-came:
				n := int(syscall.SIGTERM)
				if known, ok := sig.(syscall.Signal); ok {
					n = int(known)
				}
				select {
				case numbers <- n:
				case <-over:
					return
				}
			}
		}
	}()
	s.Signals = numbers
	return session.Run(ctx, conn, start, s)
}

// told is the end of a program as the end of this process.
func (app *App) told(e session.Exit) error {
	switch {
	case e.OutOfMemory:
		fmt.Fprintln(app.Err, "souk: the memory of the image builder ran out while the program ran: an image builder of a larger --instance-type has more")
	case e.DiskFull:
		fmt.Fprintln(app.Err, "souk: the disk of the image builder is full")
	}
	if e.Code == 0 {
		return nil
	}
	return &statusError{status: e.Code}
}

// localTerminal is the terminal of the person who typed the command.
type localTerminal struct{ in, out *os.File }

// terminal finds it; nil if In or Out is none.
func (app *App) terminal() *localTerminal {
	in, ok1 := app.In.(*os.File)
	out, ok2 := app.Out.(*os.File)
	if !ok1 || !ok2 || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return nil
	}
	return &localTerminal{in, out}
}

// size is the terminal's, in characters; 24 lines of 80 if it does not say.
func (t *localTerminal) size() session.Size {
	columns, rows, err := term.GetSize(int(t.out.Fd()))
	if err != nil || columns <= 0 || rows <= 0 || columns > 1<<15 || rows > 1<<15 {
		return session.Size{Rows: 24, Columns: 80}
	}
	return session.Size{Rows: uint16(rows), Columns: uint16(columns)}
}

// raw hands the terminal over: what is typed arrives as it is, and sizes has its
// sizes as they change. restore gives it back; it is to be called however all ends.
func (t *localTerminal) raw() (sizes <-chan session.Size, restore func(), err error) {
	before, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return nil, nil, fmt.Errorf("taking the terminal: %w", err)
	}
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	all, over := make(chan session.Size), make(chan struct{})
	go func() {
		for {
			select {
			case <-over:
				return
			case <-changed:
			}
			select {
			case <-over:
				return
			case all <- t.size():
			}
		}
	}()
	return all, func() {
		signal.Stop(changed)
		close(over)
		_ = term.Restore(int(t.in.Fd()), before) // a terminal that is gone needs nothing
	}, nil
}

// interactive runs a program with the person's own terminal.
func (app *App) interactive(conn io.ReadWriteCloser, t *localTerminal, start session.Start) (session.Exit, error) {
	sizes, restore, err := t.raw()
	if err != nil {
		return session.Exit{}, errors.Join(err, conn.Close())
	}
	defer restore()
	start.Terminal, start.Term, start.Size = true, localTerm(), t.size()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(app.Ctx))
	defer cancel(nil)
	in := newEscapes(t.in, func() { cancel(errEscaped) })
	return app.run(ctx, conn, start, session.Streams{In: in, Out: t.out, Err: app.Err, Resize: sizes})
}

// localTerm is the kind of the person's terminal, for programs that draw on it.
func localTerm() string {
	name := os.Getenv("TERM")
	if len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-+._") != "" {
		return ""
	}
	return name
}

// errEscaped: the person has typed ~. to leave.
var errEscaped = errors.New("left by the escape ~ and a point")

// escapes lets what is typed through but for ~. at the beginning of a line, which
// ends the session also where the machine does not answer, as in ssh. ~~ is one ~.
type escapes struct {
	from  io.Reader
	leave func()
	begun bool // the last byte did not end a line
	held  bool // a ~ waits for what follows
	ready []byte
}

func newEscapes(from io.Reader, leave func()) *escapes { return &escapes{from: from, leave: leave} }

// Read implements io.Reader.
func (e *escapes) Read(b []byte) (int, error) {
	for len(e.ready) == 0 {
		n, err := e.from.Read(b)
		for _, c := range b[:n] {
			if !e.take(c) {
				e.leave()
				return 0, io.EOF
			}
		}
		if err != nil {
			return 0, err
		}
	}
	n := copy(b, e.ready)
	e.ready = e.ready[n:]
	return n, nil
}

// take takes a byte. It is false at the end.
func (e *escapes) take(c byte) bool {
	switch {
	case e.held && c == '.':
		return false
	case e.held && c == '~':
	case e.held:
		e.ready = append(e.ready, '~', c)
		e.held, e.begun = false, c != '\r' && c != '\n'
		return true
	case !e.begun && c == '~':
		e.held = true
		return true
	}
	e.ready = append(e.ready, c)
	e.held, e.begun = false, c != '\r' && c != '\n'
	return true
}
