# What the scripts of this folder share; source it, don't run it.
# Licensed under Apache-2.0 WITH LLVM-exception.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
llvm_bin=/usr/lib/llvm-22/bin
python=/usr/bin/python3 # Debian's, for which apt installs numpy; another may come first in PATH
jobs=$(nproc)
# Where the release build is; LATHE_BUILD names another.
build=${LATHE_BUILD:-$root/build}

if [ -t 1 ]; then
  bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'
else
  bold='' green='' red='' yellow='' plain=''
fi

step() { echo "${bold}== $*${plain}"; }

# Ends the script with a sentence that says what is wrong and what to do.
die() {
  echo "${red}$(basename "$0"): $*${plain}" >&2
  exit 1
}

seconds() { awk -v from="$1" -v to="$(date +%s.%N)" 'BEGIN { printf "%.1f", to - from }'; }

# Prints the comment at the top of the calling script as its help.
show_help() { sed -n '2,/^[^#]/ { /Licensed/d; /^# \{0,1\}/ s/^# \{0,1\}//p }' "$0"; }
