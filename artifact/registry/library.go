package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/distribution/distribution/v3/registry/auth"
	"github.com/sirupsen/logrus"
)

// The distribution library keeps its access controllers in a map of the
// process and logs by logrus's logger of the process. This file is therefore
// the one exception to "no global state": it joins the library once, hands our
// instance through the options, and sends the library's log to the slog.Logger
// of the registry that was opened last.

// controllerName is the name of our access controller in the library's map.
const controllerName = "souk"

var (
	joinOnce   sync.Once
	libraryLog atomic.Pointer[slog.Logger]
)

// joinLibrary makes the library quiet and knows our controller to it.
func joinLibrary(log *slog.Logger) {
	libraryLog.Store(log)
	joinOnce.Do(func() {
		logrus.SetOutput(io.Discard)
		// Its warnings are every refused request, which our own log has.
		logrus.SetLevel(logrus.ErrorLevel)
		logrus.AddHook(libraryHook{})
		err := auth.Register(controllerName, func(options map[string]any) (auth.AccessController, error) {
			r, ok := options["registry"].(*Registry)
			if !ok {
				return nil, errors.New("access controller without its registry")
			}
			return controller{r}, nil
		})
		if err != nil {
			panic("registry: " + err.Error()) // another package took our name: a wiring mistake
		}
	})
}

// libraryHook hands the library's log entries to slog.
type libraryHook struct{}

func (libraryHook) Levels() []logrus.Level { return logrus.AllLevels }

func (libraryHook) Fire(e *logrus.Entry) error {
	// Most of what it calls errors are clients' mistakes, with their code, down
	// to a layer that is asked for before it is pushed. UNKNOWN is a failure.
	level := slog.LevelDebug
	if code, ok := e.Data["err.code"]; e.Level <= logrus.ErrorLevel && (!ok || fmt.Sprint(code) == "UNKNOWN") {
		level = slog.LevelWarn
	}
	log := libraryLog.Load()
	if !log.Enabled(context.Background(), level) {
		return nil
	}
	attrs := []any{}
	for _, name := range []string{"vars.name", "vars.reference", "vars.digest", "err.code", "err.message", "err.detail"} {
		if v, ok := e.Data[name]; ok {
			attrs = append(attrs, name, v)
		}
	}
	log.Log(context.Background(), level, "registry: "+e.Message, attrs...)
	return nil
}

// grantKey is the context key of a request's *grant.
type grantKey struct{}

// grant is what serve found a request allowed to do.
type grant struct {
	user    string
	actions map[string][]string // repository to the library's action names: pull, push, delete
}

func (g *grant) allows(repository, action string) bool {
	for _, a := range g.actions[repository] {
		if a == action {
			return true
		}
	}
	return false
}

// controller is the second lock on the door: serve has decided already, and
// the library asks once more with the names as it understood them itself. Had
// the two read a request differently, it ends here.
type controller struct{ r *Registry }

func (c controller) Authorized(req *http.Request, access ...auth.Access) (*auth.Grant, error) {
	g, ok := req.Context().Value(grantKey{}).(*grant)
	if !ok {
		return nil, errors.New("request came past the registry's log-in")
	}
	resources := []auth.Resource{}
	for _, a := range access {
		if a.Type != "repository" || !g.allows(a.Name, a.Action) {
			return nil, errors.New("request was understood as " + a.Action + " of " + a.Type + " " + a.Name + ", which was not granted")
		}
		resources = append(resources, a.Resource)
	}
	return &auth.Grant{User: auth.UserInfo{Name: g.user}, Resources: resources}, nil
}
