package image

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"souk/artifact/images"
	"souk/gateway/apierror"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
	"souk/storage/store/storetest"
	"souk/storage/worktest"
)

// node is the room as a process has it that dies at a write: s is its store.
func (h *house) node(s store.Store, name string) *Images {
	h.t.Helper()
	c := h.config
	c.Store, c.Node, c.Lease = s, name, 300*time.Millisecond
	r, err := New(c)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// quiet waits until nothing is being made any more.
func (h *house) quiet() {
	h.t.Helper()
	worktest.Until(h.t, "nothing is being made", func() bool {
		count, err := h.Count(h.t.Context())
		if err != nil {
			h.t.Fatal(err)
		}
		for s, n := range count {
			if n > 0 && working(s) {
				return false
			}
		}
		page, err := h.store.List(h.t.Context(), store.Query{Kind: KindTask, Index: indexOpen, Partition: owner, Limit: 1})
		return err == nil && len(page.Documents) == 0
	})
}

// life is what is done with an image from its import on: each step waits for the one before.
func life(ctx context.Context, h *house, r *Images, a images.AMI) error {
	q := request(a, "first")
	q.Catalog = []CatalogItem{{Name: "app", AppPath: "/usr/bin/app", IconPath: "/opt/app/icon.png"}}
	_, err := r.Import(ctx, q)
	if err != nil {
		return err
	}
	ready := func(name string) error {
		for {
			i, err := r.find(ctx, owner, region, name)
			if err != nil {
				return err
			}
			if i.State == Available {
				return nil
			}
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	err = ready("first")
	if err != nil {
		return err
	}
	_, err = r.Copy(ctx, CopyRequest{Account: owner, Region: region, Source: "first", Name: "copy", To: region})
	if err == nil {
		err = ready("copy")
	}
	if err != nil {
		return err
	}
	task, err := r.Export(ctx, export("exported"))
	for err == nil && task.State == Exporting {
		task, err = r.Task(ctx, owner, region, task.ID)
	}
	if err == nil {
		_, err = r.Delete(ctx, owner, region, "first")
	}
	return err
}

// settled wants all to be whole, whatever of it there is.
func (h *house) settled() {
	h.t.Helper()
	h.quiet()
	h.healthy()
	for _, name := range []string{"first", "copy"} {
		i, err := h.find(h.t.Context(), owner, region, name)
		if apierror.Is(err, "ResourceNotFoundException") {
			continue
		}
		if err != nil {
			h.t.Fatal(err)
		}
		if i.State != Available || len(i.Applications) != 1 || i.Applications[0].IconBlob == "" {
			h.t.Errorf("%s is %s, %+v with %+v", name, i.State, i.Reason, i.Applications)
		}
	}
	tasks, _, err := h.Tasks(h.t.Context(), TaskQuery{Account: owner, Region: region})
	if err != nil || len(tasks) > 1 {
		h.t.Fatalf("there are %d exports, %v", len(tasks), err)
	}
	for _, task := range tasks {
		a, err := h.config.AMIs.Find(h.t.Context(), owner, task.AMI)
		if task.State != Completed || err != nil || a.Name != "exported" {
			h.t.Errorf("the export is %s, %+v; its AMI: %v", task.State, task.Errors, err)
		}
	}
}

func TestDeathAtEveryWrite(t *testing.T) {
	t.Parallel()
	// How many writes there are is learnt first.
	counting := open(t, sqlitetest.Open(t), nil)
	f := storetest.Faulty(counting.store)
	r := counting.node(f, "counting")
	stop := worktest.Run(t, r.Run)
	if err := life(t.Context(), counting, r, counting.ami(owner, "base", base)); err != nil {
		t.Fatal(err)
	}
	stop()
	counting.settled()
	writes := f.Commits()
	if writes < 10 {
		t.Fatalf("there are %d writes", writes)
	}
	for n := 1; n <= writes; n++ {
		for _, kept := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d kept %v", n, kept), func(t *testing.T) {
				t.Parallel()
				h := open(t, sqlitetest.Open(t), func(c *Config) { c.Lease = 300 * time.Millisecond })
				a := h.ami(owner, "base", base)
				dying := h.node(storetest.Faulty(h.store, storetest.Fault{Commit: n, Kept: kept, Final: true}), "dying")
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				stop := worktest.Run(t, dying.Run)
				err := life(ctx, h, dying, a)
				stop()
				if err != nil && !errors.Is(err, storetest.ErrFault) {
					t.Fatalf("it ended otherwise than by its death: %v", err)
				}
				worktest.Run(t, h.Run)
				h.settled()
			})
		}
	}
}

// TestAnythingAtAnyTime does what accounts and builders may do in any order, while
// nodes work, and looks whether what is left is whole.
func TestAnythingAtAnyTime(t *testing.T) {
	t.Parallel()
	h := here(t, func(c *Config) { c.Lease = 300 * time.Millisecond })
	a := h.ami(owner, "base", base)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		if run > 30 {
			return // each takes its time
		}
		name := func() string {
			return fmt.Sprintf("r%d-%s", run, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"))
		}
		ctx := h.t.Context()
		var refusal *apierror.Error
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			var err error
			switch what := rapid.SampledFrom([]string{"import", "copy", "delete", "share", "unshare", "tag", "export", "build"}).Draw(t, "what"); what {
			case "import":
				_, err = h.Import(ctx, request(a, name()))
			case "copy":
				_, err = h.Copy(ctx, CopyRequest{Account: owner, Region: region, Source: name(), Name: name(), To: region})
			case "delete":
				_, err = h.Delete(ctx, owner, region, name())
			case "share":
				err = h.Share(ctx, owner, region, name(), other, Permissions{AllowImageBuilder: true})
			case "unshare":
				err = h.Unshare(ctx, owner, region, name(), other)
			case "tag":
				err = h.Tag(ctx, owner, region, name(), map[string]string{"k": "v"})
			case "export":
				q := export(name() + fmt.Sprint(run))
				q.Image = name()
				_, err = h.Export(ctx, q)
			case "build":
				var from Image
				from, err = h.Usable(ctx, owner, region, name())
				if err == nil {
					var batch store.Batch
					var i Image
					i, batch, err = h.Begin(ctx, Beginning{Account: owner, Region: region, Name: name(), Base: from})
					if err == nil {
						err = h.Refusal(i, h.store.Commit(ctx, batch))
					}
					if err == nil {
						batch, err = h.Finish(ctx, i, nil)
						if err == nil {
							err = h.store.Commit(ctx, batch)
						}
					}
				}
			}
			if err != nil && !errors.As(err, &refusal) {
				t.Fatal(err)
			}
		}
		h.quiet()
		wrong, err := h.Doctor(ctx)
		if err != nil || len(wrong) > 0 {
			t.Fatalf("the doctor finds %q, %v", wrong, err)
		}
		for _, n := range []string{"a", "b"} {
			_ = h.Unshare(ctx, owner, region, fmt.Sprintf("r%d-%s", run, n), other)
			_, err := h.Delete(ctx, owner, region, fmt.Sprintf("r%d-%s", run, n))
			if err != nil && !apierror.Is(err, "ResourceNotFoundException") {
				t.Fatal(err)
			}
		}
		page, err := h.List(ctx, Query{Account: owner, Region: region})
		if err != nil || len(page.Images) > 0 {
			t.Fatalf("left are %+v, %v", page.Images, err)
		}
	})
	h.healthy()
}
