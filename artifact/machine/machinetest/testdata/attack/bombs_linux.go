package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// heap takes and touches so many MiB of memory, and says when it has them.
func heap(args []string) error {
	n := number(args, 0)
	for range n {
		b, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			return nil // refused
		}
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
	}
	return through("%d MiB of memory were had", n)
}

// pipes fills as many pipes as it may have, each as large as may be.
func pipes([]string) error {
	total, block := 0, make([]byte, 1<<20)
	for {
		var fd [2]int
		if err := unix.Pipe2(fd[:], unix.O_NONBLOCK); err != nil {
			break
		}
		unix.FcntlInt(uintptr(fd[1]), unix.F_SETPIPE_SZ, 1<<20) //nolint:errcheck // then it is smaller
		for {
			n, err := unix.Write(fd[1], block)
			if err != nil {
				break
			}
			total += n
		}
	}
	fmt.Println(total)
	if total > 1<<30 {
		return through("%d bytes are in pipes", total)
	}
	return nil
}

// fill writes a file of so many MiB, and says how many bytes it could write.
func fill(args []string) error {
	f, err := os.Create(args[0])
	if err != nil {
		return nil
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i * 7)
	}
	total := 0
	for range number(args, 1) {
		n, err := f.Write(block)
		total += n
		if err != nil {
			fmt.Println(total, err)
			return nil
		}
	}
	if err := f.Sync(); err != nil {
		fmt.Println(total, err)
		return nil
	}
	return through("%d bytes were written to %s", total, args[0])
}

// inodes makes so many empty files, and says how many it could make.
func inodes(args []string) error {
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return nil
	}
	n := number(args, 1)
	for i := range n {
		fd, err := unix.Open(fmt.Sprintf("%s/%d", args[0], i), unix.O_CREAT|unix.O_WRONLY, 0o644)
		if err != nil {
			fmt.Println(i, err)
			return nil
		}
		unix.Close(fd)
	}
	return through("%d files were made", n)
}

// spin keeps two processors busy for so many milliseconds, and says how many
// milliseconds of a processor it was given.
func spin(args []string) error {
	end := time.Now().Add(time.Duration(number(args, 0)) * time.Millisecond)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			runtime.LockOSThread()
			for time.Now().Before(end) {
			}
		})
	}
	both.Wait()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return err
	}
	fmt.Println((u.Utime.Nano() + u.Stime.Nano()) / int64(time.Millisecond))
	return nil
}

// flood writes so many MiB to its output, in blocks of 1 MiB.
func flood(args []string) error {
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = "all work and no play \n"[i%22]
	}
	for range number(args, 0) {
		if _, err := os.Stdout.Write(block); err != nil {
			os.Stderr.WriteString(err.Error())
			return nil
		}
	}
	return nil
}

// zombies leaves so many processes behind that nobody but pid 1 can wait for. When
// there are too many it waits for pid 1 to do so.
func zombies(args []string) error {
	patience := time.Now().Add(20 * time.Second)
	for n := number(args, 0); n > 0; {
		// The child's child is an orphan at once, and soon dead.
		out, err := exec.Command("/bin/sh", "-c", "(true &)").CombinedOutput()
		if err == nil {
			n--
			continue
		}
		if time.Now().After(patience) {
			return through("after some orphans no process can be made: %v %s", err, out)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// threads makes as many threads as it may, and says how many.
func threads(args []string) error {
	limit := int(number(args, 0))
	n := 0
	for ; n < 4*limit; n++ {
		pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
		if errno != 0 {
			break
		}
		if pid == 0 { // waits for the end of all
			for {
				syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
			}
		}
	}
	fmt.Println(n)
	unix.Kill(-1, unix.SIGKILL) //nolint:errcheck // nobody is left who would mind
	if n >= limit {
		return through("%d processes", n)
	}
	return nil
}

// deep makes directories within one another, and names as long as may be.
func deep(args []string) error {
	n, long := number(args, 1), make([]byte, 255)
	for i := range long {
		long[i] = 'n'
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	if err := os.Chdir(args[0]); err != nil {
		return err
	}
	for i := range n {
		name := "d"
		if i < 30 {
			name = string(long)
		}
		if err := unix.Mkdir(name, 0o755); err != nil {
			fmt.Println(i, err)
			return nil
		}
		if err := unix.Chdir(name); err != nil {
			fmt.Println(i, err)
			return nil
		}
	}
	return os.WriteFile("bottom", []byte("bottom\n"), 0o644)
}

// size says the size of a file.
func size(args []string) error {
	info, err := os.Stat(args[0])
	if errors.Is(err, os.ErrNotExist) {
		fmt.Println(-1)
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Println(info.Size())
	return nil
}
