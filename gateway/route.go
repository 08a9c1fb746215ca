package gateway

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"souk/gateway/apierror"
	"souk/gateway/constraint"
)

// route is an operation that is ready to be called.
type route struct {
	service  *Service
	op       *Operation
	protocol Protocol
	codec    Codec
	plan     *constraint.Plan
}

// routes finds the operation that a request names: by the signing name first,
// since services share paths and names; then, within the services of that
// signing name, by method and path, by the path of an RPC, by X-Amz-Target, or
// by Action and Version.
type routes struct {
	bySigningName map[string]*table
	all           table // for requests that are not signed for any service here
}

// table has the routes of some services.
type table struct {
	targets map[string]map[string]*route // by target prefix and operation
	prefix  map[string]*Service          // by target prefix
	rest    map[restKey]*route
	paths   map[string]*Service    // that know a path, with whatever method
	rpcs    map[string]*rpcService // by the name in the path
	query   []*queryService
	first   *Service // whose form errors have where nothing else tells
}

type restKey struct{ method, path string }

type queryService struct {
	service *Service
	actions map[string]*route
}

type rpcService struct {
	service    *Service
	operations map[string]*route
}

// add declares a service.
func (rs *routes) add(s *Service) error {
	if s.Protocol == nil || s.Name == "" || len(s.SigningNames) == 0 {
		return errors.New("it lacks its name, its protocol or its signing names")
	}
	if rs.bySigningName == nil {
		rs.bySigningName = map[string]*table{}
	}
	tables := []*table{&rs.all}
	for _, name := range s.SigningNames {
		t := rs.bySigningName[name]
		if t == nil {
			t = new(table)
			rs.bySigningName[name] = t
		}
		tables = append(tables, t)
	}
	bound := make([]*route, len(s.Operations))
	for i := range s.Operations {
		op := &s.Operations[i]
		r, err := bind(s, op)
		if err != nil {
			return fmt.Errorf("binding operation %s: %w", op.Name, err)
		}
		bound[i] = r
	}
	for _, t := range tables {
		if err := t.add(s, bound, t != &rs.all); err != nil {
			return err
		}
	}
	if s.RPC == nil {
		return nil
	}
	if s.RPC.Style() != RPC || s.RPCName == "" {
		return errors.New("its second protocol is of another style than RPC, or lacks the service's name")
	}
	second := make(map[string]*route, len(bound))
	for _, r := range bound {
		codec, err := s.RPC.Bind(s, r.op)
		if err != nil {
			return fmt.Errorf("binding operation %s to its second protocol: %w", r.op.Name, err)
		}
		second[r.op.Name] = &route{service: s, op: r.op, protocol: s.RPC, codec: codec, plan: r.plan}
	}
	for _, t := range tables {
		if err := t.addRPC(s, second); err != nil {
			return err
		}
	}
	return nil
}

// offered names the services that are here as signatures name them.
func (rs *routes) offered() string {
	names := slices.Sorted(maps.Keys(rs.bySigningName))
	last := len(names) - 1
	if last == 0 {
		return "only '" + names[0] + "' is"
	}
	return "only '" + strings.Join(names[:last], "', '") + "' and '" + names[last] + "' are"
}

func bind(s *Service, op *Operation) (*route, error) {
	if op.Name == "" || op.Input == nil || op.Authorize == nil || op.Call == nil {
		return nil, errors.New("it lacks its name, Input, Authorize or Call")
	}
	if s.Protocol.Style() == REST && (op.Method == "" || !strings.HasPrefix(op.Path, "/")) {
		return nil, errors.New("it lacks its method or path")
	}
	plan, err := compileInput(op)
	if err != nil {
		return nil, err
	}
	codec, err := s.Protocol.Bind(s, op)
	if err != nil {
		return nil, err
	}
	return &route{service: s, op: op, protocol: s.Protocol, codec: codec, plan: plan}, nil
}

// add puts a service's routes into the table. Where the table is strict, two
// operations must not have the same name on the wire.
func (t *table) add(s *Service, bound []*route, strict bool) error {
	if t.first == nil {
		t.first = s
	}
	switch s.Protocol.Style() {
	case Target:
		if t.targets == nil {
			t.targets, t.prefix = map[string]map[string]*route{}, map[string]*Service{}
		}
		byName := map[string]*route{}
		for _, r := range bound {
			byName[r.op.Name] = r
		}
		for _, prefix := range append([]string{s.TargetPrefix}, s.AlsoTargets...) {
			if strict && t.prefix[prefix] != nil {
				return fmt.Errorf("another service has the target prefix %s too", prefix)
			}
			t.targets[prefix], t.prefix[prefix] = byName, s
		}
	case Query:
		byName := map[string]*route{}
		for _, r := range bound {
			byName[r.op.Name] = r
		}
		t.query = append(t.query, &queryService{s, byName})
	case REST:
		if t.rest == nil {
			t.rest, t.paths = map[restKey]*route{}, map[string]*Service{}
		}
		for _, r := range bound {
			for _, form := range append([]string{r.op.Method + " " + r.op.Path}, r.op.Also...) {
				method, path, ok := strings.Cut(form, " ")
				key := restKey{method, path}
				if !ok || strict && t.rest[key] != nil {
					return fmt.Errorf("the form %q of operation %s is broken or another operation's", form, r.op.Name)
				}
				t.rest[key], t.paths[path] = r, s
			}
		}
	}
	return nil
}

