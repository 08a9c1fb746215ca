package sns

import (
	"context"

	"souk/access/iam"
	"souk/egress/notify"
	"souk/gateway"
)

// SubscribeInput is an endpoint that is to get the messages of a topic.
type SubscribeInput struct {
	TopicArn              string `required:""`
	Protocol              string `required:""` // http or https
	Endpoint              string
	Attributes            map[string]string
	ReturnSubscriptionArn bool
}

// SubscriptionArnOutput names a subscription.
type SubscriptionArnOutput struct{ SubscriptionArn string }

// subscribe subscribes an endpoint, which is sent a message and must confirm it.
//
// Amazon SNS API Reference, "Subscribe".
func (s *service) subscribe() gateway.Operation {
	ask := onTopic("Subscribe", func(in *SubscribeInput) string { return in.TopicArn })
	return gateway.Op(gateway.Def[SubscribeInput, *SubscriptionArnOutput]{
		Name: "Subscribe",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *SubscribeInput) ([]iam.Question, error) {
			questions, err := ask(ctx, c, in)
			for i := range questions {
				questions[i].Context = iam.Context{"sns:protocol": {in.Protocol}, "sns:endpoint": {in.Endpoint}}
			}
			return questions, err
		},
		Call: func(ctx context.Context, _ *gateway.Caller, in *SubscribeInput) (*SubscriptionArnOutput, error) {
			made, err := s.topics.Subscribe(ctx, in.TopicArn, in.Protocol, in.Endpoint, in.Attributes)
			if err != nil {
				return nil, err
			}
			if made.State != notify.Confirmed && !in.ReturnSubscriptionArn {
				return &SubscriptionArnOutput{"pending confirmation"}, nil
			}
			return &SubscriptionArnOutput{made.ARN}, nil
		},
	})
}
