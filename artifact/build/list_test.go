package build

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"souk/storage/store"
	"souk/storage/worktest"
)

// history stores builds that have ended, a minute apart, and returns their ids,
// the newest first. Every third has failed, every second has fo-b of prod-b.
func (h *house) history(n int) []string {
	h.t.Helper()
	var ids []string
	start := time.Date(2026, 1, 2, 3, 4, 5, 430e6, time.UTC)
	for i := range n {
		b := &Build{
			ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), Account: account, Region: region, Status: Succeeded,
			Options: []Option{{ID: "fo-a", Product: "prod-a", Component: Component{Document: "long"}}}, Source: h.source,
			Destination: Destination{ID: fmt.Sprintf("ami-%017d", i), Name: fmt.Sprint("image ", i)},
			Started:     start.Add(time.Duration(i) * time.Minute), Updated: start.Add(time.Duration(i) * time.Minute),
		}
		if i%3 == 0 {
			b.Status = Failed
		}
		if i%2 == 0 {
			b.Options = append(b.Options, Option{ID: "fo-b", Product: "prod-b"})
		}
		h.keep(b)
		ids = append(ids, b.ID)
	}
	slices.Reverse(ids)
	return ids
}

func (h *house) keep(b *Build) {
	h.t.Helper()
	w, err := b.write(store.Any)
	if err != nil {
		h.t.Fatal(err)
	}
	w.Due = time.Now().Add(time.Hour)
	if err := h.store.Commit(h.t.Context(), store.Batch{Put: []store.Write{w}}); err != nil {
		h.t.Fatal(err)
	}
}

// all lists all pages of a query.
func (h *house) all(q Query) (ids []string, pages int) {
	h.t.Helper()
	for {
		page, err := h.List(h.t.Context(), q)
		if err != nil {
			h.t.Fatal(err)
		}
		pages++
		for _, b := range page.Builds {
			ids = append(ids, b.ID)
			if b.Options[0].Component.Document != "" {
				h.t.Errorf("a list reads the documents of %s", b.ID)
			}
		}
		if page.NextToken == "" {
			return ids, pages
		}
		if len(page.NextToken) > mostToken {
			h.t.Errorf("the token has %d characters", len(page.NextToken))
		}
		q.NextToken = &page.NextToken
	}
}

func ptr[T any](v T) *T { return &v }

