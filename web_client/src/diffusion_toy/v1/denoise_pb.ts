// The contract of Diffusion Toy: one image per stream, denoised step by step, touched live.
//
// ## The picture and its time
//
// A *session* is one image `x_t` of C×H×W values and a map of *noise levels*, one for each pixel:
// 0 is clean, 1 is pure noise. A level u stands for `alphas_cumprod = cos²(π·u/2)`: the pixel is
// `√alphas_cumprod · clean + √(1 − alphas_cumprod) · noise`. A *schedule* numbers the levels with
// *time steps* t in 0…T, t = 0 clean; which schedule is a choice of the session, made live. In
// every message a time step may be fractional. Clean pixels lie in [−1, 1]: −1 is black, 1 white.
//
// ## The rules of the stream
//
// 1. The first request is a `Start`, within 10 seconds (else DEADLINE_EXCEEDED). The first response is
//    a `Welcome`; nothing comes before it but a `Refusal` (rule 7). Any other first request, or a second
//    `Start`, ends the stream (FAILED_PRECONDITION).
// 2. After that the server sends a `Frame` for every step of the session, at its own pace: the
//    server owns time. Neither side waits for the other.
// 3. Every request but `Acknowledge` is a *command* and has a `sequence`, rising from 1 (the
//    `Start` has one too; gaps are allowed). Commands are applied in this order, between two
//    steps. A frame says in `applied_sequence` which have been applied or rejected: all up to it; and in
//    `applied` before which step each was applied. Between two steps there is so much time for commands and
//    no more. Sessions take turns with it, a command each; what is left over comes first before the next
//    step. A session does not take a step while a command with the `at_step` of that step comes next.
// 4. A command with a bad value changes nothing and is answered by `Rejected`, which names the
//    field, the value and the limit; the stream goes on. So is a command that comes too fast
//    (`Limits.commands_per_second`) or finds too much waiting (`Limits.pending_commands`,
//    `Limits.pending_bytes`). What no session of the model can be asked for is rejected when it arrives, the
//    rest when its turn comes. The only exception is a bad `Start`: there is no session yet, so it ends the
//    stream with INVALID_ARGUMENT. A stream that goes on to send commands that are rejected, hundreds of them
//    and faster than 10 a second, is read more slowly, and after a thousand such it ends with
//    RESOURCE_EXHAUSTED. Beyond 75 requests a second a stream is read more slowly while others send very
//    much, as soon as 300 that it has saved are used up. Acknowledgements of new frames do not count; a
//    `Restart`, a `Jump` and a `Configure` of another schedule count for four each.
// 5. The client acknowledges each frame *when it has drawn it*; an acknowledgement covers all
//    frames before it. At most `window` frames are on their way unacknowledged; when the window is
//    full the server keeps only the newest unsent frame and replaces it by newer ones. The session
//    itself steps on. A frame number that is skipped was replaced, not lost: frames are complete
//    pictures, never differences.
// 6. When every pixel is at t = 0 (playing in reverse) or t = T (playing forward), and while
//    paused, the session rests: it sends a last frame, then none until a command changes it. A
//    change to an idle session is shown in one new frame without a step. Whatever asks for them, a
//    session gets as many frames a second as `Settings.steps_per_second`, and at least 20; a second's
//    worth may come at once. Commands beyond that are not lost: a `Step` waits for its turn, all other
//    changes are shown together, a little later.
// 7. A broken protocol ends the stream with a status, whose message says what to do: INVALID_ARGUMENT (a
//    bad `Start`, a sequence that does not rise, an acknowledgement of a frame that was never sent, an empty
//    request), FAILED_PRECONDITION (rule 1), NOT_FOUND (no such model, session or resume token's model),
//    RESOURCE_EXHAUSTED (the server is full, an address opens streams too fast, rule 4, the session has given
//    way by rule 8, or a message exceeds `Limits.request_bytes`), UNAUTHENTICATED (no or a wrong bearer
//    token, or a resume token that this server's key did not make), ABORTED (another stream has taken the
//    session over), DEADLINE_EXCEEDED (nothing came from the client for `Limits.idle_s`, or no `Start`),
//    UNAVAILABLE (loading, shutting down or restarting: try again). Over gRPC the last response then is a
//    `Refusal` with the same status: some proxies turn a status that comes while the client may still send
//    into another one, as HAProxy does into CANCELLED. A client goes by the `Refusal`. There is none for a
//    client that takes no responses, nor for the statuses of gRPC itself.
// 8. Half-closing the request side means "I am done" and ends stream and session, with status OK. A
//    stream that breaks in any other way leaves the session paused for `Limits.grace_s`: a
//    `Start.resume_token` of it finds it exactly where it paused. Only where the server is full may a
//    session end earlier, because it gives way to a newcomer: first one whose client is gone, then one
//    that has had no frame for a minute (to a newcomer who plays), each to a client of the same address
//    or of one that holds less of the server. Last, an address that holds much gives up sessions, playing
//    or not, as long as it then still holds as much as the newcomer's. A client whose session gives way
//    gets a `Moving` and RESOURCE_EXHAUSTED; its token goes on where the session was as soon as there is
//    room.
// 9. About once a second, and before a server shuts down, the server sends a `ResumeToken`:
//    everything that the session owns but its history. With the newest one any server that has the
//    same model and key goes on from there. A session that comes to rest by a `Pause`, `Step`, `Back`
//    or `Jump` sends one of exactly this state at once, within two ticks (of its frame, where that waits
//    by rule 6), though at most four a second:
//    it is the first whose `ResumeToken.sequence` is not below that command's. (Like frames, tokens wait
//    while the window is full.) To lose nothing a client keeps the commands above
//    `ResumeToken.sequence`, and after the `Welcome` sends again, with their old numbers, those above
//    `Welcome.applied_sequence`; what the server has applied already it passes over.
// 10. A session may be watched: a stream that starts with `Start.watch` receives the same frames. It
//    may only acknowledge; its commands are rejected. It ends, with OK, when the session does. Where many watch
//    on one server they get fewer frames each, by the rule 5.
// 11. Before each step the server keeps the state, up to `Limits.history_states` of them;
//    `Back` and `Jump` return to them. A restart forgets them, and so does a resume.
// 12. Fields and messages that a client does not know are to be ignored; a server that meets an
//    unknown command answers as to an empty request.
//
// ## Over a WebSocket
//
// A server with a page speaks the same contract at `/api/denoise` of the page's address, for browsers. The
// subprotocol is `diffusion-toy.v1`; one binary message is one `DenoiseRequest` or `DenoiseResponse`; a text
// message is a broken protocol (INVALID_ARGUMENT). What gRPC does by other means:
//
// - `Denoise` ends with a close code: 1000 for OK, 4000 + gRPC's number for every other status, as in 4008 for
//   RESOURCE_EXHAUSTED; the reason is the message, cut to the 123 bytes that a close frame has room for. A
//   message above `Limits.request_bytes` closes with 1009, which counts as RESOURCE_EXHAUSTED.
// - Half-closing (rule 8) is a close with the code 1000. Any other end, a page that is left (1001) among them,
//   is a broken stream.
// - The bearer token travels in `Start.bearer_token`.
// - `ListModels` is `GET /api/models`, with `Authorization: Bearer TOKEN` where the server asks for one. It
//   answers a `ListModelsResponse`: as protobuf's JSON, or in binary to `Accept: application/x-protobuf`. Errors
//   are an HTTP status with one sentence as text: 401 without the token, 429 after too many wrong ones, 503
//   while the models are being loaded.
//
// A server with a class wall shows the pictures of all its sessions at `/api/wall`, subprotocol
// `diffusion-toy.wall.v1`. The first request is a `WallRequest` with the wall's token, within 10 seconds; then
// `WallUpdate`s come, five a second at most, each with the pictures that have changed. The wall is no watcher:
// nothing is acknowledged, and no session steps slower for it. It ends with a close code as above.
//
// Further `WallRequest`s tell the class something: they put a session on the spotlight, or offer a seed. All walls of
// a server share one `Lesson` and see it in their updates; everybody who runs a session gets it, over gRPC too, as a
// `DenoiseResponse.lesson` after the welcome and after each change. It obliges nobody: a client follows the
// spotlight, or starts from the seed, only where its user has said so. Four changes a second are taken, for all
// walls together; those beyond wait.
//
// ## A worked exchange
//
//     client                                         server
//     1: start { settings { label: 7 } }          →
//                                                 ←  welcome { seed: 1234, window: 4, … }
//                                                 ←  frame { number: 1, step: 0, t 300,
//                                                      applied_sequence: 1 }
//     acknowledge { frame_number: 1 }             →
//                                                 ←  frame { number: 2, step: 1, t 299 }
//     2: inject { disc { x: 0.5, y: 0.5,          →
//          radius: 0.2 }, amount: 40 }            ←  frame { number: 3, step: 2, t 298…300,
//                                                      level_map: …, applied_sequence: 2,
//                                                      applied { sequence: 2, step: 2 } }
//     3: inject { disc { radius: 7 } … }          →
//                                                 ←  rejected { sequence: 3, field:
//                                                      "inject.disc.radius", value: "7",
//                                                      limit: "0…1, 0 excluded", … }
//     acknowledge { frame_number: 3 }             →  (covers 2 as well)
//     4: pause {}                                 →
//                                                 ←  frame { number: 4, step: 3, …,
//                                                      applied_sequence: 4,
//                                                      applied { sequence: 4, step: 3 } }
//                                                 ←  resume_token { token: …, sequence: 4 }
//                                                    (silence until the next command)
//     5: inject { whole_image {}, amount: 90 }    →  (the connection breaks: did it arrive?)
//
//     on a new stream, to the same server or to another one:
//
//     0: start { resume_token: …, window: 4 }     →
//                                                 ←  welcome { session_id: the same, resumed: true,
//                                                      applied_sequence: 4, … }
//     5: inject { whole_image {}, amount: 90 }    →
//                                                 ←  frame { number: 1, step: 3, t 300,
//                                                      applied_sequence: 5,
//                                                      applied { sequence: 5, step: 3 } }
//     half-close                                  →
//                                                 ←  status OK

// @generated by protoc-gen-es v2.13.0 with parameter "target=ts,import_extension=ts"
// @generated from file diffusion_toy/v1/denoise.proto (package diffusion_toy.v1, syntax proto3)
/* eslint-disable */

