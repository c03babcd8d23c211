package daemon

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/hostd/quality"
)

const qualities = `
[[class]]
name = "default"
rate = "unlimited"
[[class]]
name = "bulk"
rate = "unlimited"
quality = "drbg"
[[class]]
name = "both"
rate = "1B/s"
burst = "64B"
quality = "full-then-drbg"
drbg_rate = "unlimited"
[[guest]]
name = "web1"
class = "CLASS"
pipes = ["egd:DIR/web1"]
`

func inClass(name string) string { return strings.Replace(plenty+qualities, "CLASS", name, 1) }

// ask reads n bytes from a guest's EGD pipe.
func ask(t *testing.T, conn io.ReadWriter, n int) {
	t.Helper()
	buf := make([]byte, 255)
	for n > 0 {
		m := min(n, len(buf))
		if _, err := conn.Write([]byte{0x02, byte(m)}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buf[:m]); err != nil {
			t.Fatal(err)
		}
		n -= m
	}
}

// TestQualitySwitchesLive: by hostd guest set and by a reload, there and back, on one
// connection that never ends and that asks all the while.
func TestQualitySwitchesLive(t *testing.T) {
	r := start(t, t.TempDir(), inClass("default"))
	conn := r.dial("web1")
	was := control.GuestStatus{}
	gets := func(class, want string) {
		t.Helper()
		ask(t, conn, 1000)
		g := r.guest("web1")
		full, drbg := g.BytesFull-was.BytesFull, g.BytesDRBG-was.BytesDRBG
		switch {
		case g.Class != class || g.Quality != want || g.Bytes != g.BytesFull+g.BytesDRBG:
			t.Errorf("%+v", g)
		case want == config.QualityFull && (full != 1000 || drbg != 0),
			want == config.QualityDRBG && (full != 0 || drbg != 1000),
			want == config.QualityFullThenDRBG && full+drbg != 1000:
			t.Errorf("with quality %s it got %d bytes of the reservoir and %d of its DRBG", want, full, drbg)
		case (want == config.QualityFull) != (g.DRBG == nil) && g.BytesDRBG == 0:
			t.Errorf("its DRBG: %+v", g.DRBG)
		}
		was = g
	}
	set := func(class string) {
		t.Helper()
		if err := r.SetGuest("web1", control.GuestPatch{Class: &class}); err != nil {
			t.Fatal(err)
		}
	}
	reload := func(text string) {
		t.Helper()
		r.write(text)
		if err := r.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	gets("default", "full")
	set("bulk")
	gets("bulk", "drbg")
	set("both")
	gets("both", "full-then-drbg")
	if was.BytesDRBG < 1900 {
		t.Errorf("above its share it got %d bytes of its DRBG", was.BytesDRBG-1000)
	}
	set("default")
	gets("default", "full")
	reload(inClass("bulk"))
	gets("bulk", "drbg")
	reload(strings.Replace(inClass("bulk"), `quality = "drbg"`, `quality = "full"`, 1))
	gets("bulk", "full")
	reload(inClass("bulk"))
	gets("bulk", "drbg")
	g := r.guest("web1")
	if p := g.Pipes[0]; p.Connections != 1 || !p.Connected || p.Errors != 0 {
		t.Errorf("the guest has noticed: %+v", p)
	}
	if g.DRBG.Seeds == 0 || g.DRBG.SeededAt.IsZero() || g.DRBG.Stale || g.DRBG.SeedBytes != 48*g.DRBG.Seeds {
		t.Errorf("%+v", g.DRBG)
	}
	var switched []string
	for _, e := range r.said("guest_requalified") {
		switched = append(switched, e.Fields["from"]+" "+e.Fields["to"])
	}
	if got, want := strings.Join(switched, ", "), "full drbg, drbg full-then-drbg, full-then-drbg full, full drbg, drbg full, full drbg"; got != want {
		t.Errorf("switched %s\nwant     %s", got, want)
	}
	if n := len(r.said("class_requalified")); n != 2 {
		t.Errorf("said %d times that the class gives another quality, want twice", n)
	}
	if len(r.said("drbg_seeded")) == 0 {
		t.Error("nothing says that the DRBG was seeded")
	}
}

func TestDRBGEvents(t *testing.T) {
	for kind, want := range map[quality.Kind]struct {
		level slog.Level
		kind  string
	}{
		quality.Seeded:    {slog.LevelInfo, "drbg_seeded"},
		quality.Reseeded:  {slog.LevelDebug, "drbg_reseeded"},
		quality.Stale:     {slog.LevelError, "drbg_stale"},
		quality.Recovered: {slog.LevelInfo, "drbg_recovered"},
		quality.ToDRBG:    {slog.LevelInfo, "quality_switched"},
		quality.ToFull:    {slog.LevelInfo, "quality_switched"},
	} {
		e := drbgEvent("web1", quality.Event{Kind: kind, Seeds: 3, Age: time.Hour})
		if e.Level != want.level || e.Kind != want.kind || !e.Common || e.Message == "" || e.Subject != "web1" || e.Fields["seeds"] != "3" {
			t.Errorf("%v: %+v", kind, e)
		}
	}
}

// A class means what it says.
func TestQualityOf(t *testing.T) {
	cfg, err := config.Parse("f", []byte("[[class]]\nname = \"c\"\nrate = \"unlimited\"\nburst = \"1KiB\"\nweight = 3\nquality = \"full-then-drbg\"\ndrbg_rate = \"2KiB/s\"\nreseed_bytes = \"64KiB\"\nreseed_interval = \"2m\"\nmax_stale = \"3h\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	c, _ := cfg.Class("c")
	got := qualityOf(c)
	want := quality.Config{Quality: quality.FullThenDRBG, DRBGRate: 2048, ReseedBytes: 65536, ReseedInterval: 2 * time.Minute, MaxStale: 3 * time.Hour}
	want.Limits.Burst, want.Limits.Weight = 1024, 3
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	c, _ = config.Default().Class("")
	if got := qualityOf(c); got.Quality != quality.Full || got.Limits.Rate != 1024 || got.DRBGRate != 0 {
		t.Errorf("%+v", got)
	}
}

// TestQualitySwitchesUnderLoad: guests that ask all the while go on asking, whatever
// they are switched to and whenever.
func TestQualitySwitchesUnderLoad(t *testing.T) {
	const guests, rounds = 40, 12
	config := func(q string) string {
		var b strings.Builder
		b.WriteString(plenty + "[[class]]\nname = \"default\"\nrate = \"unlimited\"\nquality = \"" + q + "\"\n")
		for i := range guests {
			fmt.Fprintf(&b, "[[guest]]\nname = \"g%d\"\npipes = [\"egd:DIR/g%[1]d\"]\n", i)
		}
		return b.String()
	}
	r := start(t, t.TempDir(), config("full"))
	var had [guests]atomic.Uint64
	for i := range guests {
		conn := r.dial(fmt.Sprintf("g%d", i))
		_ = conn.SetDeadline(time.Time{})
		go func() {
			buf := make([]byte, 200)
			for {
				if _, err := conn.Write([]byte{0x02, byte(len(buf))}); err != nil {
					return
				}
				if _, err := io.ReadFull(conn, buf); err != nil {
					return
				}
				had[i].Add(1)
			}
		}()
	}
	order := []string{"drbg", "full-then-drbg", "full", "full-then-drbg", "drbg", "full"}
	for n := range rounds {
		q := order[n%len(order)]
		r.write(config(q))
		if err := r.Reload(); err != nil {
			t.Fatal(err)
		}
		for i := range guests {
			before := had[i].Load()
			r.until(fmt.Sprintf("guest g%d goes on with %s", i, q), func() bool { return had[i].Load() > before+1 })
		}
	}
}
