package organization

import (
	"context"
	"slices"
	"strings"

	"souk/storage/store"
)

// unit looks at an organisational unit: it is below the root, by way of units
// that are there.
func (v *verification) unit(ctx context.Context, d store.Document) error {
	var u Unit
	if err := decode(d, &u); err != nil || u.ID != d.ID {
		v.unreadable("organisational unit", d, err)
		return nil
	}
	info, err := v.o.Info(ctx)
	if err != nil {
		return err
	}
	if len(u.Above) == 0 || u.Above[0] != info.Root() || u.Above[len(u.Above)-1] != u.Parent || slices.Contains(u.Above, u.ID) {
		v.find("organisational unit %s is in %q, and not in its order below the root", u.ID, strings.Join(u.Above, "/"))
		return nil
	}
	if u.Parent == info.Root() {
		return nil
	}
	return v.inUnit(ctx, "organisational unit", u.ID, u.Parent)
}

// inUnit finds what is in a unit that is not there; "" is the root.
func (v *verification) inUnit(ctx context.Context, what, id, unit string) error {
	if unit == "" {
		return nil
	}
	there, err := v.o.Contains(ctx, unit)
	if err == nil && !there {
		// A unit with something in it is not deleted, so it was never there, or is lost.
		v.find("%s %s is in the organisational unit %s, which is missing", what, id, unit)
	}
	return err
}
