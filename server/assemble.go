package server

import (
	"fmt"
	"strings"

	"souk/access/quota"
	"souk/artifact/appstream/resource"
	"souk/gateway"
	"souk/service/appstream"
	"souk/service/cloudtrail"
	"souk/service/ec2"
	"souk/service/ecr"
	"souk/service/iam"
	"souk/service/imagebuilder"
	"souk/service/marketplacecatalog"
	"souk/service/marketplaceimagebuild"
	"souk/service/organizations"
	"souk/service/sns"
	"souk/service/sts"
)

// assemble makes what answers on the public port.
func (s *Server) assemble() (*front, error) {
	limits, err := quota.New(quota.Config{
		Off: s.config.Quota == "off", Settings: s.market.quotas, Shared: s.market.sharedBuckets(), Log: s.log,
	})
	if err != nil {
		return nil, fmt.Errorf("setting request rates: %w", err)
	}
	services, err := s.market.services(s.url)
	if err != nil {
		return nil, err
	}
	apis, err := gateway.New(gateway.Config{
		Services:    services,
		Credentials: s.market.organization,
		Limiter:     limits,
		Log:         s.log,
		Trail:       s.market.trail,
		Disturb:     s.market.disturb,
		Observe:     observeRequests(s.metrics),
	})
	if err != nil {
		return nil, err
	}
	links, err := sns.NewLinks(s.market.topics, s.market.trail, s.log)
	if err != nil {
		return nil, err
	}
	return &front{
		links:    links,
		gateway:  apis,
		registry: s.market.registry.Handler(),
		blobs:    s.market.blobs.Handler(),
		sessions: s.market.sessions,
		ready:    s.ready,
		rules:    s.market.scenarios.On,
		url:      s.url,
	}, nil
}

// services are what a market offers to the clients of AWS. url is its own.
func (m *market) services(url string) ([]*gateway.Service, error) {
	login, err := ecr.Service(ecr.Config{Token: m.registry.Token, ProxyEndpoint: url})
	if err != nil {
		return nil, err
	}
	_, host, _ := strings.Cut(url, "://")
	machines, err := ec2.Service(ec2.Config{
		Endpoint: host, Images: m.images, Repository: m.imageRepository, Locate: m.locateImage,
	})
	if err != nil {
		return nil, err
	}
	identities, err := iam.Service(iam.Config{Organization: m.organization, Keyring: m.ring})
	if err != nil {
		return nil, err
	}
	topics, err := sns.Service(m.topics)
	if err != nil {
		return nil, err
	}
	discovery, err := m.discovery()
	if err != nil {
		return nil, err
	}
	builds, err := marketplaceimagebuild.Service(m.builds)
	if err != nil {
		return nil, err
	}
	builder, err := imagebuilder.Service(m.components)
	if err != nil {
		return nil, err
	}
	tagged := appstream.Tagged{resource.TypeImage: m.appImages, resource.TypeImageBuilder: m.builders}
	streams, err := appstream.Service(appstream.Config{
		Images: m.appImages, Builders: m.builders, Directories: m.directories, Sessions: m.sessions, Tags: tagged,
	})
	if err != nil {
		return nil, err
	}
	services := []*gateway.Service{
		marketplacecatalog.Service(m.engine, m.assessments),
		discovery,
		sts.Service(sts.Config{Organization: m.organization}),
		organizations.Service(m.organization),
		identities,
		login,
		machines,
		builder,
		cloudtrail.Service(m.trail, m.organization.Overseen),
		topics,
		builds,
		streams,
	}
	for _, service := range services {
		for i := range service.Operations {
			m.scenarios.Know(service.Operations[i].Name)
			m.operations[service.Name+"."+service.Operations[i].Name] = true
		}
	}
	return services, nil
}
