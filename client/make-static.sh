#!/bin/sh
# Makes the static library out of the library's own objects and those of the protocol layer that it
# uses, as one object with all internal names made local: a program that links it may have functions
# of its own with such names (or link a library that has).
# usage: make-static.sh OUTPUT CORE.a PROTOCOL.a AR OBJCOPY COMPILER…
# The compiler's command may have several words: ccache cc.
set -eu
output=$1 core=$2 protocol=$3 ar=$4 objcopy=$5
shift 5
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$@" -nostdlib -r -o "$folder/pierre-db.o" \
	-Wl,--whole-archive "$core" -Wl,--no-whole-archive "$protocol"
"$objcopy" --localize-hidden "$folder/pierre-db.o"
rm -f "$output"
"$ar" cr "$output" "$folder/pierre-db.o"
