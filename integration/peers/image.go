//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"headgate/integration/rig"
)

// fromDebian are the programs of the packages; all of them are in the guest's /bin.
var fromDebian = []string{
	"/usr/sbin/rngd", "/usr/sbin/haveged", "/usr/sbin/jitterentropy-rngd", "/usr/sbin/ekeyd-egd-linux",
	"/usr/bin/eb_client_linux_kernel", "/usr/bin/entropy_broker", "/usr/bin/eb_server_egd", "/usr/bin/strace",
}

// brokerConfig is Entropy Broker's own but for where its users are, and that there is
// no web page.
const brokerConfig = "/etc/entropybroker/entropy_broker.conf"

// contents finds or builds every file of the guest: the file here by its path there.
// root is where the packages were unpacked, dir a folder for what is built.
func contents(ctx context.Context, programs rig.Programs, root, dir string) (map[string]string, error) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return nil, fmt.Errorf("the guest wants a shell: %w; as root: apt-get install busybox-static", err)
	}
	files := map[string]string{
		"/bin/guestd": programs.Guestd, "/bin/busybox": busybox,
		"/bin/inside": filepath.Join(dir, "inside"), "/bin/spinner": filepath.Join(dir, "spinner"),
	}
	if err := rig.Build(ctx, "integration/peers/inside", files["/bin/inside"]); err != nil {
		return nil, err
	}
	source, err := folder(ctx, "integration")
	if err != nil {
		return nil, err
	}
	if err := rig.BuildC(ctx, filepath.Join(source, "clones/spinner/spinner.c"), files["/bin/spinner"]); err != nil {
		return nil, err
	}
	if text, err := exec.CommandContext(ctx, "gcc", "-shared", "-fPIC", "-Wl,-soname,libgd.so.3", "-o",
		filepath.Join(dir, "libgd.so.3"), filepath.Join(source, "peers/gd/gd.c")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the stand-in for libgd: %w\n%s", err, text)
	}
	config, err := os.ReadFile(filepath.Join(root, brokerConfig))
	if err != nil {
		return nil, err
	}
	text := strings.NewReplacer("users = users.txt", "users = /etc/entropybroker/users.txt",
		"webserver_port = 48923", "webserver_port = -1").Replace(string(config))
	for name, text := range map[string]string{brokerConfig: text, "/etc/hosts": "127.0.0.1 localhost\n"} {
		files[name] = filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(files[name], []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	var dynamic []string
	for _, program := range fromDebian {
		file := filepath.Join(root, program)
		files["/bin/"+filepath.Base(program)] = file
		dynamic = append(dynamic, file)
	}
	libraries, err := rig.Libraries([]string{dir, filepath.Join(root, "lib/x86_64-linux-gnu"), filepath.Join(root, "usr/lib/x86_64-linux-gnu")}, dynamic...)
	if err != nil {
		return nil, err
	}
	for name, file := range libraries {
		files[name] = file
	}
	return files, nil
}

// folder is where a package of this module is.
func folder(ctx context.Context, pkg string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "headgate/"+pkg).Output()
	if err != nil {
		return "", fmt.Errorf("find the sources of %s: %w", pkg, err)
	}
	return strings.TrimSpace(string(out)), nil
}
