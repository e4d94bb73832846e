"""What an ended call means: one sentence for the user, and whether to try again."""

from __future__ import annotations

from dataclasses import dataclass

from grpc import StatusCode

NOT_GRPC = ("failed parsing http/2", "http1", "settings frame", "wrong version number", "trailing data")
NO_HOST = ("errors resolving", "name resolution", "dns", "domain name")
NOT_TRUSTED = ("certificate verify failed", "certificate_verify_failed", "peer name", "hostname verif")
NAME_ROOT = "name the authority that signed it with --tls-ca FILE"
OWN_WORDS = ("try again", "shutting down", "restarting", "loading")
START_ONE = "start one with: python -m inference_server"
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


def explain(
    code: StatusCode, details: str, address: str, *, was_live: bool = False, resuming: bool = False
) -> Failure:
    """What a call's status means.

    Args:
        details: the status's text.
        was_live: the session had begun, so there is a server of ours at the address.
        resuming: the call began with a resume token.
    """
    lowered = details.lower()
    if resuming and not was_live and code in REFUSALS:  # it is the token that is refused
        return Failure(f"the session cannot go on ({details}); a new one begins", new_session=True)

    def has(words: tuple[str, ...]) -> bool:
        return any(word in lowered for word in words)

    match code:
        case StatusCode.UNIMPLEMENTED:
            return Failure(f"the gRPC server at {address} is not Diffusion Toy's; check the address")
        case StatusCode.UNAVAILABLE:
            if was_live:
                return Failure(details if has(OWN_WORDS) else f"the connection to {address} broke")
            if has(NOT_TRUSTED):
                return Failure(f"the certificate of {address} is not trusted; {NAME_ROOT}")
            if has(NO_HOST):
                return Failure(f"the host of {address} is not known; check its spelling")
            if "timed out" in lowered:
                return Failure(f"{address} does not answer; check the address and the firewall")
            if has(NOT_GRPC):
                return Failure(f"{address} answers, but not as Diffusion Toy's server does; check the port")
            if "refused" in lowered:
                return Failure(f"no server at {address}; {START_ONE}")
            if "socket closed" in lowered or "reset" in lowered:
                return Failure(f"{address} hangs up at once; check the port")
            if "unreachable" in lowered or "no route" in lowered:
                return Failure(f"there is no way to {address}; check the network")
            return Failure(details if has(OWN_WORDS) else f"{address} cannot be reached ({details})")
        case StatusCode.DEADLINE_EXCEEDED:
            if was_live:
                return Failure("nothing was done here for so long that the server waits no more", again=False)
            return Failure(f"{address} does not answer; check the address and the firewall")
        case StatusCode.ABORTED:
            return Failure("this session goes on in another window, which has taken it over", again=False)
        case StatusCode.RESOURCE_EXHAUSTED:
            return Failure(details or "the server is full")
        case StatusCode.UNAUTHENTICATED | StatusCode.PERMISSION_DENIED:
            return Failure(f"the server refuses this viewer: {details}", again=False)
        case StatusCode.INVALID_ARGUMENT | StatusCode.NOT_FOUND | StatusCode.FAILED_PRECONDITION:
            return Failure(details, again=False, new_session=True)
        case _:
            return Failure(f"the server ended the session ({code.name.lower()}: {details})")
