package logo

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"souk/catalog/change"
	"souk/egress/fetch"
	"souk/storage/blob"
)

type ring struct{}

func (ring) MAC(purpose string, data []byte) []byte {
	h := hmac.New(sha256.New, []byte(purpose))
	h.Write(data)
	return h.Sum(nil)
}

func (r ring) Verify(purpose string, data, mac []byte) bool {
	return hmac.Equal(r.MAC(purpose, data), mac)
}

func picture(w, h int) image.Image {
	img := image.NewGray(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = uint8(i / 7)
	}
	return img
}

func pngOf(t testing.TB, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, picture(w, h)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(t testing.TB, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture(w, h), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// claiming is a PNG that says it is of another size.
func claiming(t testing.TB, w, h uint32) []byte {
	b := bytes.Clone(pngOf(t, 120, 120))
	binary.BigEndian.PutUint32(b[16:], w)
	binary.BigEndian.PutUint32(b[20:], h)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

func TestCopyFetchesChecksAndKeeps(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	files := map[string][]byte{"/a.png": pngOf(t, 200, 200), "/b.jpg": jpegOf(t, 400, 200)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path == "/broken" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		b, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html") // nobody is asked what it is
		w.Write(b)
	}))
	t.Cleanup(server.Close)
	public, err := url.Parse("https://souk.example")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := blob.New(blob.Config{Root: filepath.Join(t.TempDir(), "blobs"), PublicURL: public, Keyring: ring{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kept.Close() })
	logos := New(Config{
		Fetcher: fetch.New(fetch.Config{MaxBytes: MaxBytes, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}),
		Keeper:  kept,
	})
	for path, extension := range map[string]string{"/a.png": ".png", "/b.jpg": ".jpg"} {
		first, err := logos.Copy(t.Context(), server.URL+path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		again, err := logos.Copy(t.Context(), server.URL+path)
		if err != nil || again != first {
			t.Errorf("%s again: %s, %v, want %s", path, again, err, first)
		}
		// Shown by one product, it may be named by another: nobody answers at souk.example.
		if own, err := logos.Copy(t.Context(), first); err != nil || own != first {
			t.Errorf("%s from its own copy: %s, %v, want %s", path, own, err, first)
		}
		u, err := url.Parse(first)
		if err != nil || !strings.HasPrefix(first, "https://souk.example/logos/") || !strings.HasSuffix(first, extension) {
			t.Errorf("%s is kept at %s, %v", path, first, err)
			continue
		}
		w := httptest.NewRecorder()
		kept.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, u.Path, nil))
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "image/") {
			t.Errorf("%s: the copy answers %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
		if _, _, err := image.Decode(w.Body); err != nil {
			t.Errorf("%s: the copy is no picture: %v", path, err)
		}
	}
	if _, err := logos.Copy(t.Context(), public.String()+"/logos/"+strings.Repeat("a", 64)+".png"); err == nil {
		t.Error("a logo of our own that is not kept: no error")
	}
	files["/small.png"], files["/page.png"] = pngOf(t, 10, 10), []byte("<html>")
	for path, want := range map[string]error{"/none.png": change.ErrLogoUnreachable, "/small.png": change.ErrLogoNotSupported, "/page.png": change.ErrLogoNotSupported} {
		if _, err := logos.Copy(t.Context(), server.URL+path); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	for _, address := range []string{"http://10.0.0.1/a.png", "http://169.254.169.254/", "file:///etc/passwd", "x"} {
		if _, err := logos.Copy(t.Context(), address); !errors.Is(err, change.ErrLogoUnreachable) {
			t.Errorf("%s: %v, want ErrLogoUnreachable", address, err)
		}
	}
	_, err = logos.Copy(t.Context(), "http://10.0.0.1:8080/a.png?X-Amz-Signature=secret")
	if err == nil || !strings.Contains(err.Error(), `host "10.0.0.1:8080"`) || !strings.Contains(err.Error(), "--fetch-allow") || strings.Contains(err.Error(), "secret") {
		t.Errorf("an inner address: %v, want the host, what opens it, and no query", err)
	}
	if _, err := logos.Copy(t.Context(), server.URL+"/broken"); err == nil || errors.Is(err, change.ErrLogoUnreachable) || errors.Is(err, change.ErrLogoNotSupported) {
		t.Errorf("server in trouble: %v, want an error that is tried again", err)
	}
}

func TestSizesAndRatios(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		w, h int
		want bool
	}{
		{110, 110, true}, {120, 60, true}, {640, 320, true}, {640, 640, true}, {300, 200, true}, {221, 110, true}, {1280, 1280, true}, {2048, 1024, true}, {120, 121, true},
		{109, 109, false}, {100, 50, false}, {120, 240, false}, {330, 110, false}, {1, 1, false}, {2049, 1025, false}, {120, 122, false}, {226, 110, false},
	} {
		for kind, file := range map[string][]byte{"PNG": pngOf(t, c.w, c.h), "JPEG": jpegOf(t, c.w, c.h)} {
			_, _, err := check(file)
			if got := err == nil; got != c.want || !got && !errors.Is(err, change.ErrLogoNotSupported) {
				t.Errorf("%s of %d x %d: %v, want taken %t", kind, c.w, c.h, err, c.want)
			}
		}
	}
}

func TestFilesThatAreNoLogos(t *testing.T) {
	t.Parallel()
	var moving bytes.Buffer
	if err := gif.Encode(&moving, picture(200, 200), nil); err != nil {
		t.Fatal(err)
	}
	whole := pngOf(t, 200, 200)
	for what, file := range map[string][]byte{
		"empty":            nil,
		"text":             []byte("hello"),
		"SVG":              []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="200" height="200"><script>alert(1)</script></svg>`),
		"GIF":              moving.Bytes(),
		"PNG cut off":      whole[:len(whole)/2],
		"PNG header":       whole[:20],
		"JPEG header":      []byte("\xff\xd8\xff\xe0"),
		"claims 2^31":      claiming(t, 1<<31-1, 1<<31-1),
		"claims 65,535":    claiming(t, 65535, 65535),
		"claims 4,000":     claiming(t, 4000, 4000),
		"claims no pixels": claiming(t, 0, 0),
	} {
		if _, _, err := check(file); !errors.Is(err, change.ErrLogoNotSupported) {
			t.Errorf("%s: %v, want ErrLogoNotSupported", what, err)
		}
	}
}

func TestWhatIsBehindThePictureIsNotKept(t *testing.T) {
	t.Parallel()
	const secret = "<script>alert(1)</script>"
	for kind, file := range map[string][]byte{"PNG": pngOf(t, 200, 200), "JPEG": jpegOf(t, 200, 200)} {
		kept, _, err := check(append(file, secret...))
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if bytes.Contains(kept, []byte(secret)) {
			t.Errorf("%s: the copy has what stood behind the picture", kind)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(pngOf(f, 120, 120))
	f.Add(jpegOf(f, 120, 120))
	f.Add([]byte("GIF89a"))
	f.Fuzz(func(t *testing.T, file []byte) {
		_, extension, err := check(file)
		if err == nil && extension != ".png" && extension != ".jpg" || err != nil && !errors.Is(err, change.ErrLogoNotSupported) {
			t.Errorf("%q, %v", extension, err)
		}
	})
}
