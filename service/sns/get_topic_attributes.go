package sns

import (
	"context"

	"souk/gateway"
)

// getTopicAttributes shows a topic.
//
// Amazon SNS API Reference, "GetTopicAttributes".
func (s *service) getTopicAttributes() gateway.Operation {
	return gateway.Op(gateway.Def[TopicInput, *AttributesOutput]{
		Name: "GetTopicAttributes", ReadOnly: true,
		Authorize: onTopic("GetTopicAttributes", (*TopicInput).topic),
		Call: func(ctx context.Context, _ *gateway.Caller, in *TopicInput) (*AttributesOutput, error) {
			all, err := s.topics.TopicAttributes(ctx, in.TopicArn)
			if err != nil {
				return nil, err
			}
			return shownAttributes(all), nil
		},
	})
}
