"""A client made from nothing but the server's reflection: no stubs, no .proto file.

python reflection_client.py HOST:PORT [unstarted]

Does what client.js does, and prints the same report.
"""

from __future__ import annotations

import json
import os
import queue
import sys
from collections import Counter, defaultdict
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SEED = 2**63 - 1


def session(address: str, unstarted: bool) -> dict[str, Any]:
    """The report of one stream."""
    channel = grpc.insecure_channel(address)
    database = ProtoReflectionDescriptorDatabase(channel)
    services = [name for name in database.get_services() if not name.startswith("grpc.")]
    service = DescriptorPool(database).FindServiceByName(services[0])
    (method,) = (each for each in service.methods if each.client_streaming and each.server_streaming)
    make_request, response_class = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    assert "diffusion_toy" not in sys.modules, "this client must not use the stubs"

    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def send(**fields: Any) -> None:
        requests.put(json_format.ParseDict(fields, make_request()))

    report: dict[str, Any] = {"service": service.full_name, "frames": 0, "numbers_rise": True}
    responses: Counter[str] = Counter()
    lengths: defaultdict[str, Counter[int]] = defaultdict(Counter)
    if unstarted:
        send(acknowledge={"frame_number": 1})
    else:
        send(sequence=1, start={"seed": SEED, "window": 2, "settings": {"label": 3}})
    call = channel.stream_stream(
        f"/{service.full_name}/{method.name}", make_request.SerializeToString, response_class.FromString
    )(iter(requests.get, None), timeout=30)

    last, injected = 0, False
    try:
        for response in call:
            kind = response.WhichOneof(method.output_type.oneofs[0].name)
            responses[kind] += 1
            report.setdefault("first_response", kind)
            match kind:
                case "welcome":
                    report["welcome"] = _welcome(json_format.MessageToDict(
                        response.welcome, preserving_proto_field_name=True
                    ))  # fmt: skip
                case "frame":
                    frame = response.frame
                    report["frames"] += 1
                    report["numbers_rise"] &= frame.number > last
                    last = frame.number
                    for field in ("x_t", "x0_hat", "level_map"):
                        lengths[field][len(getattr(frame, field))] += 1
                    send(acknowledge={"frame_number": last})
                    if not injected and frame.time_step.max < 290:
                        injected = True
                        enum = frame.DESCRIPTOR.fields_by_name["motion"].enum_type
                        report["motion"] = enum.values_by_number[frame.motion].name
                        disc = {"x": 0.5, "y": 0.5, "radius": 0.2}
                        send(sequence=2, inject={"disc": disc, "amount": 40, "kind": "NOISE_KIND_LAPLACE"})
                    if "applied" not in report and frame.applied_sequence >= 2:
                        t = frame.time_step
                        report["applied"] = {"level_map": len(frame.level_map), "min": t.min, "max": t.max}
                        send(sequence=3, inject={"disc": {"x": 0.5, "y": 0.5, "radius": 7}, "amount": 40})
                case "rejected":
                    report["rejected"] = json_format.MessageToDict(response.rejected)
                    requests.put(None)
    except grpc.RpcError:
        pass  # its status comes below
    code = call.code()
    report["status"] = {"code": code.value[0], "name": code.name, "details": call.details()}
    requests.put(None)
    channel.close()
    return {**report, "responses": responses, "byte_lengths": lengths}


def _welcome(welcome: dict[str, Any]) -> dict[str, Any]:
    model, schedule = welcome["model"], welcome["schedule"]
    return {
        **{name: welcome[name] for name in ("session_id", "seed", "window", "server_version")},
        "shape": [model["channels"], model["height"], model["width"]],
        "labels": model["label_names"],
        "label": welcome["settings"]["label"],
        "schedule": [schedule["name"], len(schedule["alphas_cumprod"]), schedule["alphas_cumprod"][0]],
        "tick_rate_hz": welcome["limits"]["tick_rate_hz"],
    }


if __name__ == "__main__":
    print(json.dumps(session(sys.argv[1], unstarted="unstarted" in sys.argv[2:])), flush=True)
    os._exit(0)  # the interpreter's own end hangs once in some thousand runs (grpc/grpc issue 40620)
