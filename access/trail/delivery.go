package trail

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"souk/storage/store"
)

// Delivery says where log files go. The zero value delivers none.
type Delivery struct {
	// Dir is the folder below which files lie as CloudTrail has them in a bucket:
	// AWSLogs/ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/ACCOUNT_CloudTrail_REGION_TIME_RANDOM.json.gz.
	// Records that were made while it was set are delivered, each at least once.
	// Nodes that share a database are given the same folder.
	Dir string
	// Every is how long records wait at most; 0: 5 minutes.
	Every time.Duration
	// Size is how many bytes of records, as they are stored, are delivered at once; 0: 8 MiB.
	Size int64
}

func (d Delivery) filled() Delivery {
	if d.Every <= 0 {
		d.Every = 5 * time.Minute
	}
	if d.Size <= 0 {
		d.Size = 8 << 20
	}
	return d
}

// awaits counts bytes that await delivery, and asks for it when they are enough.
func (t *Trail) awaits(size int64) {
	t.mu.Lock()
	t.packed += size
	enough := t.packed >= t.cfg.Delivery.Size
	t.mu.Unlock()
	if enough {
		select {
		case t.deliver <- struct{}{}:
		default:
		}
	}
}

// delivering delivers again and again, until ctx ends.
func (t *Trail) delivering(ctx context.Context) {
	timer := time.NewTicker(t.cfg.Delivery.Every)
	defer timer.Stop()
	for {
		t.complain(ctx, "delivering records", t.Deliver(ctx))
		select {
		case <-timer.C:
		case <-t.deliver:
		case <-ctx.Done():
			return
		}
	}
}

// deliveryLease is how long a node may take to write files: then another does it.
const deliveryLease = 2 * time.Minute

// Deliver writes what is packed and not delivered as files. What it has written
// is forgotten only when the files are on the disk: after a crash they are
// written again, under other names.
func (t *Trail) Deliver(ctx context.Context) error {
	t.mu.Lock()
	t.packed = 0
	t.mu.Unlock()
	const together = 64
	for ctx.Err() == nil {
		marks, err := t.store.Claim(ctx, kindDelivery, together, t.cfg.Owner, deliveryLease)
		if err != nil {
			return fmt.Errorf("claiming records to deliver: %w", err)
		}
		if len(marks) == 0 {
			return nil
		}
		// What is claimed is delivered, also if the server is stopped meanwhile:
		// else it would wait until the claim is over.
		if err := t.deliverPacks(context.WithoutCancel(ctx), marks); err != nil {
			return err
		}
		if len(marks) < together {
			return nil
		}
	}
	return nil
}

// restWithin bounds how long a stop waits for the last delivery.
const restWithin = 10 * time.Second

// deliverRest delivers everything when the server stops, also records of writes
// that have not settled: no call of this node writes them again. If one of
// another node does, that record is delivered twice, as after a crash.
func (t *Trail) deliverRest(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restWithin)
	defer cancel()
	err := t.packSingles(ctx, t.cfg.Clock().Add(time.Second))
	if err == nil {
		err = t.Deliver(ctx)
	}
	if err != nil {
		return fmt.Errorf("delivering the last records of the trail: %w", err)
	}
	return nil
}

// place says which file a record goes to.
type place struct{ account, region string }

// deliverPacks writes the files of some packs and takes off their marks.
func (t *Trail) deliverPacks(ctx context.Context, marks []store.Document) error {
	var keys []store.Key
	var done []store.Removal
	for i := range marks {
		keys = append(keys, store.Key{Kind: kindPack, ID: marks[i].ID})
		done = append(done, store.Removal{Key: marks[i].Key, Was: marks[i].Revision})
	}
	packs, err := t.store.GetAll(ctx, keys)
	if err != nil {
		return fmt.Errorf("reading packs to deliver: %w", err)
	}
	slices.SortFunc(packs, func(a, b store.Document) int { return strings.Compare(a.ID, b.ID) })
	files := map[place]*logFile{}
	for i := range packs {
		records, err := t.open(packs[i].Body)
		if err == nil {
			var r Record
			err = each(records, func(record string) error {
				if err := r.decode(record); err != nil {
					return err
				}
				at := place{r.Account, r.Region}
				if files[at] == nil {
					files[at] = newLogFile()
				}
				return files[at].add(&r)
			})
		}
		if err != nil {
			return fmt.Errorf("reading pack %s to deliver: %w", packs[i].ID, err)
		}
	}
	for at, f := range files {
		if err := t.save(at, f); err != nil {
			return err
		}
	}
	err = t.store.Commit(ctx, store.Batch{Delete: done})
	if err != nil && !errors.Is(err, store.ErrConflict) { // another node delivers them too
		return fmt.Errorf("noting what was delivered: %w", err)
	}
	return nil
}

// logFile is a log file that is being made in memory.
type logFile struct {
	content bytes.Buffer
	gzip    *gzip.Writer
	count   int
}

func newLogFile() *logFile {
	f := &logFile{}
	f.gzip = gzip.NewWriter(&f.content)
	return f
}

func (f *logFile) add(r *Record) error {
	between := ","
	if f.count == 0 {
		between = `{"Records":[`
	}
	f.count++
	_, err := f.gzip.Write(append([]byte(between), r.JSON()...))
	return err
}

// save writes a file whole or not at all, and so that a crash of the machine
// does not lose it.
func (t *Trail) save(at place, f *logFile) (err error) {
	now := t.cfg.Clock().UTC()
	if _, err = f.gzip.Write([]byte("]}")); err == nil {
		err = f.gzip.Close()
	}
	if err != nil {
		return fmt.Errorf("packing a log file of account %s: %w", at.account, err)
	}
	region := plain(at.region)
	dir := filepath.Join(t.cfg.Delivery.Dir, "AWSLogs", plain(at.account), "CloudTrail", region, now.Format("2006/01/02"))
	name := fmt.Sprintf("%s_CloudTrail_%s_%s_%s.json.gz", plain(at.account), region, now.Format("20060102T1504Z"), rand.Text()[:16])
	if err = os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of log files: %w", err)
	}
	draft, err := os.CreateTemp(dir, ".unfinished-*") // mode 0600
	if err != nil {
		return fmt.Errorf("making a log file: %w", err)
	}
	_, err = draft.Write(f.content.Bytes())
	if err == nil {
		err = draft.Sync()
	}
	err = errors.Join(err, draft.Close())
	if err == nil {
		err = os.Rename(draft.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing log file %s: %w", name, err), os.Remove(draft.Name()))
	}
	// The folders above may be new, too.
	for d := dir; ; d = filepath.Dir(d) {
		if err := syncDir(d); err != nil {
			return fmt.Errorf("writing log file %s: %w", name, err)
		}
		if d == filepath.Clean(t.cfg.Delivery.Dir) || d == filepath.Dir(d) {
			return nil
		}
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// plain is a part of a path: the region is the client's word.
func plain(s string) string {
	clean := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' {
			return c
		}
		return '_'
	}, s)
	return clean[:min(64, len(clean))]
}
