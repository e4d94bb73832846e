"""What an ended call means: one sentence for the user, and whether to try again."""

from __future__ import annotations

import re
from dataclasses import dataclass

from grpc import StatusCode

from viewer_client.link.address import Endpoint, is_local, proxy_variable

NOT_GRPC = ("failed parsing http/2", "http1", "settings frame", "trailing data")
NO_TLS = ("wrong version number", "wrong_version_number")
NO_HOST = ("errors resolving", "name resolution", "dns", "domain name")
WRONG_HOST = ("hostname verif", "peer name")
NOT_TRUSTED = ("certificate verify failed", "certificate_verify_failed")
NO_WAY = ("unreachable", "no route")
PROXY_ANSWER = re.compile(r"proxy returned response code (\d+)")
OWN_WORDS = ("try again", "shutting down", "restarting", "loading")
START_ONE = "start one with: python -m inference_server"
START_THERE = "check the address, or start one on that machine"
HANGS_UP = "{} closes the connection at once; check the port"
REFUSALS = (
    StatusCode.FAILED_PRECONDITION,
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.PERMISSION_DENIED,
    StatusCode.UNAUTHENTICATED,
)


@dataclass(frozen=True)
class Failure:
    """A sentence, whether trying again may help, and whether that takes a new session."""

    sentence: str
    again: bool = True
    new_session: bool = False


def may_need_tls(failure: Failure, endpoint: Endpoint) -> bool:
    """Say whether a server that hung up may have done so because it is encrypted."""
    return not endpoint.tls and failure.sentence == HANGS_UP.format(endpoint)


def needs_tls(endpoint: Endpoint) -> Failure:
    """Return what a server means to the user that speaks TLS and was spoken to in the clear."""
    return Failure(
        f"{endpoint.address} is encrypted: add --tls, or --tls-ca FILE for an authority of its own"
    )


def explain(
    code: StatusCode, details: str, endpoint: Endpoint, *, was_live: bool = False, resuming: bool = False
) -> Failure:
    """Return what a call's status means.

    Args:
        details: the status's text.
        was_live: the session had begun, so there is a server of ours at the address.
        resuming: the call began with a resume token.
    """
    address = endpoint.address
    if resuming and not was_live and code in REFUSALS:  # it is the token that is refused
        return Failure(f"the session cannot be resumed ({details}); a new one begins", new_session=True)
    match code:
        case StatusCode.UNIMPLEMENTED:
            return Failure(f"the gRPC server at {address} is not Diffusion Toy's; check the address")
        case StatusCode.UNAVAILABLE:
            if _has(details, OWN_WORDS):
                return Failure(details)
            return Failure(
                f"the connection to {address} broke" if was_live else _unreached(details, endpoint)
            )
        case StatusCode.DEADLINE_EXCEEDED:
            if was_live:
                return Failure(
                    "the server has ended this session: nothing was done in it for a long time", again=False
                )
            return Failure(_no_answer(endpoint))
        case StatusCode.ABORTED:
            return Failure("another window has taken over this session", again=False)
        case StatusCode.RESOURCE_EXHAUSTED:
            return Failure(details or "the server is full")
        case StatusCode.UNAUTHENTICATED | StatusCode.PERMISSION_DENIED:
            return Failure(f"the server refuses this viewer: {details}", again=False)
        case StatusCode.INVALID_ARGUMENT | StatusCode.NOT_FOUND | StatusCode.FAILED_PRECONDITION:
            return Failure(details, again=False, new_session=True)
        case _:
            return Failure(f"the server ended the session ({code.name.lower()}: {details})")


def _has(details: str, words: tuple[str, ...]) -> bool:
    lowered = details.lower()
    return any(word in lowered for word in words)


def _unreached(details: str, endpoint: Endpoint) -> str:
    """Return why no connection came up, by gRPC's own text."""
    address = endpoint.address
    if answer := PROXY_ANSWER.search(details):
        return _refused_by_proxy(int(answer[1]), endpoint)
    if cause := _distrust(details, endpoint):
        return f"the certificate of {address} {cause}"
    if endpoint.tls and _has(details, NO_TLS):
        return f"{address} speaks no TLS: leave out --tls and --tls-ca, or check the port"
    if _has(details, NO_HOST):
        host = f"the proxy {endpoint.proxy_shown}" if endpoint.proxy else address
        return f"the host of {host} is not known; check its spelling{_not_tried(endpoint)}"
    if _has(details, ("timed out",)):
        return _no_answer(endpoint)
    if _has(details, NOT_GRPC):
        return f"{address} answers, but not as Diffusion Toy's server does; check the port"
    if _has(details, ("refused",)):
        if endpoint.proxy:
            return f"no proxy at {endpoint.proxy_shown}; check --proxy, or leave it out"
        return f"no server at {address}; {START_ONE if is_local(address) else START_THERE}"
    if _has(details, ("socket closed", "reset")):
        return HANGS_UP.format(endpoint)
    if _has(details, NO_WAY):
        return f"there is no route to {endpoint}; check the network{_not_tried(endpoint)}"
    return f"{endpoint} cannot be reached ({details})"


def _distrust(details: str, endpoint: Endpoint) -> str:
    """Return why a certificate is not accepted, "" if that is not what failed."""
    if _has(details, WRONG_HOST):
        host = endpoint.address.rpartition(":")[0]
        return f"was made for another host than {host}; use the name that it was made for"
    if not _has(details, NOT_TRUSTED):
        return ""
    if _has(details, ("has expired",)):
        return "has expired; its operator has to renew it (or this machine's clock is wrong)"
    if _has(details, ("not yet valid",)):
        return "is not yet valid; check this machine's clock, or ask its operator"
    if endpoint.ca_file is not None:
        return f"was not signed by the authority in {endpoint.ca_file}; name the right one with --tls-ca FILE"
    return "is not trusted; name the authority that signed it with --tls-ca FILE"


def _refused_by_proxy(answer: int, endpoint: Endpoint) -> str:
    proxy, address = endpoint.proxy_shown, endpoint.address
    if answer == 407:
        return f"the proxy {proxy} asks who you are: --proxy http://NAME:PASSWORD@HOST:PORT"
    if answer >= 500:
        return f"the proxy {proxy} does not reach {address} (it answers {answer}); check the address"
    return f"the proxy {proxy} does not let you through to {address} (it answers {answer})"


def _no_answer(endpoint: Endpoint) -> str:
    return f"{endpoint} does not answer; check the address and the firewall{_not_tried(endpoint)}"


def _not_tried(endpoint: Endpoint) -> str:
    """Return what is to be said of a proxy that only the environment names, "" without one."""
    variable = "" if endpoint.proxy else proxy_variable()
    return f"; the proxy that {variable} names was not tried: --proxy URL uses one" if variable else ""
