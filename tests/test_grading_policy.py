"""What a class has agreed on, who is in it, and changes by hand: applied to recorded points, and said where it makes no sense."""

from __future__ import annotations

import datetime
import math
import re
from pathlib import Path

import pytest

from utils.grading import policy, roster
from utils.grading.policy import BadPolicy, Policy
from utils.grading.reports import pages, tables
from utils.grading.roster import Person
from utils.grading.submissions import Handed
from utils.paths import ROOT

NAME, WRITTEN = "01_transformer_recap", "10_discussion"
EXAMPLE = ROOT / "utils" / "grading" / "grading.toml"


def day(number, hour=12):
    return datetime.datetime(2026, 3, number, hour)


def entry(student="Ann", user="", handed=None, **more):
    verdict = {
        "exercise": "split_heads",
        "points": 2.0,
        "possible": 2,
        "state": "passed",
        "diagnosis": "",
        "sentence": "",
    }
    second = verdict | {"exercise": "merge_heads", "points": 1.0, "state": "failed"}
    return {
        "student": student,
        "user": user,
        "notebook": NAME,
        "origin": f"{student}/x.ipynb",
        "verdicts": [verdict, second],
        "written": {},
        "problem": "",
        "notes": [],
        "handed": handed.isoformat() if handed else "",
    } | more


def read(tmp_path, text):
    path = tmp_path / "grading.toml"
    path.write_text(text, encoding="utf-8")
    return policy.read(path)


def test_the_example_is_what_holds_without_a_file_and_its_lines_can_be_used(tmp_path):
    assert policy.read(EXAMPLE) == Policy()
    text = re.sub(r'^# ((?:"[^"]+"|\w+) +=)', r"\1", EXAMPLE.read_text(encoding="utf-8"), flags=re.M)
    found = read(tmp_path, text)
    assert found.deadlines[NAME] == datetime.datetime(2026, 3, 8, 23, 59, 59)
    assert found.extensions["Kim Minsu", NAME].day == 12 and found.left_out == {"greedy_decode"}
    assert found.groups["team 1"][-1] == "48213"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("attempt = 'first'", "attempt = 'first'"),
        ("[late]\ncost_per_day = 2", "from 0 to 1"),
        ("[deadlines]\n77 = 2026-01-01", "no notebook begins so"),
        ("[deadlines]\n01 = 'tomorrow'", "without quotes"),
        ("[exercises]\nleft_out = ['nothing']", "'nothing'"),
        ("dedlines = 1", "no such setting"),
        ("attempt = ", "grading.toml"),
        ("[late]\ncost = 0.1", "late.cost: no such setting"),
        ("[exercises]\nleftout = ['causal_mask']", "exercises.leftout: no such setting"),
        ("late = 5", "late = 5: it must be a table"),
        ("deadlines = [1]", "deadlines = .* must be a table"),
        ("extensions = 3", "extensions = 3"),
        ("extensions = {a = 5}", "extensions.a = 5"),
        ("exercises = []", "exercises = "),
        ("[exercises]\npoints = 5", "exercises.points = 5"),
        ("[exercises]\nleft_out = 'causal_mask'", "must be a list"),
        ("[exercises]\nleft_out = [['causal_mask']]", "no exercise is called"),
        ("groups = {a = 5}", "groups.a = 5"),
        ("[groups]\na = 'Kim'", "groups.a = 'Kim': it must be a list"),
        ("[deadlines]\n01 = 9999-12-31T23:59:59-12:00", "no clock"),
        ("attempt = ['best']", "attempt = "),
    ],
)
def test_what_cannot_be_is_named(text, words, tmp_path):
    with pytest.raises(BadPolicy, match=words):
        read(tmp_path, text)


def test_a_day_ends_with_its_last_second():
    rules = Policy(deadlines={NAME: datetime.datetime(2026, 3, 8, 23, 59, 59)})
    assert rules.late_by("Ann", "", NAME, datetime.datetime(2026, 3, 8, 23, 59, 59, 900_000), False) == 0
    assert rules.late_by("Ann", "", NAME, datetime.datetime(2026, 3, 9), False) > 0


def test_names_that_hold_for_nobody_are_told():
    rules = Policy(
        extensions={("Kim Minsu", NAME): day(9), ("7", NAME): day(9)}, groups={"one": ("Ann", "Bem")}
    )
    said = policy.unmet(rules, [entry("kimminsu", "7"), entry("Ann")])
    assert len(said) == 2 and "'Kim Minsu'" in said[0] and "groups.one" in said[1] and "'Bem'" in said[1]


