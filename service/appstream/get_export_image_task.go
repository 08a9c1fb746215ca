package appstream

import (
	"context"

	"souk/gateway"
)

// GetExportImageTaskRequest names an export task.
type GetExportImageTaskRequest struct {
	TaskId string `pattern:"[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"`
}

// GetExportImageTaskResult is the task.
type GetExportImageTaskResult struct{ ExportImageTask *ExportImageTask }

// getExportImageTask "retrieves information about an export image task, including
// its current state, progress, and any error details".
//
// AppStream API Reference, "GetExportImageTask".
func (s *service) getExportImageTask() action {
	return act(gateway.Def[GetExportImageTaskRequest, *GetExportImageTaskResult]{
		Name:     "GetExportImageTask",
		ReadOnly: true,
		Authorize: func(context.Context, *gateway.Caller, *GetExportImageTaskRequest) ([]question, error) {
			return onAll("GetExportImageTask"), nil
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *GetExportImageTaskRequest) (*GetExportImageTaskResult, error) {
			t, err := s.Images.Task(ctx, c.Principal.Account, c.Region, in.TaskId)
			if err != nil {
				return nil, err
			}
			return &GetExportImageTaskResult{shownTask(t)}, nil
		},
	})
}
