package control

import "souk/access/keyring"

// Keyring is what souk keyring list shows.
type Keyring struct {
	File   string // the key file of this node
	Keys   []keyring.Needs
	Broken int // documents that no key opens
}

// DropKey says which key leaves the file.
type DropKey struct {
	ID    string
	Force bool
}

// UseKey says which key of the file is to seal.
type UseKey struct {
	ID  string
	Yes bool // every node has it: whoever asks has looked
}