func TestBuildsAreListedTheNewestFirst(t *testing.T) {
	t.Parallel()
	for name, engine := range map[string]func(*testing.T) store.Store{"sqlite": onSQLite, "postgres": onPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t, engine(t), nil)
			ids := h.history(12)
			foreign := &Build{ID: "10000000-0000-4000-8000-000000000000", Account: other, Region: region, Status: Succeeded, Options: []Option{{ID: "fo-a"}}, Started: time.Now()}
			h.keep(foreign)
			elsewhere := *foreign
			elsewhere.ID, elsewhere.Account, elsewhere.Region = "20000000-0000-4000-8000-000000000000", account, "eu-west-1"
			h.keep(&elsewhere)
			where := func(keep func(i int) bool) (some []string) {
				for i := 11; i >= 0; i-- {
					if keep(i) {
						some = append(some, ids[11-i])
					}
				}
				return some
			}
			for name, c := range map[string]struct {
				filters []Filter
				ids     []string
				want    []string
			}{
				"all":                    {nil, nil, ids},
				"a status":               {[]Filter{{FilterStatus, []string{"failed"}}}, nil, where(func(i int) bool { return i%3 == 0 })},
				"two statuses":           {[]Filter{{FilterStatus, []string{"failed", "succeeded"}}}, nil, ids},
				"a status that none has": {[]Filter{{FilterStatus, []string{"internal-error"}}}, nil, nil},
				"an option":              {[]Filter{{FilterOption, []string{"fo-b"}}}, nil, where(func(i int) bool { return i%2 == 0 })},
				"a product":              {[]Filter{{FilterProduct, []string{"prod-b"}}}, nil, where(func(i int) bool { return i%2 == 0 })},
				"an option in capitals":  {[]Filter{{FilterOption, []string{"FO-B"}}}, nil, nil},
				"an option and a status": {[]Filter{{FilterOption, []string{"fo-b"}}, {FilterStatus, []string{"failed"}}}, nil, where(func(i int) bool { return i%6 == 0 })},
				"two filters of a name":  {[]Filter{{FilterStatus, []string{"failed", "succeeded"}}, {FilterStatus, []string{"failed"}}}, nil, where(func(i int) bool { return i%3 == 0 })},
				"a filter of ids":        {[]Filter{{FilterID, []string{ids[3], ids[1], "none"}}}, nil, []string{ids[1], ids[3]}},
				"ids":                    {nil, []string{ids[5], ids[0], ids[5], foreign.ID, elsewhere.ID, "none"}, []string{ids[0], ids[5]}},
				"ids and a filter":       {[]Filter{{FilterOption, []string{"fo-b"}}}, ids[:4], []string{ids[1], ids[3]}},
				"an id of nothing":       {nil, []string{strings.Repeat("\x00", 36), strings.Repeat("a", 36), strings.Repeat("a", 600), "", ids[2]}, []string{ids[2]}},
				"a filter of nothing":    {[]Filter{{FilterID, []string{strings.Repeat("\x00", 36), ids[2] + "0"}}}, nil, nil},
				"an option of nothing":   {[]Filter{{FilterOption, []string{strings.Repeat("\x00", 36)}}}, nil, nil},
				"a product of nothing":   {[]Filter{{FilterProduct, []string{"", strings.Repeat("\x00", 600)}}}, nil, nil},
				"a long product":         {[]Filter{{FilterProduct, []string{strings.Repeat("a", 60000)}}}, nil, nil},
				"ids and other ids":      {[]Filter{{FilterID, []string{ids[7]}}}, ids[:4], nil},
			} {
				for _, size := range []*int{nil, ptr(0), ptr(1), ptr(5), ptr(256)} {
					got, pages := h.all(Query{Account: account, Region: region, Filters: c.filters, IDs: c.ids, MaxResults: size})
					if !slices.Equal(got, c.want) {
						t.Errorf("%s: %q, want %q", name, got, c.want)
					}
					if size != nil && *size > 0 && pages > len(c.want)/(*size)+1 {
						t.Errorf("%s: %d pages of %d", name, pages, *size)
					}
				}
			}
		})
	}
}

