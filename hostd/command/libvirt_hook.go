package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

// What a hook takes at most, whatever libvirt, hostd and the log do: a domain's
// start waits for it.
const (
	hookPatience = 400 * time.Millisecond // to read the domain and to tell hostd
	hookLastWord = 100 * time.Millisecond // to log that it failed
)

// hookOps are the operations that hostd wants to know of
// (https://libvirt.org/hooks.html#etc-libvirt-hooks-qemu). Only from start on the
// XML has the labels. The others, started and stopped, tell nothing more, and each
// would cost a start its time while hostd hangs.
var hookOps = []string{"prepare", "start", "restore", "migrate", "reconnect", "release"}

func (a *App) libvirtHook() *cobra.Command {
	c := &cobra.Command{
		Use:   "hook NAME OPERATION SUB EXTRA <XML",
		Short: "Tell hostd what libvirt does with a domain; libvirt runs it",
		Long: "Tell hostd what libvirt does with a domain, so that its socket is there before its QEMU\n" +
			"is. The script that install-hook writes runs it, with the domain's XML on stdin. It never\n" +
			"fails and prints nothing on stdout, because libvirt would stop the domain or take that\n" +
			"for XML; what goes wrong is logged, and the domain is fed when hostd is back.",
		Example: "  hostd libvirt hook web1 prepare begin - <web1.xml",
		// Not one thing that libvirt may pass some day makes it fail.
		Args:               cobra.ArbitraryArgs,
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := a.hook(c.Context(), args); err != nil {
			a.lastWord(args, err)
		}
		return nil
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		a.lastWord(nil, err)
		return nil
	})
	return c
}

// hook reads the domain and tells hostd, within hookPatience.
func (a *App) hook(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return errors.New("it wants what libvirt gives: NAME OPERATION SUB EXTRA")
	}
	if !slices.Contains(hookOps, args[1]) {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, a.hookPatience)
	defer stop()
	d, err := a.hookDomain(ctx)
	if err != nil || !wired(d) {
		return err
	}
	client := a.client()
	defer client.Close()
	err = client.Hook(ctx, control.HookCall{Op: args[1], Domain: d})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("hostd at %s did not answer within %v", a.control, a.hookPatience)
	}
	return err
}

// hookDomain reads the domain from stdin. A read of stdin cannot be broken off:
// one that hangs is left behind, and ends with the process.
func (a *App) hookDomain(ctx context.Context) (libvirt.Domain, error) {
	type result struct {
		domain libvirt.Domain
		err    error
	}
	read := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("the domain's XML made it panic: %v", p)
			}
			read <- r
		}()
		// What is beyond the bound is left unread: libvirt does not mind (virCommand
		// takes EPIPE for the end).
		data, err := io.ReadAll(io.LimitReader(a.In, libvirt.MaxXML+1))
		if err == nil {
			r.domain, err = libvirt.ParseDomain(data)
		}
		r.err = err
	}()
	select {
	case r := <-read:
		return r.domain, r.err
	case <-ctx.Done():
		return libvirt.Domain{}, fmt.Errorf("the domain's XML did not come on stdin within %v", a.hookPatience)
	}
}

// wired tells whether the domain has anything that hostd could feed.
func wired(d libvirt.Domain) bool {
	return len(d.Channels) > 0 || len(d.Vhosts) > 0 || slices.ContainsFunc(d.RNGs, func(r libvirt.RNG) bool {
		return r.Backend == "egd" && r.Type == "unix"
	})
}

// clip cuts s to at most n bytes, between two characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// lastWord says what went wrong, if that can be said in time.
func (a *App) lastWord(args []string, err error) {
	signal.Ignore(syscall.SIGPIPE) // else a write to a stderr that nobody reads would end it by that signal
	what := "libvirt hook"
	if len(args) >= 2 {
		what = fmt.Sprintf("libvirt hook: domain %s, %s", clip(args[0], 255), clip(args[1], 32)) // NAME_MAX bounds names
	}
	line := printable(strings.ReplaceAll(fmt.Sprintf("%s: %v; libvirt goes on, and the domain is fed when hostd sees it", what, err), "\n", "; "))
	said := make(chan struct{}, 2)
	go func() { fmt.Fprintf(a.Err, "hostd: %s\n", line); said <- struct{}{} }()
	go func() { a.Log(line); said <- struct{}{} }()
	late := time.After(a.hookLastWord)
	for range cap(said) {
		select {
		case <-said:
		case <-late:
			return
		}
	}
}
