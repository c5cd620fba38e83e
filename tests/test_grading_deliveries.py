"""Everything that is handed in is seen: whose it is, which notebook it is, and a reason for whatever cannot be read."""

from __future__ import annotations

import bz2
import datetime
import gzip
import io
import lzma
import os
import re
import subprocess
import tarfile
import time
import zipfile

import pytest

from tests.deliveries import FILE, NAME, lay, right, script, tarred, zipped
from utils.authoring.attacks.archives import damaged
from utils.authoring.attacks.handing import tarred as member
from utils.grading import arrivals, submissions
from utils.grading.arrivals import walk
from utils.grading.policy import Policy
from utils.grading.reading import RELEASE, BadNotebook, named, read_cells

NOTEBOOKS = sorted(path.stem for path in RELEASE.glob("[0-9][0-9]_*.ipynb"))
PDF = b"%PDF-1.7 and more"


def read(tmp_path, files):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    delivery = submissions.read(lay(tmp_path / "in", files), scratch, NOTEBOOKS)
    return submissions.chosen(delivery.handed), delivery.rows


def who(handed):
    return {one.student: one.notebook or one.problem for one in handed}


KINDS = {
    "script.py": script(right()),
    f"{FILE}.txt": right(),
    "01.ipynb.json": right(),
    "X.IPYNB": right(),
    "hw.ZIP": zipped({FILE: right()}),
    "bulk.zip": zipped({"inner.zip": zipped({f"deep/{FILE}": right()})}),
    "work.tar.gz": tarred({f"work/{FILE}": right()}),
    "Untitled.ipynb": right(),
    "01-transformer-recap.ipynb": right(),
    "1_transformer_recap.ipynb": right(),
    "HW_05_recap.ipynb": right(),
    "bom.ipynb": b"\xef\xbb\xbf" + right(),
}
UNREAD = {
    "hw.pdf": (PDF, "a PDF"),
    "page.html": (b"<!DOCTYPE html>\n<html>", "a web page"),
    "work.rar": (b"Rar!\x1a\x07", "a RAR archive"),
    "notes.docx": (
        zipped({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"}),
        "an Office document",
    ),
    "tools.py": (b"import os\n\ndef gcd(a, b):\n    return a\n", "without an exercise"),
    "data.csv": (b"a,b\n1,2\n", "no notebook (.csv)"),
    "empty.zip": (zipped({}), "an empty archive"),
    "broken.zip": (b"PK\x03\x04 and no more", "cannot be read"),
    "other.ipynb": (b'{"cells": [{"cell_type": "code", "source": "x = 1"}]}', "belongs to a notebook"),
}


@pytest.mark.parametrize("place", ["folders", "Canvas", "Moodle"])
def test_every_kind_of_file_has_a_row_and_what_is_a_notebook_is_read(place, tmp_path):
    """In a folder of its student, in Canvas' bulk download and in Moodle's."""
    everything = KINDS | {name: content for name, (content, _) in UNREAD.items()}
    pattern = {
        "folders": "s{n}/{name}",
        "Canvas": "s{n}_{n}_9{n}_{name}",
        "Moodle": "s{n}_{n}_assignsubmission_file_/{name}",
    }[place]
    files = {pattern.format(n=n, name=name): content for n, (name, content) in enumerate(everything.items())}
    handed, rows = read(tmp_path, files if place == "folders" else {"bulk.zip": zipped(files)})
    found = who(handed)
    assert len(found) == len(everything), "nobody vanishes"
    for n, name in enumerate(everything):
        if name in KINDS:
            assert found[f"s{n}"] == NAME, name
        else:
            assert UNREAD[name][1] in found[f"s{n}"], (name, found[f"s{n}"])
    assert {row.student for row in rows} == set(found) and all(row.made for row in rows)
    assert any("a notebook, though its name ends in .txt" in row.made for row in rows)


def test_an_empty_folder_is_a_student_and_an_empty_delivery_is_an_error(tmp_path):
    handed, _ = read(tmp_path, {"Ann": None, f"Ben/{FILE}": right()})
    assert "an empty folder" in who(handed)["Ann"]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(FileNotFoundError, match="nothing was handed in"):
        submissions.find(tmp_path / "nothing", tmp_path, NOTEBOOKS)


@pytest.mark.parametrize(
    ("files", "students"),
    [
        ((f"hw1/Ann - {FILE}", f"hw1/Ben - {FILE}"), {"Ann", "Ben"}),
        ((f"hw1/Ann/{FILE}", f"hw1/Ben/{FILE}", f"hw2/Ann/{FILE}", f"hw2/Ben/{FILE}"), {"Ann", "Ben"}),
        ((f"hw1/Ann_1_2_{FILE}", f"hw1/Ben_3_4_{FILE}"), {"Ann", "Ben"}),
        ((f"hw1/Ann_1_assignsubmission_file_/{FILE}",), {"Ann"}),
        ((f"Zoe/{FILE}", f"late/Ann - {FILE}", f"late/Ben - {FILE}"), {"Zoe", "late: Ann", "late: Ben"}),
        ((f"Ann - {FILE}", f"Ben_{FILE}"), {"Ann", "Ben"}),
        (
            (f"Zoe/{FILE}", f"Zoe/{NAME} (1).ipynb", f"Zoe/old/{FILE}", f"Yan/{NAME}_final.ipynb"),
            {"Zoe", "Yan"},
        ),
        (("Zoe/mine.ipynb", "Zoe/older.ipynb", "Zoe/works.ipynb", f"Yan/{FILE}"), {"Zoe", "Yan"}),
        ((f"Zoe/Zoe Lin {FILE}", f"Zoe/Zoe Lin {NAME} v2.ipynb"), {"Zoe"}),
    ],
)
def test_a_class_does_not_become_one_student(files, students, tmp_path):
    handed, _ = read(tmp_path, dict.fromkeys(files, right()))
    assert {one.student for one in handed} == students
    assert all(one.notebook == NAME for one in handed)


@pytest.mark.parametrize(
    "claim",
    [
        {
            f"Eve/Ann_12_assignsubmission_file_/{FILE}": right(),
            f"Eve/Bo_13_assignsubmission_file_/{FILE}": right(),
        },
        {f"Eve/Ann_1_2_{FILE}": right()},
        {
            "Eve/work.zip": zipped(
                {f"Ann_12_assignsubmission_file_/{FILE}": right(), f"Ann_1_2_{FILE}": right()}
            )
        },
        {
            "Eve.zip": zipped({f"Ann_12_assignsubmission_file_/{FILE}": right()}),
            "Bo.zip": zipped({FILE: right()}),
        },
        {"Eve.zip": zipped({f"Ann_1_2_{NAME}-99.ipynb": right()}), f"Bo_3_4_{FILE}": right()},
    ],
)
def test_no_name_inside_of_what_a_student_sent_is_an_identity(claim, tmp_path):
    handed, _ = read(tmp_path, {f"Ann/{FILE}": right(), **claim})
    assert [(one.student, one.user) for one in handed if one.student == "Ann"] == [("Ann", "")]
    assert all(one.origin == f"Ann/{FILE}" for one in handed if one.student == "Ann")
    assert {one.student for one in handed} <= {"Ann", "Bo", "Eve"} and "Eve" in {
        one.student for one in handed
    }


@pytest.mark.parametrize(
    "names", [("hw1/Ann/a.zip", "hw1/Ben/a.zip", "hw1/Zoe/a.zip"), ("Ann/1.zip", "Ann/2.zip", "Ann/3.zip")]
)
def test_no_archives_member_takes_the_place_of_anothers(names, tmp_path):
    """Each file that is read later must still be the one that arrived, whoever's archives lie in one folder."""
    made = {name: right() + f"<{name}>".encode() for name in names}  # as long as it is different
    files = {name: zipped({FILE: content, f"more/{FILE}": content}) for name, content in made.items()}
    (tmp_path / "scratch").mkdir()
    found = [*walk(lay(tmp_path / "in", files), tmp_path / "scratch")]
    assert len(found) == 6 and len({one.path for one in found}) == 6
    for one in found:
        archive = one.origin.partition(".zip")[0] + ".zip"
        assert one.path.read_bytes() == made[archive], one.origin


def test_the_one_on_time_counts_and_the_other_is_named(tmp_path):
    files = {
        f"kim_1_2_{FILE}": right(),
        f"kim_LATE_1_3_{NAME}-1.ipynb": right(),
        f"lee_LATE_4_5_{FILE}": right(),
    }
    handed, rows = read(tmp_path, {"bulk.zip": zipped(files)})
    kim, lee = handed
    assert kim.origin.endswith(f"_1_2_{FILE}") and not kim.late and "LATE" in kim.note
    assert lee.late and len(rows) == 3


@pytest.mark.parametrize(
    ("name", "notebook"),
    [
        (FILE, NAME),
        ("1-Transformer Recap (2).ipynb", NAME),
        ("HW_05_recap.ipynb", ""),
        ("05_vit.ipynb", "05_vit"),
        ("Untitled.ipynb", ""),
        ("2024_01_transformer.ipynb", NAME),
    ],
)
def test_what_a_name_names(name, notebook):
    assert named(name, NOTEBOOKS) == notebook


@pytest.mark.parametrize("form", ["py:percent", "py:light", "nbconvert"])
def test_scripts_are_cells(form, tmp_path):
    import jupytext
    import nbformat

    notebook = nbformat.reads(right().decode(), as_version=4)
    text = jupytext.writes(notebook, "py:percent" if form == "nbconvert" else form)
    if form == "nbconvert":
        text = re.sub(r"^# %%.*$", "# In[ ]:", text, flags=re.M)
    path = tmp_path / "x.py"
    path.write_text(text, encoding="utf-8")
    cells = read_cells(path)
    assert any(cell["source"].startswith("def causal_mask") for cell in cells if cell["cell_type"] == "code")
    assert len(cells) > 20


def test_format_3_is_read(tmp_path):
    path = tmp_path / "x.ipynb"
    path.write_text('{"worksheets": [{"cells": [{"cell_type": "code", "input": ["x = 1"]}]}]}')
    assert [cell["source"] for cell in read_cells(path)] == ["x = 1"]
    path.write_text('{"worksheets": []}')
    with pytest.raises(BadNotebook):
        read_cells(path)


def long_name(size):
    head = tarfile.TarInfo("././@LongLink")
    head.type, head.size = tarfile.GNUTYPE_LONGNAME, size
    return head.tobuf(tarfile.GNU_FORMAT) + bytes(size) + member(b"{}", "x.ipynb")


def entries(count):
    """A zip file whose directory has many entries, all of one member."""
    data = zipped({"a": b""})
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    one = data[start:end]
    tail = bytearray(data[end:])
    tail[8:12] = min(count, 65535).to_bytes(2, "little") * 2
    tail[12:16] = (len(one) * count).to_bytes(4, "little")
    return data[:start] + one * count + bytes(tail)


def bzip2_zip(mib):
    """A member of a few hundred bytes that unpacks to so many MiB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_BZIP2) as archive, archive.open("x.ipynb", "w") as file:
        file.write(b"{")
        for _ in range(mib):
            file.write(b" " * 2**20)
    return buffer.getvalue()


def empties(kind):
    """Some 24 MiB of empty streams one behind the other, which give nothing: fifty thousand of them are not a kilobyte in a zip file."""
    one = {"gzip": gzip.compress(b"", mtime=0), "bz2": bz2.compress(b""), "xz": lzma.compress(b"")}[kind]
    return zipped({"work.tar.gz": one * (24 * 2**20 // len(one))})


def claimed(kind):
    """The same behind a header that says that 200 MiB follow."""
    pack = {"gzip": lambda data: gzip.compress(data, mtime=0), "bz2": bz2.compress, "xz": lzma.compress}[kind]
    head = tarfile.TarInfo("a.bin")
    head.size = 200 * 2**20
    return zipped({"work.tar.gz": pack(head.tobuf()) + pack(b"") * (24 * 2**20 // len(pack(b"")))})


BROKEN = {
    "empty streams behind a claim, gzip": claimed("gzip"),
    "empty streams behind a claim, bzip2": claimed("bz2"),
    "empty streams behind a claim, xz": claimed("xz"),
    "empty streams of gzip": empties("gzip"),
    "empty streams of bzip2": empties("bz2"),
    "empty streams of xz": empties("xz"),
    "bzip2 in a zip that stands for much": bzip2_zip(200),
    "a time that is none": member(right(), pax_headers={"mtime": "inf"}),
    "damaged .xz": damaged(lzma.compress(tarred({FILE: right()}))),
    "damaged .bz2": damaged(bz2.compress(member(right()))),
    "damaged .gz": damaged(gzip.compress(member(right()))),
    "damaged LZMA in a zip": damaged(zipped({FILE: right()}, zipfile.ZIP_LZMA)),
    "a long name": lzma.compress(long_name(64 * 2**20)),
    "long headers": gzip.compress(member(right(), pax_headers={"comment": "x" * 2**20})),
    "a number that tarfile looks through for hours": member(right(), pax_headers={"comment": "1" * 200_000}),
    "many entries": entries(150_000),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.slow
def test_no_archive_stops_the_others_or_takes_memory(kind, tmp_path):
    """Whatever Python's readers raise or would read whole, it is that student's file, and the neighbour's is graded."""
    import tracemalloc

    files = {"Eve/work.zip": BROKEN[kind], "Zoe/a.zip": zipped({FILE: right()})}
    tracemalloc.start()
    began = time.monotonic()
    found = {one.student: one for one in read(tmp_path, files)[0]}
    took, peak = time.monotonic() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["Zoe"].notebook == NAME and not found["Zoe"].problem
    assert (not found["Eve"].problem) == (kind == "a time that is none"), found["Eve"]
    assert peak < 48 * 2**20 and took < 30


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
@pytest.mark.slow
def test_what_packs_badly_is_read_all_the_same(kind, tmp_path):
    """Bytes that no compressor makes less come before the notebook and behind it; what is fed and what comes out are of a size."""
    noise = os.urandom(5 * 2**20)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{kind}") as tape:
        for name, content in (("a.bin", noise), (FILE, right()), ("z.bin", noise)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tape.addfile(entry, io.BytesIO(content))
    handed, rows = read(tmp_path, {f"Ann/work.tar.{kind}": buffer.getvalue()})
    assert who(handed) == {"Ann": NAME} and len(rows) == 3


def test_folders_in_folders_without_end_are_one_students(tmp_path):
    """Python 3.11's own walk calls itself for each level, and a thousand levels stopped the class."""
    place = lay(tmp_path / "in", {"Eve/d/hw.pdf": PDF}) / "Eve" / "d"
    try:
        for _ in range(1_500):
            place = place / "d"
            place.mkdir()
        (place / FILE).write_bytes(right())
        found = who(read(tmp_path, {f"Ann/{FILE}": right(), f"Zoe/{FILE}": right()})[0])
    finally:  # pytest would go down by recursion, too
        subprocess.run(["rm", "-rf", str(tmp_path / "in" / "Eve")], check=True)
    assert found["Ann"] == found["Zoe"] == NAME and "Eve" in found


def test_a_file_that_becomes_a_link_or_another_one_has_no_grade(tmp_path):
    """Who can write to a delivery while it is graded put a link to the answers in place of a notebook that had been looked at."""
    from utils.grading import run

    (one,) = read(tmp_path, {f"Eve/{FILE}": right()})[0]
    key = run._key(one, 1)
    assert not run._has_changed(one, 1, key)
    one.path.write_bytes(right() + b" ")
    assert run._has_changed(one, 1, key)
    other = tmp_path / "other.ipynb"
    other.write_bytes(right())
    one.path.unlink()
    assert run._has_changed(one, 1, key), "it is gone"
    one.path.symlink_to(other)
    assert one.digest == "" and run._has_changed(one, 1, run._key(one, 1)), "linked before the run began"


@pytest.mark.parametrize("packed", [True, False])
def test_a_name_of_ones_own_in_moodle_takes_nobodys_place(packed, tmp_path):
    """The name that Moodle shows may be a student's to choose; in a folder's name the last id is Moodle's, in a file's it cannot be told."""
    claims = "Ann Lee_11_assignsubmission_file_x_99_assignsubmission_file_"
    files = {f"Ann Lee_11_assignsubmission_file_/{FILE}": right(), f"{claims}/{FILE}": right()}
    handed, _ = read(tmp_path, {"bulk.zip": zipped(files)} if packed else files)
    assert {one.user: one.student for one in handed} == {"11": "Ann Lee", "99": claims.split("_99_")[0]}
    flat = {f"Ann Lee_11_assignsubmission_file_{FILE}": right(), f"{claims}{FILE}": right()}
    lain = lay(tmp_path / "flat", {"bulk.zip": zipped(flat)} if packed else flat)
    found = submissions.chosen(submissions.read(lain, tmp_path / "scratch", NOTEBOOKS).handed)
    assert [(one.user, one.origin.endswith(claims + FILE)) for one in found if one.user] == [("11", False)]
    assert len(found) == 2


def test_what_cannot_be_read_for_whatever_reason_is_one_students(tmp_path, monkeypatch):
    def fail(path):
        if path.stat().st_size < 100:
            raise MemoryError
        return read_cells(path)

    monkeypatch.setattr(submissions, "read_cells", fail)
    found = who(read(tmp_path, {f"Ann/{FILE}": right(), f"Eve/{FILE}": b'{"cells": []}'})[0])
    assert found["Ann"] == NAME and "MemoryError" in found["Eve"]


@pytest.mark.parametrize("name", ["m_12_22_{}.zip", "Mal_6_assignsubmission_file_/{}.zip"])
def test_no_students_archives_use_up_the_others_space(name, tmp_path, monkeypatch):
    """In a platform's download a student's archives have a student's share; those of one folder of Moodle's share it."""
    monkeypatch.setattr(arrivals, "STUDENTS_BYTES", 100_000)
    monkeypatch.setattr(arrivals, "ALL_BYTES", 900_000)
    bomb = zipped({f"{n}.ipynb": b"{" + b" " * 60_000 for n in range(100)})
    files = {name.format(n): bomb for n in range(3)} | {f"z_13_23_{FILE}": right(), f"Zoe/{FILE}": right()}
    handed, _ = read(
        tmp_path, {"bulk.zip": zipped(dict(sorted(files.items(), key=lambda one: one[0] > "Z")))}
    )
    honest = [one for one in handed if one.origin.endswith(FILE)]
    assert len(honest) == 2 and all(one.notebook == NAME and not one.problem for one in honest)
    unpacked = sum(path.stat().st_size for path in (tmp_path / "scratch").iterdir()) - 2 * len(right())
    assert unpacked < (110_000 if "/" in name else 330_000)


def test_a_members_compression_is_no_matter(tmp_path):
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        (tmp_path / str(kind) / "in" / "Ann").mkdir(parents=True)
        with zipfile.ZipFile(tmp_path / str(kind) / "in" / "Ann" / "w.zip", "w", kind) as archive:
            archive.writestr(FILE, right())
        scratch = tmp_path / str(kind) / "scratch"
        scratch.mkdir()
        (one,) = walk(tmp_path / str(kind) / "in", scratch)
        assert one.path.read_bytes() == right()


def test_the_files_of_a_student_are_counted_through_all_archives(tmp_path, monkeypatch):
    """The notebook of a whole project is found wherever it stands; a row says what is not opened any more."""
    monkeypatch.setattr(arrivals, "MEMBERS", 30)
    monkeypatch.setattr(arrivals.Budget, "__init__", _budget_of_thirty(arrivals.Budget.__init__))
    many = {f"{n:02}.txt": b"x" for n in range(25)}
    inner = {"a.zip": zipped(many), "b.tar.gz": tarred(many), "c.zip": zipped(many)}
    files = {
        "Ann/w.zip": zipped(inner),
        "Ben/w.zip": zipped({f"p/{n}": b"x" for n in range(99)} | {f"p/{FILE}": right()}),
    }
    handed, rows = read(tmp_path, files)
    assert who(handed)["Ben"] == NAME and "more than the limit" in who(handed)["Ann"]
    for name in ("Ann", "Ben"):
        assert len([row for row in rows if row.student == name]) <= 31


def _budget_of_thirty(plain):
    return lambda self, left, above=None, files=30, told=False: plain(self, left, above, files, told)


@pytest.mark.slow
def test_a_platforms_archive_of_any_number_of_files_loses_nobody(tmp_path):
    files = {f"Ann_1_assignsubmission_file_/p/{n}.txt": b"x" for n in range(arrivals.MEMBERS + 10)}
    handed, _ = read(
        tmp_path, {"bulk.zip": zipped(files | {f"Zoe_2_assignsubmission_file_/{FILE}": right()})}
    )
    assert who(handed)["Zoe"] == NAME and "Ann" in who(handed)


def test_a_students_archive_at_the_top_has_a_students_space(tmp_path, monkeypatch):
    """Canvas' download as a folder: each archive in it is a student's."""
    monkeypatch.setattr(arrivals, "STUDENTS_BYTES", 100_000)
    bomb = zipped({f"{n}.ipynb": b"{" + b" " * 60_000 for n in range(100)})
    (tmp_path / "scratch").mkdir()
    folder = lay(tmp_path / "in", {"mal_12_22_w.zip": bomb, f"zoe_13_23_{FILE}": right()})
    found = submissions.find(folder, tmp_path / "scratch", NOTEBOOKS)
    assert [one.notebook for one in found if one.student == "zoe"] == [NAME]
    assert sum(path.stat().st_size for path in (tmp_path / "scratch").iterdir()) < 110_000


@pytest.mark.parametrize("packed", [True, False])
def test_moodles_download_without_folders_is_read(packed, tmp_path):
    """A file's own name, which a student chooses, tells no id."""
    names = ("Ann Lee_100", "Ann Lee_101", "Mal_102")
    files = {f"{name}_assignsubmission_file_{FILE}": right() for name in names[:2]}
    files["Mal_102_assignsubmission_file_1_100_x.ipynb"] = right()
    handed, _ = read(tmp_path, {"bulk.zip": zipped(files)} if packed else files)
    assert [f"{one.student}_{one.user}" for one in handed] == [*names]
    assert all(one.notebook == NAME for one in handed)


@pytest.mark.parametrize("beside", ["Grades-hw1.csv", "notes.txt", "sheet.pdf"])
def test_an_instructors_table_beside_a_download_makes_it_no_students_archive(beside, tmp_path):
    bulk = zipped({f"{name}_assignsubmission_file_/{FILE}": right() for name in ("Ann_1", "Ben_2")})
    found = who(read(tmp_path, {"hw1.zip": bulk, beside: b"Identifier,Full name\n"})[0])
    assert found["Ann"] == found["Ben"] == NAME


def test_a_download_beside_other_work_is_no_student_and_says_so(tmp_path):
    bulk = zipped({f"{name}_assignsubmission_file_/{FILE}": right() for name in ("Ann_1", "Ben_2")})
    found = who(read(tmp_path, {"hw1.zip": bulk, f"Zoe/{FILE}": right()})[0])
    assert found["Zoe"] == NAME and "folder of its own" in found["hw1"] and len(found) == 2


def test_what_cannot_be_read_fills_no_gradebook(tmp_path):
    files = {f"{n}.ipynb": b"{" for n in range(100)}
    handed, rows = read(tmp_path, {"Eve/w.zip": zipped(files), f"Zoe/{FILE}": right()})
    assert len([one for one in handed if one.student == "Eve"]) == submissions.UNREAD and len(rows) == 101


def test_a_number_in_ones_own_file_name_is_no_attempt(tmp_path):
    folder = lay(tmp_path / "in", {"Ann/recap-01.ipynb": right(), f"Ann/{FILE}": right()})
    os.utime(folder / "Ann" / "recap-01.ipynb", (1000, 1000))
    (tmp_path / "scratch").mkdir()
    (one,) = submissions.find(folder, tmp_path / "scratch", NOTEBOOKS)
    assert one.origin == f"Ann/{FILE}"


def test_a_folder_that_cannot_be_opened_is_a_student_all_the_same(tmp_path, monkeypatch):
    folder = lay(tmp_path / "in", {f"Ann/{FILE}": right(), f"Ben/{FILE}": right()})
    plain = os.scandir

    def closed(path):
        if os.fspath(path).endswith("Ann"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return plain(path)

    monkeypatch.setattr(os, "scandir", closed)
    (tmp_path / "scratch").mkdir()
    found = who(submissions.find(folder, tmp_path / "scratch", NOTEBOOKS))
    assert found["Ben"] == NAME and "permissions" in found["Ann"]


def dated(content, when):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(FILE, when), content)
    return buffer.getvalue()


def test_no_time_in_a_students_own_archive_is_the_time_of_handing_in(tmp_path):
    """The disk's holds, or the platform's archive's; the student's only says which of two files in one archive is the later one."""
    old, late = (2020, 1, 1, 0, 0, 0), datetime.datetime(2026, 3, 18, 12)
    none = bytearray(dated(right(), old))
    place = none.index(b"PK\x01\x02")
    none[place + 12 : place + 16] = bytes(4)
    files = {
        f"plain/{FILE}": right(),
        "zip/w.zip": dated(right(), old),
        "tar/w.tar": member(right(), mtime=1),
        "undated/w.zip": bytes(none),
        "top.zip": dated(right(), old),
        "deep/w.zip": zipped({"v.zip": dated(right(), old)}),
    }
    folder = lay(tmp_path / "in", files)
    for path in folder.rglob("*"):
        os.utime(path, (late.timestamp(), late.timestamp()))
    (tmp_path / "scratch").mkdir()
    found = submissions.find(folder, tmp_path / "scratch", NOTEBOOKS)
    assert {one.student: one.when for one in found} == dict.fromkeys(
        ("plain", "zip", "tar", "undated", "top", "deep"), late
    )
    bulk = io.BytesIO()
    with zipfile.ZipFile(bulk, "w") as archive:
        for name, content in ((f"Ann_5_6_{FILE}", right()), ("Mal_7_8_w.zip", dated(right(), old))):
            archive.writestr(zipfile.ZipInfo(name, (2026, 3, 18, 12, 0, 0)), content)
    (tmp_path / "bulk.zip").write_bytes(bulk.getvalue())
    found = submissions.find(tmp_path / "bulk.zip", tmp_path / "scratch", NOTEBOOKS)
    assert [one.when for one in found] == [late, late]


def test_of_two_files_in_one_archive_the_later_one_counts(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(FILE, (2026, 3, 2, 0, 0, 0)), right())
        archive.writestr(zipfile.ZipInfo(f"{NAME}_zz.ipynb", (2026, 3, 1, 0, 0, 0)), right())
    (one,), _ = read(tmp_path, {"Ann/w.zip": buffer.getvalue()})
    assert one.origin.endswith(FILE) and "_zz" in one.note


def test_downloads_side_by_side_are_opened_and_one_beside_other_work_is_a_students(tmp_path):
    downloads = {f"hw{n}.zip": zipped({f"{who}_{who}1_2_{FILE}": right() for who in "67"}) for n in (1, 2)}
    assert {one.user for one in read(tmp_path, downloads)[0]} == {"61", "71"}


def test_names_that_differ_in_bytes_that_are_no_text_stay_two(tmp_path):
    for name, content in ((b"M\xfcller", right()), (b"M\xf6ller", script(right()))):
        folder = tmp_path / "in" / os.fsdecode(name)
        folder.mkdir(parents=True)
        (folder / FILE).write_bytes(content)
    (tmp_path / "scratch").mkdir()
    found = submissions.find(tmp_path / "in", tmp_path / "scratch", NOTEBOOKS)
    assert len({one.student for one in found}) == 2 and not any(one.note for one in found)
    assert all(one.student.encode() for one in found)


def test_where_the_best_counts_guesses_are_not_without_end(tmp_path):
    files = {"Eve/w.zip": zipped({f"{n:02}/{FILE}": right() for n in range(40)}), f"Ann/{FILE}": right()}
    (tmp_path / "scratch").mkdir()
    delivery = submissions.read(lay(tmp_path / "in", files), tmp_path / "scratch", NOTEBOOKS)
    picked = Policy(attempt="best").pick(delivery.handed)
    assert [one.student for one in picked] == ["Ann", *["Eve"] * submissions.ATTEMPTS]
    assert picked[-1].origin.endswith(f"39/{FILE}") and "00/" in picked[-1].note and "more" in picked[-1].note


BOMB = "".join(f"#   a{n + 1}: &a{n + 1} [{','.join([f'*a{n}'] * 9)}]\n" for n in range(7))
HEAD = f"# ---\n# jupyter:\n#   a0: &a0 [x]\n{BOMB}# ---\n"
CODE = "\ndef causal_mask(n):\n    return 1\n"


@pytest.mark.parametrize(
    "text",
    [
        HEAD + CODE,
        "#!python\n# coding: utf-8\n" + HEAD + CODE,
        "# ---\n# ---\n" + HEAD + CODE,
        "#\n" + HEAD + CODE,
        HEAD.replace("# ---", "#---\x0c") + CODE,
        CODE + "\n" * 30_000,
        "x = 1\n\n" * 8_000 + CODE,
    ],
)
def test_no_script_takes_long_to_read(text, tmp_path):
    path = tmp_path / "x.py"
    path.write_text(text, encoding="utf-8")
    began = time.monotonic()
    try:
        assert any("causal_mask" in cell["source"] for cell in read_cells(path))
    except BadNotebook as error:
        assert "limit" in str(error)
    assert time.monotonic() - began < 10


def test_libraries_in_an_archive_are_not_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(submissions, "read_cells", lambda path: pytest.fail("parsed"))
    handed, rows = read(tmp_path, {"Ann/lib.zip": zipped({"a.py": b"import os\n\ndef gcd(a): pass\n"})})
    assert "without an exercise" in handed[0].problem and len(rows) == 1
