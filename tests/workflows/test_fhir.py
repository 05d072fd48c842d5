"""FHIR bundles become cohorts: values, units and ages by hand; every record with a fault is named and counted."""

import json

import numpy as np
import pytest

from twinarm.cohorts import load_population, population_names, sample_twins
from twinarm.workflows.cohort_files import read_cohort
from twinarm.workflows.fhir import read_bundles, read_codes

pytest.importorskip("fhir.resources")
pytest.importorskip("ucumvert")

from twinarm.workflows.fhir_units import UnitFault, converted

UCUM, LOINC = "http://unitsofmeasure.org", "http://loinc.org"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"


def patient(name, gender="female", born="1950-06-15", race=None, ethnicity=None):
    extension = [
        {
            "url": US_CORE + kind,
            "extension": [
                {"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": code}},
                {"url": "text", "valueString": "as told"},
            ],
        }
        for kind, code in (("race", race), ("ethnicity", ethnicity))
        if code
    ]
    found = {"resourceType": "Patient", "id": name, "gender": gender, "birthDate": born}
    return {**found, "extension": extension} if extension else found


def coded(loinc, value=None, unit=None, **other):
    found = {"code": {"coding": [{"system": LOINC, "code": loinc}]}, **other}
    return found if value is None else {**found, "valueQuantity": {"value": value, "system": UCUM, "code": unit}}


def observation(subject, loinc, value=None, unit=None, day="2024-03-01", **other):
    fixed = {"resourceType": "Observation", "status": "final", "subject": {"reference": f"Patient/{subject}"}}
    return {**fixed, "effectiveDateTime": day, **coded(loinc, value, unit), **other}


def bundle(*resources):
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in resources]}


PRESSURE = {
    **observation("a", "85354-9", day="2024-06-14"),
    "component": [coded("8480-6", 128, "mm[Hg]"), coded("8462-4", 82, "mm[Hg]")],
}
GOOD = (
    patient("a", "female", "1950-06-15", "2054-5", "2186-5"),
    patient("b", "male", "1980-01-01", "2106-3", "2135-2"),
    observation("a", "8302-2", 1.60, "m"),
    observation("b", "8302-2", 71, "[in_i]"),
    observation("a", "29463-7", 150, "[lb_av]", id="old", day="2020-01-01"),
    observation("a", "29463-7", 66.5, "kg", id="new", day="2024-01-01"),
    observation("b", "29463-7", 80, "kg"),
    observation("a", "2160-0", 88.42, "umol/L"),
    observation("b", "2160-0", 1.1, "mg/dL"),
    observation("a", "4548-4", 53, "mmol/mol"),
    observation("b", "4548-4", 5.4, "%"),
    PRESSURE,
    observation("b", "8480-6", 117, "mm[Hg]"),
    observation("b", "8462-4", 70, "mm[Hg]"),
    {"resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": "AMB"}},
    observation("a", "99999-9", 3, "kg"),
    observation("a", "29463-7", 10, "kg", status="entered-in-error"),
)


CLINIC = """
format: 1
name: clinic
title: a few variables
period: p
method: m
limits: l
sources: [{citation: c, licence: l}]
independent:
"""
WORDS = {"sex": ["female", "male"], "race_ethnicity": ["nh_white", "nh_black", "nh_asian", "nh_other", "hispanic"]}
UNITS = {
    "age": "year", "height": "cm", "weight": "kg", "creatinine": "mg/dL", "hba1c": "%", "sbp": "mmHg", "dbp": "mmHg",
    "hdl_cholesterol": "mg/dL", "ggt": "U/L",
}  # fmt: skip


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """A population that is quickly drawn."""
    about = "label: x, source: chosen for tests, provenance: chosen"
    lines = [f"  - {{name: {n}, unit: {u}, normal: {{mean: 100, sd: 1}}, {about}}}" for n, u in UNITS.items()]
    for name, words in WORDS.items():
        law = f"choice: {{values: {words}, shares: {[1 / len(words)] * len(words)}}}"
        lines.append(f'  - {{name: {name}, unit: "1", {law}, {about}}}')
    path = tmp_path_factory.mktemp("clinic") / "clinic.yaml"
    path.write_text((CLINIC + "\n".join(lines)).replace("unit: %", 'unit: "%"'))
    return path


