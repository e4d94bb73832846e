"""Model files that come, change and go while a server runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.model.unet import UNetConfig
from diffusion_toy.v1 import admin_pb2 as pb
from diffusion_toy.v1 import admin_pb2_grpc as pb_grpc
from diffusion_toy.v1 import denoise_pb2, denoise_pb2_grpc
from tests.client import Client
from tests.inference_server.transport.admin_client import administration, code_of, listed
from tests.models import tiny_flags, write_model
from tests.tools import SERVER, ServerProcess, running_server, wait_for

ENDLESS = m.Start(model="other", seed=5, settings=m.SettingsChange(num_time_steps=1000))
WIDE = UNetConfig(height=128, width=128, base_width=8, mid_width=8, blocks=1, embedding_width=8, attention=())
# A server whose engine fails for good as soon as somebody of this name has a session.
FAULTY = """
import sys
from inference_server.engine.engine import Engine
tick = Engine.tick
def tick_or_fail(self):
    if any(session.name == "fail" for session in self.sessions.values()):
        raise RuntimeError("the engine was made to fail")
    return tick(self)
Engine.tick = tick_or_fail
from inference_server.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


class Served:
    """A server with a folder of models, beside its default model, `tiny`."""

    def __init__(self, folder: Path, stack: ExitStack, command: Sequence[str] = SERVER) -> None:
        self.models, self._stack = folder / "models", stack
        self.models.mkdir()
        flags = [*tiny_flags(folder), "--models-dir", str(self.models), "--admin-port", "0", "--no-cache"]
        self.server: ServerProcess = stack.enter_context(running_server(*flags, command=command))
        self.admin: pb_grpc.AdministrationServiceStub = stack.enter_context(administration(self.server))
        self._channel = stack.enter_context(grpc.insecure_channel(self.server.address))

    def write(self, name: str = "other", seed: int = 0) -> Path:
        """Write a model file whose weights are of this seed."""
        return write_model(self.models / f"{name}.safetensors", seed=seed)

    def reload(self) -> pb.ReloadModelsResponse:
        return self.admin.ReloadModels(pb.ReloadModelsRequest())

    def fingerprints(self) -> dict[str, str]:
        """Return those of the models that clients are told of, by their names."""
        stub = denoise_pb2_grpc.DenoiseServiceStub(self._channel)
        models = stub.ListModels(denoise_pb2.ListModelsRequest()).models
        return {model.name: model.fingerprint for model in models}

    def client(self) -> Client:
        return self._stack.enter_context(Client(self.server.address))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with ExitStack() as stack:
        yield Served(tmp_path, stack)


def refused(client: Client, start: m.Start) -> str:
    """Return why a session cannot begin: there is no such model, or no such file of it."""
    client.send(start, sequence=0)
    code, text = client.status()
    assert code is grpc.StatusCode.NOT_FOUND
    return text


def test_a_new_file_is_served_after_the_default_model(served: Served) -> None:
    assert "there is no model 'other'" in refused(served.client(), ENDLESS)
    served.write()
    assert served.reload() == pb.ReloadModelsResponse(added=["other"])
    assert list(served.fingerprints()) == ["tiny", "other"]
    client = served.client()
    assert client.start(ENDLESS).model.name == "other"
    assert client.frame(lambda frame: frame.step > 2)
    assert served.client().start().model.name == "tiny"


def test_nothing_changes_where_no_file_has(served: Served) -> None:
    before = served.fingerprints()
    assert served.reload() == pb.ReloadModelsResponse()
    assert served.fingerprints() == before