def test_another_policy_that_lets_other_attempts_count_is_told(tmp_path):
    """`marks` applies a policy to what was graded; with an extension another attempt may be the last one on time."""
    from utils.grading import report_run

    held = tmp_path / "grading.toml"
    held.write_text("[deadlines]\n01 = 2026-03-08\n")
    report_run.note_picks(tmp_path)
    assert report_run.other_picks(tmp_path, policy.read(held)) == []
    held.write_text("[deadlines]\n01 = 2026-03-08\n[late]\ncost_per_day = 0.1\n")
    assert report_run.other_picks(tmp_path, policy.read(held)) == []
    held.write_text('[deadlines]\n01 = 2026-03-08\n[extensions]\n"Ann" = { 01 = 2026-03-10 }\n')
    assert "grade" in report_run.other_picks(tmp_path, policy.read(held))[0]


def test_late_work_costs_by_days_begun_after_the_grace():
    rules = Policy(
        deadlines={NAME: day(8)},
        grace=datetime.timedelta(minutes=30),
        penalty=0.2,
        most=0.5,
        extensions={("Ann", NAME): day(10)},
    )
    found = policy.apply(
        [
            entry("Ben", handed=day(8) + datetime.timedelta(minutes=30)),
            entry("Cem", handed=day(8) + datetime.timedelta(minutes=31)),
            entry("Dan", handed=day(10)),
            entry("Eve", handed=day(30)),
            entry("Ann", handed=day(10)),
            entry("Fay", late_mark=True),
        ],
        rules,
    )
    assert [tables.grade(one) for one in found] == [3.0, 2.4, 1.8, 1.5, 3.0, 2.4]
    assert tables.late_said(found[2]) == "Handed in 2.0 days late; that costs 1.2 points."
    assert tables.late_said(found[0]) == ""
    free = policy.apply([entry(late_mark=True)], Policy())[0]
    assert tables.grade(free) == 3.0 and tables.late_said(free) == "Handed in late.", "marked, at no cost"


def test_which_attempt_counts():
    first = Handed("Ann", "1", NAME, Path("a"), "Ann/a.ipynb", when=day(7))
    second = Handed("Ann", "1", NAME, Path("b"), "Ann/b-1.ipynb", when=day(9))
    rules = {"deadlines": {NAME: day(8)}}
    assert [one.path.name for one in Policy(**rules).pick([first, second])] == ["a"]
    assert [one.path.name for one in Policy(attempt="last", **rules).pick([first, second])] == ["b"]
    assert len(Policy(attempt="best", **rules).pick([first, second])) == 2
    assert math.isnan(Policy().late_by("Ann", "", NAME, None, True))
    poor = entry(origin="Ann/a.ipynb")
    poor["verdicts"][0]["points"] = 0.0
    assert [tables.points(one) for one in policy.apply([entry(), poor], Policy(attempt="best"))] == [3.0]


def test_points_left_out_and_changed():
    found = policy.apply(
        [entry()], Policy(left_out=frozenset({"split_heads"}), points={"merge_heads": 10.0})
    )[0]
    assert tables.grade(found) == 5.0 and tables.possible(found) == 10.0


def test_a_mark_of_one_counts_for_the_group_and_written_work_can_be_left_out():
    team = [
        entry(name, user, notebook=WRITTEN, verdicts=[], written={"team": "x", "individual": ""})
        for name, user in (("Ann", ""), ("Ben", "7"), ("Cem", ""))
    ]
    team[0] |= {"marks": {"team": 12.0}, "comments": {"team": "well argued"}}
    found = policy.apply(team, Policy(groups={"one": ("Ann", "7")}))
    assert [tables.grade(one) for one in found] == [12.0, 12.0, None]
    assert found[1]["comments"] == {"team": "well argued"} and tables.possible(found[2]) == 30
    alone = policy.apply(team, Policy(written="leave out"))
    assert [tables.possible(one) for one in alone] == [0, 0, 0]


ROSTERS = {
    "Canvas": 'Student,ID,SIS User ID,SIS Login ID,Section,HW (1)\n    Points Possible,,,,,10\n"Lee, Ann",11,S1,ann,A,\n"M\u00fcller, J\u00fcrgen",12,S2,jm,A,\n',
    "Moodle's participants": "First name,Last name,Email address,ID number\nAnn,Lee,a@x.org,11\nJ\u00fcrgen,M\u00fcller,j@x.org,12\n",
    "Moodle's worksheet": "Identifier,Full name,Email address\nParticipant 11,Ann Lee,a@x.org\nParticipant 12,J\u00fcrgen M\u00fcller,j@x.org\n",
    "semicolons": "name;id\nAnn Lee;11\nJ\u00fcrgen M\u00fcller;12\n",
}


