package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"runtime/debug"
	"sync"
	"time"

	"souk/access/iam"
	"souk/access/trail"
	"souk/gateway/apierror"
	"souk/gateway/constraint"
	"souk/gateway/sigv4"
)

// DefaultMaxBody is how long a request's body may be unless the Config says
// otherwise. The largest request that AWS documents is a StartChangeSet of 20
// changes with a DetailsDocument of 256 KiB each: 5 MiB, and the rest of them.
const DefaultMaxBody = 6 << 20

// Config is what a Gateway is made of.
type Config struct {
	Services    []*Service  // at least one
	Credentials Credentials // required

	Decide    func(*iam.Principal, iam.Question) iam.Decision // nil: iam.Decide
	Limiter   Limiter                                         // nil: no rates
	Clock     func() time.Time                                // nil: time.Now
	Log       *slog.Logger                                    // nil: nothing is logged
	RequestID func() string                                   // nil: random UUIDs
	MaxBody   int64                                           // bytes; 0: DefaultMaxBody

	// Trail records every call of a caller who is known; nil: none is recorded. A
	// call that can't be recorded is answered as one that failed.
	Trail *trail.Trail

	// Disturb is asked about every call that is allowed, before it is done; nil:
	// none is disturbed. Outcome has no Err and Took then.
	Disturb func(context.Context, Outcome) (Disturbance, error)

	// Observe is told of every call when it has been answered, whatever came of
	// it; nil: nobody is. It runs before the next request of the connection.
	Observe func(context.Context, Outcome)
}

// Outcome is what became of a request.
type Outcome struct {
	Service   *Service   // nil if no service was meant
	Operation *Operation // nil if no operation was found
	Caller    *Caller    // Principal is nil if nobody was authenticated
	Input     any        // nil if it was not decoded
	Err       *apierror.Error
	Took      time.Duration
}

// Disturbance is what happens to a call beside its work, for those who test
// what their programs do then.
type Disturbance struct {
	Wait     time.Duration // before it is done
	Throttle bool          // it is refused as one too many
	Drop     bool          // it is done, and the connection cut without an answer
}

// Gateway answers the requests of AWS clients. It is an http.Handler.
type Gateway struct {
	config   Config
	routes   routes
	verifier sigv4.Verifier
	bodies   sync.Pool // of *[]byte
}

// New makes a Gateway. Its error says which service or operation is declared wrongly.
func New(c Config) (*Gateway, error) {
	if len(c.Services) == 0 || c.Credentials == nil {
		return nil, errors.New("making the gateway: it needs services and credentials")
	}
	if c.Decide == nil {
		c.Decide = iam.Decide
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.RequestID == nil {
		c.RequestID = trail.NewRequestID
	}
	if c.MaxBody == 0 {
		c.MaxBody = DefaultMaxBody
	}
	g := &Gateway{config: c}
	for _, s := range c.Services {
		if err := g.routes.add(s); err != nil {
			return nil, fmt.Errorf("adding service %s: %w", s.Name, err)
		}
	}
	return g, nil
}

// answerTime bounds the work on a request. It is less than Server's WriteTimeout,
// after which nobody would get the answer.
const answerTime = 50 * time.Second

// call is one request on its way.
type call struct {
	g       *Gateway
	w       http.ResponseWriter
	r       *http.Request
	ctx     *patience // of the work on it
	service *Service
	route   *route // nil until the operation is known
	table   *table // of the signing name
	caller  *Caller
	auth    sigv4.Auth
	secret  string         // of the key that the request names
	claimed *iam.Principal // whose key that is
	input   any
	failed  *apierror.Error
	denial  bool // failed says that policies refuse it
	surplus bool // failed says that it is one too many

	asked    []iam.Question // what had to be allowed
	entry    *trail.Entry   // its record; nil before it is begun
	recorded bool
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := time.Now()
	kept := &struct { // what others may keep, in one piece
		caller Caller
		ctx    patience
	}{}
	c := call{g: g, w: w, r: r, ctx: &kept.ctx, caller: &kept.caller}
	c.ctx.begin(r.Context(), begun)
	defer c.ctx.end()
	kept.caller = Caller{
		RequestID: g.config.RequestID(),
		SourceIP:  trail.SourceIP(r),
		UserAgent: r.UserAgent(),
		Time:      g.config.Clock().UTC(),
	}
	w.Header()["X-Amzn-Requestid"] = []string{c.caller.RequestID}
	c.serve()
	took := time.Since(begun)
	c.log(c.ctx, took)
	if g.config.Observe != nil {
		o := Outcome{Service: c.service, Caller: c.caller, Input: c.input, Err: c.failed, Took: took}
		if c.route != nil {
			o.Operation = c.route.op
		}
		g.config.Observe(c.ctx, o)
	}
}

// serve answers the request, whatever happens on its way.
func (c *call) serve() {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p == http.ErrAbortHandler {
			panic(p) // the server's own way to cut a connection
		}
		c.g.config.Log.ErrorContext(c.ctx, "a request made the server panic",
			"request", c.caller.RequestID, "operation", c.operation(), "panic", p, "stack", string(debug.Stack()))
		e := c.internal()
		c.finish(nil, e)
		c.fail(e)
	}()
	output, err := c.answer()
	var failed *apierror.Error
	if err != nil {
		failed = c.apiError(err)
	}
	failed = c.finish(output, failed)
	if failed == nil {
		err = c.route.codec.Encode(c.w, c.caller.RequestID, output)
		if err != nil {
			failed = c.apiError(err)
		}
	}
	if failed != nil {
		c.fail(failed)
	}
}

