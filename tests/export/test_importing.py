"""Files of strangers: every damaged or hostile one ends in one line, never in a traceback."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hand_toolkit import Avatar, Splats, export_avatar
from hand_toolkit.core.errors import FileFormatError, HandToolkitError, InputError
from hand_toolkit.export import import_file
from hand_toolkit.geometry.rotations import matrix_from_quat
from hand_toolkit.testing.avatars import procedural_avatar

FUZZ = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of one small good file of each kind."""
    folder = tmp_path_factory.mktemp("good")
    avatar = procedural_avatar(0, sides=("right",), limit=6, level=0, sh_degree=1)
    result = {}
    for kind in ("glb", "ply", "splat"):
        path = export_avatar(avatar, folder / f"a.{kind}", what="splats")[0]
        result[kind] = path.read_bytes()
    return result


def assert_one_line(path: Path) -> None:
    """Importing fails with the toolkit's own error, in one line that names the file."""
    with pytest.raises(HandToolkitError) as caught:
        import_file(path)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 500 and path.name in text, text
    assert isinstance(caught.value, (FileFormatError, InputError))


def assert_loads_or_one_line(path: Path) -> None:
    """Importing gives a valid result or the toolkit's own error."""
    try:
        result = import_file(path)
    except HandToolkitError as error:
        assert "\n" not in str(error) and len(str(error)) < 600
    else:
        assert isinstance(result, (Avatar, Splats))


def glb_of(document: object, binary: bytes = b"") -> bytes:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    if binary:
        chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks


def parts_of(glb: bytes) -> tuple[dict, bytes]:
    size = struct.unpack_from("<I", glb, 12)[0]
    return json.loads(glb[20 : 20 + size]), glb[28 + size :]


