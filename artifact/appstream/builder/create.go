package builder

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"souk/artifact/appstream/image"
	"souk/artifact/appstream/resource"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// Request asks for an image builder. Nil and empty members are not given.
type Request struct {
	Account, Region string

	Name         string
	InstanceType string
	ImageName    string // one of the two
	ImageARN     string
	Description  string
	DisplayName  string
	Network      *Network
	Role         string // IamRoleArn
	Internet     bool   // EnableDefaultInternetAccess
	Domain       *Domain
	Agent        string // AppstreamAgentVersion
	Endpoints    []Endpoint
	Volume       *int // RootVolumeConfig, VolumeSizeInGb
	Softwares    bool // SoftwaresToInstall or SoftwaresToUninstall has members
	NoIMDSv1     *bool
	Tags         resource.Tags

	// Begins, if set, is told of the builder before it is stored: so a record of the
	// request can be stored with it.
	Begins func(b *Builder)
}

// Latest is the word for the newest version of the agent.
const Latest = "[LATEST]"

// Bounds of RootVolumeConfig in GB (API Reference, "VolumeConfig").
const (
	leastVolume = 200
	mostVolume  = 500
)

var formOfVPCE = regexp.MustCompile(`^vpce-([0-9a-f]{8}|[0-9a-f]{17})$`)

// Create stores an image builder, which is PENDING, and has its machine made. A
// refused request stores nothing. The errors that a caller may see are
// *apierror.Error, and bound to CreateImageBuilder by its model.
//
// AppStream API Reference, "CreateImageBuilder".
func (b *Builders) Create(ctx context.Context, r Request) (*Builder, error) {
	err := b.ready(ctx)
	if err != nil {
		return nil, err
	}
	err = b.checkWords(r)
	if err != nil {
		return nil, err
	}
	size, ok := b.config.InstanceType(r.InstanceType)
	if !ok {
		return nil, refused("The instance type %s does not exist.", r.InstanceType)
	}
	base, err := b.config.Images.Usable(ctx, r.Account, r.Region, r.ImageName+r.ImageARN)
	if err != nil {
		return nil, err
	}
	if size.Graphics {
		return nil, apierror.New("IncompatibleImageException", "The image %s can't be used with the instance type %s: images here have no use for a graphics processor.", base.Name, r.InstanceType)
	}
	if r.Role != "" {
		err = b.checkRole(ctx, r.Account, r.Role)
		if err != nil {
			return nil, err
		}
	}
	err = b.room(ctx, r)
	if err != nil {
		return nil, err
	}
	node, err := b.choose(ctx)
	if err != nil {
		return nil, err
	}
	machine, err := b.newID()
	if err != nil {
		return nil, err
	}
	now := b.now()
	n := &Builder{
		Account: r.Account, Region: r.Region, Name: r.Name,
		ARN:      resource.ARN{Region: r.Region, Account: r.Account, Type: resource.TypeImageBuilder, Name: r.Name}.String(),
		ImageARN: base.ARN, Description: r.Description, DisplayName: r.DisplayName, Network: r.Network.given(), InstanceType: r.InstanceType,
		Platform: base.Platform, Role: r.Role, State: Pending, Created: now, Internet: r.Internet, Domain: r.Domain.given(),
		Agent: b.config.AgentVersion, Endpoints: r.Endpoints, NoIMDSv1: r.NoIMDSv1, Tags: r.Tags,
		Base: base, Node: node, Machine: "ib-" + machine, Step: 1, Changed: now,
	}
	if r.Volume != nil {
		n.Volume = *r.Volume
	}
	if r.Begins != nil {
		r.Begins(n)
	}
	return n, b.store(ctx, n)
}

// refused is the error for what is wrong with parameters beyond their form.
func refused(format string, args ...any) error {
	return apierror.New("InvalidParameterCombinationException", format, args...)
}

// given is nil for a VpcConfig that says nothing.
func (n *Network) given() *Network {
	if n == nil || len(n.Subnets) == 0 && len(n.Groups) == 0 {
		return nil
	}
	return n
}

// given is nil for a DomainJoinInfo that says nothing: it is left out of answers.
func (d *Domain) given() *Domain {
	if d == nil || *d == (Domain{}) {
		return nil
	}
	return d
}

// checkWords looks at what needs no look elsewhere.
func (b *Builders) checkWords(r Request) error {
	switch {
	case r.ImageName == "" && r.ImageARN == "":
		return refused("Either ImageName or ImageArn must be given.")
	case r.ImageName != "" && r.ImageARN != "":
		return refused("ImageName and ImageArn can't be given together.")
	case r.Softwares:
		return apierror.New("OperationNotPermittedException", "License included applications are not offered: leave out SoftwaresToInstall and SoftwaresToUninstall.")
	case r.Volume != nil && (*r.Volume < leastVolume || *r.Volume > mostVolume):
		return refused("RootVolumeConfig: VolumeSizeInGb is %d, and must be from %d to %d.", *r.Volume, leastVolume, mostVolume)
	}
	err := b.checkAgent(r.Agent)
	if err != nil {
		return err
	}
	if r.Domain != nil && r.Domain.Directory == "" && r.Domain.Unit != "" {
		return refused("DomainJoinInfo: an organizational unit needs its DirectoryName.")
	}
	err = checkNetwork(r.Network)
	if err != nil {
		return err
	}
	seen := map[Endpoint]bool{}
	for _, e := range r.Endpoints {
		switch {
		case e.VPCE == "":
			return refused("AccessEndpoints: VpceId is needed.")
		case !formOfVPCE.MatchString(e.VPCE):
			return refused("AccessEndpoints: %q is no id of an interface endpoint (vpce-...).", e.VPCE)
		case seen[e]:
			return refused("AccessEndpoints: %s is given more than once.", e.VPCE)
		}
		seen[e] = true
	}
	return r.Tags.Check()
}

