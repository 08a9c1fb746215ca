//go:build !race

package machinetest

const raced = false
