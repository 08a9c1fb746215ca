package marketplacecatalog

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"souk/access/iam"
	"souk/gateway"
)

// policyTrust is how long this node believes what it knows of an entity's
// policy. Its own changes hold at once, those of other nodes within that time.
const policyTrust = 1500 * time.Millisecond

// maxPolicies bounds the policies that are remembered.
const maxPolicies = 20_000

// policies remembers the parsed policies of entities. The zero value is empty.
type policies struct {
	mu         sync.RWMutex // guards what follows
	byID       map[string]entityPolicy
	generation uint64 // counts calls of forget: what was read before is not kept after
}

// entityPolicy is the policy of an entity; nil if it has none.
type entityPolicy struct {
	policy  *iam.Policy
	account string // whose the entity is
	read    time.Time
}

// policy returns the policy of an entity, nil if it has none.
func (s *service) policy(ctx context.Context, id string, now time.Time) (entityPolicy, error) {
	s.policies.mu.RLock()
	p, ok := s.policies.byID[id]
	generation := s.policies.generation
	s.policies.mu.RUnlock()
	if age := now.Sub(p.read); ok && age >= 0 && age < policyTrust {
		return p, nil
	}
	text, account, err := s.engine.Policy(ctx, id)
	if err != nil {
		return p, err
	}
	p = entityPolicy{account: account, read: now}
	if text != "" {
		if p.policy, err = iam.ParseResourcePolicy([]byte(text)); err != nil {
			return p, fmt.Errorf("reading the policy of entity %s: %w", id, err)
		}
	}
	s.policies.mu.Lock()
	defer s.policies.mu.Unlock()
	if s.policies.generation != generation {
		return p, nil // it may be older than a change that came between
	}
	if s.policies.byID == nil || len(s.policies.byID) >= maxPolicies {
		s.policies.byID = map[string]entityPolicy{}
	}
	s.policies.byID[id] = p
	return p, nil
}

// forget makes this node look at an entity's policy anew.
func (p *policies) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.generation++
	delete(p.byID, id)
}

// guarded is an operation whose questions about entities are also answered by
// the entities' own policies.
//
// The root user of the entity's account may always see, replace and delete its
// policy, so that nobody locks everybody out.
//
// IAM User Guide, "Policy evaluation for requests within a single account",
// "Cross-account policy evaluation logic".
func (s *service) guarded(op gateway.Operation) gateway.Operation {
	authorize, always := op.Authorize, strings.HasSuffix(op.Name, "ResourcePolicy")
	op.Authorize = func(ctx context.Context, c *gateway.Caller, input any) ([]iam.Question, error) {
		questions, err := authorize(ctx, c, input)
		if err != nil || always && c.Principal.Root {
			return questions, err
		}
		for i := range questions {
			if err := s.addPolicy(ctx, c, &questions[i]); err != nil {
				return nil, err
			}
		}
		return questions, nil
	}
	return op
}

// addPolicy puts the policy of the entity that a question is about into it.
func (s *service) addPolicy(ctx context.Context, c *gateway.Caller, q *iam.Question) error {
	// arn:aws:aws-marketplace:REGION:ACCOUNT:AWSMarketplace/KIND/ID
	head, path, ok := strings.Cut(q.Resource, ":"+theCatalog+"/")
	if !ok {
		return nil
	}
	kind, id, ok := strings.Cut(path, "/")
	if !ok || kind == "ChangeSet" || id == "*" {
		return nil
	}
	account := head[strings.LastIndexByte(head, ':')+1:]
	p, err := s.policy(ctx, id, c.Time)
	if err != nil || p.policy == nil || p.account != account {
		return err
	}
	q.Policy = p.policy
	if p.policy.Looks("aws:resourcetag/") && !c.Principal.Looks("aws:resourcetag/") {
		if q.Context, err = s.addTags(ctx, id, q.Context); err != nil {
			return err
		}
	}
	if !s.engine.Shared(kind) { // what all accounts share needs no leave of its policy
		q.Owner = p.account
	}
	return nil
}
