// Attack is the program that stands at /attack in the machines of machinetest. It
// does inside what a shell can't: raw system calls, bombs, and a list of what the
// machine's disk looks like from there. It is no part of Souk.
//
// It ends with 0 where the machine held, with 1 where it did not, and with 2 where
// it was asked for something that it does not know.
package main

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"syscall"
)

// commands are what it can do, by the name that is its first argument.
var commands = map[string]func(args []string) error{
	"call": call, "tree": tree, "churn": churn, "setcap": setcap, "deep": deep,
	"heap": heap, "pipes": pipes, "fill": fill, "inodes": inodes, "spin": spin, "flood": flood, "zombies": zombies, "threads": threads,
	"dial": dial, "nets": nets, "write": write, "read": read, "files": files, "reopen": reopen, "exe": exe, "memfd": memfd, "chroot": chroot,
	"setxattr": setxattr, "typeahead": typeahead, "compat": compat, "alive": alive, "sockets": sockets, "size": size,
}

// through is the error of an attack that the machine did not hold.
func through(format string, args ...any) error {
	return fmt.Errorf("got through: "+format, args...)
}

var errUsage = errors.New("unknown command or arguments")

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, errUsage)
		os.Exit(2)
	}
	err := commands[os.Args[1]](os.Args[2:])
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	case err != nil:
		fmt.Println(err)
		os.Exit(1)
	}
}

// number is an argument that is one.
func number(args []string, i int) int64 {
	if i >= len(args) {
		panic(errUsage)
	}
	n, err := strconv.ParseInt(args[i], 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// call makes a system call that no program of a machine may make, and says with
// which errno it was refused.
func call(args []string) error {
	if len(args) == 1 && args[0] == "list" {
		var names []string
		for name := range calls {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			fmt.Println(name)
		}
		return nil
	}
	if len(args) != 1 || calls[args[0]] == nil {
		return errUsage
	}
	err := calls[args[0]]()
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return through("%s: %v", args[0], err)
	}
	fmt.Printf("%s: errno %d, %v\n", args[0], errno, errno)
	switch errno {
	case syscall.EPERM, syscall.EACCES, syscall.ENOSYS, syscall.EROFS,
		syscall.EAFNOSUPPORT, syscall.ESOCKTNOSUPPORT, syscall.EPROTONOSUPPORT: // the kernel has it not, or not for us
		return nil
	case syscall.ENOENT, syscall.ENOTBLK, syscall.ENODEV, syscall.ENXIO: // what it needs is not in the machine
		return nil
	case syscall.ENOSPC: // as many namespaces of users as there may be: none
		return nil
	}
	return through("%s: the call was not refused, but failed: %v", args[0], errno)
}
