//go:build linux

package sign

import "os"

// devicesMost is how many devices of one driver are looked at.
const devicesMost = 64

// devices are the paths of what a driver has been bound to.
func (w *Watcher) devices(bus, driver string) (paths []string) {
	path := w.path("sys/bus/" + bus + "/drivers/" + driver)
	dir, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(devicesMost)
	for _, name := range names {
		switch name {
		case "bind", "unbind", "new_id", "remove_id", "uevent", "module": // are no devices
		default:
			paths = append(paths, path+"/"+name)
		}
	}
	return paths
}

// linkAnnounces says whether there is a link that announces itself after a restore.
func (w *Watcher) linkAnnounces() bool {
	const guestAnnounce = 21 // VIRTIO_NET_F_GUEST_ANNOUNCE (linux/virtio_net.h)
	for _, link := range w.devices("virtio", "virtio_net") {
		features, err := os.ReadFile(link + "/features") // a character a bit, from bit 0
		if err == nil && len(features) > guestAnnounce && features[guestAnnounce] == '1' {
			return true
		}
	}
	return len(w.devices("xen", "vif")) > 0 || len(w.devices("vmbus", "hv_netvsc")) > 0
}
