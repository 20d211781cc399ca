#!/bin/sh
# Collects what the image holds beyond its base: the stripped binary, the shared libraries that it needs down to the loader, and
# the few files that these read. No shell. Prints the size; fails above IMAGE_BYTES_MAX (60 MB).
#
# Usage: scripts/image-root.sh BINARY DIRECTORY
# DIRECTORY is made, or emptied if this script made it.
set -eu

# Also in k8s/: runAsUser and runAsGroup.
user=2112
group=2000

fail() {
    echo "image-root: $*" >&2
    exit 1
}
[ $# -eq 2 ] || fail "usage: $0 BINARY DIRECTORY"
binary=$1 root=$2 bytes_max=${IMAGE_BYTES_MAX:-60000000}
[ -x "$binary" ] || fail "$binary is not there: make build"
if [ -e "$root" ]; then
    [ -e "$root/usr/bin/prism" ] || fail "$root is there, and not of this script"
    rm -rf "$root"
fi
umask 022
mkdir -p "$root/usr/bin"

strip -o "$root/usr/bin/prism" "$binary"
chmod 0755 "$root/usr/bin/prism"

# Lines of ldd: "name => /path (address)", and "/path (address)" of the loader. Copied to where the loader looks for them; a folder
# that is a link to /usr's (merged /usr) becomes one here too.
libraries=$(ldd "$binary") || fail "ldd $binary"
case $libraries in *"not found"*) fail "ldd misses libraries: $libraries" ;; esac
for library in $(printf '%s\n' "$libraries" | sed -n 's/^.*=> \(\/[^ ]*\) (0x.*$/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (0x.*$/\1/p'); do
    folder=$(readlink -f "$(dirname "$library")")
    mkdir -p "$root$folder"
    cp -L "$library" "$root$folder/"
    chmod 0755 "$root$folder/$(basename "$library")"
    # The licence of each, where Debian keeps them.
    package=$(dpkg-query -S "$library" "/usr$library" 2>/dev/null | sed -n 's/:.*//p' | head -n 1) || package=
    if [ -n "$package" ] && [ -e "/usr/share/doc/$package/copyright" ]; then
        mkdir -p "$root/usr/share/doc/$package"
        cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/"
    fi
done
for folder in lib lib64; do
    if [ -L "/$folder" ] && [ -d "$root/usr/$folder" ]; then ln -s "usr/$folder" "$root/$folder"; fi
done

mkdir -p "$root/etc/ssl/certs"
printf 'root:x:0:0:root:/:/nonexistent\nprism:x:%s:%s:Prism:/nonexistent:/nonexistent\n' "$user" "$group" >"$root/etc/passwd"
printf 'root:x:0:\nprism:x:%s:\n' "$group" >"$root/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"
# For PGSSLROOTCERT.
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
fi

# Where volumes go, and where the runtime mounts; the first two also work without volumes.
mkdir -p "$root/run/prism" "$root/var/lib/prism" "$root/tmp" "$root/proc" "$root/sys" "$root/dev"
chmod 2770 "$root/run/prism" "$root/var/lib/prism"
chmod 1777 "$root/tmp"
if [ "$(id -u)" -eq 0 ]; then chown "$user:$group" "$root/run/prism" "$root/var/lib/prism"; fi

bytes=$(find "$root" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }')
own=$(stat -c %s "$root/usr/bin/prism")
awk -v all="$bytes" -v own="$own" 'BEGIN {
    printf "image-root: %.1f MB beyond the base: prism %.1f MB, libraries and the rest %.1f MB\n", all / 1e6, own / 1e6, (all - own) / 1e6 }'
[ "$bytes" -le "$bytes_max" ] || fail "that is more than the $bytes_max bytes it may have"
