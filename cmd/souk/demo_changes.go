package main

// This file has changes as the steps of the story write them, in JSON.

// createdProduct is how a change set names the product that it creates.
const createdProduct = "$Product.Entity.Identifier"

// changeOf is a change of an entity that there is, or that the same set creates.
func changeOf(entityType, id, changeType, details string) string {
	return `{
          "ChangeType": "` + changeType + `",
          "Entity": { "Type": "` + entityType + `@1.0", "Identifier": "` + id + `" },
          "DetailsDocument": ` + details + `
        }`
}

// ofOffer is a change of the offer that the same set creates.
func ofOffer(changeType, details string) string {
	return changeOf("Offer", "$Offer.Entity.Identifier", changeType, details)
}

// alone is a change set of one change.
func alone(change string) string {
	return "[\n        " + change + "\n      ]"
}

// bringYourOwnLicence are the changes of an offer of a product, from its creation
// to its release.
func bringYourOwnLicence(product string) string {
	return `{
          "ChangeType": "CreateOffer",
          "ChangeName": "Offer",
          "Entity": { "Type": "Offer@1.0" },
          "DetailsDocument": { "ProductId": "` + product + `" }
        },
        ` + ofOffer("UpdateInformation", `{ "Name": "Bring your own licence", "Description": "For holders of a licence." }`) + `,
        ` + ofOffer("UpdatePricingTerms", `{ "PricingModel": "Byol", "Terms": [{ "Type": "ByolPricingTerm" }] }`) + `,
        ` + ofOffer("UpdateLegalTerms", `{ "Terms": [{ "Type": "LegalTerm", "Documents": [{ "Type": "StandardEula", "Version": "2022-07-14" }] }] }`) + `,
        ` + ofOffer("UpdateSupportTerms", `{ "Terms": [{ "Type": "SupportTerm", "RefundPolicy": "None." }] }`) + `,
        ` + ofOffer("ReleaseOffer", "{}")
}
