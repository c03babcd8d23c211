// Command hostd reads a host's physical noise and shares it out to its guests.
package main

import (
	"context"
	"os"
	"runtime/debug"

	"headgate/hostd/command"
	"headgate/hostd/daemon"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version = ""

func main() {
	if version == "" {
		version = "devel"
		if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
			version = info.Main.Version
		}
	}
	app := command.New(version, func(ctx context.Context, path string) error {
		return daemon.Serve(ctx, path, version)
	})
	os.Exit(app.Main(context.Background(), command.Args(os.Args)))
}
