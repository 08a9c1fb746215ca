package changeset

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"souk/storage/store"
)

// Summary is what ListChangeSets shows of a change set.
type Summary struct {
	ID          string
	Name        string
	Status      Status
	Start       time.Time
	End         time.Time // zero while the set is open
	FailureCode string    // "" if none
	Entities    []string  // ids without revision
	Account     string    // whose it is
}

const listSets = "ListChangeSets"

// List returns a page of an account's change sets and the token of the next
// page, "" if there is none. Sorted by StartTime (the default) or EndTime,
// where open sets are later than ended ones. Refusals are ValidationExceptions.
//
// Open sets are in an index of their own, and there are few of them; lists
// read it before those of the ended sets, so that a set which ends in between
// is seen once.
func (e *Engine) List(ctx context.Context, q Query) ([]Summary, string, error) {
	f, err := readSetFilters(q.Account, q.Filters)
	if err != nil {
		return nil, "", err
	}
	by := byStart
	switch q.SortBy {
	case "", "StartTime":
	case "EndTime":
		by = byEnd
	default:
		return nil, "", invalid("SortBy '%s' is not supported. Supported: StartTime, EndTime.", q.SortBy)
	}
	from, err := e.from(&q, listSets)
	if err != nil {
		return nil, "", err
	}
	page, next, err := e.merge(ctx, f.streams(by, !q.Ascending), from, q.Max, setKey(by))
	if err != nil {
		return nil, "", err
	}
	token, err := e.token(&q, listSets, next)
	if err != nil {
		return nil, "", err
	}
	sets := make([]Summary, len(page))
	for i, l := range page {
		sets[i], err = l.set(q.Account)
		if err != nil {
			return nil, "", fmt.Errorf("listing change set %s: %w", l.ID, err)
		}
	}
	return sets, token, nil
}

// set reads the summary of an account's set.
func (l *listed) set(account string) (Summary, error) {
	s, err := decodeSetSummary(l.summary)
	if err != nil {
		return Summary{}, err
	}
	if s.account != "" {
		account = s.account
	}
	if s.name == "" {
		s.name = defaultName(account)
	}
	start, err := stamped(s.started)
	if err != nil {
		return Summary{}, err
	}
	end, err := stamped(s.ended)
	return Summary{ID: l.ID, Name: s.name, Status: s.status, Start: start, End: end, FailureCode: s.failure, Entities: s.entities, Account: account}, err
}

// stillOpen stands before the start of an open set where sets are sorted by
// their end: later than every time.
const stillOpen = "~"

func setKey(by string) func([]byte) (string, error) {
	return func(raw []byte) (string, error) {
		s, err := decodeSetSummary(raw)
		switch {
		case err != nil:
			return "", err
		case by == byStart:
			return s.started, nil
		case s.ended == "":
			return stillOpen + s.started, nil
		}
		return s.ended, nil
	}
}

// setFilters are the filters of ListChangeSets. Times are stamps; after is the first that is kept and before the first that is not.
type setFilters struct {
	account                   string
	names, statuses, entities []string
	afterStart, beforeStart   string
	afterEnd, beforeEnd       string
	shared                    bool
	count                     int
}

func readSetFilters(account string, filters []Filter) (*setFilters, error) {
	m, err := byName(filters, "ChangeSetName", "Status", "EntityId",
		"BeforeStartTime", "AfterStartTime", "BeforeEndTime", "AfterEndTime", "Scope")
	if err != nil {
		return nil, err
	}
	f := &setFilters{account: account, names: m["ChangeSetName"], entities: m["EntityId"], count: len(m)}
	for _, v := range m["Status"] {
		if v == "CANCELED" { // as the Catalog API Reference also spells it
			v = string(Cancelled)
		}
		if !slices.Contains([]Status{Preparing, Applying, Succeeded, Cancelled, Failed}, Status(v)) {
			return nil, invalid("Status '%s' is not supported as a filter value.", v)
		}
		if !slices.Contains(f.statuses, v) {
			f.statuses = append(f.statuses, v)
		}
	}
	// Documents show whole seconds: what is shown as the filter's value is
	// neither before nor after it.
	for name, to := range map[string]*string{
		"BeforeStartTime": &f.beforeStart, "AfterStartTime": &f.afterStart,
		"BeforeEndTime": &f.beforeEnd, "AfterEndTime": &f.afterEnd,
	} {
		for _, v := range m[name] {
			t, err := readTime(name, v)
			if err != nil {
				return nil, err
			}
			// Of several values one has to fit: the last before, the first after.
			if strings.HasPrefix(name, "After") {
				if s := stamp(t.Add(time.Second)); *to == "" || s < *to {
					*to = s
				}
			} else if s := stamp(t); s > *to {
				*to = s
			}
		}
	}
	f.shared, err = shared(m)
	return f, err
}

