package image

import (
	"slices"
	"testing"
	"time"

	"souk/artifact/appstream/resource"
	"souk/artifact/images"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
	"souk/storage/worktest"
)

func export(name string) ExportRequest {
	return ExportRequest{Account: owner, Region: region, Image: "first", Name: name, Role: role}
}

// exported waits for the end of a task.
func (h *house) exportEnds(id string) *Task {
	h.t.Helper()
	var now *Task
	worktest.Until(h.t, "export "+id+" has ended", func() bool {
		var err error
		now, err = h.Task(h.t.Context(), owner, region, id)
		if err != nil {
			h.t.Fatal(err)
		}
		return now.State != Exporting
	})
	return now
}

func TestExportMakesAnAMI(t *testing.T) {
	t.Parallel()
	h := here(t, nil)
	h.imports(request(h.ami(owner, "base", base, func(r *images.Registration) { r.ProductCodes = []string{"abc"} }), "first"))
	q := export("made by hand"[:4])
	q.Description, q.Tags = "what was made", resource.Tags{"a": "b"}
	task, err := h.Export(t.Context(), q)
	if err != nil || task.State != Exporting {
		t.Fatalf("it begins as %+v, %v", task, err)
	}
	got := h.exportEnds(task.ID)
	if got.State != Completed || got.ImageARN != "arn:aws:appstream:us-east-1:111111111111:image/first" || got.Tags["a"] != "b" {
		t.Fatalf("it ended as %+v", got)
	}
	a, err := h.config.AMIs.Find(t.Context(), owner, got.AMI)
	if err != nil {
		t.Fatal(err)
	}
	if a.Name != "made" || a.Description != "what was made" || a.State != images.StateAvailable || !slices.Equal(a.ProductCodes, []string{"abc"}) ||
		a.Architecture != images.X8664 || a.Platform != "Ubuntu 24.04" || a.Public || a.Repository != "ns-111111111111/ami" {
		t.Errorf("it is %+v", a)
	}
	_, err = h.Export(t.Context(), export("made"))
	refused(t, err, "OperationNotPermittedException", "made")
	_, err = h.Task(t.Context(), other, region, task.ID)
	refused(t, err, "ResourceNotFoundException", task.ID)
	_, err = h.Task(t.Context(), owner, "eu-west-1", task.ID)
	refused(t, err, "ResourceNotFoundException", task.ID)
	h.healthy()
}

func TestExportThatIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	h := here(t, func(c *Config) { c.Limits = func(string) Limits { return Limits{Exports: -1} } })
	first := h.image(owner, "first")
	h.begin(first, "pending")
	for _, c := range []struct {
		name, want, text string
		edit             func(*ExportRequest)
		deny             string
	}{
		{"an image that is not there", "ResourceNotFoundException", "The image none for account 111111111111 does not exist.", func(q *ExportRequest) { q.Image = "none" }, ""},
		{"an image of another", "ResourceNotFoundException", "does not exist", func(q *ExportRequest) { q.Account = other }, ""},
		{"an image that is pending", "ResourceNotAvailableException", "The image pending is PENDING. The image must be in an AVAILABLE state", func(q *ExportRequest) { q.Image = "pending" }, ""},
		{"a role of another", "InvalidRoleException", "encountered an error because your IAM role", func(q *ExportRequest) { q.Role = "arn:aws:iam::222222222222:role/images" }, ""},
		{"a role that may not copy", "InvalidRoleException", "ec2:CopyImage", func(*ExportRequest) {}, "ec2:CopyImage"},
		{"a role that may not tag", "InvalidRoleException", "ec2:CreateTags", func(q *ExportRequest) { q.Tags = resource.Tags{"a": "b"} }, "ec2:CreateTags"},
		{"a name that is taken", "OperationNotPermittedException", "ami of first", func(q *ExportRequest) { q.Name = "ami of first" }, ""},
	} {
		q := export("name")
		c.edit(&q)
		h.deny(c.deny)
		_, err := h.Export(t.Context(), q)
		t.Run(c.name, func(t *testing.T) { refused(t, err, c.want, c.text) })
	}
	h.healthy()
}

