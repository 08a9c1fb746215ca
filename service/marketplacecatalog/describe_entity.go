package marketplacecatalog

import (
	"container/list"
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"souk/access/iam"
	"souk/catalog/changeset"
	"souk/gateway"
	"souk/gateway/apierror"
)

// DescribeEntityInput names an entity.
type DescribeEntityInput struct {
	Catalog  string `query:"catalog" required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
	EntityId string `query:"entityId" required:"" len:"1,255" pattern:"^[\\w\\-]+$"`

	// What Authorize found, so that Call need not look again.
	found *answer
	err   error
}

// describeEntity shows an entity of the account.
//
// Catalog API Reference, "DescribeEntity".
func (s *service) describeEntity() gateway.Operation {
	return gateway.Op(gateway.Def[DescribeEntityInput, gateway.Raw]{
		Name: "DescribeEntity", Method: "GET", Path: "/DescribeEntity", ReadOnly: true,
		// The resource has the entity's type in it, so it is read here already.
		Authorize: func(ctx context.Context, c *gateway.Caller, in *DescribeEntityInput) ([]iam.Question, error) {
			if err := checkCatalog(in.Catalog); err != nil {
				return nil, err
			}
			in.found, in.err = s.find(ctx, c, in.EntityId)
			resource := ""
			switch {
			case in.err == nil:
				resource = in.found.arn
			case apierror.Is(in.err, "ResourceNotFoundException"):
				resource = arn(c.Principal.Account, "*", in.EntityId)
			default:
				return nil, in.err
			}
			keys, err := s.resourceTags(ctx, c, in.EntityId, nil)
			return []iam.Question{{Action: action("DescribeEntity"), Resource: resource, Context: keys}}, err
		},
		Call: func(_ context.Context, _ *gateway.Caller, in *DescribeEntityInput) (gateway.Raw, error) {
			if in.err != nil {
				return nil, in.err
			}
			return in.found.body, nil
		},
	})
}

// answer is DescribeEntity's answer for one revision of an entity.
type answer struct {
	id       string
	revision int64
	owner    string
	everyone bool // all accounts share entities of its type
	arn      string
	body     gateway.Raw
	// Where Details and DetailsDocument begin in body, each with its comma.
	details, document int
}

// find returns the answer for an entity of the caller's account, or one that
// all accounts share, or that its policy shares with the caller. One look into the store tells the
// revision; what is shown of it is rendered once.
func (s *service) find(ctx context.Context, c *gateway.Caller, id string) (*answer, error) {
	e, err := s.engine.Entity(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.show(ctx, c, e)
}

// findAll is find of several entities. Refusals are in errs, by the id.
func (s *service) findAll(ctx context.Context, c *gateway.Caller, ids []string) (found map[string]*answer, errs map[string]error, err error) {
	entities, err := s.engine.Entities(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	found, errs = make(map[string]*answer, len(ids)), map[string]error{}
	for _, id := range ids {
		e := entities[id]
		if e == nil {
			errs[id] = noEntity(id)
			continue
		}
		a, err := s.show(ctx, c, e)
		var refusal *apierror.Error
		switch {
		case errors.As(err, &refusal):
			errs[id] = refusal
		case err != nil:
			return nil, nil, err
		default:
			found[id] = a
		}
	}
	return found, errs, nil
}

func noEntity(id string) error {
	return apierror.New("ResourceNotFoundException", "Entity '%s' can't be found.", id)
}

// show returns the answer for an entity that the caller may see.
func (s *service) show(ctx context.Context, c *gateway.Caller, e *changeset.Entity) (*answer, error) {
	a := s.rendered.get(e.ID, e.Revision)
	if a == nil {
		var err error
		if a, err = s.render(e); err != nil {
			return nil, err
		}
		s.rendered.put(a)
	}
	if a.owner == c.Principal.Account || a.everyone {
		return a, nil
	}
	shared, err := s.shared(ctx, c, a)
	if err != nil {
		return nil, err
	}
	if !shared {
		return nil, noEntity(e.ID)
	}
	return a, nil
}

// shared says whether an entity of another account is shared with the caller:
// whether its policy allows DescribeEntity.
func (s *service) shared(ctx context.Context, c *gateway.Caller, a *answer) (bool, error) {
	p, err := s.policy(ctx, a.id, c.Time)
	if err != nil || p.policy == nil || p.account != a.owner {
		return false, err
	}
	var keys iam.Context
	if p.policy.Looks("aws:resourcetag/") {
		if keys, err = s.addTags(ctx, a.id, nil); err != nil {
			return false, err
		}
	}
	return iam.DecideResource(p.policy, c.Principal, iam.Question{Action: action("DescribeEntity"), Resource: a.arn, Context: keys}).Allowed, nil
}

// render makes the answer: EntityType, EntityIdentifier, EntityArn,
// LastModifiedDate, and the details as a string and as a document.
func (s *service) render(e *changeset.Entity) (*answer, error) {
	d, err := e.Describe()
	if err != nil {
		return nil, err
	}
	kind := unversioned(d.Type)
	a := &answer{id: e.ID, revision: e.Revision, owner: d.Owner, everyone: s.engine.Shared(kind), arn: arn(d.Owner, kind, e.ID)}
	b := make([]byte, 0, 2*len(d.Details)+len(d.Details)/4+512)
	for _, m := range []struct{ name, value string }{
		{`{"EntityType":`, d.Type},
		{`,"EntityIdentifier":`, e.ID + "@" + strconv.FormatInt(e.Revision, 10)},
		{`,"EntityArn":`, a.arn},
		{`,"LastModifiedDate":`, timestamp(d.LastModified)},
		{`,"Details":`, string(d.Details)},
	} {
		a.details = len(b) // after the last member: Details
		b = append(b, m.name...)
		if b, err = jsontext.AppendQuote(b, m.value); err != nil {
			return nil, errors.New("rendering entity " + e.ID + ": " + err.Error())
		}
	}
	a.document = len(b)
	b = append(b, `,"DetailsDocument":`...)
	b = append(b, d.Details...)
	a.body = append(b, '}')
	return a, nil
}

// renderedBytes bounds the answers that are kept.
const renderedBytes = 24 << 20

// rendered keeps the newest answers, the least used of them going first. An
// answer is right for its revision for ever.
type rendered struct {
	most int

	mu    sync.Mutex // guards what follows
	bytes int
	order *list.List               // of *answer, the last used first
	byID  map[string]*list.Element // an entity's newest answer
}

func newRendered(most int) *rendered {
	return &rendered{most: most, order: list.New(), byID: map[string]*list.Element{}}
}

func (r *rendered) get(id string, revision int64) *answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.byID[id]
	if e == nil || e.Value.(*answer).revision != revision {
		return nil
	}
	r.order.MoveToFront(e)
	return e.Value.(*answer)
}

func (r *rendered) put(a *answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.byID[a.id]; e != nil {
		if e.Value.(*answer).revision > a.revision {
			return
		}
		r.drop(e)
	}
	if a.size() > r.most/8 {
		return
	}
	r.byID[a.id] = r.order.PushFront(a)
	r.bytes += a.size()
	for r.bytes > r.most {
		r.drop(r.order.Back())
	}
}

// drop takes an answer out. mu is held.
func (r *rendered) drop(e *list.Element) {
	a := r.order.Remove(e).(*answer)
	delete(r.byID, a.id)
	r.bytes -= a.size()
}

// size is about what an answer takes in memory.
func (a *answer) size() int { return len(a.body) + len(a.id) + len(a.arn) + 300 }