@pytest.fixture
def importing(twinarm, clinic):
    def call(path, *words):
        out = path.parent / "cohort.csv"
        return (*twinarm("cohort", "import", path, "--like", clinic, "--out", out, *words), out)

    return call


def write(tmp_path, *resources, name="b.json"):
    path = tmp_path / name
    path.write_text(json.dumps(bundle(*resources)))
    return path


def test_a_good_bundle_by_hand(importing, tmp_path):
    code, said, err, out = importing(write(tmp_path, *GOOD))
    assert code == 0, err
    cohort = read_cohort(out)
    assert cohort["age"].values.tolist() == [73, 44]  # the day before her birthday; he on 1 March 2024
    assert cohort["sex"].values.tolist() == ["female", "male"]
    assert cohort["race_ethnicity"].values.tolist() == ["nh_black", "hispanic"]
    assert cohort["height"].values == pytest.approx([160, 71 * 2.54])
    assert cohort["weight"].values.tolist() == [66.5, 80], "the latest value of each"
    assert cohort["creatinine"].values == pytest.approx([1.0, 1.1], abs=5e-3)  # 88.42 umol/L are 1 mg/dL
    assert cohort["hba1c"].values == pytest.approx([7.0, 5.4], abs=0.01)  # 53 mmol/mol are 7.0 %
    assert cohort["sbp"].values.tolist() == [128, 117] and cohort["dbp"].values.tolist() == [82, 70]
    assert "17 records read, 0 with faults" in said and "2 patients read, 0 left out" in said
    for counted in (
        "1 Encounter records are not read",
        "1 Observation records measure nothing that the population has",
        "1 Observation records are entered-in-error",
        "1 values are older than another",
    ):
        assert counted in said


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (observation("a", "29463-7", "heavy", "kg", id="w"), "Observation/w: valueQuantity.value"),
        (observation("a", "29463-7", 70, "cm", id="w"), "Observation/w: weight is in cm, which does not convert to kg"),
        (observation("a", "29463-7", 70, "kilo", id="w"), "Observation/w: weight 'kilo' is no UCUM unit"),
        (observation("a", "29463-7", 70, None, id="w"), "Observation/w: weight has no unit"),
        (observation("a", "29463-7", id="w"), "Observation/w: weight has no value and no dataAbsentReason"),
        (observation("a", "29463-7", id="w", valueString="70 kg"), "weight has valueString in place of valueQuantity"),
        (observation("c", "29463-7", 70, "kg", id="w"), "its subject Patient/c is no patient that was read"),
        (observation("a", "29463-7", 70, "kg", day="2024-13-01", id="w"), "Observation/w: effectiveDateTime"),
        ({"resourceType": "Observation", "id": "w", "status": "final"}, "Observation/w: code: field required"),
        ({**patient("a"), "birthDate": "15.6.1950"}, "Patient/a: birthDate"),
        ({**patient("a"), "berth": 1}, "Patient/a: berth: extra inputs are not permitted"),
        (patient("a"), "Patient/a is there twice, first at b.json: entry[0]"),
        ({"resourceType": "Patient"}, "Patient has no id"),
        ({"id": "nothing"}, "entry[3]: has no resource with a resourceType"),
        (
            observation("a", "2085-9", id="w", valueQuantity={"value": 5, "unit": "mg/dL", "comparator": "<"}),
            "hdl_cholesterol is < 5, which is no number",
        ),
    ],
)
def test_each_fault_is_named_and_counted(importing, tmp_path, record, said):
    two = (patient("a"), observation("a", "8302-2", 160, "cm"), observation("a", "8480-6", 120, "mm[Hg]"))
    path = write(tmp_path, *two, record)
    code, _, err, out = importing(path)
    assert code == 2 and not out.exists() and "Traceback" not in err
    assert "b.json: entry[3]" in err and said in err
    assert "1 of 4 records have faults: mend them, or add --leave-out" in err
    code, _, err, out = importing(path, "--leave-out")
    assert code == 0 and said in err
    assert read_cohort(out)["height"].values.tolist() == [160]


