package procurement

import (
	"context"
	"fmt"
)

// ObtainOption says whether an account may obtain a delivery option of a version
// of a product, and why.
func (p *Procurement) ObtainOption(ctx context.Context, account, product, version, option string) (Answer, error) {
	c, err := p.read(ctx, account, product)
	if err != nil {
		return Answer{}, err
	}
	for i := range c.Product.Versions {
		v := &c.Product.Versions[i]
		for j := range v.Options {
			if o := &v.Options[j]; v.ID == version && o.ID == option {
				return c.ObtainOption(v, o), nil
			}
		}
	}
	return Answer{Reason: fmt.Sprintf("product %s has no such delivery option", product)}, nil
}

// ObtainedVersion is Obtained of what is named by its version, not by a digest:
// of a component that is installed.
func (p *Procurement) ObtainedVersion(ctx context.Context, account, product, version string) error {
	if p.config.Store == nil {
		return nil
	}
	c, err := p.read(ctx, account, product)
	if err != nil || c.sells() {
		return err
	}
	return p.subscribe(ctx, account, product, []string{version})
}
