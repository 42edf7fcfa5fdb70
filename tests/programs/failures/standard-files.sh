# Standard input, output and error that are closed or cannot be written: messages do not end up in pictures.
. "$TESTS/programs/failures/functions.sh"
restormer-cli -q in.png right.png

for closed in '<&-' '>&-' '2>&-' '<&- >&- 2>&-'; do
  eval "restormer-cli -v in.png out.png $closed" 2>/dev/null
  echo "$closed: exit $?"
  cmp right.png out.png && rm out.png
done
echo '--- a failure without anywhere to tell it'
restormer-cli missing.png out.png 2>&-
echo "exit $?"
ls -A

echo '--- results that cannot be written'
nowhere() { "$@" >&-; echo "exit $?"; }
full() { "$@" >/dev/full; echo "exit $?"; }
for program in restormer-cli restormer-compare restormer-weights; do
  nowhere $program --help
  full $program --help
done
nowhere restormer-compare in.png in.png
full restormer-weights info "$identity"

echo '--- pictures through pipes'
restormer-cli -q - piped.png <in.png && cmp right.png piped.png
head -c 300 in.png | try restormer-cli -q - out.png
try restormer-cli -q - out.png </dev/null
try restormer-cli -q - out.png <&-