import type { GenEnum, GenFile, GenMessage, GenService } from "@bufbuild/protobuf/codegenv2";
import { enumDesc, fileDesc, messageDesc, serviceDesc } from "@bufbuild/protobuf/codegenv2";
import type { Message } from "@bufbuild/protobuf";

/**
 * Describes the file diffusion_toy/v1/denoise.proto.
 */
export const file_diffusion_toy_v1_denoise: GenFile = /*@__PURE__*/
  fileDesc("Ch5kaWZmdXNpb25fdG95L3YxL2Rlbm9pc2UucHJvdG8SEGRpZmZ1c2lvbl90b3kudjEihQQKDkRlbm9pc2VSZXF1ZXN0EhAKCHNlcXVlbmNlGAEgASgEEhQKB2F0X3N0ZXAYAiABKARIAYgBARIoCgVzdGFydBgKIAEoCzIXLmRpZmZ1c2lvbl90b3kudjEuU3RhcnRIABI0CgthY2tub3dsZWRnZRgLIAEoCzIdLmRpZmZ1c2lvbl90b3kudjEuQWNrbm93bGVkZ2VIABIqCgZpbmplY3QYDCABKAsyGC5kaWZmdXNpb25fdG95LnYxLkluamVjdEgAEiYKBHBsYXkYDSABKAsyFi5kaWZmdXNpb25fdG95LnYxLlBsYXlIABIoCgVwYXVzZRgOIAEoCzIXLmRpZmZ1c2lvbl90b3kudjEuUGF1c2VIABImCgRzdGVwGA8gASgLMhYuZGlmZnVzaW9uX3RveS52MS5TdGVwSAASLAoHcmVzdGFydBgQIAEoCzIZLmRpZmZ1c2lvbl90b3kudjEuUmVzdGFydEgAEjAKCWNvbmZpZ3VyZRgRIAEoCzIbLmRpZmZ1c2lvbl90b3kudjEuQ29uZmlndXJlSAASJgoEYmFjaxgSIAEoCzIWLmRpZmZ1c2lvbl90b3kudjEuQmFja0gAEiYKBGp1bXAYEyABKAsyFi5kaWZmdXNpb25fdG95LnYxLkp1bXBIAEIJCgdyZXF1ZXN0QgoKCF9hdF9zdGVwIo0CCgVTdGFydBINCgVtb2RlbBgBIAEoCRIoCgZvcmlnaW4YAiABKAsyGC5kaWZmdXNpb25fdG95LnYxLk9yaWdpbhIRCgRzZWVkGAMgASgESACIAQESLAoIc2V0dGluZ3MYBCABKAsyGi5kaWZmdXNpb25fdG95LnYxLlNldHRpbmdzEg4KBndpbmRvdxgFIAEoDRIoCgZtb3Rpb24YBiABKA4yGC5kaWZmdXNpb25fdG95LnYxLk1vdGlvbhIUCgxyZXN1bWVfdG9rZW4YByABKAwSDQoFd2F0Y2gYCCABKAkSFAoMYmVhcmVyX3Rva2VuGAkgASgJEgwKBG5hbWUYCiABKAlCBwoFX3NlZWQipgEKBk9yaWdpbhIsCgVub2lzZRgBIAEoCzIbLmRpZmZ1c2lvbl90b3kudjEuUHVyZU5vaXNlSAASEAoGcGl4ZWxzGAIgASgMSAASLAoHZXhhbXBsZRgDIAEoCzIZLmRpZmZ1c2lvbl90b3kudjEuRXhhbXBsZUgAEhYKCXRpbWVfc3RlcBgEIAEoAkgBiAEBQggKBnNvdXJjZUIMCgpfdGltZV9zdGVwIgsKCVB1cmVOb2lzZSInCgdFeGFtcGxlEhIKBWxhYmVsGAEgASgNSACIAQFCCAoGX2xhYmVsIiMKC0Fja25vd2xlZGdlEhQKDGZyYW1lX251bWJlchgBIAEoBCLYAQoGSW5qZWN0EiYKBGRpc2MYASABKAsyFi5kaWZmdXNpb25fdG95LnYxLkRpc2NIABIzCgt3aG9sZV9pbWFnZRgCIAEoCzIcLmRpZmZ1c2lvbl90b3kudjEuV2hvbGVJbWFnZUgAEg4KBmFtb3VudBgDIAEoAhIpCgRraW5kGAQgASgOMhsuZGlmZnVzaW9uX3RveS52MS5Ob2lzZUtpbmQSLQoEcnVsZRgFIAEoDjIfLmRpZmZ1c2lvbl90b3kudjEuSW5qZWN0aW9uUnVsZUIHCgVwbGFjZSIsCgREaXNjEgkKAXgYASABKAISCQoBeRgCIAEoAhIOCgZyYWRpdXMYAyABKAIiDAoKV2hvbGVJbWFnZSIzCgRQbGF5EisKCWRpcmVjdGlvbhgBIAEoDjIYLmRpZmZ1c2lvbl90b3kudjEuTW90aW9uIgcKBVBhdXNlIlkKBFN0ZXASKwoJZGlyZWN0aW9uGAEgASgOMhguZGlmZnVzaW9uX3RveS52MS5Nb3Rpb24SJAoEZGlzYxgCIAEoCzIWLmRpZmZ1c2lvbl90b3kudjEuRGlzYyIGCgRCYWNrIjUKBEp1bXASDgoEc3RlcBgBIAEoBEgAEhMKCXRpbWVfc3RlcBgCIAEoAkgAQggKBnRhcmdldCJPCgdSZXN0YXJ0EhEKBHNlZWQYASABKARIAIgBARIoCgZvcmlnaW4YAiABKAsyGC5kaWZmdXNpb25fdG95LnYxLk9yaWdpbkIHCgVfc2VlZCI5CglDb25maWd1cmUSLAoIc2V0dGluZ3MYASABKAsyGi5kaWZmdXNpb25fdG95LnYxLlNldHRpbmdzIsgCCghTZXR0aW5ncxISCgVsYWJlbBgBIAEoBUgAiAEBEhUKCGd1aWRhbmNlGAIgASgCSAGIAQESHQoQc3RlcHNfcGVyX3NlY29uZBgDIAEoAkgCiAEBEhMKBnN0cmlkZRgEIAEoDUgDiAEBEjAKCHNjaGVkdWxlGAUgASgOMh4uZGlmZnVzaW9uX3RveS52MS5TY2hlZHVsZU5hbWUSGwoObnVtX3RpbWVfc3RlcHMYBiABKA1IBIgBARIqCgdzYW1wbGVyGAcgASgOMhkuZGlmZnVzaW9uX3RveS52MS5TYW1wbGVyEhAKA2V0YRgIIAEoAkgFiAEBQggKBl9sYWJlbEILCglfZ3VpZGFuY2VCEwoRX3N0ZXBzX3Blcl9zZWNvbmRCCQoHX3N0cmlkZUIRCg9fbnVtX3RpbWVfc3RlcHNCBgoEX2V0YSKSAwoPRGVub2lzZVJlc3BvbnNlEiwKB3dlbGNvbWUYASABKAsyGS5kaWZmdXNpb25fdG95LnYxLldlbGNvbWVIABIoCgVmcmFtZRgCIAEoCzIXLmRpZmZ1c2lvbl90b3kudjEuRnJhbWVIABIuCghyZWplY3RlZBgDIAEoCzIaLmRpZmZ1c2lvbl90b3kudjEuUmVqZWN0ZWRIABIuCghzY2hlZHVsZRgEIAEoCzIaLmRpZmZ1c2lvbl90b3kudjEuU2NoZWR1bGVIABI1CgxyZXN1bWVfdG9rZW4YBSABKAsyHS5kaWZmdXNpb25fdG95LnYxLlJlc3VtZVRva2VuSAASKgoGbW92aW5nGAYgASgLMhguZGlmZnVzaW9uX3RveS52MS5Nb3ZpbmdIABIsCgdyZWZ1c2FsGAcgASgLMhkuZGlmZnVzaW9uX3RveS52MS5SZWZ1c2FsSAASKgoGbGVzc29uGAggASgLMhguZGlmZnVzaW9uX3RveS52MS5MZXNzb25IAEIKCghyZXNwb25zZSLMAgoHV2VsY29tZRISCgpzZXNzaW9uX2lkGAEgASgJEgwKBHNlZWQYAiABKAQSJgoFbW9kZWwYAyABKAsyFy5kaWZmdXNpb25fdG95LnYxLk1vZGVsEiwKCHNjaGVkdWxlGAQgASgLMhouZGlmZnVzaW9uX3RveS52MS5TY2hlZHVsZRIoCgZsaW1pdHMYBSABKAsyGC5kaWZmdXNpb25fdG95LnYxLkxpbWl0cxIsCghzZXR0aW5ncxgGIAEoCzIaLmRpZmZ1c2lvbl90b3kudjEuU2V0dGluZ3MSDgoGd2luZG93GAcgASgNEhYKDnNlcnZlcl92ZXJzaW9uGAggASgJEhgKEGFwcGxpZWRfc2VxdWVuY2UYCSABKAQSDwoHcmVzdW1lZBgKIAEoCBIQCgh3YXRjaGluZxgLIAEoCBIMCgR3YWxsGAwgASgIIi4KC1Jlc3VtZVRva2VuEg0KBXRva2VuGAEgASgMEhAKCHNlcXVlbmNlGAIgASgEIk4KBk1vdmluZxIzCgxyZXN1bWVfdG9rZW4YASABKAsyHS5kaWZmdXNpb25fdG95LnYxLlJlc3VtZVRva2VuEg8KB21lc3NhZ2UYAiABKAkiJwoHUmVmdXNhbBIMCgRjb2RlGAEgASgFEg4KBnJlYXNvbhgCIAEoCSKEAgoFTW9kZWwSDAoEbmFtZRgBIAEoCRITCgtmaW5nZXJwcmludBgCIAEoCRIQCghjaGFubmVscxgDIAEoDRIOCgZoZWlnaHQYBCABKA0SDQoFd2lkdGgYBSABKA0SEwoLbGFiZWxfbmFtZXMYBiADKAkSDwoHZGF0YXNldBgHIAEoCRIZCgxib3JkZXJfdmFsdWUYCCABKAJIAIgBARIUCgxoYXNfZXhhbXBsZXMYCSABKAgSEQoJcHJlZGljdG9yGAogASgJEiwKCGNhcGFjaXR5GAsgASgLMhouZGlmZnVzaW9uX3RveS52MS5DYXBhY2l0eUIPCg1fYm9yZGVyX3ZhbHVlInMKCENhcGFjaXR5EhcKD3Jvd3NfcGVyX3NlY29uZBgBIAEoARIwCgZzb3VyY2UYAiABKA4yIC5kaWZmdXNpb25fdG95LnYxLkNhcGFjaXR5U291cmNlEhIKBWFnZV9zGAMgASgBSACIAQFCCAoGX2FnZV9zIlAKCFNjaGVkdWxlEiwKBG5hbWUYASABKA4yHi5kaWZmdXNpb25fdG95LnYxLlNjaGVkdWxlTmFtZRIWCg5hbHBoYXNfY3VtcHJvZBgCIAMoASLpAQoGTGltaXRzEhQKDHRpY2tfcmF0ZV9oehgBIAEoAhIVCg1yZXF1ZXN0X2J5dGVzGAIgASgNEhsKE2NvbW1hbmRzX3Blcl9zZWNvbmQYAyABKA0SGAoQcGVuZGluZ19jb21tYW5kcxgEIAEoDRIOCgZ3aW5kb3cYBSABKA0SDwoHZ3JhY2VfcxgGIAEoAhIOCgZpZGxlX3MYByABKAISFgoOaGlzdG9yeV9zdGF0ZXMYCCABKA0SGwoTaW5qZWN0aW9uc19wZXJfdGljaxgJIAEoDRIVCg1wZW5kaW5nX2J5dGVzGAogASgNIoQFCgVGcmFtZRIOCgZudW1iZXIYASABKAQSDAoEc3RlcBgCIAEoBBIYChBhcHBsaWVkX3NlcXVlbmNlGAMgASgEEgsKA3hfdBgEIAEoDBIOCgZ4MF9oYXQYBSABKAwSEQoJbGV2ZWxfbWFwGAYgASgMEigKB25vbWluYWwYByABKAsyFy5kaWZmdXNpb25fdG95LnYxLlJhbmdlEicKBmFjdHVhbBgIIAEoCzIXLmRpZmZ1c2lvbl90b3kudjEuUmFuZ2USKgoJdGltZV9zdGVwGAkgASgLMhcuZGlmZnVzaW9uX3RveS52MS5SYW5nZRIoCgZtb3Rpb24YCiABKA4yGC5kaWZmdXNpb25fdG95LnYxLk1vdGlvbhIMCgRpZGxlGAsgASgIEiwKCHNldHRpbmdzGAwgASgLMhouZGlmZnVzaW9uX3RveS52MS5TZXR0aW5ncxIMCgRzZWVkGA0gASgEEhEKCXNlcnZlcl9tcxgOIAEoAhIQCghzZXNzaW9ucxgPIAEoDRIXCg9maXJzdF9rZXB0X3N0ZXAYECABKAQSIQoUbWVhc3VyZWRfYnlfcmVzaWR1YWwYESABKAJIAIgBARIfChJtZWFzdXJlZF9ieV9ib3JkZXIYEiABKAJIAYgBARIcCg9leGNlc3Nfa3VydG9zaXMYEyABKAJIAogBARIQCgh3YXRjaGVycxgUIAEoDRIqCgdhcHBsaWVkGBUgAygLMhkuZGlmZnVzaW9uX3RveS52MS5BcHBsaWVkQhcKFV9tZWFzdXJlZF9ieV9yZXNpZHVhbEIVChNfbWVhc3VyZWRfYnlfYm9yZGVyQhIKEF9leGNlc3Nfa3VydG9zaXMiKQoHQXBwbGllZBIQCghzZXF1ZW5jZRgBIAEoBBIMCgRzdGVwGAIgASgEIi8KBVJhbmdlEgsKA21pbhgBIAEoAhIMCgRtZWFuGAIgASgCEgsKA21heBgDIAEoAiJaCghSZWplY3RlZBIQCghzZXF1ZW5jZRgBIAEoBBINCgVmaWVsZBgCIAEoCRINCgV2YWx1ZRgDIAEoCRINCgVsaW1pdBgEIAEoCRIPCgdtZXNzYWdlGAUgASgJIhMKEUxpc3RNb2RlbHNSZXF1ZXN0Ij0KEkxpc3RNb2RlbHNSZXNwb25zZRInCgZtb2RlbHMYASADKAsyFy5kaWZmdXNpb25fdG95LnYxLk1vZGVsImkKC1dhbGxSZXF1ZXN0Eg0KBXRva2VuGAEgASgJEhMKCXNwb3RsaWdodBgCIAEoCUgAEiwKBW9mZmVyGAMgASgLMhsuZGlmZnVzaW9uX3RveS52MS5TZWVkT2ZmZXJIAEIICgZjaGFuZ2UiRwoGTGVzc29uEhEKCXNwb3RsaWdodBgBIAEoCRIqCgVvZmZlchgCIAEoCzIbLmRpZmZ1c2lvbl90b3kudjEuU2VlZE9mZmVyIjcKCVNlZWRPZmZlchIRCgRzZWVkGAEgASgESACIAQESDgoGbnVtYmVyGAIgASgEQgcKBV9zZWVkIoUBCgpXYWxsVXBkYXRlEi8KCHBpY3R1cmVzGAEgAygLMh0uZGlmZnVzaW9uX3RveS52MS5XYWxsUGljdHVyZRIMCgRnb25lGAIgAygJEg4KBm90aGVycxgDIAEoDRIoCgZsZXNzb24YBCABKAsyGC5kaWZmdXNpb25fdG95LnYxLkxlc3NvbiKAAQoLV2FsbFBpY3R1cmUSEgoKc2Vzc2lvbl9pZBgBIAEoCRIMCgRuYW1lGAIgASgJEhAKCGNoYW5uZWxzGAMgASgNEg4KBmhlaWdodBgEIAEoDRINCgV3aWR0aBgFIAEoDRILCgN4X3QYBiABKAwSEQoJdGltZV9zdGVwGAcgASgCKrUBCglOb2lzZUtpbmQSGgoWTk9JU0VfS0lORF9VTlNQRUNJRklFRBAAEhcKE05PSVNFX0tJTkRfR0FVU1NJQU4QARIWChJOT0lTRV9LSU5EX1VOSUZPUk0QAhIWChJOT0lTRV9LSU5EX0xBUExBQ0UQAxITCg9OT0lTRV9LSU5EX1NJR04QBBIVChFOT0lTRV9LSU5EX1NNT09USBAFEhcKE05PSVNFX0tJTkRfQ09OU1RBTlQQBip7Cg1JbmplY3Rpb25SdWxlEh4KGklOSkVDVElPTl9SVUxFX1VOU1BFQ0lGSUVEEAASGAoUSU5KRUNUSU9OX1JVTEVfVFJVVEgQARIYChRJTkpFQ1RJT05fUlVMRV9OQUlWRRACEhYKEklOSkVDVElPTl9SVUxFX0xJRRADKlsKBk1vdGlvbhIWChJNT1RJT05fVU5TUEVDSUZJRUQQABISCg5NT1RJT05fUkVWRVJTRRABEhIKDk1PVElPTl9GT1JXQVJEEAISEQoNTU9USU9OX1BBVVNFRBADKmEKDFNjaGVkdWxlTmFtZRIdChlTQ0hFRFVMRV9OQU1FX1VOU1BFQ0lGSUVEEAASGAoUU0NIRURVTEVfTkFNRV9DT1NJTkUQARIYChRTQ0hFRFVMRV9OQU1FX0xJTkVBUhACKnAKB1NhbXBsZXISFwoTU0FNUExFUl9VTlNQRUNJRklFRBAAEhAKDFNBTVBMRVJfRERQTRABEhAKDFNBTVBMRVJfRERJTRACEhEKDVNBTVBMRVJfRFBNUFAQAxIVChFTQU1QTEVSX1NERV9EUE1QUBAEKoIBCg5DYXBhY2l0eVNvdXJjZRIfChtDQVBBQ0lUWV9TT1VSQ0VfVU5TUEVDSUZJRUQQABIZChVDQVBBQ0lUWV9TT1VSQ0VfR0lWRU4QARIZChVDQVBBQ0lUWV9TT1VSQ0VfU1RBUlQQAhIZChVDQVBBQ0lUWV9TT1VSQ0VfVElDS1MQAzK9AQoORGVub2lzZVNlcnZpY2USUgoHRGVub2lzZRIgLmRpZmZ1c2lvbl90b3kudjEuRGVub2lzZVJlcXVlc3QaIS5kaWZmdXNpb25fdG95LnYxLkRlbm9pc2VSZXNwb25zZSgBMAESVwoKTGlzdE1vZGVscxIjLmRpZmZ1c2lvbl90b3kudjEuTGlzdE1vZGVsc1JlcXVlc3QaJC5kaWZmdXNpb25fdG95LnYxLkxpc3RNb2RlbHNSZXNwb25zZWIGcHJvdG8z");

