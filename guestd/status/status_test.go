//go:build linux

package status

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func sample() Record {
	at := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	return Record{
		PID: 42, Version: "v1", Kernel: "6.1.0-56-cloud-amd64", Credit: "auto", Pipe: "/dev/vport0p1", Kind: "port", Started: at, Seeded: at, Reseeded: at.Add(time.Hour),
		Uptime: 321, Reason: `a "quoted\" reason`, Bytes: 128, Bits: 1024, Reseeds: 2, Health: "passed",
		Clones: "push on the port; clock, every 1s", Notes: "no vmgenid; no fw_cfg",
	}
}

func TestRoundTrip(t *testing.T) {
	for _, want := range []Record{{}, sample()} {
		path := filepath.Join(t.TempDir(), "headgate", "guestd.json")
		if err := want.Write(path); err != nil {
			t.Fatal(err)
		}
		got, raw, err := Read(path)
		if err != nil || got != want {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
		var m map[string]any
		if err := json.Unmarshal(raw, &m); err != nil || len(m) != 20 {
			t.Errorf("%d keys, %v: %s", len(m), err, raw)
		}
	}
}

func TestUnprintable(t *testing.T) {
	r := Record{Error: "a\nb\x00é"}
	var m struct{ Error string }
	if err := json.Unmarshal(r.AppendJSON(nil), &m); err != nil || m.Error != "a?b??" {
		t.Errorf("%q, %v", m.Error, err)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, text := range []string{"", "{", "[]", `{"pid":}`, `{"pid":"1"}`, `{"pid":1`, `{"pid" 1}`, `{"reason":"x}`, `{"reason":"x\`, `{"seeded":"today"}`, `{"pid":1 "bytes":2}`} {
		path := filepath.Join(t.TempDir(), "s")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, _, err := Read(path); err == nil {
			t.Errorf("%q: taken as %+v", text, r)
		}
	}
}

// FuzzParse: what parses can be written and parsed again to the same record.
func FuzzParse(f *testing.F) {
	r := sample()
	f.Add(string(r.AppendJSON(nil)))
	f.Add(`{"pid":1,"new key":2}`)
	f.Fuzz(func(t *testing.T, text string) {
		var first, second Record
		if !first.parse(text) {
			return
		}
		once := first.AppendJSON(nil)
		if !json.Valid(once) || !second.parse(string(once)) {
			t.Fatalf("%q became %q", text, once)
		}
		if twice := second.AppendJSON(nil); string(twice) != string(once) {
			t.Fatalf("%q became %q", once, twice)
		}
	})
}

func TestText(t *testing.T) {
	r := sample()
	now := r.Reseeded.Add(90 * time.Second)
	for _, c := range []struct {
		r       Record
		running bool
		want    string
	}{
		{r, true, `guestd    v1, running, pid 42
kernel    6.1.0-56-cloud-amd64, tested (Debian 12, cloud)
source    port /dev/vport0p1
seeded    2026-01-02T03:04:05Z, 1h1m30s ago
          321 ms after the kernel started
reseeded  2026-01-02T04:04:05Z, 1m30s ago, a "quoted\" reason, 2 in all
mixed     128 bytes
credited  1024 bits, policy auto
health    passed
clones    covered by push on the port
          clock, every 1s
note      no vmgenid
          no fw_cfg
`},
		{Record{Version: "v1", Kernel: "5.4.0", Confidential: "TDX", Credit: "auto", Failures: 3, Health: "repetition", Error: "no pipe"}, false, `guestd    v1, not running
kernel    5.4.0, not among the kernels that Headgate is tested with
source    none yet
seeded    not yet
mixed     0 bytes
credited  0 bits, policy auto
          a confidential VM (TDX): the policy auto credits nothing that its host sends
health    repetition
          3 batches failed; mixed, not credited
clones    not covered: nothing here tells guestd of one
error     no pipe
`},
	} {
		if got := string(c.r.Text(nil, c.running, now)); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
}
