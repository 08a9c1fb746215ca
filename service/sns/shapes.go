package sns

import (
	"maps"
	"slices"

	"souk/egress/notify"
)

// Attributes is a map of attributes on the wire.
type Attributes struct {
	Entry []Entry `xml:"entry"`
}

// Entry is an attribute.
type Entry struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

// AttributesOutput has the attributes of a topic or subscription.
type AttributesOutput struct{ Attributes Attributes }

func shownAttributes(all map[string]string) *AttributesOutput {
	out := &AttributesOutput{}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		out.Attributes.Entry = append(out.Attributes.Entry, Entry{key, all[key]})
	}
	return out
}

// Subscription is a subscription as lists show it.
type Subscription struct {
	SubscriptionArn string // PendingConfirmation, until its endpoint has confirmed it
	Owner           string
	Protocol        string
	Endpoint        string
	TopicArn        string
}

// Subscriptions is a list on the wire, which is there also when it is empty.
type Subscriptions struct {
	Member []Subscription `xml:"member"`
}

// ListSubscriptionsOutput is a page of subscriptions.
type ListSubscriptionsOutput struct {
	Subscriptions Subscriptions
	NextToken     string `xml:",omitempty"`
}

func shownSubscriptions(all []*notify.Subscription, next string) *ListSubscriptionsOutput {
	out := &ListSubscriptionsOutput{NextToken: next}
	for _, s := range all {
		arn := s.ARN
		if s.State == notify.Pending {
			arn = "PendingConfirmation"
		}
		out.Subscriptions.Member = append(out.Subscriptions.Member, Subscription{arn, s.Account, s.Protocol, s.Endpoint, s.Topic})
	}
	return out
}
