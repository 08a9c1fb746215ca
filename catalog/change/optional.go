package change

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Optional is a member of a Details document that tells apart what an update
// has to: not there (leave as it is), null (unset), and given.
type Optional[T any] struct {
	Given bool // the member is there, be it null
	Null  bool
	Value T // the zero value if Null or not Given
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (o *Optional[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*o = Optional[T]{Given: true}
	if d.PeekKind() == jsontext.KindNull {
		o.Null = true
		_, err := d.ReadToken()
		return err
	}
	return json.UnmarshalDecode(d, &o.Value)
}

// Update puts what was given, or the zero value if it was null, into current.
func (o Optional[T]) Update(current *T) {
	if o.Given {
		*current = o.Value
	}
}
