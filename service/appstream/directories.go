package appstream

// Directories is what the operations on directory configurations need of their room.
type Directories interface{}
