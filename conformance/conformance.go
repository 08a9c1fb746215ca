// Package conformance looks at a running market from outside and says where it
// differs from what the AWS documentation and the SDKs' models promise. The
// same checks are the tests of this package and the command
// `souk conformance URL`; they use an endpoint's address and an access key and
// nothing else, so they run against any server that speaks the API.
//
// What an answer must be is taken from the documentation (package spec and
// its examples) and from the SDK, never from a table of the server's own.
//
// The tests beside it start the real binary: they kill it, give it several
// accounts, and replay every row of the documented errors.
package conformance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"souk/conformance/seller"
)

// Check is one thing that a market must do.
type Check struct {
	Name  string // such as change-set/same-token
	About string // what must be, in a sentence
	Run   func(ctx context.Context, v *Visit) error
}

// Visit is one run of a check: a seller with a name of its own for what it
// makes. A check keeps looking after most of what it finds wrong.
type Visit struct {
	*seller.Seller
	Unique string // 8 lower-case letters, new in every run

	findings []string
}

// Want adds a finding unless ok.
func (v *Visit) Want(ok bool, format string, args ...any) {
	if !ok {
		v.findings = append(v.findings, fmt.Sprintf(format, args...))
	}
}

// WantError adds a finding unless err is an API error with the code and, if
// text is not "", with text in its message.
func (v *Visit) WantError(what string, err error, code, text string) {
	if err == nil {
		v.Want(false, "%s: it was accepted, want %s", what, code)
		return
	}
	v.Want(seller.Code(err) == code, "%s: got %v, want code %s", what, err, code)
	v.Want(strings.Contains(seller.Message(err), text), "%s: got message %q, want %q in it", what, seller.Message(err), text)
}

// Checks returns all checks, those first on which others rest.
func Checks() []Check {
	var all []Check
	for _, part := range [][]Check{identity(), wire(), changeSets(), references(), products(), lists(), registry()} {
		all = append(all, part...)
	}
	return all
}

// One runs a check as a seller. The error lists everything that was found.
func One(ctx context.Context, c Check, s *seller.Seller) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("the check took longer than two minutes"))
	defer cancel()
	v := &Visit{Seller: s, Unique: unique()}
	err := c.Run(ctx, v)
	if err != nil {
		v.findings = append(v.findings, err.Error())
	}
	if len(v.findings) == 0 {
		return nil
	}
	return errors.New(strings.Join(v.findings, "\n"))
}

// unique returns 8 random lower-case letters.
func unique() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = 'a' + b[i]%26
	}
	return string(b)
}
