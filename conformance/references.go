package conformance

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/conformance/seller"
)

// references checks $ChangeName.Entity.Identifier and the order of changes.
func references() []Check {
	return []Check{
		{"reference/chain", "Changes may stand before the one that makes their entity: the service orders them.", chainedReferences},
		{"reference/unknown", "A reference to a change that is not there is refused.", unknownReference},
		{"reference/cycle", "A change that refers to itself is refused.", referenceCycle},
		{"reference/twenty", "A set of 20 changes of 20 new products works.", twentyChanges},
	}
}

func chainedReferences(ctx context.Context, v *Visit) error {
	const product = "$Create.Entity.Identifier"
	set, err := v.Do(ctx,
		seller.Change("ReleaseProduct", product, "{}"),
		seller.Change("UpdateInformation", product, seller.Information("Chain "+v.Unique)),
		seller.Named("Create", seller.Change("CreateProduct", "", "{}")))
	if err != nil {
		return err
	}
	id := seller.EntityID(set.ChangeSet[2])
	for i, c := range set.ChangeSet {
		v.Want(seller.EntityID(c) == id, "change %d shows the entity %s, want %s", i+1, seller.EntityID(c), id)
	}
	p, err := v.Product(ctx, id)
	if err != nil {
		return err
	}
	v.Want(p.Description.Visibility == "Limited", "the product is %s, want Limited", p.Description.Visibility)
	out, err := v.Entity(ctx, id)
	if err != nil {
		return err
	}
	v.Want(*out.EntityIdentifier == id+"@1", "the entity is %s, want one revision for the whole set", *out.EntityIdentifier)
	return nil
}

func unknownReference(ctx context.Context, v *Visit) error {
	_, err := v.Start(ctx, seller.Change("ReleaseProduct", "$Nothing.Entity.Identifier", "{}"))
	v.WantError("a reference to a change that is not there", err, "ValidationException", "")
	return nil
}

func referenceCycle(ctx context.Context, v *Visit) error {
	_, err := v.Start(ctx,
		seller.Named("First", seller.Change("ReleaseProduct", "$Second.Entity.Identifier", "{}")),
		seller.Named("Second", seller.Change("ReleaseProduct", "$First.Entity.Identifier", "{}")))
	v.WantError("two changes that refer to each other", err, "ValidationException", "")
	_, err = v.Start(ctx, seller.Named("First", seller.Change("ReleaseProduct", "$First.Entity.Identifier", "{}")))
	v.WantError("a change that refers to itself", err, "ValidationException", "")
	return nil
}

func twentyChanges(ctx context.Context, v *Visit) error {
	changes := make([]types.Change, 0, 20)
	for i := range 20 {
		changes = append(changes, seller.Change("CreateProduct", "", seller.JSON(map[string]string{"ProductTitle": fmt.Sprintf("Twenty %s %d", v.Unique, i)})))
	}
	set, err := v.Do(ctx, changes...)
	if err != nil {
		return err
	}
	ids := map[string]bool{}
	for _, c := range set.ChangeSet {
		ids[seller.EntityID(c)] = true
	}
	v.Want(len(ids) == 20, "%d products were made, want 20", len(ids))
	return nil
}
