# Runs checks and adds them up: each leaves a JUnit file in build/results, and the last line printed counts over all.

results_begin() {
  # CI runs several commands and wants one sum at the end.
  [[ -n "${WIRESPAN_KEEP_RESULTS:-}" ]] || rm -rf build/results
  as_user mkdir -p build/results
}

results_end() { python3 tests/tools/results.py sum build/results; }

# run_ctest PRESET FILTER [unit]: tests that need no root run as the user.
run_ctest() {
  local preset=$1 filter=$2 only=${3:-all} args=(--output-on-failure --no-tests=ignore -j "$(nproc)")
  [[ -z $filter ]] || args+=(-R "$filter")
  as_user ctest --test-dir "build/$preset" "${args[@]}" -LE root --output-junit "$PWD/build/results/unit-$preset.xml" | failures_only
  [[ $only == unit ]] ||
    ctest --test-dir "build/$preset" "${args[@]}" -j 1 -L root --output-junit "$PWD/build/results/root-$preset.xml" | failures_only
}

# The verdict is in the JUnit file; here only what one wants to read.
failures_only() { sed -E '/ Passed +[0-9.]+ sec/d; /^ +Start +[0-9]+: /d; /^Internal ctest|^Label Time/d' || true; }

run_pytest() {
  local args=(-q -p no:cacheprovider --junit-xml build/results/python.xml)
  [[ -z $1 ]] || args+=(-k "$1")
  # Byte code of root's run would lie in the user's tree.
  PYTHONDONTWRITEBYTECODE=1 python -m pytest "${args[@]}" tests || true
}

build_for_lint() {
  build dev >/dev/null || fail "the dev preset does not build" "clang-tidy reads its compile commands" "./dev build dev"
}

run_tidy() {
  local files=("$@")
  ((${#files[@]})) || mapfile -d '' files < <(sources | grep -z '\.cc$')
  printf '%s\0' "${files[@]}" | as_user xargs -0 -n 1 -P "$(nproc)" "$(tool clang-tidy)" -p build/dev --quiet --warnings-as-errors='*'
}

run_fuzzers() {
  local target seconds=$1
  for target in build/fuzz/*_fuzz; do
    [[ -x $target ]] || fail "no fuzz target was built"
    say "$(basename "$target") for $seconds s"
    python3 tests/tools/results.py run build/results fuzz "$(basename "$target")" -- \
      "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -artifact_prefix=build/results/ -print_final_stats=1 || true
  done
}
