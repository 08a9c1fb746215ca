// Agent is the first process of the machines of tests. It is built without cgo: a
// test's own program needs libraries that a machine has not.
package main

import (
	"os"

	"souk/artifact/machine/sandbox"
)

func main() {
	sandbox.Main(nil)
	os.Exit(2)
}
