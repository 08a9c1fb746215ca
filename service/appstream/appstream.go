// Package appstream is Amazon AppStream (WorkSpaces Applications) as far as it
// makes images: image builders, images and what they are shared and exported
// with, directory configurations, and tags. One file for each action. Fleets,
// stacks, users, applications and app blocks are not offered, and refused by
// name.
//
// The things themselves are kept in the rooms of artifact/appstream; here is
// how they are spoken of. Requests come in two protocols, JSON 1.1 and
// rpc-v2-cbor, to the same operations.
package appstream

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"

	"souk/gateway"
	"souk/gateway/awsjson"
	"souk/gateway/rpcv2cbor"
)

// Config has the rooms that do the work. The operations of a room that is nil
// are not offered.
type Config struct {
	Images      Images
	Builders    Builders
	Directories Directories
	Tags        Tags // policies with aws:ResourceTag look at them too
	Sessions    Sessions
}

type service struct{ Config }

// shapeName is what both protocols call the service by.
const shapeName = "PhotonAdminProxyService"

// Service returns the service for the gateway.
//
// AppStream API Reference, version 2016-12-01.
func Service(c Config) (*gateway.Service, error) {
	s := &service{c}
	actions := s.actions()
	if len(actions) == 0 {
		return nil, errors.New("service appstream: none of its rooms is given")
	}
	g := &gateway.Service{
		Name:         "appstream",
		SigningNames: []string{"appstream"},
		Protocol:     awsjson.Protocol{Version: "1.1"},
		TargetPrefix: shapeName,
		RPC:          rpcv2cbor.Protocol{Namespace: "com.amazonaws.appstream"},
		RPCName:      shapeName,
		APIVersion:   "2016-12-01",
		EventSource:  "appstream.amazonaws.com",
		Errors:       statuses(),
		Validation:   "ValidationException",
		Denied:       "AccessDeniedException",
		Throttled:    "ThrottlingException",
		Instead:      map[string]string{"CreateImageBuilderStreamingURL": "The command souk connect NAME gives a terminal in an image builder."},
	}
	refused := maps.Clone(bound)
	for _, a := range actions {
		g.Operations = append(g.Operations, a.operation)
		delete(refused, a.operation.Name)
	}
	g.NotOffered = slices.Sorted(maps.Keys(refused))
	return g, nil
}

// actions are the operations whose rooms are there.
func (s *service) actions() []action {
	var all []action
	for _, room := range []struct {
		joined  bool
		actions []action
	}{
		{s.Images != nil, []action{ // one line for each
			s.copyImage(),
			s.createExportImageTask(),
			s.createImportedImage(),
			s.deleteImage(),
			s.deleteImagePermissions(),
			s.describeImagePermissions(),
			s.describeImages(),
			s.getExportImageTask(),
			s.listExportImageTasks(),
			s.updateImagePermissions(),
		}},
		{s.Builders != nil, []action{ // one line for each
			s.createImageBuilder(),
			s.deleteImageBuilder(),
			s.describeImageBuilders(),
			s.startImageBuilder(),
			s.stopImageBuilder(),
		}},
		{s.Directories != nil, []action{ // one line for each
			s.createDirectoryConfig(),
			s.deleteDirectoryConfig(),
			s.describeDirectoryConfigs(),
			s.updateDirectoryConfig(),
		}},
		{s.Tags != nil, []action{ // one line for each
			s.listTagsForResource(),
			s.tagResource(),
			s.untagResource(),
		}},
		{s.Sessions != nil, []action{ // one line for each
			s.openImageBuilderSession(),
		}},
	} {
		if room.joined {
			all = append(all, room.actions...)
		}
	}
	return all
}

// action is an operation with the type of its answer.
type action struct {
	operation gateway.Operation
	output    reflect.Type
}

// act makes an action. Whatever its Authorize and Call fail with goes through
// answerable.
func act[In, Out any](d gateway.Def[In, *Out]) action {
	authorize, call := d.Authorize, d.Call
	d.Authorize = func(ctx context.Context, c *gateway.Caller, in *In) ([]question, error) {
		asked, err := authorize(ctx, c, in)
		return asked, answerable(d.Name, err)
	}
	d.Call = func(ctx context.Context, c *gateway.Caller, in *In) (*Out, error) {
		out, err := call(ctx, c, in)
		return out, answerable(d.Name, err)
	}
	return action{gateway.Op(d), reflect.TypeFor[Out]()}
}
