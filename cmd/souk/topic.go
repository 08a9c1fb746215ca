package main

import (
	"fmt"
	"strconv"
	"time"

	"souk/egress/notify"
)

// TopicCommand shows the messages of topics that could not be delivered, and
// sends them again: docs/operating.md, "Topics".
type TopicCommand struct {
	Place PlaceFlags `embed:""`

	DeadLetters TopicDeadLettersCommand `cmd:"" help:"List messages that could not be delivered."`
	Redrive     TopicRedriveCommand     `cmd:"" help:"Send messages that could not be delivered once more."`
}

// deadSelection says which dead letters are meant.
type deadSelection struct {
	Account      string `required:"" placeholder:"ID" env:"-" help:"The account whose topics are meant."`
	Topic        string `placeholder:"ARN" env:"-" help:"Only those of a topic."`
	Subscription string `placeholder:"ARN" env:"-" help:"Only those of a subscription."`
	ID           string `name:"id" placeholder:"ID" env:"-" help:"Only this one."`
}

func (s deadSelection) selection() notify.Selection {
	return notify.Selection{Account: s.Account, Topic: s.Topic, Subscription: s.Subscription, ID: s.ID}
}

// TopicDeadLettersCommand lists dead letters.
type TopicDeadLettersCommand struct {
	deadSelection `embed:""`
}

// Run prints a line for each.
func (c *TopicDeadLettersCommand) Run(app *App, parent *TopicCommand) error {
	var letters []notify.DeadLetter
	if err := parent.call(app, "topic/dead-letters", c.selection(), &letters); err != nil {
		return err
	}
	if len(letters) == 0 {
		_, err := fmt.Fprintln(app.Out, "no dead letters")
		return err
	}
	rows := make([][]string, len(letters))
	for i, l := range letters {
		rows[i] = []string{l.ID, l.Died.Format(time.RFC3339), l.Subscription, l.Endpoint, strconv.Itoa(l.Tries), l.Reason}
	}
	return app.table([]string{"ID", "DIED", "SUBSCRIPTION", "ENDPOINT", "TRIES", "REASON"}, rows)
}

// TopicRedriveCommand sends dead letters again.
type TopicRedriveCommand struct {
	deadSelection `embed:""`
}

// Run says how many are sent.
func (c *TopicRedriveCommand) Run(app *App, parent *TopicCommand) error {
	var sent int
	if err := parent.call(app, "topic/redrive", c.selection(), &sent); err != nil {
		return err
	}
	_, err := fmt.Fprintf(app.Out, "%d messages are sent once more\n", sent)
	return err
}

func (c *TopicCommand) call(app *App, name string, in, out any) error {
	caller, done, err := reach(app, &c.Place)
	if err != nil {
		return err
	}
	return done(caller.Call(app.Ctx, name, in, out))
}
