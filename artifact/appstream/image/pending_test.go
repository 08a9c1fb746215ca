package image

import (
	"strings"
	"testing"
	"time"

	"souk/artifact/appstream/resource"
	"souk/artifact/archive/archivetest"
	"souk/artifact/images"
	"souk/storage/store/sqlite/sqlitetest"
	"souk/storage/worktest"
)

// slow is a house whose AMIs are pending until their room runs.
func slow(t *testing.T) *house {
	t.Helper()
	h := open(t, sqlitetest.Open(t), func(c *Config) { c.Lease = 300 * time.Millisecond })
	all, err := images.New(images.Config{Store: h.store, Registry: h.below.Registry.Registry, AtOnce: 1})
	if err != nil {
		t.Fatal(err)
	}
	h.config.AMIs, h.below.Images = all, all
	worktest.Run(t, h.Run)
	return h
}

func TestImportWaitsForAPendingAMI(t *testing.T) {
	t.Parallel()
	h := slow(t)
	a := h.ami(owner, "base", base)
	if a.State != images.StatePending {
		t.Fatalf("the AMI is %s", a.State)
	}
	i, err := h.Import(t.Context(), request(a, "first"))
	if err != nil || i.State != Creating {
		t.Fatalf("it begins as %s, %v", i.State, err)
	}
	// Meanwhile it can be tagged, and nothing else.
	if err := h.Tag(t.Context(), owner, region, "first", resource.Tags{"a": "b"}); err != nil {
		t.Error(err)
	}
	refused(t, h.Share(t.Context(), owner, region, "first", other, Permissions{}), "ResourceNotAvailableException", "The image first is CREATING. The image must be in an AVAILABLE state")
	_, err = h.Delete(t.Context(), owner, region, "first")
	refused(t, err, "OperationNotPermittedException", "CREATING")
	worktest.Run(t, h.config.AMIs.Run)
	if got := h.ended(i); got.State != Available || got.Tags["a"] != "b" {
		t.Errorf("it ended as %s, %+v, with tags %v", got.State, got.Reason, got.Tags)
	}
	h.healthy()
}

func TestHostileAMIMakesNoImage(t *testing.T) {
	t.Parallel()
	h := slow(t)
	a := h.ami(owner, "hostile", append([]archivetest.Entry{archivetest.File("../../etc/passwd", "root")}, base...))
	i, err := h.Import(t.Context(), request(a, "first"))
	if err != nil {
		t.Fatal(err)
	}
	worktest.Run(t, h.config.AMIs.Run)
	got := h.ended(i)
	if got.State != Failed || got.Reason.Code != ImportFailure || !strings.Contains(got.Reason.Message, "etc/passwd") {
		t.Errorf("it ended as %s, %+v", got.State, got.Reason)
	}
	tags, err := h.below.Registry.Tags(t.Context(), "ns-"+owner+"/appstream")
	if len(tags) > 0 {
		t.Errorf("its bytes are held: %v, %v", tags, err)
	}
	h.healthy()
}

func TestImportOfAnAMIThatGoesFails(t *testing.T) {
	t.Parallel()
	h := slow(t)
	a := h.ami(owner, "base", base)
	i, err := h.Import(t.Context(), request(a, "first"))
	if err == nil {
		err = h.config.AMIs.Deregister(t.Context(), owner, a.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := h.ended(i); got.State != Failed || got.Reason.Code != ImportFailure || !strings.Contains(got.Reason.Message, "gone") {
		t.Errorf("it ended as %s, %+v", got.State, got.Reason)
	}
	h.healthy()
}
