package appstream

// Tags is what the operations on tags of images and image builders need of their room.
type Tags interface{}
