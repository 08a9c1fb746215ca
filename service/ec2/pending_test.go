package ec2_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"souk/artifact/images"
	"souk/storage/worktest"
)

func TestALargeImageIsPendingFirst(t *testing.T) {
	t.Parallel()
	m := open(t, func(c *images.Config) { c.AtOnce = 1 })
	good := m.register(t, m.root, m.push(t, m.root, machine(t)), "large", "")
	bad := m.register(t, m.root, m.push(t, m.root, machine(t, "/etc/shadow")), "hostile", "")

	a := m.ask(t, m.root, "DescribeImages&ImageId.1="+good)
	if !slices.Equal(a.all("imageState"), []string{"pending"}) || !slices.Contains(a.all("code"), "pending") || !strings.Contains(a.body, "<message>0 of ") {
		t.Errorf("pending: %s", a.body)
	}
	wantError(t, "sharing a pending one", m.ask(t, m.root, "ModifyImageAttribute&ImageId="+good+"&LaunchPermission.Add.1.Group=all"), 400, "InvalidAMIID.Unavailable")
	if got := m.ask(t, m.root, "DescribeImages&Filter.1.Name=state-reason-code&Filter.1.Value.1=pending").all("imageId"); len(got) != 2 {
		t.Errorf("found by the reason: %q", got)
	}

	worktest.Run(t, m.images.Run)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(m.ask(t, m.root, "DescribeImages&Filter.1.Name=state&Filter.1.Value.1=pending").all("imageId")) > 0 {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("they stay pending")
		}
	}
	a = m.ask(t, m.root, "DescribeImages&ImageId.1="+good)
	if !slices.Equal(a.all("imageState"), []string{"available"}) || strings.Contains(a.body, "stateReason") || !slices.Equal(a.all("platformDetails"), []string{"Debian GNU/Linux 13"}) {
		t.Errorf("available: %s", a.body)
	}
	a = m.ask(t, m.root, "DescribeImages&ImageId.1="+bad)
	if !slices.Equal(a.all("imageState"), []string{"failed"}) || !slices.Contains(a.all("code"), "Client.InvalidManifest") || !strings.Contains(a.body, "/etc/shadow") {
		t.Errorf("failed: %s", a.body)
	}
	wantError(t, "sharing a failed one", m.ask(t, m.root, "ModifyImageAttribute&ImageId="+bad+"&LaunchPermission.Add.1.Group=all"), 400, "InvalidAMIID.Unavailable")
	if a := m.ask(t, m.root, "DeregisterImage&ImageId="+bad); a.status != 200 {
		t.Errorf("removing a failed one: %s", a.body)
	}
}
