//go:build linux

package sources

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"headgate/integration/need"
	"headgate/integration/rig"
)

const peerLimit = 3 * time.Minute

// chip is a TPM 2.0 in software, behind a socket.
type chip struct {
	socket  string
	version string
	dir     string
	run     *rig.Peer
}

// swtpmVersion is in "TPM emulator version 0.7.1, Copyright …".
var swtpmVersion = regexp.MustCompile(`version [0-9.]+`)

// newChip makes a chip that is on.
func newChip(t *testing.T, dir string) *chip {
	t.Helper()
	c := &chip{socket: filepath.Join(dir, "tpm.sock"), dir: filepath.Join(dir, "tpm")}
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c.on(t)
	return c
}

func (c *chip) on(t *testing.T) {
	t.Helper()
	swtpm := rig.Tool(t, "swtpm", "swtpm")
	said, err := exec.Command(swtpm, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	c.version = "swtpm, " + swtpmVersion.FindString(string(said))
	_ = os.Remove(c.socket) // what was killed left it
	cmd := exec.Command(swtpm, "socket", "--tpm2", "--tpmstate", "dir="+c.dir,
		"--server", "type=unixio,path="+c.socket, "--flags", "not-need-init,startup-clear")
	c.run = rig.StartPeer(t, cmd, filepath.Join(c.dir, "log"), peerLimit)
	awaitFile(t, c.socket, c.run)
}

// off is a power cut.
func (c *chip) off() { c.run.Kill() }

// broker is Entropy Broker: a broker, a server that feeds it from the kernel, and a
// client that is an EGD for others.
type broker struct {
	debian
	dir, socket string
	port        int
	egd         *rig.Peer
}

// newBroker starts all of it. Only the three of them speak TCP, on the loopback.
func newBroker(ctx context.Context, t *testing.T, dir string) *broker {
	t.Helper()
	need.Root(t, "Entropy Broker has to be kept out of /var")
	b := &broker{debian: unpack(t, "entropybroker", "libcrypto++8"), dir: dir, socket: filepath.Join(dir, "egd.sock"), port: freePort(t)}
	b.need(ctx, t, "entropy_broker", "libgd3")
	for name, text := range map[string]string{
		"users": "rig|" + password + "|1000000000\n",
		"auth":  "rig\n" + password + "\n",
		"conf": b.config(t, map[string]string{
			"users":               filepath.Join(dir, "users"),
			"listen_adapter":      "::ffff:127.0.0.1", // its socket is one of IPv6
			"listen_port":         fmt.Sprint(b.port),
			"webserver_port":      "-1",
			"default_max_get_bps": "100000000",
		}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// It keeps its figures in /var, and what is too much for its memory in /var/cache.
	run := b.start(t, []string{"unshare", "--mount", "sh", "-c",
		`mount -t tmpfs -o size=64m none /var && mkdir /var/cache && exec "$@"`, "sh"}, "entropy_broker", "-c", filepath.Join(dir, "conf"), "-n")
	listens := func() bool {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", b.port), time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}
	for !listens() { // a client that comes too early sleeps for long
		select {
		case <-time.After(20 * time.Millisecond):
		case <-run.Ended():
			t.Fatalf("entropy_broker ended; the end of its log:\n%s", rig.Tail(run.Log, 10))
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
	b.start(t, nil, "eb_server_stream", "-I", fmt.Sprintf("127.0.0.1:%d", b.port), "-d", "/dev/urandom", "-n", "-X", filepath.Join(dir, "auth"))
	b.on(t)
	return b
}

// need says which Debian package a program has a library from that is not there.
func (b *broker) need(ctx context.Context, t *testing.T, program, debian string) {
	t.Helper()
	list := b.command(ctx, "usr/bin/"+program)
	list.Args = []string{"ldd", list.Path}
	list.Path = rig.Tool(t, "ldd", "libc-bin")
	out, err := list.CombinedOutput()
	if err != nil || strings.Contains(string(out), "not found") {
		need.Unmet(t, program, " lacks libraries: ", rig.Remedy([]string{debian}), "\n", string(out))
	}
}

// config is the package's own, with other values for these keys.
func (b *broker) config(t *testing.T, values map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.root, "etc/entropybroker/entropy_broker.conf.dist"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		key, _, _ := strings.Cut(line, "=")
		if value, ours := values[strings.TrimSpace(key)]; ours {
			line = strings.TrimSpace(key) + " = " + value + "\n"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "")
}

const password = "not-a-secret-of-anybody-s"

// start starts a program of the package, by way of another if there is one.
func (b *broker) start(t *testing.T, by []string, program string, args ...string) *rig.Peer {
	t.Helper()
	// Not bound to the test's context: that ends before its cleanup.
	cmd := b.command(context.Background(), "usr/bin/"+program, append(args, "-P", filepath.Join(b.dir, program+".pid"))...)
	if len(by) > 0 {
		cmd.Args = append(append([]string{}, by...), append([]string{cmd.Path}, cmd.Args[1:]...)...)
		cmd.Path = rig.Tool(t, by[0], "util-linux")
	}
	cmd.Dir = b.dir
	return rig.StartPeer(t, cmd, filepath.Join(b.dir, program+".log"), peerLimit)
}

// on starts the EGD, off ends it.
func (b *broker) on(t *testing.T) {
	t.Helper()
	_ = os.Remove(b.socket) // it does not by itself
	b.egd = b.start(t, nil, "eb_client_egd", "-I", fmt.Sprintf("127.0.0.1:%d", b.port), "-d", b.socket, "-n", "-X", filepath.Join(b.dir, "auth"))
	awaitFile(t, b.socket, b.egd)
}

func (b *broker) off() { b.egd.Kill() }

// freePort is a TCP port that nobody listens at, for now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// awaitFile waits until a program has made a file.
func awaitFile(t *testing.T, path string, by *rig.Peer) {
	t.Helper()
	over := time.After(15 * time.Second)
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-by.Ended():
			t.Fatalf("it ended; the end of its log:\n%s", rig.Tail(by.Log, 10))
		case <-over:
			t.Fatalf("no %s; the end of the log:\n%s", path, rig.Tail(by.Log, 10))
		}
	}
}
