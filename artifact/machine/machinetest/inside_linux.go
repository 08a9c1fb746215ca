package machinetest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"souk/artifact/machine"
	"souk/artifact/machine/agent"
)

// inside checks what a machine has of its host: commands, a door, and files that are
// carried in and out.
func (s *suite) inside(t *testing.T) {
	for name, f := range map[string]func(*testing.T){
		"commands":                     s.commands,
		"commands that are none":       s.noCommands,
		"a door":                       s.door,
		"a door that is none":          s.noDoor,
		"files in and out":             s.files,
		"files that must not go in":    s.hostileFiles,
		"files on a disk that is full": s.filesTooLarge,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); f(t) })
	}
}

// equipped gives a machine commands and a door.
func equipped(spec *machine.Spec) {
	spec.Commands, spec.Door, spec.Env = []string{tell, knock, "true"}, true, []string{"PATH=/opt/own:/bin"}
}

func (s *suite) commands(t *testing.T) {
	b := s.box(t, equipped)
	for name, c := range map[string]struct {
		cmd  machine.Cmd
		out  string
		code int
		can  bool
	}{
		"from a shell":              {machine.Cmd{Args: []string{"sh", "-c", "cd /opt; echo in | TOLD=x tell 'a b' '' '$c'"}}, "0 [\"a b\" \"\" \"$c\"]\n/opt\nx\nin\n", 3, true},
		"by itself":                 {machine.Cmd{Args: []string{tell, "1"}, Dir: "/opt/a", Stdin: strings.NewReader("in\n"), Env: []string{"TOLD=y"}}, "0 [\"1\"]\n/opt/a\ny\nin\n", 1, true},
		"by its path":               {machine.Cmd{Args: []string{machine.CommandsPath + "/" + tell}}, "0 []\n/\n\n", 0, true},
		"of another user":           {machine.Cmd{Args: []string{"sh", "-c", "tell"}, User: "user"}, "1000 []\n/\n\n", 0, s.can.FullUIDs},
		"of another user, itself":   {machine.Cmd{Args: []string{tell, "x"}, User: "user"}, "1000 [\"x\"]\n/\n\n", 1, s.can.FullUIDs},
		"as a tool":                 {machine.Cmd{Args: []string{tell, "x"}, Tool: true}, "0 [\"x\"]\n/\n\n", 1, true},
		"as a tool, another user":   {machine.Cmd{Args: []string{tell}, Tool: true, User: "user"}, "1000 []\n/\n\n", 0, s.can.FullUIDs},
		"with a PATH of its own":    {machine.Cmd{Args: []string{"sh", "-c", "echo $PATH; tell"}, Env: []string{"PATH=/bin:/sbin"}}, machine.CommandsPath + ":/bin:/sbin\n0 []\n/\n\n", 0, true},
		"the machine's PATH":        {machine.Cmd{Args: []string{"sh", "-c", "echo $PATH"}}, machine.CommandsPath + ":/opt/own:/bin\n", 0, true},
		"before all others":         {machine.Cmd{Args: []string{"sh", "-c", "mkdir -p /opt/own; printf '#!/bin/sh\necho own\n' > /opt/own/tell; chmod +x /opt/own/tell; tell; rm /opt/own/tell"}}, "0 []\n/\n\n", 0, true},
		"that does nothing":         {machine.Cmd{Args: []string{"true"}}, "", 0, true},
		"what it writes goes on":    {machine.Cmd{Args: []string{"sh", "-c", "tell 1 2>&1 >/dev/null | tr a-z A-Z"}}, "TOLD\n", 0, true},
		"in a chroot there is none": {machine.Cmd{Args: []string{"sh", "-c", "mkdir -p /root/c/bin; cp /bin/busybox /root/c/bin/sh; chroot /root/c /bin/sh -c 'tell 2>/dev/null || echo none'"}}, "none\n", 0, true},
	} {
		if !c.can {
			continue
		}
		if r := b.run(c.cmd); r.fault != nil || r.out != c.out || r.exit.Code != c.code && !strings.Contains(name, "before all") {
			t.Errorf("%s: %q, %q, %+v, %v; want %q and %d", name, r.out, r.err, r.exit, r.fault, c.out, c.code)
		}
	}
	// Programs find no variables that say how the agent runs them.
	if got := b.sh("tell >/dev/null; env | grep -c '^GO' || true"); got != "0\n" {
		t.Errorf("%s variables of Go", got)
	}
	if err := b.p.Stop(t.Context(), b.id); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := b.p.Diff(t.Context(), b.id, &out); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.readLayer(t, out.Bytes()) {
		if strings.HasPrefix(c.Path, "run") {
			t.Errorf("the layer has %s", c.Path)
		}
	}
}