// finish records the call. What can't be recorded is not answered as done.
func (c *call) finish(output any, failed *apierror.Error) *apierror.Error {
	err := c.record(c.ctx, output, failed)
	if err != nil {
		return c.apiError(err)
	}
	return failed
}

// answer takes the request from its bytes to the operation's output.
func (c *call) answer() (any, error) {
	refused, err := c.identify()
	if err != nil {
		return nil, err
	}
	body, release, err := c.readBody()
	defer release()
	if err != nil {
		return nil, err
	}
	if err := c.verify(body); err != nil {
		return nil, err
	}
	// Only a caller who is known learns which operations there are.
	if refused != nil {
		return nil, refused
	}
	if c.route == nil {
		if c.service, c.route, err = c.table.action(c.r, body); err != nil {
			return nil, err
		}
	}
	op := c.route.op
	input := op.Input()
	if err := c.route.codec.Decode(c.r, body, input); err != nil {
		return nil, err
	}
	c.input = input
	if wrong := c.route.plan.Violations(input, nil); len(wrong) > 0 {
		if codec, ok := c.route.codec.(Emptier); ok {
			wrong = c.route.plan.Violations(input, func(field string) bool { return codec.Empty(c.r, body, field) })
		}
		return nil, c.violated(wrong)
	}
	if err := c.authorize(); err != nil {
		return nil, err
	}
	if l := c.g.config.Limiter; l != nil && !l.Allow(c.ctx, c.caller.Principal.Account, c.service.Name, op.Name) {
		return nil, c.throttled()
	}
	if c.g.config.Disturb != nil {
		return c.disturbed()
	}
	return c.do()
}

// disturbed does the call, with what else happens to it.
func (c *call) disturbed() (any, error) {
	ctx, op := context.Context(c.ctx), c.route.op
	d, err := c.g.config.Disturb(ctx, Outcome{Service: c.service, Operation: op, Caller: c.caller, Input: c.input})
	if err != nil {
		return nil, err
	}
	if d.Throttle {
		return nil, c.throttled()
	}
	if d.Wait > 0 {
		timer := time.NewTimer(d.Wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	output, err := c.do()
	if d.Drop {
		var failed *apierror.Error
		if err != nil {
			failed = c.apiError(err)
		}
		c.finish(output, failed)
		panic(http.ErrAbortHandler) // the server's own way to cut a connection
	}
	return output, err
}

// operation names the operation in the log.
func (c *call) operation() string {
	switch {
	case c.route != nil:
		return c.service.Name + "." + c.route.op.Name
	case c.service != nil:
		return c.service.Name
	}
	return ""
}

// compileInput reads the constraints of an operation's input.
func compileInput(op *Operation) (*constraint.Plan, error) {
	t := reflect.TypeOf(op.Input())
	if t == nil || t.Kind() != reflect.Pointer {
		return nil, fmt.Errorf("the input %v is no pointer to a struct", t)
	}
	return constraint.Compile(t.Elem())
}
