_restormer_weights() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
  compopt -o filenames 2>/dev/null
  case $prev in
    -o | --output) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --dtype) COMPREPLY=($(compgen -W 'f32 f16 bf16' -- "$cur")); return ;;
    --name) COMPREPLY=(); return ;;
    --task) COMPREPLY=(); return ;;
    --license) COMPREPLY=(); return ;;
    --source) COMPREPLY=(); return ;;
    --size) COMPREPLY=(); return ;;
    -t | --threads) COMPREPLY=(); return ;;
    --generate) COMPREPLY=($(compgen -W 'man bash zsh fish' -- "$cur")); return ;;
  esac
  local words='--help --version --generate'
  [[ ${COMP_WORDS[1]} != convert ]] || words+=' --output --dtype --name --task --license --source --no-residual --no-sandbox'
  [[ ${COMP_WORDS[1]} != info ]] || words+=' --size --threads --json'
  [[ ${COMP_WORDS[1]} != verify ]] || words+=''
  [[ $COMP_CWORD != 1 ]] || words+=' convert info verify'
  if [[ $cur == -* || $COMP_CWORD == 1 ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
  else
    COMPREPLY=($(compgen -f -- "$cur"))
    [[ ${COMP_WORDS[1]} != @(info|verify) ]] || COMPREPLY+=($(compgen -W '$(restormer-cli --list-weights 2>/dev/null | cut -d" " -f1)' -- "$cur"))
  fi
}
complete -F _restormer_weights restormer-weights
