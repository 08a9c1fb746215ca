package layer_test

import "encoding/binary"

// capabilities are the bytes of security.capability for cap_net_raw and
// cap_net_bind_service, permitted and effective, as linux/capability.h has them:
// for user 0, or for another in the third form.
func capabilities(root uint32) []byte {
	magic := uint32(0x02000001)
	if root != 0 {
		magic = 0x03000001
	}
	b := binary.LittleEndian.AppendUint32(nil, magic)
	for _, word := range []uint32{1<<13 | 1<<10, 0, 0, 0} {
		b = binary.LittleEndian.AppendUint32(b, word)
	}
	if root != 0 {
		b = binary.LittleEndian.AppendUint32(b, root)
	}
	return b
}
