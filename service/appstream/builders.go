package appstream

// Builders is what the operations on image builders need of their room.
type Builders interface{}