/**
 * A command, or an acknowledgement.
 *
 * @generated from message diffusion_toy.v1.DenoiseRequest
 */
export type DenoiseRequest = Message<"diffusion_toy.v1.DenoiseRequest"> & {
  /**
   * The command's number, 1…2^63−1, higher than that of any command before it in this stream.
   * Ignored for `acknowledge`, and for a `start` that resumes or watches. After a resume, numbers up to
   * `Welcome.applied_sequence` are passed over. Error: INVALID_ARGUMENT ends the stream.
   *
   * @generated from field: uint64 sequence = 1;
   */
  sequence: bigint;

  /**
   * If set, the command waits until the session is about to take this step (`Frame.step`), and so
   * do the commands behind it; with the steps of `Frame.applied` this makes a replay exact. Rejected if
   * that step is already past.
   * Default: as soon as possible. Ignored for `start` and `acknowledge`.
   *
   * @generated from field: optional uint64 at_step = 2;
   */
  atStep?: bigint | undefined;

  /**
   * Exactly one must be set. Error: INVALID_ARGUMENT ends the stream.
   *
   * @generated from oneof diffusion_toy.v1.DenoiseRequest.request
   */
  request: {
    /**
     * @generated from field: diffusion_toy.v1.Start start = 10;
     */
    value: Start;
    case: "start";
  } | {
    /**
     * @generated from field: diffusion_toy.v1.Acknowledge acknowledge = 11;
     */
    value: Acknowledge;
    case: "acknowledge";
  } | {
    /**
     * @generated from field: diffusion_toy.v1.Inject inject = 12;
     */
    value: Inject;
    case: "inject";
  } | {
    /**
     * @generated from field: diffusion_toy.v1.Play play = 13;
     */
    value: Play;
    case: "play";
  } | {
    /**
     * @generated from field: diffusion_toy.v1.Pause pause = 14;
     */
    value: Pause;
    case: "pause";
  } | {
    /**
     * @generated from field: diffusion_toy.v1.Step step = 15;
     */
    value: Step;
    case: "step";
  } | {
    /**
     * @generated from field: diffusion_toy.v1.Restart restart = 16;
     */
    value: Restart;
    case: "restart";
  } | {
    /**
     * @generated from field: diffusion_toy.v1.Configure configure = 17;
     */
    value: Configure;
    case: "configure";
  } | {
    /**
     * @generated from field: diffusion_toy.v1.Back back = 18;
     */
    value: Back;
    case: "back";
  } | {
    /**
     * @generated from field: diffusion_toy.v1.Jump jump = 19;
     */
    value: Jump;
    case: "jump";
  } | { case: undefined; value?: undefined };
};

