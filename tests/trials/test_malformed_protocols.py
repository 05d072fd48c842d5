"""A malformed protocol gives a line for each fault, at its place in the file, and never anything else."""

import pytest

from twinarm.trials.protocol_file import read_protocol

# What is changed in the small protocol: old text, new text; then what the message must say: the place in the
# protocol, what was got, what to do, and the text that stands at its line and column.
FAULTS = [
    # keys
    ("seed: 7\n", "sede: 7\nseed: 7\n", "sede", "the key 'sede'", "did you mean 'seed'?", "sede: 7"),
    ("subjects: 60", "subject: 60\nsubjects: 60", "subject", "'subject'", "did you mean 'subjects'?", "subject: 60"),
    ("    adherence: 0.9", "    adherance: 0.9", "arms[1].adherance", "key", "'adherence'?", "adherance"),
    ("  block: 6", "  blok: 6", "allocation.blok", "'blok'", "did you mean 'block'?", "blok"),
    ("  rtol: 1e-6", "  rtoll: 1e-6", "solver.rtoll", "'rtoll'", "did you mean 'rtol'?", "rtoll"),
    ("over: 12 week, arms", "over: 12 week, arm", "dropout[0].arm", "'arm'", "did you mean 'arms'?", "arm:"),
    ("factor: 1.5", "facter: 1.5", "arms[1].treatment.rules[0].facter", "'facter'", "'factor'?", "facter"),
    ("      times: 2", "      time: 2", "arms[1].treatment.time", "'time'", "did you mean 'times'?", "time"),
    ("{sampling: 12", "{samplng: 12", "model.settings.samplng", "'samplng'", "'sampling'?", "samplng"),
    ("{margin: 0,", "{margine: 0, margin: 0,", "analyses[0].decision.margine", "key", "'margin'?", "margine"),
    ("seed: 7\n", "seed: 7\n<<: {}\n", "<<", "the key '<<'", "remove it", "<<"),
    ("seed: 7\n", "seed: 7\nseed: 8\n", "seed", "the key 'seed' again", "the first is on line 5", "seed: 8"),
    ("    role: control", "    role: control\n    role: control", "arms[0].role", "again", "line 19", "role"),
    # missing keys
    ("title: A small trial\n", "", "title", "nothing", "add 'title: …'", "format"),
    ("seed: 7\n", "", "seed", "nothing", "add 'seed: …'", "format"),
    ("format: 1\n", "", "format", "nothing", "add 'format: …'", "name"),
    ("    label: Drug\n", "", "arms[1].label", "nothing", "add 'label: …'", "name: drug"),
    ("  ratio: [1, 2]\n", "", "allocation.ratio", "nothing", "add 'ratio: …'", "block"),
    ("  duration: 12 week\n", "", "schedule.duration", "nothing", "add 'duration: …'", "run_in"),
    ("        why: The offer is what counts.\n", "", "estimands[0].intercurrent_events[0].why", "", "add", "event"),
    ("    summary: difference in means\n", "", "estimands[0].summary", "nothing", "add 'summary", "name: change"),
    ("      dose: 50 mg\n", "", "arms[1].treatment.dose", "nothing", "add 'dose: …'", "times"),
    ("subjects: 60\n", "", "subjects", "nothing", "add 'subjects: …'", "format"),
    # kinds
    ("seed: 7\n", "seed: '7'\n", "seed", "'7'", "without quotes", "'7'"),
    ("seed: 7\n", "seed: 7.5\n", "seed", "7.5", "whole number", "7.5"),
    ("seed: 7\n", "seed: true\n", "seed", "true", "whole number", "true"),
    ("seed: 7\n", "seed:\n", "seed", "nothing", "whole number", "seed:"),
    ("seed: 7\n", "seed: 1e3\n", "seed", "1000.0", "whole number", "1e3"),
    ("title: A small trial", "title: 2001", "title", "2001", "in quotes", "2001"),
    ("title: A small trial", "title: [A, small]", "title", "a list of 2", "quotes", "[A"),
    ("  twins: 200", "  twins: many", "population.twins", "'many'", "whole number", "many"),
    ("  twins: 200", "  twins: 200.0", "population.twins", "200.0", "whole number", "200.0"),
    ("  strata: [sex]", "  strata: sex", "allocation.strata", "'sex'", "on lines that start with '- '", "sex"),
    ("  ratio: [1, 2]", "  ratio: 2", "allocation.ratio", "2", "put the items in [ ]", "2"),
    ("  settings: {sampling: 12 hour}", "  settings: 12 hour", "model.settings", "'12 hour'", "indented", "12 hour"),
    ("  rtol: 1e-6", "  rtol: '1e-6'", "solver.rtol", "'1e-6'", "without quotes", "'1e-6'"),
    ("solver:\n  rtol: 1e-6", "solver: fast", "solver", "'fast'", "keys below it", "fast"),
    ("      times: 2", "      times: twice", "arms[1].treatment.times", "'twice'", "whole number", "twice"),
    # words
    ("    role: control", "    role: controll", "arms[0].role", "'controll'", "did you mean 'control'?", "controll"),
    ("    direction: higher", "    direction: up", "endpoints[1].direction", "'up'", "write one of these", "up"),
    ("    role: safety", "    role: safty", "endpoints[2].role", "'safty'", "'safety'?", "safty"),
    ("strategy: treatment-policy", "strategy: treatment policy", "strategy", "", "'treatment-policy'?", "treat"),
    ("model: binary", "model: logistic", "analyses[1].model", "'logistic'", "one of these", "logistic"),
    ("use: validation", "use: validate", "published[0].values[0].use", "'validate'", "'validation'?", "validate"),
    ("provenance: read}\n      -", "provenance: red}\n      -", "values[0].provenance", "'red'", "'read'?", "red"),
    ("quantity: mean", "quantity: average", "values[1].quantity", "'average'", "one of these", "average"),
    ("      times: 2", "      route: iv", "arms[1].treatment.route", "'iv'", "one of these", "iv"),
    ("name: small", "name: Small Trial", "name", "'Small Trial'", "'time_in_range'", "Small"),
    ("  - name: drug", "  - name: 2nd", "arms[1].name", "'2nd'", "lower-case", "2nd"),
    # units
    ("  duration: 12 week", "  duration: 12", "schedule.duration", "12", "write '12 day'", "12"),
    ("  duration: 12 week", "  duration: '12'", "schedule.duration", "'12'", "write '12 day'", "'12'"),
    ("  duration: 12 week", "  duration: 12 weks", "schedule.duration", "'12 weks'", "weks", "12 weks"),
    ("  duration: 12 week", "  duration: 12 mg", "schedule.duration", "'12 mg'", "day", "12 mg"),
    ("  duration: 12 week", "  duration: twelve week", "schedule.duration", "'twelve week'", "5 day", "twelve"),
    ("  duration: 12 week", "  duration: nan week", "schedule.duration", "'nan week'", "5 day", "nan week"),
    ("  run_in: 1 week", "  run_in: 7.0", "schedule.run_in", "7.0", "write '7.0 day'", "7.0"),
    ("at: 84 day", "at: 84 mmHg", "schedule.visits[1].at", "'84 mmHg'", "day", "84 mmHg"),
    ("      dose: 50 mg", "      dose: 50 mL", "arms[1].treatment.dose", "'50 mL'", "mg", "50 mL"),
    ("      dose: 50 mg", "      dose: 50", "arms[1].treatment.dose", "50", "write '50 mg'", "50"),
    ("sampling: 12 hour", "sampling: 12 kg", "model.settings.sampling", "'12 kg'", "hour", "12 kg"),
    ("{probability: 0.1, over: 12 week}", "{probability: 0.1, over: 12}", "hazard.over", "12", "'12 day'", "12}"),
    # bounds
    ("seed: 7\n", "seed: -7\n", "seed", "-7", "correct the number", "-7"),
    ("seed: 7\n", "seed: 9223372036854775808\n", "seed", "9223372036854775808", "correct the number", "92"),
    ("  twins: 200", "  twins: 0", "population.twins", "0", "correct the number", "0"),
    ("subjects: 60", "subjects: 1", "subjects", "1", "correct the number", "1"),
    ("    adherence: 0.9", "    adherence: 1.1", "arms[1].adherence", "1.1", "correct the number", "1.1"),
    ("    adherence: 0.9", "    adherence: .nan", "arms[1].adherence", "'.nan'", "write a number", ".nan"),
    ("    adherence: 0.9", "    adherence: 1e999", "arms[1].adherence", "'1e999'", "write a number", "1e999"),
    ("  ratio: [1, 2]", "  ratio: [0, 2]", "allocation.ratio[0]", "0", "correct the number", "0"),
    ("probability: 0.975", "probability: 0.4", "analyses[0].decision.probability", "0.4", "correct", "0.4"),
    ("ci_prob: 0.9", "ci_prob: 95", "analyses[0].ci_prob", "95", "correct the number", "95"),
    ("probability: 0.05", "probability: 5", "dropout[0].probability", "5", "correct the number", "5"),
    ("      dose: 50 mg", "      dose: 5 g", "arms[1].treatment.dose", "'5 g'", "at most 500 mg; correct", "5 g"),
    ("  rtol: 1e-6", "  rtol: 0.1", "solver.rtol", "0.1", "correct the number", "0.1"),
    ("accept: [-9, -1]", "accept: [-9]", "values[0].accept[1]", "nothing", "item number 2", "[-9]"),
    ("{dose: 0 mg}", "{dose: 0 mg, rules: [{when: x}]}", "arms[0].treatment", "block", "correct it", "{dose"),
    # arms and allocation
    ("    role: control", "    role: experimental", "arms", "0 control arms", "give one arm 'role: control'", "- name"),
    ("    role: experimental", "    role: control", "arms[1].role", "2 control arms", "'experimental'", "control"),
    ("  - name: placebo", "  - name: drug", "arms[1].name", "'drug'", "the first is arms[0]", "drug"),
    ("  ratio: [1, 2]", "  ratio: [1, 2, 3]", "allocation.ratio", "[1, 2, 3]", "placebo, drug", "[1"),
    ("  block: 6", "  block: 7", "allocation.block", "7", "'block: 6'", "7"),
    ("  block: 6", "  method: simple", "allocation.strata", "a list of 1", "'method: permuted-block'", "strata"),
    ("  strata: [sex]", "  strata: [gender]", "allocation.strata[0]", "'gender'", "correct the name", "gender"),
    ("subjects: 60", "subjects: 201", "subjects", "201", "raise 'population.twins'", "201"),
    # schedule
    ("at: 4 week", "at: 13 week", "schedule.visits[0].at", "'13 week'", "lengthen 'schedule.duration'", "13 week"),
    ("at: 84 day", "at: 4 week", "schedule.visits[1].at", "'4 week'", "order of their days", "4 week"),
    ("at: 4 week", "at: 0 week", "schedule.visits[0].at", "'0 week'", "order of their days", "0 week"),
    ("{name: week 12", "{name: week 4", "schedule.visits[1].name", "'week 4'", "visits[0]", "week 4"),
    ("{name: week 4", "{name: baseline", "schedule.visits[0].name", "'baseline'", "the run-in", "baseline"),
    ("  duration: 12 week", "  duration: 0 week", "schedule.duration", "'0 week'", "'26 week'", "0 week"),
    ("  run_in: 1 week", "  run_in: -1 week", "schedule.run_in", "'-1 week'", "'2 week'", "-1 week"),
    # parts
    (
        "name: twinarm_test.twinarm_test_model",
        "name: t1d-uva-padua",
        "model.name",
        "padua'",
        "'t1d-uva-padova'?",
        "t1d",
    ),
    ("test.twinarm_test_model", "test.twinarm_test_modl", "model.name", "modl'", "dotted path", "twinarm_test.t"),
    ("test.twinarm_test_model", "test.twinarm_test_broken", "model.name", "", "SyntaxError", "twinarm_test.t"),
    ("test.twinarm_test_model", "test.twinarm_test_raises", "model.name", "", "no licence server", "twinarm_test.t"),
    ("test.twinarm_test_model", "test.twinarm_test_empty", "model.name", "", "has no attribute 'MODEL'", "twinarm"),
    (
        "  name: test-people",
        "  name: adults-us",
        "population.name",
        "'adults-us'",
        "did you mean 'adult-us'?",
        "adults-us",
    ),
    ("  name: test-people", "  name: none.yaml", "population.name", "'none.yaml'", "no such file", "none.yaml"),
    ("test.twinarm_test_level", "test.twinarm_test_lvl", "endpoints[0].measure", "lvl'", "dotted path", "twinarm"),
    ("test.twinarm_test_level", "test.twinarm_test_empty", "endpoints[0].measure", "", "no 'KIND'", "twinarm_test.t"),
    ("measure: twinarm_test.twinarm_test_level", "measure: mean-levl", "[0].measure", "", "'mean-level'?", "mean-levl"),
    ("outputs: [pressure]", "outputs: [presure]", "keep.outputs[0]", "'presure'", "'pressure'?", "presure"),
    # expressions
    ("bmi < 45", "bmii < 45", "population.eligibility[0].rule", "'bmii'", "did you mean 'bmi'?", "age >="),
    ("bmi < 45", "bmi <", "population.eligibility[0].rule", "bmi <'", "no expression", "age >="),
    ("bmi < 45", "open('x')", "population.eligibility[0].rule", "open", "is not allowed", "age >="),
    ("rule: sex == 'female'", "rule: sx == 'female'", "subgroups[0].rule", "'sx'", "'sex'?", "sx =="),
    ("baseline_table: [age,", "baseline_table: [aeg,", "baseline_table[0]", "'aeg'", "did you mean 'age'?", "aeg"),
    ("reason: too young or too heavy", "reason: ' '", "eligibility[0].reason", "empty text", "few words", "' '"),
    # events
    ("arms: [placebo]", "arms: [placebos]", "dropout[0].arms[0]", "'placebos'", "'placebo'?", "placebos"),
    ("    arms: [drug]", "    arms: [drugs]", "intercurrent_events[0].arms[0]", "'drugs'", "'drug'?", "drugs"),
    ("then_as: placebo", "then_as: plcebo", "intercurrent_events[0].then_as", "'plcebo'", "'placebo'?", "plcebo"),
    ("then_as: placebo", "then_as: drug", "intercurrent_events[0].then_as", "'drug'", "name another arm", "drug"),
    ("    then_as: placebo", "    endpoint: pressure", "intercurrent_events[0]", "both", "remove one", "name: stop"),
    (
        "    hazard: {probability: 0.1, over: 12 week}\n    then_as: placebo\n",
        "",
        "events[0]",
        "neither",
        "add",
        "name",
    ),
    ("{probability: 0.1, over: 12 week}", "{probability: 0.1, over: 0 day}", "hazard.over", "'0 day'", "26 week", "0"),
    # endpoints
    ("  - name: controlled", "  - name: pressure", "endpoints[1].name", "'pressure'", "first is endpoints[0]", "press"),
    ("  - name: crises", "  - name: status", "endpoints[2].name", "'status'", "rename the endpoint", "status"),
    ("  - name: crises", "  - name: pressure_event", "endpoints[2].name", "'pressure_event'", "rename", "pressure_e"),
    ("    role: primary", "    role: secondary", "endpoints", "no primary endpoint", "'role: primary'", "- name: p"),
    ("    label: Mean pressure", "    label: ''", "endpoints[0].label", "empty text", "few words", "''"),
    # estimands
    (
        "    endpoint: pressure\n    population",
        "    endpoint: presure\n    population",
        "estimands[0].endpoint",
        "'presure'",
        "'pressure'?",
        "presure",
    ),
    (
        "summary: difference in means",
        "summary: rate ratio",
        "estimands[0].summary",
        "'rate ratio'",
        "'difference in means'",
        "rate",
    ),
    (
        "- event: stopping",
        "- event: stoping",
        "estimands[0].intercurrent_events[0].event",
        "'stoping'",
        "'stopping'?",
        "stoping",
    ),
    (
        "strategy: treatment-policy",
        "strategy: composite",
        "intercurrent_events[0].strategy",
        "'composite'",
        "another strategy",
        "comp",
    ),
    ("why: The offer is what counts.", "why: ''", "intercurrent_events[0].why", "empty text", "few words", "''"),
    (
        "    population: Adults\n",
        "    population: Adults\n    none_expected: because\n",
        "estimands[0].none_expected",
        "events",
        "remove it",
        "none_exp",
    ),
    # analyses
    ("estimand: change", "estimand: chnge", "analyses[0].estimand", "'chnge'", "did you mean 'change'?", "chnge"),
    (
        "  - endpoint: controlled",
        "  - endpoint: contrled",
        "analyses[1].endpoint",
        "'contrled'",
        "'controlled'?",
        "contrled",
    ),
    (
        "  - endpoint: controlled",
        "  - endpoint: crises",
        "analyses[2].endpoint",
        "'crises'",
        "first is analyses[1]",
        "crises",
    ),
    ("    model: continuous", "    model: binary", "analyses[0].model", "'binary'", "write 'continuous'", "binary"),
    ("    model: count", "    model: weibull", "analyses[2].model", "'weibull'", "write 'count'", "weibull"),
    ("adjust: [baseline, age]", "adjust: [baseline, aeg]", "analyses[0].adjust[1]", "'aeg'", "'age'?", "aeg"),
    ("adjust: [baseline, age]", "adjust: [age, age]", "analyses[0].adjust[1]", "'age'", "remove one", "age]"),
    ("  run_in: 1 week\n", "", "analyses[0].adjust[0]", "'baseline'", "add a run-in", "baseline"),
    ("    decision: {margin: 0, probability: 0.975}\n", "", "endpoints[0]", "decision", "add 'decision", "name: press"),
    (
        "    model: binary",
        "    model: binary\n    decision: {margin: 5, probability: 0.9}",
        "analyses[1].decision.margin",
        "5",
        "0.05",
        "5",
    ),
    (
        "    model: count",
        "    model: count\n    decision: {margin: 0, probability: 0.9}",
        "analyses[2].decision.margin",
        "0",
        "write 1",
        "0",
    ),
    ("    ci_prob: 0.9", "    priors: {effect: {}}", "analyses[0].priors.effect", "none", "'normal: [0, 1]'", "{}"),
    (
        "    ci_prob: 0.9",
        "    priors: {effect: {normal: [0, 1], half_normal: 1}}",
        "priors.effect",
        "normal, half",
        "'normal: [0, 1]'",
        "{n",
    ),
    ("    ci_prob: 0.9", "    priors: {effect: {normal: [0, -1]}}", "priors.effect.normal[1]", "-1", "correct", "-1"),
    (
        "    ci_prob: 0.9",
        "    priors: {effect: {norml: [0, 1]}}",
        "priors.effect.norml",
        "'norml'",
        "'normal'?",
        "norml",
    ),
    # kept trajectories and published figures
    ("  start: -1 day", "  start: -2 week", "keep.start", "'-2 week'", "'schedule.run_in'", "-2 week"),
    ("  end: 2 week", "  end: 20 week", "keep.end", "'20 week'", "end earlier", "20 week"),
    ("  start: -1 day", "  start: 3 week", "keep.start", "'3 week'", "start earlier", "3 week"),
    ("  every: 1 day", "  every: 0 day", "keep.every", "'0 day'", "write", "0 day"),
    (
        "{endpoint: pressure, quantity: effect",
        "{endpoint: presure, quantity: effect",
        "values[0].endpoint",
        "'presure'",
        "'pressure'?",
        "presure",
    ),
    ("arm: placebo", "arm: plcebo", "values[1].arm", "'plcebo'", "'placebo'?", "plcebo"),
    ("arm: placebo, ", "", "values[1].arm", "nothing", "add 'arm: …'", "{endpoint"),
    ("quantity: mean", "quantity: effect", "values[1].arm", "'placebo'", "remove 'arm'", "placebo"),
    ("accept: [-9, -1]", "accept: [-1, -9]", "values[0].accept", "[-1, -9]", "write [-9, -1]", "[-1"),
    # writing
    ("seed: 7\n", "seed: &s 7\n", "seed", "&s", "write the value out", "&s"),
    ("seed: 7\n", "seed: !!int 7\n", "seed", "the tag", "remove it", "!!int"),
    ("seed: 7\n", "seed: !!python/object:os.system 7\n", "seed", "the tag", "remove it", "!!python"),
    ("seed: 7\n", "seed: 7\n--- \n", "", "a second document", "one protocol a file", "---"),
    ("seed: 7\n", "seed: 7\n\tx: 1\n", "", "cannot start any token", "never with tabs", "\t"),
    ("seed: 7\n", "seed: 7\nthis is a line\n", "", "", "indentation", ""),
    ("  ratio: [1, 2]", "  ratio: [1, 2", "", "", "indentation", ""),
    ("title: A small trial", "title: 'A small trial", "", "", "quote", ""),
    ("title: A small trial", "title: A: small trial", "", "mapping values", "quote", ""),
    ("seed: 7\n", "? [a, b]\n: 7\n", "", "as a key", "write 'key: value'", "["),
    ("seed: 7\n", "seed: *nowhere\n", "seed", "*nowhere", "write the value out", "*nowhere"),
    ("title: A small trial", 'title: "A \\q trial"', "", "escape", "indentation", ""),
]


