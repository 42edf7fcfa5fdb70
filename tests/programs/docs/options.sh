# Man pages and completions say what the programs' tables of options say, and are what man and the shells can read.
. "$TESTS/programs/functions.sh"
top=$TESTS/..

"$top/contrib/update-docs" "$BUILD_DIR" "$PWD/new"
for program in restormer-cli restormer-weights restormer-compare; do
  for file in docs/$program.1 contrib/completions/$program.bash contrib/completions/_$program \
    contrib/completions/$program.fish; do
    diff -u "$top/$file" "new/$file" && echo "$file: as the program says"
  done
done

echo '--- every option of --help is in the man page and in each completion'
for program in restormer-cli restormer-weights restormer-compare; do
  "$program" --help | grep -o '^  *\(-[a-zA-Z], \)\{0,1\}--[a-z-]*' | sed 's/.*--//' >options
  [ "$(wc -l <options)" -gt 7 ] || echo "$program: few options"
  while read -r option; do
    grep -q "^\.It Fl.* -$option" "new/docs/$program.1" || echo "--$option is not in the man page"
    grep -q -- "--$option[ ')]" "new/contrib/completions/$program.bash" || echo "--$option is not in bash's"
    grep -q -- "--$option[=[}]" "new/contrib/completions/_$program" || echo "--$option is not in zsh's"
    grep -q -- " -l $option " "new/contrib/completions/$program.fish" || echo "--$option is not in fish's"
  done <options
done

echo '--- read by those who they are for, where they are here'
cd new || exit
! command -v mandoc >lint || mandoc -T lint -W warning docs/*.1
! command -v zsh >lint || zsh -n contrib/completions/_restormer-*
! command -v fish >lint || for file in contrib/completions/*.fish; do fish --no-config -n "$file"; done
command -v bash >lint || exit 0
cat >complete <<'END'
# complete WORD...: what bash offers for the last word
. contrib/completions/restormer-cli.bash
COMP_WORDS=(restormer-cli "$@") COMP_CWORD=$#
_restormer_cli
printf '%s\n' "${COMPREPLY[@]}"
END
bash complete --prec
bash complete --precision ''
bash complete --blend u
sed 's/restormer-cli/restormer-weights/; s/_restormer_cli/_restormer_weights/; s/(restormer-cli/(restormer-weights/' complete >complete-weights
bash complete-weights info deno
bash complete-weights verify deno
bash complete-weights convert deno
bash complete --threads ''
bash complete docs/restormer-cl
cat >complete <<'END'
. contrib/completions/restormer-weights.bash
COMP_WORDS=(restormer-weights "$@") COMP_CWORD=$#
_restormer_weights
printf '%s ' "${COMPREPLY[@]}"
echo
END
bash complete ''
bash complete --
bash complete convert --
bash complete convert --dtype b
bash complete info --
bash complete verify docs/restormer-w
