"""Damaged text files of a run: read as far as they go, told, or refused in one sentence."""

import json

import numpy as np
import pytest

from jaxrl.experiment import folder
from jaxrl.experiment import settings as run_settings
from jaxrl.experiment.errors import UserError
from jaxrl.experiment.loggers import CSVLogger, read_csv
from jaxrl.experiment.plots import plot_runs
from jaxrl.experiment.text_files import read_json, read_yaml

HEADER = "steps,seed,eval_return\n"
ROWS = "100,0,1.5\n100,1,2\n200,0,3\n200,1,4\n"
BAD_ROWS = {
    "a byte that is not UTF-8": b"300,0,\xff\n",
    "a NUL": b"300,0,1\x000\n",
    "a field too few": b"300,0\n",
    "a field too many": b"300,0,1,1\n",
    "a text": b"300,0,high\n",
    "no steps": b",0,1\n",
    "steps that are infinite": b"inf,0,1\n",
    "steps that are half": b"0.5,0,1\n",
    "a seed below zero": b"300,-1,1\n",
    "a quote that is not closed": b'300,0,"1\n',
}


@pytest.mark.parametrize("bad", BAD_ROWS.values(), ids=BAD_ROWS)
def test_rows_that_cannot_be_read_are_left_out_and_told(tmp_path, bad, capsys):
    path = tmp_path / "metrics.csv"
    path.write_bytes(HEADER.encode() + bad + ROWS.encode())
    columns = read_csv(path)
    assert list(columns["steps"]) == [100, 100, 200, 200] and list(columns["eval_return"]) == [1.5, 2, 3, 4]
    assert "1 of 5 rows" in capsys.readouterr().err
    assert plot_runs(tmp_path, tmp_path / "plot.png").exists()


def test_of_doubled_rows_the_last_counts(tmp_path, capsys):
    path = tmp_path / "metrics.csv"
    path.write_text(HEADER + ROWS + "200,1,9\n")
    assert list(read_csv(path)["eval_return"]) == [1.5, 2, 3, 9]
    assert "damaged or doubled" in capsys.readouterr().err


def test_a_resumed_run_keeps_a_damaged_table_beside_the_mended_one(tmp_path, capsys):
    path, damaged = tmp_path / "metrics.csv", HEADER.encode() + b"50,0,\xff\n" + ROWS.encode() + b"300,0"
    path.write_bytes(damaged)
    logger = CSVLogger(path)
    logger.truncate_after(100)
    logger.close()
    assert path.read_text() == HEADER + "100,0,1.5\n100,1,2\n"
    assert (tmp_path / "metrics.csv.damaged").read_bytes() == damaged
    assert "metrics.csv.damaged" in capsys.readouterr().err


def test_a_last_row_that_was_being_written_is_no_damage(tmp_path, capsys):
    (tmp_path / "metrics.csv").write_text(HEADER + ROWS + "300,0")
    CSVLogger(tmp_path / "metrics.csv").close()
    assert capsys.readouterr().err == "" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("text", ["episodes,seed\n1,0\n", "steps,steps,seed\n1,1,0\n", "\x00\x00\n1\n"])
def test_what_is_no_table_of_a_run_is_neither_read_nor_written_over(tmp_path, text):
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    for reader in (read_csv, CSVLogger):
        with pytest.raises(UserError, match="is not (a|the) table of"):
            reader(path)
    assert path.read_text() == text


def test_steps_beyond_two_to_the_53_are_told_apart(tmp_path):
    logger = CSVLogger(tmp_path / "metrics.csv")
    for steps in (2**62, 2**62 + 1):
        logger.write([{"steps": steps, "seed": 0, "loss": 1.0}])
    logger.truncate_after(2**62)
    logger.close()
    assert (tmp_path / "metrics.csv").read_text() == f"steps,seed,loss\n{2**62},0,1\n"


def test_missing_rows_are_told(tmp_path, capsys):
    (tmp_path / "metrics.csv").write_text(HEADER + ROWS)
    folder.tell_of_missing_rows(tmp_path, [100, 200], range(2))
    assert capsys.readouterr().err == ""
    folder.tell_of_missing_rows(tmp_path, [100, 150, 200], range(2))
    assert "lacks 2 rows before step 200" in capsys.readouterr().err


