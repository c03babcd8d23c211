#!/bin/bash
# dracut: guestd into the initramfs, with the drivers of its ways to the host, as many
# of them as the kernel has. seed.sh runs it there.

guestd=/usr/local/sbin/guestd

check() {
    [[ -x ${dracutsysrootdir-}$guestd ]] || return 1
}

depends() {
    return 0
}

installkernel() {
    # Also those that this machine, where the image is made, does not use.
    hostonly='' instmods virtio_pci virtio_mmio virtio_console virtio_rng qemu_fw_cfg xen_evtchn xen_gntalloc
}

install() {
    inst "$guestd" /sbin/guestd
    # shellcheck disable=SC2154 # moddir is dracut's
    inst_hook pre-udev 10 "$moddir/seed.sh"
}
