package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSocketIsForItsOwnerAlone(t *testing.T) {
	f := fake()
	_, path := serve(t, f)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := NewServer(path, f, nil).Listen(); err == nil || !strings.Contains(err.Error(), "is another hostd running?") {
		t.Errorf("a second server: %v", err)
	}
}

func TestNoDaemonSaysWhatToDo(t *testing.T) {
	_, err := Dial(t.TempDir() + "/none").Status(t.Context())
	if err == nil || !strings.Contains(err.Error(), "start it with") || !strings.Contains(err.Error(), "--control") {
		t.Errorf("no socket: %v", err)
	}
}

// TestRefusals has what is wrong with a request answered with a fitting status.
func TestRefusals(t *testing.T) {
	h := Handler(fake(), nil)
	long := `{"name":"` + strings.Repeat("x", maxBody) + `"}`
	for _, c := range []struct {
		method, path, body string
		status             int
		say                string
	}{
		{"GET", "/", "", 404, "no such path"},
		{"GET", "/v2/status", "", 404, "no such path"},
		{"GET", "//v1/status", "", 404, "no such path"},
		{"GET", "/v1/../v1/status", "", 404, "no such path"},
		{"GET", "/v1/status/", "", 404, "no such path"},
		{"GET", "/metrics", "", 404, "no such path"},
		{"PUT", "/v1/status", "", 405, "allowed: GET"},
		{"GET", "/v1/reload", "", 405, "allowed: POST"},
		{"POST", "/v1/guests", "", 400, "EOF"},
		{"POST", "/v1/guests", "{", 400, "EOF"},
		{"POST", "/v1/guests", "[]", 400, "cannot unmarshal array"},
		{"POST", "/v1/guests", `{"nam":"x"}`, 400, `unknown field "nam"`},
		{"POST", "/v1/guests", `{"name":"x","pipes":["qemu:/x"]} {}`, 400, "something follows"},
		{"POST", "/v1/guests", `{"name":"x","pipes":["vhost-user:/x,server=off"]}`, 400, "follows the path"},
		{"POST", "/v1/guests", `{"name":"x","pipes":["qemu:/x"],"rate":"9"}`, 400, "is not a rate"},
		{"POST", "/v1/guests", `{"name":"x","pipes":["qemu:/x"],"rate":9}`, 400, "cannot unmarshal number"},
		{"POST", "/v1/guests", long, 413, "too large"},
		{"PATCH", "/v1/guests/x", `{}`, 404, "not found"},
		{"PATCH", "/v1/guests/x", `{"pipes":[]}`, 400, "unknown field"},
		{"GET", "/v1/guests/x", "", 404, "not found"},
		{"GET", "/v1/libvirt/hook", "", 405, "allowed: POST"},
		{"POST", "/v1/libvirt/hook", "", 400, "EOF"},
		{"POST", "/v1/libvirt/hook", `{"op":"prepare","domain":{"name":"a","uuid":"` + uuid + `"},"x":1}`, 400, "unknown field"},
		{"POST", "/v1/libvirt/hook", `{"op":"explode","domain":{"name":"a","uuid":"` + uuid + `"}}`, 400, `invalid op "explode": allowed: prepare, start, `},
		{"POST", "/v1/libvirt/hook", `{"domain":{"name":"a","uuid":"` + uuid + `"}}`, 400, `invalid op ""`},
		{"POST", "/v1/libvirt/hook", `{"op":"prepare"}`, 400, "invalid domain: no name is given"},
		{"POST", "/v1/libvirt/hook", `{"op":"prepare","domain":{"name":"../a","uuid":"` + uuid + `"}}`, 400, `invalid domain: "../a" is not such a name; allowed: the name of a domain`},
		{"POST", "/v1/libvirt/hook", `{"op":"prepare","domain":{"name":"a\u0000","uuid":"` + uuid + `"}}`, 400, "is not such a name"},
		{"POST", "/v1/libvirt/hook", `{"op":"prepare","domain":{"name":"a","uuid":"` + strings.ToUpper(uuid) + `"}}`, 400, `invalid domain "a": "0F1E`},
		{"POST", "/v1/libvirt/hook", `{"op":"prepare","domain":{"name":"a"}}`, 400, `"" is not its UUID`},
		{"POST", "/v1/libvirt/hook", `{"op":"prepare","domain":{"name":"a","uuid":"` + uuid + `","id":-1}}`, 400, "id -1"},
		{"POST", "/v1/libvirt/hook", `{"op":"prepare","domain":{"name":"a","uuid":"` + uuid + `","uid":-1}}`, 400, "cannot unmarshal number -1"},
		{"POST", "/v1/libvirt/hook", `{"op":"prepare","at":"yesterday","domain":{"name":"a","uuid":"` + uuid + `"}}`, 400, "invalid body"},
		{"POST", "/v1/libvirt/hook", `{"op":"prepare","domain":{"name":"a","uuid":"` + uuid + `","rngs":[` + strings.Repeat("{},", 16) + `{}]}}`, 400, "it has 17 rng devices"},
		{"POST", "/v1/libvirt/hook", long, 413, "too large"},
		{"GET", "/v1/events?since=-1", "", 400, "since"},
		{"GET", "/v1/sources/trng0/capture?n=0", "", 400, "n: a whole number from 1"},
		{"GET", "/v1/sources/trng0/capture?n=99999999999999999999", "", 400, "n: a whole number"},
		{"POST", "/v1/sources/trng0/test?n=x", "", 400, "n: a whole number"},
		{"GET", "/v1/sources/trng0/capture?restarts=0", "", 400, "restarts: a whole number from 1"},
		{"GET", "/v1/seeds", "", 405, "allowed: POST"},
		{"POST", "/v1/seeds", "", 400, "EOF"},
		{"POST", "/v1/seeds", `{"for":"../web1","as":"file"}`, 400, "invalid name"},
		{"POST", "/v1/seeds", `{"for":"web1"}`, 400, `invalid as ""`},
		{"POST", "/v1/seeds", `{"for":"web1","as":"file","n":1}`, 400, "unknown field"},
		{"POST", "/v1/seeds", long, 413, "too large"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
		var said failure
		if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || w.Code != c.status || !strings.Contains(said.Error, c.say) {
			t.Errorf("%s %s %.40s: %d %s", c.method, c.path, c.body, w.Code, w.Body)
		}
	}
}

func TestTooManyConnections(t *testing.T) {
	c, path := serve(t, fake())
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			conn.Close()
		}
	}()
	for range maxConns {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || r.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("one too many: %+v, %v", r, err)
	}
	said, _ := io.ReadAll(r.Body)
	if !json.Valid(said) {
		t.Errorf("it says %s", said)
	}
	open[0].Close()
	deadline := time.Now().Add(5 * time.Second)
	for {
		if _, err := c.Status(t.Context()); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a place that was given up was not given on")
		}
	}
}

