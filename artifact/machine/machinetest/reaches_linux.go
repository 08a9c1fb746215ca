package machinetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-cmp/cmp"

	"souk/artifact/machine"
)

// reaches look for what is outside of the machine.
func reaches(h *host) []attack {
	kernel := func(name string, patterns ...string) attack {
		return attack{name, nil, nil, func(_ *suite, b *box) { b.attack(append([]string{"write"}, patterns...)...) }}
	}
	outside := func(spec *machine.Spec) { spec.Egress = []string{h.places.Listener.Addr().String()} }
	return []attack{
		kernel("writing: settings of the kernel", "/proc/sys/kernel/*", "/proc/sys/vm/*", "/proc/sys/fs/*", "/proc/sys/fs/*/*", "/proc/sys/dev/*/*", "/proc/sys/debug/*", "/proc/sys/user/*"),
		kernel("writing: settings of the network", "/proc/sys/net/*/*", "/proc/sys/net/ipv4/conf/*/*", "/proc/sys/net/ipv6/conf/*/*", "/proc/sys/net/netfilter/*"),
		kernel("writing: what runs at a crash", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug", "/proc/sys/fs/binfmt_misc/register"),
		kernel("writing: magic keys", "/proc/sysrq-trigger"),
		kernel("writing: devices and interrupts", "/proc/irq/*", "/proc/irq/*/*", "/proc/bus/pci/*/*", "/proc/fs/*/*", "/proc/fs/*/*/*", "/proc/acpi/*", "/proc/asound/*", "/proc/scsi/*", "/proc/mtrr", "/proc/driver/*", "/proc/tty/*"),
		kernel("writing: /sys", "/sys/kernel/*", "/sys/kernel/*/*", "/sys/module/*/parameters/*", "/sys/power/*", "/sys/block/*/*", "/sys/class/net/*/*", "/sys/devices/system/cpu/*/*", "/sys/firmware/*/*", "/sys/bus/*/*"),
		kernel("writing: control groups, release agents", "/sys/fs/cgroup/*", "/sys/fs/cgroup/*/*", "/sys/fs/cgroup/*/*/*"),
		script("writing: the maps of users", "for p in self 1; do for m in uid_map gid_map; do echo '0 0 4294967295' > /proc/$p/$m && echo got through: $p $m; done; done; true"),
		kernel("writing: pid 1", "/proc/1/mem", "/proc/1/fd/*", "/proc/1/map_files/*"),
		kernel("writing: devices", "/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/kvm", "/dev/fuse", "/dev/loop*", "/dev/sd*", "/dev/vd*", "/dev/nvme*", "/dev/dm-*", "/dev/mapper/*", "/dev/net/tun", "/dev/vhost*", "/dev/vsock", "/dev/snd/*", "/dev/input/*", "/dev/hpet", "/dev/rtc*", "/dev/watchdog*", "/dev/cuse", "/dev/userfaultfd", "/dev/vfio/*", "/dev/dri/*", "/dev/console"),
		{"reading: what the kernel tells of the host", nil, nil, func(_ *suite, b *box) {
			b.attack("read", "/proc/kcore", "/proc/kallsyms", "/proc/keys", "/proc/key-users", "/proc/kmsg", "/proc/kpagecount", "/proc/kpageflags", "/proc/timer_list", "/proc/sched_debug", "/proc/vmallocinfo", "/proc/slabinfo",
				"/dev/kmsg", "/dev/mem", "/sys/kernel/debug/x", "/sys/kernel/security/lsm", "/sys/firmware/dmi/tables/DMI", "/sys/class/dmi/id/product_uuid", "/proc/1/mem", "/proc/1/auxv", "/proc/1/syscall", "/proc/1/stack")
		}},
		{"reading: the environment of the host", nil, nil, func(_ *suite, b *box) {
			r := b.try("env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; cat /proc/1/maps 2>/dev/null")
			if strings.Contains(r.out, secret) || strings.Contains(r.out, "SOUK_MACHINETEST") {
				b.t.Error("the environment of the host's process is in the machine")
			}
			if dir := filepath.Dir(h.trap.dir); strings.Contains(r.out, dir) {
				b.t.Errorf("a path of the host is in the machine")
			}
		}},
		{"reading: the memory of pid 1", nil, nil, func(_ *suite, b *box) {
			r := b.try("for m in $(cut -d' ' -f1 /proc/1/maps 2>/dev/null | head -40); do dd if=/proc/1/mem bs=4096 count=1 skip=$((0x${m%%-*} / 4096)) 2>/dev/null; done | wc -c")
			if n, _ := strconv.Atoi(strings.TrimSpace(r.out)); n > 0 {
				b.t.Errorf("%d bytes of the memory of pid 1 were read", n)
			}
		}},
		{"mounts tell no path of the host", shared, nil, func(s *suite, b *box) {
			r := b.try("cat /proc/self/mountinfo /proc/mounts /proc/1/mountinfo 2>/dev/null")
			if strings.Contains(r.out, s.dir) {
				b.t.Logf("the machine sees a path of the host: %s", r.out) // no way out, but said
			}
			for line := range strings.Lines(r.out) {
				if f := strings.Fields(line); len(f) > 4 && (f[4] == "/proc/sys" || strings.HasPrefix(f[4], machine.FilesPath)) && !strings.HasPrefix(f[5], "ro") {
					b.t.Errorf("a mount can be written to: %s", line)
				}
			}
		}},
		{"descriptors that leaked into programs", nil, nil, func(_ *suite, b *box) {
			b.attack("files", "/proc/self/fd", "pipe:", "/proc/", "/dev/null", "anon_inode:[event", "socket:")
			if r := b.try("ls /proc/self/fd | wc -l"); strings.TrimSpace(r.out) != "4" { // its own three, and the folder
				b.t.Errorf("a program has more than its three descriptors: %s", b.sh("ls -l /proc/self/fd"))
			}
		}},
		{"descriptors of pid 1", nil, nil, func(_ *suite, b *box) {
			b.attack("files", "/proc/1/fd", "pipe:", "socket:", "anon_inode:", "/dev/null", "/memfd:", "/dev/ptmx", "/dev/pts/")
		}},
		{"our program is written to (CVE-2019-5736)", nil, nil, func(_ *suite, b *box) {
			b.attack("exe")
			b.try("cp /bin/sh /bin/sh2; (while :; do /attack exe /proc/self/exe; done >/dev/null 2>&1 &) ; rm /bin/true; ln -s /proc/self/exe /bin/true")
			b.run(machine.Cmd{Args: []string{"/bin/true"}})
			for range 20 {
				b.run(machine.Cmd{Tool: true, Args: []string{"true"}})
			}
			b.sh("ls -l /proc/[0-9]*/exe >/dev/null 2>&1; for p in /proc/[0-9]*/exe; do case $(readlink $p) in *busybox*|*attack*) ;; *) echo x >> $p;; esac; done 2>/dev/null; true")
			if b.p.Name() != "" && ownProgramSum() != h.program {
				b.t.Error("our own program was changed")
			}
		}},
		{"files of the host by /proc, dots and chroot", nil, nil, func(_ *suite, b *box) {
			b.attack("alive", h.trap.dir+"/kept")
			b.attack("chroot", h.trap.dir+"/kept")
			b.try("ln -s " + h.trap.dir + " /root/l; echo x > /root/l/written; cat /root/l/kept; mkdir -p " + h.trap.dir + "; echo mine > " + h.trap.dir + "/kept; rm -r " + filepath.Dir(h.trap.dir))
			h.trap.check()
		}},
		{"a program without a file", nil, nil, func(_ *suite, b *box) { b.attack("memfd") }},
		{"processes of the host", nil, nil, func(_ *suite, b *box) {
			pid := h.canary.Process.Pid
			b.try(fmt.Sprintf("kill -9 %d; kill -9 -%d; ls /proc/%d; renice 19 %d", pid, pid, pid, pid))
			if err := h.canary.Process.Signal(syscall.Signal(0)); err != nil {
				b.t.Errorf("the process is gone: %v", err)
			}
			if r := b.try("ps -o comm,args"); strings.Contains(r.out, "sleep 3600") {
				b.t.Errorf("processes of the host are seen: %s", r.out)
			}
		}},
		{"sockets of the host", nil, nil, func(_ *suite, b *box) {
			b.attack("dial", "unix", h.socket)
			b.attack("dial", "unix", h.trap.dir+"/socket")
			b.attack("dial", "unix", "/run/docker.sock")
			b.attack("dial", "unix", "@/tmp/.X11-unix/X0")
			b.attack("sockets")
		}},
		{"the network without egress", nil, nil, func(_ *suite, b *box) {
			b.attack("nets")
			for _, address := range []string{h.tcp.Addr().String(), h.inner.Listener.Addr().String(), h.places.Listener.Addr().String(), "127.0.0.1:3128", "169.254.169.254:80", "[::1]:80", "10.0.0.1:80"} {
				b.attack("dial", "tcp", address)
			}
			b.try("ping -c 1 -W 1 127.0.0.1; nslookup example.com; ifconfig lo down; ip link add dummy0 type dummy; ip addr add 10.9.9.9/24 dev lo; ip route add default dev lo; route add default gw 127.0.0.1")
			b.attack("dial", "tcp", h.tcp.Addr().String())
			if r := b.try("env | grep -i proxy"); r.out != "" {
				b.t.Errorf("a machine without egress has %s", r.out)
			}
		}},
		{"the network with egress", network, outside, func(_ *suite, b *box) {
			place := "http://" + h.places.Listener.Addr().String() + "/"
			if out := b.sh("wget -q -O - " + place); out != "outside\n" {
				b.t.Errorf("what is on the list: %q", out)
			}
			if r := b.try("env | grep -c -i -E '^(http|https)_proxy='"); strings.TrimSpace(r.out) != "4" {
				b.t.Errorf("the proxy is in %s variables, want 4", r.out)
			}
			_, port, _ := net.SplitHostPort(h.inner.Listener.Addr().String())
			for _, other := range []string{"http://" + h.inner.Listener.Addr().String() + "/", "http://localhost:" + port + "/", "http://127.0.0.2:" + port + "/", "http://example.com/", "http://[::1]:" + port + "/", "http://169.254.169.254/latest/meta-data/"} {
				if r := b.try("wget -q -O - " + other); r.exit.Code == 0 || !strings.Contains(r.err, "403") {
					b.t.Errorf("%s: %+v; want 403", other, r)
				}
			}
			for _, address := range []string{h.tcp.Addr().String(), h.inner.Listener.Addr().String(), h.places.Listener.Addr().String()} {
				b.attack("dial", "tcp", address) // past the proxy
			}
			b.attack("nets")
			b.try("for i in 1 2 3 4 5 6 7 8 9 10; do (printf 'GET http://" + h.inner.Listener.Addr().String() + "/ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\nCONNECT 127.0.0.1:" + port + " HTTP/1.1\\r\\n\\r\\n' | nc -w 1 127.0.0.1 3128 >/dev/null &) ; done; (nc 127.0.0.1 3128 </dev/zero >/dev/null 2>&1 &) ; (sleep 100 | nc 127.0.0.1 3128 &)")
			b.answers()
		}},
		{"a list with a place inside", network, func(spec *machine.Spec) {
			spec.Egress = []string{h.inner.Listener.Addr().String(), "localhost:" + port(h.inner.Listener), "[::1]:80", "169.254.169.254"}
		}, func(_ *suite, b *box) {
			for _, place := range []string{h.inner.Listener.Addr().String(), "localhost:" + port(h.inner.Listener), "169.254.169.254"} {
				if r := b.try("wget -q -O - http://" + place + "/"); r.exit.Code == 0 || !strings.Contains(r.err, "403") {
					b.t.Errorf("%s: %+v; want 403", place, r)
				}
			}
		}},
		{"users of the machine are none of the host", func(c machine.Capabilities) bool { return shared(c) && users(c) }, nil, func(s *suite, b *box) {
			s.asTheHostSees(b, h)
		}},
		{"setuid programs", users, nil, func(s *suite, b *box) {
			b.sh("cp /attack /home/user/root; chmod 4755 /home/user/root; cp /bin/busybox /opt/su; chmod 6755 /opt/su")
			r := b.run(machine.Cmd{Args: []string{"/home/user/root", "write", "/etc/shadow", "/proc/sys/kernel/*", "/dev/mem"}, User: "user"})
			b.held("a setuid program", r)
		}},
		{"the host's name", nil, nil, func(_ *suite, b *box) { b.try("hostname evil; echo evil > /proc/sys/kernel/hostname") }},
		{"a device by an archive", nil, nil, func(_ *suite, b *box) {
			// A tar archive with the block device 8:0 and the memory.
			r := b.run(machine.Cmd{Args: []string{"sh", "-c", "cd /root && tar xf - ; for d in /root/dev/*; do dd if=$d bs=512 count=1 of=/dev/null 2>/dev/null && echo got through: $d; done; true"}, Stdin: bytes.NewReader(devices(b.t))})
			if strings.Contains(r.out, "got through") {
				b.t.Error(r.out)
			}
		}},
		{"marks of overlay file systems", nil, nil, func(s *suite, b *box) {
			// A layer may be refused for them; what it must not do is to show another disk.
			b.sh(": > /opt/a/whiteout; /attack setxattr /opt/a opaque; /attack setxattr /opt opaque; mknod /opt/a/1x c 0 0; true")
			s.compare(b)
			if err := b.p.Start(b.t.Context(), b.id); err != nil {
				b.t.Fatal(err)
			}
			b.sh("/attack setxattr /opt redirect; true")
			saw := b.tree()
			if err := b.p.Stop(b.t.Context(), b.id); err != nil {
				b.t.Fatal(err)
			}
			var out bytes.Buffer
			if err := b.p.Diff(b.t.Context(), b.id, &out); err != nil {
				b.noLayer(err)
				return
			}
			laid := s.image(b.t)
			laid.lay(b.t, s.readLayer(b.t, out.Bytes()))
			if d := cmp.Diff(saw.lines(), laid.lines()); d != "" {
				b.t.Errorf("what the machine saw (-) and its layer over the image (+):\n%s", d)
			}
		}},
		{"names of marks", nil, nil, func(s *suite, b *box) {
			// They can be made, and can't be told from the marks of a layer.
			b.try("cd /opt; : > .wh.www; : > a/.wh..wh..opq; : > b/.wh..; : > b/.wh.; mkdir b/.wh.c")
			if err := b.p.Stop(b.t.Context(), b.id); err != nil {
				b.t.Fatal(err)
			}
			var out bytes.Buffer
			if err := b.p.Diff(b.t.Context(), b.id, &out); err != nil {
				b.noLayer(err)
				return
			}
			for _, c := range s.readLayer(b.t, out.Bytes()) {
				if strings.HasPrefix(filepath.Base(c.Path), ".wh.") {
					b.t.Errorf("the layer has %s, which takes away what was not taken away", c.Path)
				}
			}
		}},
		{"links in the layer", nil, nil, func(s *suite, b *box) {
			b.sh("rm -rf /opt/a /etc/group /home; ln -s " + h.trap.dir + " /opt/a; ln -s " + h.trap.dir + "/kept /etc/group; ln -s / /home; ln -s /proc/1/root /root/r; ln /opt/www /root/hard; ln /etc/group /root/group; ln -s loop /root/loop; cd /root; ln -s ../../../../../../.." + h.trap.dir + " up")
			for _, c := range s.compare(b) {
				if strings.HasPrefix(c.Path, "opt/a/") || strings.HasPrefix(c.Path, "home/") {
					b.t.Errorf("the layer has %s, which lies behind a link", c.Path)
				}
			}
			h.trap.check()
		}},
		{"a link where the machine's folders are", nil, nil, func(s *suite, b *box) {
			// The next start finds another disk than the first.
			b.try("rm -rf /root /etc /opt /home /mnt /var; for d in root etc opt home mnt var; do ln -s " + h.trap.dir + " /$d; done; rm -f /bin/sh; ln -s " + h.trap.dir + "/sh /bin/sh; umount /proc /dev /run /tmp; rmdir /proc /dev /run /tmp /sys; mv /run /run2; ln -s " + h.trap.dir + " /run; ln -s " + h.trap.dir + " /tmp")
			if err := b.p.Stop(b.t.Context(), b.id); err != nil {
				b.t.Fatal(err)
			}
			if err := b.p.Start(b.t.Context(), b.id); err == nil {
				r := b.run(machine.Cmd{Args: []string{"/bin/busybox", "sh", "-c", "cat /etc/kept /bin/sh /run/kept; echo x > /root/written; echo x > /run/written"}})
				if strings.Contains(r.out+r.err, mark) {
					b.t.Errorf("a file of the host is read: %+v", r)
				}
			} else {
				b.t.Logf("Start: %v", err)
			}
			h.trap.check()
		}},
		{"the terminal's input (TIOCSTI)", nil, nil, func(_ *suite, b *box) {
			r := b.run(machine.Cmd{Args: []string{"sh", "-c", "/attack typeahead"}, Terminal: &machine.Terminal{}, Stdin: strings.NewReader("")})
			if r.fault != nil {
				b.t.Errorf("%+v", r)
			}
			b.run(machine.Cmd{Args: []string{"sh", "-i"}, Terminal: &machine.Terminal{}, Stdin: strings.NewReader("exit\n")})
			if r := b.try("test -e /root/typed"); r.exit.Code == 0 {
				b.t.Error("a program typed into another one's terminal")
			}
		}},
		{"system calls of 32 bits", seccomp, nil, func(_ *suite, b *box) {
			for _, way := range []string{"int80", "x32"} {
				r := b.run(machine.Cmd{Args: []string{"/attack", "compat", way}})
				b.held(way, r)
			}
			b.answers()
		}},
	}
}

func port(l net.Listener) string {
	_, p, _ := net.SplitHostPort(l.Addr().String())
	return p
}

// asTheHostSees checks a machine's processes and files from outside.
func (s *suite) asTheHostSees(b *box, h *host) {
	n := s.namespace(b)
	name := fmt.Sprintf("seen-%d", time.Now().UnixNano())
	b.sh("echo x > /root/" + name + "; chown 0:0 /root/" + name + "; echo x > /root/" + name + "-33; chown 33:33 /root/" + name + "-33; chmod 6755 /root/" + name)
	ctx, cancel := context.WithCancelCause(b.t.Context())
	done := make(chan result, 1)
	go func() {
		done <- b.runIn(ctx, machine.Cmd{Args: []string{"sh", "-c", "echo; exec sleep 1000"}, Stdout: writer(func(p []byte) (int, error) {
			all := processes(n)
			if len(all) < 2 {
				b.t.Errorf("the host sees %v of the machine", all)
			}
			for _, pid := range all {
				b.inspect(pid)
			}
			cancel(errors.New("seen"))
			return len(p), nil
		})})
	}()
	<-done
	filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error { //nolint:errcheck // files come and go
		if err == nil && strings.HasPrefix(d.Name(), name) {
			if info, err := d.Info(); err == nil {
				if st := info.Sys().(*syscall.Stat_t); st.Uid < 65536 || st.Gid < 65536 {
					b.t.Errorf("on the host %s is of %d:%d", path, st.Uid, st.Gid)
				}
			}
		}
		return nil
	})
	_ = h
}

