# Objects are made anew when what they are compiled with changes, and only then.
. "$TESTS/programs/package/functions.sh"
object=$PWD/build/obj/src/base/sha256.o
made() {
  rm -f before
  [ ! -e "$object" ] || cp -p "$object" before
  build BUILD="$PWD/build" "$@" "$object" >log 2>&1 || cat log
  if [ ! -e before ] || [ "$object" -nt before ]; then echo "made: $*"; else echo "kept: $*"; fi
}

made CFLAGS=-O1
made CFLAGS=-O1
made CFLAGS=-O1 SANITIZE=undefined
nm "$object" | grep -c __ubsan >ubsan && echo 'with the sanitizer'
made CFLAGS=-O1
nm "$object" | grep -q __ubsan || echo 'without the sanitizer'
made CFLAGS=-O1 CPPFLAGS="-DQUOTED='\"a b\"'"
made CFLAGS=-O1 CPPFLAGS="-DQUOTED='\"a b\"'"
