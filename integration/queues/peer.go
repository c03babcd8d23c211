//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The one public vhost-user-rng beside ours (rust-vmm's vhost-device), as crates.io has it.
const (
	crate   = "vhost-device-rng"
	version = "0.1.0"
)

// vhostDevice finds it in the module's build folder, or has cargo build it there.
func vhostDevice(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the folder of the module: %w", err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "build", "cargo")
	program := filepath.Join(root, "bin", crate)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	cargo, err := exec.LookPath("cargo")
	if err != nil {
		return "", fmt.Errorf("it cannot be built: %w; install Rust, https://rustup.rs", err)
	}
	fmt.Printf("building %s %s\n", crate, version)
	text, err := exec.CommandContext(ctx, cargo, "install", "--quiet", crate, "--version", version, "--root", root).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("it cannot be built: %w: %s", err, lastLine(string(text)))
	}
	return program, nil
}

// lastLine is where a program says what was wrong.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}
