package machinetest

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// builtFolder names a folder with the programs that Build would build: an ordinary
// user may not have what the go command needs.
const builtFolder = "SOUK_MACHINETEST_BUILT"

// nobody is an ordinary user.
const nobody = 65534

// AsOrdinary runs f as an ordinary user. If this process is root's, it starts the
// calling test again in a process of nobody's, with a folder of its own and with
// pkgs built for Build, beside the program that attacks; f runs there. The slow rows are left to root.
func AsOrdinary(t *testing.T, f func(t *testing.T), pkgs ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		f(t)
		return
	}
	dir, err := os.MkdirTemp("", "souk-ordinary-") // others may not walk into t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	built := filepath.Join(dir, "built")
	err = os.Mkdir(built, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	programs := map[string]string{filepath.Join(dir, "test"): "/proc/self/exe"}
	for _, pkg := range append(pkgs, Attack) {
		programs[filepath.Join(built, path.Base(pkg))] = Build(t, pkg)
	}
	for to, from := range programs {
		content, err := os.ReadFile(from)
		if err == nil {
			// A process that is started meanwhile would have it open for writing, and
			// what is, can't be run.
			syscall.ForkLock.RLock()
			err = os.WriteFile(to, content, 0o755)
			syscall.ForkLock.RUnlock()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	err = filepath.WalkDir(dir, func(file string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(file, nobody, nobody))
	})
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), filepath.Join(dir, "test"), "-test.run=^"+t.Name()+"$", "-test.v", "-test.short")
	c.Dir = dir
	c.Env = []string{builtFolder + "=" + built, "TMPDIR=" + dir, "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as an ordinary user: %v\n%s", err, out)
	}
}
