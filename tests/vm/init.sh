#!/bin/busybox sh
# PID 1 of the test VM: puts the machine's own files under a throw-away overlay, runs one command there,
# leaves its exit status in the shared folder and powers off. See tests/support/vm.py for the other side.
export PATH=/bin
/bin/busybox --install -s /bin
fail() { echo "vm-init: $*"; sync; reboot -f; }

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod "$module" || fail "insmod $module"; done </boot-modules

options=trans=virtio,version=9p2000.L,msize=524288
mount -t 9p -o "$options,ro,cache=loose" machine /machine || fail "the machine's files"
# Not cached: the other side reads along while the command runs.
mount -t 9p -o "$options,cache=none" shared /shared || fail "the shared folder"
mount -t tmpfs -o size=75% tmpfs /scratch
mkdir /scratch/upper /scratch/work
mount -t overlay -o lowerdir=/machine,upperdir=/scratch/upper,workdir=/scratch/work overlay /new || fail overlay

for point in proc sys dev; do mount --move "/$point" "/new/$point"; done
mkdir -p /new/dev/shm /new/dev/pts /new/run /new/lib/modules
ln -sf /proc/self/fd /new/dev/fd
for n in 0:stdin 1:stdout 2:stderr; do ln -sf "/proc/self/fd/${n%%:*}" "/new/dev/${n##*:}"; done
mount -t tmpfs -o mode=1777 tmpfs /new/dev/shm
mount -t devpts devpts /new/dev/pts
mount -t tmpfs -o mode=755 tmpfs /new/run
mount --bind /lib/modules /new/lib/modules
ifconfig lo up

# The shared folder keeps its path, so that one path means one file on both sides.
out=$(cat /shared/.vm/path)
mkdir -p "/new$out"
mount --move /shared "/new$out" || fail "move the shared folder to $out"

echo "vm-init: ready"
chroot /new /bin/sh "$out/.vm/command.sh" >"/new$out/.vm/stdout" 2>&1
echo $? >"/new$out/.vm/rc"
sync
reboot -f