/**
 * Describes the message diffusion_toy.v1.DenoiseRequest.
 * Use `create(DenoiseRequestSchema)` to create a new message.
 */
export const DenoiseRequestSchema: GenMessage<DenoiseRequest> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 0);

/**
 * Begins the session. Every field has a default: an empty `Start` is a valid one.
 *
 * @generated from message diffusion_toy.v1.Start
 */
export type Start = Message<"diffusion_toy.v1.Start"> & {
  /**
   * The model's name, one of `ListModels`. Default (empty): the server's first model.
   * Error: NOT_FOUND.
   *
   * @generated from field: string model = 1;
   */
  model: string;

  /**
   * What the session starts from. Default: pure noise at t = T.
   *
   * @generated from field: diffusion_toy.v1.Origin origin = 2;
   */
  origin?: Origin | undefined;

  /**
   * Determines all the session's noise, 0…2^63−1: the same seed and the same commands at the same
   * steps give the same noise. Default (unset): the server draws one and tells it in `Welcome`.
   *
   * @generated from field: optional uint64 seed = 3;
   */
  seed?: bigint | undefined;

  /**
   * The session's settings; unset fields take their defaults.
   *
   * @generated from field: diffusion_toy.v1.Settings settings = 4;
   */
  settings?: Settings | undefined;

  /**
   * How many unacknowledged frames may be on their way, 1…32. Default (0): 4. At 60 frames a
   * second, 4 covers a round trip of about 50 ms; a slower connection needs more to stay fluid.
   *
   * @generated from field: uint32 window = 5;
   */
  window: number;

  /**
   * What the session does at once: play in reverse (default), play forward, or rest.
   *
   * @generated from field: diffusion_toy.v1.Motion motion = 6;
   */
  motion: Motion;

  /**
   * Goes on from a `ResumeToken`: the session itself if this server still has it, else one like it.
   * Model, origin, settings and motion are the token's, the fields above but `window` are ignored;
   * a session that was faster than this server's steps goes on at this server's rate (`Welcome.settings`);
   * with `seed` the token is *branched* instead: a new session, of its own name, begins in the same
   * state, with this seed from here on. A token may be branched any number of times, also while its
   * session lives on; a branch with that session's own seed takes the same steps as it would.
   * Errors: UNAUTHENTICATED for one that was made with another key, or tampered with; NOT_FOUND if
   * the server does not have the model that the session was made with; RESOURCE_EXHAUSTED if the
   * server is full, as for any other start.
   *
   * @generated from field: bytes resume_token = 7;
   */
  resumeToken: Uint8Array;

  /**
   * Watches the session of this `Welcome.session_id`; all other fields but `window` are ignored.
   * Errors: NOT_FOUND; RESOURCE_EXHAUSTED where too many watch on this server.
   *
   * @generated from field: string watch = 8;
   */
  watch: string;

  /**
   * The server's bearer token, where it asks for one and the stream is a WebSocket: a page cannot set
   * headers. Ignored over gRPC, where the metadata has it: `authorization: Bearer TOKEN`.
   * Error: UNAUTHENTICATED for no token or a wrong one.
   *
   * @generated from field: string bearer_token = 9;
   */
  bearerToken: string;

  /**
   * What the class wall writes under the session's picture, see `Welcome.wall`: 24 characters at most, all of
   * them printable. Default (empty): the picture has no name there. Counts for a resumed session as well.
   *
   * @generated from field: string name = 10;
   */
  name: string;
};

/**
 * Describes the message diffusion_toy.v1.Start.
 * Use `create(StartSchema)` to create a new message.
 */
export const StartSchema: GenMessage<Start> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 1);

/**
 * Where an image comes from, and how noisy it is at first.
 *
 * @generated from message diffusion_toy.v1.Origin
 */
export type Origin = Message<"diffusion_toy.v1.Origin"> & {
  /**
   * Default: noise.
   *
   * @generated from oneof diffusion_toy.v1.Origin.source
   */
  source: {
    /**
     * Unit Gaussian noise, whatever the nominal level.
     *
     * @generated from field: diffusion_toy.v1.PureNoise noise = 1;
     */
    value: PureNoise;
    case: "noise";
  } | {
    /**
     * The client's own clean picture: C·H·W bytes, 0 black … 255 white, rows from the top, one
     * channel after the other. Error: rejected unless it has exactly this length.
     *
     * @generated from field: bytes pixels = 2;
     */
    value: Uint8Array;
    case: "pixels";
  } | {
    /**
     * A real picture that comes with the model.
     *
     * @generated from field: diffusion_toy.v1.Example example = 3;
     */
    value: Example;
    case: "example";
  } | { case: undefined; value?: undefined };

  /**
   * The time step it starts at, 0…T: a clean source gets exactly the noise that belongs to it.
   * Default (unset): T.
   *
   * @generated from field: optional float time_step = 4;
   */
  timeStep?: number | undefined;
};

/**
 * Describes the message diffusion_toy.v1.Origin.
 * Use `create(OriginSchema)` to create a new message.
 */
export const OriginSchema: GenMessage<Origin> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 2);

/**
 * Unit Gaussian noise.
 *
 * @generated from message diffusion_toy.v1.PureNoise
 */
export type PureNoise = Message<"diffusion_toy.v1.PureNoise"> & {
};

/**
 * Describes the message diffusion_toy.v1.PureNoise.
 * Use `create(PureNoiseSchema)` to create a new message.
 */
export const PureNoiseSchema: GenMessage<PureNoise> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 3);

/**
 * One of the real pictures bundled with the model, chosen by the session's seed.
 *
 * @generated from message diffusion_toy.v1.Example
 */
export type Example = Message<"diffusion_toy.v1.Example"> & {
  /**
   * Of this class only, 0…number of classes − 1. Default (unset): any class.
   *
   * @generated from field: optional uint32 label = 1;
   */
  label?: number | undefined;
};

/**
 * Describes the message diffusion_toy.v1.Example.
 * Use `create(ExampleSchema)` to create a new message.
 */
export const ExampleSchema: GenMessage<Example> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 4);

/**
 * The frame has been drawn, and so have, or have been skipped, all before it.
 *
 * @generated from message diffusion_toy.v1.Acknowledge
 */
export type Acknowledge = Message<"diffusion_toy.v1.Acknowledge"> & {
  /**
   * A `Frame.number` that was received. A number at or below an earlier acknowledgement is
   * allowed and changes nothing. Error: INVALID_ARGUMENT for one that was never sent.
   *
   * @generated from field: uint64 frame_number = 1;
   */
  frameNumber: bigint;
};

/**
 * Describes the message diffusion_toy.v1.Acknowledge.
 * Use `create(AcknowledgeSchema)` to create a new message.
 */
export const AcknowledgeSchema: GenMessage<Acknowledge> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 5);

/**
 * Adds noise at a place. Injections accumulate; they never replace one another.
 *
 * @generated from message diffusion_toy.v1.Inject
 */
export type Inject = Message<"diffusion_toy.v1.Inject"> & {
  /**
   * Where. Error: rejected if unset.
   *
   * @generated from oneof diffusion_toy.v1.Inject.place
   */
  place: {
    /**
     * @generated from field: diffusion_toy.v1.Disc disc = 1;
     */
    value: Disc;
    case: "disc";
  } | {
    /**
     * @generated from field: diffusion_toy.v1.WholeImage whole_image = 2;
     */
    value: WholeImage;
    case: "wholeImage";
  } | { case: undefined; value?: undefined };

  /**
   * How much, in time steps of the session's schedule, above 0 up to 1000: each pixel at t goes to
   * min(t + amount, T). For the rule LIE also negative, −1000…1000 without 0: the nominal time
   * step goes to t + amount within 0…T.
   *
   * @generated from field: float amount = 3;
   */
  amount: number;

  /**
   * The distribution of the noise. Default (unspecified): Gaussian.
   *
   * @generated from field: diffusion_toy.v1.NoiseKind kind = 4;
   */
  kind: NoiseKind;

  /**
   * What is done to the picture and to the nominal level. Default (unspecified): truth, the consistent rule.
   *
   * @generated from field: diffusion_toy.v1.InjectionRule rule = 5;
   */
  rule: InjectionRule;
};

/**
 * Describes the message diffusion_toy.v1.Inject.
 * Use `create(InjectSchema)` to create a new message.
 */
export const InjectSchema: GenMessage<Inject> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 6);

/**
 * A disc with a hard edge, for an injection or a step: the pixels whose centre lies at most `radius`
 * from (x, y). Pixel centres are at ((column + ½)/W, (row + ½)/H); the origin is the picture's top left
 * corner.
 *
 * @generated from message diffusion_toy.v1.Disc
 */
export type Disc = Message<"diffusion_toy.v1.Disc"> & {
  /**
   * Horizontal place of the centre, 0 left … 1 right.
   *
   * @generated from field: float x = 1;
   */
  x: number;

  /**
   * Vertical place of the centre, 0 top … 1 bottom.
   *
   * @generated from field: float y = 2;
   */
  y: number;

  /**
   * As a fraction of the shorter side, above 0 up to 1.
   *
   * @generated from field: float radius = 3;
   */
  radius: number;
};

/**
 * Describes the message diffusion_toy.v1.Disc.
 * Use `create(DiscSchema)` to create a new message.
 */
export const DiscSchema: GenMessage<Disc> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 7);

/**
 * Every pixel.
 *
 * @generated from message diffusion_toy.v1.WholeImage
 */
export type WholeImage = Message<"diffusion_toy.v1.WholeImage"> & {
};

