package appstream

// Images is what the operations on AppStream images need of their room.
type Images interface{}
