package layer_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	. "souk/artifact/archive/archivetest"
	"souk/artifact/images"
	"souk/artifact/layer"
)

// asks is what the test binary does when it is started again as a program of a
// machine: see TestMain.
const asks = "LAYER_TEST_PROGRAM"

func TestMain(m *testing.M) {
	switch what, arg, _ := strings.Cut(os.Getenv(asks), " "); what {
	case "capable": // prints what capabilities it was started with
		b, err := os.ReadFile("/proc/self/status")
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, "CapPrm:") {
				fmt.Print(line)
			}
		}
		os.Exit(0)
	case "setcap": // gives a file capabilities, as setcap(8) of a machine does
		err := unix.Setxattr(arg, "security.capability", capabilities(0), 0)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	case "unpack": // unpacks until it is killed
		unpackUntilKilled(arg)
	}
	os.Exit(m.Run())
}

// inside starts the test binary, or a copy of it, as user uid of a machine whose
// users begin at shift.
func inside(t *testing.T, program string, uid uint32, ask string) string {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Env = []string{asks + "=" + ask}
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: shift, Size: layer.IDs}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true,
		Credential: &syscall.Credential{Uid: uid, Gid: uid},
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", ask, err, out)
	}
	return string(out)
}

// public makes a folder that programs of a machine can get to.
func public(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "layer-test-")
	must(t, err)
	t.Cleanup(func() { layer.Remove(dir) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

// A kernel gives a program the capabilities of its file in a user namespace only
// if the file says them for that namespace.
func TestCapabilitiesOfFilesHoldInTheMachine(t *testing.T) {
	if !root {
		return // an ordinary user's layers have none
	}
	t.Parallel()
	self, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	archive := Tar(
		with(File("plain", string(self)), func(h *tar.Header) { h.Mode = 0o755 }),
		with(File("capable", string(self)), func(h *tar.Header) {
			h.Mode, h.PAXRecords = 0o755, map[string]string{"SCHILY.xattr.security.capability": string(capabilities(0))}
		}),
	)
	dir := public(t)
	c := open(t, layer.Config{Root: filepath.Join(dir, "layers"), Shift: shift})
	tree := get(t, c, plain(t, archive))
	must(t, os.Chmod(filepath.Join(dir, "layers"), 0o755)) // no other process of the test may look in otherwise
	if got := attribute(t, filepath.Join(tree, "capable"), "security.capability"); !bytes.Equal(got, capabilities(shift)) {
		t.Errorf("on the disk the attribute is %x, not %x", got, capabilities(shift))
	}
	for program, want := range map[string]string{"plain": "CapPrm:\t0000000000000000\n", "capable": "CapPrm:\t0000000000002400\n"} {
		if got := inside(t, filepath.Join(tree, program), 1000, "capable"); got != want {
			t.Errorf("the program %s was started with %q, not %q", program, got, want)
		}
	}
	// And the way back: what root of the machine sets is for user 0 in the layer.
	must(t, os.Chown(dir, shift, shift))
	up := filepath.Join(dir, "upper")
	must(t, os.Mkdir(up, 0o755))
	must(t, os.WriteFile(filepath.Join(up, "f"), nil, 0o755))
	must(t, owned(filepath.Join(up, "f"), 0, 0))
	copied := filepath.Join(dir, "self")
	must(t, os.WriteFile(copied, self, 0o755))
	inside(t, copied, 0, "setcap "+filepath.Join(up, "f"))
	_, all, _ := diff(t, up, options())
	if got := all[0].PAXRecords["SCHILY.xattr.security.capability"]; got != string(capabilities(0)) {
		t.Errorf("in the layer the attribute is %x, not %x", got, capabilities(0))
	}
	// Without users of its own a machine has them as the layer says.
	c = open(t, layer.Config{Root: filepath.Join(dir, "as-they-are")})
	tree = get(t, c, plain(t, archive))
	if got := attribute(t, filepath.Join(tree, "capable"), "security.capability"); !bytes.Equal(got, capabilities(0)) {
		t.Errorf("unshifted the attribute is %x, not %x", got, capabilities(0))
	}
}

// mount stacks folders of a cache, the lowest first, and an upper one.
func mount(t *testing.T, dirs []string, dir string) (merged, upper string) {
	t.Helper()
	for _, name := range []string{"upper", "work", "merged"} {
		must(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	dirs = slices.Clone(dirs)
	slices.Reverse(dirs)
	merged, upper = filepath.Join(dir, "merged"), filepath.Join(dir, "upper")
	must(t, owned(upper, 0, 0))
	err := unix.Mount("overlay", merged, "overlay", 0, "redirect_dir=off,metacopy=off,index=off,lowerdir="+strings.Join(dirs, ":")+",upperdir="+upper+",workdir="+filepath.Join(dir, "work"))
	if err != nil {
		t.Fatalf("mounting: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(merged, unix.MNT_DETACH) })
	return merged, upper
}

// What is changed above layers, made a layer and stacked on them again, is the
// same file system.
func TestLayersStackAsOverlayfsStacksThem(t *testing.T) {
	if !root {
		return // who is not root can't mount; the forms are tested elsewhere
	}
	t.Parallel()
	c := open(t, config(filepath.Join(t.TempDir(), "layers")))
	layers := []images.Layer{
		zipped(t, Tar(Dir("etc/"), File("etc/passwd", "root"), File("etc/shadow", "s"), Dir("old/"), File("old/a", "a"), File("old/b", "b"),
			Dir("move/"), File("move/f", "f"), Symlink("bin", "usr/bin"), Dir("usr/"), Dir("usr/bin/"), File("usr/bin/su", "su"), File("replace", "file"))),
		plain(t, Tar(Dir("etc/"), File("etc/.wh.shadow", ""), Dir("old/"), File("old/.wh..wh..opq", ""), File("old/c", "c"))),
	}
	dirs, release, err := c.Get(t.Context(), layers)
	must(t, err)
	defer release()
	merged, up := mount(t, dirs, t.TempDir())
	at := func(name string) string { return filepath.Join(merged, name) }
	if !isMissing(at("etc/shadow")) || !isMissing(at("old/a")) || isMissing(at("old/c")) {
		t.Error("what the second layer takes away is still there")
	}
	must(t, os.Remove(at("etc/passwd")))
	must(t, os.RemoveAll(at("old")))
	must(t, os.Mkdir(at("old"), 0o750))
	must(t, os.WriteFile(at("old/new"), []byte("new"), 0o644))
	must(t, os.Remove(at("replace")))
	must(t, os.Mkdir(at("replace"), 0o755))
	must(t, os.Mkdir(at("moved"), 0o755))
	must(t, os.Rename(at("move/f"), at("moved/f")))
	must(t, os.Remove(at("move")))
	must(t, os.Link(at("usr/bin/su"), at("usr/bin/su2")))
	must(t, os.Chmod(at("usr/bin/su"), 0o4755|os.ModeSetuid))
	must(t, unix.Setxattr(at("usr/bin/su"), "security.capability", capabilities(shift), 0))
	for _, name := range []string{"old", "old/new", "replace", "moved", "usr/bin/su"} {
		must(t, os.Chown(at(name), shift+33, shift+33))
	}
	must(t, unix.Setxattr(at("usr/bin/su"), "security.capability", capabilities(shift), 0)) // chown took it away
	must(t, os.Chmod(at("usr/bin/su"), 0o755|os.ModeSetuid))
	want := look(t, merged)
	must(t, unix.Unmount(merged, 0))
	var b bytes.Buffer
	stats, err := layer.Diff(t.Context(), &b, up, options())
	must(t, err)
	dirs, again, err := c.Get(t.Context(), append(layers, plain(t, b.Bytes())))
	must(t, err)
	defer again()
	merged, _ = mount(t, dirs, t.TempDir())
	must(t, compare(want, look(t, merged)))
	if stats.Skipped > 0 || stats.DiffID != digest(b.Bytes()) {
		t.Errorf("%+v", stats)
	}
}

// A directory that a layer has no entry for is as the layers below have it.
func TestADirectoryWithoutAnEntryIsAsTheLayersBelowHaveIt(t *testing.T) {
	if !root {
		return // who is not root can't mount
	}
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "layers")
	c := open(t, config(folder))
	mode := func(name string, mode int64, uid int) Entry {
		e := Dir(name)
		e.Mode, e.Uid, e.Gid = mode, uid, uid
		return e
	}
	layers := []images.Layer{
		plain(t, Tar(mode("tmp/", 0o1777, 0), mode("srv/", 0o750, 33), mode("srv/a/", 0o700, 34), mode("gone/", 0o700, 1), mode("opaque/", 0o700, 1), mode("opaque/d/", 0o700, 1), mode("file/", 0o700, 1), mode("said/", 0o700, 1))),
		plain(t, Tar(File("tmp/x", "x"), File("srv/a/b/y", "y"), File("new/z", "z"), File(".wh.gone", ""), File("file", ""), mode("said/", 0o711, 2))),
		plain(t, Tar(File("srv/a/b/c", "c"), File("gone/z", "z"), File("opaque/.wh..wh..opq", ""), File("opaque/d/z", "z"), File("file/z", "z"), File("said/z", "z"))),
	}
	want := map[string]string{
		"tmp": "1777 0", "srv": "750 33", "srv/a": "700 34", "srv/a/b": "755 0", "new": "755 0", "gone": "755 0", "opaque": "700 1", "opaque/d": "755 0", "file": "755 0", "said": "711 2",
	}
	check := func(dirs []string) {
		t.Helper()
		merged, _ := mount(t, dirs, t.TempDir())
		for name, want := range want {
			var st unix.Stat_t
			must(t, unix.Lstat(filepath.Join(merged, name), &st))
			if got := fmt.Sprintf("%o %d", st.Mode&0o7777, int(st.Uid)-shift); got != want {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
		}
		for _, name := range []string{"tmp/x", "srv/a/b/y", "srv/a/b/c", "new/z", "gone/z"} {
			if isMissing(filepath.Join(merged, name)) {
				t.Errorf("%s is missing", name)
			}
		}
		must(t, unix.Unmount(merged, 0))
	}
	dirs, release, err := c.Get(t.Context(), layers)
	must(t, err)
	check(dirs)
	var ids []string
	for _, l := range layers {
		ids = append(ids, l.DiffID)
	}
	again, other, err := c.Hold(ids)
	must(t, err)
	release()
	check(again)
	other()
	if left := folders(t, folder); len(left) != 6 { // three layers and their records
		t.Errorf("left are %q", left)
	}
}
