package server

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"

	"souk/access/iam"
	"souk/access/quota"
	"souk/access/trail"
	"souk/artifact/appstream/session"
	"souk/artifact/images"
	"souk/artifact/logo"
	"souk/artifact/registry"
	"souk/catalog"
	"souk/catalog/change"
	"souk/catalog/changeset"
	"souk/catalog/listing"
	"souk/catalog/procurement"
	"souk/catalog/scenario"
	"souk/egress/notify"
	"souk/storage/blob"
)

// rooms are the parts of a market that stand on its store: the same for a
// server and for a command that works where no server runs.
type rooms struct {
	blobs    *blob.Store
	registry *registry.Registry
	images   *images.Images
	trail    *trail.Trail
	topics   *notify.Notify
	engine   *changeset.Engine
	types    []*change.EntityType

	procurement *procurement.Procurement
	listings    *listing.Listings

	scenarios *scenario.Scenarios
	quotas    *quota.Settings
	// operations are those of all services, by "service.Operation".
	operations map[string]bool
	scanning
	computing
	installing
	imageBuilding
	imageKeeping
	sessions *session.Sessions // in image builders
}

// join makes the rooms and gives each what it needs of the others. public is
// how clients reach the market; observe, if not nil, is told of change sets.
func (m *market) join(ctx context.Context, config Config, public *url.URL, node string, observe func(changeset.Event)) error {
	var err error
	m.blobs, err = blob.New(blob.Config{Root: filepath.Join(config.Blobs, "files"), PublicURL: public, Keyring: m.ring})
	if err != nil {
		return err
	}
	err = m.newQuotas(ctx, config)
	if err != nil {
		return err
	}
	m.trail, err = m.newTrail(config, node)
	if err != nil {
		return err
	}
	m.procurement, m.listings = m.newProcurement(config), m.newListings()
	keys, err := m.registryKeys(ctx)
	if err != nil {
		return err
	}
	m.registry, err = registry.New(registry.Config{
		Root:        filepath.Join(config.Blobs, "registry"),
		Store:       m.store,
		Credentials: m.organization.LookupSession,
		Decide:      iam.Decide,
		MayObtain:   m.procurement.MayObtain,
		Delivered:   m.procurement.Delivered,
		Obtained:    m.procurement.Obtained,
		Lent: func(ctx context.Context, account, repository string) ([]string, error) {
			return m.images.Lent(ctx, account, repository)
		},
		Lends: func(ctx context.Context, account, repository, digest string) (string, error) {
			return m.images.Lends(ctx, account, repository, digest)
		},
		PublicURL:    public,
		Keyring:      keys,
		MaxBlob:      config.MaxLayer, // 0: its own default
		ChartCommand: config.ChartCommand,
		Trail:        m.trail,
		Log:          config.Log,
	})
	if err != nil {
		return err
	}
	m.images, err = images.New(crashImages(images.Config{Store: m.store, Registry: m.registry, InUse: m.imageUse, MayUse: m.mayUse, Node: node, Log: config.Log}))
	if err != nil {
		return err
	}
	err = errors.Join(m.joinScanning(config), m.joinComponents(config))
	if err != nil {
		return err
	}
	fetcher, err := newFetcher(ctx, config, public)
	if err != nil {
		return err
	}
	err = m.newTopics(ctx, config, public, node, fetcher)
	if err != nil {
		return err
	}
	err = m.joinCompute(ctx, config, node, fetcher)
	if err != nil {
		return err
	}
	err = m.joinBuilds(config, node, m.machines)
	if err != nil {
		return err
	}
	err = m.joinAppImages(config, node)
	if err == nil {
		err = m.joinImageBuilders(config, node, m.appImages)
	}
	err = errors.Join(err, m.joinSessions(config, node, public))
	if err != nil {
		return err
	}
	m.types = catalog.Types(catalog.Config{RegistryHost: public.Host})
	m.scenarios = scenario.New(scenario.Config{Store: m.store, Exposed: exposed(config), Known: known(m.types)})
	m.engine, err = changeset.New(changeset.Config{
		Store:    m.store,
		Director: m.scenarios,
		Announce: m.announce,
		Types:    m.types,
		Later:    catalog.Later(),
		World:    change.World{Images: m.registry.Images(), AMIs: m.images.AMIs(), Roles: roles{m.organization}, Scanner: m.scanner, Logos: logo.New(logo.Config{Fetcher: fetcher, Keeper: m.blobs}), Branding: logo.NewBranding(logo.Config{Fetcher: fetcher, Keeper: m.blobs}), Components: m.components.Port(m.tryComponent), Pages: newPages(config, fetcher), Organization: members{m.organization}},
		Keys:     m.ring,
		Sellers:  m.seller,
		Beside:   listing.Write,
		Owner:    node,
		Log:      config.Log,
		OpenSets: m.bound(config, quota.OpenChangeSets, config.OpenChangeSets),
		History:  config.History,
		Workers:  config.Workers,

		Observe: observe,

		StrictDetails: config.StrictDetails,
	})
	return err
}

// seller finds what change types must know of an account.
func (m *market) seller(ctx context.Context, account string) (change.Seller, error) {
	namespace, err := m.organization.Seller(ctx, account)
	return change.Seller{Account: account, Namespace: namespace}, err
}

// close closes what join opened.
func (r *rooms) close() error {
	all := []error{r.compute.close()}
	if r.registry != nil {
		all = append(all, r.registry.Close())
	}
	if r.blobs != nil {
		all = append(all, r.blobs.Close())
	}
	return errors.Join(all...)
}
