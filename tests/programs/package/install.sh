# An installation as a distribution makes it: everything below DESTDIR, in the folders asked for, and gone again.
. "$TESTS/programs/package/functions.sh"
skip_sanitizers

install_below_root install
(cd root && find . ! -type d | grep -v -e /weights/ -e /doc/ -e completion -e site-functions | LC_ALL=C sort)
for file in weights/denoise.json weights/denoise.safetensors; do
  cmp "root/usr/share/restormer-cli/$file" "$top/$file" && echo "$file"
done
for file in "$top"/contrib/completions/*; do
  name=${file##*/}
  cmp "$file" "$(find root -path "*completion*/${name%.bash}" -o -path "*site-functions/$name")" || echo "no $name"
done
readlink root/usr/lib/x86_64-linux-gnu/librestormer.so root/usr/lib/x86_64-linux-gnu/librestormer.so.0
cat root/usr/lib/x86_64-linux-gnu/pkgconfig/restormer.pc | grep -v '^Libs.private'

echo '== its programs find its weights'
env -u RESTORMER_WEIGHTS root/usr/bin/restormer-cli -q "$DATA/coffee-noise50.png" out.png && echo restored

echo '== left after uninstall'
install_below_root uninstall
find root ! -type d
find root -name '*restormer*'

echo '== PREFIX as an alias'
build -o all BUILD="$BUILD_DIR" PREFIX=/opt/r DESTDIR="$PWD/other" install >log 2>&1 || cat log
ls other/opt/r
