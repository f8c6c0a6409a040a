# bash completion for hyperdrive

# What is typed up to the cursor as words, without quotes and backslashes, into `words`.
_hyperdrive_words() {
  local line=${COMP_LINE:0:COMP_POINT} word= quote= begun= char
  local -i i=0
  words=()
  while ((i < ${#line})); do
    char=${line:i:1}
    i+=1
    if [[ $quote != "'" && $char == \\ ]]; then
      word+=${line:i:1}
      i+=1
    elif [[ -n $quote ]]; then
      if [[ $char == "$quote" ]]; then quote=; else word+=$char; fi
    elif [[ $char == [\'\"] ]]; then
      quote=$char
    elif [[ $char == [[:blank:]] ]]; then
      [[ -n $begun ]] && words+=("$word")
      word= begun=
      continue
    else
      word+=$char
    fi
    begun=1
  done
  words+=("$word")
}

_hyperdrive() {
  local words line text also= current=${COMP_WORDS[COMP_CWORD]} head=
  COMPREPLY=()
  _hyperdrive_words
  # Bash puts its words' ends at ':' and '=', too, and replaces what is behind the last one only.
  [[ $current != [\'\"]* && ${words[-1]} == *[:=]* ]] && head=${words[-1]%"${words[-1]##*[:=]}"}
  while IFS= read -r line; do
    case $line in
      :*) also=${line#:} ;;
      *)
        text=${line%%$'\t'*}
        text=${text#"$head"}
        case $current in
          \'*) ;;
          \"*)
            text=${text//\\/\\\\}
            text=${text//\"/\\\"}
            text=${text//\$/\\\$}
            text=${text//\`/\\\`}
            ;;
          *) printf -v text '%q' "$text" ;;
        esac
        COMPREPLY+=("$text")
        ;;
    esac
  done < <("${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null)
  case $also in
    files) mapfile -t COMPREPLY < <(compgen -f -- "$current"); compopt -o filenames 2>/dev/null ;;
    folders) mapfile -t COMPREPLY < <(compgen -d -- "$current"); compopt -o filenames 2>/dev/null ;;
    command) mapfile -t COMPREPLY < <(compgen -c -f -- "$current") ;;
  esac
}
complete -F _hyperdrive hyperdrive