/**
 * Describes the message diffusion_toy.v1.WholeImage.
 * Use `create(WholeImageSchema)` to create a new message.
 */
export const WholeImageSchema: GenMessage<WholeImage> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 8);

/**
 * Lets the session run.
 *
 * @generated from message diffusion_toy.v1.Play
 */
export type Play = Message<"diffusion_toy.v1.Play"> & {
  /**
   * REVERSE or FORWARD. Default (unspecified): REVERSE. Error: rejected for PAUSED.
   *
   * @generated from field: diffusion_toy.v1.Motion direction = 1;
   */
  direction: Motion;
};

/**
 * Describes the message diffusion_toy.v1.Play.
 * Use `create(PlaySchema)` to create a new message.
 */
export const PlaySchema: GenMessage<Play> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 9);

/**
 * Lets the session rest.
 *
 * @generated from message diffusion_toy.v1.Pause
 */
export type Pause = Message<"diffusion_toy.v1.Pause"> & {
};

/**
 * Describes the message diffusion_toy.v1.Pause.
 * Use `create(PauseSchema)` to create a new message.
 */
export const PauseSchema: GenMessage<Pause> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 10);

/**
 * Takes a single step and rests. Where all pixels are at the end of their way there is no step to take.
 *
 * @generated from message diffusion_toy.v1.Step
 */
export type Step = Message<"diffusion_toy.v1.Step"> & {
  /**
   * REVERSE or FORWARD. Default (unspecified): REVERSE. Error: rejected for PAUSED.
   *
   * @generated from field: diffusion_toy.v1.Motion direction = 1;
   */
  direction: Motion;

  /**
   * Takes the step for the pixels of this disc only: of all others no bit changes, neither of the picture
   * nor of what is kept about it. Pixels of the disc that are at their end stay as they are; the step
   * counts in `Frame.step` in any case, and `Back` undoes it. Default (unset): every pixel. Error:
   * rejected, as in `Inject`.
   *
   * @generated from field: diffusion_toy.v1.Disc disc = 2;
   */
  disc?: Disc | undefined;
};

/**
 * Describes the message diffusion_toy.v1.Step.
 * Use `create(StepSchema)` to create a new message.
 */
export const StepSchema: GenMessage<Step> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 11);

/**
 * Returns to the state before the last step, to be looked at: the session rests there. Rejected where
 * no earlier state is kept.
 *
 * @generated from message diffusion_toy.v1.Back
 */
export type Back = Message<"diffusion_toy.v1.Back"> & {
};

/**
 * Describes the message diffusion_toy.v1.Back.
 * Use `create(BackSchema)` to create a new message.
 */
export const BackSchema: GenMessage<Back> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 12);

/**
 * Goes to another time at once, and rests there.
 *
 * @generated from message diffusion_toy.v1.Jump
 */
export type Jump = Message<"diffusion_toy.v1.Jump"> & {
  /**
   * Error: rejected if unset.
   *
   * @generated from oneof diffusion_toy.v1.Jump.target
   */
  target: {
    /**
     * A state that is kept: `Frame.first_kept_step` … `Frame.step`. Later ones are forgotten.
     *
     * @generated from field: uint64 step = 1;
     */
    value: bigint;
    case: "step";
  } | {
    /**
     * A time step, 0…T. Above a pixel's own: consistent noising, as by an `Inject`. Below the largest
     * time step of the picture: to the kept state with this largest time step, rejected if there is
     * none.
     *
     * @generated from field: float time_step = 2;
     */
    value: number;
    case: "timeStep";
  } | { case: undefined; value?: undefined };
};

/**
 * Describes the message diffusion_toy.v1.Jump.
 * Use `create(JumpSchema)` to create a new message.
 */
export const JumpSchema: GenMessage<Jump> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 13);

/**
 * Starts the image anew, with the settings as they are. `Frame.step` counts from 0 again, and
 * play goes on in reverse.
 *
 * @generated from message diffusion_toy.v1.Restart
 */
export type Restart = Message<"diffusion_toy.v1.Restart"> & {
  /**
   * 0…2^63−1. Default (unset): the same seed again, hence the same noise.
   *
   * @generated from field: optional uint64 seed = 1;
   */
  seed?: bigint | undefined;

  /**
   * Default (unset): the last origin again, that of `Start` or of a later `Restart`.
   *
   * @generated from field: diffusion_toy.v1.Origin origin = 2;
   */
  origin?: Origin | undefined;
};

/**
 * Describes the message diffusion_toy.v1.Restart.
 * Use `create(RestartSchema)` to create a new message.
 */
export const RestartSchema: GenMessage<Restart> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 14);

/**
 * Changes settings from the next step on; fields that are unset stay. The picture is not touched,
 * and its levels neither, except that they are clamped to the range of a new schedule.
 *
 * @generated from message diffusion_toy.v1.Configure
 */
export type Configure = Message<"diffusion_toy.v1.Configure"> & {
  /**
   * @generated from field: diffusion_toy.v1.Settings settings = 1;
   */
  settings?: Settings | undefined;
};

/**
 * Describes the message diffusion_toy.v1.Configure.
 * Use `create(ConfigureSchema)` to create a new message.
 */
export const ConfigureSchema: GenMessage<Configure> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 15);

/**
 * The choices of a session. Requests: an unset field takes its default (`Start`) or stays
 * (`Configure`). Responses: every field is set.
 *
 * @generated from message diffusion_toy.v1.Settings
 */
export type Settings = Message<"diffusion_toy.v1.Settings"> & {
  /**
   * The class to draw, 0…number of classes − 1, or −1 for none. Default −1.
   *
   * @generated from field: optional int32 label = 1;
   */
  label?: number | undefined;

  /**
   * Classifier-free guidance, 0…8: 0 ignores the label, 1 is the plain conditional model, more
   * exaggerates it. Without a label it has no effect. Default 1.
   *
   * @generated from field: optional float guidance = 2;
   */
  guidance?: number | undefined;

  /**
   * Network steps a second, above 0 up to `Limits.tick_rate_hz`. It is what the server keeps free for the
   * session, at least 20 a second (rule 6). Default: `Limits.tick_rate_hz`.
   *
   * @generated from field: optional float steps_per_second = 3;
   */
  stepsPerSecond?: number | undefined;

  /**
   * Time steps a network step, 1…1000; more than T counts as T. Default 1.
   *
   * @generated from field: optional uint32 stride = 4;
   */
  stride?: number | undefined;

  /**
   * Default: cosine.
   *
   * @generated from field: diffusion_toy.v1.ScheduleName schedule = 5;
   */
  schedule: ScheduleName;

  /**
   * T of the schedule, 2…1000. Default 300.
   *
   * @generated from field: optional uint32 num_time_steps = 6;
   */
  numTimeSteps?: number | undefined;

  /**
   * Default: DDPM.
   *
   * @generated from field: diffusion_toy.v1.Sampler sampler = 7;
   */
  sampler: Sampler;

  /**
   * Randomness of the DDIM sampler, 0 none … 1 as much as DDPM. Default 0.
   *
   * @generated from field: optional float eta = 8;
   */
  eta?: number | undefined;
};

/**
 * Describes the message diffusion_toy.v1.Settings.
 * Use `create(SettingsSchema)` to create a new message.
 */
export const SettingsSchema: GenMessage<Settings> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 16);

/**
 * @generated from message diffusion_toy.v1.DenoiseResponse
 */
export type DenoiseResponse = Message<"diffusion_toy.v1.DenoiseResponse"> & {
  /**
   * @generated from oneof diffusion_toy.v1.DenoiseResponse.response
   */
  response: {
    /**
     * @generated from field: diffusion_toy.v1.Welcome welcome = 1;
     */
    value: Welcome;
    case: "welcome";
  } | {
    /**
     * @generated from field: diffusion_toy.v1.Frame frame = 2;
     */
    value: Frame;
    case: "frame";
  } | {
    /**
     * @generated from field: diffusion_toy.v1.Rejected rejected = 3;
     */
    value: Rejected;
    case: "rejected";
  } | {
    /**
     * The session's schedule has changed; valid from the next frame on. One that has not been sent yet is
     * replaced by a newer one.
     *
     * @generated from field: diffusion_toy.v1.Schedule schedule = 4;
     */
    value: Schedule;
    case: "schedule";
  } | {
    /**
     * @generated from field: diffusion_toy.v1.ResumeToken resume_token = 5;
     */
    value: ResumeToken;
    case: "resumeToken";
  } | {
    /**
     * The stream ends soon, and this token is the newest: the server is shutting down, or the session
     * gives way to another (rule 8).
     *
     * @generated from field: diffusion_toy.v1.Moving moving = 6;
     */
    value: Moving;
    case: "moving";
  } | {
    /**
     * The last response before the stream ends with an error; over gRPC only.
     *
     * @generated from field: diffusion_toy.v1.Refusal refusal = 7;
     */
    value: Refusal;
    case: "refusal";
  } | {
    /**
     * What the class wall shows everybody now, see `Welcome.wall`; whole, never a difference. One that has not
     * been sent yet is replaced by a newer one.
     *
     * @generated from field: diffusion_toy.v1.Lesson lesson = 8;
     */
    value: Lesson;
    case: "lesson";
  } | { case: undefined; value?: undefined };
};

/**
 * Describes the message diffusion_toy.v1.DenoiseResponse.
 * Use `create(DenoiseResponseSchema)` to create a new message.
 */
export const DenoiseResponseSchema: GenMessage<DenoiseResponse> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 17);

/**
 * The first response: everything a client needs to know, so that it hard-codes nothing.
 *
 * @generated from message diffusion_toy.v1.Welcome
 */