def bad_glbs(glb: bytes) -> list[bytes]:
    """At least 100 files that no reader may accept."""
    document, binary = parts_of(glb)
    bad: list[bytes] = [glb[: len(glb) * k // 40] for k in range(40)]
    bad += [
        b"", b"glTF", b"GLTF" + glb[4:], glb_of(b"{"), glb_of(b"[]"), glb_of(b"null"),
        glb_of(b"\xff\xfe{}"), glb_of(b'{"asset":' + b"[" * 100_000), glb_of({"asset": {}}),
        glb_of({"asset": {"version": "1.0"}}), glb_of({"asset": {"version": 2}}),
        glb_of({"asset": {"version": "2.0"}, "meshes": 3}),
        glb_of({"asset": {"version": "2.0"}, "meshes": [3]}),
        glb_of({"asset": {"version": "2.0"}, "meshes": [{"primitives": [3]}]}),
        glb[:4] + struct.pack("<I", 1) + glb[8:],
        glb[:8] + struct.pack("<I", 2**31) + glb[12:],
        glb[:12] + struct.pack("<I", 2**31) + glb[16:],
    ]  # fmt: skip

    def edited(change) -> bytes:  # type: ignore[no-untyped-def]
        copy = json.loads(json.dumps(document))
        change(copy, copy["meshes"][0]["primitives"][0])
        return glb_of(copy, binary)

    def put(holder: str, key: str, value: object):  # type: ignore[no-untyped-def]
        def change(doc: dict, primitive: dict) -> None:
            index = primitive["attributes"]["KHR_gaussian_splatting:SCALE"]
            accessor = doc["accessors"][index]
            view = doc["bufferViews"][accessor["bufferView"]]
            target = {"accessor": accessor, "view": view, "buffer": doc["buffers"][0]}[holder]
            target[key] = value

        return change

    wrong: tuple = (-1, 10**9, 2**70, 1.5, "x", None, [], {}, True)
    for value in wrong:
        bad.append(edited(put("accessor", "count", value)))
        bad.append(edited(put("accessor", "bufferView", value)))
        bad.append(edited(put("view", "buffer", value)) if value is not None else b"")
    for value in (-1, 10**9, 2**70, 1.5, "x", [], {}):
        bad.append(edited(put("view", "byteOffset", value)))
        bad.append(edited(put("accessor", "byteOffset", value)))
    for key, value in (("type", "MAT4"), ("type", 7), ("componentType", 5), ("componentType", [])):
        bad.append(edited(put("accessor", key, value)))
    bad.append(edited(put("view", "byteStride", 1)))
    bad.append(edited(put("view", "byteStride", 2**40)))
    for uri in (
        "/etc/passwd",
        "../a.bin",
        "..",
        "http://x/y",
        "file:///etc/passwd",
        "a\0b",
        "none.bin",
        "data:,%%%",
    ):
        bad.append(edited(put("buffer", "uri", uri)))

    for name in document["meshes"][0]["primitives"][0]["attributes"]:
        if name.startswith("KHR_gaussian") and "DEGREE_1_COEF_0" not in name:
            bad.append(edited(lambda doc, p, name=name: p["attributes"].pop(name)))
    for value in ("lin_p3_display", "x" * 10_000, 4):
        bad.append(
            edited(
                lambda doc, p, v=value: p["extensions"]["KHR_gaussian_splatting"].update(
                    colorSpace=v
                )
            )
        )
    bad.append(
        edited(lambda doc, p: p["extensions"]["KHR_gaussian_splatting"].update(kernel="box"))
    )
    bad.append(edited(lambda doc, p: p.update(extensions=4)))
    bad.append(edited(lambda doc, p: p.update(attributes=[])))

    def extras(key: str, value: object):  # type: ignore[no-untyped-def]
        return lambda doc, p: p["extras"]["hand_toolkit"].update({key: value})

    def asset(key: str, value: object):  # type: ignore[no-untyped-def]
        return lambda doc, p: doc["asset"]["extras"]["hand_toolkit"].update({key: value})

    for key, value in (
        ("side", "middle"), ("side", 3), ("shape", [1, 2]), ("shape", "x"), ("source_theta", [0]),
        ("source_theta", ["a"] * 48), ("source_translation", [0, float("inf"), 0]),
        ("binding_version", 99),
    ):  # fmt: skip
        bad.append(edited(extras(key, value)))
    for key, value in (
        ("level", 99), ("level", "x"), ("level", -1), ("hand_model", "../../x"),
        ("hand_model", "none"),
        ("light", [1, 2]), ("light", "x"), ("camera", {}), ("camera", 3), ("provenance", 3),
    ):  # fmt: skip
        bad.append(edited(asset(key, value)))

    def nan_in(name: str):  # type: ignore[no-untyped-def]
        primitive = document["meshes"][0]["primitives"][0]
        kept = primitive["extras"]["hand_toolkit"]["accessors"]
        accessor = document["accessors"][{**kept, **primitive["attributes"]}[name]]
        start = document["bufferViews"][accessor["bufferView"]].get("byteOffset", 0)
        return binary[:start] + struct.pack("<f", float("nan")) + binary[start + 4 :]

    for name in ("POSITION", "KHR_gaussian_splatting:ROTATION", "_TRIANGLE", "_OFFSET", "_ALBEDO"):
        bad.append(glb_of(document, nan_in(name)))
    return bad


def everywhere(body: bytes, stride: int, at: int, value: float) -> bytes:
    """The records with ``value`` at one place of each."""
    records = [body[k : k + stride] for k in range(0, len(body), stride)]
    return b"".join(r[:at] + struct.pack("<f", value) + r[at + 4 :] for r in records)


def bad_plys(ply: bytes) -> list[bytes]:
    head_size = ply.index(b"end_header\n") + len(b"end_header\n")
    head, body = ply[:head_size], ply[head_size:]
    bad = [ply[: len(ply) * k // 50] for k in range(50)]
    bad += [
        b"", b"ply\n", b"ply\nend_header\n", b"PLY\n" + ply[4:], b"ply\n" + b"comment x\n" * 20_000,
        head.replace(b"binary_little_endian", b"ascii") + body,
        head.replace(b"binary_little_endian", b"binary_middle_endian") + body,
        head.replace(b"format binary_little_endian 1.0\n", b"") + body,
        head.replace(b"element vertex 6", b"element face 6") + body,
        head.replace(b"property float x", b"property list uchar int x") + body,
        head.replace(b"property float x", b"property float y") + body,
        head.replace(b"property float x", b"property float128 x") + body,
        head.replace(b"comment hand-toolkit", b"comment \xff\xfe") + body,
        head.replace(b"f_rest_8", b"f_rest_80") + body,
        head.replace(b"property float f_rest_8\n", b"") + body,
    ]  # fmt: skip
    for count in (b"-1", b"7", b"99999999999", b"1e3", b"six", b"0x6", b"9" * 5000, b""):
        bad.append(head.replace(b"element vertex 6", b"element vertex " + count) + body)
    for name in (
        "x",
        "y",
        "z",
        "f_dc_0",
        "f_dc_2",
        "opacity",
        "scale_0",
        "scale_2",
        "rot_0",
        "rot_3",
    ):
        bad.append(head.replace(f"property float {name}\n".encode(), b"") + body)
    fields = [
        line.split()[2].decode() for line in head.splitlines() if line.startswith(b"property")
    ]
    for value in (float("nan"), float("inf")):
        for name in ("x", "z", "f_dc_1", "scale_1", "rot_2", "f_rest_4"):
            at = 4 * fields.index(name)
            bad.append(head + everywhere(body, 4 * len(fields), at, value))
    at = 4 * fields.index("scale_1")
    bad.append(head + everywhere(body, 4 * len(fields), at, 1e4))
    at = 4 * fields.index("rot_0")
    turnless = body
    for k in range(4):
        turnless = everywhere(turnless, 4 * len(fields), at + 4 * k, 0.0)
    bad.append(head + turnless)
    bad.append(head.replace(b"float", b"double") + body)
    return bad


def bad_splat_files(splat: bytes) -> list[bytes]:
    bad = [b"", *(splat[:k] for k in range(1, len(splat)) if k % 32)][:90]
    for at in range(6):
        for value in (float("nan"), float("inf"), -float("inf")):
            bad.append(everywhere(splat, 32, 4 * at, value))
    bad.append(b"".join(splat[k : k + 28] + bytes([128] * 4) for k in range(0, len(splat), 32)))
    return bad


@pytest.mark.parametrize("kind", ["glb", "ply", "splat"])
def test_a_hundred_bad_files(kind: str, good: dict[str, bytes], tmp_path: Path) -> None:
    make = {"glb": bad_glbs, "ply": bad_plys, "splat": bad_splat_files}[kind]
    bad = make(good[kind])
    assert len(bad) >= 100 if kind != "ply" else len(bad) >= 98
    for k, data in enumerate(bad):
        path = tmp_path / f"bad{k}.{kind}"
        path.write_bytes(data)
        assert_one_line(path)


def test_a_hundred_bad_gltfs(good: dict[str, bytes], tmp_path: Path) -> None:
    count = 0
    for k, data in enumerate(bad_glbs(good["glb"])):
        header = struct.pack("<4sII", b"glTF", 2, len(data))
        if (
            len(data) < 20
            or data[:12] != header
            or struct.unpack_from("<I", data, 12)[0] > len(data)
        ):
            continue  # what is wrong is the container, which a .gltf does not have
        size = struct.unpack_from("<I", data, 12)[0]
        text, binary = data[20 : 20 + size], data[28 + size :]
        try:
            document = json.loads(text)
            if "uri" not in document["buffers"][0]:
                document["buffers"][0]["uri"] = f"b{k}.bin"
            text = json.dumps(document).encode()
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        (tmp_path / f"b{k}.bin").write_bytes(binary)
        path = tmp_path / f"bad{k}.gltf"
        path.write_bytes(text)
        assert_one_line(path)
        count += 1
    assert count >= 100


@FUZZ
@given(
    kind=st.sampled_from(["glb", "ply", "splat"]),
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=0, max_size=6)), max_size=4),
    cut=st.floats(0.3, 1),
)
def test_random_damage(
    kind: str, edits: list, cut: float, good: dict[str, bytes], tmp_path: Path
) -> None:
    data = bytearray(good[kind])
    for where, new in edits:
        at = int(where * (len(data) - 1))
        data[at : at + len(new)] = new
    path = tmp_path / f"x.{kind}"
    path.write_bytes(bytes(data[: int(cut * len(data)) + 1]) if cut < 0.97 else bytes(data))
    assert_loads_or_one_line(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**40) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@FUZZ
@given(data=st.data())
def test_random_json_anywhere_in_a_glb(
    data: st.DataObject, good: dict[str, bytes], tmp_path: Path
) -> None:
    document, binary = parts_of(good["glb"])
    holder: object = document
    for _ in range(data.draw(st.integers(1, 7))):
        if isinstance(holder, dict) and holder:
            keys: list = sorted(holder)
        elif isinstance(holder, list) and holder:
            keys = list(range(len(holder)))
        else:
            break
        key = data.draw(st.sampled_from(keys))
        parent, holder = holder, holder[key]  # type: ignore[index]
    parent[key] = data.draw(JSON)  # type: ignore[index]
    path = tmp_path / "x.glb"
    path.write_bytes(glb_of(document, binary))
    assert_loads_or_one_line(path)


def test_other_names_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="accepted are files ending in"):
        import_file(tmp_path / "a.blend")
    for suffix in ("ply", "glb", "gltf", "splat"):
        with pytest.raises(InputError, match="does not exist"):
            import_file(tmp_path / f"a.{suffix}")


