# Shared by the commands of ./dev: messages, who runs what, where logs go.

say() { printf '\033[1m%s\033[0m\n' "dev: $*" >&2; }

# fail WHAT [WHY] [WHAT TO DO]
fail() {
  printf '\ndev: %s\n' "$1" >&2
  [[ -z "${2:-}" ]] || printf '     why: %s\n' "$2" >&2
  [[ -z "${3:-}" ]] || printf '     do:  %s\n' "$3" >&2
  exit 1
}

need_root() {
  ((EUID == 0)) || fail "'$1' needs root" "loading eBPF programs and making cgroups and network namespaces is reserved to root" "sudo ./dev $1"
  [[ $(uname -s) == Linux ]] || fail "wirespan traces Linux only" "this is $(uname -s)"
  [[ -r /sys/kernel/btf/vmlinux ]] || fail "this kernel ($(uname -r)) has no BTF" \
    "/sys/kernel/btf/vmlinux is missing, so eBPF programs cannot find kernel structures" \
    "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y (every Debian 12 and Ubuntu 24.04 kernel is); in a container, mount the host's /sys"
}

# True where a user called sudo in a tree of their own.
for_user() { ((EUID == 0)) && [[ -n "${SUDO_UID:-}" && "${SUDO_UID}" != 0 && $(stat -c %u "$WIRESPAN_ROOT") == "$SUDO_UID" ]]; }

# Runs as that user: the compiler needs no root, and the cache is theirs.
as_user() {
  if for_user; then
    local home
    home=$(getent passwd "$SUDO_UID" | cut -d: -f6)
    HOME=${home:-/tmp} runuser -u "$(id -un "$SUDO_UID")" -- "$@"
  else
    "$@"
  fi
}

# What root's part wrote (logs, results, built services) goes back to the user, however the command ended.
give_back() { if for_user && [[ -d build ]]; then chown -R --from=root "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" build; fi; }
trap give_back EXIT

log_for() {
  as_user mkdir -p "$WIRESPAN_ROOT/build/logs"
  echo "$WIRESPAN_ROOT/build/logs/$1.log"
}

# sudo's secure_path drops the usual homes of Go and Node; a user's own tools still count as present.
export PATH=$PATH:/usr/local/go/bin:/usr/local/bin:/usr/sbin:/sbin

# Clones share what is compiled: CI's fresh clone and a second work tree find the first one's objects.
export CCACHE_BASEDIR=$WIRESPAN_ROOT CCACHE_NOHASHDIR=1

# The newest installed version of an LLVM tool: clang-format-19, else -18, else the plain name.
tool() {
  local name
  for name in "$1-19" "$1-18" "$1"; do
    command -v "$name" && return
  done
  fail "$1 is not installed" "" "sudo ./dev setup lint"
}

# Python of the tests: the venv when there is one, else the system's (the demo needs nothing but its standard library).
python() {
  if [[ -x build/venv/bin/python ]]; then build/venv/bin/python "$@"; else python3 "$@"; fi
}

# Every C and C++ file that is ours, NUL-separated.
sources() {
  find base model bpf agent correlator exporters tests bench -type f \( -name '*.h' -o -name '*.c' -o -name '*.cc' \) -not -name 'vmlinux*' -print0
}
