package saasproduct

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"souk/catalog/change"
)

// pages are URLs of one kind that details give, each once.
type pages []string

func (p *pages) add(url string) {
	if url != "" && !slices.Contains(*p, url) {
		*p = append(*p, url)
	}
}

// noStatus stands for the status of a page that nobody can answer for.
const noStatus = "none"

// failing asks each page and returns what those that don't answer 200 answered
// instead, and which they are. Nothing, where nobody looks at pages.
func (p pages) failing(ctx context.Context, c *change.Checks, member string) (statuses []string, wrong change.Wrong, err error) {
	if c.World.Pages == nil {
		return nil, nil, nil
	}
	for _, url := range p {
		status, err := c.World.Pages.Status(ctx, url)
		switch {
		case errors.Is(err, change.ErrPageUnreachable):
			c.Explain(err)
			statuses = append(statuses, noStatus)
		case err != nil:
			return nil, nil, fmt.Errorf("asking a page of %s: %w", c.Entity.ID, err)
		case status != http.StatusOK:
			statuses = append(statuses, strconv.Itoa(status))
		default:
			continue
		}
		wrong.If(true, member, url)
	}
	return statuses, wrong, nil
}

// address is the endpoint's URL with the default values of its parameters; "" if
// one has none: its buyers' values are not known yet.
func (e *Endpoint) address() string {
	address := e.EndpointUrl
	for _, parameter := range e.EndpointUrlParameters {
		if parameter.DefaultValue == "" {
			return ""
		}
		address = strings.ReplaceAll(address, "{"+parameter.Name+"}", parameter.DefaultValue)
	}
	return address
}

// fulfillment is where the details lead buyers to register.
func (d *DeliveryOptionDetails) fulfillment() string {
	switch {
	case !d.one():
		return ""
	case d.ApiDeliveryOptionDetails != nil:
		return d.ApiDeliveryOptionDetails.FulfillmentUrl
	}
	return d.SaaSUrlDeliveryOptionDetails.FulfillmentUrl.Value
}