@pytest.mark.parametrize("kind", ROSTERS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_rosters_are_read_and_joined_by_id_or_name(kind, encoding, tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(ROSTERS[kind], encoding=encoding)
    people = roster.read(path)
    assert [person.id for person in people] == ["11", "12"]
    entries = [entry("leeann"), entry("M\u00fcller J\u00fcrgen"), entry("nobody")]
    missing, strangers = roster.join(entries, [*people, Person("Cem", "13")])
    assert [one.get("person", {}).get("id") for one in entries] == ["11", "12", None]
    assert [person.name for person in missing] == ["Cem"] and strangers == ["nobody"]
    by_id = [entry("whoever", "12")]
    assert len(roster.join(by_id, people)[0]) == 1 and by_id[0]["person"]["id"] == "12"


@pytest.mark.parametrize(
    "names", [("An Li", "Li An"), ("M\u00fcller Jan", "Muller Jan"), ("Ann Kim Lee", "Kim Lee Ann")]
)
def test_a_name_as_it_is_written_goes_before_its_other_forms(names):
    people = [Person(name, str(n)) for n, name in enumerate(names)]
    entries = [entry(name) for name in names]
    assert roster.join(entries, people) == ([], [])
    assert [one["person"]["id"] for one in entries] == ["0", "1"]
    turned = [Person("Li, An", "1"), Person("An, Li", "2")]
    assert len(roster.join([entry("An Li")], turned)[0]) == 2, "in which order it is written, nothing tells"


@pytest.mark.parametrize(
    "text",
    [
        "Student,ID\n\uae40\ubbfc\uc218,1\n\ub760\ubc29,2\n",
        "Student,ID\nM\u00fcller J\u00fcrgen,1\n\u00c0ngel \u00d1u\u00f1ez,2\n",
    ],
)
def test_tables_that_excel_has_saved_in_its_countrys_encoding_are_read(text, tmp_path):
    """And what a person has typed into one comes back as it was typed."""
    path = tmp_path / "r.csv"
    path.write_bytes(text.encode("cp949" if "\uae40" in text else "cp1252"))
    assert [one.name for one in roster.read(path)] == [line.split(",")[0] for line in text.split("\n")[1:3]]


def test_a_name_of_two_people_is_nobodys():
    entries = [entry("Ann Lee")]
    missing, strangers = roster.join(entries, [Person("Ann Lee", "1"), Person("Lee, Ann", "2")])
    assert len(missing) == 2 and strangers == ["Ann Lee"]


def points_of(path):
    return {row[0]: row[5] for row in roster.rows_of(path)[2:]}


def test_who_has_an_id_that_the_roster_does_not_know_takes_nobodys_line(tmp_path):
    """The name is theirs to choose; and where only names tell, two who claim one line both stay out of it."""
    people = [Person("Lee, Ann", "11"), Person("Kim, Zoe", "13"), Person("Oh, Ben", "14")]
    entries = [entry("annlee", "11"), entry("annlee", "666", verdicts=[]), entry("kimzoe", "667")]
    missing, strangers = roster.join(entries, people)
    assert [one.get("person", {}).get("id") for one in entries] == ["11", None, None]
    assert [one.id for one in missing] == ["13", "14"] and strangers == ["annlee", "kimzoe"]
    assert points_of(tables.grades_csv(entries, tmp_path / "g.csv", people))["Lee, Ann"] == "3"
    named = [
        entry("Ann Lee"),
        entry("Ann.Lee", verdicts=[]),
        entry("Ben Oh"),
        entry("Oh, Ben", notebook=WRITTEN),
    ]
    missing, strangers = roster.join(named, people)
    assert [one.get("person", {}).get("id") for one in named] == [None, None, "14", "14"]
    assert [one.id for one in missing] == ["11", "13"] and all(
        "Lee, Ann of the roster" in text for text in strangers
    )


def test_where_the_rosters_ids_are_not_the_platforms_names_tell():
    """Moodle's participants have the university's numbers, its download has its own."""
    entries = [entry("Ann Lee", "48213"), entry("Ben Oh", "48214")]
    assert roster.join(entries, [Person("Ann Lee", "2026-1"), Person("Ben Oh", "2026-2")]) == ([], [])


def test_an_id_of_two_lines_is_nobodys_and_a_name_without_letters_has_no_form():
    entries = [entry("whoever", "1"), entry("!!!")]
    assert roster.join(entries, [Person("Ann", "1"), Person("Ben", "1"), Person("...", "2")])[1] == [
        "whoever",
        "!!!",
    ]


def test_no_file_name_in_ones_own_folder_makes_another_student():
    entries = [entry("Kim: Jiwoo"), entry("Kim: Minsu"), entry("Minsu Kim")]
    people = [Person("Kim", "4"), Person("Minsu Kim", "2"), Person("Jiwoo Kim", "3")]
    missing, strangers = roster.join(entries, people)
    assert [one.get("person", {}).get("id") for one in entries] == [None, None, "2"]
    assert strangers == ["Kim: Jiwoo", "Kim: Minsu"]


def test_who_is_called_like_an_id_has_not_its_extension_or_group():
    rules = Policy(
        deadlines={NAME: day(8)},
        extensions={("48213", NAME): day(20)},
        groups={"one": ("48213", "Ben")},
    )
    assert rules.late_by("48213", "7", NAME, day(9), False) == 1.0
    assert rules.late_by("Ann", "48213", NAME, day(9), False) == 0.0
    assert rules.late_by("48213", "", NAME, day(9), False) == 0.0, "folders may be named by ids"
    team = [entry("Ben", "1", marks={"team": 9.0}), entry("48213", "7"), entry("Ann", "48213")]
    found = policy.apply(team, rules)
    assert [one.get("marks") for one in found] == [{"team": 9.0}, None, {"team": 9.0}]


@pytest.mark.parametrize("field", ["a" * 200_000, '"' + "a,1\nb" * 50_000])
def test_a_roster_that_is_no_table_is_one_sentence(field, tmp_path):
    (tmp_path / "r.csv").write_text(f"Student,ID\n{field},1\n")
    with pytest.raises(ValueError, match="r.csv: "):
        roster.read(tmp_path / "r.csv")
    assert len(roster.override([entry()], tmp_path / "r.csv")) == 1


def test_a_roster_without_names_is_refused(tmp_path):
    (tmp_path / "r.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="no column for names"):
        roster.read(tmp_path / "r.csv")


def test_changes_need_a_reason_and_one_submission(tmp_path):
    path = tmp_path / "overrides.csv"
    assert roster.override([], path) == [] and path.read_text().strip() == ",".join(roster.OVERRIDES)
    lines = [
        f"Ann,,{NAME},split_heads,1.5,half right,",
        "Ben,7,01,,3,appeal,sorry",
        "Ann,,01,,2,,",
        "Ann,,01,nothing,2,why,",
        "Zoe,,01,,2,why,",
        "Ann,,01,,many,why,",
        "Ann,,01,,,,",
    ]
    path.write_text("\n".join([",".join(roster.OVERRIDES), *lines]), encoding="utf-8")
    entries = [entry("Ann"), entry("Ben", "7")]
    said = roster.override(entries, path)
    assert tables.grade(entries[0]) == 2.5 and tables.grade(entries[1]) == 3.0
    assert entries[1]["comments"] == {"": "sorry"} and "appeal" in tables.short(entries[1])
    assert len(said) == 5 and all("line" in line for line in said)
    assert "reason" in said[0] and "no exercise 'nothing'" in said[1] and "0 submissions" in said[2]


def test_a_change_for_an_id_that_is_somebody_elses_is_told(tmp_path):
    path = tmp_path / "overrides.csv"
    path.write_text(f'{",".join(roster.OVERRIDES)}\nAnn,8,01,,12,typed wrongly,\n"Lee, Ben",8,01,,3,r,\n')
    entries = [entry("Ann", "7"), entry("benlee", "8")]
    assert roster.override(entries, path) == ["overrides.csv, line 2: 8 is benlee, not Ann"]
    assert [one.get("override", {}).get("points") for one in entries] == [None, 3.0]


def test_what_becomes_of_a_librarys_layer_is_the_classs_to_say():
    taken = entry()
    taken["verdicts"][0]["layers"] = ["nn.MultiheadAttention"]
    marked, refused, allowed = (policy.apply([taken], Policy(layers=kind))[0] for kind in policy.LAYERS)
    assert tables.grade(marked) == tables.grade(allowed) == 3.0 and tables.grade(refused) == 1.0
    assert [len([*pages._marked([one])]) for one in (marked, refused, allowed)] == [1, 0, 0]
    assert "nn.MultiheadAttention" in tables.said(
        refused["verdicts"][0] | {"right": 0, "cases": 1, "concept": ""}
    )
