// Package sandbox is a provider of machines that are made of Linux's namespaces:
// this program, started again as the first process of new user, mount, process,
// network, host name, IPC and cgroup namespaces, above an overlay of an image's
// layers. Its root is no root of the host, it has few capabilities, its system
// calls are on an allow-list, and what it takes of the host is limited.
//
// Machine and host share one kernel. That holds back an installer that is careless
// or curious; it is no wall against somebody who has found a hole in the kernel.
// docs/security.md says what holds and what does not.
//
// As root all of Capabilities is held; as an ordinary user less is.
//
// Nothing of a machine is mounted where the host sees it: its mounts belong to a
// thread of this process (keeper) and to the machine's own processes, so they are
// gone when this process is, however that ended.
package sandbox

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"souk/artifact/images"
	"souk/artifact/layer"
	"souk/artifact/machine"
	"souk/egress/proxy"
)

// DefaultShift is the host's id of a machine's root: users of the host seldom have
// ids from 16,777,216 on.
const DefaultShift = 1 << 24

// Config says where and how machines are made.
type Config struct {
	// Root is the folder of the machines and their disks, made if it is missing. One
	// provider uses it at a time.
	Root string
	// Cache has the layers. Its Shift and Rootless are what Layers says.
	Cache *layer.Cache
	// Shift is the host's id of the machines' root; the 65,535 ids behind it are
	// their other users. 0: DefaultShift. It means nothing to an ordinary user.
	Shift int
	// CPU is what machines whose Spec says nothing have of the processors, in
	// thousandths of one; 0: machine.DefaultCPU.
	CPU int
	// Proxy is how machines with Spec.Egress reach what is on it. Nil: such machines
	// are refused.
	Proxy *proxy.Proxy
	// Door serves a connection that a program of a machine's root made to its host, if
	// the machine has a door (machine.Spec), and closes it. There are no more than
	// agent.MaxKnocks of a machine at a time, and what comes in is hostile. ctx ends
	// when the machine stops; the connection is closed then, and nobody waits for Door.
	// Nil: machines with a door are refused.
	Door func(ctx context.Context, machine string, conn net.Conn)
	// Binary is a static program that calls Main first. "": this one, static or not.
	Binary string
	// StartTimeout is how long a machine's agent may take to answer; 0: 30 s.
	StartTimeout time.Duration

	Now func() time.Time
	Log *slog.Logger
}

// Sandbox is a machine.Provider.
type Sandbox struct {
	config   Config
	rootless bool
	mkfs     string // "": the disk is a folder, and as large as the host's
	fsck     string
	cgroups  *hierarchies
	lock     *os.File
	program  *os.File   // what a machine's first process runs
	commands sync.Mutex // held while the file is made that commands lead to
	command  string     // guarded by commands: that file; "" before there is one

	mu       sync.Mutex
	boxes    map[string]*box // guarded by mu
	removing sync.WaitGroup  // folders of machines that were deleted
	closed   bool            // guarded by mu
}

// box is one machine.
type box struct {
	// mu is held by who changes the machine's state; those who run programs in it
	// do not hold it.
	mu      sync.Mutex
	id, dir string
	record  record
	gone    bool   // deleted
	layers  func() // gives the layers back; nil: they are not held
	dirs    []string
	running *running // nil: it is stopped
}

var _ machine.Provider = (*Sandbox)(nil)

// Layers is how the Cache of a sandbox with that Shift must keep layers: owners are
// shifted by as much as it says, or all are this process's user (rootless).
func Layers(shift int) (int, bool) {
	if os.Geteuid() != 0 {
		return 0, true
	}
	if shift == 0 {
		shift = DefaultShift
	}
	return shift, false
}