def test_what_is_left_out_is_in_the_record(importing, tmp_path):
    bad = observation("a", "29463-7", 70, "cm", id="w")
    path = write(tmp_path, patient("a"), observation("a", "8302-2", 160, "cm"), patient("n", "other"), bad)
    code, said, _, out = importing(path, "--leave-out", "--json")
    told = json.loads(said)
    assert code == 0 and told["records"] == 4 and len(told["record_faults"]) == 1 and told["left_out"] == 1
    assert told["read"] - told["left_out"] == read_cohort(out).sizes["twin"] == 1
    assert {fault["fault"] for fault in told["faults"]} == {"sex is missing", "age is missing", "height is missing"}
    assert told["faults"][0]["lines"] == ["Patient/n (b.json: entry[2])"]


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        ("{", "b.json", "is no JSON"),
        ("[]", "b.json", "has no resourceType"),
        ('{"resourceType": "Bundle", "entry": 3}', "b.json", "entry is no list"),
        ('{"resourceType": "Bundle", "type": "collection"}', "b.json", "has no patient that can be read"),
    ],
)
def test_files_that_are_no_bundles(importing, tmp_path, content, name, said):
    (tmp_path / name).write_text(content)
    code, _, err, out = importing(tmp_path / name)
    assert code == 2 and said in err and "Traceback" not in err and not out.exists()


def test_bulk_files_and_folders(importing, tmp_path):
    folder = tmp_path / "bulk"
    folder.mkdir()
    (folder / "Patient.ndjson").write_text("\n".join(json.dumps(r) for r in GOOD[:2]))
    lines = [json.dumps(r) for r in GOOD[2:]]
    (folder / "Observation.ndjson").write_text("\n".join([*lines[:3], "{broken", *lines[3:]]))
    code, _, err, out = importing(folder)
    assert code == 2 and "Observation.ndjson:4: is no JSON" in err
    code, _, err, out = importing(folder, "--leave-out")
    assert code == 0 and read_cohort(out)["age"].values.tolist() == [73, 44]
    assert importing(tmp_path / "none.json")[0] == 2


def test_a_day_can_be_given(importing, twinarm, clinic, tmp_path):
    path = write(tmp_path, *GOOD[:7])
    code, said, _, out = importing(path, "--on", "2021-06-30", "--keep", "age", "--keep", "weight", "--leave-out")
    assert code == 0, said
    assert read_cohort(out)["age"].values.tolist() == [71]
    assert read_cohort(out)["weight"].values == pytest.approx([150 * 0.45359237])
    assert "Observation records are later than 2021-06-30" in said and "2 patients read, 1 left out" in said
    for words, message in (
        (("--on", "June"), "--on 'June' is no day"),
        (("--keep", "girth"), "--keep girth: clinic has no such variable; it has age, height"),
        (("--keep", "ggt"), "b.json has no values of it; it has age, sex"),
        (("--column", "age=years"), "--column and --level are for tables"),
    ):
        (tmp_path / "x").mkdir(exist_ok=True)
        code, _, err = twinarm("cohort", "import", path, "--like", clinic, "--out", tmp_path / "x" / "c.csv", *words)
        assert code == 2 and message in err


