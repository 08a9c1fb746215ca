package server

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"

	"souk/service/sns"
)

// front sends each request of the public port to the part that answers it.
type front struct {
	gateway  http.Handler // AWS's APIs: everything that is nobody else's
	registry http.Handler // /v2/
	blobs    http.Handler // /logos/, /blobs/
	sessions http.Handler // /sessions/: in image builders
	links    *sns.Links   // those in messages of topics
	ready    func(*http.Request) error
	rules    func(context.Context) (int, error) // of the scenario that is on
	url      string                             // for the page at /
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	switch {
	case path == "/v2" || strings.HasPrefix(path, "/v2/"):
		f.registry.ServeHTTP(w, r)
	case strings.HasPrefix(path, "/logos/"), strings.HasPrefix(path, "/blobs/"):
		f.blobs.ServeHTTP(w, r)
	case f.links.Serves(r):
		f.links.ServeHTTP(w, r)
	case strings.HasPrefix(path, "/sessions/"):
		f.sessions.ServeHTTP(w, r)
	case path == "/healthz":
		say(w, http.StatusOK, "ok\n")
	case path == "/readyz":
		rules, err := 0, f.ready(r)
		if err == nil {
			rules, err = f.rules(r.Context())
		}
		if err != nil {
			say(w, http.StatusServiceUnavailable, "not ready\n")
			return
		}
		text := "ready\n"
		if rules > 0 {
			text += "a scenario is on, rules: " + strconv.Itoa(rules) + " (souk scenario show)\n"
		}
		say(w, http.StatusOK, text)
	case path == "/favicon.ico" && fromBrowser(r):
		w.WriteHeader(http.StatusNoContent)
	case path == "/" && fromBrowser(r):
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		io.WriteString(w, strings.ReplaceAll(welcome, "{URL}", f.url)) // a browser that has gone is no concern of ours
	default:
		f.gateway.ServeHTTP(w, r)
	}
}

// fromBrowser says whether a person looks at the page: no API client asks for
// HTML, and none sends a GET without a signature.
func fromBrowser(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Header.Get("Authorization") == "" &&
		r.URL.RawQuery == "" && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// say answers with one line of text.
func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, text) // a client that has gone is no concern of ours
}

const welcome = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Souk</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:4rem auto;padding:0 1rem}pre{background:#f4f2ee;padding:1rem;overflow:auto}</style>
<h1>Souk</h1>
<p>This is a software marketplace that speaks AWS Marketplace's own APIs. There are no pages here yet: speak to it with the AWS CLI or an SDK.</p>
<pre>eval "$(souk env)"
aws marketplace-catalog list-entities --catalog AWSMarketplace \
    --entity-type ContainerProduct --endpoint-url {URL} --region us-east-1</pre>
<p>Its registry is at <code>{URL}/v2/</code>; an access key's id and secret log in to it. <code>souk help</code> says more.</p>
</html>
`
