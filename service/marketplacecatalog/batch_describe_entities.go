package marketplacecatalog

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"

	"souk/access/iam"
	"souk/gateway"
	"souk/gateway/apierror"
)

// BatchDescribeEntitiesInput names entities.
type BatchDescribeEntitiesInput struct {
	EntityRequestList []EntityRequest `required:"" size:"1,20"`

	found map[string]*answer
	errs  map[string]error
}

// EntityRequest names an entity.
type EntityRequest struct {
	Catalog  string `required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
	EntityId string `required:"" len:"1,255" pattern:"^[\\w\\-]+$"`
}

// batchDescribeEntities shows several entities, each as DescribeEntity does but
// without Details. Those that can't be shown have an entry in Errors.
//
// Catalog API Reference, "BatchDescribeEntities".
func (s *service) batchDescribeEntities() gateway.Operation {
	return gateway.Op(gateway.Def[BatchDescribeEntitiesInput, gateway.Raw]{
		Name: "BatchDescribeEntities", Method: "POST", Path: "/BatchDescribeEntities", ReadOnly: true,
		Authorize: func(ctx context.Context, c *gateway.Caller, in *BatchDescribeEntitiesInput) ([]iam.Question, error) {
			ids := make([]string, 0, len(in.EntityRequestList))
			for _, e := range in.EntityRequestList {
				if err := checkCatalog(e.Catalog); err != nil {
					return nil, err
				}
				ids = append(ids, e.EntityId)
			}
			var err error
			if in.found, in.errs, err = s.findAll(ctx, c, ids); err != nil {
				return nil, err
			}
			// Whoever may not describe one of them is told nothing of any.
			questions := make([]iam.Question, 0, len(ids))
			for _, id := range ids {
				resource := arn(c.Principal.Account, "*", id)
				if a := in.found[id]; a != nil {
					resource = a.arn
				}
				keys, err := s.resourceTags(ctx, c, id, nil)
				if err != nil {
					return nil, err
				}
				questions = append(questions, iam.Question{Action: action("DescribeEntity"), Resource: resource, Context: keys})
			}
			return questions, nil
		},
		Call: func(_ context.Context, _ *gateway.Caller, in *BatchDescribeEntitiesInput) (gateway.Raw, error) {
			return in.answer()
		},
	})
}

// answer joins the answers of the entities.
func (in *BatchDescribeEntitiesInput) answer() (b gateway.Raw, err error) {
	size := 64
	for _, a := range in.found {
		size += len(a.body)
	}
	b = append(make([]byte, 0, size), `{"EntityDetails":{`...)
	first := true
	seen := map[string]bool{}
	name := func(id string) {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, '"')
		b = append(b, id...) // its pattern has no character that JSON escapes
		b = append(b, `":`...)
	}
	for _, e := range in.EntityRequestList {
		if a := in.found[e.EntityId]; a != nil && !seen[e.EntityId] {
			seen[e.EntityId] = true
			name(e.EntityId)
			b = append(b, a.body[:a.details]...)
			b = append(b, a.body[a.document:]...)
		}
	}
	b, first = append(b, `},"Errors":{`...), true
	for _, e := range in.EntityRequestList {
		failed := in.errs[e.EntityId]
		if failed == nil || seen[e.EntityId] {
			continue
		}
		seen[e.EntityId] = true
		refusal, ok := failed.(*apierror.Error)
		if !ok {
			return nil, failed
		}
		name(e.EntityId)
		b = append(b, `{"ErrorCode":`...)
		if b, err = jsontext.AppendQuote(b, refusal.Code); err != nil {
			return nil, err
		}
		b = append(b, `,"ErrorMessage":`...)
		if b, err = jsontext.AppendQuote(b, refusal.Message); err != nil {
			return nil, err
		}
		b = append(b, '}')
	}
	return append(b, "}}"...), nil
}
