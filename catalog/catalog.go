// Package catalog is the list of entity types that Souk's catalog knows. What
// they are and do stands in their own packages.
package catalog

import (
	"souk/catalog/amiproduct"
	"souk/catalog/change"
	"souk/catalog/containerproduct"
	"souk/catalog/dataproduct"
	"souk/catalog/experience"
	"souk/catalog/offer"
	"souk/catalog/saasproduct"
)

// Config is what entity types need to know of the server.
type Config struct {
	RegistryHost string // host (and port) under which repositories are shown, such as 127.0.0.1:8470
}

// Types returns all entity types.
func Types(c Config) []*change.EntityType {
	types := []*change.EntityType{
		amiproduct.EntityType(),
		containerproduct.EntityType(c.RegistryHost),
		saasproduct.EntityType(),
		offer.EntityType(nil),
		dataproduct.EntityType(),
	}
	return append(types, experience.EntityTypes()...)
}