// FuzzAPI sends anything to the API: it must answer, in JSON and within bounds.
func FuzzAPI(f *testing.F) {
	for _, s := range [][3]string{
		{"GET", "/v1/status", ""}, {"GET", "/v1/version", ""}, {"GET", "/v1/events?since=3", ""}, {"GET", "/v1/guests", ""},
		{"POST", "/v1/guests", `{"name":"a","pipes":["qemu:/run/a"],"rate":"4KiB/s","burst":"8KiB","weight":2,"socket_mode":"0660"}`},
		{"PATCH", "/v1/guests/web1", `{"class":"default","rate":"unlimited","weight":3}`}, {"DELETE", "/v1/guests/web1", ""},
		{"GET", "/v1/sources", ""}, {"POST", "/v1/sources/trng0/test?n=1024", ""}, {"GET", "/v1/sources/trng0/capture?n=10", ""},
		{"GET", "/v1/sources/trng0/capture?n=10&restarts=3", ""}, {"POST", "/v1/seeds", `{"for":"web1","as":"cloud-init"}`},
		{"POST", "/v1/libvirt/hook", `{"op":"prepare","at":"2026-01-02T03:04:05Z","domain":{"name":"a","uuid":"` + uuid + `","uid":1,"policy":{"class":"x"}}}`},
		{"POST", "/v1/reload", ""}, {"CONNECT", "/v1/guests/%2e%2e", "{}"}, {"GET", "/v1//status", ""},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, method, target, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || method == "" {
			return
		}
		n, err := strconv.Atoi(u.Query().Get("n"))
		if err == nil && n > 1<<20 && n <= MaxCapture {
			return // so much was asked for
		}
		if rows, err := strconv.Atoi(u.Query().Get("restarts")); err == nil && rows*max(n, DefRow) > 1<<20 {
			return
		}
		d := fake()
		if err := d.AddGuest(spec("web1")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		ctx, stop := context.WithCancelCause(ctx)
		if u.Query().Get("follow") == "1" {
			stop(errors.New("the client has gone"))
		}
		defer stop(nil)
		r := (&http.Request{Method: method, URL: u, Header: http.Header{}, Host: "hostd",
			Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}).WithContext(ctx)
		w := &bounded{ResponseRecorder: httptest.NewRecorder()}
		started := time.Now()
		Handler(d, nil).ServeHTTP(w, r)
		if took := time.Since(started); took > 2*time.Second {
			t.Errorf("%s %s took %v", method, target, took)
		}
		if err := w.check(); err != nil {
			t.Errorf("%s %s %q: %d: %v: %.200s", method, target, body, w.Code, err, w.Body)
		}
		for _, h := range d.Hooks {
			if err := h.Check(); err != nil {
				t.Errorf("%s %s %q: hook %+v: %v", method, target, body, h, err)
			}
		}
		for _, g := range d.Status().Guests {
			if g.Rate < 1 || g.Burst < 0 || len(g.Pipes) == 0 {
				t.Errorf("%s %s %q: guest %+v", method, target, body, g)
			}
		}
	})
}

type bounded struct{ *httptest.ResponseRecorder }

func (b *bounded) check() error {
	switch kind := b.Header().Get("Content-Type"); {
	case b.Code == http.StatusNoContent && b.Body.Len() == 0, kind == "application/octet-stream":
		return nil
	case kind == "application/json" || kind == "application/x-ndjson":
	default:
		return fmt.Errorf("of kind %q", kind)
	}
	if b.Body.Len() > 4*maxBody {
		return fmt.Errorf("%d bytes long", b.Body.Len())
	}
	d := json.NewDecoder(b.Body)
	for {
		var v any
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if m, ok := v.(map[string]any); b.Code >= 400 && (!ok || m["error"] == "") {
			return errors.New("it does not say what is wrong")
		}
	}
	return nil
}
