"""Bad input: each with one clear message at its line; good input: objects."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from shipway.errors import InvalidObject
from shipway.kinds import KINDS, JobInput, ModelJob, ModelJobSpec, ModelService, ModelServiceSpec
from shipway.kinds.document import Document, documents
from shipway.kinds.field_errors import models_at, shown, translate
from shipway.kinds.load import load, object_from_document

JOB = """\
apiVersion: shipway.dev/v1alpha1
kind: ModelJob
metadata: {name: digits}
spec:
  command: [python, train.py]
"""
SERVICE = """\
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: digits}
spec:
  model: digits
"""
KIND_LIST = ", ".join(KINDS)
NAME_RULE = "start with a letter, use a-z, 0-9 and '-', end with a letter or digit, at most 50 characters"


def errors(text: str) -> list[str]:
    with pytest.raises(InvalidObject) as caught:
        load(text, "shipway.yaml")
    return [str(one) for one in caught.value.errors]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # the text as a whole
        ("", "shipway.yaml: holds no object: it is empty"),
        ("# only a comment\n---\n", "shipway.yaml: holds no object: it is empty"),
        ("a: [1\n", "shipway.yaml:2: this is not YAML: did not find expected ',' or ']', in column 1"),
        (
            "a:\n\t- b",
            "shipway.yaml:2: this is not YAML: found character that cannot start any token, in column 1; "
            "indent with spaces, YAML allows no tabs",
        ),
        ("a: \x01", "shipway.yaml: this is not YAML: control characters are not allowed"),
        ("a: \ud800", "shipway.yaml: not valid text: surrogates not allowed"),
        ("[" * 100_000, "shipway.yaml:1: nested more than 64 levels deep"),
        ("a: 1\nb: 2\na: 3", "shipway.yaml:3: a: given twice: first in line 1"),
        ("a: &x [*x]", "shipway.yaml:1: a[0]: an alias may not contain itself"),
        ("a: !!python/name:os.system x", "shipway.yaml:1: a: the tag !!python/name:os.system is not allowed here"),
        ("a: !!set {x}", "shipway.yaml:1: a: the tag !!set is not allowed here"),
        ("a: !!int many", "shipway.yaml:1: a: 'many' is not a YAML int; quote it to make it a string"),
        ("a: .inf", "shipway.yaml:1: a: .inf is not allowed; must be a finite number"),
        ("? [a, b]\n: 1", "shipway.yaml:1: a key must be a plain word"),
        (
            "a:\n  <<: 5",
            "shipway.yaml:2: a: expected a mapping or list of mappings for merging, but found scalar",
        ),
        # what it is
        ("- a", 'shipway.yaml:1: ["a"] is not an object: a mapping with apiVersion, kind, metadata and spec'),
        ("hello", 'shipway.yaml:1: "hello" is not an object: a mapping with apiVersion, kind, metadata and spec'),
        (
            JOB.replace("ModelJob", "ModelJop"),
            f"shipway.yaml:2: kind: \"ModelJop\" is not a kind: one of {KIND_LIST}; did you mean 'ModelJob'?",
        ),
        (JOB.replace("ModelJob", "5"), f"shipway.yaml:2: kind: 5 is not a kind: one of {KIND_LIST}"),
        (JOB.replace("kind: ModelJob\n", ""), f"shipway.yaml:1: kind: is missing: one of {KIND_LIST}"),
        (
            JOB.replace("apiVersion: shipway.dev/v1alpha1\n", ""),
            "shipway.yaml:1: apiVersion: is missing: shipway.dev/v1alpha1",
        ),
        (
            JOB.replace("v1alpha1", "v2"),
            'shipway.yaml:1: apiVersion: "shipway.dev/v2" is not allowed; must be shipway.dev/v1alpha1',
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment\n",
            'shipway.yaml:2: kind: apps/v1 "Deployment" is a kind of Kubernetes: '
            f"here stand kinds of shipway.dev/v1alpha1: {KIND_LIST}",
        ),
        # fields
        (JOB + "  replicas: -1\n", "shipway.yaml:6: spec.replicas: -1 is not allowed; must be 1 or more"),
        (JOB + "  replicas: two\n", 'shipway.yaml:6: spec.replicas: "two" is not allowed; must be a whole number'),
        (JOB + "  replicas: 1.5\n", "shipway.yaml:6: spec.replicas: 1.5 is not allowed; must be a whole number"),
        (SERVICE + "  replicas: 2000\n", "shipway.yaml:6: spec.replicas: 2000 is not allowed; must be 1000 or less"),
        (JOB + "  replica: 2\n", "shipway.yaml:6: spec.replica: unknown field; did you mean 'replicas'?"),
        (JOB + "  xyzzy: 2\n", None),
        (JOB + "replicas: 2\n", "shipway.yaml:6: replicas: unknown field; it belongs in spec: spec.replicas"),
        (
            JOB + "  mode: gangs\n",
            'shipway.yaml:6: spec.mode: "gangs" is not allowed; must be one of gang, indexed, elastic; '
            "did you mean 'gang'?",
        ),
        (JOB + "  mode: 5\n", "shipway.yaml:6: spec.mode: 5 is not allowed; must be one of gang, indexed, elastic"),
        (
            JOB.replace("[python, train.py]", "python train.py"),
            'shipway.yaml:5: spec.command: "python train.py" is not allowed; must be a list, '
            'like ["python", "train.py"]',
        ),
        (
            JOB.replace("[python, train.py]", '"echo \'open"'),
            'shipway.yaml:5: spec.command: "echo \'open" is not allowed; must be a list, like ["echo \'open"]',
        ),
        (
            JOB.replace("train.py", "5"),
            'shipway.yaml:5: spec.command[1]: 5 is not allowed; must be a string (in quotes: "5")',
        ),
        (
            JOB.replace("[python, train.py]", "[]"),
            "shipway.yaml:4: spec: give command, or image (whose entrypoint is run)",
        ),
        (
            JOB.replace("digits", "My_Digits"),
            f"shipway.yaml:3: metadata.name: 'My_Digits' is not a valid name: {NAME_RULE}",
        ),
        (JOB.replace("name: digits", ""), "shipway.yaml:3: metadata.name: is missing"),
        (JOB.partition("spec:")[0], "shipway.yaml:1: spec: is missing"),
        (
            JOB.partition("spec:")[0] + "spec: 5\n",
            "shipway.yaml:4: spec: 5 is not allowed; must be a mapping of names to values",
        ),
        (JOB + "  env: {DEBUG: true}\n", None),
        (
            JOB + "  env: {A: {secret: {name: x, kez: y}}}\n",
            "shipway.yaml:6: spec.env.A.secret.key: is missing\n"
            "shipway.yaml:6: spec.env.A.secret.kez: unknown field; did you mean 'key'?",
        ),
        (
            JOB + "  env: {1A: x}\n",
            "shipway.yaml:6: spec.env.1A: '1A' is not an environment variable name: "
            "use letters, digits and _, at most 253",
        ),
        (
            JOB + "  params: {size: [1]}\n",
            "shipway.yaml:6: spec.params.size: [1] is not allowed; "
            "must be true or false, a whole number, a number or a string",
        ),
        (
            JOB + "  requirements: 5\n",
            'shipway.yaml:6: spec.requirements: 5 is not allowed; must be a string or a list (in quotes: "5")',
        ),
        (
            JOB + "  cache: {tll: 5}\n",
            "shipway.yaml:6: spec.cache.ttl: is missing\n"
            "shipway.yaml:6: spec.cache.tll: unknown field; did you mean 'ttl'?",
        ),
        (
            JOB + "  timeout: soon\n",
            "shipway.yaml:6: spec.timeout: 'soon' is not a duration: write seconds like 30, or 30s, 1m30s, 250ms",
        ),
        (
            JOB + "  resources: {cpu: 2Gi}\n",
            "shipway.yaml:6: spec.resources.cpu: '2Gi' is not a CPU quantity: write cores like 2, 0.5 or 500m",
        ),
        (
            JOB + "  evaluate: {metric: accuracy}\n  model: digits\n",
            "shipway.yaml:6: spec.evaluate: give at least one of min, max, notWorseThan",
        ),
        (
            JOB + "  evaluate: {metric: accuracy, min: 0.9}\n",
            "shipway.yaml:4: spec: evaluate needs model: the gate decides about a model's version",
        ),
        (
            SERVICE.replace("  model: digits", "  replicas: 1"),
            "shipway.yaml:4: spec: give model (Shipway serves it), command (your own server) or image "
            "(whose entrypoint is)",
        ),
        (
            SERVICE + "  command: [python, app.py]\n",
            "shipway.yaml:4: spec: give either model (Shipway serves it) or command (your own server)",
        ),
        (
            SERVICE.replace("  model: digits", "  image: nginx\n  command: [nginx]\n  args: [-t]"),
            "shipway.yaml:4: spec: args are of an image's own entrypoint: they need image, and no command",
        ),
        (
            JOB + "  source: {digest: abc}\n",
            "shipway.yaml:6: spec.source.digest: 'abc' is not a digest: it looks like sha256:<64 hex digits>",
        ),
        (
            SERVICE.replace("model: digits", "model: Digits"),
            "shipway.yaml:5: spec.model: 'Digits' is not a model: write NAME, NAME:2 (a version) or NAME:alias",
        ),
        # several documents
        (f"{JOB}---\n{JOB}", "shipway.yaml:9: metadata.name: ModelJob 'digits' is given twice: first in line 1"),
        (
            f"{JOB}  replicas: -1\n---\n{SERVICE}  replicas: -1\n",
            "shipway.yaml:6: spec.replicas: -1 is not allowed; must be 1 or more\n"
            "shipway.yaml:13: spec.replicas: -1 is not allowed; must be 0 or more",
        ),
    ],
)
def test_bad_input_is_told_with_file_line_and_path(text: str, message: str | None) -> None:
    found = errors(text)
    if message is not None:
        assert found == message.splitlines()
    assert all(one.startswith("shipway.yaml") for one in found)


def test_an_unknown_field_without_a_near_name_lists_the_valid_ones() -> None:
    (message,) = errors(JOB + "  xyzzy: 2\n")
    assert message.startswith(
        "shipway.yaml:6: spec.xyzzy: unknown field; known here: args, cache, cluster, command, env, "
    )


def test_good_documents_become_objects_in_order() -> None:
    job, service = load(f"{JOB}---\n# nothing\n---\n{SERVICE}", "shipway.yaml")
    assert isinstance(job, ModelJob)
    assert job.spec.command == ("python", "train.py")
    assert isinstance(service, ModelService)
    assert service.spec.model == "digits"


def test_an_input_may_be_just_its_path() -> None:
    short, long = (
        load(JOB + f"  inputs: {{d: {written}}}\n", "shipway.yaml")[0] for written in ("data.txt", "{path: data.txt}")
    )
    assert isinstance(short, ModelJob)
    assert short == long
    assert short.spec.inputs == {"d": JobInput(path="data.txt")}
    assert errors(JOB + "  inputs: {d: [x]}\n") == [
        'shipway.yaml:6: spec.inputs.d: ["x"] is not allowed; must be a mapping of names to values'
    ]
    assert errors(JOB + "  inputs: {d: {}}\n") == [
        "shipway.yaml:6: spec.inputs.d: give either path (a file or a folder) or data (NAME or NAME:N of a data set)"
    ]


def test_json_is_yaml() -> None:
    (job,) = load(
        '{"apiVersion": "shipway.dev/v1alpha1", "kind": "ModelJob", '
        '"metadata": {"name": "a"}, "spec": {"command": ["x"]}}'
    )
    assert job.key == ("ModelJob", "a")


def test_dates_and_keys_stay_as_written() -> None:
    (job,) = load(JOB + "  env: {DAY: 2026-01-31, on: x, 'yes': y}\n  params: {1: a}\n")
    assert job.spec.env == {"DAY": "2026-01-31", "on": "x", "yes": "y"}
    assert job.spec.params == {"1": "a"}


def test_merge_keys_and_aliases() -> None:
    text = JOB.replace("spec:", "spec: &spec\n  env: &env {A: x, B: y}\n  inputs: {}") + "---\n" + SERVICE
    (document, _) = documents(text)
    assert document.value["spec"]["env"] == {"A": "x", "B": "y"}
    (merged,) = documents("a: &a {k: 1, l: 2}\nb: &b\n  <<: *a\n  k: 3\nc: *b\n")
    assert merged.value == {"a": {"k": 1, "l": 2}, "b": {"k": 3, "l": 2}, "c": {"k": 3, "l": 2}}
    assert merged.line(("b", "k")) == 4


def test_an_alias_bomb_is_refused() -> None:
    rows = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    (message,) = errors("\n".join(rows))
    assert "this is more than 10000 values" in message


def test_an_object_of_json_data_has_errors_without_lines() -> None:
    with pytest.raises(InvalidObject) as caught:
        object_from_document({"apiVersion": "shipway.dev/v1alpha1", "kind": "Model", "metadata": {"name": "A"}})
    assert str(caught.value.errors[0]) == f"metadata.name: 'A' is not a valid name: {NAME_RULE}"


def test_lines_can_be_handed_in() -> None:
    document = {"apiVersion": "shipway.dev/v1alpha1", "kind": "Model", "metadata": {}}
    with pytest.raises(InvalidObject, match=r"^m.yaml:7: metadata.name: is missing"):
        object_from_document(document, "m.yaml", {("metadata",): 7})


@pytest.mark.parametrize("value", [None, 5, "x", [], {"apiVersion": []}, {"kind": {}}])
def test_json_data_of_any_shape_is_an_invalid_object(value: object) -> None:
    with pytest.raises(InvalidObject):
        object_from_document(value)


def test_an_error_that_the_table_lacks_keeps_pydantics_words() -> None:
    class Later(BaseModel):
        at: UUID

    with pytest.raises(ValidationError) as caught:
        Later.model_validate({"at": "x"})
    (error,) = translate(caught.value, Document({"at": "x"}), Later)
    assert str(error).startswith('at: "x" is not allowed; must be a valid UUID')


def test_shown_values_are_short() -> None:
    assert shown("x" * 100) == '"' + "x" * 56 + "..."
    circular: list[object] = []
    circular.append(circular)
    assert shown(circular) == "list"


def test_models_at_walks_unions_and_mappings() -> None:
    assert [one.__name__ for one in models_at(ModelJob, ["spec", "env", "A", "FromSecret"])] == ["FromSecret"]
    assert [one.__name__ for one in models_at(ModelJob, ["status", "conditions", 0])] == ["Condition"]


def test_a_document_without_lines_is_at_line_zero() -> None:
    assert Document({}).line(("spec",)) == 0


@settings(deadline=None, derandomize=True)
@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    with suppress(InvalidObject):
        load(text, "x.yaml")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = sorted({*ModelJobSpec.model_fields, *ModelServiceSpec.model_fields})


@pytest.mark.slow
@settings(deadline=None, derandomize=True)
@given(st.sampled_from(sorted(KINDS)), st.dictionaries(st.sampled_from(_FIELDS), _JSON, max_size=4))
def test_no_spec_raises_anything_else(kind: str, spec: dict[str, object]) -> None:
    document = {"apiVersion": "shipway.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    with suppress(InvalidObject):
        object_from_document(document)


@settings(deadline=None, derandomize=True)
@given(st.text(alphabet=" \n:-[]{}&*!|>'\"%@`#,?<~ab01._\t", max_size=60))
def test_no_yaml_punctuation_raises_anything_else(text: str) -> None:
    with suppress(InvalidObject):
        load(text, "x.yaml")
