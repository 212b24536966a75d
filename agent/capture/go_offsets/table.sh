#!/bin/bash
# Rows of ../go_offsets.cc: builds an empty program with each Go release named and reads its DWARF.
#   ./table.sh 1.21.0 1.21.13 1.22.0 ...
# Toolchains come through the Go module proxy (GOTOOLCHAIN). go1.21 is the first that can be had so.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
export GOFLAGS=-buildvcs=false
printf 'package main\n\nfunc main() {}\n' >"$work/main.go"
mkdir "$work/tool" && cp "$here/main.go" "$work/tool/main.go"
printf 'module offsets\n\ngo 1.21\n' >"$work/tool/go.mod"
(cd "$work/tool" && go build -o ../offsets .)
for version; do
  for arch in amd64 arm64; do
    printf 'module empty\n\ngo 1.21\n' >"$work/go.mod"
    (cd "$work" && GOTOOLCHAIN=go$version GOARCH=$arch CGO_ENABLED=0 go build -o "empty" main.go)
    "$work/offsets" "$work/empty"
  done
done
