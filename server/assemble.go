package server

import (
	"fmt"
	"strings"

	"souk/access/quota"
	"souk/gateway"
	"souk/service/cloudtrail"
	"souk/service/ec2"
	"souk/service/ecr"
	"souk/service/marketplacecatalog"
	"souk/service/organizations"
	"souk/service/sts"
)

// assemble makes what answers on the public port.
func (s *Server) assemble() (*front, error) {
	limits, err := quota.New(quota.Config{Off: s.config.Quota == "off"})
	if err != nil {
		return nil, fmt.Errorf("setting request rates: %w", err)
	}
	login, err := ecr.Service(ecr.Config{Token: s.market.registry.Token, ProxyEndpoint: s.url})
	if err != nil {
		return nil, err
	}
	_, host, _ := strings.Cut(s.url, "://")
	machines, err := ec2.Service(ec2.Config{
		Endpoint: host, Images: s.market.images, Repository: s.market.imageRepository, Locate: s.market.locateImage,
	})
	if err != nil {
		return nil, err
	}
	services := []*gateway.Service{
		marketplacecatalog.Service(s.market.engine, s.market.assessments),
		sts.Service(sts.Config{Organization: s.market.organization}),
		organizations.Service(s.market.organization),
		login,
		machines,
		cloudtrail.Service(s.market.trail),
	}
	for _, service := range services {
		for i := range service.Operations {
			s.market.scenarios.Know(service.Operations[i].Name)
		}
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
	return &front{
		gateway:  apis,
		registry: s.market.registry.Handler(),
		blobs:    s.market.blobs.Handler(),
		ready:    s.ready,
		rules:    s.market.scenarios.On,
		url:      s.url,
	}, nil
}