// New opens the folder of machines, and ends and removes what an earlier process
// left running or half made there. Machines that were made are kept, stopped.
func New(c Config) (_ *Sandbox, err error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = 30 * time.Second
	}
	if c.Cache == nil {
		return nil, errors.New("a sandbox needs a cache of layers")
	}
	c.Root, err = filepath.Abs(c.Root)
	if err != nil {
		return nil, fmt.Errorf("finding the folder of machines: %w", err)
	}
	err = os.MkdirAll(c.Root, 0o700)
	if err != nil {
		return nil, fmt.Errorf("making the folder of machines: %w", err)
	}
	c.Root, err = filepath.EvalSymlinks(c.Root) // as the kernel names it
	if err != nil {
		return nil, fmt.Errorf("finding the folder of machines: %w", err)
	}
	s := &Sandbox{config: c, boxes: map[string]*box{}}
	s.config.Shift, s.rootless = Layers(c.Shift)
	s.lock, err = os.OpenFile(filepath.Join(c.Root, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the folder of machines: %w", err)
	}
	defer func() {
		if err != nil {
			s.lock.Close()
			if s.program != nil {
				s.program.Close()
			}
		}
	}()
	err = unix.Flock(int(s.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return nil, fmt.Errorf("the folder of machines %s is in use by another process: %w", c.Root, err)
	}
	if !s.rootless {
		s.mkfs, s.fsck = findDiskPrograms()
	}
	s.cgroups = ownHierarchies(c.Root)
	s.program, err = sealed(c.Binary)
	if err != nil {
		return nil, err
	}
	return s, s.recover()
}

// ownHierarchies opens the groups of this folder's machines. Each folder has a name
// of its own, so that several servers of a host have nothing to do with each other.
func ownHierarchies(root string) *hierarchies {
	sum := sha256.Sum256([]byte(root))
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	own, _ := os.ReadFile("/proc/self/cgroup")
	h := findHierarchies(mounts, own, "souk-"+hex.EncodeToString(sum[:6]))
	h.open()
	return h
}

// findDiskPrograms finds what makes and checks file systems, also where a user's
// PATH has no folders for root.
func findDiskPrograms() (mkfs, fsck string) {
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		return "", ""
	}
	find := func(name string) string {
		for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
			file, err := exec.LookPath(filepath.Join(dir, name))
			if err == nil && filepath.IsAbs(file) {
				return file
			}
		}
		return ""
	}
	return find("mkfs.ext4"), find("e2fsck")
}

// sealed opens a program so that nobody can change it: a machine must not be able to
// reach the file of its host's program through /proc. Root opens the file through a
// mount of its own that is read-only; others copy it into memory.
func sealed(binary string) (*os.File, error) {
	if binary == "" {
		binary = "/proc/self/exe"
	}
	if f := readonly(binary); f != nil {
		return f, nil
	}
	from, err := os.Open(binary)
	if err != nil {
		return nil, fmt.Errorf("opening our own program: %w", err)
	}
	defer from.Close()
	fd, err := unix.MemfdCreate("souk-machine", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("souk-machine", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("copying our own program: %w", err)
	}
	to := os.NewFile(uintptr(fd), "souk-machine")
	_, err = io.Copy(to, from)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		to.Close()
		return nil, fmt.Errorf("copying our own program: %w", err)
	}
	return to, nil
}

// readonly opens a program by a read-only mount that is mounted nowhere; nil if that
// can't be, or if users of machines may not run the file.
func readonly(binary string) *os.File {
	fd, err := unix.OpenTree(unix.AT_FDCWD, binary, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), "souk-machine")
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && st.Mode&0o005 != 0o005 {
		err = unix.EACCES
	}
	if err == nil {
		err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV})
	}
	if err != nil {
		f.Close()
		return nil
	}
	return f
}

// Name implements machine.Provider.
func (s *Sandbox) Name() string { return "sandbox" }

// box returns a machine, which is locked.
func (s *Sandbox) box(id string) (*box, error) {
	s.mu.Lock()
	b := s.boxes[id]
	s.mu.Unlock()
	if b == nil {
		return nil, fmt.Errorf("%w: %s", machine.ErrNotFound, id)
	}
	b.mu.Lock()
	if b.gone {
		b.mu.Unlock()
		return nil, fmt.Errorf("%w: %s", machine.ErrNotFound, id)
	}
	return b, nil
}