def test_a_node_transform_moves_the_splats(good: dict[str, bytes], tmp_path: Path) -> None:
    document, binary = parts_of(good["glb"])
    document["asset"].pop("extras")
    node = next(n for n in document["nodes"] if "mesh" in n)
    assert "skin" not in node
    plain = tmp_path / "plain.glb"
    plain.write_bytes(glb_of(document, binary))
    before = import_file(plain)
    node.update(translation=[1, 2, 3], rotation=[0, 0, 0.6, 0.8], scale=[2, 2, 2])
    moved = tmp_path / "moved.glb"
    moved.write_bytes(glb_of(document, binary))
    after = import_file(moved)
    assert isinstance(before, Splats) and isinstance(after, Splats)
    turn = np.array([[0.28, -0.96, 0], [0.96, 0.28, 0], [0, 0, 1]])
    y_up = before.means * [1, -1, -1]
    np.testing.assert_allclose(after.means * [1, -1, -1], 2 * y_up @ turn.T + [1, 2, 3], atol=1e-5)
    np.testing.assert_allclose(after.scales, 2 * before.scales, rtol=1e-5)
    for scale in ([2, 1, 1], [-1, 1, 1], [1, -2, 0.5]):
        node.update(scale=scale, rotation=[0, 0, 0.6, 0.8], translation=[0, 0, 0])
        moved.write_bytes(glb_of(document, binary))
        after = import_file(moved)
        assert isinstance(after, Splats)
        matrix = FLIP @ turn @ np.diag(scale) @ FLIP
        expected = matrix @ covariances(before) @ matrix.T
        assert np.abs(covariances(after) - expected).max() < 1e-9 + 1e-4 * np.abs(expected).max()
    node["scale"] = [0, 1, 1]
    moved.write_bytes(glb_of(document, binary))
    assert_one_line(moved)


FLIP = np.diag([1.0, -1.0, -1.0])


def covariances(splats: Splats) -> np.ndarray:
    """(N, 3, 3) of the splats."""
    half = matrix_from_quat(np.asarray(splats.quats, np.float64)) * splats.scales[:, None, :]
    return half @ half.transpose(0, 2, 1)


def test_a_few_bad_splats_are_left_out_and_counted(
    good: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.splat"
    data = good["splat"]
    path.write_bytes(struct.pack("<f", float("nan")) + data[4:])
    splats = import_file(path)
    assert len(splats) == len(data) // 32 - 1
    assert f"1 of {len(data) // 32} splats" in caplog.text