func TestExportOfLostBytesFails(t *testing.T) {
	t.Parallel()
	h := here(t, nil)
	h.lose(h.image(owner, "first"))
	task, err := h.Export(t.Context(), export("name"))
	if err != nil {
		t.Fatal(err)
	}
	got := h.exportEnds(task.ID)
	if got.State != TaskFailed || len(got.Errors) != 1 || got.Errors[0].Code != TaskImageGone {
		t.Errorf("it ended as %s, %+v", got.State, got.Errors)
	}
	h.healthy()
}

func TestExportsAreBoundedTimedAndForgotten(t *testing.T) {
	t.Parallel()
	h := open(t, sqlitetest.Open(t), func(c *Config) {
		c.Limits = func(string) Limits { return Limits{Exports: 1} }
		c.ExportTime, c.History = time.Hour, 24*time.Hour
	})
	stop := worktest.Run(t, h.Run)
	h.image(owner, "first")
	stop()
	task, err := h.Export(t.Context(), export("name"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Export(t.Context(), export("other"))
	refused(t, err, "LimitExceededException", "1")
	h.mu.Lock()
	h.late = 2 * time.Hour
	h.mu.Unlock()
	worktest.Run(t, h.Run)
	if got := h.exportEnds(task.ID); got.State != TaskTimeout || got.Errors[0].Code != TaskTimedOut {
		t.Errorf("it ended as %s, %+v", got.State, got.Errors)
	}
	if holds, err := h.config.AMIs.Holds(t.Context(), owner, "name", store.Key{Kind: KindTask, ID: task.ID}); holds || err != nil {
		t.Errorf("it holds its name: %v, %v", holds, err)
	}
	h.healthy()
}

func TestListOfExports(t *testing.T) {
	t.Parallel()
	h := here(t, nil)
	h.image(owner, "first")
	var ids []string
	for _, name := range []string{"one", "two", "six"} {
		task, err := h.Export(t.Context(), export(name))
		if err != nil {
			t.Fatal(err)
		}
		h.exportEnds(task.ID)
		ids = append(ids, task.ID)
	}
	all, next, err := h.Tasks(t.Context(), TaskQuery{Account: owner, Region: region})
	if err != nil || len(all) != 3 || next != "" {
		t.Errorf("there are %d, %q, %v", len(all), next, err)
	}
	two := 2
	page, next, err := h.Tasks(t.Context(), TaskQuery{Account: owner, Region: region, MaxResults: &two})
	if err != nil || len(page) != 2 || next == "" {
		t.Fatalf("on the first page are %d, %q, %v", len(page), next, err)
	}
	more, next, err := h.Tasks(t.Context(), TaskQuery{Account: owner, Region: region, MaxResults: &two, NextToken: &next})
	if err != nil || len(more) != 1 || next != "" {
		t.Errorf("on the second are %d, %q, %v", len(more), next, err)
	}
	found, _, err := h.Tasks(t.Context(), TaskQuery{Account: owner, Region: region, Filters: []Filter{{"AmiName", []string{"two", "none"}}, {"State", []string{"COMPLETED"}}}})
	if err != nil || len(found) != 1 || found[0].ID != ids[1] {
		t.Errorf("of one name there are %+v, %v", found, err)
	}
	_, _, err = h.Tasks(t.Context(), TaskQuery{Account: owner, Region: region, Filters: []Filter{{"Color", []string{"red"}}}})
	refused(t, err, "OperationNotPermittedException", "Color")
	bad := "none"
	_, _, err = h.Tasks(t.Context(), TaskQuery{Account: owner, Region: region, NextToken: &bad})
	refused(t, err, "ValidationException", "NextToken")
}