// checkNetwork looks at a VpcConfig. What is there of it is asked of Config.Network
// when the machine is made, and told by ImageBuilderErrors.
func checkNetwork(n *Network) error {
	if n == nil {
		return nil
	}
	if len(n.Subnets) > 1 {
		return refused("VpcConfig: an image builder uses one subnet, and %d are given.", len(n.Subnets))
	}
	for i, id := range n.Groups {
		if slices.Contains(n.Groups[:i], id) {
			return refused("VpcConfig: the security group %s is given more than once.", id)
		}
	}
	return nil
}

// checkAgent refuses a version of the agent that is not there. There is one: the
// agent is a part of this program.
func (b *Builders) checkAgent(version string) error {
	if version == "" || version == Latest || version == b.config.AgentVersion {
		return nil
	}
	return apierror.New("ResourceNotAvailableException", "The agent version %s is not available: it is %s, or %s.", version, b.config.AgentVersion, Latest)
}

// checkRole refuses a role that a builder can't be given. Who creates a role and a
// builder right after waits by the words "encountered an error because your IAM role".
func (b *Builders) checkRole(ctx context.Context, account, arn string) error {
	err := b.config.Role(ctx, account, arn)
	const text = "AppStream encountered an error because your IAM role %s "
	switch {
	case errors.Is(err, ErrNoRole):
		return apierror.New("InvalidRoleException", text+"does not exist in this account.", arn)
	case errors.Is(err, ErrUntrusted):
		return apierror.New("InvalidRoleException", text+"does not let appstream.amazonaws.com assume it.", arn)
	case err != nil:
		return fmt.Errorf("looking at role %s: %w", arn, err)
	}
	return nil
}

// room refuses a name that is taken, and a builder that is one too many. The
// commit asks again: others may be stored meanwhile.
func (b *Builders) room(ctx context.Context, r Request) error {
	_, err := b.config.Store.Get(ctx, keyOf(r.Account, r.Region, r.Name))
	if err == nil {
		return taken(r.Name)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("looking for image builder %s: %w", r.Name, err)
	}
	most := b.config.Most(r.Account)
	if most < 0 {
		return nil
	}
	page, err := b.config.Store.List(ctx, store.Query{Kind: Kind, Index: indexAll, Partition: resource.Place(r.Account, r.Region), Limit: max(1, most)})
	if err != nil {
		return fmt.Errorf("counting the image builders of %s: %w", r.Account, err)
	}
	if len(page.Documents) >= most {
		return tooMany(most)
	}
	return nil
}

func taken(name string) error {
	return apierror.New("ResourceAlreadyExistsException", "The image builder %s already exists.", name)
}

func tooMany(most int) error {
	return apierror.New("LimitExceededException", "The account has %d image builders in this region, and may have no more.", most)
}

// choose finds a node that makes machines: this one, if it does, else one that
// lives and does, else this one, which says that it can't.
func (b *Builders) choose(ctx context.Context) (string, error) {
	if b.config.Machines != nil {
		return b.config.Node, nil
	}
	all, err := b.nodes(ctx)
	if err != nil {
		return "", err
	}
	for _, n := range all {
		if n.Machines && !b.dead(n) {
			return n.ID, nil
		}
	}
	return b.config.Node, nil
}

// store commits a new builder with its first task, if its image is as it was read.
func (b *Builders) store(ctx context.Context, n *Builder) error {
	w, err := n.write(0)
	if err != nil {
		return err
	}
	task := b.task(n)
	batch := store.Batch{Put: []store.Write{w, task}, Expect: []store.Expectation{n.Base.Unchanged()}}
	if most := b.config.Most(n.Account); most >= 0 {
		batch.Bounds = []store.Bound{{Kind: Kind, Index: indexAll, Partition: resource.Place(n.Account, n.Region), Most: most}}
	}
	err = b.config.Store.Commit(ctx, batch)
	var conflict *store.Conflict
	switch {
	case err == nil:
	case errors.Is(err, store.ErrLimit):
		return tooMany(b.config.Most(n.Account))
	case errors.As(err, &conflict) && conflict.Key.Kind == image.Kind:
		return resource.Concurrent("image", n.Base.Name)
	case errors.As(err, &conflict):
		return b.takenNow(ctx, n)
	default:
		// Written or not? The machine is no other builder's.
		is, _, read := b.get(ctx, n.key())
		if read != nil || is.Machine != n.Machine {
			return fmt.Errorf("storing image builder %s: %w", n.id(), err)
		}
	}
	b.config.Log.Info("image builders: created", "builder", n.id(), "image", n.ImageARN, "machine", n.Machine, "node", n.Node)
	b.hand(n, task)
	return nil
}

// takenNow is the error for a name that another request took in the same moment:
// that one is on its way.
func (b *Builders) takenNow(ctx context.Context, n *Builder) error {
	_, _, err := b.get(ctx, n.key())
	if errors.Is(err, store.ErrNotFound) {
		return resource.Concurrent("image builder", n.Name)
	}
	if err != nil {
		return err
	}
	return taken(n.Name)
}
