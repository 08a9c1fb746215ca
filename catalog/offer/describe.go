package offer

// document is the DetailsDocument that DescribeEntity shows, as the page's
// section "Describe existing offer details" has it. Lists are [] and never null:
// a draft without anything shows both.
type document struct {
	Id                   string
	State                State
	Name                 string
	Description          string
	PreExistingAgreement *PreExistingAgreement `json:",omitempty"`
	ProductId            string
	Terms                []Term
	Rules                []rule
}

// rule is a TargetingRule or an AvailabilityRule.
type rule struct {
	Type                string
	PositiveTargeting   *Target `json:",omitempty"`
	NegativeTargeting   *Target `json:",omitempty"`
	AvailabilityEndDate string  `json:",omitempty"` // with the time at which the last day ends
}

// describe renders the offer of an id.
func (o *Offer) describe(id string) document {
	d := document{
		Id: id, State: o.State, Name: o.Name, Description: o.Description,
		PreExistingAgreement: o.PreExistingAgreement, ProductId: o.ProductID, Terms: []Term{}, Rules: []rule{},
	}
	for _, t := range o.Terms {
		d.Terms = append(d.Terms, t.describe())
	}
	if t := o.Targeting; t != nil && (t.PositiveTargeting != nil || t.NegativeTargeting != nil) {
		d.Rules = append(d.Rules, rule{Type: "TargetingRule", PositiveTargeting: t.PositiveTargeting, NegativeTargeting: t.NegativeTargeting})
	}
	if o.AvailabilityEndDate != "" {
		d.Rules = append(d.Rules, rule{Type: "AvailabilityRule", AvailabilityEndDate: string(o.AvailabilityEndDate) + "T23:59:59.999Z"})
	}
	return d
}

// describe renders a term: the dates of charges have a time there.
func (t Term) describe() Term {
	if t.Schedule == nil {
		return t
	}
	schedule := make([]Charge, len(t.Schedule))
	for i, charge := range t.Schedule {
		schedule[i] = Charge{ChargeDate: charge.ChargeDate + "T00:00:00.000Z", ChargeAmount: charge.ChargeAmount}
	}
	t.Schedule = schedule
	return t
}
