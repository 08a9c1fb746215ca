package sandbox

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// capabilityHeader and capabilityData are the kernel's structures, version 3.
type capabilityHeader struct {
	version uint32
	pid     int32
}

type capabilityData struct{ effective, permitted, _ uint32 } // the last: inheritable

const capabilityVersion = 0x20080522

// setCapabilities gives this process these capabilities and no others; none are handed on by themselves.
func setCapabilities(kept uint64) error {
	header := capabilityHeader{version: capabilityVersion}
	var data [2]capabilityData
	for i := range data {
		part := uint32(kept >> (32 * i))
		data[i] = capabilityData{effective: part, permitted: part}
	}
	errno := onAll(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0)
	if errno == 0 {
		errno = onAll(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0)
	}
	if errno != 0 {
		return fmt.Errorf("giving away capabilities: %w", errno)
	}
	return nil
}

// onAll makes a system call on all threads of this process, where Go can: in a
// program with C in it, it can't, and this thread alone makes it. Every program of
// a machine is started from this thread.
func onAll(call, a, b, c uintptr) syscall.Errno {
	_, _, errno := syscall.AllThreadsSyscall(call, a, b, c)
	if errno == syscall.ENOTSUP {
		_, _, errno = syscall.RawSyscall6(call, a, b, c, 0, 0, 0)
	}
	return errno
}
