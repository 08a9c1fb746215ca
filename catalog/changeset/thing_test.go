package changeset

import (
	"context"
	"fmt"
	"slices"
	"time"

	"souk/catalog/change"
)

// thing is the state of the entities that these tests change.
type thing struct {
	Title      string
	Visibility string
	Notes      []string
	Names      []string
	Serial     []string  // ids that Apply minted
	Touched    time.Time // the time that Apply was given
	Friend     string
	Logo       string

	Color, BuyerAccounts []string
	Date                 string
}

// thingType is an entity type whose change sets may overlap, but for Rename
// against Publish.
func thingType() *change.EntityType {
	return &change.EntityType{
		Name: "Thing", Version: "1.0", Fields: []string{"Color", "Date", "BuyerAccounts"},
		Types: []change.Type{
			change.Of[thing, create](change.Type{Name: "CreateThing", Creates: true}),
			change.Of[thing, rename](change.Type{Name: "Rename", After: []string{"AddNote"}}),
			change.Of[thing, addNote](change.Type{Name: "AddNote"}),
			change.Of[thing, takeName](change.Type{Name: "TakeName"}),
			change.Of[thing, fixTag](change.Type{Name: "FixTag"}),
			change.Of[thing, publish](change.Type{Name: "Publish", Alone: true}),
			change.Of[thing, fetchLogo](change.Type{Name: "FetchLogo"}),
			change.Of[thing, befriend](change.Type{Name: "Befriend"}),
			change.Of[thing, blowUp](change.Type{Name: "BlowUp"}),
		},
		New:   func() any { return &thing{Visibility: "Draft"} },
		NewID: func(ids *change.IDs) string { return ids.Entity("thing-") },
		Overlaps: func(a, b string) bool {
			return !(a == "Rename" && b == "Publish" || a == "Publish" && b == "Rename")
		},
		List: func(state any) change.Listing {
			t := state.(*thing)
			l := change.Listing{Name: t.Title, Visibility: t.Visibility}
			if t.Color != nil || t.BuyerAccounts != nil || t.Date != "" {
				l.Fields = map[string][]string{"Color": t.Color, "BuyerAccounts": t.BuyerAccounts, "Unseen": {"x"}}
			}
			if t.Date != "" {
				l.Fields["Date"] = []string{t.Date}
			}
			return l
		},
		Describe: func(state any, _ change.Entity) any { return state },
	}
}

// rockType is an entity type whose change sets never overlap.
func rockType() *change.EntityType {
	t := thingType()
	t.Name, t.Overlaps = "Rock", nil
	t.NewID = func(ids *change.IDs) string { return ids.Entity("rock-") }
	return t
}

type create struct{ Title string }

func (d *create) Check(_ *thing, c *change.Checks) {
	c.Refuse(d.Title == "forbidden", "FORBIDDEN_TITLE", "This title is forbidden.")
}

func (d *create) Apply(t *thing, a *change.Applying) {
	t.Title, t.Touched = d.Title, a.Now
	t.Serial = append(t.Serial, a.IDs.New("s-", 8))
}

type rename struct{ Title string }

func (d *rename) Valid(c *change.Checks) {
	c.Refuse(d.Title == "", "422", "Title must not be empty")
}

func (d *rename) Check(t *thing, c *change.Checks) {
	c.Refuse(d.Title == t.Title, "SAME_TITLE", "The title [x] is the present one.", d.Title)
	c.Refuse(d.Title == "forbidden", "FORBIDDEN_TITLE", "This title is forbidden.")
}

func (d *rename) Apply(t *thing, a *change.Applying) { t.Title, t.Touched = d.Title, a.Now }

type addNote struct {
	Note  string
	Notes []string
}

func (d *addNote) Check(t *thing, c *change.Checks) {
	c.Refuse(slices.Contains(t.Notes, d.Note), "DUPLICATE_NOTE", "The note [x] is there already.", d.Note)
	c.Refuse(d.Note == "wrong", "WRONG_NOTE", "This note is wrong.")
}

func (d *addNote) Apply(t *thing, a *change.Applying) {
	if t.Notes == nil {
		t.Notes = d.Notes // kept, as a careless type might
	}
	t.Notes = append(t.Notes, d.Note)
	t.Serial = append(t.Serial, a.IDs.UUID())
	t.Touched = a.Now
}

type takeName struct {
	Name string
	Rash bool // the probe doesn't look
}

func (d *takeName) Check(*thing, *change.Checks) {}

func (d *takeName) Probe(ctx context.Context, _ *thing, c *change.Checks) error {
	if d.Rash {
		return nil
	}
	taken, err := c.World.Names.Taken(ctx, "repository", d.Name)
	c.Refuse(taken, "NAME_TAKEN", "The name [x] is taken.", d.Name)
	return err
}

func (d *takeName) Apply(t *thing, a *change.Applying) {
	t.Names = append(t.Names, d.Name)
	a.Claim("repository", d.Name, []byte(a.Entity.ID))
}

type fixTag struct{ Tag string }

func (d *fixTag) Check(*thing, *change.Checks) {}

func (d *fixTag) Apply(t *thing, a *change.Applying) { a.Claim("tag", d.Tag, []byte(a.Entity.ID)) }

type publish struct{ Visibility string }

func (d *publish) Check(*thing, *change.Checks) {}

func (d *publish) Apply(t *thing, _ *change.Applying) { t.Visibility = d.Visibility }

type fetchLogo struct{ URL string }

func (d *fetchLogo) Check(*thing, *change.Checks) {}

func (d *fetchLogo) Probe(ctx context.Context, _ *thing, c *change.Checks) error {
	kept, err := c.World.Logos.Copy(ctx, d.URL)
	if err == change.ErrLogoUnreachable {
		c.Refuse(true, "NO_LOGO", "The logo [x] is not there.", d.URL)
		c.Explain(fmt.Errorf("%w: the door is locked", err))
		return nil
	}
	c.Keep("logo", kept)
	return err
}

func (d *fetchLogo) Apply(t *thing, a *change.Applying) { t.Logo = a.Found["logo"] }

type befriend struct{ Friend string }

func (d *befriend) Check(*thing, *change.Checks) {}

func (d *befriend) Apply(t *thing, _ *change.Applying) { t.Friend = d.Friend }

type blowUp struct{ In string }

func (d *blowUp) Check(t *thing, c *change.Checks) { d.blow("Check") }

func (d *blowUp) Probe(context.Context, *thing, *change.Checks) error {
	d.blow("Probe")
	return nil
}

func (d *blowUp) Apply(t *thing, _ *change.Applying) {
	d.blow("Apply")
	if d.In == "List" {
		t.Visibility = "Nowhere"
	}
}

func (d *blowUp) blow(in string) {
	if d.In == in {
		panic(fmt.Sprintf("blown up in %s", in))
	}
}

// logos answers probes as a test tells it to.
type logos func(ctx context.Context, url string) (string, error)

func (l logos) Copy(ctx context.Context, url string) (string, error) { return l(ctx, url) }