def test_a_changed_file_is_for_new_sessions_and_old_ones_keep_theirs_until_they_end(served: Served) -> None:
    served.write(seed=1)
    served.reload()
    old = served.client()
    welcome = old.start(ENDLESS)
    step = old.frame(lambda frame: frame.step > 2).step
    served.write(seed=2)
    assert served.reload() == pb.ReloadModelsResponse(changed=["other"])
    new = served.client()
    fingerprint = new.start(ENDLESS).model.fingerprint
    assert fingerprint == served.fingerprints()["other"] != welcome.model.fingerprint
    assert old.frame(lambda frame: frame.step > step + 5)
    sessions = {one.fingerprint: name for name, one in listed(served.admin).items()}
    assert sessions[welcome.model.fingerprint] == welcome.session_id

    token = old.next_token().token
    old.break_off()
    again = served.client()
    back = again.resume(token)
    assert (back.session_id, back.model.fingerprint) == (welcome.session_id, welcome.model.fingerprint)
    assert again.frame(lambda frame: frame.step > step + 5)
    again.half_close()
    again.read_to_the_end()
    wait_for(lambda: welcome.session_id not in listed(served.admin), "the end of the old session")
    assert "made with the model other" in refused(served.client(), m.Start(resume_token=token))
    assert new.frame()


def test_a_removed_file_takes_no_new_session_and_its_old_ones_go_on(served: Served) -> None:
    path = served.write()
    served.reload()
    old = served.client()
    name = old.start(ENDLESS).session_id
    step = old.frame(lambda frame: frame.step > 2).step
    path.unlink()
    assert served.reload() == pb.ReloadModelsResponse(removed=["other"])
    assert list(served.fingerprints()) == ["tiny"]
    assert "there is no model 'other'" in refused(served.client(), ENDLESS)
    assert old.frame(lambda frame: frame.step > step + 5)
    watcher = served.client()
    assert watcher.watch(name).watching
    served.admin.EndSession(pb.EndSessionRequest(session_id=name))
    assert old.status()[0] is grpc.StatusCode.FAILED_PRECONDITION


def test_a_session_of_a_replaced_file_is_not_sent_to_servers_that_may_not_have_it(served: Served) -> None:
    served.write(seed=1)
    served.reload()
    old = served.client()
    old.start(ENDLESS)
    served.write(seed=2)
    served.reload()
    new = served.client()
    name = new.start(ENDLESS).session_id
    answer = served.admin.MoveSessions(pb.MoveSessionsRequest(count=2))
    assert list(answer.session_ids) == [name]
    assert old.frame()


def test_a_damaged_file_is_refused_with_the_reason_and_nothing_changes(served: Served) -> None:
    served.write(seed=1)
    served.reload()
    before = served.fingerprints()
    client = served.client()
    client.start(ENDLESS)
    good = served.write(seed=2)
    damaged = served.models / "damaged.safetensors"
    damaged.write_bytes(good.read_bytes()[:-100])
    code, text = code_of(served.admin.ReloadModels, pb.ReloadModelsRequest())
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert str(damaged) in text
    assert "is damaged" in text
    assert "Nothing has changed" in text
    assert served.fingerprints() == before
    assert client.frame()
    damaged.unlink()
    assert served.reload() == pb.ReloadModelsResponse(changed=["other"])


def test_pictures_larger_than_a_request_may_be_need_a_restart(served: Served) -> None:
    before = served.fingerprints()
    write_model(served.models / "wide.safetensors", config=WIDE, examples=False)
    code, text = code_of(served.admin.ReloadModels, pb.ReloadModelsRequest())
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "model wide" in text
    assert "restart the server" in text
    assert served.fingerprints() == before


def test_an_engine_that_is_started_again_has_the_files_that_were_reloaded(tmp_path: Path) -> None:
    with ExitStack() as stack:
        served = Served(tmp_path, stack, [sys.executable, "-c", FAULTY])
        served.write(seed=2)
        served.reload()
        before = served.fingerprints()
        failing = served.client()
        failing.send(m.Start(name="fail"), sequence=0)
        assert failing.status()[0] is grpc.StatusCode.UNAVAILABLE
        wait_for(lambda: "the engine is back" in "".join(served.server.log), "the engine")
        assert served.fingerprints() == before
        assert served.client().start(ENDLESS).model.fingerprint == before["other"]
        served.write(seed=3)
        assert served.reload() == pb.ReloadModelsResponse(changed=["other"])
