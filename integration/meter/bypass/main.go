//go:build linux

// Command bypass is a QEMU and its guest: it starts the QEMU with the arguments that it is
// given, and takes the part of the guest, which reads exactly so many bytes of its
// virtio-rng. The guest's processor halts at once: QEMU is told over its test protocol what
// a driver would do to the device (QEMU's docs/devel/qtest.rst), which takes a hundredth of
// the time of a Linux that boots.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func main() {
	bytes := flag.Int("bytes", 64<<10, "read so many")
	root := flag.String("root", "/", "the folder that is QEMU's root")
	say := flag.String("say", "/dev/stdout", "say QEMU's process id into this file, such as a FIFO, when all is read")
	flag.Parse()
	told := make(chan os.Signal, 1)
	signal.Notify(told, unix.SIGTERM)
	if err := run(*root, flag.Args(), *bytes, *say, told); err != nil {
		fmt.Fprintln(os.Stderr, "bypass:", err)
		os.Exit(1)
	}
}

// run reads, says so, and ends with QEMU when it is told to.
func run(root string, args []string, bytes int, say string, told <-chan os.Signal) error {
	if len(args) == 0 {
		return errors.New("no QEMU is named")
	}
	const bios = "/tmp/halts"
	if err := os.WriteFile(filepath.Join(root, bios), halting(), 0o644); err != nil {
		return err
	}
	args = append(args, "-bios", bios, "-accel", "tcg", "-qtest", "stdio", "-qtest-log", "/dev/null")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Chroot: root, Pdeathsig: unix.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	d, err := find(machine{in, bufio.NewReader(out)})
	if err != nil {
		return err
	}
	if err := d.read(bytes); err != nil {
		return err
	}
	file, err := os.OpenFile(say, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, cmd.Process.Pid)
	if err = errors.Join(err, file.Close()); err == nil {
		<-told
	}
	return err
}

// halting is a BIOS that ends where the processor begins, 16 bytes before the end of it:
// CLI, HLT. Of a machine that was never started QEMU's virtio-rng would serve nothing.
func halting() []byte {
	image := make([]byte, 64<<10)
	copy(image[len(image)-16:], []byte{0xfa, 0xf4})
	return image
}

// machine is a QEMU as its test protocol shows it.
type machine struct {
	to   io.Writer
	from *bufio.Reader
}

// do sends a command and returns what is after the "OK" of its answer.
func (m machine) do(format string, args ...any) (value uint64, err error) {
	if _, err := fmt.Fprintf(m.to, format+"\n", args...); err != nil {
		return 0, err
	}
	for {
		line, err := m.from.ReadString('\n')
		if err != nil {
			return 0, fmt.Errorf("QEMU ended: %w", err)
		}
		if n, _ := fmt.Sscanf(line, "OK 0x%x", &value); n == 1 || line == "OK\n" {
			return value, nil
		}
		if len(line) < 3 || line[:3] != "IRQ" { // these come whenever they like
			return 0, fmt.Errorf("QEMU answered %q to %q", line, fmt.Sprintf(format, args...))
		}
	}
}
