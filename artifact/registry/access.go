package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"souk/access/iam"
	"souk/access/trail"
	"souk/catalog/procurement"
	"souk/storage/store"
)

// refusal is an error as the OCI distribution specification has them.
type refusal struct {
	status  int
	code    string
	message string
}

func (e *refusal) Error() string { return e.code + ": " + e.message }

// write answers a request with the refusal.
func (e *refusal) write(w http.ResponseWriter) {
	body, _ := json.Marshal(map[string]any{"errors": []any{map[string]any{"code": e.code, "message": e.message}}}) // strings always marshal
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.status)
	w.Write(body)
}

// nameUnknown is the answer for a repository that does not exist, and to all
// who may not know whether it does.
func nameUnknown() *refusal {
	return &refusal{http.StatusNotFound, "NAME_UNKNOWN", "repository name not known to registry"}
}

// asker is who sent a request, and what policies may ask about it.
type asker struct {
	principal *iam.Principal
	context   iam.Context
	asked     *[]string // resources that policies were asked about; see ask
}

func (r *Registry) asker(p *iam.Principal, req *http.Request) asker {
	now := r.config.Now().UTC()
	c := iam.Context{
		// A repository is in one region, whatever the name of the host says.
		"aws:requestedregion": {region},
		"aws:currenttime":     {now.Format("2006-01-02T15:04:05Z")},
		"aws:epochtime":       {strconv.FormatInt(now.Unix(), 10)},
		"aws:securetransport": {strconv.FormatBool(req.TLS != nil)},
	}
	if from := trail.SourceIP(req); from.IsValid() {
		c["aws:sourceip"] = []string{from.String()}
	}
	if agent := req.UserAgent(); agent != "" {
		c["aws:useragent"] = []string{agent}
	}
	return asker{principal: p, context: c, asked: new([]string)}
}

// decide asks the asker's policies. The refusal names what is missing: it goes
// only to those who know of the repository anyway.
func (r *Registry) decide(a asker, p permission, owner, name string) error {
	resource := arnOf(owner, name)
	a.ask(resource)
	keys := a.context
	if owner != a.principal.Account { // for policies that keep to their own account
		keys = maps.Clone(keys)
		keys["aws:resourceaccount"] = []string{owner}
	}
	ok, action, d := p.given(func(action string) iam.Decision {
		return r.config.Decide(a.principal, iam.Question{Action: action, Resource: resource, Context: keys})
	})
	if ok {
		return nil
	}
	why := "because no identity-based policy allows the " + action + " action"
	if d.Explicit {
		why = "with an explicit deny in an identity-based policy"
	}
	return &refusal{http.StatusForbidden, "DENIED", "User: " + a.principal.ARN + " is not authorized to perform: " + action + " on resource: " + resource + " " + why}
}

// repository reads a repository's document; store.ErrNotFound if there is none.
func (r *Registry) repository(ctx context.Context, name string) (Repository, error) {
	if !validName(name) || strings.HasPrefix(name, publishedPrefix) {
		return Repository{}, store.ErrNotFound
	}
	d, err := r.config.Store.Get(ctx, store.Key{Kind: KindRepository, ID: name})
	if err != nil {
		return Repository{}, err
	}
	var repo Repository
	err = json.Unmarshal(d.Body, &repo)
	if err != nil {
		return Repository{}, fmt.Errorf("reading the document of repository %s: %w", name, err)
	}
	return repo, nil
}

// tag reads the document of a tag that a version names; store.ErrNotFound if none does.
func (r *Registry) tag(ctx context.Context, repository, name string) (Tag, error) {
	d, err := r.config.Store.Get(ctx, store.Key{Kind: KindTag, ID: repository + ":" + name})
	if err != nil {
		return Tag{}, err
	}
	var t Tag
	if len(d.Body) == 0 {
		return t, nil
	}
	err = json.Unmarshal(d.Body, &t)
	if err != nil {
		return Tag{}, fmt.Errorf("reading the document of tag %s:%s: %w", repository, name, err)
	}
	return t, nil
}

