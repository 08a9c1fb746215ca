package logo

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"souk/catalog/change"
	"souk/egress/fetch"
	"souk/storage/blob"
)

const smallSVG = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20" viewBox="0 0 40 20"><path d="M0 0h40v20z" fill="#0e7f74"></path></svg>`

// market serves files to a Branding that keeps copies.
type market struct {
	branding *Branding
	kept     *blob.Store
	server   *httptest.Server
}

func newMarket(t *testing.T, files map[string][]byte) market {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Write(b)
	}))
	t.Cleanup(server.Close)
	kept, err := blob.New(blob.Config{Root: filepath.Join(t.TempDir(), "blobs"), PublicURL: &url.URL{Scheme: "https", Host: "souk.example"}, Keyring: ring{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kept.Close() })
	return market{NewBranding(Config{
		Fetcher: fetch.New(fetch.Config{MaxBytes: MaxBytes, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}),
		Keeper:  kept,
	}), kept, server}
}

func TestLogosOfPrivateMarketplacesAreMadeSmall(t *testing.T) {
	t.Parallel()
	m := newMarket(t, map[string][]byte{
		"/wide.png": pngOf(t, 640, 320), "/flat.png": pngOf(t, 1000, 30), "/fits.png": pngOf(t, 60, 30), "/line.png": pngOf(t, 2000, 1),
		"/small.svg": []byte(smallSVG),
		"/large.svg": []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2000 300"><rect width="5"/></svg>`),
	})
	for name, size := range map[string]image.Point{
		"/wide.png": {60, 30}, "/flat.png": {100, 3}, "/fits.png": {60, 30}, "/line.png": {100, 1}, "/small.svg": {}, "/large.svg": {},
	} {
		url, err := m.branding.Copy(t.Context(), m.server.URL+name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// Shown by one experience, it may be named by another, also when the origin is gone.
		if again, err := m.branding.Copy(t.Context(), url); err != nil || again != url {
			t.Errorf("%s from its own copy: %s, %v, want %s", name, again, err, url)
		}
		content, err := m.kept.Get(t.Context(), blob.Logos, path.Base(url))
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		m.kept.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/logos/"+path.Base(url), nil))
		if strings.HasSuffix(name, ".svg") {
			if !bytes.HasPrefix(content, []byte("<svg ")) || w.Header().Get("Content-Type") != "image/svg+xml" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "sandbox") {
				t.Errorf("%s is kept as %s, served with %v", name, content, w.Header())
			}
			continue
		}
		got, err := png.DecodeConfig(bytes.NewReader(content))
		if err != nil || got.Width != size.X || got.Height != size.Y || w.Header().Get("Content-Type") != "image/png" {
			t.Errorf("%s is kept with %d x %d pixels, %v, want %v", name, got.Width, got.Height, err, size)
		}
	}
	if got, _ := drawing([]byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2000 300"/>`)); !strings.Contains(string(got), `width="100" height="15" viewBox="0 0 2000 300"`) {
		t.Errorf("the large drawing is %s", got)
	}
}

