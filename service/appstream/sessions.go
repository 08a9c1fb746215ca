package appstream

// Sessions is what the operations on sessions in image builders need of their room.
type Sessions interface{}
