// Command bench measures Souk and prints one table: each row beside the floor
// that it is compared with, measured in the same run on the same machine.
//
//	floor 1   net/http with a constant body of the same size
//	floor 2   floor 1, and the signature of every request is verified
//	floor 3   the batch that StartChangeSet commits, on the bare store
//
// Builds of images are compared with the same installer in a plain chroot and
// with buildah, image builders with their machine alone and with runc.
//
// Server and floors are processes of their own; all requests are signed, by the
// SDK's signer and before the measurement, and the answers are read by a client
// that does little else, since it shares the processors with the server.
//
// With CGO_ENABLED=0, as make bench has it, server and machines run a static
// program, which is what a release is: machines start sooner.
//
// It is no test: nothing fails by being slow, except that the exit status is 1
// if a target is missed and -strict is given.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"souk/artifact/machine/sandbox"
)

// settings are the flags of the bench.
type settings struct {
	entities int           // size of the large catalogue
	window   time.Duration // how long each row is measured
	only     string        // one of the values below, or "" for all
	folder   string        // where the data folders lie; the disk that is measured
	strict   bool
}

// Values of -only: for markets on one of the databases, for builds of images, and
// for image builders.
const (
	onlySQLite        = "sqlite"
	onlyPostgres      = "postgres"
	onlyBuilds        = "builds"
	onlyImageBuilders = "imagebuilders"
)

func main() {
	sandbox.Main(nil) // this program is started again as the first process of a machine
	var (
		s       settings
		seconds float64
		kind    string
		size    int
		key     string
	)
	flag.IntVar(&s.entities, "entities", 1_000_000, "entities in the large catalogue")
	flag.Float64Var(&seconds, "seconds", 3, "how long each row is measured")
	flag.StringVar(&s.only, "only", "", "measure only this: sqlite, postgres, builds or imagebuilders")
	flag.StringVar(&s.folder, "folder", os.TempDir(), "where the data folders are made: the disk that is measured")
	flag.BoolVar(&s.strict, "strict", false, "exit with 1 if a target is missed")
	flag.StringVar(&kind, "floor", "", "be the server of a floor (the bench starts itself so)")
	flag.IntVar(&size, "size", 0, "with -floor: size of the body")
	flag.StringVar(&key, "key", "", "with -floor: the access key; the secret is in BENCH_SECRET")
	flag.Parse()
	s.window = time.Duration(seconds * float64(time.Second))
	err := s.wrong()
	if err == nil && kind != "" {
		err = serveFloor(kind, size, key, os.Getenv("BENCH_SECRET"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	missed, err := run(ctx, s)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if missed > 0 && s.strict {
		os.Exit(1)
	}
}

func (s settings) wrong() error {
	switch {
	case !slices.Contains([]string{"", onlySQLite, onlyPostgres, onlyBuilds, onlyImageBuilders}, s.only):
		return fmt.Errorf("-only %q is none of sqlite, postgres, builds, imagebuilders", s.only)
	case s.entities < small:
		return fmt.Errorf("-entities %d is less than %d, the small catalogue", s.entities, small)
	case s.window <= 0:
		return errors.New("-seconds must be more than 0")
	}
	return nil
}