func TestScalingKeepsColoursAndHoles(t *testing.T) {
	t.Parallel()
	red := color.NRGBA{R: 200, G: 30, B: 10, A: 255}
	img := image.NewNRGBA(image.Rect(0, 0, 200, 60))
	for y := range 60 {
		for x := range 100 { // the right half is transparent
			img.SetNRGBA(x, y, red)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	small, err := reduced(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	got, err := png.Decode(bytes.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	if left := color.NRGBAModel.Convert(got.At(20, 15)); left != red {
		t.Errorf("the left half is %v, want %v", left, red)
	}
	if _, _, _, alpha := got.At(80, 15).RGBA(); alpha != 0 {
		t.Errorf("the right half has alpha %d", alpha)
	}
}

func TestWhatIsNoLogoOfAPrivateMarketplace(t *testing.T) {
	t.Parallel()
	large := func(n int) []byte {
		return []byte(strings.Replace(smallSVG, "M0 0", "M0 0"+strings.Repeat(" ", n), 1))
	}
	m := newMarket(t, map[string][]byte{
		"/photo.jpg": jpegOf(t, 60, 30), "/page.svg": []byte("<!DOCTYPE html><html><body></body></html>"), "/text.png": []byte("no image"),
		"/bomb.png": claiming(t, 60_000, 60_000), "/cut.png": pngOf(t, 60, 30)[:100], "/empty.png": {},
		"/large.svg": large(BrandingBytes), "/huge.svg": large(MaxBytes),
		"/utf16.svg": []byte("\xff\xfe<\x00s\x00"), "/latin1.svg": []byte(`<?xml version="1.0" encoding="ISO-8859-1"?>` + smallSVG),
		"/entity.svg": []byte(`<!DOCTYPE svg [<!ENTITY a "aaaa">]><svg xmlns="http://www.w3.org/2000/svg"><text>&a;</text></svg>`),
		"/noname.svg": []byte(`<svg><path d="M0 0"/></svg>`), "/two.svg": []byte(smallSVG + smallSVG),
		"/deep.svg": []byte(strings.Repeat(`<svg xmlns="http://www.w3.org/2000/svg">`, 100) + strings.Repeat(`</svg>`, 100)),
		"/many.svg": []byte(`<svg xmlns="http://www.w3.org/2000/svg">` + strings.Repeat(`<g/>`, svgElements+1) + `</svg>`),
		"/open.svg": []byte(`<svg xmlns="http://www.w3.org/2000/svg"><g>`),
	})
	for _, name := range []string{"/photo.jpg", "/page.svg", "/text.png", "/bomb.png", "/cut.png", "/empty.png", "/large.svg", "/huge.svg",
		"/utf16.svg", "/latin1.svg", "/entity.svg", "/noname.svg", "/two.svg", "/deep.svg", "/many.svg", "/open.svg"} {
		if _, err := m.branding.Copy(t.Context(), m.server.URL+name); !errors.Is(err, change.ErrLogoNotSupported) {
			t.Errorf("%s: %v, want ErrLogoNotSupported", name, err)
		}
	}
	for _, address := range []string{m.server.URL + "/missing.png", "ftp://example.com/a.png", "https://souk.example/logos/" + strings.Repeat("a", 64) + ".png", "http://169.254.169.254/"} {
		if _, err := m.branding.Copy(t.Context(), address); !errors.Is(err, change.ErrLogoUnreachable) && !strings.Contains(address, "souk.example") {
			t.Errorf("%s: %v, want ErrLogoUnreachable", address, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.branding.Copy(ended, m.server.URL+"/page.svg"); err == nil || errors.Is(err, change.ErrLogoNotSupported) {
		t.Errorf("after the end of the request: %v, want a failure that blames nobody", err)
	}
}

// attacks are drawings with something in them that must not be kept, each with
// what must be gone.
var attacks = map[string]struct{ svg, gone string }{
	"script":                     {`<script>alert(1)</script>`, "alert"},
	"script in CDATA":            {`<script><![CDATA[alert(1)]]></script>`, "alert"},
	"script with a prefix":       {`<s:script xmlns:s="http://www.w3.org/2000/svg">alert(1)</s:script>`, "alert"},
	"script of XHTML":            {`<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>`, "alert"},
	"event handler":              {`<g onload="alert(1)"/>`, "alert"},
	"event handler in capitals":  {`<g ONLOAD="alert(1)"/>`, "alert"},
	"link":                       {`<a href="javascript:alert(1)"><g/></a>`, "alert"},
	"embedded page":              {`<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><iframe src="https://evil.example"/></body></foreignObject>`, "evil"},
	"embedded picture":           {`<image href="data:image/png;base64,AAAA"/>`, "AAAA"},
	"picture elsewhere":          {`<image xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="https://evil.example/a.png"/>`, "evil"},
	"use of another file":        {`<use href="https://evil.example/a.svg#x"/>`, "evil"},
	"use upon use":               {`<g id="a"/><use href="#a"/>`, "use"},
	"fill of another file":       {`<path fill="url(https://evil.example/a.svg#x)"/>`, "evil"},
	"fill, quoted":               {`<path fill="URL( '//evil.example/a.svg#x')"/>`, "evil"},
	"fill, escaped":              {`<path fill="u\72l(evil.svg)"/>`, "evil"},
	"style with an address":      {`<path style="fill:red;background:url(evil.png)"/>`, "evil"},
	"style sheet that imports":   {`<style>@import "evil.css";</style>`, "evil"},
	"style sheet with a font":    {`<style>@font-face{src:url(evil.woff)}</style>`, "evil"},
	"style sheet with image-set": {`<style>path{fill:image-set("evil.png" 1x)}</style>`, "evil"},
	"style sheet, split":         {`<style>path{fill:u/**/rl(evil.png)}</style>`, "evil"},
	"style sheet with elements":  {`<style><g>evil</g></style>`, "evil"},
	"animation":                  {`<animate attributeName="href" to="javascript:alert(1)"/>`, "alert"},
	"set":                        {`<set attributeName="onload" to="alert(1)"/>`, "alert"},
	"gradient elsewhere":         {`<linearGradient href="https://evil.example/a.svg#x"/>`, "evil"},
	"base":                       {`<g xml:base="https://evil.example/"/>`, "evil"},
	"pattern":                    {`<pattern id="evil"><g/></pattern>`, "evil"},
	"filter":                     {`<filter><feImage href="evil.png"/></filter>`, "evil"},
	"style sheet of a file":      {`<?xml-stylesheet href="evil.css"?>`, "evil"},
	"comment":                    {`<!-- evil -->`, "evil"},
	"text that looks like more":  {`<title>&lt;script&gt;</title>`, "<script>"},
	"quote in a value":           {`<path id='"&gt;&lt;script&gt;'/>`, "<script>"},
	"clip path in a clip path":   {`<clipPath id="a"><path clip-path="url(#b)" style="Clip-Path:url(#evil)"/></clipPath>`, `(#`},
}

func TestDrawingsLoseWhatCouldHarm(t *testing.T) {
	t.Parallel()
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := drawing([]byte(`<svg xmlns="http://www.w3.org/2000/svg">` + attack.svg + `<path d="M1 1"/></svg>`))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(got), attack.gone) || !strings.Contains(string(got), `<path d="M1 1"></path>`) {
				t.Errorf("it is kept as %s", got)
			}
		})
	}
}

func TestDrawingsKeepWhatIsSeen(t *testing.T) {
	t.Parallel()
	got, err := drawing([]byte("\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" \"http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd\">\n" +
		`<!-- made by hand --><svg:svg xmlns:svg="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="2in" height="96px" version="1.1">
		<svg:style>.a { fill: #0e7f74 } .b{fill:url(#g)}</svg:style>
		<svg:defs><svg:linearGradient id="h"><svg:stop offset="0" stop-color="rgb(1,2,3)"/></svg:linearGradient><svg:linearGradient id="g" xlink:href="#h"/></svg:defs>
		<svg:path class="a" transform="translate(1 2)" d="M0 0"/><svg:text x="1" font-family="Arial">A &amp; B</svg:text></svg:svg>`))
	if err != nil {
		t.Fatal(err)
	}
	want := `<svg xmlns="http://www.w3.org/2000/svg" version="1.1" width="60" height="30" viewBox="0 0 192 96">` +
		`<style>.a { fill: #0e7f74 } .b{fill:url(#g)}</style>` +
		`<defs><linearGradient id="h"><stop offset="0" stop-color="rgb(1,2,3)"></stop></linearGradient><linearGradient id="g" href="#h"></linearGradient></defs>` +
		`<path class="a" transform="translate(1 2)" d="M0 0"></path><text x="1" font-family="Arial">A &amp; B</text></svg>`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// FuzzDrawing: whatever comes, what is kept is read again as itself, and has
// nothing in it that browsers run or load.
func FuzzDrawing(f *testing.F) {
	f.Add([]byte(smallSVG))
	for _, attack := range attacks {
		f.Add([]byte(`<svg xmlns="http://www.w3.org/2000/svg" width="1e3" height="5mm">` + attack.svg + `</svg>`))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		once, err := drawing(file)
		if err != nil {
			if !errors.Is(err, change.ErrLogoNotSupported) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		twice, err := drawing(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s\nread again is\n%s, %v", once, twice, err)
		}
		lower := strings.ToLower(string(once))
		for _, tag := range []string{"<script", "<foreignobject", "<image", "<use", "<a ", "<a>", "<iframe", "<animate", "<set", "<!", "<?", "<s:"} {
			if strings.Contains(lower, tag) {
				t.Errorf("%s is in %s", tag, once)
			}
		}
	})
}
