#!/bin/sh
# Links the static library from its objects and those of the protocol layer into one object, and
# makes internal names local. So they cannot clash with names of the program or other libraries.
# usage: make-static.sh OUTPUT CORE.a PROTOCOL.a AR OBJCOPY COMPILER…
# The compiler command may have several words: ccache cc.
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