// addRPC puts a service's routes in its second protocol into the table.
func (t *table) addRPC(s *Service, operations map[string]*route) error {
	if t.rpcs[s.RPCName] != nil {
		return fmt.Errorf("another service has the name %s too", s.RPCName)
	}
	if t.rpcs == nil {
		t.rpcs = map[string]*rpcService{}
	}
	t.rpcs[s.RPCName] = &rpcService{s, operations}
	return nil
}

// find says which service and operation a request names. The route is nil with
// a nil error where the body must be read to know it (query protocol). The
// service is never nil: an error needs a form.
func (t *table) find(r *http.Request) (*Service, *route, error) {
	path := r.URL.Path
	if rt := t.rest[restKey{r.Method, path}]; rt != nil {
		return rt.service, rt, nil
	}
	if s := t.paths[path]; s != nil {
		return s, nil, unknownOperation(http.StatusNotFound, r.Method+" "+path)
	}
	if name, operation, ok := rpcPath(path); ok && len(t.rpcs) > 0 {
		return t.findRPC(r, name, operation)
	}
	if targets := r.Header["X-Amz-Target"]; len(targets) > 0 && len(t.targets) > 0 {
		return t.findTarget(r, targets[0])
	}
	if len(t.query) > 0 && (path == "/" || path == "") {
		version, _ := formValue(r.URL.RawQuery, "Version")
		return t.queryService(version).service, nil, nil
	}
	return t.first, nil, unknownOperation(http.StatusNotFound, r.Method+" "+path)
}

func (t *table) findTarget(r *http.Request, target string) (*Service, *route, error) {
	dot := strings.LastIndexByte(target, '.')
	if dot < 0 {
		dot = 0
	}
	s := t.prefix[target[:dot]]
	if s == nil {
		for _, other := range t.prefix { // for the form of the error, in which they all agree
			return other, nil, unknownOperation(http.StatusBadRequest, target)
		}
	}
	if rt := t.targets[s.TargetPrefix][target[dot+1:]]; rt != nil && r.Method == http.MethodPost && r.URL.Path == "/" {
		return s, rt, nil
	}
	return s, nil, s.unknown(target[dot+1:])
}

// rpcPath takes the names of a service and an operation from a path. What stands
// before them belongs to the client's endpoint.
func rpcPath(path string) (service, operation string, ok bool) {
	_, rest, ok := strings.Cut(path, "/service/")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, "/operation/")
}

func (t *table) findRPC(r *http.Request, name, operation string) (*Service, *route, error) {
	s := t.rpcs[name]
	if s == nil {
		for _, other := range t.rpcs { // for the form of the error, in which they all agree
			return other.service, nil, unknownOperation(http.StatusNotFound, r.Method+" "+r.URL.Path)
		}
	}
	if rt := s.operations[operation]; rt != nil && r.Method == http.MethodPost {
		return s.service, rt, nil
	}
	return s.service, nil, s.service.unknown(operation)
}

// protocol is that in which a request to the service comes, and its errors go out.
func (s *Service) protocol(r *http.Request) Protocol {
	if s.RPC != nil {
		if _, _, ok := rpcPath(r.URL.Path); ok {
			return s.RPC
		}
	}
	return s.Protocol
}

// queryService is the service that has an API version, else the first.
func (t *table) queryService(version string) *queryService {
	for _, q := range t.query {
		if q.service.APIVersion == version {
			return q
		}
	}
	return t.query[0]
}

// action finds the operation of a request in the query protocol, and the
// service whose version it names.
func (t *table) action(r *http.Request, body []byte) (*Service, *route, error) {
	form := ""
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if r.Method == http.MethodPost && strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded") {
		form = string(body)
	}
	param := func(name string) string {
		if v, ok := formValue(r.URL.RawQuery, name); ok {
			return v
		}
		v, _ := formValue(form, name)
		return v
	}
	action, version := param("Action"), param("Version")
	q := t.queryService(version)
	refuse := func(code, format string, args ...any) (*Service, *route, error) {
		return q.service, nil, apierror.WithStatus(http.StatusBadRequest, code, format, args...)
	}
	rt := q.actions[action]
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		return refuse("InvalidAction", "The method %s has no action.", shortened(r.Method))
	case action == "":
		return refuse("MissingAction", "The request is missing an action or a required parameter.")
	case version == "":
		return refuse("MissingParameter", "The request must contain the parameter Version.")
	case rt == nil || version != q.service.APIVersion:
		return refuse("InvalidAction", "Could not find operation %s for version %s", shortened(action), shortened(version))
	}
	return q.service, rt, nil
}

// formValue finds the first parameter of a name in a form.
func formValue(form, name string) (string, bool) {
	for rest := form; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "&")
		key, value, _ := strings.Cut(part, "=")
		if key != name {
			continue
		}
		text, err := url.QueryUnescape(value)
		return text, err == nil
	}
	return "", false
}

// unknown refuses an operation that the service does not have here.
func (s *Service) unknown(operation string) error {
	if slices.Contains(s.NotOffered, operation) {
		text := fmt.Sprintf("The operation %s is not offered at this endpoint.", operation)
		if instead := s.Instead[operation]; instead != "" {
			text += " " + instead
		}
		return apierror.WithStatus(http.StatusBadRequest, "UnknownOperationException", "%s", text)
	}
	return unknownOperation(http.StatusBadRequest, operation)
}

// unknownOperation says which operation there is not.
func unknownOperation(status int, name string) error {
	return apierror.WithStatus(status, "UnknownOperationException", "The requested operation %s is not recognized by the service.", shortened(name))
}

// shortened is a text of the client in a message.
func shortened(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}
