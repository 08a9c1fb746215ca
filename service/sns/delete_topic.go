package sns

import (
	"context"

	"souk/gateway"
)

// TopicInput names a topic.
type TopicInput struct {
	TopicArn string `required:""`
}

func (in *TopicInput) topic() string { return in.TopicArn }

// deleteTopic deletes a topic and all its subscriptions: "This action is
// idempotent, so deleting a topic that does not exist does not result in an error."
//
// Amazon SNS API Reference, "DeleteTopic".
func (s *service) deleteTopic() gateway.Operation {
	return gateway.Op(gateway.Def[TopicInput, *nothing]{
		Name:      "DeleteTopic",
		Authorize: onTopic("DeleteTopic", (*TopicInput).topic),
		Call: func(ctx context.Context, _ *gateway.Caller, in *TopicInput) (*nothing, error) {
			return &nothing{}, s.topics.DeleteTopic(ctx, in.TopicArn)
		},
	})
}
