# README's chart shows the figures of README's table.
command -v python3 >/dev/null || { echo 'no Python here'; exit 77; }
python3 "$TESTS/../bench/chart.py" "$TESTS/../README.md" >speed.svg
cmp speed.svg "$TESTS/../docs/speed.svg" && echo 'the same figures'
grep -c '<rect' speed.svg