// inspect checks a process of a machine from outside.
func (b *box) inspect(pid int) {
	b.t.Helper()
	proc := fmt.Sprintf("/proc/%d", pid)
	status, err := os.ReadFile(proc + "/status")
	if err != nil {
		return // it has ended
	}
	field := func(name string) []string {
		_, after, _ := strings.Cut("\n"+string(status), "\n"+name+":")
		line, _, _ := strings.Cut(after, "\n")
		return strings.Fields(line)
	}
	for _, kind := range []string{"Uid", "Gid"} {
		for _, id := range field(kind) {
			if n, err := strconv.Atoi(id); err != nil || n < 65536 {
				b.t.Errorf("process %d (%s) has the %s %s on the host", pid, field("Name"), kind, id)
			}
		}
	}
	for _, id := range field("Groups") {
		if n, err := strconv.Atoi(id); err != nil || n < 65536 {
			b.t.Errorf("process %d is in the host's group %s", pid, id)
		}
	}
	if got := field("Seccomp"); len(got) != 1 || got[0] != "2" {
		b.t.Errorf("process %d (%s) has Seccomp %v, want a filter", pid, field("Name"), got)
	}
	for _, set := range []string{"CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"} {
		caps, err := strconv.ParseUint(strings.Join(field(set), ""), 16, 64)
		if err != nil {
			b.t.Errorf("process %d: %s: %v", pid, set, err)
		}
		for name, bit := range map[string]int{"SYS_ADMIN": 21, "SYS_MODULE": 16, "SYS_RAWIO": 17, "SYS_PTRACE": 19, "SYS_BOOT": 22, "SYS_TIME": 25, "MKNOD": 27, "NET_ADMIN": 12, "NET_RAW": 13, "SYSLOG": 34, "BPF": 39, "PERFMON": 38, "DAC_READ_SEARCH": 2, "AUDIT_CONTROL": 30, "MAC_ADMIN": 33, "SYS_RESOURCE": 24} {
			if caps&(1<<bit) != 0 {
				b.t.Errorf("process %d (%s) has the capability %s in %s", pid, field("Name"), name, set)
			}
		}
	}
	for _, kind := range []string{"user", "mnt", "pid", "net", "uts", "ipc", "cgroup"} {
		own, err1 := os.Readlink("/proc/self/ns/" + kind)
		its, err2 := os.Readlink(proc + "/ns/" + kind)
		if err1 == nil && err2 == nil && own == its {
			b.t.Errorf("process %d (%s) is in the host's namespace %s", pid, field("Name"), own)
		}
	}
}
