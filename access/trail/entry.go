package trail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"souk/access/iam"
	"souk/storage/store"
)

// Call is what the gateway knows of a call before it is done.
type Call struct {
	Principal   *iam.Principal // required
	AccessKeyID string
	Region      string
	RequestID   string
	SourceIP    netip.Addr
	UserAgent   string
	Time        time.Time
	Source      string // EventSource of the service
	Name        string // of the operation
	ReadOnly    bool
	Input       any                  // decoded; nil if it could not be
	Resources   []string             // ARNs of what it is about; those that end in * are left out
	TLS         *tls.ConnectionState // nil without TLS
	Host        string               // that the client asked for
}

// Outcome is what came of a call.
type Outcome struct {
	Output        any    // nil if it was refused
	Code, Message string // of the refusal; "" if it was done
	Throttled     bool   // refused as one too many: of a flood only some are recorded
}

// Entry is the record of a call under way. It is used by one call; commits may
// be concurrent.
type Entry struct {
	trail *Trail
	call  Call
	id    string

	mu        sync.Mutex
	state     state    // guarded by mu
	output    string   // as it was committed with the write; guarded by mu
	answer    any      // that was announced; guarded by mu
	resources []string // that were announced; guarded by mu
	input     string   // guarded by mu
	rendered  bool     // input is set; guarded by mu
}

// state says where the record is.
type state int

const (
	nowhere    state = iota
	committing       // in a commit under way
	perhaps          // in a commit of which it isn't known whether it was done
	written          // stored
	ended            // the call is over; nothing more belongs to it
)

// Begin opens the record of a call. Close it with End.
func (t *Trail) Begin(c Call) *Entry {
	return &Entry{trail: t, call: c, id: newID(c.Time)}
}

// Record records a read, or a call that was refused before it began: Begin and
// End in one, with less memory.
func (t *Trail) Record(ctx context.Context, c Call, o Outcome) error {
	if !c.ReadOnly && o.Code == "" {
		return t.Begin(c).End(ctx, o)
	}
	if o.Throttled && t.floods.drop(c.Principal.Account, t.cfg.Clock()) {
		return nil
	}
	var r Record
	c.fill(&r, newID(c.Time), elements(c.Input), "", o)
	return t.keep(ctx, &r)
}

// keep puts the record of a read or a refusal where it waits to be packed.
func (t *Trail) keep(ctx context.Context, r *Record) error {
	scratch := scratches.Get().(*[]byte)
	*scratch = r.append((*scratch)[:0])
	err := t.buffer.add(ctx, r.Account, *scratch)
	if cap(*scratch) <= keptScratch {
		scratches.Put(scratch)
	}
	if err != nil {
		return fmt.Errorf("recording %s of request %s: %w", r.Name, r.Request, err)
	}
	return nil
}

type entryKey struct{}

// Context returns a context for the work of a call that writes: the first
// commit that is made with it, on a store that Store returned, has the record in it.
func (e *Entry) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, entryKey{}, e)
}

// Answer announces what a call will answer, and the ARNs of what it makes,
// before its commit: so one write has all. Without it the record is completed
// by a second write, before the answer is sent. It does nothing for calls that
// are not recorded.
func Answer(ctx context.Context, output any, resources ...string) {
	e, _ := ctx.Value(entryKey{}).(*Entry)
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer, e.resources = output, resources
}

// take gives the write that a commit takes along; ok is false if it needn't.
func (e *Entry) take() (w store.Write, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch e.state {
	case nowhere:
	case perhaps:
		w.Was = store.Any
	default:
		return w, false
	}
	e.output = e.shown(Outcome{Output: e.answer})
	w.Document = e.document(Outcome{}, e.output)
	e.state = committing
	return w, true
}

// took says what became of the commit that took the record along.
func (e *Entry) took(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state != committing { // the call has ended meanwhile
		return
	}
	switch {
	case err == nil:
		e.state = written
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrLimit):
		e.state = nowhere
	default:
		e.state = perhaps
	}
}

