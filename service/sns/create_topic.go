package sns

import (
	"context"

	"souk/access/iam"
	"souk/gateway"
	"souk/gateway/apierror"
)

// CreateTopicInput says which topic is to be made.
type CreateTopicInput struct {
	Name                 string `required:""`
	Attributes           map[string]string
	Tags                 []Tag
	DataProtectionPolicy *string
}

// Tag is a tag of a topic, which are not offered.
type Tag struct {
	Key   string `required:""`
	Value string
}

// TopicArnOutput names a topic.
type TopicArnOutput struct{ TopicArn string }

// createTopic makes a topic: "This action is idempotent, so if the requester
// already owns a topic with the specified name, that topic's ARN is returned".
//
// Amazon SNS API Reference, "CreateTopic".
func (s *service) createTopic() gateway.Operation {
	return gateway.Op(gateway.Def[CreateTopicInput, *TopicArnOutput]{
		Name: "CreateTopic",
		Authorize: func(_ context.Context, c *gateway.Caller, in *CreateTopicInput) ([]iam.Question, error) {
			return []iam.Question{{Action: "sns:CreateTopic", Resource: "arn:aws:sns:" + c.Region + ":" + c.Principal.Account + ":" + in.Name}}, nil
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *CreateTopicInput) (*TopicArnOutput, error) {
			if len(in.Tags) > 0 {
				return nil, apierror.New("InvalidParameter", "Invalid parameter: Tags Reason: tags of topics are not offered")
			}
			if in.DataProtectionPolicy != nil && *in.DataProtectionPolicy != "" {
				return nil, apierror.New("InvalidParameter", "Invalid parameter: DataProtectionPolicy Reason: it is not offered")
			}
			arn, err := s.topics.CreateTopic(ctx, c.Principal.Account, c.Region, in.Name, in.Attributes)
			if err != nil {
				return nil, err
			}
			return &TopicArnOutput{arn}, nil
		},
	})
}
