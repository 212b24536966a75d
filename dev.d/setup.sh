# What a command needs is installed when it is missing, and nothing else: no upgrade of what is there, no daemon started,
# none enabled. 'a|b' is the first of them that this distribution has.

bpftool_package() {
  # Debian packages bpftool alone; Ubuntu 24.04 ships it per kernel, behind a wrapper.
  if grep -qi '^ID=ubuntu' /etc/os-release; then echo linux-tools-common linux-tools-generic; else echo bpftool; fi
}

packages_of() {
  case $1 in
    build)
      echo ca-certificates git cmake ninja-build ccache g++ pkg-config "clang-19|clang-18" libbpf-dev libelf-dev libdw-dev libcapstone-dev zlib1g-dev libzstd-dev \
        libprotobuf-dev protobuf-compiler libcurl4-openssl-dev libevent-dev libseccomp-dev libssl-dev \
        libcli11-dev libyaml-cpp-dev nlohmann-json3-dev libgtest-dev libgmock-dev python3 "$(bpftool_package)"
      ;;
    demo) echo nginx curl python3 python3-venv ;;
    test) echo iproute2 nftables procps "clang-format-19|clang-format-18" ;;
    bench) echo wrk nghttp2-client ;;
    lint-format) echo "clang-format-19|clang-format-18" ;;
    lint) echo "clang-format-19|clang-format-18" "clang-tidy-19|clang-tidy-18" "clang-tools-19|clang-tools-18" \
      "libclang-rt-19-dev|libclang-rt-18-dev" "llvm-19|llvm-18" ;;
    vmtest) echo qemu-system-x86 kmod lz4 zstd busybox-static "$(bpftool_package)" iproute2 nftables util-linux nginx python3 ;;
    # Only asked for by CI and by --full: on a user's machine the demo uses the runtimes that are there.
    runtimes) echo golang-go nodejs default-jdk-headless php-cli php-fpm ;;
    *) fail "there is no package group '$1'" "" "build, demo, test, bench, lint, vmtest, runtimes, or --full" ;;
  esac
}

installed() { [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) == ii* ]]; }
offered() { [[ $(apt-cache policy "$1" 2>/dev/null) == *"Candidate: "[!\(]* ]]; }
# A tool from elsewhere (a tarball in /usr/local, nvm) counts: no second Go or Node is put beside it.
present() {
  case $1 in
    golang-go) command -v go ;;
    nodejs) command -v node ;;
    default-jdk-headless) command -v javac ;;
    php-cli) command -v php ;;
    nginx | wrk | curl) command -v "$1" ;;
    *) installed "$1" ;;
  esac >/dev/null
}

packages() {
  local group want name missing=() choose=()
  for group; do
    for want in $(packages_of "$group"); do
      local found=no
      for name in ${want//|/ }; do
        if present "$name"; then found=yes && break; fi
      done
      [[ $found == yes ]] || missing+=("$want")
    done
  done
  ((${#missing[@]})) || return 0

  command -v apt-get >/dev/null || fail "packages are missing: ${missing[*]}" "this is not a Debian or Ubuntu system" "install them by this system's means"
  ((EUID == 0)) || fail "packages are missing: ${missing[*]}" "installing needs root" "sudo ./dev setup $*"
  say "installing: ${missing[*]}"
  apt-get update -qq || say "apt-get update reported errors; going on with the lists there are"
  for want in "${missing[@]}"; do
    found=
    for name in ${want//|/ }; do
      if offered "$name"; then found=$name && break; fi
    done
    [[ -n $found ]] || fail "no package for '${want}' on this system" "apt offers none of: ${want//|/, }" \
      "on Ubuntu, enable universe (add-apt-repository universe); on Debian, check the sources lists"
    choose+=("$found")
  done
  install_quietly "${choose[@]}"
}

# Services that come with packages are neither started now nor at the next boot, and a running one is not touched:
# policy-rc.d says no to start and restart while apt runs, and what was there before is put back whatever happens.
install_quietly() (
  policy=/usr/sbin/policy-rc.d
  saved=$policy.before-wirespan
  restore() {
    rm -f "$policy"
    if [[ -e $saved ]]; then mv "$saved" "$policy"; fi
  }
  # Left by a run that was killed in between: the saved one is the machine's own.
  if [[ -e $saved ]]; then restore; fi
  trap restore EXIT
  trap 'exit 130' INT TERM
  if [[ -e $policy ]]; then mv "$policy" "$saved"; fi
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  units_before=$(enabled_units)
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get install -y -qq --no-install-recommends --no-upgrade \
    -o Dpkg::Use-Pty=0 "$@" >"$(log_for apt)" 2>&1 ||
    fail "apt-get install failed" "$(tail -n 5 "$(log_for apt)")" "the whole log is $(log_for apt); mend apt and run this again"
  # A package enables its service for the next boot; disable those that were not enabled before.
  comm -13 <(echo "$units_before") <(enabled_units) | while read -r unit; do
    [[ -z $unit ]] || systemctl -q disable "$unit" 2>/dev/null || true
  done
)

enabled_units() {
  [[ -d /run/systemd/system ]] || return 0
  systemctl list-unit-files --type=service --state=enabled --no-legend 2>/dev/null | awk '{print $1}' | sort
}

# Ubuntu's /usr/sbin/bpftool is a wrapper that refuses when the running kernel has no linux-tools of its own; any
# version's binary does for reading BTF and making skeletons, so put one that works in front.
use_working_bpftool() {
  bpftool version >/dev/null 2>&1 && return
  local binary
  for binary in $(ls -dr /usr/lib/linux-tools/*/bpftool /usr/lib/linux-tools-*/bpftool 2>/dev/null); do
    if "$binary" version >/dev/null 2>&1; then
      export PATH=${binary%/*}:$PATH
      return
    fi
  done
  fail "no working bpftool" "the build makes vmlinux.h and skeletons with it" "sudo ./dev setup build"
}

# Python packages of the tests, below build/; redone when the requirements change.
venv() {
  local stamp want
  want=$(cat tests/requirements.txt tests/tools/requirements.txt 2>/dev/null | sha256sum)
  stamp=build/venv/requirements.sha256
  [[ -f $stamp && $(<"$stamp") == "$want" ]] && return
  say "Python packages of tests/requirements.txt"
  local base_python=python3
  python3 -c 'import venv, ensurepip' 2>/dev/null || base_python=/usr/bin/python3
  {
    as_user "$base_python" -m venv build/venv &&
      as_user build/venv/bin/python -m pip install -q --prefer-binary -r tests/requirements.txt
  } >"$(log_for venv)" 2>&1 || return 1
  echo "$want" | as_user tee "$stamp" >/dev/null
}
