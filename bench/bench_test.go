package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"souk/storage/store"
)

func TestAnswersThatTheClientReads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		status     int
		body       string
		size       int
	}{
		{"with a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "", 5},
		{"in chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 200, "", 5},
		{"without a body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", 0},
		{"a refusal", "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nhello", 403, "hello", 5},
		{"a refusal in chunks", "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 403, "hello", 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := bufio.NewReader(strings.NewReader(c.text + "next"))
			status, body, size, err := answer(in)
			if err != nil || status != c.status || string(body) != c.body || size != c.size {
				t.Errorf("got %d, %q, %d, %v, want %d, %q, %d", status, body, size, err, c.status, c.body, c.size)
			}
			rest := make([]byte, 4)
			_, err = in.Read(rest)
			if err != nil || string(rest) != "next" {
				t.Errorf("behind the answer stands %q, %v", rest, err)
			}
		})
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "HTTP/1.1\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"} {
		_, _, _, err := answer(bufio.NewReader(strings.NewReader(text)))
		if err == nil {
			t.Errorf("answer(%q): no error", text)
		}
	}
}

// TestCopiesOfTemplates: what is loaded must be what the engine would write,
// each with an id of its own.
func TestCopiesOfTemplates(t *testing.T) {
	t.Parallel()
	made, err := makeTemplates(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := openSQLite(t.Context(), filepath.Join(t.TempDir(), "copies.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const n = 1200
	err = made.fill(t.Context(), s, n)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 1, n - 1} {
		d, err := s.Get(t.Context(), store.Key{Kind: "entity", ID: productID(i)})
		if err != nil {
			t.Fatalf("product %d: %v", i, err)
		}
		if !bytes.Contains(d.Body, []byte(`"Bench product `)) || bytes.Contains(d.Body, []byte(made.entity.ID)) {
			t.Errorf("product %d: its body is %s", i, d.Body)
		}
	}
	for i := range 100 {
		err = s.Commit(t.Context(), made.another(i+1))
		if err != nil {
			t.Fatalf("copy %d of StartChangeSet's batch: %v", i+1, err)
		}
	}
}

func TestTheMemoryOfAFamilyIsThatOfItsChildrenToo(t *testing.T) {
	t.Parallel()
	child := exec.Command("cat")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	err = child.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		if err := child.Wait(); err != nil {
			t.Error(err)
		}
	}()
	all, err := family(os.Getpid())
	if err != nil || all[0] != os.Getpid() || !slices.Contains(all, child.Process.Pid) {
		t.Errorf("the family of %d with child %d is %v, %v", os.Getpid(), child.Process.Pid, all, err)
	}
	total, err := familyMemory(os.Getpid())
	if err != nil || total < 1<<20 {
		t.Errorf("the family has %d bytes, %v", total, err)
	}
	const none = 1 << 30 // no process has such a number
	_, err = familyMemory(none)
	if err == nil {
		t.Error("a process that is not there has memory")
	}
}

func TestThePackageThatIsInstalledIsOne(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	err := writeDeb(&b)
	if err != nil {
		t.Fatal(err)
	}
	rest, ok := strings.CutPrefix(b.String(), "!<arch>\n")
	if !ok {
		t.Fatalf("it begins with %.20q", b.String())
	}
	files := map[string]int{}
	for _, name := range []string{"debian-binary", "control.tar.gz", "data.tar.gz"} {
		size, err := strconv.Atoi(strings.TrimSpace(rest[48:58]))
		if err != nil || strings.TrimSpace(rest[:16]) != name || rest[58:60] != "`\n" {
			t.Fatalf("the header of %s is %q, %v", name, rest[:60], err)
		}
		content := rest[60 : 60+size]
		rest = rest[60+size+size%2:]
		if !strings.HasSuffix(name, ".gz") {
			continue
		}
		z, err := gzip.NewReader(strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		for r := tar.NewReader(z); ; files[name]++ {
			_, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	if rest != "" || files["data.tar.gz"] < productFiles || files["control.tar.gz"] < 3 {
		t.Errorf("it has %v files, and %q behind them", files, rest)
	}
}
