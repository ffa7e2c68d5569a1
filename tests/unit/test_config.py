"""Settings come from the environment, and below it from `.env`."""

import os
from pathlib import Path

import pytest

from app.config import (
    ModelSettings,
    ScriptSettings,
    Settings,
    read_settings,
)
from app.errors import ConfigError
from app.query.boosts import Boosts
from app.query.model_source import ModelSource
from app.query.variety import NO_VARIETY, Variety


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty; no variable of ours is set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ENV_FILE")
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path


@pytest.mark.parametrize(
    "content",
    [
        "DATABASE_URL=postgresql://of-the-file/x",
        "export DATABASE_URL='postgresql://of-the-file/x'  # ours\n",
        '\n# a comment\nOTHER=1\nDATABASE_URL = "postgresql://of-the-file/x"\r\n',
        "\ufeffDATABASE_URL=postgresql://of-the-file/x\n",  # as Windows saves it
        "HOST_OF_IT=of-the-file\nDATABASE_URL=postgresql://${HOST_OF_IT}/x\n",
    ],
)
def test_a_setting_is_read_from_the_file(folder: Path, content: str) -> None:
    (folder / ".env").write_text(content, encoding="utf-8", newline="")
    settings = read_settings(Settings)
    assert settings.database_url.get_secret_value() == "postgresql://of-the-file/x"
    assert "DATABASE_URL" not in os.environ
    assert "OTHER" not in os.environ


@pytest.mark.parametrize(("real", "expected"), [("7", 7), ("", 100)])
def test_the_environment_wins_even_where_it_is_empty(
    folder: Path, monkeypatch: pytest.MonkeyPatch, real: str, expected: int
) -> None:
    (folder / ".env").write_text("DATABASE_URL=postgresql://x\nMAX_TOP_N=5\n")
    assert read_settings(Settings).max_top_n == 5
    monkeypatch.setenv("MAX_TOP_N", real)
    assert read_settings(Settings).max_top_n == expected


def test_an_empty_line_of_the_file_counts_as_unset(folder: Path) -> None:
    (folder / ".env").write_text("DATABASE_URL=postgresql://x\nMAX_TOP_N=\nDOCS\n")
    assert read_settings(Settings).max_top_n == 100
    assert read_settings(Settings).docs is True


def test_another_file_may_be_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("DATABASE_URL=postgresql://here\n")
    (folder / "staging").write_text("DATABASE_URL=postgresql://there\n")
    monkeypatch.setenv("ENV_FILE", "staging")
    settings = read_settings(ScriptSettings)
    assert settings.database_url.get_secret_value() == "postgresql://there"
    monkeypatch.setenv("ENV_FILE", os.devnull)
    with pytest.raises(ConfigError, match="DATABASE_URL: it is required"):
        read_settings(ScriptSettings)


def test_a_named_file_that_is_absent_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENV_FILE", "nowhere")
    with pytest.raises(ConfigError) as caught:
        read_settings(ScriptSettings)
    assert str(caught.value) == "ENV_FILE names nowhere, which does not exist."


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_file_that_is_not_utf_8_is_one_sentence(folder: Path, encoding: str) -> None:
    (folder / ".env").write_text("DATABASE_URL=postgresql://ü\n", encoding=encoding)
    with pytest.raises(ConfigError) as caught:
        read_settings(ScriptSettings)
    assert str(caught.value) == "The file .env cannot be read: it is not UTF-8."


def test_a_bad_value_of_the_file_is_named_without_it(folder: Path) -> None:
    (folder / ".env").write_text("DATABASE_URL=postgresql://x\nMAX_TOP_N=hush-hush\n")
    with pytest.raises(ConfigError) as caught:
        read_settings(Settings)
    assert str(caught.value).startswith("The environment is not usable: MAX_TOP_N: ")
    assert "hush-hush" not in str(caught.value)


def test_a_folder_of_that_name_is_no_file_of_settings(folder: Path) -> None:
    (folder / ".env").mkdir()
    with pytest.raises(ConfigError, match="DATABASE_URL: it is required"):
        read_settings(ScriptSettings)


