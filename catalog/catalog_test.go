package catalog

import (
	"slices"
	"testing"

	"souk/catalog/change"
)

// TestWhatIsOfferedIsNotSaidToComeLater finds lines of Later that are out of date.
func TestWhatIsOfferedIsNotSaidToComeLater(t *testing.T) {
	t.Parallel()
	later := Later()
	for _, et := range Types(Config{RegistryHost: "127.0.0.1:8470"}) {
		changes, listed := later[et.Name]
		if listed && len(changes) == 0 {
			t.Errorf("%s is offered", et.Name)
		}
		for _, name := range changes {
			if slices.ContainsFunc(et.Types, func(c change.Type) bool { return c.Name == name }) {
				t.Errorf("%s of %s is offered", name, et.Name)
			}
		}
	}
}