func (s *suite) noCommands(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "/tell", ".agent", "a\x00b", "a b", strings.Repeat("x", 300)} {
		id, spec := s.id(), s.spec()
		spec.Commands = []string{name}
		if err := s.p.Create(t.Context(), id, spec); err == nil {
			t.Errorf("a command %.20q: no error", name)
			s.p.Delete(t.Context(), id) //nolint:errcheck
		}
	}
	b := s.box(t, func(spec *machine.Spec) { spec.Commands = []string{"no-such-tool"} })
	if r := b.try("no-such-tool"); r.exit.Code != 127 || r.fault != nil {
		t.Errorf("a command that the agent has not: %+v; want 127", r)
	}
	b = s.box(t, nil)
	if r := b.try("tell; echo $PATH; ls -d " + machine.CommandsPath); strings.Contains(r.out, machine.CommandsPath) {
		t.Errorf("a machine without commands: %+v", r)
	}
}

func (s *suite) door(t *testing.T) {
	b := s.box(t, equipped)
	want := "machine " + b.id + "\n"
	if got := b.sh("echo one bye | knock"); got != want+"one bye\n" {
		t.Errorf("through the door: %q", got)
	}
	large := strings.Repeat("0123456789abcde\n", 1<<16) + "bye\n" // 1 MiB, more than any buffer
	if r := b.run(machine.Cmd{Args: []string{knock}, Stdin: strings.NewReader(large)}); r.out != want+large || r.exit.Code != 0 {
		t.Errorf("1 MiB through the door: %d came back, %+v, %q, %v", len(r.out), r.exit, r.err, r.fault)
	}
	if r := b.run(machine.Cmd{Args: []string{knock}, Tool: true, Stdin: strings.NewReader("bye")}); r.out != want+"bye" {
		t.Errorf("by a tool: %+v", r)
	}
	// One after the other, more than there may be at a time.
	if got := b.sh(fmt.Sprintf("i=0; while [ $i -lt %d ]; do echo bye | knock >/dev/null || echo failed; i=$((i+1)); done", 2*agent.MaxKnocks)); got != "" {
		t.Errorf("one after the other: %s", got)
	}
	// The machine stops while somebody is in the door.
	out, w := io.Pipe()
	in, never := io.Pipe()
	defer never.Close()
	done := make(chan result, 1)
	go func() { done <- b.runIn(t.Context(), machine.Cmd{Args: []string{knock}, Stdin: in, Stdout: w}) }()
	if _, err := io.ReadFull(out, make([]byte, len(want))); err != nil {
		t.Fatal(err)
	}
	b.stop(0)
	<-done
	if err := b.p.Start(t.Context(), b.id); err != nil {
		t.Fatal(err)
	}
	if got := b.sh("echo bye | knock"); got != want+"bye\n" {
		t.Errorf("after the next start: %q", got)
	}
}

func (s *suite) noDoor(t *testing.T) {
	b := s.box(t, func(spec *machine.Spec) { spec.Commands = []string{knock} })
	if r := b.try("knock </dev/null"); r.exit.Code != 1 || r.out != "" {
		t.Errorf("a machine without a door: %+v", r)
	}
	b.sh("test ! -e " + agent.DoorPath)
}