export type Welcome = Message<"diffusion_toy.v1.Welcome"> & {
  /**
   * Names the session: in the server's log, and for those who are to watch it.
   *
   * @generated from field: string session_id = 1;
   */
  sessionId: string;

  /**
   * The seed in use, given or drawn, 0…2^63−1.
   *
   * @generated from field: uint64 seed = 2;
   */
  seed: bigint;

  /**
   * @generated from field: diffusion_toy.v1.Model model = 3;
   */
  model?: Model | undefined;

  /**
   * @generated from field: diffusion_toy.v1.Schedule schedule = 4;
   */
  schedule?: Schedule | undefined;

  /**
   * @generated from field: diffusion_toy.v1.Limits limits = 5;
   */
  limits?: Limits | undefined;

  /**
   * As they are in force, every field set.
   *
   * @generated from field: diffusion_toy.v1.Settings settings = 6;
   */
  settings?: Settings | undefined;

  /**
   * The window in force, frames.
   *
   * @generated from field: uint32 window = 7;
   */
  window: number;

  /**
   * The server's release.
   *
   * @generated from field: string server_version = 8;
   */
  serverVersion: string;

  /**
   * All commands up to this sequence have been applied; those above are to be sent again.
   *
   * @generated from field: uint64 applied_sequence = 9;
   */
  appliedSequence: bigint;

  /**
   * The session goes on from a resume token.
   *
   * @generated from field: bool resumed = 10;
   */
  resumed: boolean;

  /**
   * This stream only watches.
   *
   * @generated from field: bool watching = 11;
   */
  watching: boolean;

  /**
   * The server has a class wall: whoever has the wall's link sees this session's picture, small, with the
   * `Start.name`. Clients tell it to their user.
   *
   * @generated from field: bool wall = 12;
   */
  wall: boolean;
};

/**
 * Describes the message diffusion_toy.v1.Welcome.
 * Use `create(WelcomeSchema)` to create a new message.
 */
export const WelcomeSchema: GenMessage<Welcome> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 18);

/**
 * What the session needs to go on elsewhere.
 *
 * @generated from message diffusion_toy.v1.ResumeToken
 */
export type ResumeToken = Message<"diffusion_toy.v1.ResumeToken"> & {
  /**
   * Opaque, authenticated, not secret; at most `Limits.request_bytes` less 1 KiB.
   *
   * @generated from field: bytes token = 1;
   */
  token: Uint8Array;

  /**
   * All commands up to this sequence are in it.
   *
   * @generated from field: uint64 sequence = 2;
   */
  sequence: bigint;
};

/**
 * Describes the message diffusion_toy.v1.ResumeToken.
 * Use `create(ResumeTokenSchema)` to create a new message.
 */
export const ResumeTokenSchema: GenMessage<ResumeToken> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 19);

/**
 * The session has to go on elsewhere, or later.
 *
 * @generated from message diffusion_toy.v1.Moving
 */
export type Moving = Message<"diffusion_toy.v1.Moving"> & {
  /**
   * To be used from now on.
   *
   * @generated from field: diffusion_toy.v1.ResumeToken resume_token = 1;
   */
  resumeToken?: ResumeToken | undefined;

  /**
   * One sentence for the user.
   *
   * @generated from field: string message = 2;
   */
  message: string;
};

/**
 * Describes the message diffusion_toy.v1.Moving.
 * Use `create(MovingSchema)` to create a new message.
 */
export const MovingSchema: GenMessage<Moving> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 20);

/**
 * The status that the stream ends with, for clients behind a proxy that does not pass it on. What it says
 * counts, whatever status then comes.
 *
 * @generated from message diffusion_toy.v1.Refusal
 */
export type Refusal = Message<"diffusion_toy.v1.Refusal"> & {
  /**
   * gRPC's number of the status, one of rule 7's or INTERNAL, as in 8 for RESOURCE_EXHAUSTED.
   *
   * @generated from field: int32 code = 1;
   */
  code: number;

  /**
   * The status's message.
   *
   * @generated from field: string reason = 2;
   */
  reason: string;
};

/**
 * Describes the message diffusion_toy.v1.Refusal.
 * Use `create(RefusalSchema)` to create a new message.
 */
export const RefusalSchema: GenMessage<Refusal> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 21);

/**
 * A model as the server knows it.
 *
 * @generated from message diffusion_toy.v1.Model
 */
export type Model = Message<"diffusion_toy.v1.Model"> & {
  /**
   * What `Start.model` names.
   *
   * @generated from field: string name = 1;
   */
  name: string;

  /**
   * The first 16 hex digits of the SHA-256 of the weights file.
   *
   * @generated from field: string fingerprint = 2;
   */
  fingerprint: string;

  /**
   * Of the picture: C, H, W.
   *
   * @generated from field: uint32 channels = 3;
   */
  channels: number;

  /**
   * @generated from field: uint32 height = 4;
   */
  height: number;

  /**
   * @generated from field: uint32 width = 5;
   */
  width: number;

  /**
   * One for each class; their number is the number of classes.
   *
   * @generated from field: repeated string label_names = 6;
   */
  labelNames: string[];

  /**
   * What it was trained on.
   *
   * @generated from field: string dataset = 7;
   */
  dataset: string;

  /**
   * The value in [−1, 1] of the training data's border; unset where it is not constant.
   *
   * @generated from field: optional float border_value = 8;
   */
  borderValue?: number | undefined;

  /**
   * Whether there are bundled real pictures (`Origin.example`).
   *
   * @generated from field: bool has_examples = 9;
   */
  hasExamples: boolean;

  /**
   * What runs the network, for people to read and for programs to compare, as in "openvino bf16": two
   * servers whose predictors differ draw pictures that differ in the last bits.
   *
   * @generated from field: string predictor = 10;
   */
  predictor: string;

  /**
   * What the server promises to the sessions of this model; set in `ListModelsResponse` only, and only
   * where it is known.
   *
   * @generated from field: diffusion_toy.v1.Capacity capacity = 11;
   */
  capacity?: Capacity | undefined;
};

/**
 * Describes the message diffusion_toy.v1.Model.
 * Use `create(ModelSchema)` to create a new message.
 */
export const ModelSchema: GenMessage<Model> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 22);

/**
 * How much of the network's work a server promises.
 *
 * @generated from message diffusion_toy.v1.Capacity
 */
export type Capacity = Message<"diffusion_toy.v1.Capacity"> & {
  /**
   * Network rows a second for all sessions together; a session takes one for each step, two with
   * guidance other than 0 and 1. Models of one server share their device: the sum of each model's demand
   * ÷ its capacity is the server's load, and what would lift that above 1 is refused.
   *
   * @generated from field: double rows_per_second = 1;
   */
  rowsPerSecond: number;

  /**
   * Where the figure is from.
   *
   * @generated from field: diffusion_toy.v1.CapacitySource source = 2;
   */
  source: CapacitySource;

  /**
   * How long ago it was measured, seconds; unset where the operator has given it.
   *
   * @generated from field: optional double age_s = 3;
   */
  ageS?: number | undefined;
};

/**
 * Describes the message diffusion_toy.v1.Capacity.
 * Use `create(CapacitySchema)` to create a new message.
 */
export const CapacitySchema: GenMessage<Capacity> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 23);

/**
 * A noise schedule as a table.
 *
 * @generated from message diffusion_toy.v1.Schedule
 */
export type Schedule = Message<"diffusion_toy.v1.Schedule"> & {
  /**
   * @generated from field: diffusion_toy.v1.ScheduleName name = 1;
   */
  name: ScheduleName;

  /**
   * ᾱ for t = 0…T (T + 1 values, falling from 1); between them the level is interpolated linearly.
   *
   * @generated from field: repeated double alphas_cumprod = 2;
   */
  alphasCumprod: number[];
};

/**
 * Describes the message diffusion_toy.v1.Schedule.
 * Use `create(ScheduleSchema)` to create a new message.
 */
export const ScheduleSchema: GenMessage<Schedule> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 24);

/**
 * What the server allows.
 *
 * @generated from message diffusion_toy.v1.Limits
 */
export type Limits = Message<"diffusion_toy.v1.Limits"> & {
  /**
   * The fastest a session can step, steps a second.
   *
   * @generated from field: float tick_rate_hz = 1;
   */
  tickRateHz: number;

  /**
   * Size of one request, bytes.
   *
   * @generated from field: uint32 request_bytes = 2;
   */
  requestBytes: number;

  /**
   * Commands a second in the long run; short bursts may be four times as fast.
   *
   * @generated from field: uint32 commands_per_second = 3;
   */
  commandsPerSecond: number;

  /**
   * Commands that may wait at a time.
   *
   * @generated from field: uint32 pending_commands = 4;
   */
  pendingCommands: number;

  /**
   * Largest `Start.window`.
   *
   * @generated from field: uint32 window = 5;
   */
  window: number;

  /**
   * How long a session waits for its client after a stream has broken, seconds.
   *
   * @generated from field: float grace_s = 6;
   */
  graceS: number;

  /**
   * How long a stream may be silent, seconds.
   *
   * @generated from field: float idle_s = 7;
   */
  idleS: number;

  /**
   * How many states are kept for `Back` and `Jump`.
   *
   * @generated from field: uint32 history_states = 8;
   */
  historyStates: number;

  /**
   * Injections of one session that are applied between two ticks, at least 1, or fewer where others have
   * commands too; those beyond wait for the next tick. If they have the `at_step` of the coming step, the step
   * waits with them.
   *
   * @generated from field: uint32 injections_per_tick = 9;
   */
  injectionsPerTick: number;

  /**
   * Size of the commands that may wait at a time, bytes: each counts as its request and 512 more. While
   * sessions of others hold very much, only `request_bytes` of it are sure.
   *
   * @generated from field: uint32 pending_bytes = 10;
   */
  pendingBytes: number;
};

/**
 * Describes the message diffusion_toy.v1.Limits.
 * Use `create(LimitsSchema)` to create a new message.
 */
export const LimitsSchema: GenMessage<Limits> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 25);

/**
 * One moment of the session: the picture *before* the step that it is about to take, and the
 * prediction made from exactly this picture.
 *
 * @generated from message diffusion_toy.v1.Frame
 */