// readTime reads a filter's value: a time as documents show it.
func readTime(filter, v string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, v)
	if err != nil || t.Year() < 1 || t.Year() > 9998 {
		return t, invalid("Value '%s' of filter '%s' is not a time of the form 2018-02-27T13:45:22Z.", v, filter)
	}
	return t.UTC().Truncate(time.Second), nil
}

// streams says where the sets are to be found: the index of the filter that
// leaves the fewest, and Match for the rest.
func (f *setFilters) streams(by string, backward bool) []stream {
	q := store.Query{Kind: kindSet, Backward: backward}
	used := 0 // filters that need no Match
	var streams []stream

	open := f.afterEnd == "" && f.beforeEnd == "" &&
		(f.statuses == nil || slices.Contains(f.statuses, string(Preparing)) || slices.Contains(f.statuses, string(Applying)))
	if open {
		o := q
		o.Index, o.Partition = indexOpen, f.account
		o.From, o.To = f.afterStart, f.beforeStart
		if f.shared {
			o.Index, o.Partition = indexShared, sharedOpen
		}
		if f.count > 0 {
			o.Match = f.match
		}
		s := stream{Query: o}
		if by == byEnd {
			s.prefix = stillOpen
		}
		streams = append(streams, s)
	}

	var index string
	var values []string
	switch {
	case f.shared:
		index, values = indexShared, []string{sharedEnded}
	case f.entities != nil:
		index, values = indexEntity, f.entities
		used++
	case f.names != nil && !slices.Contains(f.names, defaultName(f.account)):
		index, values = indexName, f.names
		used++
	default:
		index = indexStatus
		for _, s := range []Status{Succeeded, Failed, Cancelled} {
			if f.statuses == nil || slices.Contains(f.statuses, string(s)) {
				values = append(values, string(s))
			}
		}
		if f.statuses != nil {
			used++
		}
	}
	// A set ends after its start, so each range bounds the other order, too.
	if by == byStart {
		q.From, q.To = f.afterStart, least(f.beforeStart, f.beforeEnd)
		used += given(f.afterStart) + given(f.beforeStart)
	} else {
		q.From, q.To = max(f.afterStart, f.afterEnd), f.beforeEnd
		used += given(f.afterEnd) + given(f.beforeEnd)
	}
	q.To = cmp.Or(q.To, "~")
	if used < f.count {
		q.Match = f.match
	}
	for _, v := range values {
		c, lead := q, by
		c.Index, c.Partition = index, f.account+"/"+v
		switch index {
		case indexEntity:
			c.Partition, lead = f.account, v+"\x00"+by
		case indexShared:
			c.Partition = v
		}
		c.From, c.To = lead+q.From, lead+q.To
		streams = append(streams, stream{Query: c, lead: lead})
	}
	return streams
}

func given(s string) int {
	if s != "" {
		return 1
	}
	return 0
}

// least is the smaller of two bounds, "" being none.
func least(a, b string) string {
	if a == "" || b != "" && b < a {
		return b
	}
	return a
}

// match looks at a set's summary.
func (f *setFilters) match(_, _ string, cover []byte) bool {
	s, err := decodeSetSummary(cover)
	if err != nil {
		return false
	}
	account := f.account
	if f.shared {
		account = s.account
	}
	if s.name == "" {
		s.name = defaultName(account)
	}
	switch {
	case f.shared && account == f.account, // its own are not shared with it
		f.statuses != nil && !slices.Contains(f.statuses, string(s.status)),
		f.names != nil && !slices.Contains(f.names, s.name),
		f.afterStart != "" && s.started < f.afterStart,
		f.beforeStart != "" && s.started >= f.beforeStart,
		f.afterEnd != "" && (s.ended == "" || s.ended < f.afterEnd),
		f.beforeEnd != "" && (s.ended == "" || s.ended >= f.beforeEnd):
		return false
	}
	return f.entities == nil || slices.ContainsFunc(s.entities, func(id string) bool { return slices.Contains(f.entities, id) })
}
