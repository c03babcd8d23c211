package control

import (
	"fmt"
	"net/http"
	"path"
	"slices"

	"headgate/hostd/config"
)

// Bounds of a source test and a capture, in samples (bytes). SP 800-90B §4.3
// wants at least 1,024 samples for a start-up test, and §3.1.1 a million for an
// assessment.
const (
	MinTest     = 1 << 10
	MaxTest     = 1 << 20
	DefaultTest = 1 << 16
	MaxCapture  = 1 << 30
	DefCapture  = 1 << 20
)

// Bounds of a capture of restarts. SP 800-90B §3.1.4.1 wants 1,000 restarts of 1,000
// samples, and NIST's ea_restart takes nothing else. All samples together are at most
// MaxCapture.
const (
	MaxRestarts = 10_000
	DefRestarts = 1000
	MaxRow      = 1 << 20
	DefRow      = 1000
)

type api struct{ daemon Daemon }

// Handler is the API as it is on the socket, without the socket. Every answer
// but captures and metrics is JSON.
func Handler(d Daemon, metrics http.Handler) http.Handler {
	a := api{d}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", a.status)
	mux.HandleFunc("GET /v1/version", a.version)
	mux.HandleFunc("GET /v1/events", a.events)
	mux.HandleFunc("GET /v1/guests", a.guests)
	mux.HandleFunc("POST /v1/guests", a.addGuest)
	mux.HandleFunc("GET /v1/guests/{name}", a.guest)
	mux.HandleFunc("PATCH /v1/guests/{name}", a.setGuest)
	mux.HandleFunc("DELETE /v1/guests/{name}", a.removeGuest)
	mux.HandleFunc("POST /v1/guests/{name}/push", a.pushGuest)
	mux.HandleFunc("GET /v1/sources", a.sources)
	mux.HandleFunc("POST /v1/sources/{name}/test", a.testSource)
	mux.HandleFunc("GET /v1/sources/{name}/capture", a.captureSource)
	mux.HandleFunc("POST /v1/seeds", a.seed)
	mux.HandleFunc("GET /v1/rng", a.rng)
	mux.HandleFunc("POST /v1/reload", a.reload)
	mux.HandleFunc("POST /v1/libvirt/hook", a.hook)
	if metrics != nil {
		mux.Handle("GET /metrics", metrics)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The mux would redirect to the clean path with a page of HTML.
		if r.URL.Path == "" || path.Clean(r.URL.Path) != r.URL.Path {
			fail(w, fmt.Errorf("%w: no such path", ErrNotFound))
			return
		}
		if h, pattern := mux.Handler(r); pattern == "" {
			refusePath(w, r, h)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// refusePath says what the mux would say, but in JSON.
func refusePath(w http.ResponseWriter, r *http.Request, h http.Handler) {
	said := &statusOnly{header: w.Header()}
	h.ServeHTTP(said, r)
	if said.status == http.StatusMethodNotAllowed {
		answer(w, said.status, failure{"method not allowed here; allowed: " + w.Header().Get("Allow")})
		return
	}
	fail(w, fmt.Errorf("%w: no such path", ErrNotFound))
}

type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) WriteHeader(status int)      { s.status = status }
func (s *statusOnly) Write(p []byte) (int, error) { return len(p), nil }

func (a api) status(w http.ResponseWriter, _ *http.Request) {
	s := a.daemon.Status()
	s.Meter = a.daemon.Meter()
	s.Warnings, s.Sources = orEmpty(s.Warnings), orEmpty(s.Sources)
	s.Classes, s.Guests = orEmpty(s.Classes), orEmpty(s.Guests)
	s.Reservoir.Origins, s.Guard.Refused.By = orEmpty(s.Reservoir.Origins), orEmpty(s.Guard.Refused.By)
	answer(w, http.StatusOK, s)
}

func (a api) version(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"version": a.daemon.Status().Version})
}

func (a api) sources(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, orEmpty(a.daemon.Status().Sources))
}

func (a api) guests(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, orEmpty(a.daemon.Status().Guests))
}

func (a api) guest(w http.ResponseWriter, r *http.Request) {
	a.showGuest(w, http.StatusOK, r.PathValue("name"))
}

func (a api) showGuest(w http.ResponseWriter, status int, name string) {
	guests := a.daemon.Status().Guests
	i := slices.IndexFunc(guests, func(g GuestStatus) bool { return g.Name == name })
	if i < 0 {
		fail(w, fmt.Errorf("guest: %w", ErrNotFound))
		return
	}
	answer(w, status, guests[i])
}

func (a api) addGuest(w http.ResponseWriter, r *http.Request) {
	var spec GuestSpec
	err := body(w, r, &spec)
	if err == nil {
		if spec.Class == "" {
			spec.Class = config.DefaultClass
		}
		err = a.daemon.AddGuest(spec)
	}
	if err != nil {
		fail(w, err)
		return
	}
	a.showGuest(w, http.StatusCreated, spec.Name)
}

func (a api) setGuest(w http.ResponseWriter, r *http.Request) {
	var patch GuestPatch
	name := r.PathValue("name")
	err := body(w, r, &patch)
	if err == nil {
		err = config.CheckLimits(patch.Rate, patch.Burst, patch.Weight)
	}
	if err == nil {
		err = a.daemon.SetGuest(name, patch)
	}
	if err != nil {
		fail(w, err)
		return
	}
	a.showGuest(w, http.StatusOK, name)
}

func (a api) removeGuest(w http.ResponseWriter, r *http.Request) {
	if err := a.daemon.RemoveGuest(r.PathValue("name")); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a api) hook(w http.ResponseWriter, r *http.Request) {
	var call HookCall
	err := body(w, r, &call)
	if err == nil {
		err = a.daemon.Hook(call)
	}
	if err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a api) reload(w http.ResponseWriter, _ *http.Request) {
	if err := a.daemon.Reload(); err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, struct{}{})
}

// orEmpty makes "[]" of what would be "null".
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