func TestWhatIsWrongWithAListHasItsDocumentedException(t *testing.T) {
	t.Parallel()
	h := open(t, onSQLite(t), nil)
	ids := h.history(3)
	page, err := h.List(t.Context(), Query{Account: account, Region: region, MaxResults: ptr(1)})
	if err != nil || page.NextToken == "" {
		t.Fatalf("%+v, %v", page, err)
	}
	for name, c := range map[string]struct {
		q    Query
		code string
	}{
		"an unknown filter":                 {Query{Filters: []Filter{{"color", []string{"red"}}}}, "InvalidFilterException"},
		"a filter in capitals":              {Query{Filters: []Filter{{"Status", []string{"failed"}}}}, "InvalidFilterException"},
		"a status as builds have it":        {Query{Filters: []Filter{{FilterStatus, []string{"Failed"}}}}, "InvalidFilterException"},
		"a filter without values":           {Query{Filters: []Filter{{FilterOption, nil}}}, "InvalidFilterException"},
		"fewer than no results":             {Query{MaxResults: ptr(-1)}, "InvalidMaxResultsException"},
		"257 results":                       {Query{MaxResults: ptr(257)}, "InvalidMaxResultsException"},
		"51 ids":                            {Query{IDs: strings.Split(strings.Repeat("a ", 51), " ")[:51]}, "InvalidMaxResultsException"},
		"a token of nobody":                 {Query{NextToken: ptr("abc")}, "InvalidNextTokenException"},
		"an empty token":                    {Query{NextToken: ptr("")}, "InvalidNextTokenException"},
		"a token of 1025 characters":        {Query{NextToken: ptr(strings.Repeat("a", 1025))}, "InvalidNextTokenException"},
		"the token of another list":         {Query{NextToken: &page.NextToken, IDs: ids}, "InvalidNextTokenException"},
		"the token of a list with a filter": {Query{NextToken: &page.NextToken, Filters: []Filter{{FilterStatus, []string{"failed"}}}}, "InvalidNextTokenException"},
		"the token of another account":      {Query{NextToken: &page.NextToken, Account: other}, "InvalidNextTokenException"},
		"the token of another region":       {Query{NextToken: &page.NextToken, Region: "eu-west-1"}, "InvalidNextTokenException"},
	} {
		if c.q.Account == "" {
			c.q.Account = account
		}
		if c.q.Region == "" {
			c.q.Region = region
		}
		if _, err := h.List(t.Context(), c.q); code(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

func TestBuildsAreForgottenWhenTheyAreOld(t *testing.T) {
	t.Parallel()
	h := open(t, onSQLite(t), func(c *Config) { c.History = 50 * time.Millisecond })
	h.run()
	b := h.begin("web", func(r *Request) { r.Token = "token" })
	worktest.Until(t, "it is forgotten", func() bool {
		found, err := h.store.GetAll(t.Context(), []store.Key{{Kind: Kind, ID: b.ID}, {Kind: KindToken, ID: b.Token}})
		return err == nil && len(found) == 0
	})
	for _, name := range logsOf(b.ID) {
		if there, err := h.config.Logs.Has(t.Context(), KindLogs, name); err != nil || there {
			t.Errorf("the log %s is there: %v", name, err)
		}
	}
	if _, err := h.config.Images.Find(t.Context(), account, b.Destination.ID); err != nil {
		t.Errorf("its image went with it: %v", err)
	}
}

func TestTheDoctorFindsBuildsThatNobodyGoesOnWith(t *testing.T) {
	t.Parallel()
	h := open(t, onSQLite(t), nil)
	b := h.begin("web", func(r *Request) { r.Token = "token" })
	harm := func(change func(*store.Write, *Build)) {
		t.Helper()
		r := h.read(b.ID)
		w, err := r.write(store.Any)
		if err != nil {
			t.Fatal(err)
		}
		w.Due = time.Now()
		change(&w, r)
		if err := h.store.Commit(t.Context(), store.Batch{Put: []store.Write{w}}); err != nil {
			t.Fatal(err)
		}
	}
	finds := func(want string) {
		t.Helper()
		wrong, err := h.Doctor(t.Context())
		if err != nil || len(wrong) != 1 || !strings.Contains(wrong[0], want) {
			t.Errorf("got %q, %v, want %q", wrong, err, want)
		}
	}
	harm(func(w *store.Write, _ *Build) { w.Due = time.Time{} })
	finds("nobody will go on with it")
	harm(func(w *store.Write, r *Build) {
		r.Status = Failed
		d, err := r.document()
		if err != nil {
			t.Fatal(err)
		}
		due := w.Due
		w.Document, w.Due = d, due
	})
	finds(`holds the name "web" still`)
	harm(func(w *store.Write, r *Build) {
		d, err := r.document()
		if err != nil {
			t.Fatal(err)
		}
		w.Document = d
		w.Due, w.Body = time.Now(), []byte("{")
	})
	finds("can't be read")
}

func FuzzTokens(f *testing.F) {
	f.Add("")
	f.Add("abc")
	f.Add(strings.Repeat("A", 200))
	b := &Builds{config: Config{Keys: noKeys{}}}
	f.Fuzz(func(t *testing.T, token string) {
		_, err := b.openToken(Query{NextToken: &token}, nil)
		if code(err) != "InvalidNextTokenException" {
			t.Errorf("%q: %v", token, err)
		}
	})
}

// noKeys opens nothing.
type noKeys struct{}

func (noKeys) Seal(string, []byte, []byte) []byte { return nil }
func (noKeys) Open(string, []byte, []byte) ([]byte, error) {
	return nil, fmt.Errorf("not ours")
}
