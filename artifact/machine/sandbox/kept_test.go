package sandbox

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"souk/artifact/machine"
)

// What a machine that is kept has synced is there after a loss of power: its disk as it
// was in the middle of its run.
func TestAKeptDiskOutlivesALossOfPower(t *testing.T) {
	t.Parallel()
	s := open(t, folder(t), nil)
	if s.mkfs == "" || s.fsck == "" {
		t.Log("disks of this host are folders")
		return
	}
	start(t, s, "m", func(spec *machine.Spec) { spec.Kept = true })
	sh(t, s, "m", "echo synced >/root/file; mkdir /opt; echo y >/opt/y; busybox sync; echo z >/root/later")
	if mounts, _ := sh(t, s, "m", "cat /proc/mounts"); strings.Contains(mounts, "volatile") {
		t.Errorf("syncs are thrown away: %s", mounts)
	}
	disk := filepath.Join(s.config.Root, machinesFolder, "m", diskFile)
	then, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Stop(t.Context(), "m")
	if err == nil {
		err = os.WriteFile(disk, then, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := clean(disk); ok || err != nil {
		t.Errorf("a disk that was in use is taken for a clean one: %v", err)
	}
	var diff bytes.Buffer
	err = s.Diff(t.Context(), "m", &diff)
	if err != nil || !bytes.Contains(diff.Bytes(), []byte("root/file")) {
		t.Errorf("the layer of a disk that was in use: %v", err)
	}
	err = os.WriteFile(disk, then, 0o600)
	if err == nil {
		err = s.Start(t.Context(), "m")
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, _ := sh(t, s, "m", "cat /root/file /opt/y"); out != "synced\ny\n" {
		t.Errorf("after a loss of power there is %q", out)
	}
}
