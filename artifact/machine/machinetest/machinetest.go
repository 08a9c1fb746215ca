// Package machinetest is what every provider of machines must pass: what the
// contract of artifact/machine says, sentence by sentence; that the layer of what
// a machine changed, laid over its image, is what the machine saw of itself; and
// attacks from inside, each of which must be held by every provider whose
// Capabilities say so.
//
// A provider's test calls Run. The suite brings an image of its own, of busybox
// and of a program that attacks, so nothing is fetched. It wants Linux, the go
// command, and busybox as one static program.
package machinetest
