//go:build race

package machinetest

// raced says that the race detector watches, which makes the host several times slower.
const raced = true
