package containerproduct

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"souk/catalog/change"
	"souk/catalog/product"
)

// AddRepositories makes repositories for a product's images and charts in the
// registry, below the seller's namespace.
//
// Catalog API Reference, "Creating repositories and resources for a
// container-based product". "The included fields are all required."
type AddRepositories struct {
	Repositories []NewRepository // "You can only have 50 repositories per product".
}

// NewRepository is a repository to be made.
type NewRepository struct {
	RepositoryName string // "The name of the repository to create." Fewer than 256 characters with the namespace.
	RepositoryType string // "The type of the repository to create. The only allowed value is ECR."
}

// mostRepositories is how many repositories a product can have.
const mostRepositories = 50

// repositoryName is what a repository's name below the namespace looks like:
// what the registry's grammar allows, of two characters or more.
var repositoryName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+|/)[a-z0-9]+)*$`)

// Valid refuses entries without name or type.
func (r *AddRepositories) Valid(c *change.Checks) {
	var missing product.Missing
	for i, repository := range r.Repositories {
		missing.Require("/Repositories/"+strconv.Itoa(i), "RepositoryName", repository.RepositoryName, "RepositoryType", repository.RepositoryType)
	}
	c.Refuse(len(missing) > 0, "422", "Provided Details is not valid. [x].", []string(missing))
}

// Check states the page's errors.
func (r *AddRepositories) Check(p *Product, c *change.Checks) {
	var names, misnamed, tooLong, taken, otherTypes []string
	for _, repository := range r.Repositories {
		name := repository.RepositoryName
		if len(name) < 2 || !repositoryName.MatchString(name) {
			misnamed = append(misnamed, name)
		}
		full := c.Seller.Namespace + "/" + name
		if len(full) >= 256 { // "reached": the registry's names have 255
			tooLong = append(tooLong, name)
		}
		if slices.Contains(p.Repositories, Repository{Name: full}) {
			taken = append(taken, name)
		}
		if repository.RepositoryType != "ECR" {
			otherTypes = append(otherTypes, repository.RepositoryType)
		}
		names = append(names, name)
	}
	c.Refuse(len(misnamed) > 0, "INVALID_ECR_REPOSITORY_NAME", "Provide repository name in the format: 'nginx-web-app'", change.In("RepositoryName", misnamed...))
	c.Refuse(len(taken) > 0 || len(product.Repeated(names)) > 0, "DUPLICATE_ECR_REPOSITORY_NAME", "The repository name must be unique.", change.In("RepositoryName", append(product.Repeated(names), taken...)...))
	c.Refuse(len(r.Repositories) == 0, "MISSING_REPOSITORY_INFORMATION", "Provide at least 1 repository name.")
	c.Refuse(len(tooLong) > 0, "INVALID_ECR_REPOSITORY_NAME", "Maximum character length 256 reached. Character length count is inclusive of the seller namespace.", change.In("RepositoryName", tooLong...))
	c.Refuse(len(otherTypes) > 0, "MISSING_REPOSITORY_INFORMATION", "Provide repository type ECR.", change.In("RepositoryType", otherTypes...))
	c.Refuse(len(p.Repositories)+len(names) > mostRepositories, "INVALID_ECR_REPOSITORY_NAME", "Provide fewer repository names. A product can have [x] repositories.", mostRepositories)
}

// Probe asks whether another product has a repository of the name.
func (r *AddRepositories) Probe(ctx context.Context, _ *Product, c *change.Checks) error {
	var taken []string
	for _, repository := range r.Repositories {
		full := c.Seller.Namespace + "/" + repository.RepositoryName
		exists, err := c.World.Names.Taken(ctx, "repository", full)
		if err != nil {
			return fmt.Errorf("asking whether repository %s exists: %w", full, err)
		}
		if exists {
			taken = append(taken, full)
		}
	}
	c.Refuse(len(taken) > 0, "DUPLICATE_ECR_REPOSITORY_NAME", "The repository name must be unique.", change.In("RepositoryName", taken...))
	return nil
}

// Apply notes the repositories and claims their names for the product.
func (r *AddRepositories) Apply(p *Product, a *change.Applying) {
	for _, repository := range r.Repositories {
		full := a.Seller.Namespace + "/" + repository.RepositoryName
		p.Repositories = append(p.Repositories, Repository{Name: full})
		a.Claim("repository", full, claimBody(RepositoryClaim{Account: a.Seller.Account, Product: a.Entity.ID}))
	}
}

// RepositoryClaim is what is written down with the name of a repository.
type RepositoryClaim struct {
	Account string // of the seller, who alone may push
	Product string // id of the product
}

// TagClaim is what is written down with a tag that a version names: nobody may
// push it again.
type TagClaim struct {
	Product string // id of the product
	Digest  string // what the tag meant when the version was made
}

// claimBody encodes a claim; strings always encode.
func claimBody(claim any) []byte {
	body, _ := json.Marshal(claim)
	return body
}