// mayWrite says whether the asker may write to a repository: only the account
// that the repository belongs to, and only with policies that give p.
func (r *Registry) mayWrite(ctx context.Context, a asker, p permission, name string) error {
	repo, err := r.repository(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		if product, ok := PublishedProduct(name); ok {
			may, err := r.obtains(ctx, a, Account, name, product)
			if err == nil && may {
				return &refusal{http.StatusForbidden, "DENIED", "published images are written by change sets alone"}
			}
			if err != nil {
				return err
			}
		}
		return nameUnknown()
	case err != nil:
		return err
	case repo.Account == a.principal.Account:
		return r.decide(a, p, repo.Account, name)
	}
	may, err := r.obtains(ctx, a, repo.Account, name, repo.Product)
	if err != nil {
		return err
	}
	if !may {
		return nameUnknown()
	}
	return &refusal{http.StatusForbidden, "DENIED", "only the account that owns the repository may write to it"}
}

// readable is a repository that an asker may read.
type readable struct {
	name string // where the images lie
	// of is the repository that was asked for, if the images that the asker
	// may have of it lie elsewhere. Its tags are those that versions name.
	of string
	// product is whose published images these are; "" if they are the asker's
	// own or lent.
	product string
	// lent has the digests that another account lets the asker read.
	lent []string
}

// mayRead says what the asker may read under a repository's name. Its owner
// reads all that was pushed. Others, who may obtain the product, read under
// the same name what the product has published, and nothing else of it; or, in
// a repository that is no product's, what Config.Lent names. All need policies
// that give p.
func (r *Registry) mayRead(ctx context.Context, a asker, p permission, name string) (readable, error) {
	repo, err := r.repository(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		product, ok := PublishedProduct(name)
		if !ok || !validName(name) {
			return readable{}, nameUnknown()
		}
		may, err := r.obtains(ctx, a, Account, name, product)
		if err != nil {
			return readable{}, err
		}
		if !may {
			return readable{}, nameUnknown()
		}
		return readable{name: name, product: product}, r.decide(a, p, Account, name)
	case err != nil:
		return readable{}, err
	case repo.Account == a.principal.Account:
		return readable{name: name}, r.decide(a, p, repo.Account, name)
	case repo.Product == "" && r.config.Lent != nil:
		lent, err := r.config.Lent(ctx, a.principal.Account, name)
		if err != nil {
			return readable{}, fmt.Errorf("asking what %s may have of %s: %w", a.principal.Account, name, err)
		}
		if len(lent) == 0 {
			return readable{}, nameUnknown()
		}
		return readable{name: name, of: name, lent: lent}, r.decide(a, p, repo.Account, name)
	}
	may, err := r.obtains(ctx, a, repo.Account, name, repo.Product)
	if err != nil {
		return readable{}, err
	}
	if !may {
		return readable{}, nameUnknown()
	}
	return readable{name: Published(repo.Product, name), of: name, product: repo.Product}, r.decide(a, p, repo.Account, name)
}

// obtains says whether an asker may obtain a product, whose repository it asked
// for. A refusal that the account may be told is an error: clients print its
// reason. Of others it must not learn that there is such a product: then its
// record does not name the repository either.
func (r *Registry) obtains(ctx context.Context, a asker, owner, repository, product string) (bool, error) {
	answer, err := r.config.MayObtain(ctx, a.principal.Account, product, "")
	if err != nil {
		return false, fmt.Errorf("asking whether %s may obtain %s: %w", a.principal.Account, product, err)
	}
	if answer.OK || answer.Told {
		a.ask(arnOf(owner, repository))
	}
	if answer.OK {
		return true, nil
	}
	if answer.Told {
		return false, denied(answer)
	}
	r.config.Log.Debug("registry: may not obtain", "account", a.principal.Account, "repository", repository, "product", product, "reason", answer.Reason)
	return false, nil
}

// denied is the answer to who may not obtain something, with the reason.
func denied(a procurement.Answer) *refusal {
	return &refusal{http.StatusForbidden, "DENIED", a.Reason}
}
