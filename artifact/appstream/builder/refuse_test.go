package builder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"souk/artifact/appstream/assistant"
	"souk/artifact/appstream/image"
	"souk/artifact/appstream/resource"
	"souk/artifact/images"
	"souk/artifact/machine"
	"souk/storage/store"
	"souk/storage/worktest"
)

type layerOf = images.Layer

func createImage(called string) assistant.Request {
	return assistant.Request{Operation: assistant.CreateImage, Name: called}
}

func TestWhatIsWrongWithARequestHasItsException(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.start(func(c *Config) { c.Machines = nil })
	size := func(n int) *int { return &n }
	for _, c := range []struct {
		name string
		edit func(*Request)
		want string
	}{
		{"neither name nor ARN of an image", func(r *Request) { r.ImageName = "" }, "InvalidParameterCombinationException: Either ImageName or ImageArn must be given."},
		{"name and ARN of an image", func(r *Request) { r.ImageARN = "arn:aws:appstream:us-east-1::image/base" }, "InvalidParameterCombinationException: ImageName and ImageArn can't be given together."},
		{"an image that is not there", func(r *Request) { r.ImageName = "none" }, "ResourceNotFoundException: The image none for account 111111111111 does not exist."},
		{"an image of another account", func(r *Request) {
			r.ImageName, r.ImageARN, r.Account = "", "arn:aws:appstream:us-east-1:111111111111:image/base", other
		}, "ResourceNotFoundException"},
		{"an instance type that does not exist", func(r *Request) { r.InstanceType = "t3.micro" }, "InvalidParameterCombinationException: The instance type t3.micro does not exist."},
		{"an instance type with a graphics processor", func(r *Request) { r.InstanceType = "stream.graphics.g4dn.xlarge" }, "IncompatibleImageException"},
		{"two subnets", func(r *Request) { r.Network = &Network{Subnets: []string{"subnet-1", "subnet-2"}} }, "InvalidParameterCombinationException: VpcConfig: an image builder uses one subnet, and 2 are given."},
		{"a security group twice", func(r *Request) { r.Network = &Network{Groups: []string{"sg-1", "sg-1"}} }, "InvalidParameterCombinationException"},
		{"an endpoint without its id", func(r *Request) { r.Endpoints = []Endpoint{{Type: "STREAMING"}} }, "InvalidParameterCombinationException: AccessEndpoints: VpceId is needed."},
		{"an endpoint with the id of something else", func(r *Request) { r.Endpoints = []Endpoint{{"STREAMING", "vpc-12345678"}} }, "InvalidParameterCombinationException"},
		{"a disk that is too small", func(r *Request) { r.Volume = size(199) }, "InvalidParameterCombinationException: RootVolumeConfig: VolumeSizeInGb is 199, and must be from 200 to 500."},
		{"a disk that is too large", func(r *Request) { r.Volume = size(501) }, "InvalidParameterCombinationException"},
		{"an organizational unit without a directory", func(r *Request) { r.Domain = &Domain{Unit: "OU=x"} }, "InvalidParameterCombinationException"},
		{"software", func(r *Request) { r.Softwares = true }, "OperationNotPermittedException"},
		{"an agent that is not there", func(r *Request) { r.Agent = "01-01-2020" }, "ResourceNotAvailableException"},
		{"a role that does not exist", func(r *Request) { r.Role = "arn:aws:iam::111111111111:role/none" }, "InvalidRoleException: AppStream encountered an error because your IAM role arn:aws:iam::111111111111:role/none does not exist in this account."},
		{"a role that trusts another", func(r *Request) { r.Role = "arn:aws:iam::111111111111:role/other" }, "InvalidRoleException: AppStream encountered an error because your IAM role"},
		{"a tag of AWS's", func(r *Request) { r.Tags = resource.Tags{"aws:x": "y"} }, "ValidationException"},
	} {
		_, err := h.Create(t.Context(), request("one", c.edit))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	page, err := h.Describe(t.Context(), Query{Account: account, Region: region})
	if err != nil || len(page.Builders) > 0 {
		t.Errorf("what was refused is there: %+v, %v", page, err)
	}
}

// broken is machines of which one verb fails.
type broken struct {
	machine.Provider
	create, start error
	starts        atomic.Int64
}

func (b *broken) Create(ctx context.Context, id string, s machine.Spec) error {
	if b.create != nil {
		return b.create
	}
	return b.Provider.Create(ctx, id, s)
}

func (b *broken) Start(ctx context.Context, id string) error {
	b.starts.Add(1)
	if b.start != nil {
		return b.start
	}
	return b.Provider.Start(ctx, id)
}

func TestWhyAMachineCannotBeMadeIsTold(t *testing.T) {
	t.Parallel()
	h := open(t)
	for _, c := range []struct {
		name      string
		edit      edit
		code      string
		text      string
		errorCode string
	}{
		{"no machines", func(c *Config) { c.Machines = nil }, InternalError, noMachines, ""},
		{"no agent", func(c *Config) { c.Machines = &broken{Provider: c.Machines, start: machine.ErrNoAgent} }, InternalError, "The machine was started, and its agent does not answer.", ""},
		{"a full disk of the server", func(c *Config) {
			c.Machines = &broken{Provider: c.Machines, create: fmt.Errorf("writing: %w", syscall.ENOSPC)}
		}, InternalError, "The server's disk is full.", ""},
		{"an image that is no root file system", func(c *Config) { c.Machines = &broken{Provider: c.Machines, start: machine.ErrBadImage} }, ImageUnavailable, "The image base can't be started", ""},
		{"a subnet that is not there", func(c *Config) {
			c.Network = func(context.Context, *Builder) ([]resource.Error, error) {
				return []resource.Error{{Code: "SUBNET_NOT_FOUND", Message: "The subnet subnet-1 does not exist."}}, nil
			}
		}, InternalError, "The subnet subnet-1 does not exist.", "SUBNET_NOT_FOUND"},
	} {
		h.start(c.edit)
		_, err := h.Create(t.Context(), request("one", func(r *Request) { r.Network = &Network{Subnets: []string{"subnet-1"}} }))
		h.must(err)
		b := h.is("one", Failed)
		if b.Reason == nil || b.Reason.Code != c.code || !strings.HasPrefix(b.Reason.Message, c.text) {
			t.Errorf("%s: the reason is %+v", c.name, b.Reason)
		}
		if c.errorCode != "" && (len(b.Errors) != 1 || b.Errors[0].Code != c.errorCode || b.Errors[0].Timestamp.IsZero()) {
			t.Errorf("%s: the errors are %+v", c.name, b.Errors)
		}
		_, err = h.Delete(t.Context(), account, region, "one", nil)
		h.must(err)
		h.gone("one")
		h.healthy(0)
	}
}

func TestAFailureOfOursIsTriedAgainAndThenGivenUp(t *testing.T) {
	t.Parallel()
	h := open(t)
	var double *broken
	h.start(func(c *Config) {
		double = &broken{Provider: c.Machines, start: errors.New("the weather")}
		c.Machines = double
	})
	_, err := h.Create(t.Context(), request("one"))
	h.must(err)
	b := h.is("one", Failed)
	if n := double.starts.Load(); n != maxTries || b.Reason.Code != InternalError || b.Reason.Message != "Its machine was begun 3 times and never ran." {
		t.Errorf("after %d tries the reason is %+v", n, b.Reason)
	}
}

func TestLayersThatAreGoneAreAnImageThatIsUnavailable(t *testing.T) {
	t.Parallel()
	h := running(t)
	_, err := h.Stop(t.Context(), account, region, "one", nil)
	h.must(err)
	h.is("one", Stopped)
	h.halt()
	h.must(os.RemoveAll(filepath.Join(h.at, "layers")))
	h.start()
	_, err = h.Start(t.Context(), account, region, "one", "", nil)
	h.must(err)
	worktest.Until(t, "it has tried", func() bool { b := h.read("one"); return b.State == Stopped })
	if b := h.read("one"); b.Reason == nil || b.Reason.Code != ImageUnavailable {
		t.Errorf("the reason is %+v", b.Reason)
	}
	// The registry has lost them, too: no builder can be made of the image.
	h.must(os.RemoveAll(h.below.Registry.Root))
	_, err = h.Create(t.Context(), request("two"))
	h.must(err)
	if b := h.is("two", Failed); b.Reason == nil || b.Reason.Code != ImageUnavailable || len(b.Errors) != 1 || b.Errors[0].Code != "IMAGE_NOT_FOUND" {
		t.Errorf("the reason is %+v, the errors %+v", b.Reason, b.Errors)
	}
}

// marked says whether a commit was made for what a machine has asked for.
type marked struct {
	store.Store
	key  any
	made atomic.Int32
}

func (m *marked) Commit(ctx context.Context, b store.Batch) error {
	if ctx.Value(m.key) != nil {
		m.made.Add(1)
	}
	return m.Store.Commit(ctx, b)
}

// What a machine asks for is told to whom keeps records, around the commit of it.
func TestWhatAMachineAsksForIsRecorded(t *testing.T) {
	t.Parallel()
	type mark struct{}
	h := open(t)
	var told []string
	commits := &marked{key: mark{}}
	h.start(func(c *Config) {
		commits.Store, c.Store = c.Store, commits
		c.Record = func(ctx context.Context, a Asked, do func(context.Context) error) error {
			err := do(context.WithValue(ctx, mark{}, true))
			told = append(told, fmt.Sprintln(a.Account, a.Region, a.Builder, a.Resources, a.Request.Operation, a.Request.Name, err != nil))
			return err
		}
	})
	h.create("one")
	id := h.read("one").Machine
	if a := h.Assist(t.Context(), id, createImage("base")); a.Status != assistant.Refused {
		t.Errorf("an image of a name that is taken: %+v", a)
	}
	if commits.made.Load() != 0 {
		t.Errorf("what was refused was committed")
	}
	if a := h.Assist(t.Context(), id, assistant.Request{Operation: assistant.PowerOff}); a != assistant.Success {
		t.Errorf("the host says %+v", a)
	}
	h.is("one", Stopped)
	arns := "arn:aws:appstream:us-east-1:111111111111:image-builder/one"
	want := []string{
		fmt.Sprintln(account, region, "one", "["+arns+" arn:aws:appstream:us-east-1:111111111111:image/base]", assistant.CreateImage, "base", true),
		fmt.Sprintln(account, region, "one", "["+arns+"]", assistant.PowerOff, "", false),
	}
	if !slices.Equal(told, want) || commits.made.Load() != 1 {
		t.Errorf("told is %q in %d commits, want %q in one", told, commits.made.Load(), want)
	}
}

func TestWhatCannotBeALayerFailsTheImageAndNamesTheFile(t *testing.T) {
	t.Parallel()
	h := running(t)
	if got := h.sh("one", "echo x >/opt/.wh.hidden"); got[:2] != "0 " {
		t.Fatalf("making the file: %q", got)
	}
	i := h.becomes()
	if i.State != image.Failed || i.Reason == nil || i.Reason.Code != image.InternalError || !strings.Contains(i.Reason.Message, "opt/.wh.hidden") {
		t.Errorf("the image is %s, %+v", i.State, i.Reason)
	}
	h.healthy(1)
}

func TestALargeFileOfZerosIsNoBomb(t *testing.T) {
	t.Parallel()
	h := running(t)
	if got := h.sh("one", "truncate -s 100M /opt/redo.log"); got[:2] != "0 " {
		t.Fatalf("making the file: %q", got)
	}
	if i := h.becomes(); i.State != image.Available {
		t.Errorf("the image is %s, %+v", i.State, i.Reason)
	}
	h.healthy(1)
}

// fussy refuses each layer.
type fussy struct{ Images }

func (fussy) Finish(context.Context, image.Image, *images.LayerFile) (store.Batch, error) {
	return store.Batch{}, fmt.Errorf("making image made: %w: the new layer: archive entry %q: too much data", images.ErrBadImage, "opt/a")
}

func TestALayerThatIsRefusedSaysWhy(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.start(func(c *Config) { c.Images = fussy{c.Images} })
	h.create("one")
	const want = `What was written in the image builder makes no image: the new layer: archive entry "opt/a": too much data`
	if i := h.becomes(); i.State != image.Failed || i.Reason == nil || i.Reason.Message != want {
		t.Errorf("the image is %s, %+v; want %q", i.State, i.Reason, want)
	}
}

func TestAMachineThatIsNobodysHasNoSay(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.start()
	if a := h.Assist(t.Context(), "ib-none", createImage("made")); a.Status != assistant.Refused {
		t.Errorf("the host says %+v", a)
	}
	b := h.create("one")
	if a := h.Assist(t.Context(), b.Machine, assistant.Request{Operation: "else"}); a.Status != assistant.Refused {
		t.Errorf("to what it does not know the host says %+v", a)
	}
}
