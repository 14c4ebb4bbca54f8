"""What made a report stands beside it, also where there is no git to ask."""

from irm import evaluation


def test_without_git_there_is_no_commit_and_no_error(monkeypatch, tmp_path):
    assert evaluation._commit() is not None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert evaluation._commit() is None


def test_the_commit_of_another_project_is_not_ours(monkeypatch, tmp_path):
    module = tmp_path / "venv" / "irm" / "evaluation.py"
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(evaluation, "__file__", str(module))
    assert evaluation._commit() is None
