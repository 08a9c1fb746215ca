//go:build !crashpoints

package server

import (
	"souk/artifact/appstream/image"
	"souk/artifact/images"
	"souk/storage/store"
)

// crashpoints returns the store as it is; see crashpoints.go.
func crashpoints(s store.Store) store.Store { return s }

// crashImages returns the configuration as it is; see crashpoints.go.
func crashImages(c images.Config) images.Config { return c }

// crashAppImages returns the configuration as it is; see crashpoints.go.
func crashAppImages(c image.Config) image.Config { return c }

// crashVersion is none; see crashpoints.go.
func crashVersion() string { return "" }
