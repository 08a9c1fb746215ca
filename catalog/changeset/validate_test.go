package changeset

import (
	"context"
	"sync/atomic"
	"testing"

	"souk/catalog/change"
	"souk/storage/store"
)

// deliver is a change type whose probe publishes an image.
type deliver struct{}

func (*deliver) Check(*thing, *change.Checks) {}

func (*deliver) Probe(ctx context.Context, _ *thing, c *change.Checks) error {
	return c.World.Images.Publish(ctx, c.Entity.ID, change.ImageRef{}, "sha256:0")
}

func (*deliver) Apply(*thing, *change.Applying) {}

// publications counts what is published.
type publications struct {
	change.Images
	n atomic.Int32
}

func (p *publications) Publish(context.Context, string, change.ImageRef, string) error {
	p.n.Add(1)
	return nil
}

func TestValidatePublishesNothing(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		var images publications
		m := open(t, s, func(c *Config) {
			et := thingType()
			et.Types = append(et.Types, change.Of[thing, deliver](change.Type{Name: "Deliver"}))
			c.Types, c.World.Images = []*change.EntityType{et}, &images
		})
		lamp := m.made("lamp")
		for _, set := range []struct {
			intent string
			want   int32
		}{{IntentValidate, 0}, {IntentApply, 1}} {
			id, err := m.Start(context.Background(), &Request{Account: alice, Intent: set.intent, Changes: []Change{doc("Deliver", lamp, `{}`)}})
			if err != nil {
				t.Fatal(err)
			}
			if d := m.ended(id); d.Status != Succeeded || images.n.Load() != set.want {
				t.Errorf("%s: %s after %d publications, want %d: %s", set.intent, d.Status, images.n.Load(), set.want, errorsOf(d))
			}
		}
	})
}
