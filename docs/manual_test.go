package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("reading %s: %v", name, err)
	}
	return string(b)
}

// TestEverySettingIsInTheManual reads the flags from the tags of server.Config
// and the other settings of serve.
func TestEverySettingIsInTheManual(t *testing.T) {
	t.Parallel()
	manual := read(t, "operating.md")
	flag := regexp.MustCompile(`name:"([a-z-]+)"`)
	for _, file := range []string{"../server/config.go", "../cmd/souk/serve.go"} {
		found := flag.FindAllStringSubmatch(read(t, file), -1)
		if len(found) == 0 {
			t.Errorf("%s declares no settings", file)
		}
		for _, m := range found {
			variable := "SOUK_" + strings.ToUpper(strings.ReplaceAll(m[1], "-", "_"))
			if !strings.Contains(manual, "`--"+m[1]+"`") || !strings.Contains(manual, "`"+variable+"`") {
				t.Errorf("operating.md does not explain --%s and %s (%s)", m[1], variable, file)
			}
		}
	}
}

// TestLinksBetweenDocumentsLeadSomewhere looks at links to files, not to the network.
func TestLinksBetweenDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatalf("listing documents: %v", err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, page := range append(pages, "../README.md") {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			target := filepath.Join(filepath.Dir(page), m[1])
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
		}
	}
}

// TestEveryRoomIsOnTheMap: design.md names every room that has code.
func TestEveryRoomIsOnTheMap(t *testing.T) {
	t.Parallel()
	design := read(t, "design.md")
	for room := range edges {
		last := room[strings.LastIndex(room, "/")+1:]
		if !strings.Contains(design, last) {
			t.Errorf("design.md does not name the room %s", room)
		}
	}
}
