import builtins
from dataclasses import replace
from types import SimpleNamespace

import pytest

from greenlight.cli.chat import _converse, _stream
from greenlight.compose.conversation import Conversation
from greenlight.engine import Generation, SamplingParams
from greenlight.engine.local import LocalModel
from greenlight.text.replies import Apart


@pytest.fixture
def talk(chat_model):
    return Conversation(LocalModel.load(chat_model), "Be brief.", SamplingParams(max_tokens=6))


def type_in(monkeypatch, lines):
    waiting = iter(lines)

    def answer(_):
        line = next(waiting, None)
        if line is None:
            raise EOFError
        if isinstance(line, BaseException):
            raise line
        return line

    monkeypatch.setattr(builtins, "input", answer)


def test_history_is_kept_and_can_be_taken_back(talk):
    first = "".join(talk.say("hello"))
    assert "".join(talk.say("and then?")) != first or first == ""
    assert talk.undo()
    talk.clear()
    assert not talk.undo()
    assert "".join(talk.say("hello")) == first


def test_stopping_an_answer_keeps_what_was_said(talk):
    pieces = talk.say("hello")
    first = next(piece for piece in pieces if piece)
    pieces.close()
    assert talk.finish is None
    assert talk._history[-1].content.startswith(first)
    assert "".join(talk.say("go on")) is not None


def test_commands_and_control_c_leave_the_talk_running(talk, monkeypatch, capsys):
    type_in(monkeypatch, ["/help", "/nonsense", KeyboardInterrupt(), "hello", "/undo", "/undo", "/seed 3", "/clear"])
    _converse(talk, "tiny")
    captured = capsys.readouterr()
    assert "/system TEXT" in captured.err
    assert "there is no /nonsense" in captured.err
    assert "taken back" in captured.err
    assert "nothing to take back" in captured.err
    assert "seed 3" in captured.err


def test_control_c_in_an_answer_ends_the_answer_only(talk, monkeypatch, capsys):
    def interrupted(self, text):
        yield "half"
        raise KeyboardInterrupt

    monkeypatch.setattr(Conversation, "say", interrupted)
    type_in(monkeypatch, ["hello", "/help"])
    _converse(talk, "tiny")
    assert "[stopped]" in capsys.readouterr().err


def test_a_turn_that_does_not_fit_is_told_and_the_talk_goes_on(talk, monkeypatch, capsys):
    type_in(monkeypatch, ["x" * 20_000, "hello"])
    _converse(talk, "tiny")
    captured = capsys.readouterr()
    assert "error:" in captured.err
    assert captured.out.strip()


def test_an_answer_of_thoughts_alone_is_said_to_be_one(talk, capsys):
    thought = Generation("turn-1", (1, 2), "", "length", (), 3, 0, None, 0.1, Apart(reasoning="Hm."))
    talk._engine = SimpleNamespace(stream=lambda request: iter([thought]))
    _stream(talk, "hello")
    assert talk.thought_only
    assert "did not answer" in capsys.readouterr().err
    talk._engine = SimpleNamespace(stream=lambda request: iter([replace(thought, text="Yes", apart=None)]))
    _stream(talk, "hello")
    assert not talk.thought_only
    assert "--max-tokens" in capsys.readouterr().err
