package catalog

// Later returns the entity types that AWS documents and Souk does not offer
// yet, by name without version, with the documented change types that are not
// offered of those that are. Requests for them are told so; everything else is
// unknown.
//
// AWS Marketplace Developer Guide (docs.aws.amazon.com/marketplace/latest/developerguide/):
// the page of each line.
func Later() map[string][]string {
	return map[string][]string{
		// work-with-private-offers.html, work-with-cppos.html
		"Offer": {
			"CreateOfferUsingResaleAuthorization", "CreateReplacementOfferUsingResaleAuthorization",
			"UpdateNetPaymentTerms", "UpdateCustomerVerificationTerms", "UpdateMarkup",
		},

		"MachineLearningProduct": nil, // work-with-ml-products.html
		"OfferSet":               nil, // work-with-offer-sets.html
		"ResaleAuthorization":    nil, // work-with-resale-authorizations.html
		"Solution":               nil, // work-with-multi-product-solutions.html
	}
}
