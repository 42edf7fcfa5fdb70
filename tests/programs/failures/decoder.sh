# A decoder that goes wrong: its process ends, the run ends with a message and status 4, and an existing output stays. What
# goes wrong is put between the program and zlib, or libzip.
. "$TESTS/programs/failures/functions.sh"
if ldd "$BUILD_DIR/restormer-cli" | grep -q 'lib[atu]*san'; then
  echo 'sanitizers want to be loaded first'
  exit 77
fi
restormer-cli -V -v | grep -q 'a process without rights' || { echo 'this build has no sandbox'; exit 77; }
echo 'what was there before' >out.png

# with CODE: a run whose inflate(), or $function, does that first
function='int inflate(void *stream, int flush)'
with() {
  cat >bad.c <<END
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
$function;
$function { $1; return -2; }
END
  ${CC:-cc} -shared -fPIC -w -o bad.so bad.c || exit 77
  shift
  LD_PRELOAD=$PWD/bad.so "$@"
  echo "exit $?"
}
with '*(volatile int *)8 = 1' restormer-cli in.png out.png
with 'abort()' restormer-cli in.png out.png
with 'socket(AF_INET, SOCK_STREAM, 0)' restormer-cli in.png out.png
with 'execl("/bin/sh", "sh", "-c", "touch pwned", (char *)0)' restormer-cli in.png out.png
with '_exit(0)' restormer-cli in.png out.png
with 'abort()' restormer-compare in.png in.png
echo '--- files are out of reach'
with 'if (open("/etc/passwd", O_RDONLY) < 0 && open("pwned", O_WRONLY | O_CREAT, 0666) < 0 && unlink("out.png") < 0) abort()' \
  restormer-cli in.png out.png
echo '--- in the program itself, when that is asked for'
(with '_exit(42)' restormer-cli --no-sandbox in.png out.png)
echo '--- a kernel that takes no filter is an error, unless that is asked for'
(
  function='int seccomp_load(void *filter)'
  with 'return -22' restormer-cli in.png out.png
  with 'return -22' restormer-compare in.png in.png
  with 'return -22' restormer-weights convert "$TESTS/data/checkpoints/params.pth" -o model.json 2>&1 | sed "s|$TESTS/||"
  cat out.png
  with 'return -22' restormer-cli -q --no-sandbox in.png new.png
  rm new.png
)
echo '--- Ctrl-C while it decodes'
with 'for (;;)' sh -c 'restormer-cli in.png out.png & sleep 1; kill -s TERM $!; wait $!'
cat out.png
echo '--- checkpoints'
function='long zip_fread(void *file, void *buffer, unsigned long long size)'
pth=$TESTS/data/checkpoints/params.pth
with '*(volatile int *)8 = 1' restormer-weights convert "$pth" -o model.json 2>&1 | sed "s|$TESTS/||"
with 'execl("/bin/sh", "sh", "-c", "touch pwned", (char *)0)' restormer-weights convert "$pth" -o model.json 2>&1 | sed "s|$TESTS/||"
with 'if (open("/etc/passwd", O_RDONLY) < 0 && open("pwned", O_WRONLY | O_CREAT, 0666) < 0) abort()' \
  restormer-weights convert "$pth" -o model.json 2>&1 | sed "s|$TESTS/||"
(with '_exit(42)' restormer-weights convert --no-sandbox "$pth" -o model.json)
with 'for (;;)' sh -c "restormer-weights convert '$pth' -o model.json & sleep 1; kill -s TERM \$!; wait \$!"
ls -A