def test_the_small_protocol_is_right(small):
    assert read_protocol("small.yaml", small.encode()).name == "small"


def test_there_are_a_hundred_faults():
    assert len({fault[:2] for fault in FAULTS}) >= 100


@pytest.mark.parametrize(("old", "new", "where", "got", "fix", "at"), FAULTS)
def test_fault(small, old, new, where, got, fix, at, problems_of):
    assert old in small
    text = small.replace(old, new, 1)
    problems = problems_of(text.encode())
    said = [p for p in problems if where in str(p) and got in p.got and fix in f"{p.expected}; {p.fix}"]
    assert said, "\n".join(map(str, problems))
    line = text.split("\n")[said[0].line - 1]
    assert line[said[0].column - 1 :].startswith(at)


# Faults that rightly show in more than one place: a name that others refer to, or a time that others lie within.
SPREADING = (
    "- name:",
    "endpoint: crises",
    "    endpoint: pressure",
    "direction: up",
    "role: safty",
    "run_in: 1 week",
    "priors: {effect",
)


@pytest.mark.parametrize(("old", "new", "where", "got", "fix", "at"), FAULTS)
def test_a_fault_is_said_once(small, old, new, where, got, fix, at, problems_of):
    if not any(words in old + new for words in SPREADING):
        assert len(problems_of(small.replace(old, new, 1).encode())) == 1