def test_without_the_extra_it_says_how_to_install_it(importing, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "fhir.resources.R4B", None)
    code, _, err, _ = importing(write(tmp_path, *GOOD))
    assert code == 2 and "pip install 'twinarm[fhir]'" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "ucum", "unit", "mass", "expected"),
    [
        (5.0, "mmol/L", "mg/dL", 180.156, 90.078),  # glucose
        (5.17, "mmol/L", "mg/dL", 386.65, 199.9),  # cholesterol
        (17.1, "umol/L", "mg/dL", 584.66, 1.0),  # bilirubin
        (250, "10*3/uL", "10^9/L", None, 250),
        (250000, "/uL", "10^9/L", None, 250),
        (140, "g/L", "g/dL", None, 14.0),
        (60, "mL/min/{1.73_m2}", "mL/min/1.73m2", None, 60),
        (3.0, "mg/g{creat}", "mg/g", None, 3.0),
        (140, "meq/L", "mmol/L", None, 140),
        (40, "[IU]/L", "U/L", None, 40),
        (72, "{beats}/min", "1/min", None, 72),
        (6, "ft", "cm", None, None),
        (5, "mmol/L", "mg/dL", None, None),
    ],
)
def test_units(value, ucum, unit, mass, expected):
    if expected is None:
        with pytest.raises(UnitFault):
            converted(value, ucum, unit, mass)
    else:
        assert converted(value, ucum, unit, mass) == pytest.approx(expected, rel=2e-3)


def test_every_code_is_of_one_variable_and_every_unit_can_be_read():
    codes = [code for _, some, _ in read_codes() for code in some]
    assert len(set(codes)) == len(codes)
    variables = {variable: mass for variable, _, mass in read_codes()}
    found = set()
    for name in population_names():
        twins = sample_twins(load_population(name), np.arange(2), 1)
        for variable, mass in variables.items():
            if variable in twins:
                found.add(variable)
                unit = twins[variable].attrs["units"]
                assert converted(1.0, unit, unit, mass) == pytest.approx(1.0), (name, variable)
    assert found == set(variables), "no population has it"


def test_check_digits_of_loinc():
    """The digit after the dash is that of Luhn's rule (LOINC users' guide), so that a mistyped code is noticed."""
    for _, codes, _ in read_codes():
        for code in codes:
            number, digit = code.split("-")
            doubled = [int(d) * (2 if i % 2 == 0 else 1) for i, d in enumerate(reversed(number))]
            assert int(digit) == -sum(d - 9 if d > 9 else d for d in doubled) % 10, code


def test_reading_is_the_same_in_any_order(tmp_path):
    units = {"age": "year", "sex": "1", "height": "cm", "weight": "kg"}
    records = (*GOOD, observation("b", "29463-7", 81, "kg"), observation("b", "29463-7", 79, "kg"))
    forward, _ = read_bundles(write(tmp_path, *records, name="f.json"), units)
    back, _ = read_bundles(write(tmp_path, *reversed(records), name="r.json"), units)
    for name in units:
        assert forward[name].values.tolist() == back[name].values.tolist()[::-1]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2024-03-01T08:00:00+01:00", "2024-03-01T17:30:00+01:00"),
        ("2024-03-02T01:00:00+09:00", "2024-03-01T20:00:00-05:00"),  # 16:00 and, the next day, 01:00 of UTC
        ("2024-03-01T23:00:00-05:00", "2024-03-02"),
        ("2024-03-02", "2024-03-03T00:30:00+09:00"),
        ("2024-06-30T23:59:58Z", "2024-06-30T23:59:60Z"),
        ("2024-02", "2024-03-01"),
        ("2023", "2024-03-01T08:00:00.123456789Z"),
        (None, "1990-01"),
    ],
)
def test_the_latest_value_is_that_of_the_latest_time(tmp_path, earlier, later):
    values = [observation("a", "29463-7", 99, "kg", earlier), observation("a", "29463-7", 70, "kg", later)]
    for name, order in (("f.json", values), ("r.json", values[::-1])):
        records = [{key: value for key, value in record.items() if value is not None} for record in order]
        found, _ = read_bundles(write(tmp_path, patient("a"), *records, name=name), {"age": "year", "weight": "kg"})
        assert found["weight"].values.tolist() == [70]
        assert found["age"].values.tolist() == [int(later[:4]) - 1950 - (later[5:10] < "06-15")]
