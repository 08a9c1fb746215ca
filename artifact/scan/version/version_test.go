package version

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// ordered compares each version of a list, oldest first, with each other.
// Versions in one place are equal.
func ordered(t *testing.T, order Order, list [][]string) {
	t.Helper()
	for i, as := range list {
		for j, bs := range list {
			for _, a := range as {
				for _, b := range bs {
					if got, want := sign(order(a, b)), cmp.Compare(i, j); got != want {
						t.Errorf("%q against %q is %d, want %d", a, b, got, want)
					}
				}
			}
		}
	}
}

func sign(n int) int { return cmp.Compare(n, 0) }

func TestDebianOrderOfThePolicysExamples(t *testing.T) {
	t.Parallel()
	// "~~, ~~a, ~, the empty part, a" (Debian Policy 5.6.12), and epochs.
	ordered(t, Debian, [][]string{
		{"1.0~~"}, {"1.0~~a"}, {"1.0~", "1.0~0"}, {"1.0", "1.0-0", "0:1.0", "+0:1.0", "01.00"}, {"1.0-1"}, {"1.0a"}, {"1.0+b1"}, {"1.0.1"},
		{"1.2-3~deb12u1"}, {"1.2-3"}, {"1.2-3+b1"}, {"1.10"}, {"1.99999999999999999999999"}, {"1.100000000000000000000000"}, {"1:0.1"},
	})
}

func TestAlpineOrder(t *testing.T) {
	t.Parallel()
	ordered(t, Alpine, [][]string{
		{"0.1.0_alpha"}, {"0.1.0_alpha2"}, {"0.1.0_beta"}, {"0.1.0_pre1"}, {"0.1.0_rc1"}, {"0.1.0_rc2"}, {"0.1.0", "00.1.0"}, {"0.1.0-r1"}, {"0.1.0-r10"},
		{"0.1.0_git20200101"}, {"0.1.0_p1"}, {"0.1.0_p1-r1"}, {"0.1.0.1"}, {"0.1.1"}, {"0.1.1a"}, {"0.1.1b"}, {"0.1.2"}, {"0.1.10"}, {"1.1.1t-r2"}, {"3"}, {"3.0.7-r2"}, {"3.0.12-r0"}, {"10.0"},
	})
}

func TestGoOrder(t *testing.T) {
	t.Parallel()
	ordered(t, Go, [][]string{
		{"0.0.0-20200622213623-75b288015ac9"}, {"v0.17.0", "0.17.0"}, {"1.22.0-rc.1"}, {"1.22", "v1.22.0"}, {"1.22.3"}, {"v2.0.0+incompatible"},
	})
}

func TestReleasesOfGo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"go1.22.3": "1.22.3", "go1.23rc1": "1.23.0-rc.1", "go1.22.3 X:loopvar": "1.22.3", "go1.21.0-fips": "1.21.0",
		"devel go1.23-abc": "", "": "", "gofer": "",
	} {
		got, ok := GoRelease(text)
		if ok != (want != "") || ok && got != want {
			t.Errorf("the release of %q is %q, %t, want %q", text, got, ok, want)
		}
	}
}

func TestEcosystemsHaveTheOrderOfTheirManager(t *testing.T) {
	t.Parallel()
	for _, known := range []string{"Debian:12", "Ubuntu:22.04:LTS", "Alpine:v3.20", "Wolfi", "Go"} {
		if OrderOf(known) == nil {
			t.Errorf("%s has no order", known)
		}
	}
	if OrderOf("npm") != nil {
		t.Error("npm has an order")
	}
}

const (
	upstreamLetters = "0019aZz.+~"
	dpkgVersions    = 450 // 450 * 449 / 2 = 101,025 pairs
)

// debianVersion makes a version that dpkg accepts.
func debianVersion(r *rand.Rand) string {
	part := func(most int) string {
		b := make([]byte, r.IntN(most+1))
		for i := range b {
			b[i] = upstreamLetters[r.IntN(len(upstreamLetters))]
		}
		return string(b)
	}
	v := fmt.Sprint(r.IntN(3)) + part(6)
	if r.IntN(8) == 0 { // more digits than an integer holds
		v += "." + strings.Repeat(fmt.Sprint(1+r.IntN(9)), 18+r.IntN(6))
	}
	if r.IntN(4) == 0 {
		v = fmt.Sprint(r.IntN(2)) + ":" + v
	}
	if r.IntN(2) == 0 {
		v += "-" + part(4) + fmt.Sprint(r.IntN(2))
	}
	return v
}

// relation asks the system's dpkg whether "a OP b" holds.
func relation(t *testing.T, a, op, b string) bool {
	t.Helper()
	out, err := exec.Command("dpkg", "--compare-versions", a, op, b).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) || len(bytes.TrimSpace(out)) > 0 {
		t.Fatalf("dpkg --compare-versions %q %s %q: %v %s", a, op, b, err, out)
	}
	return err == nil
}

// TestDebianOrderIsThatOfDpkg sorts random versions by our order and lets dpkg
// say of each neighbours that they stand rightly. dpkg's order is transitive, so
// that decides all pairs of the list: more than 100,000. Where there is no dpkg
// the test of the policy's examples stands alone.
func TestDebianOrderIsThatOfDpkg(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Log("this machine has no dpkg")
		return
	}
	seed := uint64(os.Getpid())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	list := make([]string, dpkgVersions)
	for i := range list {
		list[i] = debianVersion(r)
		if i > 0 && r.IntN(2) == 0 {
			list[i] = list[i-1] + string(upstreamLetters[r.IntN(len(upstreamLetters))]) // near ones are harder
		}
	}
	slices.SortFunc(list, Debian)
	for i, b := range list[1:] {
		a, op := list[i], "lt"
		if Debian(a, b) == 0 {
			op = "eq"
		}
		if !relation(t, a, op, b) {
			t.Errorf("dpkg does not say that %q %s %q", a, op, b)
		}
	}
}

// FuzzDebian checks that the order is one: equal to itself, and turned round
// when its sides are.
func FuzzDebian(f *testing.F) {
	f.Add("1.0-1", "1.0~rc1-2")
	f.Add("1:2", ":")
	f.Fuzz(func(t *testing.T, a, b string) {
		anOrder(t, Debian, a, b)
	})
}

// FuzzAlpine does the same for apk's order.
func FuzzAlpine(f *testing.F) {
	f.Add("1.2.3_rc1-r0", "1.2.3~0a1b")
	f.Add("1._", "1.0a1")
	f.Fuzz(func(t *testing.T, a, b string) {
		anOrder(t, Alpine, a, b)
	})
}

func anOrder(t *testing.T, order Order, a, b string) {
	if sign(order(a, b)) != -sign(order(b, a)) {
		t.Errorf("%q and %q: %d and %d", a, b, order(a, b), order(b, a))
	}
	if order(a, a) != 0 {
		t.Errorf("%q differs from itself", a)
	}
}
