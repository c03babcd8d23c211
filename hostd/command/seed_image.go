package command

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"headgate/guestd/check"
	"headgate/hostd/config"
	"headgate/hostd/control"
)

// Where systemd keeps its seed (systemd-random-seed(8)).
const (
	seedFolder = "var/lib/systemd"
	seedName   = "random-seed"
)

// intoImage makes the file of systemd's in the root of an image, out of which no link
// leads, and says what clones of the image would share.
func (a *App) intoImage(root string, force bool) (seedTarget, error) {
	found, err := check.Run(root)
	if err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, plain(root, err)
	}
	defer dir.Close()
	path := filepath.Join(root, seedFolder)
	if err := dir.MkdirAll(seedFolder, 0o755); err != nil {
		return nil, plain(path, err)
	}
	folder, err := dir.OpenRoot(seedFolder)
	if err != nil {
		return nil, plain(path, err)
	}
	path = filepath.Join(path, seedName)
	if old, err := folder.Lstat(seedName); err == nil && old.Mode().IsRegular() && !force {
		folder.Close()
		return nil, fmt.Errorf("%s exists, and every clone of the image has it: replace it with --force", path)
	}
	n, err := open(folder, seedName, path, force)
	if err != nil {
		return nil, err
	}
	a.tellShared(root, found)
	return seedFile{n, control.SeedRoot}, nil
}

// tellShared warns of what clones of an image would share but the seed, which is
// about to be this machine's own; one command that mends several is said once, after
// the last.
func (a *App) tellShared(root string, found []check.Finding) {
	var b strings.Builder
	l := lookOf(a.Err)
	fix := ""
	for _, f := range found {
		if f.Level != check.Fault || f.Path == "/"+seedFolder+"/"+seedName {
			continue
		}
		if strings.Contains(f.Fix, seedFolder+"/"+seedName) { // it would remove the new one
			f.Fix = "rm -f " + config.ShellWord(filepath.Join(root, f.Path))
		}
		if fix != "" && fix != f.Fix {
			fmt.Fprintf(&b, "  %s\n", printable(fix))
		}
		fix = f.Fix
		fmt.Fprintf(&b, "%s %s\n", l.warn.Render("warning:"), printable(strings.TrimSpace(f.About+" "+f.Path)+": "+f.What))
	}
	if fix != "" {
		fmt.Fprintf(&b, "  %s\n", printable(fix))
	}
	fmt.Fprint(a.Err, b.String())
}
