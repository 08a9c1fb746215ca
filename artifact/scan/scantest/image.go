// Package scantest checks scanners: what every change.Scanner of Souk must find,
// must not find, and must survive. It also builds the small images that such
// tests need, on the spot.
package scantest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"sync/atomic"

	"souk/artifact/scan"
	"souk/catalog/change"
)

// File is an entry of a layer. Without Type it is a file with Content.
type File struct {
	Name    string
	Content string
	Type    byte   // of archive/tar
	Link    string // target of links
}

// Tar is an archive of files as they are, also of such that no archive should have.
func Tar(files ...File) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.Name, Typeflag: f.Type, Linkname: f.Link, Mode: 0o644}
		if f.Type == 0 || f.Type == tar.TypeReg {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(f.Content))
		}
		err := w.WriteHeader(h)
		if err == nil && h.Size > 0 {
			_, err = io.WriteString(w, f.Content)
		}
		if err != nil {
			panic("scantest: writing " + f.Name + ": " + err.Error()) // to memory: only for names that tar has no form for
		}
	}
	if err := w.Close(); err != nil {
		panic("scantest: closing an archive: " + err.Error())
	}
	return b.Bytes()
}

// Gzip compresses bytes.
func Gzip(b []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed) // a level that there is
	_, _ = w.Write(b)                                 // to memory
	_ = w.Close()
	return out.Bytes()
}

// Digest is the digest of bytes.
func Digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// Raw is a layer of any bytes.
func Raw(b []byte) scan.Layer {
	return scan.Layer{Digest: Digest(b), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b)), nil
	}}
}

// Layer is a compressed layer of files.
func Layer(files ...File) scan.Layer { return Raw(Gzip(Tar(files...))) }

// Failing is a layer whose stream ends in an error after half of its bytes.
func Failing(err error, files ...File) scan.Layer {
	b := Tar(files...)
	return scan.Layer{Digest: Digest(b), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(b[:len(b)/2]), failing{err})), nil
	}}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Counted is a layer that counts how often it is opened.
func Counted(l scan.Layer, n *atomic.Int64) scan.Layer {
	open := l.Open
	l.Open = func(ctx context.Context) (io.ReadCloser, error) {
		n.Add(1)
		return open(ctx)
	}
	return l
}

// Image is an image of layers that runs as an ordinary user.
func Image(layers ...scan.Layer) scan.Image {
	id := ""
	for _, l := range layers {
		id += l.Digest
	}
	return scan.Image{Digest: Digest([]byte(id)), User: "1000", Layers: layers}
}

// Images is scan.Images of images by digest; what it has not is not found.
type Images map[string]scan.Image

// Add adds an image and returns its digest.
func (i Images) Add(image scan.Image) string {
	i[image.Digest] = image
	return image.Digest
}

// AMI implements scan.Images.
func (i Images) AMI(_ context.Context, a change.AMI) (scan.Image, error) {
	image, ok := i[a.Digest]
	if !ok {
		return scan.Image{}, change.ErrAMIUnreadable
	}
	return image, nil
}

// Container implements scan.Images.
func (i Images) Container(_ context.Context, _ change.Seller, _, digest string) ([]scan.Image, error) {
	image, ok := i[digest]
	if !ok {
		return nil, change.ErrImageNotFound
	}
	return []scan.Image{image}, nil
}

// Debian is the os-release and the package database of a Debian 12 that has one
// package, lamp of the source lamp-src.
func Debian(version string) []File {
	return []File{
		{Name: "usr/lib/os-release", Content: "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n"},
		{Name: "etc/os-release", Type: tar.TypeSymlink, Link: "../usr/lib/os-release"},
		Status(version),
	}
}

// Status is dpkg's database with one package, lamp.
func Status(version string) File {
	return File{Name: "var/lib/dpkg/status", Content: "Package: lamp\nStatus: install ok installed\nSource: lamp-src\nVersion: " + version + "\n\n"}
}

// Alpine is the os-release and the package database of an Alpine 3.22 that has
// one package, torch of the origin torch-src.
func Alpine(version string) []File {
	return []File{
		{Name: "etc/os-release", Content: "ID=alpine\nVERSION_ID=3.22.1\nPRETTY_NAME=\"Alpine Linux v3.22\"\n"},
		{Name: "lib/apk/db/installed", Content: "P:torch\nV:" + version + "\no:torch-src\n\n"},
	}
}

// PrivateKey is a private key in PEM form that belongs to nobody.
func PrivateKey() string {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic("scantest: encoding a key: " + err.Error())
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// EICAR is the file by which scanners are tested, put together here so that no
// source holds it.
func EICAR() string {
	return `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-` + `STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`
}
