package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"souk/conformance/seller"
	"souk/conformance/souktest"
	"souk/storage/store"
)

// small is the size of the small catalogue.
const small = 1000

// Targets, as docs/design.md states them.
const (
	describeOfFloor2SQLite   = 0.6
	describeOfFloor2Postgres = 0.3
	largeListOfSmall         = 1.5 // at most
	startOfFloor3            = 0.4
	succeededOfFloor3        = 0.2
	readyEmpty               = 150 // milliseconds, at most
	readyLarge               = 200
	residentEmpty            = 50 // MB, at most
	residentLarge            = 200
	searchLarge              = 20 // milliseconds at the median, at most
)

// bench is one run.
type bench struct {
	settings
	table     table
	templates *templates
	next      int                      // number of the next thing that needs one of its own
	used      map[string]time.Duration // server's processor time of a request, by the row's name
	made      []*market                // those that may run
}

// run measures everything and prints the table. It returns how many targets
// were missed.
func run(ctx context.Context, s settings) (missed int, err error) {
	folder, err := os.MkdirTemp(s.folder, "souk-bench-")
	if err != nil {
		return 0, fmt.Errorf("making a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder), souktest.Clean()) }()
	b := &bench{settings: s, next: 1, used: map[string]time.Duration{}}
	defer func() {
		for _, m := range b.made { // where something failed, one may still run
			m.shut()
		}
	}()
	b.folder = folder
	b.templates, err = makeTemplates(ctx, folder)
	if err != nil {
		return 0, err
	}
	err = b.disk()
	if err != nil {
		return 0, err
	}
	for _, part := range []struct {
		measure func(context.Context) error
		only    []string // with which values of -only
	}{
		{b.markets, []string{"", onlySQLite, onlyPostgres}},
		{b.builds, []string{"", onlyBuilds}},
		{b.imageBuilders, []string{"", onlyImageBuilders}},
	} {
		if err == nil && slices.Contains(part.only, b.only) {
			err = part.measure(ctx)
		}
	}
	// What was measured before a failure is worth to be seen.
	fmt.Printf("souk bench: %d processors, %s/%s, %d entities, %v a row\n\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, s.entities, s.window)
	return b.table.print(os.Stdout), err
}

// markets measures markets on all databases that are to be measured.
func (b *bench) markets(ctx context.Context) (err error) {
	databases, closeAll, err := b.databases(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	for _, d := range databases {
		err = b.database(ctx, d)
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return nil
}

// database measures one database, on a small catalogue and on a large one.
func (b *bench) database(ctx context.Context, d database) error {
	err := b.empty(ctx, d)
	if err != nil {
		return fmt.Errorf("empty market: %w", err)
	}
	err = b.scans(ctx, d)
	if err != nil {
		return fmt.Errorf("scans: %w", err)
	}
	few, err := b.catalogue(ctx, d, small)
	if err != nil {
		return fmt.Errorf("market of %d: %w", small, err)
	}
	defer few.shut()
	err = b.describes(ctx, d, few)
	if err != nil {
		return fmt.Errorf("market of %d: %w", small, err)
	}
	if b.entities == small { // no large one was asked for
		err = errors.Join(b.batches(ctx, d, few), b.lists(ctx, d, few), b.searches(ctx, d, few))
	} else {
		err = b.large(ctx, d, few)
	}
	if err != nil {
		return err
	}
	return b.writes(ctx, d, few)
}

// large measures a market with the large catalogue, where it is compared with
// the small one in turns with that.
func (b *bench) large(ctx context.Context, d database, few *catalogue) (err error) {
	many, err := b.catalogue(ctx, d, b.entities)
	if err != nil {
		return fmt.Errorf("market of %d: %w", b.entities, err)
	}
	defer func() {
		many.shut()
		err = errors.Join(err, d.remove(ctx, many.market))
	}()
	err = b.describes(ctx, d, many)
	if err != nil {
		return fmt.Errorf("market of %d: %w", b.entities, err)
	}
	err = b.batches(ctx, d, many)
	if err != nil {
		return err
	}
	err = b.lists(ctx, d, few, many)
	if err != nil {
		return err
	}
	err = b.searches(ctx, d, many)
	if err != nil {
		return err
	}
	return b.resident(ctx, many.market, fmt.Sprintf("%s: resident, %d entities, after reads", d.name, many.n), residentLarge)
}

// empty measures the start on an empty folder, and the memory when idle.
func (b *bench) empty(ctx context.Context, d database) error {
	const times = 5
	var all []time.Duration
	for range times {
		m, err := b.fresh(ctx, d)
		if err != nil {
			return err
		}
		took, err := m.start()
		if err != nil {
			return err
		}
		all = append(all, took)
		if len(all) == times {
			name := d.name + ": ready, empty folder"
			b.table.add(name, median(all), "ms", fmt.Sprintf("median of %d first starts", times))
			b.table.most("", readyEmpty)
			err = b.resident(ctx, m, d.name+": resident, idle and empty", residentEmpty)
			if err != nil {
				return err
			}
		}
		err = m.Stop()
		if err != nil {
			return err
		}
	}
	return nil
}

// resident adds a row with the memory of a server that has been idle for a second.
func (b *bench) resident(ctx context.Context, m *market, name string, most float64) error {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	bytes, err := resident(m.PID())
	if err != nil {
		return err
	}
	b.table.add(name, float64(bytes)/1e6, "MB", "")
	b.table.most("", most)
	return nil
}

// fresh makes a market in a folder and database of its own.
func (b *bench) fresh(ctx context.Context, d database) (*market, error) {
	b.next++
	name := fmt.Sprintf("%s-%d", d.name, b.next)
	url, err := d.create(ctx)
	if err != nil {
		return nil, err
	}
	return b.newMarket(name, url)
}

// catalogue is a running market with entities.
type catalogue struct {
	*shop
	n int
}

// catalogue fills a market with n entities and starts it.
func (b *bench) catalogue(ctx context.Context, d database, n int) (*catalogue, error) {
	m, err := b.fresh(ctx, d)
	if err != nil {
		return nil, err
	}
	_, err = m.start() // the first start makes organisation, key and schema
	if err != nil {
		return nil, err
	}
	err = m.Stop()
	if err != nil {
		return nil, err
	}
	s, err := d.open(ctx, m)
	if err != nil {
		return nil, err
	}
	err = errors.Join(b.templates.fill(ctx, s, n), s.Close())
	if err != nil {
		return nil, err
	}
	err = d.settle(ctx, m)
	if err != nil {
		return nil, err
	}
	const times = 5
	took, err := m.startUp(times)
	if err != nil {
		return nil, err
	}
	if n > small {
		b.table.add(fmt.Sprintf("%s: ready, %d entities", d.name, n), milliseconds(took), "ms", fmt.Sprintf("median of %d starts", times))
		b.table.most("", readyLarge)
	}
	root, err := m.root()
	if err != nil {
		return nil, err
	}
	return &catalogue{&shop{m, root}, n}, nil
}

// lane is a load on one server.
type lane struct {
	load
	name string
	pid  int
}

// rounds is how often lanes that are compared with each other take turns, so
// that what else the machine does falls on all of them.
const rounds = 3

// measure sends each lane's requests to its server, in turns, and adds a row
// with its rate and the processor time of a request.
func (b *bench) measure(lanes ...lane) error {
	type sum struct {
		answers, size   int
		elapsed, used   time.Duration
		median, slowest time.Duration
	}
	sums := make([]sum, len(lanes))
	turns := rounds
	if len(lanes) == 1 {
		turns = 1
	}
	for range turns {
		for i, l := range lanes {
			l.duration = b.window / time.Duration(turns)
			before, err := cpu(l.pid)
			if err != nil {
				return err
			}
			r, err := l.run()
			if err != nil {
				return fmt.Errorf("%s: %w", l.name, err)
			}
			after, err := cpu(l.pid)
			if err != nil {
				return err
			}
			s := &sums[i]
			s.answers, s.size = s.answers+r.answers, r.bodySize
			s.elapsed, s.used = s.elapsed+r.elapsed, s.used+after-before
			s.median, s.slowest = max(s.median, r.median), max(s.slowest, r.slowest)
		}
	}
	for i, s := range sums {
		b.used[lanes[i].name] = s.used / time.Duration(s.answers)
		b.table.add(lanes[i].name, float64(s.answers)/s.elapsed.Seconds(), "1/s", fmt.Sprintf("%v of server CPU each, %d bytes; median %v, 99%% within %v",
			(s.used/time.Duration(s.answers)).Round(100*time.Nanosecond), s.size, s.median.Round(time.Microsecond), s.slowest.Round(time.Microsecond)))
	}
	return nil
}

// connections of the reads.
const connections = 16

// describes measures DescribeEntity, on the small catalogue beside its floors.
func (b *bench) describes(ctx context.Context, d database, c *catalogue) error {
	var describe [][]byte
	for range min(c.n, 4000) {
		r, err := signed(ctx, c.root, "GET", "/DescribeEntity?catalog=AWSMarketplace&entityId="+productID(rand.IntN(c.n)), "")
		if err != nil {
			return err
		}
		describe = append(describe, r)
	}
	l := load{address: c.root.Host(), connections: connections, endless: true, requests: describe}
	warm := l
	warm.duration = b.window / 4
	warmed, err := warm.run()
	if err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	floor1, floor2 := d.name+": floor 1 of DescribeEntity", d.name+": floor 2 of DescribeEntity"
	souk := lane{l, fmt.Sprintf("%s: DescribeEntity, %d connections, %d entities", d.name, connections, c.n), c.PID()}
	if c.n > small {
		err = b.measure(souk)
		if err != nil {
			return err
		}
		b.table.least(floor2, 0)
		return nil
	}
	err = b.besideFloors(souk, warmed.bodySize, c.root, floor1, floor2)
	if err != nil {
		return err
	}
	b.table.least(floor2, d.describe)
	b.pipeline(d.name, souk.name, floor2)
	return nil
}

// lists measures ListEntities on catalogues, in turns; each is compared with the first.
func (b *bench) lists(ctx context.Context, d database, catalogues ...*catalogue) error {
	name := func(c *catalogue) string {
		return fmt.Sprintf("%s: ListEntities, page of 20 by name, %d entities", d.name, c.n)
	}
	var lanes []lane
	for _, c := range catalogues {
		list, err := signed(ctx, c.root, "POST", "/ListEntities", `{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct","MaxResults":20,"Sort":{"SortBy":"Name","SortOrder":"ASCENDING"}}`)
		if err != nil {
			return err
		}
		l := load{address: c.root.Host(), connections: connections, endless: true, requests: [][]byte{list}, duration: b.window / 4}
		_, err = l.run() // once for the caches
		if err != nil {
			return fmt.Errorf("warming up: %w", err)
		}
		lanes = append(lanes, lane{l, name(c), c.PID()})
	}
	err := b.measure(lanes...)
	if err != nil {
		return err
	}
	if len(catalogues) > 1 {
		b.table.least(name(catalogues[0]), 1/largeListOfSmall)
	}
	return nil
}

// searches measures pages of ListEntities with a part of the title: one that few
// products have, one that one of a hundred has, and one that all have; by date
// and by name. Each request asks for another one where there are several.
func (b *bench) searches(ctx context.Context, d database, c *catalogue) error {
	for _, s := range []struct {
		name string
		part func(n int) string
	}{
		{"of one product", func(n int) string { return fmt.Sprintf("%07d", n) }},
		{"of one product, with a common part", func(n int) string { return productTitle(n)[len("Bench "):] }},
		{"of one in a hundred", func(n int) string { return fmt.Sprintf("%02d", n%100) + "0" }},
		{"of all products", func(int) string { return "Bench product" }},
		{"of none, two letters", func(int) string { return "zz" }},
	} {
		var requests [][]byte
		for i := range 500 {
			r, err := signed(ctx, c.root, "POST", "/ListEntities", fmt.Sprintf(
				`{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct","EntityTypeFilters":{"ContainerProductFilters":{"ProductTitle":{"WildCardValue":%q}}},"EntityTypeSort":{"ContainerProductSort":{"SortBy":%q,"SortOrder":"ASCENDING"}}}`,
				s.part(rand.IntN(c.n)), []string{"ProductTitle", "LastModifiedDate"}[i%2]))
			if err != nil {
				return err
			}
			requests = append(requests, r)
		}
		l := load{address: c.root.Host(), connections: 1, endless: true, requests: requests, duration: b.window / 4}
		_, err := l.run() // once for the caches
		if err != nil {
			return fmt.Errorf("warming up: %w", err)
		}
		l.duration = b.window
		r, err := l.run()
		if err != nil {
			return fmt.Errorf("searching for a part of the title %s: %w", s.name, err)
		}
		b.table.add(fmt.Sprintf("%s: ListEntities, title substring %s, %d entities", d.name, s.name, c.n), milliseconds(r.median), "ms",
			fmt.Sprintf("median of %d pages; 99%% within %v", r.answers, r.slowest.Round(10*time.Microsecond)))
		b.table.most("", searchLarge)
	}
	return nil
}

// besideFloors measures a lane and the two floors with the same load.
func (b *bench) besideFloors(souk lane, size int, root *seller.Seller, floor1, floor2 string) error {
	lanes := make([]lane, 0, 3)
	for _, f := range []struct{ kind, name string }{{floorPlain, floor1}, {floorSigned, floor2}} {
		server, err := startFloor(f.kind, size, root.AccessKeyID, root.SecretAccessKey)
		if err != nil {
			return err
		}
		defer server.stop()
		l := souk.load
		l.address = server.address
		lanes = append(lanes, lane{l, f.name, server.process.Process.Pid})
	}
	return b.measure(append(lanes, souk)...)
}

// writes measures StartChangeSet beside floor 3, and whole change sets.
func (b *bench) writes(ctx context.Context, d database, c *catalogue) error {
	bare, err := d.bare(ctx, b)
	if err != nil {
		return err
	}
	for _, clients := range []int{1, 16, 64} {
		err = b.startsBesideFloor(ctx, d, c, bare, clients)
		if err != nil {
			return errors.Join(err, bare.Close())
		}
	}
	return bare.Close()
}

// startsBesideFloor measures StartChangeSet with a number of clients and, with
// the largest, sets until they have succeeded. The floor is measured before,
// between and after them, so that what else the machine does falls on all.
func (b *bench) startsBesideFloor(ctx context.Context, d database, c *catalogue, bare store.Store, clients int) error {
	name := fmt.Sprintf("%s: floor 3, StartChangeSet's batch on the bare store, %d writers", d.name, clients)
	floor := b.table.place(name)
	var rates float64
	var used time.Duration
	rounds := 0
	round := func() error {
		f, err := b.templates.commits(ctx, bare, clients, b.window/2, b.next)
		if err != nil {
			return err
		}
		b.next = f.next
		rates, used, rounds = rates+f.rate, used+f.used, rounds+1
		b.table.fill(floor, rates/float64(rounds), "1/s", fmt.Sprintf("%v of CPU each, client and store; mean of %d rounds", (used/time.Duration(rounds)).Round(100*time.Nanosecond), rounds))
		return nil
	}
	err := round()
	if err != nil {
		return err
	}
	root := c.root
	requests, err := b.starts(ctx, root, min(20_000, 500*clients+int(2500*b.window.Seconds())))
	if err != nil {
		return err
	}
	err = b.measure(lane{
		load{address: root.Host(), connections: clients, requests: requests},
		fmt.Sprintf("%s: StartChangeSet, durable, workers running, %d connections", d.name, clients), c.PID(),
	})
	if err != nil {
		return err
	}
	target := 0.0
	if clients == 64 {
		target = startOfFloor3
	}
	started := b.table.last()
	err = errors.Join(allEnded(ctx, root), round())
	if err != nil {
		return err
	}
	if clients == 64 {
		err = b.succeeded(ctx, d, c)
		if err == nil {
			err = round()
		}
		if err != nil {
			return err
		}
		b.table.least(name, succeededOfFloor3)
	}
	b.table.leastOf(started, name, target)
	return nil
}

// succeeded measures change sets from their start until all have ended.
func (b *bench) succeeded(ctx context.Context, d database, c *catalogue) error {
	const sets = 20_000
	requests, err := b.starts(ctx, c.root, sets)
	if err != nil {
		return err
	}
	before, err := cpu(c.PID())
	if err != nil {
		return err
	}
	started := time.Now()
	r, err := load{address: c.root.Host(), connections: 64, requests: requests, duration: time.Minute}.run()
	if err != nil {
		return err
	}
	err = allEnded(ctx, c.root)
	if err != nil {
		return err
	}
	took := time.Since(started)
	after, err := cpu(c.PID())
	if err != nil {
		return err
	}
	ended := r.answers + 1 // the last one of allEnded
	b.table.add(d.name+": change sets from start to SUCCEEDED, 64 connections", float64(ended)/took.Seconds(), "1/s",
		fmt.Sprintf("%d sets, %v of server CPU each", ended, ((after-before)/time.Duration(ended)).Round(100*time.Nanosecond)))
	return nil
}

// starts are signed StartChangeSet requests, each of a product of its own.
func (b *bench) starts(ctx context.Context, root *seller.Seller, n int) ([][]byte, error) {
	all := make([][]byte, 0, n)
	for range n {
		b.next++
		body := fmt.Sprintf(`{"Catalog":"AWSMarketplace","ClientRequestToken":"bench-token-%010d","ChangeSet":[{"ChangeType":"CreateProduct","Entity":{"Type":"ContainerProduct@1.0"},"Details":%q}]}`,
			b.next, createDetails(productTitle(b.next)))
		r, err := signed(ctx, root, "POST", "/StartChangeSet", body)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// allEnded waits until no change set is open. A list of open sets costs by
// their number, so it is asked for when a set that was started last has ended.
func allEnded(ctx context.Context, root *seller.Seller) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, errors.New("change sets were still open after five minutes"))
	defer cancel()
	_, err := root.Do(ctx, seller.Change("CreateProduct", "", createDetails("The last one")))
	if err != nil {
		return err
	}
	return until(ctx, 20*time.Millisecond, func() (bool, error) {
		a, err := root.Raw(ctx, "POST", "/ListChangeSets", `{"Catalog":"AWSMarketplace","MaxResults":1,"FilterList":[{"Name":"Status","ValueList":["PREPARING","APPLYING"]}]}`)
		if err == nil && a.Status != 200 {
			err = fmt.Errorf("asking for open change sets: status %d: %s", a.Status, a.Body)
		}
		return strings.Contains(a.Body, `"ChangeSetSummaryList":[]`), err
	})
}
