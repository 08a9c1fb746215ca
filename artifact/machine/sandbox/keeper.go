package sandbox

import (
	"errors"
	"runtime"

	"golang.org/x/sys/unix"
)

// keeper is a thread of this process with mounts of its own. A machine's file
// system is mounted on it and nowhere else: the host sees nothing of it, and when
// the thread ends, or the process is killed, the mounts are gone with it. The
// machine's first process is started from it, and the kernel kills that process
// when the thread ends.
type keeper struct {
	work chan func()
	quit chan struct{} // closed to end it
	done chan struct{} // closed when it has ended
}

// newKeeper starts the thread. own: it gets mounts of its own, for which this
// process must be root.
func newKeeper(own bool) (*keeper, error) {
	k := &keeper{work: make(chan func()), quit: make(chan struct{}), done: make(chan struct{})}
	ready := make(chan error, 1)
	go func() {
		defer close(k.done)
		runtime.LockOSThread() // never unlocked: the thread ends with this function
		var err error
		if own {
			err = unix.Unshare(unix.CLONE_NEWNS)
			if err == nil {
				// What the host unmounts is unmounted here, too; not the other way round.
				err = unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, "")
			}
		}
		ready <- err
		if err != nil {
			return
		}
		for {
			select {
			case f := <-k.work:
				f()
			case <-k.quit:
				return
			}
		}
	}()
	err := <-ready
	if err != nil {
		return nil, err
	}
	return k, nil
}

// do runs f on the thread.
func (k *keeper) do(f func() error) error {
	result := make(chan error, 1)
	select {
	case k.work <- func() { result <- f() }:
		return <-result
	case <-k.done:
		return errors.New("the machine's thread has ended")
	}
}

// end ends the thread, and waits until it does nothing more.
func (k *keeper) end() {
	close(k.quit)
	<-k.done
}
