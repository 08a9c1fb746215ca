//go:build !crashpoints

package server

import (
	"souk/artifact/images"
	"souk/storage/store"
)

// crashpoints returns the store as it is; see crashpoints.go.
func crashpoints(s store.Store) store.Store { return s }

// crashImages returns the configuration as it is; see crashpoints.go.
func crashImages(c images.Config) images.Config { return c }