// goodID says whether an id can be the name of a folder.
func goodID(id string) bool {
	return len(id) > 0 && len(id) <= 100 && id[0] != '.' && id[0] != '-' && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}

// Create implements machine.Provider.
func (s *Sandbox) Create(ctx context.Context, id string, spec machine.Spec) (err error) {
	if !goodID(id) {
		return fmt.Errorf("%q is no id of a machine", id)
	}
	err = s.reachable(spec.Egress)
	if err != nil {
		return fmt.Errorf("creating %s: what it may reach: %w", id, err)
	}
	if spec.Door && s.config.Door == nil {
		return fmt.Errorf("creating %s: %w: nobody serves its door", id, machine.ErrUnsupported)
	}
	for _, name := range spec.Commands {
		if !goodID(name) || len(spec.Commands) > maxCommands {
			return fmt.Errorf("creating %s: a machine has at most %d commands, and %q can't be the name of one or is one too many", id, maxCommands, name)
		}
	}
	s.fill(&spec)
	if len(spec.Layers) == 0 {
		return fmt.Errorf("creating %s: %w: it has no layers", id, machine.ErrBadImage)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.New("the provider of machines is closed")
	}
	b := s.boxes[id]
	if b == nil {
		b = &box{id: id, dir: filepath.Join(s.config.Root, machinesFolder, id), gone: true}
		s.boxes[id] = b
	}
	s.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.gone {
		if b.running != nil || b.record.Started {
			return fmt.Errorf("creating %s: %w: it is there already", id, machine.ErrState)
		}
		return nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("creating machine %s: %w", id, err), s.discard(b))
		}
	}()
	b.dirs, b.layers, err = s.config.Cache.Get(ctx, spec.Layers)
	if err != nil {
		if errors.Is(err, layer.ErrBadLayer) {
			err = fmt.Errorf("%w: %w", machine.ErrBadImage, err)
		}
		return err
	}
	err = s.build(ctx, b, spec)
	if err != nil {
		return err
	}
	b.gone = false
	return nil
}

// fill gives a Spec what it says nothing of.
func (s *Sandbox) fill(spec *machine.Spec) {
	if spec.Memory == 0 {
		spec.Memory = machine.DefaultMemory
	}
	if spec.Disk == 0 {
		spec.Disk = machine.DefaultDisk
	}
	if spec.CPU == 0 {
		spec.CPU = cmp.Or(s.config.CPU, machine.DefaultCPU)
	}
	if spec.Pids == 0 {
		spec.Pids = machine.DefaultPids
	}
	if spec.Hostname == "" {
		spec.Hostname = "machine"
	}
}

