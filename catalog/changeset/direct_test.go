package changeset

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"souk/catalog/change"
	"souk/storage/store"
)

// director answers with what a test has set.
type director struct {
	mu    sync.Mutex
	asked []Starting
	next  *Direction
}

func (d *director) Idle() bool { return false }

func (d *director) Direct(_ context.Context, s Starting) (*Direction, []store.Write, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, s)
	return d.next, nil, nil
}

func (d *director) set(next *Direction) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next = next
}

func TestSetsThatAreDirected(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		d := &director{}
		m := open(t, s, func(c *Config) { c.Director = d })
		lamp := m.made("lamp")
		if got := d.asked[0]; got.Account != alice || got.Changes[0].ChangeType != "CreateThing" || got.Changes[0].EntityType != "Thing" {
			t.Errorf("asked about %+v", got)
		}

		d.set(&Direction{Rule: "r", Refuse: &change.Refusal{ErrorCode: "SCAN_ERROR", ErrorMessage: "https://example.com/report"}})
		failed := m.ended(m.begin(doc("AddNote", lamp, `{"Note":"a"}`)))
		if failed.FailureCode != clientError || !strings.Contains(errorsOf(failed), "SCAN_ERROR") {
			t.Errorf("refused: %s %s %s", failed.Status, failed.FailureCode, errorsOf(failed))
		}
		if got := d.asked[len(d.asked)-1]; got.Changes[0].Title != "lamp" {
			t.Errorf("asked about %+v", got)
		}

		d.set(&Direction{Fault: true})
		if failed := m.ended(m.begin(doc("AddNote", lamp, `{"Note":"a"}`))); failed.FailureCode != serverFault {
			t.Errorf("fault: %s %s", failed.Status, failed.FailureCode)
		}

		d.set(&Direction{Prepares: 30, Applies: 30})
		id := m.begin(doc("AddNote", lamp, `{"Note":"held"}`))
		m.await(id, Prepared)
		if held := m.ended(id); held.Status != Succeeded || held.End.Sub(held.Start) < 60*time.Millisecond {
			t.Errorf("held: %s after %v", held.Status, held.End.Sub(held.Start))
		}

		d.set(&Direction{Review: true})
		id = m.begin(doc("AddNote", lamp, `{"Note":"reviewed"}`))
		m.await(id, Taken)
		_, err := m.Start(context.Background(), &Request{Account: alice, Changes: []Change{doc("Rename", lamp, `{"Title":"b"}`)}})
		refused(t, err, "ResourceInUseException", id)
		for { // it is under review once it is left
			if err := m.Release(context.Background(), id); err == nil {
				break
			}
		}
		if d := m.ended(id); d.Status != Succeeded {
			t.Errorf("released: %s %s", d.Status, errorsOf(d))
		}
		refused(t, m.Release(context.Background(), id), "ValidationException", "SUCCEEDED")
		refused(t, m.Release(context.Background(), "none"), "ResourceNotFoundException", "none")

		id = m.begin(doc("AddNote", lamp, `{"Note":"never"}`))
		m.await(id, Taken)
		if err := m.Cancel(context.Background(), alice, id); err != nil {
			t.Fatal(err)
		}
		if d := m.ended(id); d.Status != Cancelled {
			t.Errorf("cancelled while under review: %s", d.Status)
		}
		m.sound()
	})
}

// look reads another entity, and fails unless it has a title.
type look struct{ At, Title string }

func (*look) Check(*thing, *change.Checks) {}

func (d *look) Probe(ctx context.Context, _ *thing, c *change.Checks) error {
	_, state, err := c.World.Entities.Read(ctx, c.Seller, d.At)
	if err != nil {
		c.Refuse(true, "INCOMPATIBLE", "Provide an entity of yours.")
		return nil
	}
	c.Refuse(state.(*thing).Title != d.Title, "INCOMPATIBLE", "It has the title [x].", state.(*thing).Title)
	_, err = c.World.Logos.Copy(ctx, probedLook)
	return err
}

func (d *look) Apply(t *thing, _ *change.Applying) { t.Friend = d.At }

// probedLook is what a probe of look asks for at its end: a market can answer later.
const probedLook = "probed"

func TestWhatAProbeReadMustStayAsItWas(t *testing.T) {
	eachStore(t, func(t *testing.T, s store.Store) {
		var probed atomic.Pointer[func()] // is called at the end of the next probe
		m := open(t, s, func(c *Config) {
			et := thingType()
			et.Types = append(et.Types, change.Of[thing, look](change.Type{Name: "Look", AfterAll: []string{"Rename"}}))
			c.Types = []*change.EntityType{et}
			c.World.Logos = logos(func(context.Context, string) (string, error) {
				if f := probed.Swap(nil); f != nil {
					(*f)()
				}
				return "", nil
			})
		})
		lamp, desk := m.made("lamp"), m.made("desk")
		m.succeed(doc("Look", lamp, `{"At":"`+desk+`","Title":"desk"}`))
		// The other entity is renamed in the same set, and by its own change
		// later in the request: it is looked at as it will be.
		m.succeed(doc("Look", lamp, `{"At":"`+desk+`","Title":"table"}`), doc("Rename", desk, `{"Title":"table"}`))

		rename := func() { m.succeed(doc("Rename", desk, `{"Title":"shelf"}`)) }
		probed.Store(&rename)
		d := m.ended(m.begin(doc("Look", lamp, `{"At":"`+desk+`","Title":"table"}`)))
		if d.Status != Failed || !strings.Contains(errorsOf(d), "shelf") {
			t.Errorf("%s %s, although what was read has changed since", d.Status, errorsOf(d))
		}
		if d := m.ended(m.begin(doc("Look", lamp, `{"At":"thing-none","Title":""}`))); d.Status != Failed {
			t.Errorf("%s with an entity that is not there", d.Status)
		}
		m.sound()
	})
}
