"""Keys in messages are spelled as flags on the command line and as arguments in Python."""

from __future__ import annotations

import logging

import pytest

from sightline.cli.keys import load_keys
from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.spelling import SWITCHES, as_arguments, as_flags, respelled

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
}


@pytest.mark.parametrize(("message", "flags", "arguments"), [(key, *both) for key, both in MESSAGES.items()])
def test_a_message_names_flags_or_arguments(message, flags, arguments):
    assert as_flags(message) == flags
    assert as_arguments(message) == arguments


def test_every_key_that_is_true_or_false_is_known():
    rows = [row for rows in load_keys().values() for row in rows]
    switches = {row["name"] for row in rows if row["values"].startswith("true or false")}
    assert switches - {"model.tie", "model.scale_embedding"} <= SWITCHES


@pytest.mark.parametrize("kind", [InputError, EnvironmentFault])
def test_errors_and_log_records_are_respelled(kind, caplog):
    logger = logging.getLogger("sightline")

    def fail():
        logger.warning("see %s", "--fill")
        raise kind("by --skip-bad")

    with pytest.raises(kind, match=r"^by skip_bad=True$"), respelled(as_arguments):
        fail()
    logger.warning("see %s", "--fill")
    assert [record.getMessage() for record in caplog.records] == ["see fill=…", "see --fill"]