def test_all_faults_are_said_at_once(small, problems_of):
    text = small.replace("seed: 7", "sed: 7").replace("block: 6", "block: 7").replace("bmi <", "bmii <")
    text = text.replace("over: 12 week}\n    then", "over: 12}\n    then").replace("strategy: t", "strategy: T")
    places = {problem.path[0] for problem in problems_of(text.encode())}
    assert places == {"sed", "allocation", "population", "intercurrent_events", "estimands"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "1:1: got an empty file"),
        (b"  \n\n", "1:1: got an empty file"),
        (b"# only a comment\n", "1:1: got nothing"),
        (b"a: \xff\n", "1:4: got the byte 0xff; expected text in UTF-8"),
        (b"\xff\xfea\x00", "1:1: got the byte 0xff"),
        (b"- a\n- b\n", "1:1: got a list of 2; expected a protocol"),
        (b"just words\n", "1:1: got 'just words'"),
        (b"x: \x00\n", "1:4: got what is not YAML"),
        (b"[" * 5000, "1:32: got more; expected at most"),
        (b"a: " + b"x" * 300_000, "1:1: got 300003 bytes; expected at most 262144"),
        (b"a: [" + b"1, " * 30_000 + b"1]", "got more; expected at most 20000 values"),
        (b"format: 2\nname: 7\n", "1:9: format: got 2; expected format 1; use a version of twinarm that knows it"),
        (b"format: 0\n", "expected format 1; rewrite it"),
        (b"format: 1.0\n", "1:9: format: got 1.0; expected format 1"),
        (b"{}", "got nothing; expected the key 'format'"),
    ],
)
def test_a_file_that_is_no_protocol(content, said, problems_of):
    problems = problems_of(content)
    assert any(said in str(problem) for problem in problems), "\n".join(map(str, problems))


def test_aliases_cannot_grow(small, problems_of):
    bomb = "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    problems = problems_of(("a: &a [x]\n" + bomb + small).encode())
    assert any("no anchors or aliases" in str(problem) for problem in problems)
