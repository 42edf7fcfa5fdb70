# `make deb`: packages that dpkg takes, with what they need named, whose programs run.
. "$TESTS/programs/package/functions.sh"
skip_sanitizers
command -v dpkg-deb >/dev/null || { echo 'no dpkg-deb'; exit 77; }

build -o all BUILD="$BUILD_DIR" DEB_OUT="$PWD/deb" deb >log 2>&1 || cat log
version=$(sed -n 's/^#define RST_VERSION "\(.*\)"/\1/p' "$top/src/restormer.h")
for package in restormer-cli librestormer0 librestormer-dev; do
  echo "== $package"
  file=deb/${package}_${version}_$(dpkg --print-architecture).deb
  dpkg-deb --field "$file" Package Section Priority Description
  dpkg-deb --field "$file" Depends | grep -o 'libc6 (>=\|librestormer0 (= \|libcjson[0-9]' 
  dpkg-deb --contents "$file" | awk '$2 != "root/root" { print "owner " $2 }'
  dpkg-deb --extract "$file" root
done
dpkg-deb --ctrl-tarfile "deb/librestormer0_${version}_$(dpkg --print-architecture).deb" | tar -xO ./triggers ./shlibs | sed "s/$version/VERSION/"

echo '== extracted'
(cd root && find . ! -type d | sed "s/$version/VERSION/" | grep -v -e /weights/ -e completion -e site-functions -e README -e CHANGELOG -e SECURITY | LC_ALL=C sort)
gzip -dc root/usr/share/man/man1/restormer-cli.1.gz | cmp - "$top/docs/restormer-cli.1"
env -u RESTORMER_WEIGHTS root/usr/bin/restormer-cli -q "$DATA/coffee-noise50.png" out.png && echo restored

echo '== installed below another root'
mkdir -p admin/var/lib/dpkg/info admin/var/lib/dpkg/updates && : >admin/var/lib/dpkg/status
if [ "$(id -u)" -eq 0 ]; then
  dpkg --root="$PWD/admin" --force-depends --force-bad-path --log=/dev/null -i deb/*.deb >log 2>&1 || cat log
  cmp admin/usr/bin/restormer-cli root/usr/bin/restormer-cli
  dpkg --root="$PWD/admin" --log=/dev/null --purge restormer-cli librestormer0 librestormer-dev >log 2>&1 || cat log
  find admin -name '*restormer*'
fi

echo '== the same again'
build -o all BUILD="$BUILD_DIR" DEB_OUT="$PWD/again" deb >log 2>&1 || cat log
for file in deb/*; do cmp "$file" "again/${file##*/}"; done
