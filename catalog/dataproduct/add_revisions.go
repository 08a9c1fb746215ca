package dataproduct

import "souk/catalog/change"

// AddRevisions publishes revisions of a data set to a product's subscribers.
//
// Catalog API Reference, "StartChangeSet", the example. Its rules are those of
// change sets: the same change type twice on one entity is refused.
type AddRevisions struct {
	DataSetArn   string   // of the product's data set
	RevisionArns []string // of that data set's revisions
}

// Check finds nothing: there is no page of rules, and no product to check.
func (r *AddRevisions) Check(*Product, *change.Checks) {}

// Apply changes nothing: the revisions are in AWS Data Exchange.
func (r *AddRevisions) Apply(*Product, *change.Applying) {}
