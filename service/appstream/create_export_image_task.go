package appstream

import (
	"context"

	"souk/access/trail"
	"souk/artifact/appstream/image"
	"souk/gateway"
	"souk/gateway/awsjson"
)

// CreateExportImageTaskRequest asks for a machine image of an image.
type CreateExportImageTaskRequest struct {
	ImageName         string            `required:"" pattern:"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$"`
	AmiName           string            `required:"" pattern:"^[a-zA-Z0-9().\\-/_]{3,128}$"`
	IamRoleArn        string            `required:"" pattern:"^arn:aws(?:\\-cn|\\-iso\\-b|\\-iso|\\-us\\-gov)?:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.\\\\-]{0,1023}$"`
	TagSpecifications map[string]string `size:"1,50" keylen:"1,128" keypattern:"^(^(?!aws:).[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$" memberlen:"0,256" memberpattern:"^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$"`
	AmiDescription    string            `len:"0,256"`
}

// CreateExportImageTaskResult is the task, which is EXPORTING.
type CreateExportImageTaskResult struct{ ExportImageTask *ExportImageTask }

// ExportImageTask is an export task.
//
// AppStream API Reference, "ExportImageTask".
type ExportImageTask struct {
	TaskId            string
	ImageArn          string
	AmiName           string
	CreatedDate       awsjson.Time
	AmiDescription    string `json:",omitzero"`
	State             string
	AmiId             string            `json:",omitzero"` // of a task that is COMPLETED
	TagSpecifications map[string]string `json:",omitzero"`
	ErrorDetails      []ErrorDetails    `json:",omitzero"`
}

// ErrorDetails says why an export made nothing.
type ErrorDetails struct{ ErrorCode, ErrorMessage string }

// shownTask is an export task as callers see it.
func shownTask(t *image.Task) *ExportImageTask {
	out := &ExportImageTask{
		TaskId: t.ID, ImageArn: t.ImageARN, AmiName: t.AMIName, CreatedDate: awsjson.Time{Time: t.Created}, AmiDescription: t.Description,
		State: string(t.State), TagSpecifications: t.Tags,
	}
	if t.State == image.Completed {
		out.AmiId = t.AMI
	}
	for _, e := range t.Errors {
		out.ErrorDetails = append(out.ErrorDetails, ErrorDetails{e.Code, e.Message})
	}
	return out
}

// createExportImageTask "creates a task to export a WorkSpaces Applications image to
// an EC2 AMI".
//
// AppStream API Reference, "CreateExportImageTask".
func (s *service) createExportImageTask() action {
	return act(gateway.Def[CreateExportImageTaskRequest, *CreateExportImageTaskResult]{
		Name: "CreateExportImageTask",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *CreateExportImageTaskRequest) ([]question, error) {
			return s.onImage(ctx, c, "CreateExportImageTask", in.ImageName, passing(in.IamRoleArn))
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *CreateExportImageTaskRequest) (*CreateExportImageTaskResult, error) {
			answer := func(t *image.Task) *CreateExportImageTaskResult { return &CreateExportImageTaskResult{shownTask(t)} }
			t, err := s.Images.Export(ctx, image.ExportRequest{
				Account: c.Principal.Account, Region: c.Region, Image: in.ImageName, Name: in.AmiName, Role: in.IamRoleArn,
				Description: in.AmiDescription, Tags: in.TagSpecifications,
				Begins: func(t *image.Task) { trail.Answer(ctx, answer(t)) },
			})
			if err != nil {
				return nil, err
			}
			return answer(t), nil
		},
	})
}
