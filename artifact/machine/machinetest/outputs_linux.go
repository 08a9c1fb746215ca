package machinetest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"

	"souk/artifact/machine"
)

// outputs are what a machine may do to whoever reads its output.
func outputs() []attack {
	return []attack{
		{"output: 10 GB", nil, nil, func(_ *suite, b *box) {
			mib, most := int64(10<<10), int64(256<<20)
			if raced || testing.Short() {
				mib = 1 << 10
			}
			var n int64
			count := writer(func(p []byte) (int, error) {
				// What the host keeps of it does not grow with it.
				if n>>30 != (n+int64(len(p)))>>30 {
					var m runtime.MemStats
					if runtime.ReadMemStats(&m); int64(m.HeapInuse) > most {
						b.t.Errorf("after %d bytes the host has %d in memory", n, m.HeapInuse)
						most = math.MaxInt64
					}
				}
				n += int64(len(p))
				return len(p), nil
			})
			r := b.runIn(b.t.Context(), machine.Cmd{Args: []string{"/attack", "flood", fmt.Sprint(mib)}, Stdout: count})
			if r.fault != nil || r.exit.Code != 0 || n != mib<<20 {
				b.t.Errorf("%+v, %v: %d bytes arrived", r.exit, r.fault, n)
			}
		}},
		{"output: its own pipe", nil, nil, func(_ *suite, b *box) {
			r := b.attack("reopen")
			if r.out != "the output goes on\n" {
				b.t.Errorf("%+v", r)
			}
			b.answers()
		}},
		{"output: a file of the host", nil, nil, func(_ *suite, b *box) {
			if r := b.try("readlink /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/0; : > /proc/self/fd/1; echo x >> /proc/self/fd/1"); r.fault != nil || strings.Contains(strings.ReplaceAll(r.out, "/dev/null", ""), "/") {
				b.t.Errorf("%+v", r)
			}
		}},
		{"output: closed", nil, nil, func(_ *suite, b *box) {
			if r := b.try("exec 1>&- 2>&- 0<&-; sleep 0.1; exit 3"); r.fault != nil || r.exit.Code != 3 {
				b.t.Errorf("%+v; want code 3", r)
			}
		}},
		{"output: one line without an end, and control characters", nil, nil, func(_ *suite, b *box) {
			r := b.try("head -c 5000000 /dev/zero; printf '\\033]0;x\\007\\033[2J\\377\\376\\000\\r\\r\\n'")
			if r.fault != nil || len(r.out) < 5000000 || r.out[5000000:] != "\033]0;x\a\033[2J\xff\xfe\x00\r\r\n" {
				b.t.Errorf("%d bytes, %+v, %v", len(r.out), r.exit, r.fault)
			}
		}},
		{"output: held by something in the background", nil, nil, func(_ *suite, b *box) {
			for range 2 {
				if r := b.try("(setsid sleep 1000 &) ; sleep 1000 & echo done"); r.fault != nil || r.out != "done\n" {
					b.t.Errorf("%+v", r)
				}
			}
		}},
		{"output: passed on to another program", nil, nil, func(_ *suite, b *box) {
			b.try("(setsid sh -c 'while sleep 0.05; do echo stray; done' &) ; sleep 0.1")
			if r := b.try("echo mine"); r.out != "mine\n" {
				b.t.Errorf("the output of one program is in that of the next: %q", r.out)
			}
			b.try("cat /proc/*/fd/* </dev/null >/dev/null 2>&1 & for p in /proc/[0-9]*/fd/1; do echo stray > $p & done 2>/dev/null; true")
			b.answers()
		}},
		{"output: two programs flood at a time and a third one speaks", nil, nil, func(_ *suite, b *box) {
			ctx, cancel := context.WithCancel(b.t.Context())
			defer cancel()
			for range 2 {
				up, w := io.Pipe()
				go b.runIn(ctx, machine.Cmd{Args: []string{"/attack", "flood", "1000000"}, Stdout: w})
				io.ReadFull(up, make([]byte, 1<<20)) //nolint:errcheck // and nobody reads on
				defer up.Close()
			}
			b.answers()
		}},
		{"input: nobody reads it", nil, nil, func(_ *suite, b *box) {
			ctx, cancel := context.WithCancel(b.t.Context())
			defer cancel()
			go b.runIn(ctx, machine.Cmd{Args: []string{"sleep", "1000"}, Stdin: endless{}})
			b.answers()
		}},
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// devices is a tar archive of device nodes.
func devices(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range []entry{dir("dev", 0o755), device("dev/sda", tar.TypeBlock, 8, 0), device("dev/vda", tar.TypeBlock, 254, 0), device("dev/mem", tar.TypeChar, 1, 1), device("dev/kmsg", tar.TypeChar, 1, 11)} {
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	return b.Bytes()
}

// ownProgramSum is the sum of the file that this process runs; zero if it can't be
// read any more.
func ownProgramSum() [32]byte {
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return [32]byte{}
	}
	return sha256.Sum256(b)
}