export type Frame = Message<"diffusion_toy.v1.Frame"> & {
  /**
   * Rises by one with each frame the session makes; what `Acknowledge` refers to. Numbers that are
   * skipped were replaced by newer frames (rule 5).
   *
   * @generated from field: uint64 number = 1;
   */
  number: bigint;

  /**
   * How many steps the session has taken since its start or last restart.
   *
   * @generated from field: uint64 step = 2;
   */
  step: bigint;

  /**
   * All commands up to this sequence have been applied (or rejected) before this frame.
   *
   * @generated from field: uint64 applied_sequence = 3;
   */
  appliedSequence: bigint;

  /**
   * The noisy picture: C·H·W float16, little endian, rows from the top, not clamped.
   *
   * @generated from field: bytes x_t = 4;
   */
  xT: Uint8Array;

  /**
   * The network's guess at the clean picture, same format, within [−1, 1].
   *
   * @generated from field: bytes x0_hat = 5;
   */
  x0Hat: Uint8Array;

  /**
   * The nominal level of each pixel, H·W float16, little endian, in 0…1; empty where all pixels
   * have the level `nominal.mean`.
   *
   * @generated from field: bytes level_map = 6;
   */
  levelMap: Uint8Array;

  /**
   * The levels the network is told.
   *
   * @generated from field: diffusion_toy.v1.Range nominal = 7;
   */
  nominal?: Range | undefined;

  /**
   * The levels that are really in the picture, by bookkeeping of every update. Equal to `nominal`
   * as long as all noise is added by the rule TRUTH.
   *
   * @generated from field: diffusion_toy.v1.Range actual = 8;
   */
  actual?: Range | undefined;

  /**
   * The time steps of `nominal` in the session's schedule, 0…T; `max` is the one to show.
   *
   * @generated from field: diffusion_toy.v1.Range time_step = 9;
   */
  timeStep?: Range | undefined;

  /**
   * What the session is doing.
   *
   * @generated from field: diffusion_toy.v1.Motion motion = 10;
   */
  motion: Motion;

  /**
   * Nothing will change by itself: paused, or at the end of its way (rule 6).
   *
   * @generated from field: bool idle = 11;
   */
  idle: boolean;

  /**
   * The settings in force, every field set.
   *
   * @generated from field: diffusion_toy.v1.Settings settings = 12;
   */
  settings?: Settings | undefined;

  /**
   * The seed in force, 0…2^63−1.
   *
   * @generated from field: uint64 seed = 13;
   */
  seed: bigint;

  /**
   * How long the server worked on the tick that made this frame, for all sessions, milliseconds.
   *
   * @generated from field: float server_ms = 14;
   */
  serverMs: number;

  /**
   * Sessions on this server now.
   *
   * @generated from field: uint32 sessions = 15;
   */
  sessions: number;

  /**
   * The oldest step whose state is kept; `step` itself if none is.
   *
   * @generated from field: uint64 first_kept_step = 16;
   */
  firstKeptStep: bigint;

  /**
   * The level measured from what the prediction leaves over, `x_t − √ᾱ·x̂0`, set against what this
   * model leaves over on real pictures of the nominal level. Unset where that says nothing: little or
   * almost only noise, or a model without this calibration.
   *
   * @generated from field: optional float measured_by_residual = 17;
   */
  measuredByResidual?: number | undefined;

  /**
   * The level measured at the picture's border, where the training data have one known value: the mean
   * gives the signal, the spread the noise. Blind to what happens inside. Unset where the border's time
   * step is not the same all around, or the model has no such border (`Model.border_value`).
   *
   * @generated from field: optional float measured_by_border = 18;
   */
  measuredByBorder?: number | undefined;

  /**
   * Excess kurtosis of ε̂ over the pixels whose √(1 − ᾱ) exceeds 0.02: 0 for Gaussian noise, −2 for ±1,
   * 3 for Laplace. Unset where fewer than 64 pixels do.
   *
   * @generated from field: optional float excess_kurtosis = 19;
   */
  excessKurtosis?: number | undefined;

  /**
   * Streams that watch this session.
   *
   * @generated from field: uint32 watchers = 20;
   */
  watchers: number;

  /**
   * The commands that have been applied since the last frame of this stream, in their order, without the
   * `Start` and those that were rejected; a frame that replaces another (rule 5) takes over its list. At
   * most 4096: beyond that the oldest are left out. The first frame after a resume, of a session that
   * the server still had, lists its last 1024 commands instead, for a client that has missed frames.
   * A sequence may come again, after a resume with another step: the newer entry counts.
   *
   * @generated from field: repeated diffusion_toy.v1.Applied applied = 21;
   */
  applied: Applied[];
};

/**
 * Describes the message diffusion_toy.v1.Frame.
 * Use `create(FrameSchema)` to create a new message.
 */
export const FrameSchema: GenMessage<Frame> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 26);

/**
 * A command that has been applied.
 *
 * @generated from message diffusion_toy.v1.Applied
 */
export type Applied = Message<"diffusion_toy.v1.Applied"> & {
  /**
   * Of the command.
   *
   * @generated from field: uint64 sequence = 1;
   */
  sequence: bigint;

  /**
   * The `Frame.step` of the moment, which makes it the `DenoiseRequest.at_step` of a replay. Of a
   * `Restart`, a `Back` and a `Jump` it is the step that the session was at, not the one it went to.
   *
   * @generated from field: uint64 step = 2;
   */
  step: bigint;
};

/**
 * Describes the message diffusion_toy.v1.Applied.
 * Use `create(AppliedSchema)` to create a new message.
 */
export const AppliedSchema: GenMessage<Applied> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 27);

/**
 * The least, the mean and the greatest value over the picture.
 *
 * @generated from message diffusion_toy.v1.Range
 */
export type Range = Message<"diffusion_toy.v1.Range"> & {
  /**
   * @generated from field: float min = 1;
   */
  min: number;

  /**
   * @generated from field: float mean = 2;
   */
  mean: number;

  /**
   * @generated from field: float max = 3;
   */
  max: number;
};

/**
 * Describes the message diffusion_toy.v1.Range.
 * Use `create(RangeSchema)` to create a new message.
 */
export const RangeSchema: GenMessage<Range> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 28);

/**
 * A command that changed nothing.
 *
 * @generated from message diffusion_toy.v1.Rejected
 */
export type Rejected = Message<"diffusion_toy.v1.Rejected"> & {
  /**
   * Of the command.
   *
   * @generated from field: uint64 sequence = 1;
   */
  sequence: bigint;

  /**
   * The field at fault, as in "inject.disc.radius".
   *
   * @generated from field: string field = 2;
   */
  field: string;

  /**
   * Its value, as text.
   *
   * @generated from field: string value = 3;
   */
  value: string;

  /**
   * What is allowed, as text.
   *
   * @generated from field: string limit = 4;
   */
  limit: string;

  /**
   * One sentence for the user.
   *
   * @generated from field: string message = 5;
   */
  message: string;
};

/**
 * Describes the message diffusion_toy.v1.Rejected.
 * Use `create(RejectedSchema)` to create a new message.
 */
export const RejectedSchema: GenMessage<Rejected> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 29);

/**
 * @generated from message diffusion_toy.v1.ListModelsRequest
 */
export type ListModelsRequest = Message<"diffusion_toy.v1.ListModelsRequest"> & {
};

/**
 * Describes the message diffusion_toy.v1.ListModelsRequest.
 * Use `create(ListModelsRequestSchema)` to create a new message.
 */
export const ListModelsRequestSchema: GenMessage<ListModelsRequest> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 30);

/**
 * @generated from message diffusion_toy.v1.ListModelsResponse
 */
export type ListModelsResponse = Message<"diffusion_toy.v1.ListModelsResponse"> & {
  /**
   * At least one; the first is the default.
   *
   * @generated from field: repeated diffusion_toy.v1.Model models = 1;
   */
  models: Model[];
};

/**
 * Describes the message diffusion_toy.v1.ListModelsResponse.
 * Use `create(ListModelsResponseSchema)` to create a new message.
 */
export const ListModelsResponseSchema: GenMessage<ListModelsResponse> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 31);

/**
 * Asks for the wall.
 *
 * @generated from message diffusion_toy.v1.WallRequest
 */
export type WallRequest = Message<"diffusion_toy.v1.WallRequest"> & {
  /**
   * The wall's own token, which the server made up or was given; ignored after the first request. Error:
   * UNAUTHENTICATED.
   *
   * @generated from field: string token = 1;
   */
  token: string;

  /**
   * What the class is to be told. Ignored in the first request. Default: nothing.
   *
   * @generated from oneof diffusion_toy.v1.WallRequest.change
   */
  change: {
    /**
     * Puts the session of this `WallPicture.session_id` on the spotlight; empty takes it off. Ignored where there
     * is no such picture any more.
     *
     * @generated from field: string spotlight = 2;
     */
    value: string;
    case: "spotlight";
  } | {
    /**
     * Offers a seed in place of the one before. `SeedOffer.number` is ignored. Error: INVALID_ARGUMENT for a seed
     * outside its range.
     *
     * @generated from field: diffusion_toy.v1.SeedOffer offer = 3;
     */
    value: SeedOffer;
    case: "offer";
  } | { case: undefined; value?: undefined };
};

/**
 * Describes the message diffusion_toy.v1.WallRequest.
 * Use `create(WallRequestSchema)` to create a new message.
 */
export const WallRequestSchema: GenMessage<WallRequest> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 32);

/**
 * What whoever has the wall's link shows the class.
 *
 * @generated from message diffusion_toy.v1.Lesson
 */
export type Lesson = Message<"diffusion_toy.v1.Lesson"> & {
  /**
   * `Welcome.session_id` of the session on the spotlight, for `Start.watch`; empty for none. It stays until it is
   * changed: the session may be over by now.
   *
   * @generated from field: string spotlight = 1;
   */
  spotlight: string;

  /**
   * The newest offer; unset before the first.
   *
   * @generated from field: diffusion_toy.v1.SeedOffer offer = 2;
   */
  offer?: SeedOffer | undefined;
};

/**
 * Describes the message diffusion_toy.v1.Lesson.
 * Use `create(LessonSchema)` to create a new message.
 */
export const LessonSchema: GenMessage<Lesson> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 33);

/**
 * "Everybody start from this seed": a client asks its user.
 *
 * @generated from message diffusion_toy.v1.SeedOffer
 */
export type SeedOffer = Message<"diffusion_toy.v1.SeedOffer"> & {
  /**
   * For a `Restart` from noise, 0…2^63−1. Unset: the offer has been taken back.
   *
   * @generated from field: optional uint64 seed = 1;
   */
  seed?: bigint | undefined;

  /**
   * Rises with each offer: a higher one is to be shown, also to a user who has turned the one before down.
   *
   * @generated from field: uint64 number = 2;
   */
  number: bigint;
};

/**
 * Describes the message diffusion_toy.v1.SeedOffer.
 * Use `create(SeedOfferSchema)` to create a new message.
 */
export const SeedOfferSchema: GenMessage<SeedOffer> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 34);

/**
 * What has changed on the wall.
 *
 * @generated from message diffusion_toy.v1.WallUpdate
 */
export type WallUpdate = Message<"diffusion_toy.v1.WallUpdate"> & {
  /**
   * The pictures that have changed, and those that are new.
   *
   * @generated from field: repeated diffusion_toy.v1.WallPicture pictures = 1;
   */
  pictures: WallPicture[];

  /**
   * The session ids of pictures that are to be taken down.
   *
   * @generated from field: repeated string gone = 2;
   */
  gone: string[];

  /**
   * How many sessions there are beside those that the wall has room for.
   *
   * @generated from field: uint32 others = 3;
   */
  others: number;

  /**
   * What the class is told; set in the first update, and where it has changed.
   *
   * @generated from field: diffusion_toy.v1.Lesson lesson = 4;
   */
  lesson?: Lesson | undefined;
};

