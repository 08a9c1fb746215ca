package appstream

import (
	"context"

	"souk/artifact/appstream/image"
	"souk/gateway"
)

// ListExportImageTasksRequest says which export tasks are meant.
type ListExportImageTasksRequest struct {
	Filters    []TaskFilter
	MaxResults *int    `range:"0,500"`
	NextToken  *string `len:"1,"`
}

// TaskFilter is met by tasks that have any of the values.
type TaskFilter struct {
	Name   string   `required:"" pattern:"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$"`
	Values []string `required:"" memberpattern:"^[a-zA-Z0-9][a-zA-Z0-9_:/.-]{0,200}$"`
}

// ListExportImageTasksResult is a page of export tasks.
type ListExportImageTasksResult struct {
	ExportImageTasks []*ExportImageTask
	NextToken        string `json:",omitzero"`
}

// listExportImageTasks "lists export image tasks, with optional filtering and
// pagination".
//
// AppStream API Reference, "ListExportImageTasks".
func (s *service) listExportImageTasks() action {
	return act(gateway.Def[ListExportImageTasksRequest, *ListExportImageTasksResult]{
		Name:     "ListExportImageTasks",
		ReadOnly: true,
		Authorize: func(context.Context, *gateway.Caller, *ListExportImageTasksRequest) ([]question, error) {
			return onAll("ListExportImageTasks"), nil
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *ListExportImageTasksRequest) (*ListExportImageTasksResult, error) {
			q := image.TaskQuery{Account: c.Principal.Account, Region: c.Region, MaxResults: in.MaxResults, NextToken: in.NextToken}
			for _, f := range in.Filters {
				q.Filters = append(q.Filters, image.Filter{Name: f.Name, Values: f.Values})
			}
			tasks, next, err := s.Images.Tasks(ctx, q)
			if err != nil {
				return nil, err
			}
			out := &ListExportImageTasksResult{ExportImageTasks: []*ExportImageTask{}, NextToken: next}
			for _, t := range tasks {
				out.ExportImageTasks = append(out.ExportImageTasks, shownTask(t))
			}
			return out, nil
		},
	})
}
