package server

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"souk/catalog/changeset"
	"souk/egress/fetch"
	"souk/egress/notify"
	"souk/server/control"
	"souk/storage/store"
)

// newTopics makes what keeps topics and delivers their messages.
func (m *market) newTopics(ctx context.Context, config Config, public *url.URL, node string, fetcher *fetch.Fetcher) error {
	var err error
	m.topics, err = notify.New(notify.Config{
		Store: m.store, Keys: m.ring, Guard: m.organization.Guard, Poster: fetcher, URL: strings.TrimSuffix(public.String(), "/"), Owner: node, Log: config.Log,
	})
	if err != nil {
		return err
	}
	return m.topics.LoadChoices(ctx)
}

// changeSetEvent is the event of AWS Marketplace that tells the end of a change set.
//
// AWS Marketplace Seller Guide, "AWS Marketplace Catalog API Amazon EventBridge
// events", "Events for change sets".
type changeSetEvent struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     changeSetDetail `json:"detail"`
}

type changeSetDetail struct {
	RequestID     string `json:"requestId"`
	Catalog       string
	ChangeSetID   string `json:"ChangeSetId"`
	ChangeSetName string
	StartTime     string
	EndTime       string
	FailureCode   string `json:",omitzero"`
}

// announce publishes the end of a change set to the topic that its account
// chose, if it did.
func (m *market) announce(e changeset.Ending) ([]store.Write, error) {
	topic := m.topics.ChangeSetTopic(e.Account)
	if topic == "" {
		return nil, nil
	}
	const stamp = "2006-01-02T15:04:05Z"
	kind := map[changeset.Status]string{
		changeset.Succeeded: "Change Set Succeeded", changeset.Failed: "Change Set Failed", changeset.Cancelled: "Change Set Cancelled",
	}[e.Status]
	name := "end of change set " + e.ID
	end := e.End.UTC().Format(stamp)
	text, err := json.Marshal(changeSetEvent{
		Version: "0", ID: notify.NameID(name + ", event"), DetailType: kind, Source: "aws.marketplacecatalog", Account: e.Account, Time: end, Region: "us-east-1",
		Resources: []string{"arn:aws:aws-marketplace:us-east-1:" + e.Account + ":AWSMarketplace/ChangeSet/" + e.ID},
		Detail: changeSetDetail{
			RequestID: notify.NameID(name), Catalog: "AWSMarketplace", ChangeSetID: e.ID, ChangeSetName: e.Name,
			StartTime: e.Start.UTC().Format(stamp), EndTime: end, FailureCode: e.FailureCode,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the event: %w", err)
	}
	w, err := m.topics.Outgoing(topic, kind, string(text), name, e.End)
	return []store.Write{w}, err
}

// offerTopics offers what souk topic asks for.
func (m *market) offerTopics(d *control.Door) {
	control.Offer(d, "topic/dead-letters", m.topics.DeadLetters)
	control.Offer(d, "topic/redrive", m.topics.Redrive)
}
