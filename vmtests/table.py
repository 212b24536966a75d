"""The table of vmtests/README.md, between its two marks: what each kernel takes, from the baseline."""

BEGIN, END = "<!-- table: written by run --update-baseline -->", "<!-- end of table -->"


def cell(count):
    return "-" if count is None else str(count)


def lines(baseline):
    names = sorted(baseline, key=lambda name: [int(part) for part in name.split(".")])
    programs = dict.fromkeys(program for name in names for program in baseline[name]["programs"])
    yield f"| program | {' | '.join(names)} |"
    yield f"|---|{'---|' * len(names)}"
    yield f"| **plan chosen** | {' | '.join(baseline[name]['plan'] for name in names)} |"
    for program in sorted(programs):
        yield f"| `{program}` | {' | '.join(cell(baseline[name]['programs'].get(program)) for name in names)} |"


def write(readme, baseline):
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text("\n".join([before + BEGIN, *lines(baseline), END + after]))
