package document

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Limits of WebDownload. The attempts are AWSTOE's, within one attempt of the
// step.
const (
	maxDownload      = 16 << 30 // bytes; the machine's disk ends earlier, as a rule
	downloadAttempts = 5
	firstPause       = 200 * time.Millisecond // doubled after each attempt
)

// sums are the algorithms of checksums, as AWSTOE spells them.
var sums = map[string]func() hash.Hash{"MD5": md5.New, "SHA1": sha1.New, "SHA256": sha256.New, "SHA512": sha512.New}

func isAlgorithm(s string) string {
	if sums[strings.ToUpper(s)] == nil {
		return "there is no algorithm [" + cut(s, 60) + "]; there are MD5, SHA1, SHA256, SHA512"
	}
	return ""
}

// fileSum returns the checksum of a file in hexadecimal digits.
func fileSum(algorithm, name string) (string, error) {
	make := sums[strings.ToUpper(algorithm)]
	if make == nil {
		return "", fmt.Errorf("no algorithm %s", algorithm)
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := make()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func isURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "must be a URL of http or https, not [" + cut(s, 100) + "]"
	}
	return ""
}

// downloadTogether checks members of WebDownload beside one another.
func downloadTogether(v *value) string {
	if (v.get("checksum") == nil) != (v.get("algorithm") == nil) {
		return "checksum and algorithm must stand together"
	}
	if ignore := v.get("ignoreCertificateErrors"); ignore != nil && ignore.text == "true" {
		return "ignoreCertificateErrors can't be used: certificates are always checked"
	}
	return ""
}

// permanent is an error of a download that trying again does not help.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// webDownload fetches a file over HTTP and the proxy that the environment names.
func webDownload(ctx context.Context, w *work, in input) (string, error) {
	source, destination := in.texts["source"], in.texts["destination"]
	if strings.HasSuffix(destination, "/") {
		u, err := url.Parse(source)
		if err != nil {
			return "", err
		}
		base := path.Base(u.Path)
		if base == "." || base == "/" || base == ".." {
			return "", fmt.Errorf("[%s] has no file name; say it in destination", cut(source, 200))
		}
		destination = filepath.Join(destination, base)
	}
	checksum, algorithm := strings.TrimSpace(in.texts["checksum"]), in.texts["algorithm"]
	if _, err := os.Lstat(destination); err == nil {
		if !in.flag("overwrite", true) {
			return "", fmt.Errorf("[%s] is there and overwrite is false", destination)
		}
		if checksum != "" {
			if sum, err := fileSum(algorithm, destination); err == nil && strings.EqualFold(sum, checksum) {
				return destination, nil
			}
		}
	}
	if err := os.MkdirAll(filepath.Dir(destination), 0o777); err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSHandshakeTimeout: 30 * time.Second,
		DisableCompression:  true, // the checksum is that of the bytes as they are there
		ForceAttemptHTTP2:   true,
	}}
	defer client.CloseIdleConnections()
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := fetch(ctx, client, source, destination, checksum, algorithm)
		var final permanent
		if err == nil {
			return destination, nil
		}
		if errors.As(err, &final) || attempt == downloadAttempts || ctx.Err() != nil {
			return "", fmt.Errorf("downloading [%s]: %w", cut(source, 200), err)
		}
		w.say(w.err, "%s download %d of [%s] failed: %s", w.title, attempt, cut(source, 200), oneLine(err))
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return "", ctx.Err()
		case <-wait.C:
		}
		pause *= 2
	}
}

// fetch downloads to a file beside the destination, and renames it when all of
// it is there and right.
func fetch(ctx context.Context, client *http.Client, source, destination, checksum, algorithm string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, source, nil)
	if err != nil {
		return permanent{err}
	}
	request.Header.Set("User-Agent", "souk-component")
	response, err := client.Do(request)
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return permanent{err}
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		err := fmt.Errorf("the server answered %s", response.Status)
		if c := response.StatusCode; c >= 500 || c == http.StatusTooManyRequests || c == http.StatusRequestTimeout {
			return err
		}
		return permanent{err}
	}
	if response.ContentLength > maxDownload {
		return permanent{fmt.Errorf("it has %d bytes, and may have %d", response.ContentLength, int64(maxDownload))}
	}
	f, err := os.CreateTemp(filepath.Dir(destination), ".souk-download-")
	if err != nil {
		return permanent{err}
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var to io.Writer = f
	var sum hash.Hash
	if checksum != "" {
		sum = sums[strings.ToUpper(algorithm)]()
		to = io.MultiWriter(f, sum)
	}
	n, err := io.Copy(to, io.LimitReader(response.Body, maxDownload+1))
	if err != nil {
		return err
	}
	if n > maxDownload {
		return permanent{fmt.Errorf("it has more than %d bytes", int64(maxDownload))}
	}
	if sum != nil {
		if got := hex.EncodeToString(sum.Sum(nil)); !strings.EqualFold(got, checksum) {
			return permanent{fmt.Errorf("its %s is %s, not %s", strings.ToUpper(algorithm), got, cut(checksum, 200))}
		}
	}
	if err := errors.Join(f.Chmod(0o644), f.Close(), os.Rename(f.Name(), destination)); err != nil {
		return permanent{err}
	}
	return nil
}
