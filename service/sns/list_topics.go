package sns

import (
	"context"

	"souk/gateway"
)

// PageInput asks for a page of a list.
type PageInput struct {
	NextToken string
}

// ListTopicsOutput is a page of topics.
type ListTopicsOutput struct {
	Topics    Topics
	NextToken string `xml:",omitempty"`
}

// Topics is a list on the wire, which is there also when it is empty.
type Topics struct {
	Member []TopicArnOutput `xml:"member"`
}

// listTopics lists the account's topics in the region of the request, 100 at a time.
//
// Amazon SNS API Reference, "ListTopics".
func (s *service) listTopics() gateway.Operation {
	return gateway.Op(gateway.Def[PageInput, *ListTopicsOutput]{
		Name: "ListTopics", ReadOnly: true,
		Authorize: onAll[PageInput]("ListTopics"),
		Call: func(ctx context.Context, c *gateway.Caller, in *PageInput) (*ListTopicsOutput, error) {
			arns, next, err := s.topics.Topics(ctx, c.Principal.Account, c.Region, in.NextToken)
			if err != nil {
				return nil, err
			}
			out := &ListTopicsOutput{NextToken: next}
			for _, arn := range arns {
				out.Topics.Member = append(out.Topics.Member, TopicArnOutput{arn})
			}
			return out, nil
		},
	})
}