/**
 * Describes the message diffusion_toy.v1.WallUpdate.
 * Use `create(WallUpdateSchema)` to create a new message.
 */
export const WallUpdateSchema: GenMessage<WallUpdate> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 35);

/**
 * A session's picture as the wall shows it.
 *
 * @generated from message diffusion_toy.v1.WallPicture
 */
export type WallPicture = Message<"diffusion_toy.v1.WallPicture"> & {
  /**
   * `Welcome.session_id`: with it the session can be watched.
   *
   * @generated from field: string session_id = 1;
   */
  sessionId: string;

  /**
   * `Start.name`, or empty.
   *
   * @generated from field: string name = 2;
   */
  name: string;

  /**
   * The picture's shape.
   *
   * @generated from field: uint32 channels = 3;
   */
  channels: number;

  /**
   * @generated from field: uint32 height = 4;
   */
  height: number;

  /**
   * @generated from field: uint32 width = 5;
   */
  width: number;

  /**
   * `x_t` as C·H·W bytes: 0 is −1 and below, 255 is 1 and above.
   *
   * @generated from field: bytes x_t = 6;
   */
  xT: Uint8Array;

  /**
   * The greatest time step of its pixels.
   *
   * @generated from field: float time_step = 7;
   */
  timeStep: number;
};

/**
 * Describes the message diffusion_toy.v1.WallPicture.
 * Use `create(WallPictureSchema)` to create a new message.
 */
export const WallPictureSchema: GenMessage<WallPicture> = /*@__PURE__*/
  messageDesc(file_diffusion_toy_v1_denoise, 36);

/**
 * How noise values are distributed. All have mean 0 and second moment 1, so they add the same power.
 *
 * @generated from enum diffusion_toy.v1.NoiseKind
 */
export enum NoiseKind {
  /**
   * @generated from enum value: NOISE_KIND_UNSPECIFIED = 0;
   */
  UNSPECIFIED = 0,

  /**
   * Independent normal values: what the network was trained on.
   *
   * @generated from enum value: NOISE_KIND_GAUSSIAN = 1;
   */
  GAUSSIAN = 1,

  /**
   * Independent, uniform in [−√3, √3].
   *
   * @generated from enum value: NOISE_KIND_UNIFORM = 2;
   */
  UNIFORM = 2,

  /**
   * Independent, Laplace-distributed: many small values, a few large ones.
   *
   * @generated from enum value: NOISE_KIND_LAPLACE = 3;
   */
  LAPLACE = 3,

  /**
   * Independent, +1 or −1.
   *
   * @generated from enum value: NOISE_KIND_SIGN = 4;
   */
  SIGN = 4,

  /**
   * Normal, but neighbours alike: Gaussian noise blurred over about three pixels.
   *
   * @generated from enum value: NOISE_KIND_SMOOTH = 5;
   */
  SMOOTH = 5,

  /**
   * One value for all pixels of the injection, +1 or −1.
   *
   * @generated from enum value: NOISE_KIND_CONSTANT = 6;
   */
  CONSTANT = 6,
}

/**
 * Describes the enum diffusion_toy.v1.NoiseKind.
 */
export const NoiseKindSchema: GenEnum<NoiseKind> = /*@__PURE__*/
  enumDesc(file_diffusion_toy_v1_denoise, 0);

/**
 * What an injection from t to t' = t + amount does. ᾱ is `alphas_cumprod`, x the noisy pixel.
 *
 * @generated from enum diffusion_toy.v1.InjectionRule
 */
export enum InjectionRule {
  /**
   * @generated from enum value: INJECTION_RULE_UNSPECIFIED = 0;
   */
  UNSPECIFIED = 0,

  /**
   * Consistent, the forward process: x' = √ρ·x + √(1−ρ)·noise with ρ = ᾱ(t')/ᾱ(t). Nominal and actual
   * level agree.
   *
   * @generated from enum value: INJECTION_RULE_TRUTH = 1;
   */
  TRUTH = 1,

  /**
   * Uncorrected, a common mistake: x' = √ᾱ(t')·x + √(1−ᾱ(t'))·noise, as if x were clean. The actual level
   * is above the nominal one.
   *
   * @generated from enum value: INJECTION_RULE_NAIVE = 2;
   */
  NAIVE = 2,

  /**
   * Mislabelled: the picture stays, and only the nominal level, which the network is told, moves to t'.
   *
   * @generated from enum value: INJECTION_RULE_LIE = 3;
   */
  LIE = 3,
}

/**
 * Describes the enum diffusion_toy.v1.InjectionRule.
 */
export const InjectionRuleSchema: GenEnum<InjectionRule> = /*@__PURE__*/
  enumDesc(file_diffusion_toy_v1_denoise, 1);

/**
 * What a session does by itself.
 *
 * @generated from enum diffusion_toy.v1.Motion
 */
export enum Motion {
  /**
   * In a request: the default. Never sent by the server.
   *
   * @generated from enum value: MOTION_UNSPECIFIED = 0;
   */
  UNSPECIFIED = 0,

  /**
   * Denoises: t falls.
   *
   * @generated from enum value: MOTION_REVERSE = 1;
   */
  REVERSE = 1,

  /**
   * Noises, the forward process: t rises.
   *
   * @generated from enum value: MOTION_FORWARD = 2;
   */
  FORWARD = 2,

  /**
   * Rests.
   *
   * @generated from enum value: MOTION_PAUSED = 3;
   */
  PAUSED = 3,
}

/**
 * Describes the enum diffusion_toy.v1.Motion.
 */
export const MotionSchema: GenEnum<Motion> = /*@__PURE__*/
  enumDesc(file_diffusion_toy_v1_denoise, 2);

/**
 * A noise schedule's family; T is a setting of its own.
 *
 * @generated from enum diffusion_toy.v1.ScheduleName
 */
export enum ScheduleName {
  /**
   * @generated from enum value: SCHEDULE_NAME_UNSPECIFIED = 0;
   */
  UNSPECIFIED = 0,

  /**
   * level = t/T; ends in pure noise.
   *
   * @generated from enum value: SCHEDULE_NAME_COSINE = 1;
   */
  COSINE = 1,

  /**
   * Betas from 1e-4 to 0.02 (Ho et al. 2020), made for T = 1000; at T = 300 it ends with ᾱ = 0.048,
   * which is not pure noise.
   *
   * @generated from enum value: SCHEDULE_NAME_LINEAR = 2;
   */
  LINEAR = 2,
}

/**
 * Describes the enum diffusion_toy.v1.ScheduleName.
 */
export const ScheduleNameSchema: GenEnum<ScheduleName> = /*@__PURE__*/
  enumDesc(file_diffusion_toy_v1_denoise, 3);

/**
 * How a step back in time is taken.
 *
 * @generated from enum diffusion_toy.v1.Sampler
 */
export enum Sampler {
  /**
   * @generated from enum value: SAMPLER_UNSPECIFIED = 0;
   */
  UNSPECIFIED = 0,

  /**
   * Ancestral sampling (Ho et al. 2020): fresh noise in every step.
   *
   * @generated from enum value: SAMPLER_DDPM = 1;
   */
  DDPM = 1,

  /**
   * Song et al. 2021, with `Settings.eta`.
   *
   * @generated from enum value: SAMPLER_DDIM = 2;
   */
  DDIM = 2,

  /**
   * DPM-Solver++(2M), Lu et al. 2022: second order, no fresh noise. Where the time step is not the
   * same for all pixels, in a step of a disc (`Step.disc`), and after any change of picture or settings,
   * its step is that of DDIM.
   *
   * @generated from enum value: SAMPLER_DPMPP = 3;
   */
  DPMPP = 3,

  /**
   * SDE-DPM-Solver++(2M), Lu et al. 2022: second order, with fresh noise in every step. Where
   * DPM-Solver++ takes a DDIM step, it takes one of DDPM.
   *
   * @generated from enum value: SAMPLER_SDE_DPMPP = 4;
   */
  SDE_DPMPP = 4,
}

/**
 * Describes the enum diffusion_toy.v1.Sampler.
 */
export const SamplerSchema: GenEnum<Sampler> = /*@__PURE__*/
  enumDesc(file_diffusion_toy_v1_denoise, 4);

/**
 * Where a capacity is from.
 *
 * @generated from enum diffusion_toy.v1.CapacitySource
 */
export enum CapacitySource {
  /**
   * @generated from enum value: CAPACITY_SOURCE_UNSPECIFIED = 0;
   */
  UNSPECIFIED = 0,

  /**
   * The operator has set it.
   *
   * @generated from enum value: CAPACITY_SOURCE_GIVEN = 1;
   */
  GIVEN = 1,

  /**
   * Measured when the server started.
   *
   * @generated from enum value: CAPACITY_SOURCE_START = 2;
   */
  START = 2,

  /**
   * Corrected since, by what ticks have taken.
   *
   * @generated from enum value: CAPACITY_SOURCE_TICKS = 3;
   */
  TICKS = 3,
}

/**
 * Describes the enum diffusion_toy.v1.CapacitySource.
 */
export const CapacitySourceSchema: GenEnum<CapacitySource> = /*@__PURE__*/
  enumDesc(file_diffusion_toy_v1_denoise, 5);

/**
 * Live denoising of one image per stream.
 *
 * @generated from service diffusion_toy.v1.DenoiseService
 */
export const DenoiseService: GenService<{
  /**
   * One session: see "The rules of the stream" above.
   *
   * @generated from rpc diffusion_toy.v1.DenoiseService.Denoise
   */
  denoise: {
    methodKind: "bidi_streaming";
    input: typeof DenoiseRequestSchema;
    output: typeof DenoiseResponseSchema;
  },
  /**
   * The models that a `Start` can name. UNAVAILABLE while they are being loaded; RESOURCE_EXHAUSTED for an
   * address that asks too often.
   *
   * @generated from rpc diffusion_toy.v1.DenoiseService.ListModels
   */
  listModels: {
    methodKind: "unary";
    input: typeof ListModelsRequestSchema;
    output: typeof ListModelsResponseSchema;
  },
}> = /*@__PURE__*/
  serviceDesc(file_diffusion_toy_v1_denoise, 0);