NESTED = "[" * 5000
YAML = {
    "an impossible date": "wandb: 2026-13-45\n",
    "aliases": "a: &a [1, 1]\nb: &b [*a, *a]\nseed: [*b, *b]\n",
    "merged aliases": "a: &a {x: 1}\nb: {<<: *a}\n",
    "deep nesting": f"seed: {NESTED}\n",
    "an integer too long": f"seed: {'9' * 5000}\n",
    "a key twice": "seed: 1\nseed: 2\n",
    "a list as a key": "[1, 2]: 3\n",
    "a NUL": "seed: \x00\n",
    "a tag": "seed: !!python/name:os.system\n",
    "two documents": "seed: 1\n---\nseed: 2\n",
    "too large": "x" * 300_000,
}


@pytest.mark.parametrize("text", YAML.values(), ids=YAML)
def test_yaml_that_is_no_plain_data_is_one_sentence(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match="config.yaml is (not valid YAML|larger than)") as error:
        read_yaml(tmp_path / "config.yaml")
    assert len(str(error.value)) < 400 and "\n" not in str(error.value)


@pytest.mark.parametrize("text", [NESTED, "{", "\x00", "9" * 5000, ""])
def test_json_that_is_none_is_one_sentence(tmp_path, text):
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(UserError, match="is not valid JSON"):
        read_json(tmp_path / "summary.json")


VALUES = {
    "hyperparameters": ["{1: 2}", "[1]", "x", "{clip: {a: 1}}", "{clip: [1]}", "{clip: 1e400}", "{clip: .nan}", "5"],
    "config": ["{1: 2}", "[1]", "x", "{num_envs: {}}", "{num_envs: .inf}", "{hidden_sizes: [[8]]}", "0"],
    "env_parameters": ["{1: 2}", "[1]", "x", "0"],
    "algorithm": ["1", "[ppo]", "2026-01-01"],
    "env": ["1", "{}", "false"],
    "preset": ["1", "[]"],
    "env_object": ["1", "maybe"],
    "total_steps": ["1.5", ".nan", "-3", "9223372036854775808", "many", "[1]", "true", "2026-01-01"],
    "seed": ["-1", "1.0", "4294967296", "null", "[]"],
    "num_seeds": ["0", "null", "1e3"],
    "eval_episodes": ["0", "{}"],
    "reward_scale": ["0", "x", "[]", ".inf", "null"],
    "reward_log": ["7", "{}"],
    "stop_at_return": ["x", "[]"],
}


@pytest.fixture(scope="module")
def record():
    return run_settings.to_dict(run_settings.make_settings("ppo", "CartPole-v1"))


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in VALUES.items() for value in values])
def test_values_of_another_kind_are_one_sentence_that_names_the_field(tmp_path, record, field, value):
    text = run_settings.to_yaml({k: v for k, v in record.items() if k != field})
    (tmp_path / "config.yaml").write_text(f"{text}{field}: {value}\n")
    with pytest.raises(UserError) as error:
        run_settings.load(tmp_path)
    message = str(error.value)
    assert "config.yaml: " in message and "\n" not in message and len(message) < 2000
    assert (
        field.removesuffix("s").replace("hyperparameter", "") in message or "clip" in message or "num_envs" in message
    )


SUMMARIES = [
    "[]",
    "{}",
    '{"final_return": 3}',
    '{"final_return": ["x"], "wall_seconds": 1, "steps_per_second": 1}',
    '{"final_return": [1.0]}',
    '{"final_return": [1.0], "wall_seconds": null, "steps_per_second": 1}',
    "{",
]


@pytest.mark.parametrize("text", SUMMARIES)
def test_a_damaged_summary_says_how_to_mend_it(tmp_path, text):
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(UserError, match="summary.json.*remove it to have it written anew"):
        folder.read_summary(tmp_path)


def test_a_summary_that_is_a_folder_or_whole_or_missing(tmp_path):
    assert folder.read_summary(tmp_path) is None
    (tmp_path / "summary.json").mkdir()
    with pytest.raises(UserError, match="cannot read .*summary.json"):
        folder.read_summary(tmp_path)
    (tmp_path / "summary.json").rmdir()
    whole = {"final_return": [1.0, float("nan")], "wall_seconds": 1.5, "steps_per_second": 7}
    (tmp_path / "summary.json").write_text(json.dumps(whole))
    np.testing.assert_equal(folder.read_summary(tmp_path), whole)
