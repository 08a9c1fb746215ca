package product

// Restriction is what RestrictDeliveryOptions would do to a product with
// versions. Products have rules of their own about it.
type Restriction struct {
	Unknown []string // ids that no delivery option has
	Closed  []string // ids of options that are not public
	Last    bool     // it is about all options that are public
}

// Restrict says what restricting the delivery options of ids would do, by the
// visibilities of all options of the product.
func Restrict(ids []string, visibilities map[string]Visibility) Restriction {
	var r Restriction
	chosen := map[string]bool{}
	for _, id := range ids {
		visibility, known := visibilities[id]
		switch {
		case !known:
			r.Unknown = append(r.Unknown, id)
		case visibility != Public:
			r.Closed = append(r.Closed, id)
		default:
			chosen[id] = true
		}
	}
	public := 0
	for _, visibility := range visibilities {
		if visibility == Public {
			public++
		}
	}
	r.Last = len(chosen) > 0 && len(chosen) == public
	return r
}
