"""Keys in messages are spelled as flags on the command line and as arguments in Python."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import sightline
from sightline.cli.keys import load_keys
from sightline.core.errors import Diverged, EnvironmentFault, InputError, Interrupted, SightlineError
from sightline.core.spelling import SWITCHES, as_arguments, as_flags, respelled
from sightline.data.media.images import size_flags

MESSAGES = {
    "--batch_size: must be at least 1": ("--batch-size: must be at least 1", "batch_size: must be at least 1"),
    "set --batch-size.": ("set --batch-size.", "set batch_size=…."),
    "leave them out by --skip-bad": ("leave them out by --skip-bad", "leave them out by skip_bad=True"),
    "Say --header or --no-header": ("Say --header or --no-header", "Say header=True or header=False"),
    "see --missing=-9999, and (--fill)": ("see --missing=-9999, and (--fill)", "see missing=-9999, and (fill=…)"),
    "raise --optim.warmup_steps": ("raise --optim.warmup-steps", 'raise settings={"optim.warmup_steps": …}'),
    "had --search 0.2, and --every 1h.": ("had --search 0.2, and --every 1h.", 'had search=0.2, and every="1h".'),
    "--dtype bfloat16: needs --beam_size 2 or more": (
        "--dtype bfloat16: needs --beam-size 2 or more",
        'dtype="bfloat16": needs beam_size=2 or more',
    ),
    "read --time-zone Europe/Berlin (--task names it)": (
        "read --time-zone Europe/Berlin (--task names it)",
        'read time_zone="Europe/Berlin" (task=… names it)',
    ),
    "--size: unknown key, did you mean 'batch-size'?": (
        "--size: unknown key, did you mean 'batch-size'?",
        "size: unknown key, did you mean 'batch_size'?",
    ),
    "add --plugin forget, in Python load_plugin('forget')": (
        "add --plugin forget, in Python load_plugin('forget')",
        "call load_plugin('forget')",
    ),
    "a--b_c and x/--y_z are left": ("a--b_c and x/--y_z are left", "a--b_c and x/--y_z are left"),
    "make them even: --every=1h --resample=mean": (
        "make them even: --every=1h --resample=mean",
        'make them even: every="1h", resample="mean"',
    ),
    "set --picture.black and --picture.white=2.": (
        "set --picture.black and --picture.white=2.",
        'set settings={"picture.black": …, "picture.white": 2}.',
    ),
    "raise --optim.lr or --optim.eps": (
        "raise --optim.lr or --optim.eps",
        'raise settings={"optim.lr": …} or settings={"optim.eps": …}',
    ),
    "--time_format='%d.%m %H:%M', or": ("--time-format='%d.%m %H:%M', or", 'time_format="%d.%m %H:%M", or'),
    "--log=my_file.py:Kind: has no Kind": ("--log=my_file.py:Kind: has no Kind", 'log="my_file.py:Kind": has no Kind'),
    "it's --fill_in, or 'ray start --head'": (
        "it's --fill-in, or 'ray start --head'",
        "it's fill_in=…, or 'ray start --head'",
    ),
}


@pytest.mark.parametrize(("message", "flags", "arguments"), [(key, *both) for key, both in MESSAGES.items()])
def test_a_message_names_flags_or_arguments(message, flags, arguments):
    assert as_flags(message) == flags
    assert as_arguments(message) == arguments


def test_every_key_that_is_true_or_false_is_known():
    rows = [row for rows in load_keys().values() for row in rows]
    switches = {row["name"] for row in rows if row["values"].startswith("true or false")}
    assert switches - {"model.tie", "model.scale_embedding"} <= SWITCHES


@pytest.mark.parametrize(
    "error",
    [
        InputError("by --skip-bad"),
        EnvironmentFault("by --skip-bad"),
        Diverged("by --skip-bad"),
        Interrupted("by --skip-bad", signal_number=2),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_and_log_records_are_respelled(error: SightlineError, caplog):
    logger, status = logging.getLogger("sightline"), error.status

    def fail():
        logger.warning("see %s", "--fill")
        raise error

    with pytest.raises(type(error), match=r"^by skip_bad=True$") as caught, respelled(as_arguments):
        fail()
    assert caught.value.status == status
    logger.warning("see %s", "--fill")
    assert [record.getMessage() for record in caplog.records] == ["see fill=…", "see --fill"]


def test_the_place_of_an_error_is_respelled():
    with pytest.raises(InputError) as caught, respelled(as_arguments):
        raise InputError("must be at least 1", where="--batch_size")
    assert (str(caught.value), caught.value.where) == ("batch_size: must be at least 1", "batch_size")


def test_the_inner_context_spells_first(caplog):
    def inner(message: str) -> str:
        return message.replace("set --fill", "choose")

    def act():
        logging.getLogger("sightline").warning("set --fill")
        raise InputError("set --fill")

    with pytest.raises(InputError, match=r"^choose$"), respelled(as_arguments), respelled(inner):
        act()
    assert caplog.messages == ["choose"]


@pytest.mark.parametrize("advice", [size_flags([(28, 28), (30, 28)]), "--every=1h --resample=mean --picture.fit=pad"])
def test_advice_can_be_followed_in_python(advice):
    """It parses as arguments of one call, each of them given once, with the values of the flags."""
    spelled = as_arguments(advice.removesuffix(" (or stretch)"))
    (call,) = ast.parse(f"f({spelled})").body
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.value.keywords}
    settings = given.pop("settings")
    flags = dict(re.findall(r"--(\S+)=(\S+)", advice))
    assert {name: str(value) for name, value in {**given, **settings}.items()} == flags


def test_messages_write_words_after_an_equals_sign():
    """What follows a space may be the next word of the sentence, unless it has a digit."""
    choices: dict[str, set[str]] = {"device": {"auto", "cpu", "cuda"}, "task": set(load_keys())}
    choices |= {"truncate": {"left"}, "log": {"tensorboard"}, "cluster": {"auto"}}
    for rows in load_keys().values():
        for row in rows:
            words = re.fullmatch(r"[a-z_0-9]+(?:(?:, | or )[a-z_0-9]+)+", row["values"])
            if words:
                known = set(re.split(", | or ", row["values"])) - {"null", "true", "false", "text", "number", "integer"}
                choices.setdefault(row["name"], set()).update(known)
    assert choices["resample"] >= {"mean", "sum"}
    wrong = []
    for place, text in _messages():
        for name, word in re.findall(r"(?<![\w/'-])--([a-z][\w.-]*) ([a-z_]+)\b", text):
            if word in choices.get(name.replace("-", "_"), ()):
                wrong.append(f"{place}: --{name} {word}: write --{name}={word}")
    assert not wrong


def _messages() -> Iterator[tuple[str, str]]:
    """The texts of the package outside its command line, without docstrings and whole command lines."""
    package = Path(sightline.__file__).parent
    for path in sorted(package.rglob("*.py")):
        if path.is_relative_to(package / "cli"):
            continue
        nodes = [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
        documentation = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            text = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and id(node) not in documentation and not text.startswith("sightline "):
                yield f"{path.relative_to(package)}:{getattr(node, 'lineno', 0)}", text