// get and put carry files.
func (b *box) get(path string) result {
	b.t.Helper()
	return b.run(machine.Cmd{Tool: true, Args: []string{machine.FilesTool, "get", path}})
}

func (b *box) put(path, archive string) result {
	b.t.Helper()
	return b.run(machine.Cmd{Tool: true, Args: []string{machine.FilesTool, "put", path}, Stdin: strings.NewReader(archive)})
}

// packed is an archive of entries.
func packed(t *testing.T, entries ...entry) string {
	t.Helper()
	r, err := layer(t, entries...).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (s *suite) files(t *testing.T) {
	b := s.box(t, nil)
	// A tree comes back as it was, from one machine into another.
	r := b.get("/opt")
	if r.fault != nil || r.exit.Code != 0 {
		t.Fatalf("get /opt: %+v", r)
	}
	other := s.box(t, nil)
	other.sh("mkdir /mnt/x")
	if r := other.put("/mnt/x", r.out); r.fault != nil || r.exit.Code != 0 {
		t.Fatalf("put: %+v", r)
	}
	show := "find . ! -path './opt' | sort | while read f; do stat -c '%n %F %a %u:%g %h %Y' $f; test -f $f && cat $f; done; readlink opt/a/link"
	if got, want := drop(other.sh("cd /mnt/x; "+show)), drop(b.sh("cd /; mkdir /mnt/x; cp -a /opt /mnt/x/; cd /mnt/x; "+show)); got != want {
		t.Errorf("a tree that was carried:\n%s\nwant\n%s", got, want)
	}
	if s.can.FullUIDs {
		tree := packed(t, dir("d", 0o2775), owned(plain("d/run", 0o4755, "x"), 33, 1000), owned(symlink("d/l", "run"), 33, 33))
		if r := b.put("/home/user", tree); r.exit.Code != 0 || r.fault != nil {
			t.Errorf("put: %+v", r)
		}
		if got := b.sh("stat -c '%n %a %u:%g' /home/user/d /home/user/d/run /home/user/d/l"); got != "/home/user/d 2775 0:0\n/home/user/d/run 4755 33:1000\n/home/user/d/l 777 33:33\n" {
			t.Errorf("owners: %s", got)
		}
		r := b.run(machine.Cmd{Tool: true, Args: []string{machine.FilesTool, "put", "/home/user/own"}, User: "user", Stdin: strings.NewReader(tree)})
		if got := b.sh("stat -c '%a %u:%g' /home/user/own/run"); r.exit.Code != 0 || got != "755 1000:1000\n" {
			t.Errorf("of a user: %+v, %s", r, got)
		}
		if r := b.run(machine.Cmd{Tool: true, Args: []string{machine.FilesTool, "put", "/etc"}, User: "user", Stdin: strings.NewReader(tree)}); r.exit.Code != 1 {
			t.Errorf("a user puts into /etc: %+v", r)
		}
		b.sh("echo s > /root/secret; chmod 600 /root/secret")
		if r := b.run(machine.Cmd{Tool: true, Args: []string{machine.FilesTool, "get", "/root/secret"}, User: "user"}); r.exit.Code != 1 || strings.Contains(r.out, "s\n") {
			t.Errorf("a user gets what is root's: %+v", r)
		}
	}
	for path, code := range map[string]int{"/missing": 1, "/": 1, "/dev/null": 1, "/etc/passwd": 0} {
		if r := b.get(path); r.exit.Code != code || r.fault != nil || code != 0 && r.err == "" {
			t.Errorf("get %s: %+v", path, r.exit)
		}
	}
}

// drop takes from a list what differs between trees that were made one after the
// other: their own folder, and the times of links, which are those of their making.
func drop(list string) string {
	var all []string
	for line := range strings.Lines(list) {
		if strings.HasPrefix(line, ". ") {
			continue
		}
		if strings.Contains(line, " symbolic link ") {
			line = line[:strings.LastIndexByte(line, ' ')] + "\n"
		}
		all = append(all, line)
	}
	return strings.Join(all, "")
}

// hostileFiles puts what must not go in. What is outside of the target is the
// machine's own, which a script of its user would not want to lose either.
func (s *suite) hostileFiles(t *testing.T) {
	b := s.box(t, nil)
	b.sh("mkdir -p /mnt/in /root/out; echo kept > /root/out/kept; ln -s /root/out /mnt/in/link")
	for name, archive := range map[string]string{
		"a name above":          packed(t, dir("d", 0o755), plain("d/../../../root/out/x", 0o644, "x")),
		"an absolute name":      packed(t, plain("/root/out/x", 0o644, "x")),
		"a file below a link":   packed(t, dir("d", 0o755), symlink("d/l", "/root/out"), plain("d/l/x", 0o644, "x")),
		"a link that is there":  packed(t, dir("link", 0o755), plain("link/x", 0o644, "x")),
		"a hard link to a file": packed(t, dir("d", 0o755), hardlink("d/k", "/root/out/kept")),
		"a hard link by a link": packed(t, dir("d", 0o755), symlink("d/l", "/root/out"), hardlink("d/k", "d/l/kept")),
		"a device":              packed(t, dir("d", 0o755), device("d/null", tar.TypeChar, 1, 3)),
		"a disk":                packed(t, device("sda", tar.TypeBlock, 8, 0)),
		"nothing":               "",
		"no archive":            strings.Repeat("x", 5000),
		"the end in the middle": packed(t, plain("f", 0o644, strings.Repeat("x", 5000)))[:3000],
	} {
		if r := b.put("/mnt/in", archive); r.fault != nil || r.exit.Code != 1 || !strings.HasPrefix(r.err, "files: ") {
			t.Errorf("%s: %+v", name, r)
		}
		if got := b.sh("ls /root/out; cat /root/out/kept"); got != "kept\nkept\n" {
			t.Fatalf("%s: outside there is %q", name, got)
		}
	}
	if got := b.sh("find /mnt/in -type b -o -type c -o -type f"); got != "" {
		t.Errorf("it left %s", got)
	}
}

func (s *suite) filesTooLarge(t *testing.T) {
	b := s.box(t, nil)
	if s.can.Disk {
		var end bytes.Buffer
		w := tar.NewWriter(&end)
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "large", Size: 1 << 40, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		r := b.run(machine.Cmd{Tool: true, Args: []string{machine.FilesTool, "put", "/root"}, Stdin: io.MultiReader(&end, zeros{})})
		if r.fault != nil || r.exit.Code != 1 || !r.exit.DiskFull && !strings.Contains(r.err, "no space left on device") {
			t.Errorf("a terabyte: %+v", r)
		}
		b.sh("test ! -e /root/large; echo x > /root/small")
	}
	// What a machine sends without end is as long as its reader wants.
	b.sh("truncate -s 50G /root/sparse")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	most := errors.New("enough")
	n := 0
	_, err := b.p.Exec(ctx, b.id, machine.Cmd{Tool: true, Args: []string{machine.FilesTool, "get", "/root/sparse"}, Stdout: writer(func(p []byte) (int, error) {
		if n += len(p); n > 1<<22 {
			return 0, most
		}
		return len(p), nil
	})})
	if !errors.Is(err, most) {
		t.Errorf("a file of 50 GiB: %v", err)
	}
	b.answers()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// knocks are attacks on what a machine has of its host.
func knocks() []attack {
	return []attack{
		{"the door, by another user", users, equipped, func(_ *suite, b *box) {
			b.sh("cp /attack /home/user/a; chmod 755 /home/user/a")
			r := b.run(machine.Cmd{Args: []string{"/home/user/a", "dial", "unix", agent.DoorPath}, User: "user"})
			b.held("dial", r)
			if r := b.run(machine.Cmd{Args: []string{knock}, User: "user"}); r.exit.Code != 1 || r.out != "" {
				b.t.Errorf("another user knocks: %+v", r)
			}
			if r := b.run(machine.Cmd{Args: []string{"sh", "-c", "chmod 666 " + agent.DoorPath + "; rm -f " + agent.DoorPath + "; mv /run/souk /run/x"}, User: "user"}); r.exit.Code == 0 {
				b.t.Errorf("another user changes the door: %+v", r)
			}
			b.sh("echo bye | knock")
		}},
		{"the door, by many", nil, func(spec *machine.Spec) { equipped(spec); spec.Pids = 1024 }, func(s *suite, b *box) {
			b.try("i=0; while [ $i -lt 40 ]; do (sleep 5 | knock >/dev/null 2>&1 &) ; i=$((i+1)); done; sleep 1; for i in 1 2 3 4 5 6 7 8; do (timeout 2 knock </dev/zero >/dev/null 2>&1 &) ; done; sleep 2; killall -9 knock sleep; true")
			if most := s.doors.most.Load(); most > agent.MaxKnocks*8 { // of all machines that have one just now
				b.t.Errorf("%d connections at a time", most)
			}
			b.answers()
			b.sh("echo bye | timeout 20 knock")
		}},
		{"the door, opened and closed", nil, func(spec *machine.Spec) { equipped(spec); spec.Pids = 1024 }, func(_ *suite, b *box) {
			b.try("i=0; while [ $i -lt 300 ]; do knock </dev/null >/dev/null 2>&1 & i=$((i+1)); test $((i % 20)) -eq 0 && wait; done; wait; for i in 1 2 3 4 5 6; do timeout 1 nc local:" + agent.DoorPath + " </dev/zero >/dev/null & done; wait; true")
			b.answers()
			b.sh("echo bye | timeout 20 knock")
		}},
		{"the door and the proxy have a number of their own", network, func(spec *machine.Spec) {
			equipped(spec)
			spec.Egress, spec.Pids = []string{"127.0.0.2:9"}, 256
		}, func(_ *suite, b *box) {
			b.try("i=0; while [ $i -lt 45 ]; do (sleep 20 | nc 127.0.0.1 3128 >/dev/null 2>&1 &) ; i=$((i+1)); done; sleep 0.3; true")
			b.sh("echo bye | timeout 10 knock")
		}},
		{"the door is another's", nil, equipped, func(_ *suite, b *box) {
			// Its root may put what it likes there; the host is not concerned.
			b.try("rm -f " + agent.DoorPath + "; mkdir " + agent.DoorPath + "; rm -rf /run/souk; ln -s /root /run/souk; mv /run/souk /run/y; true")
			b.answers()
		}},
		{"the commands are written to", nil, equipped, func(s *suite, b *box) {
			folder := machine.CommandsPath
			r := b.attack("exe", folder+"/.agent", folder+"/tell")
			_ = r
			b.attack("write", folder+"/*", folder+"/.agent")
			for _, script := range []string{
				"echo x > F/tell", "echo x > F/.agent", "echo x > F/new", "rm F/tell", "rm -f F/.agent", "mv F/tell F/x", "ln -s /bin/sh F/x", "ln -sf /bin/sh F/tell", "ln F/.agent /root/x", "chmod 777 F/.agent F/tell",
				"chown 1 F/tell", "touch F/.agent", "umount F", "umount -l F/.agent", "umount F/.agent", "mount -o remount,rw F", "mount -o bind /bin F", "mount -t tmpfs x F", "rmdir F", "mv F /run/other", "truncate -s 0 F/.agent", "cp /bin/busybox F/.agent", "setfattr -n user.x F/.agent",
			} {
				if r := b.try(strings.ReplaceAll(script, "F", folder)); r.exit.Code == 0 {
					b.t.Errorf("%s: it works: %+v", script, r)
				}
			}
			b.try("mv /run/souk /run/other; mkdir -p " + folder + "; cp /bin/busybox " + folder + "/tell") // its own loss
			other := s.box(b.t, equipped)
			if got := other.sh("tell </dev/null; echo $?"); got != "0 []\n/\n\n0\n" {
				b.t.Errorf("another machine's command: %q", got)
			}
		}},
	}
}