// build makes a machine's folder. It is a machine when its record is written.
func (s *Sandbox) build(ctx context.Context, b *box, spec machine.Spec) error {
	err := layer.Remove(b.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, d := range []string{b.dir, filepath.Join(b.dir, diskFolder), filepath.Join(b.dir, rootFolder)} {
		err = os.Mkdir(d, 0o700)
		if err != nil {
			return err
		}
	}
	if s.mkfs != "" {
		err = format(ctx, s.mkfs, filepath.Join(b.dir, diskFile), spec.Disk, spec.Kept)
		if err != nil {
			return err
		}
	}
	b.record = record{
		ID: b.id, Purpose: spec.Purpose, Created: s.config.Now().UTC(), Env: spec.Env, Hostname: spec.Hostname,
		Memory: spec.Memory, Disk: spec.Disk, CPU: spec.CPU, Pids: spec.Pids, Egress: spec.Egress, Files: spec.Files, Sudo: spec.Sudo,
		Kept: spec.Kept, Commands: spec.Commands, Door: spec.Door,
		Image: s.mkfs != "", Shift: s.config.Shift, DiffIDs: diffIDs(spec.Layers),
	}
	return b.record.write(b.dir)
}

func diffIDs(layers []images.Layer) []string {
	var all []string
	for _, l := range layers {
		all = append(all, l.DiffID)
	}
	return all
}

// discard forgets a machine and removes its folder. Its lock is held.
func (s *Sandbox) discard(b *box) error {
	b.gone = true
	s.mu.Lock()
	if s.boxes[b.id] == b {
		delete(s.boxes, b.id)
	}
	s.mu.Unlock()
	if b.layers != nil {
		b.layers()
		b.layers = nil
	}
	// Without its record it is half made, and removed at the next start if not now.
	err := os.Remove(filepath.Join(b.dir, recordFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("deleting machine %s: %w", b.id, err)
	}
	// The host may write the disk back just now, which takes as long as it takes: the
	// name is free at once.
	gone := filepath.Join(s.config.Root, machinesFolder, gonePrefix+strings.ToLower(rand.Text()))
	err = os.Rename(b.dir, gone)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deleting machine %s: %w", b.id, err)
	}
	s.removing.Go(func() {
		err := layer.Remove(gone)
		if err != nil {
			s.config.Log.Warn("what is left of a machine stays until the next start", "machine", b.id, "error", err)
		}
	})
	return nil
}

// gonePrefix begins the names of folders of machines that were deleted. No id
// begins so.
const gonePrefix = ".gone-"

// Delete implements machine.Provider.
func (s *Sandbox) Delete(_ context.Context, id string) error {
	b, err := s.box(id)
	if errors.Is(err, machine.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer b.mu.Unlock()
	err = s.halt(b)
	if err != nil {
		return err
	}
	return s.discard(b)
}

// Stop implements machine.Provider.
func (s *Sandbox) Stop(_ context.Context, id string) error {
	b, err := s.box(id)
	if err != nil {
		return err
	}
	defer b.mu.Unlock()
	return s.halt(b)
}

// Wait implements machine.Provider.
func (s *Sandbox) Wait(ctx context.Context, id string) error {
	b, err := s.box(id)
	if err != nil {
		return err
	}
	r := b.running
	b.mu.Unlock()
	if r == nil {
		return fmt.Errorf("waiting for the end of %s: %w: it is stopped", id, machine.ErrState)
	}
	select {
	case <-r.ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// List implements machine.Provider.
func (s *Sandbox) List(context.Context) ([]machine.Machine, error) {
	s.mu.Lock()
	var boxes []*box
	for _, b := range s.boxes {
		boxes = append(boxes, b)
	}
	s.mu.Unlock()
	var all []machine.Machine
	for _, b := range boxes {
		b.mu.Lock()
		if !b.gone {
			m := machine.Machine{ID: b.id, Purpose: b.record.Purpose, State: machine.Stopped, Created: b.record.Created, Disk: b.used()}
			if b.running != nil && !b.running.over() {
				m.State = machine.Running
			}
			all = append(all, m)
		}
		b.mu.Unlock()
	}
	return all, nil
}

// Close implements machine.Provider.
func (s *Sandbox) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	boxes := make([]*box, 0, len(s.boxes))
	for _, b := range s.boxes {
		boxes = append(boxes, b)
	}
	s.mu.Unlock()
	errs := make([]error, len(boxes))
	var each sync.WaitGroup
	for i, b := range boxes {
		each.Go(func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			errs[i] = s.halt(b)
			if b.layers != nil {
				b.layers()
				b.layers = nil
			}
		})
	}
	each.Wait()
	s.removing.Wait()
	// A process that is being started has a copy of the descriptor for a moment.
	_ = unix.Flock(int(s.lock.Fd()), unix.LOCK_UN)
	// A process that is being started has a copy of the lock until it runs its program.
	unlocked := unix.Flock(int(s.lock.Fd()), unix.LOCK_UN)
	return errors.Join(append(errs, s.program.Close(), unlocked, s.lock.Close())...)
}
