package config

import (
	_ "embed"
	"fmt"
	"log/slog"
	"os"
)

// Reference is the documented configuration file: every key with its default.
//
//go:embed reference.toml
var Reference []byte

// Config is a configuration that has been checked. Its parts are plain values,
// so that a reload can compare old and new and change only what changed.
type Config struct {
	Control   string // path of the control socket
	State     string // path of the file that keeps guests added live
	Guard     string // GuardOn, GuardRequire or GuardOff
	Meter     string // MeterOn, MeterKprobe or MeterOff
	Log       Log
	Reservoir Reservoir
	Health    Health
	Sources   []Source // none: every usable physical source is to be found
	Classes   []Class  // always holds "default"
	Guests    []Guest
	Host      Host
	Libvirt   Libvirt
	Xen       Xen
}

// Log says how hostd logs when it does not write to the journal.
type Log struct {
	Format string // "text" or "json"
	Level  slog.Level
}

// Reservoir holds the reservoir's size and what is kept back in it.
type Reservoir struct {
	Size        Size
	BootReserve Size // only for guests that have not had their first bytes
	MinSources  int  // origins of which each must credit a block in full
}

// Health holds the parameter of the continuous health tests.
type Health struct {
	AlphaLog2 int // false positives have probability 2^-AlphaLog2 per test
}

// Guest is one guest; what is zero in it comes from its class.
type Guest struct {
	Name        string     `json:"name"`
	Class       string     `json:"class,omitempty"`
	Pipes       []Pipe     `json:"pipes"`
	Rate        Rate       `json:"rate,omitempty"`
	Burst       Size       `json:"burst,omitempty"`
	Weight      int        `json:"weight,omitempty"`
	SocketOwner Owner      `json:"socket_owner,omitempty"`
	SocketMode  SocketMode `json:"socket_mode,omitempty"`
}

// Default is the configuration without a file: found sources, no guests.
func Default() *Config {
	return &Config{
		Control:   "/run/headgate/control.sock",
		State:     "/var/lib/headgate/state.json",
		Guard:     GuardOn,
		Meter:     MeterOn,
		Log:       Log{Format: "text", Level: slog.LevelInfo},
		Reservoir: Reservoir{Size: 64 << 10, BootReserve: 8 << 10, MinSources: 1},
		Health:    Health{AlphaLog2: 40},
		Classes:   []Class{defaultClass()},
		Host:      defaultHost(),
		Libvirt:   defaultLibvirt(),
		Xen:       defaultXen(),
	}
}

// Load reads and checks a file. The error joins one *Error for each mistake, or
// says why the file cannot be read.
func Load(path string) (*Config, error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w; name another with --config, or give none for the built-in default", err)
	}
	return Parse(path, data)
}

// maxFile bounds a configuration file, in bytes: ten thousand guests fit in.
const maxFile = 8 << 20

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s: not a regular file of at most %d MiB", path, maxFile>>20)
	}
	return os.ReadFile(path)
}

// Class finds a class by name; "" is the default class.
func (c *Config) Class(name string) (Class, bool) {
	if name == "" {
		name = DefaultClass
	}
	for _, k := range c.Classes {
		if k.Name == name {
			return k, true
		}
	}
	return Class{}, false
}

// Under gives the limits that hold for the guest: its class's, and over them
// what the guest has of its own.
func (g Guest) Under(c Class) Class {
	if g.Rate != 0 {
		c.Rate = g.Rate
	}
	if g.Burst != 0 {
		c.Burst = g.Burst
	}
	if g.Weight != 0 {
		c.Weight = g.Weight
	}
	if g.SocketOwner != "" {
		c.SocketOwner = g.SocketOwner
	}
	if g.SocketMode != 0 {
		c.SocketMode = g.SocketMode
	}
	return c
}

// SamePipes reports whether both guests have the same pipes with the same
// sockets of their own, so that a reload may leave the connections alone. What
// the sockets take from the class is for the caller to compare.
func (g Guest) SamePipes(o Guest) bool {
	if len(g.Pipes) != len(o.Pipes) || g.SocketOwner != o.SocketOwner || g.SocketMode != o.SocketMode {
		return false
	}
	for i := range g.Pipes {
		if g.Pipes[i] != o.Pipes[i] {
			return false
		}
	}
	return true
}

// Equal reports whether nothing differs between the two guests.
func (g Guest) Equal(o Guest) bool {
	return g.SamePipes(o) && g.Name == o.Name && g.Class == o.Class &&
		g.Rate == o.Rate && g.Burst == o.Burst && g.Weight == o.Weight
}