@pytest.mark.parametrize(
    ("environment", "name", "folder"),
    [
        ({}, "all-MiniLM-L6-v2", "models/all-MiniLM-L6-v2"),
        # As deployed before there was a choice.
        ({"MODEL_DIR": "/m/minilm"}, "all-MiniLM-L6-v2", "/m/minilm"),
        ({"MODEL": "acme/tiny@v2"}, "tiny", "models/tiny"),
        ({"MODEL": "tiny"}, "tiny", "models/tiny"),
        ({"MODEL": "acme/tiny", "MODEL_DIR": "/m"}, "tiny", "/m"),
    ],
)
def test_model_names_the_model_and_its_folder(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    name: str,
    folder: str,
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    settings = read_settings(ModelSettings)
    assert settings.model_source.name == name
    assert settings.model_dir == Path(folder)


@pytest.mark.parametrize("value", ["a/b/c", "../up", "acme/", "a b", "x@", "-x", "ä"])
def test_a_model_that_is_no_name_is_the_only_fault_named(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("MODEL", value)
    with pytest.raises(ConfigError) as caught:
        read_settings(ModelSettings)
    assert str(caught.value) == (
        "The environment is not usable: MODEL: it names a model as NAME,"
        " ORGANISATION/NAME or ORGANISATION/NAME@REVISION."
    )


@pytest.mark.parametrize(
    ("text", "source", "repository"),
    [
        (
            "tiny",
            ModelSource("sentence-transformers", "tiny", None),
            "sentence-transformers/tiny",
        ),
        ("acme/tiny", ModelSource("acme", "tiny", None), "acme/tiny"),
        (
            "acme/tiny.v2@main-1",
            ModelSource("acme", "tiny.v2", "main-1"),
            "acme/tiny.v2",
        ),
    ],
)
def test_a_model_is_named_by_organisation_name_and_revision(
    text: str, source: ModelSource, repository: str
) -> None:
    assert ModelSource.parse(text) == source
    assert source.repository == repository


def named(setting: str, value: str) -> Settings:
    given = {"database_url": "postgresql://x", setting: value}
    return Settings.model_validate(given)


def test_lists_are_separated_by_commas_and_blanks_are_none() -> None:
    keys = "a" * 16 + " ,," + "b" * 20 + ", "
    assert named("api_keys", keys).keys == ["a" * 16, "b" * 20]
    assert named("api_keys", " , ").keys == []
    origins = "https://example.org,http://localhost:3000,*"
    assert named("cors_origins", origins).origins == origins.split(",")
    assert named("job_columns", " city, salary").filterable_columns == [
        "city",
        "salary",
    ]
    assert named("log_level", "Warning").log_level == "warning"


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("api_keys", "a" * 16 + "," + "b" * 15, "each key needs at least 16"),
        ("cors_origins", "https://example.org/", "each origin is a scheme and a host"),
        ("cors_origins", "example.org", "each origin is a scheme and a host"),
        ("job_columns", "city,skills", "skills is a column of the service itself"),
        ("title_column", "skills", "skills is a column of the service itself"),
        ("job_columns", "city,city", "name each column once, 32 at most"),
        (
            "job_columns",
            ",".join(f"c{n}" for n in range(33)),
            "name each column once, 32 at most",
        ),
        ("log_level", "loud", "should be 'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_a_list_with_a_fault_in_it_is_refused(
    setting: str, value: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        named(setting, value)


def test_as_many_columns_as_there_may_be_are_taken() -> None:
    columns = ",".join(f"c{n}" for n in range(32))
    assert len(named("job_columns", columns).filterable_columns) == 32


COLUMNS_OF_RANKINGS = {
    "DATABASE_URL": "postgresql://x",
    "JOB_COLUMNS": "posted,priority,closes,company",
}


def test_columns_of_rankings_are_defaults_of_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in COLUMNS_OF_RANKINGS.items():
        monkeypatch.setenv(name, value)
    settings = read_settings(Settings)
    assert (settings.boosts, settings.expires) == (Boosts(None, 30.0), None)
    assert settings.variety == NO_VARIETY
    monkeypatch.setenv("FRESHNESS_COLUMN", "posted")
    monkeypatch.setenv("HALF_LIFE_DAYS", "7.5")
    monkeypatch.setenv("BOOST_COLUMN", "priority")
    monkeypatch.setenv("EXPIRY_COLUMN", "closes")
    monkeypatch.setenv("MAX_PER", "company:2, posted:1")
    monkeypatch.setenv("DIVERSITY", "0.3")
    settings = read_settings(Settings)
    assert settings.boosts == Boosts("posted", 7.5, "priority")
    assert settings.expires == "closes"
    assert settings.variety == Variety((("company", 2), ("posted", 1)), 0.3)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (name, value, "it names a column that JOB_COLUMNS does not name")
        for name, value in (
            ("FRESHNESS_COLUMN", "other"),
            ("BOOST_COLUMN", "other"),
            ("EXPIRY_COLUMN", "other"),
            ("MAX_PER", "other:1"),
        )
    ]
    + [
        ("MAX_PER", "company", "it has pairs such as company:2, each column once"),
        ("DIVERSITY", "1.1", "input should be less than or equal to 1"),
    ],
)
def test_a_column_that_a_ranking_cannot_have_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    for setting, given in (COLUMNS_OF_RANKINGS | {name: value}).items():
        monkeypatch.setenv(setting, given)
    with pytest.raises(ConfigError) as raised:
        read_settings(Settings)
    assert str(raised.value) == f"The environment is not usable: {name}: {reason}."


PATHS = [
    name for name, field in Settings.model_fields.items() if field.annotation is Path
]


@pytest.mark.parametrize("name", PATHS)
def test_a_path_may_begin_with_the_home(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    file = folder / ".env"
    file.write_text(f"DATABASE_URL=postgresql://x\n{name.upper()}=~/x\n")
    assert getattr(read_settings(Settings), name) == Path("/home/me/x")
    file.write_text(f"DATABASE_URL=postgresql://x\n{name.upper()}=~nobody-known/x\n")
    with pytest.raises(ConfigError, match=f"{name.upper()}: it begins with the home"):
        read_settings(Settings)


def test_env_file_may_begin_with_the_home(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "settings").write_text("DATABASE_URL=postgresql://x\nMAX_TOP_N=5\n")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("ENV_FILE", "~/settings")
    assert read_settings(Settings).max_top_n == 5
