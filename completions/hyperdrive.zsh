#compdef hyperdrive
# zsh completion for hyperdrive
_hyperdrive() {
  local line also=
  local -a candidates
  # Without quotes and backslashes; of the present word, what stands before the cursor.
  local current=${(Q)${PREFIX-$words[CURRENT]}}
  local -a before=("${(@Q)words[2,CURRENT-1]}")
  for line in "${(@f)$("${words[1]}" __complete -- "${before[@]}" "$current" 2>/dev/null)}"; do
    case $line in
      '') ;;
      :*) also=${line#:} ;;
      *$'\t'*) candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
      *) candidates+=("${line//:/\\:}") ;;
    esac
  done
  (( $#candidates )) && _describe 'hyperdrive' candidates
  case $also in
    files) _files ;;
    folders) _files -/ ;;
    command) shift words; (( CURRENT-- )); _normal ;;
  esac
}
if [[ $funcstack[1] == _hyperdrive ]]; then
  _hyperdrive "$@"
else
  compdef _hyperdrive hyperdrive
fi
