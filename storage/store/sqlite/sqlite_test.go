package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"souk/storage/store"
	"souk/storage/store/sqlite"
	"souk/storage/store/storetest"
)

// crashing is the environment variable by which this program is told to be
// the one that is killed: it names the database.
const crashing = "SOUK_TEST_CRASHING_STORE"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashing); path != "" {
		writeUntilKilled(path)
		return
	}
	os.Exit(m.Run())
}

func open(t testing.TB, config sqlite.Config) *sqlite.Store {
	t.Helper()
	if config.Path == "" {
		config.Path = filepath.Join(t.TempDir(), "store.db")
	}
	s, err := sqlite.Open(t.Context(), config)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, sqlite.Config{}) })
}

func TestStoreWithoutCache(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, sqlite.Config{CacheBytes: -1}) })
}

func TestStoreWithACacheThatIsAlwaysFull(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, sqlite.Config{CacheBytes: 6000, Readers: 1}) })
}

// writeUntilKilled commits from several goroutines and prints a line for each
// commit that was answered, until the process is killed.
func writeUntilKilled(path string) {
	s, err := sqlite.Open(context.Background(), sqlite.Config{Path: path})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var mu sync.Mutex // guards the output: a line is printed whole
	var all sync.WaitGroup
	run := rand.Uint64()
	for writer := range 8 {
		all.Go(func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%x-%d-%d", run, writer, n)
				b := store.Batch{Put: []store.Write{
					{Document: document("pair", id+"-a")},
					{Document: document("pair", id+"-b")},
					{Document: document("counter", fmt.Sprint(writer)), Was: store.Any},
				}}
				if err := s.Commit(context.Background(), b); err != nil {
					fmt.Println("error", err)
					return
				}
				mu.Lock()
				fmt.Println("done", id)
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

func document(kind, id string) store.Document {
	return store.Document{
		Key:   store.Key{Kind: kind, ID: id},
		Body:  []byte("body of " + id + strings.Repeat(".", len(id)*37%3000)),
		Index: []store.Entry{{Index: "all", Sort: id}},
	}
}

func TestCommitsThatWereAnsweredOutliveAKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	var answered []string
	for range 4 {
		answered = append(answered, killWriter(t, path, 50+rand.IntN(300))...)
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
		if err != nil {
			t.Fatalf("open after the kill: %v", err)
		}
		for _, id := range answered {
			for _, half := range []string{"-a", "-b"} {
				want := document("pair", id+half)
				d, err := s.Get(t.Context(), want.Key)
				if err != nil || string(d.Body) != string(want.Body) {
					t.Fatalf("%s was answered: got %.30q, %v", want.ID, d.Body, err)
				}
			}
		}
		checkWhole(t, s)
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	checkFile(t, path)
}

// killWriter lets a process write until it has printed a number of answers,
// kills it and returns all that it printed.
func killWriter(t *testing.T, path string, answers int) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashing+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var done []string
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // a last line without its end was not printed whole
		}
		what, id, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if what != "done" {
			t.Fatalf("the writer says %q", line)
		}
		if done = append(done, id); len(done) == answers {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the writer ended by itself")
	}
	if len(done) < answers {
		t.Fatalf("the writer gave %d answers", len(done))
	}
	return done
}

// checkWhole checks that batches are there whole, and that the index has what
// the documents say.
func checkWhole(t *testing.T, s *sqlite.Store) {
	t.Helper()
	q := store.Query{Kind: "pair", Index: "all", Limit: 1000}
	var before string
	for n := 0; ; {
		p, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		for _, d := range p.Documents {
			if _, err := s.Get(t.Context(), d.Key); err != nil {
				t.Fatalf("%s is listed: %v", d.ID, err)
			}
			if n++; n%2 == 0 && strings.TrimSuffix(d.ID, "b") != strings.TrimSuffix(before, "a") {
				t.Fatalf("half of a batch: %s stands behind %s", d.ID, before)
			}
			before = d.ID
		}
		if q.After = p.Next; !p.More {
			if n%2 != 0 {
				t.Fatalf("half of a batch: %s stands alone", before)
			}
			return
		}
	}
}

// checkFile lets SQLite check its own file, and compares the two tables.
func checkFile(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var says string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&says); err != nil || says != "ok" {
		t.Errorf("integrity check: %q, %v", says, err)
	}
	for what, count := range map[string]string{
		"entries without a document":  `SELECT count(*) FROM entry WHERE document NOT IN (SELECT number FROM document)`,
		"contents without a document": `SELECT count(*) FROM content WHERE number NOT IN (SELECT number FROM document)`,
		"documents without a content": `SELECT count(*) FROM document WHERE number NOT IN (SELECT number FROM content)`,
	} {
		var n int
		if err := db.QueryRow(count).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d, %v", what, n, err)
		}
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	open(t, sqlite.Config{Path: path}).Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if !errors.Is(err, store.ErrNewerSchema) || !strings.Contains(err.Error(), "version 9999") || !strings.Contains(err.Error(), "up to 2") {
		t.Errorf("got %v", err)
	}
}

func TestADatabaseWithoutTermsIsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, sqlite.Config{Path: path})
	if err := s.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: document("k", "a")}}}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`DROP TABLE term_instance; DROP TABLE term; DELETE FROM goose_db_version WHERE version_id > 1`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, sqlite.Config{Path: path})
	if err := s.SetTerms(t.Context(), []store.Terms{{Key: store.Key{Kind: "k", ID: "a"}, Revision: 1, Terms: []string{"x"}}}); err != nil {
		t.Fatal(err)
	}
	found, whole, err := s.Find(t.Context(), store.Search{Kind: "k", All: [][]string{{"x"}}, Limit: 1})
	if err != nil || !whole || len(found) != 1 {
		t.Errorf("found %v, whole %v, %v", found, whole, err)
	}
}

func TestWhatWasWrittenIsThereAfterReopening(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	for i := range int64(3) {
		s := open(t, sqlite.Config{Path: path})
		d := document("k", "a")
		if err := s.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: d, Was: i}, {Document: document("k", fmt.Sprint(i))}}}); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		if p, err := s.List(t.Context(), store.Query{Kind: "k", Index: "all", Limit: 10}); err != nil || len(p.Documents) != int(i)+2 {
			t.Fatalf("round %d: got %+v, %v", i, p, err)
		}
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
}

func TestOnlyTheOwnerMayReadTheFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data", "of it")
	path := filepath.Join(dir, "store ?#%20&mode=memory.db")
	s := open(t, sqlite.Config{Path: path})
	if err := s.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: document("k", "a")}}}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{
		dir: 0o700 | os.ModeDir, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600,
	} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode(); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	s.Close()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, sqlite.Config{Path: path})
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("a file that all may read: got %v, %v", info.Mode(), err)
	}
}

func TestOpenOfWhatIsNoDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is a text, no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"a text": text, "a folder": dir, "nothing": ""} {
		if s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path}); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

func TestADocumentThatIsTooLargeHurtsNoOther(t *testing.T) {
	t.Parallel()
	s := open(t, sqlite.Config{})
	huge := document("k", "huge")
	huge.Body = make([]byte, 901_000_000)
	got := make([]error, 9)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() {
			d := document("k", fmt.Sprint(i))
			if i == 4 {
				d = huge
			}
			got[i] = s.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: document("beside", fmt.Sprint(i))}, {Document: d}}})
		})
	}
	all.Wait()
	for i, err := range got {
		if (err != nil) != (i == 4) {
			t.Errorf("commit %d: got %v", i, err)
		}
		if _, err := s.Get(t.Context(), store.Key{Kind: "beside", ID: fmt.Sprint(i)}); (err != nil) != (i == 4) {
			t.Errorf("get %d: got %v", i, err)
		}
	}
}

func TestTheClockIsTheGivenOne(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, sqlite.Config{Clock: func() time.Time { return now }})
	d := document("k", "a")
	d.Due = now.Add(time.Minute)
	if err := s.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: d}}}); err != nil {
		t.Fatal(err)
	}
	if docs, err := s.Claim(t.Context(), "k", 1, "me", time.Hour); err != nil || len(docs) != 0 {
		t.Errorf("before its time: got %d, %v", len(docs), err)
	}
	now = now.Add(time.Minute)
	docs, err := s.Claim(t.Context(), "k", 1, "me", time.Hour)
	if err != nil || len(docs) != 1 || !docs[0].Due.Equal(now.Add(time.Hour)) {
		t.Errorf("at its time: got %+v, %v", docs, err)
	}
}
