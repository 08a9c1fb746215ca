// Agent is the first process of the machines of tests. It is built without cgo: a
// test's own program needs libraries that a machine has not.
package main

import (
	"os"

	"souk/artifact/machine/machinetest"
	"souk/artifact/machine/sandbox"
)

func main() {
	sandbox.Main(machinetest.Tools())
	os.Exit(2)
}
