package server

import (
	"testing"

	"souk/catalog/amiproduct"
)

// TestWhatOffersAnImage: a version keeps the AMI that new buyers get by it.
func TestWhatOffersAnImage(t *testing.T) {
	t.Parallel()
	version := func(title, ami string, seen string) amiproduct.Version {
		option := amiproduct.DeliveryOption{ID: "o-" + title, SourceID: "s-" + title}
		if seen == "Public" {
			option.Visibility = "Public"
		} else {
			option.Visibility = "Restricted"
		}
		return amiproduct.Version{
			Title:           title,
			Sources:         []amiproduct.Source{{ID: "s-" + title, AMI: ami}, {ID: "unused", AMI: "ami-3"}},
			DeliveryOptions: []amiproduct.DeliveryOption{option},
		}
	}
	p := &amiproduct.Product{Versions: []amiproduct.Version{
		version("1.0", "ami-1", "Restricted"), version("2.0", "ami-2", "Public"), version("2.1", "ami-2", "Restricted"),
	}}
	for id, want := range map[string]string{"ami-1": "", "ami-2": "2.0", "ami-3": "", "ami-4": ""} {
		if got, ok := offers(p, id); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, want %q", id, got, want)
		}
	}
}
