# Runs checks and adds them up: each leaves a JUnit file in build/results, and the last line printed counts over all.

results_begin() {
  # CI runs several commands and wants one sum at the end.
  [[ -n "${WIRESPAN_KEEP_RESULTS:-}" ]] || rm -rf build/results
  as_user mkdir -p build/results
}

# CI sums up itself; a step fails there by what it left in build/results.
results_end() { [[ -n "${WIRESPAN_KEEP_RESULTS:-}" ]] || python3 tests/tools/results.py sum build/results; }

ctest_arguments() {
  ctest_arguments=(--test-dir "build/$1" --output-on-failure --no-tests=ignore)
  [[ -z $2 ]] || ctest_arguments+=(-R "$2")
}

# run_unit PRESET FILTER: tests that need no root, as the user.
run_unit() {
  ctest_arguments "$1" "$2"
  ctest_into "unit-$1" as_user ctest "${ctest_arguments[@]}" -j "$(nproc)" -LE root
}

# run_root PRESET FILTER: against the running kernel.
run_root() {
  ctest_arguments "$1" "$2"
  # The longest only in CI: elsewhere all tests have ten minutes.
  [[ -n ${CI:-} ]] || ctest_arguments+=(-LE long)
  ctest_into "root-$1" ctest "${ctest_arguments[@]}" -L root
}

# The verdict is in the JUnit file; printed is only what one wants to read.
ctest_into() {
  local name=$1 file=$PWD/build/results/$1.xml
  shift
  "$@" --output-junit "$file" | sed -E '/ Passed +[0-9.]+ sec/d; /^ +Start +[0-9]+: /d; /^Internal ctest|^Label Time/d'
  # A runner that died wrote nothing, which must not look like nothing to do.
  [[ -f $file ]] || [[ $("$@" -N) == *"Total Tests: 0"* ]] || echo "ctest died" >"$file"
}

run_pytest() {
  local args=(-q -p no:cacheprovider --junit-xml build/results/python.xml)
  [[ -z $1 ]] || args+=(-k "$1")
  # Byte code of root's run would lie in the user's tree.
  PYTHONDONTWRITEBYTECODE=1 python -m pytest "${args[@]}" tests || true
  [[ -f build/results/python.xml ]] || echo "pytest died" >build/results/python.xml
}

build_for_lint() {
  build release >/dev/null || fail "the release preset does not build" "clang-tidy reads its compile commands" "./dev build"
}

run_tidy() { as_user python3 tests/tools/tidy.py "$(tool clang-tidy)" build/release "$@"; }

# The corpus stays in build/corpus from run to run.
run_fuzzers() {
  local target seconds=$1 name corpus dictionary
  for target in build/fuzz/*_fuzz; do
    [[ -x $target ]] || fail "no fuzz target was built"
    name=$(basename "$target" _fuzz)
    say "$name for $seconds s"
    corpus=build/corpus/$name
    mkdir -p "$corpus"
    [[ ! -d agent/protocols/$name/testdata ]] || python3 tests/tools/fuzz_seeds.py "$name" "$corpus"
    dictionary=$(find agent correlator exporters -name "$name.dict" -printf '-dict=%p')
    python3 tests/tools/results.py run build/results fuzz "$name" -- \
      "$target" "$corpus" ${dictionary:+"$dictionary"} -max_total_time="$seconds" -rss_limit_mb=2048 \
      -artifact_prefix=build/results/ -print_final_stats=1 || true
  done
}
