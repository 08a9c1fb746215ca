package change

import (
	"fmt"
	"strings"
)

// Wrong collects the members of Details, each with its value, that a rule
// refuses whose documented text has no place for them. As the last argument of
// Refuse it is for the log, and for the field list of a ValidationException.
type Wrong []string

// If notes a member and its value if it is bad.
func (w *Wrong) If(bad bool, member string, value any) {
	if !bad {
		return
	}
	switch v := value.(type) {
	case string:
		*w = append(*w, fmt.Sprintf("%s %.200q", member, v))
	case []string:
		*w = append(*w, fmt.Sprintf("%s %.200q", member, v))
	default:
		*w = append(*w, fmt.Sprintf("%s %v", member, v))
	}
}

// In is what is wrong with one member: each of its values.
func In[S ~string](member string, values ...S) Wrong {
	var w Wrong
	for _, v := range values {
		w.If(true, member, string(v))
	}
	return w
}

// String shows what is wrong on one line, the first 10 of it.
func (w Wrong) String() string {
	if more := len(w) - 10; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(w[:10], ", "), more)
	}
	return strings.Join(w, ", ")
}
