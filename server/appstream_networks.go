package server

import (
	"context"
	"fmt"
	"os"

	"souk/access/keyring"
	"souk/artifact/appstream/builder"
	"souk/artifact/appstream/directory"
	"souk/artifact/appstream/network"
	"souk/artifact/appstream/resource"
	"souk/storage/store"
)

// This file joins the networks and directories of image builders with the rooms
// that they know nothing of: roles, keys, and the builders themselves.

// joinNetworks makes the networks and the directory configurations. The image
// builders are asked, and may be made later.
func (m *market) joinNetworks(config Config) error {
	table, err := readNetworkTable(config.NetworkTable)
	if err != nil {
		return &SettingError{Setting: "network-table", Text: err.Error()}
	}
	m.networks = network.New(network.Config{
		Table: table, Interfaces: m.interfaces,
		Role: func(ctx context.Context, account, arn, service, action string) (there, allowed bool, err error) {
			return m.organization.RoleAllows(ctx, account, arn, service, action, "*")
		},
	})
	m.directories, err = directory.New(directory.Config{
		Store: m.store, Keys: m.ring, Guard: m.organization.Guard, Uses: m.directoryUses,
	})
	return err
}

// readNetworkTable reads the file of --network-table; nil if there is none.
func readNetworkTable(name string) (*network.Table, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	table, err := network.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return table, nil
}

// networkOf says what stands in the way of the network of a builder.
func (m *market) networkOf(ctx context.Context, b *builder.Builder) ([]resource.Error, error) {
	return m.networks.Check(ctx, interfaceOf(b))
}

// interfaceOf is the network interface that a builder has or wants.
func interfaceOf(b *builder.Builder) network.Interface {
	i := network.Interface{Account: b.Account, Region: b.Region, Builder: b.Name, Internet: b.Internet, Since: b.Created}
	if b.Network != nil {
		i.Subnets, i.Groups = b.Network.Subnets, b.Network.Groups
	}
	return i
}

// interfaces lists those that an account's builders have in a region: all but
// those that have failed or go.
func (m *market) interfaces(ctx context.Context, account, region string) ([]network.Interface, error) {
	var all []network.Interface
	err := m.eachBuilder(ctx, account, region, func(b *builder.Builder) {
		if b.Network != nil && b.State != builder.Failed && b.State != builder.Deleting {
			all = append(all, interfaceOf(b))
		}
	})
	return all, err
}

// directoryOf says what stands in the way of a builder that joins a directory.
func (m *market) directoryOf(ctx context.Context, account, region string, d builder.Domain) ([]resource.Error, error) {
	return m.directories.Join(ctx, account, region, d.Directory, d.Unit)
}

// directoryUses lists the builders that have joined a directory.
func (m *market) directoryUses(ctx context.Context, account, region, name string) ([]directory.Use, error) {
	var all []directory.Use
	err := m.eachBuilder(ctx, account, region, func(b *builder.Builder) {
		if b.Domain != nil && directory.SameName(b.Domain.Directory, name) && b.State != builder.Failed && b.State != builder.Deleting {
			all = append(all, directory.Use{By: "image builder " + b.Name, Unit: b.Domain.Unit})
		}
	})
	return all, err
}

// eachBuilder calls a function with each image builder of an account in a region.
func (m *market) eachBuilder(ctx context.Context, account, region string, do func(*builder.Builder)) error {
	q := builder.Query{Account: account, Region: region}
	for {
		page, err := m.builders.Describe(ctx, q)
		if err != nil {
			return err
		}
		for _, b := range page.Builders {
			do(b)
		}
		if page.NextToken == "" {
			return nil
		}
		q.NextToken = &page.NextToken
	}
}

// directoriesAtRest is what directory configurations have sealed: the passwords of
// their service accounts.
func directoriesAtRest() keyring.Rest {
	at := directory.SealedAtRest()
	return keyring.Rest{
		Name: at.Purpose, Kind: at.Kind, Index: at.Index,
		Sealed: func(d store.Document) (*keyring.Sealed, error) {
			text, bound, err := at.Text(d)
			if err != nil || text == nil {
				return nil, err
			}
			return &keyring.Sealed{
				Purpose: at.Purpose, Text: text, Bound: bound,
				With: func(text []byte) (store.Document, error) { return at.With(d, text) },
			}, nil
		},
	}
}
