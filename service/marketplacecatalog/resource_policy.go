package marketplacecatalog

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"souk/access/iam"
	"souk/gateway"
)

// policyTrust is how long this node believes that no policy has changed. Its own
// changes hold at once, those of other nodes within that time.
const policyTrust = 1500 * time.Millisecond

// maxPolicies bounds the policies that are remembered.
const maxPolicies = 20_000

// policies remembers the parsed policies of entities until one changes. The zero
// value is empty.
type policies struct {
	mu      sync.RWMutex // guards what follows
	byID    map[string]entityPolicy
	changes int64     // as they were counted when byID was empty
	looked  time.Time // when it was last seen that they are as many still
	own     uint64    // counts this node's changes: what was read before one is not kept after it
}

// entityPolicy is the policy of an entity; nil if it has none.
type entityPolicy struct {
	policy  *iam.Policy
	account string // whose the entity is
}

// policy returns the policy of an entity, nil if it has none.
func (s *service) policy(ctx context.Context, id string, now time.Time) (entityPolicy, error) {
	s.policies.mu.RLock()
	p, ok := s.policies.byID[id]
	age, changes, own := now.Sub(s.policies.looked), s.policies.changes, s.policies.own
	s.policies.mu.RUnlock()
	if age < 0 || age >= policyTrust {
		var err error
		if changes, err = s.engine.PolicyChanges(ctx); err != nil {
			return p, err
		}
		p, ok = s.policies.at(changes, own, id, now)
	}
	if ok {
		return p, nil
	}
	text, account, err := s.engine.Policy(ctx, id)
	if err != nil {
		return p, err
	}
	p = entityPolicy{account: account}
	if text != "" {
		if p.policy, err = iam.ParseResourcePolicy([]byte(text)); err != nil {
			return p, fmt.Errorf("reading the policy of entity %s: %w", id, err)
		}
	}
	s.policies.keep(id, p, changes, own)
	return p, nil
}

// at says what is known of a policy when there have been so many changes.
func (p *policies) at(changes int64, own uint64, id string, now time.Time) (known entityPolicy, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if own != p.own {
		return known, false
	}
	if changes != p.changes {
		p.byID, p.changes = nil, changes
	}
	p.looked = now
	known, ok = p.byID[id]
	return known, ok
}

// keep remembers a policy that was read after so many changes, unless there have
// been more since.
func (p *policies) keep(id string, policy entityPolicy, changes int64, own uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changes != changes || p.own != own {
		return
	}
	if p.byID == nil || len(p.byID) >= maxPolicies {
		p.byID = map[string]entityPolicy{}
	}
	p.byID[id] = policy
}

// forget makes this node look at all policies anew.
func (p *policies) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byID, p.looked = nil, time.Time{}
	p.own++
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
	if account != c.Principal.Account && s.engine.Shared(kind) { // whose it is, for policies that keep to their own account
		keys := iam.Context{"aws:resourceaccount": {account}}
		maps.Copy(keys, q.Context)
		q.Context = keys
	}
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