// End completes the record. When it returns nil the record of a write that was
// done is durable; that of a read, or a refusal, will be within a second. It
// waits where too much waits in memory.
func (e *Entry) End(ctx context.Context, o Outcome) error {
	if o.Throttled && e.trail.floods.drop(e.call.Principal.Account, e.trail.cfg.Clock()) {
		return nil
	}
	e.mu.Lock()
	was, account := e.state, e.call.Principal.Account
	e.state = ended
	if was == nowhere && (e.call.ReadOnly || o.Code != "") {
		var r Record
		e.fill(&r, o, e.shown(o))
		e.mu.Unlock()
		return e.trail.keep(ctx, &r)
	}
	if was == written && o.Code == "" && (same(o.Output, e.answer) || e.shown(o) == e.output) {
		e.mu.Unlock()
		e.trail.wrote(account)
		return nil
	}
	document := e.document(o, e.shown(o))
	e.mu.Unlock()
	e.trail.wrote(account)
	// The client may have given up: the write is done all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	err := e.trail.store.Commit(ctx, store.Batch{Put: []store.Write{{Document: document, Was: store.Any}}})
	if err != nil {
		return fmt.Errorf("recording %s of request %s: %w", e.call.Name, e.call.RequestID, err)
	}
	return nil
}

// endWithin bounds the second write of a record. A record is left alone for
// longer than a call may take and this together; see settled.
const endWithin = 10 * time.Second

// scratches are the memory in which records of reads are encoded.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

// keptScratch bounds the pieces of memory that are used again.
const keptScratch = 8 << 10

// same says whether two answers are one pointer.
func same(a, b any) bool {
	return a != nil && reflect.TypeOf(a).Kind() == reflect.Pointer && a == b
}

// document is the record on its own. e.mu is held.
func (e *Entry) document(o Outcome, output string) store.Document {
	var r Record
	e.fill(&r, o, output)
	return single(&r, r.append(make([]byte, 0, 640+len(r.Input)+len(r.Output))))
}

// shown is what the record shows of the answer.
func (e *Entry) shown(o Outcome) string {
	if e.call.ReadOnly || o.Code != "" {
		return ""
	}
	return elements(o.Output)
}

// fill makes the record of all that is known, with what is shown of the answer.
// e.mu is held.
func (e *Entry) fill(r *Record, o Outcome, output string) {
	if !e.rendered {
		e.input, e.rendered = elements(e.call.Input), true
	}
	e.call.fill(r, e.id, e.input, output, o)
	for _, arn := range e.resources {
		r.addResource(arn)
	}
}

// fill makes the record of a call.
func (c *Call) fill(r *Record, id, input, output string, o Outcome) {
	p := c.Principal
	*r = Record{
		ID: id, Source: c.Source, Name: c.Name, Region: c.Region, Account: p.Account, Key: c.AccessKeyID,
		ARN: p.ARN, Principal: p.ID, Role: p.Role, Session: p.Issued, Agent: short(c.UserAgent, mostAgent), Request: c.RequestID,
		ReadOnly: c.ReadOnly, Code: o.Code, Message: short(o.Message, mostMessage), Input: input, Output: output,
	}
	if c.SourceIP.IsValid() {
		r.IP = c.SourceIP.String()
	}
	if c.TLS != nil {
		b := append([]byte(`{"tlsVersion":`), '"')
		b = append(b, tlsVersion(c.TLS.Version)...)
		b = append(b, '"')
		b = member(b, "cipherSuite", tls.CipherSuiteName(c.TLS.CipherSuite))
		b = member(b, "clientProvidedHostHeader", short(c.Host, 255))
		r.TLS = string(append(b, '}'))
	}
	for _, arn := range c.Resources {
		r.addResource(arn)
	}
}

// Bounds of members that clients choose, in bytes, as CloudTrail cuts them; and
// how many resources a record names.
const (
	mostAgent     = 1 << 10
	mostMessage   = 1 << 10
	mostResources = 40
)

func (r *Record) addResource(arn string) {
	if arn == "" || arn[len(arn)-1] == '*' || len(arn) > 2048 || len(r.Resources) >= mostResources {
		return
	}
	for _, known := range r.Resources {
		if known == arn {
			return
		}
	}
	r.Resources = append(r.Resources, arn)
}

// short cuts a text, never within a character.
func short(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xc0 == 0x80 {
		most--
	}
	return s[:most]
}

// tlsVersion spells a version as CloudTrail does.
func tlsVersion(v uint16) string {
	switch v {
	case tls.VersionTLS12:
		return "TLSv1.2"
	case tls.VersionTLS13:
		return "TLSv1.3"
	}
	return tls.VersionName(v)
}
