package appstream

import (
	"context"

	"souk/access/trail"
	"souk/gateway"
)

// DeleteDirectoryConfigRequest names a configuration.
type DeleteDirectoryConfigRequest struct {
	DirectoryName string `required:""`
}

// DeleteDirectoryConfigResult is empty.
type DeleteDirectoryConfigResult struct{}

// deleteDirectoryConfig "deletes the specified Directory Config object from
// AppStream 2.0".
//
// AppStream API Reference, "DeleteDirectoryConfig".
func (s *service) deleteDirectoryConfig() action {
	return act(gateway.Def[DeleteDirectoryConfigRequest, *DeleteDirectoryConfigResult]{
		Name: "DeleteDirectoryConfig",
		Authorize: func(context.Context, *gateway.Caller, *DeleteDirectoryConfigRequest) ([]question, error) {
			return onAll("DeleteDirectoryConfig"), nil
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *DeleteDirectoryConfigRequest) (*DeleteDirectoryConfigResult, error) {
			out := &DeleteDirectoryConfigResult{}
			trail.Answer(ctx, out)
			return out, s.Directories.Delete(ctx, c.Principal.Account, c.Region, in.DirectoryName)
		},
	})
}
