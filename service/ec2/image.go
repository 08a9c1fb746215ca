package ec2

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"souk/access/iam"
	"souk/artifact/images"
	"souk/gateway"
	"souk/gateway/apierror"
)

// This file has what the actions on one AMI share: its id, its ARN, and the
// errors of package images in EC2's words.

// idPattern is the form of an AMI's id: EC2 has had ids of 8 digits, too.
var idPattern = regexp.MustCompile(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)

// checkID refuses what is no id of an AMI.
func checkID(id string) error {
	if id == "" {
		return required("ImageId", false)
	}
	if !idPattern.MatchString(id) {
		return apierror.New("InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", shortened(id))
	}
	return nil
}

// onImage asks for an action on the AMI that an input names. "The ARN of an AMI
// has no account": arn:aws:ec2:REGION::image/ID.
//
// Service Authorization Reference, "Resource types defined by Amazon EC2".
func onImage[In any](name string, id func(*In) string) func(context.Context, *gateway.Caller, *In) ([]iam.Question, error) {
	return func(_ context.Context, c *gateway.Caller, in *In) ([]iam.Question, error) {
		if err := checkID(id(in)); err != nil {
			return nil, err
		}
		return []iam.Question{{Action: "ec2:" + name, Resource: "arn:aws:ec2:" + c.Region + "::image/" + id(in)}}, nil
	}
}

// failure puts an error of package images into EC2's words; what it does not
// know is ours.
//
// Amazon EC2 Developer Guide, "Error codes for the Amazon EC2 API".
func failure(err error) error {
	var missing *images.NotFound
	var invalid *images.Invalid
	switch {
	case errors.As(err, &missing):
		return apierror.New("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", shortened(missing.ID))
	case errors.As(err, &invalid):
		if invalid.Field == "NextToken" {
			return apierror.New("InvalidNextToken", "The token is not one of this list")
		}
		return wrong("Value (%s) for parameter %s is invalid. %s", shortened(invalid.Value), invalid.Field, sentence(invalid.Reason))
	case errors.Is(err, images.ErrDenied): // "You are not authorized to use the requested service. Ensure that you have subscribed [...]"
		return apierror.New("OptInRequired", "%s", sentence(err.Error()))
	case errors.Is(err, images.ErrNameTaken):
		return apierror.New("InvalidAMIName.Duplicate", "%s", sentence(err.Error()))
	case errors.Is(err, images.ErrNotOwner):
		return apierror.New("AuthFailure", "Not authorized for image: %s", sentence(err.Error()))
	case errors.Is(err, images.ErrInUse):
		return apierror.New("OperationNotPermitted", "%s", sentence(err.Error()))
	case errors.Is(err, images.ErrUnavailable):
		return apierror.New("InvalidAMIID.Unavailable", "%s", sentence(err.Error()))
	case errors.Is(err, images.ErrTooManyPending):
		return apierror.New("ResourceLimitExceeded", "%s", sentence(err.Error()))
	case errors.Is(err, images.ErrNoImage):
		return apierror.New("InvalidManifest", "%s", sentence(err.Error()))
	case errors.Is(err, images.ErrBadImage):
		return apierror.New("InvalidManifest", "%s", sentence(err.Error()))
	}
	return err
}

// sentence begins a text with a capital, if it does not begin with an AMI's id,
// and ends it with a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	if strings.HasPrefix(text, "ami-") {
		return text + "."
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// shortened is a text of the client in a message.
func shortened(s string) string {
	const most = 128
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}
