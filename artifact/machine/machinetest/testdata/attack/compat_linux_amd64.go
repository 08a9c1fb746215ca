package main

import (
	"fmt"
	"os"
	"syscall"
)

func int80(nr uint32) int32

// compat makes system calls by other tables than those of 64 bits, whose numbers
// a filter of the usual ones would take for something else. A filter that ends the
// program has held as well.
func compat(args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	switch args[0] {
	case "int80":
		if pid := int80(20); int(pid) == os.Getpid() { // getpid; 64-bit's 20 is writev
			return through("int 0x80 asks for the process's number: %d", pid)
		}
	case "x32":
		pid, _, errno := syscall.RawSyscall(0x40000000|syscall.SYS_GETPID, 0, 0, 0)
		if errno == 0 && int(pid) == os.Getpid() {
			return through("x32 asks for the process's number: %d", pid)
		}
		fmt.Println(errno)
	default:
		return errUsage
	}
	return nil
}
