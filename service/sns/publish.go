package sns

import (
	"context"

	"souk/access/iam"
	"souk/access/trail"
	"souk/egress/notify"
	"souk/gateway"
	"souk/gateway/apierror"
)

// PublishInput is a message.
type PublishInput struct {
	TopicArn          string
	TargetArn         string // a topic's ARN is taken, too
	PhoneNumber       string `sensitive:""`
	Message           string `sensitive:""` // 262,144 bytes with its attributes
	Subject           string `sensitive:""` // up to 100 characters
	MessageStructure  string // json, or nothing
	MessageAttributes MessageAttributes

	// Of FIFO topics, which are not offered.
	MessageDeduplicationId string
	MessageGroupId         string
}

// MessageAttributes are the attributes of a message on the wire.
type MessageAttributes struct {
	Entry []MessageAttribute `query:"entry"`
}

// MessageAttribute is one attribute of a message.
type MessageAttribute struct {
	Name  string                `required:""`
	Value MessageAttributeValue `sensitive:""`
}

// MessageAttributeValue is its value.
type MessageAttributeValue struct {
	DataType    string `required:""`
	StringValue string
	BinaryValue string // base64
}

// PublishOutput is the id of a message that is not lost any more.
type PublishOutput struct{ MessageId string }

// publish sends a message to all confirmed subscriptions of a topic: "When a
// messageId is returned, the message is saved".
//
// Amazon SNS API Reference, "Publish".
func (s *service) publish() gateway.Operation {
	return gateway.Op(gateway.Def[PublishInput, *PublishOutput]{
		Name: "Publish",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *PublishInput) ([]iam.Question, error) {
			if in.PhoneNumber != "" {
				return nil, apierror.New("InvalidParameter", "Invalid parameter: PhoneNumber Reason: SMS is not offered")
			}
			if in.TopicArn == "" && in.TargetArn == "" {
				return nil, apierror.New("InvalidParameter", "Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter")
			}
			if in.TopicArn != "" && in.TargetArn != "" {
				return nil, apierror.New("InvalidParameter", "Invalid parameter: TopicArn Reason: Both TopicArn and TargetArn specified")
			}
			if in.TopicArn == "" {
				return question(c, "Publish", in.TargetArn, "TargetArn")
			}
			return question(c, "Publish", in.TopicArn, "TopicArn")
		},
		Call: func(ctx context.Context, _ *gateway.Caller, in *PublishInput) (*PublishOutput, error) {
			if in.MessageDeduplicationId != "" {
				return nil, apierror.New("InvalidParameter", "Invalid parameter: MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type")
			}
			attributes, err := in.attributes()
			if err != nil {
				return nil, err
			}
			out := &PublishOutput{notify.NewID()}
			trail.Answer(ctx, out)
			_, err = s.topics.Publish(ctx, notify.Publication{
				ID: out.MessageId, Topic: in.TopicArn + in.TargetArn, Message: in.Message, Subject: in.Subject, Structure: in.MessageStructure, Attributes: attributes,
			})
			if err != nil {
				return nil, err
			}
			return out, nil
		},
	})
}

func (in *PublishInput) attributes() (map[string]notify.Attribute, error) {
	all := map[string]notify.Attribute{}
	for _, a := range in.MessageAttributes.Entry {
		if _, twice := all[a.Name]; twice {
			return nil, apierror.New("ParameterValueInvalid", "A message attribute is given more than once.")
		}
		if a.Value.StringValue != "" && a.Value.BinaryValue != "" {
			return nil, apierror.New("ParameterValueInvalid", "A message attribute has a StringValue and a BinaryValue.")
		}
		all[a.Name] = notify.Attribute{Type: a.Value.DataType, Value: a.Value.StringValue + a.Value.BinaryValue}
	}
	return all, nil
}
