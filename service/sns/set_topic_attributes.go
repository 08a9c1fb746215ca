package sns

import (
	"context"

	"souk/gateway"
)

// SetTopicAttributesInput is one attribute of a topic.
type SetTopicAttributesInput struct {
	TopicArn       string `required:""`
	AttributeName  string `required:""`
	AttributeValue string
}

// setTopicAttributes sets an attribute of a topic. ChangeSetEvents is Souk's
// own: the ends of the account's change sets are published to this topic.
//
// Amazon SNS API Reference, "SetTopicAttributes".
func (s *service) setTopicAttributes() gateway.Operation {
	return gateway.Op(gateway.Def[SetTopicAttributesInput, *nothing]{
		Name:      "SetTopicAttributes",
		Authorize: onTopic("SetTopicAttributes", func(in *SetTopicAttributesInput) string { return in.TopicArn }),
		Call: func(ctx context.Context, _ *gateway.Caller, in *SetTopicAttributesInput) (*nothing, error) {
			return &nothing{}, s.topics.SetTopicAttribute(ctx, in.TopicArn, in.AttributeName, in.AttributeValue)
		},
	})
}
